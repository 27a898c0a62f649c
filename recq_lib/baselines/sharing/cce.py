"""CCE, clustered compositional embeddings (Tsang & Ahle, NeurIPS 2023), as a table.

A side (users or items) has two codebooks T0, T1 [R, d]. A node's vector is put together from c chunks of d/c columns, each the sum of one
chunk of either codebook:

    e = concat_k ( T0[h0_k, chunk k] + T1[h1_k, chunk k] )

h0 and h1 start as random functions. After the first epoch `cluster` replaces h0 by k-means of the chunks that have been learned, so that
nodes with similar vectors share a row, and T1 goes on to learn what the centroids leave. The authors repeat this during training; BACO's
supplement does it once ("updated only in the first epoch"), and so do we.

From the authors' code (thomasahle/cce): the start U(±d^-1/2), the order of the steps, T1 = mean residual. Ours: a row of T1 that no node
hashes to becomes 0 (the code divides by 0), and everything follows a seed. k-means starts once, from random nodes, as in the authors'
variant with faiss; their default, three starts by k-means++, took seven times as long per start for an error 0.7 % lower (measured on the
first chunk of Beauty's users, untrained, 2077 clusters).
"""

from __future__ import annotations

import warnings

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, whole
from recq_lib.io.optional import optional
from recq_lib.parts.building import on_rows
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.parts.protocols import Table
from recq_lib.parts.tables import Fixed, FixedProduct
from recq_lib.sharing.louvain import SIZE_OPTIONS, rows_of

CLUSTER_EPOCH = 1  # clusters before the second epoch


class CCETable(Table):
    """Table [n_nodes, d], users first, of two composed codebooks per side.

    Parameters
    ----------
    n_users, n_items : nodes per side
    n_user_rows, n_item_rows : rows of dimension d that a side may train, as for the other methods; each codebook has half of them, so at
        least 2, and at most 2·nodes (k-means needs as many nodes as clusters)
    dim : d, a multiple of `chunks`
    chunks : c
    std : None for the authors' start U(±d^-1/2); else N(0, std²/2) per codebook, so that vectors start as N(0, std²), as in other tables
    redo, iterations : starts of k-means and most iterations of one (authors: 3 and 100)
    seed : of the hash functions, of k-means, and of the start without `generator`

    Attributes
    ----------
    weight [2·R_u + 2·R_i, d] : T0 and T1 of the users, then T0 and T1 of the items
    h0, h1 [n_nodes, c] int64 buffers : rows in the side's T0 and T1, saved with the parameters

    Raises `ConfigError` for sizes that break a rule above, and when scikit-learn is missing.
    """

    def __init__(
        self,
        n_users: int,
        n_items: int,
        n_user_rows: int,
        n_item_rows: int,
        dim: int,
        *,
        chunks: int = 4,
        std: float | None = None,
        redo: int = 1,
        iterations: int = 100,
        seed: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        if chunks < 1 or dim < 1 or dim % chunks:
            raise ConfigError(f"dim is {dim}, but must be a multiple of the number of chunks, {chunks}")
        if std is not None and not std >= 0:
            raise ConfigError(f"init std is {std}, but must be 0 or more, or None for the start of CCE's authors")
        redo, iterations, seed = whole("redo", redo, 1), whole("iterations", iterations, 1), whole("seed", seed, 0)
        self.sizes = ((n_users, n_user_rows // 2), (n_items, n_item_rows // 2))
        for side, given, (n, rows) in zip(("user", "item"), (n_user_rows, n_item_rows), self.sizes, strict=True):
            if not 1 <= rows <= n:
                raise ConfigError(f"n_{side}_rows is {given}, half of it for each codebook; give 2 to {2 * n} for {n} nodes")
        optional("sklearn", "baselines", "CCE")  # now, not when the first epoch is over
        self.chunks, self.std, self.redo, self.iterations, self.seed = chunks, std, redo, iterations, seed
        generator = generator or torch.Generator().manual_seed(seed)
        self.weight = nn.Parameter(_start((2 * sum(rows for _, rows in self.sizes), dim), std, generator))
        rng = np.random.default_rng([seed, 0])
        for name in ("h0", "h1"):
            self.register_buffer(name, torch.from_numpy(np.concatenate([_hashes(rng, *size, chunks) for size in self.sizes])))
        self.register_load_state_dict_post_hook(_assignment_loaded)
        self._build()

    # ---- the table ----------------------------------------------------------------------------------------------------------

    @property
    def n_parameters(self) -> int:
        """d per row of the four codebooks: the hash values are not counted, since BACO sizes CCE by rows alone (`n_bytes` counts them)."""
        return self.weight.numel()

    def n_bytes(self) -> int:
        """What must be kept: float32 rows and all 2·c row numbers of a node as int32."""
        return 4 * self.weight.numel() + 4 * (self.h0.numel() + self.h1.numel())

    def forward(self) -> torch.Tensor:
        """[n_nodes, d]"""
        # cut into chunks, both sides are stacks of short vectors, and one sparse product with two ones per row adds them up
        pieces = self.weight.view(-1, self.dim // self.chunks)
        return FixedProduct.apply(pieces, *self._matrices).view(-1, self.dim)

    def _build(self) -> None:
        """The sparse product [n_nodes·c, rows·c] of the present assignment, and its transpose."""
        rows = np.stack([self._rows(h, shift) for h, shift in ((self.h0, 0), (self.h1, 1))], axis=-1)
        columns = (rows * self.chunks + np.arange(self.chunks)[:, None]).ravel()
        indptr = np.arange(0, columns.size + 1, 2)
        shape = (columns.size // 2, self.weight.shape[0] * self.chunks)
        matrix = sp.csr_matrix((np.ones(columns.size, np.float32), columns, indptr), shape=shape)
        self._matrices = (Fixed(matrix), Fixed(matrix.T.tocsr()))

    def _rows(self, h: torch.Tensor, codebook: int) -> np.ndarray:
        """Rows of `weight` [n_nodes, c] that hash values in codebook 0 or 1 stand for."""
        (n_users, user_rows), (n_items, item_rows) = self.sizes
        start = np.repeat([codebook * user_rows, 2 * user_rows + codebook * item_rows], [n_users, n_items])
        return h.cpu().numpy() + start[:, None]

    # ---- clustering ---------------------------------------------------------------------------------------------------------

    def begin_epoch(self, epoch: int, epochs: int) -> None:
        """Cluster once, when the first epoch is over."""
        if epoch == CLUSTER_EPOCH:
            self.cluster()

    @torch.no_grad()
    def cluster(self) -> None:
        """Per side and chunk: h0 by k-means of the present chunks, T0 = centroids, h1 drawn anew, T1 = mean residual of its nodes.

        The optimiser keeps its moments of the old rows, as in the authors' code. One thread, because k-means of scikit-learn adds in
        the order in which its threads finish.
        """
        from threadpoolctl import threadpool_limits

        table = self().cpu().numpy()
        rng = np.random.default_rng([self.seed, 1])
        width, node, row = self.dim // self.chunks, 0, 0
        weight, h0, h1 = self.weight.cpu().numpy().copy(), np.empty(self.h0.shape, np.int64), np.empty(self.h1.shape, np.int64)
        with threadpool_limits(1):
            for n, rows in self.sizes:
                nodes = slice(node, node + n)
                h1[nodes] = _hashes(rng, n, rows, self.chunks)
                for k in range(self.chunks):
                    part = slice(k * width, (k + 1) * width)
                    centres, h0[nodes, k] = self._kmeans(table[nodes, part], rows, int(rng.integers(2**31)))
                    residual = table[nodes, part] - centres[h0[nodes, k]]
                    weight[row : row + rows, part] = centres
                    weight[row + rows : row + 2 * rows, part] = _group_means(residual, h1[nodes, k], rows)
                node, row = node + n, row + 2 * rows
        for target, value in ((self.weight, weight), (self.h0, h0), (self.h1, h1)):
            target.copy_(torch.from_numpy(value))
        self._build()

    def _kmeans(self, x: np.ndarray, n_clusters: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
        """Centroids [n_clusters, w] and the cluster of every row of x."""
        from sklearn.cluster import KMeans
        from sklearn.exceptions import ConvergenceWarning

        model = KMeans(n_clusters, init="random", n_init=self.redo, max_iter=self.iterations, random_state=seed, algorithm="lloyd")
        with warnings.catch_warnings():  # fewer distinct chunks than clusters: then some clusters stay empty, which does no harm
            warnings.simplefilter("ignore", ConvergenceWarning)
            labels = model.fit_predict(x)
        return model.cluster_centers_, labels

    def extra_repr(self) -> str:
        (n_users, user_rows), (n_items, item_rows) = self.sizes
        start = f"std={self.std}, redo={self.redo}, iterations={self.iterations}, seed={self.seed}"
        return f"{n_users} + {n_items} nodes, 2·{user_rows} + 2·{item_rows} rows, dim={self.dim}, chunks={self.chunks}, {start}"


def _assignment_loaded(table: CCETable, _keys: object) -> None:
    table._build()


def _start(shape: tuple[int, int], std: float | None, generator: torch.Generator) -> torch.Tensor:
    if std is not None:
        return torch.randn(shape, generator=generator).mul_(std / 2**0.5)
    bound = shape[1] ** -0.5
    return torch.empty(shape).uniform_(-bound, bound, generator=generator)


def _hashes(rng: np.random.Generator, n: int, rows: int, chunks: int) -> np.ndarray:
    return rng.integers(0, rows, (n, chunks))


def _group_means(x: np.ndarray, group: np.ndarray, n_groups: int) -> np.ndarray:
    """Mean row of each group, 0 for an empty one; x [n, w] → [n_groups, w]."""
    counts = np.bincount(group, minlength=n_groups)
    sums = sp.csr_matrix((np.ones(group.size), (group, np.arange(group.size))), shape=(n_groups, group.size)) @ x
    return sums / np.maximum(counts, 1)[:, None]


# ---- entry ------------------------------------------------------------------------------------------------------------------

def _cce(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    rows, generator = rows_of(data, config.options["ratio"]), torch.Generator().manual_seed(config.seed)
    std = config.init_std if config.options["normal_start"] else None
    table = CCETable(data.n_users, data.n_items, *rows, config.dim, std=std, seed=config.seed, generator=generator)
    table.asked = config.dim * sum(rows)
    return on_rows(data, config, table)


# rows are only found while training, so there is no `share`
METHODS = (Method("cce", "CCE", "shared rows", "trained", _cce, SIZE_OPTIONS | {"normal_start": False}, marker="2"),)
