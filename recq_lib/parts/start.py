"""Where training begins: a table filled with singular vectors of the training matrix, in place of random numbers (ours).

LightGCN's layers are a low-pass filter of the graph: what training has to find first is the space of the leading singular
vectors of R̃ = D_u^-1/2 R D_i^-1/2 (GF-CF, Shen et al., CIKM 2021, ranks by them alone). A randomised method finds them in seconds
(Halko et al., 2011).

    rows e_v of U·Σ^½ (users) and V·Σ^½ (items), each at unit length, all scaled to the standard deviation of the random start; plus noise

As they come, rows are about as long as the root of their degree, and propagation adds to that, so popular items would outrank all others;
at unit length the order is left to the loss. The noise, a tenth of the scale, lets seeds differ.

"rotated" gives the same rows in a random orthonormal basis. Inner products are the same, so nothing changes for what is compared by them;
but codes are read off one coordinate at a time, and singular vectors come sorted: the first columns hold most of what propagation keeps,
and in the very first all nodes may have one sign, a bit that tells nothing. In a random basis every column holds as much as any other (as
locality-sensitive hashing by random hyperplanes has it; ITQ, Gong and Lazebnik, CVPR 2011, rotates for codes too, and starts so).
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp
import torch
from torch.nn import functional as F

from recq_lib.config import TrainConfig
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.protocols import Table

_NOISE = 0.1  # of the standard deviation
_SPARE, _SWEEPS = 16, 8  # columns and sweeps beyond what an exact method needs: singular values fall slowly


def spectral_rows(matrix: sp.csr_matrix, dim: int, *, seed: int = 0) -> torch.Tensor:
    """Rows e_v [U + I, dim], float32, of unit length; 0 in columns beyond the matrix's rank and for nodes without interactions.

    Parameters
    ----------
    matrix : training interactions [U, I], binary
    seed : of the random method; singular vectors come out the same but for rounding and signs
    """
    degree = [np.maximum(np.asarray(matrix.sum(axis=axis)).ravel(), 1) for axis in (1, 0)]
    normalised = sp.diags_array(degree[0] ** -0.5) @ matrix @ sp.diags_array(degree[1] ** -0.5)
    csr = normalised.tocsr().astype(np.float32)
    parts = (torch.from_numpy(part) for part in (csr.indptr.astype(np.int64), csr.indices.astype(np.int64), csr.data))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        operand = torch.sparse_csr_tensor(*parts, size=csr.shape, check_invariants=False)
    width = min(dim + _SPARE, *csr.shape)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        left, values, right = torch.svd_lowrank(operand, q=width, niter=_SWEEPS)
    kept = min(dim, width)
    rows = torch.zeros(sum(csr.shape), dim)
    rows[:, :kept] = torch.cat([left, right])[:, :kept] * values[:kept].sqrt()
    linked = torch.from_numpy(np.concatenate([np.diff(csr.indptr), np.bincount(csr.indices, minlength=csr.shape[1])]) > 0)
    return F.normalize(rows * linked[:, None], dim=1)  # without the mask, rounding would send a node without interactions anywhere


def random_basis(dim: int, *, seed: int = 0) -> torch.Tensor:
    """Orthogonal matrix [dim, dim], float32, uniformly distributed (Mezzadri, *How to generate random matrices*, 2007)."""
    q, r = torch.linalg.qr(torch.randn(dim, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed)))
    return (q * r.diagonal().sign()).float()


@torch.no_grad()
def begin(table: Table, graph: Graph, config: TrainConfig) -> None:
    """Fill `table` as `config.start` says; "normal" leaves the table's own draw, and so does a table that cannot be placed (`place`)."""
    if config.start == "normal":
        return
    rows = spectral_rows(graph.interactions(), table.dim, seed=config.seed)
    if config.start == "rotated":
        rows = rows @ random_basis(table.dim, seed=config.seed)
    placed = table.place(rows)
    if placed is None:
        return
    drawn = torch.randn(placed.shape, generator=torch.Generator().manual_seed(config.seed))
    std = placed.std().clamp_min(1e-12)
    table.weight.copy_((placed / std + _NOISE * drawn) * config.init_std)
