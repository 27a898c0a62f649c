"""Propagation over the graph with its own autograd rule: what a training step computes, and what it leaves out because nobody reads it.

LightGCN's propagation is `V^(l) = Â V^(l-1)`. Â is symmetric, so backward needs no transpose. For a loss that reads all
layers, `Σ_l <G_l, V^(l)>`, the gradient at `V^(0)` is `G_0 + Â(G_1 + Â(G_2 + …))`: Horner's form, L products each way.

A step reads the layers at a batch's nodes `rows`. So of L layers the last is computed at `rows` alone, the one before
it at their neighbours too, and those before that everywhere; backward, the gradient of the last layer reaches the
neighbours only. With a table of shared rows, S·E, the first layer is (ÂS)·E: nodes of one cluster are added up once, in
advance, and the table is never written out. All of these skips are exact; merging the edges of a cluster changes the
order of summation and so the last bits.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import scipy.sparse as sp
import torch

from recq_lib.errors import ConfigError
from recq_lib.graph.adjacency import Graph
from recq_lib.kernels import propagation as kernel


def propagate(x: torch.Tensor, graph: Graph, n_layers: int, rows: torch.Tensor | None = None) -> torch.Tensor:
    """Layers `[V^(0), …, V^(L)]` of LightGCN propagation, at all nodes or at `rows` only; differentiable in `x`.

    Parameters
    ----------
    x : [n, d] float32 or float64, layer 0
    rows : [R] int64, distinct nodes; the result and the gradient are exact, only work nobody reads is skipped

    Returns
    -------
    [L+1, n, d], or [L+1, R, d] with `rows`
    """
    if x.shape[0] != graph.n_nodes:
        raise ConfigError(f"the table has {x.shape[0]} rows, but the graph has {graph.n_nodes} nodes; build both from one dataset")
    if n_layers < 0:
        raise ConfigError(f"n_layers is {n_layers}, but must be 0 or more")
    if n_layers == 0:
        return (x if rows is None else x.index_select(0, rows)).unsqueeze(0)
    if x.device.type != "cpu":
        return _DevicePropagation.apply(x, graph, n_layers, rows)
    return CpuLayers.apply(x, graph, n_layers) if rows is None else CpuPropagation.apply(x, NodeRows(graph), n_layers, rows)


class Rows(Protocol):
    """Where layer 0 comes from. `parameters` is the trained matrix; arrays are numpy views of torch tensors."""

    graph: Graph

    def layer0(self, parameters: torch.Tensor, rows: torch.Tensor, out: torch.Tensor) -> None:
        """Fill `out` [R, d] with layer 0 at `rows`."""

    def layer1(self, parameters: torch.Tensor, nodes: np.ndarray | None, out: torch.Tensor) -> None:
        """Fill `out` [n, d] with layer 1 at `nodes` (None: everywhere)."""

    def gradient(self, above: torch.Tensor, slot: np.ndarray, rows: np.ndarray, own: torch.Tensor) -> torch.Tensor:
        """With respect to `parameters`: `above` [n, d] belongs to layer 1, `own` [R, d] to layer 0 at `rows`; `slot` is their inverse."""


class NodeRows:
    """One row per node."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    def layer0(self, parameters: torch.Tensor, rows: torch.Tensor, out: torch.Tensor) -> None:
        """`parameters` at `rows`."""
        torch.index_select(parameters, 0, rows, out=out)

    def layer1(self, parameters: torch.Tensor, nodes: np.ndarray | None, out: torch.Tensor) -> None:
        """Â·parameters."""
        _spread(self.graph, parameters, nodes, out)

    def gradient(self, above: torch.Tensor, slot: np.ndarray, rows: np.ndarray, own: torch.Tensor) -> torch.Tensor:
        """Â·above, and `own` at `rows`: [n, d]."""
        graph = self.graph
        result = torch.empty_like(above)  # autograd keeps it, so it may not be a buffer
        csr = (graph.indptr, graph.indices, graph.values_as(above.dtype))
        kernel.product(*csr, graph.chunks, above.numpy(), result.numpy(), slot=slot, extra=own.numpy())
        return result


class SharedRows:
    """Rows shared by nodes: layer 0 is S·E, S [n, K] constant and sparse, E [K, d] trained.

    Source: ours (associativity); `worth_it` tells whether merging brings anything.
    """

    def __init__(self, graph: Graph, shares: sp.csr_matrix) -> None:
        self.graph, self.shares = graph, shares
        adjacency = sp.csr_matrix((graph.values_as(torch.float64), graph.indices, graph.indptr), shape=(graph.n_nodes, graph.n_nodes))
        self._merged = (adjacency @ shares.astype(np.float64)).tocsr()
        self._merged.sort_indices()
        self._parts: dict[np.dtype, tuple] = {}

    @property
    def worth_it(self) -> bool:
        """Are there fewer terms than in writing the table out and summing over its neighbours?"""
        return self._merged.nnz <= self.graph.indices.size + self.shares.nnz

    def layer0(self, parameters: torch.Tensor, rows: torch.Tensor, out: torch.Tensor) -> None:
        """S·E at `rows`."""
        shares, _, _, _ = self._as(out.numpy().dtype)
        kernel.product_at(*shares, rows.numpy(), parameters.numpy(), out.numpy())

    def layer1(self, parameters: torch.Tensor, nodes: np.ndarray | None, out: torch.Tensor) -> None:
        """(ÂS)·E."""
        _, merged, _, _ = self._as(out.numpy().dtype)
        nodes = np.arange(self.graph.n_nodes) if nodes is None else nodes
        kernel.product_at(*merged, nodes, parameters.numpy(), out.numpy(), places=nodes)

    def gradient(self, above: torch.Tensor, slot: np.ndarray, rows: np.ndarray, own: torch.Tensor) -> torch.Tensor:
        """(ÂS)ᵀ·above + Sᵀ·own: [K, d]."""
        shares, _, transposed, chunks = self._as(above.numpy().dtype)
        result = above.new_empty((self.shares.shape[1], above.shape[1]))
        kernel.product(*transposed, chunks, above.numpy(), result.numpy())
        met = kernel.take(*shares, rows, self.shares.shape[1])[1]
        touched = np.flatnonzero(np.diff(met[0]))
        kernel.product_at(*met, touched, own.numpy(), result.numpy(), places=touched, add=True)
        return result

    def _as(self, dtype: np.dtype) -> tuple:
        """CSR parts of S, of ÂS and of its transpose in the caller's arithmetic, and chunks of the last."""
        if dtype not in self._parts:
            transposed = self._merged.T.tocsr()
            parts = [(m.indptr, m.indices, m.data.astype(dtype)) for m in (self.shares, self._merged, transposed)]
            self._parts[dtype] = (*parts, kernel.balanced_chunks(transposed.indptr))
        return self._parts[dtype]


class CpuPropagation(torch.autograd.Function):
    """Layers [L+1, R, d] at `rows`, for L ≥ 1 (L ≥ 2 with `SharedRows`)."""

    @staticmethod
    def forward(ctx, parameters, source: Rows, n_layers: int, rows):
        graph, x = source.graph, parameters.detach().contiguous()
        csr = (graph.indptr, graph.indices, graph.values_as(x.dtype))
        wanted = rows.numpy()
        slot = np.full(graph.n_nodes, -1, np.int32)
        slot[wanted] = np.arange(wanted.size, dtype=np.int32)
        taken, met = kernel.take(*csr, wanted, graph.n_nodes)  # edges between the batch's rows and their neighbours, by row, by neighbour
        ctx.source, ctx.n_layers, ctx.wanted, ctx.slot, ctx.met = source, n_layers, wanted, slot, met
        out = x.new_empty((n_layers + 1, wanted.size, x.shape[1]))
        source.layer0(x, rows, out[0])
        previous = x
        for layer in range(1, n_layers):
            current = graph.buffer(layer % 2, x)
            nodes = None if layer < n_layers - 1 else np.flatnonzero((met[0][1:] > met[0][:-1]) | (slot >= 0))
            if layer == 1:
                source.layer1(x, nodes, current)
            else:
                _spread(graph, previous, nodes, current)
            torch.index_select(current, 0, rows, out=out[layer])
            previous = current
        kernel.product_at(*taken, np.arange(wanted.size), previous.numpy(), out[n_layers].numpy())
        return out

    @staticmethod
    def backward(ctx, grad):
        graph, n_layers, slot, grad = ctx.source.graph, ctx.n_layers, ctx.slot, grad.contiguous()
        parts = grad.numpy()
        target = torch.empty((graph.n_nodes, grad.shape[2]), dtype=grad.dtype) if n_layers == 1 else graph.buffer(0, grad[0])
        kernel.product(*ctx.met, graph.chunks, parts[n_layers], target.numpy(), slot=slot, extra=parts[n_layers - 1])
        csr = (graph.indptr, graph.indices, graph.values_as(grad.dtype))
        for layer in range(n_layers - 2, 0, -1):
            result = graph.buffer(1 - (n_layers - layer) % 2, grad[0])
            kernel.product(*csr, graph.chunks, target.numpy(), result.numpy(), slot=slot, extra=parts[layer])
            target = result
        if n_layers > 1:
            target = ctx.source.gradient(target, slot, ctx.wanted, grad[0])
        return target, None, None, None


class CpuLayers(torch.autograd.Function):
    """Layers [L+1, n, d] at all nodes."""

    @staticmethod
    def forward(ctx, x, graph: Graph, n_layers: int):
        ctx.graph, ctx.n_layers = graph, n_layers
        out = x.new_empty((n_layers + 1, *x.shape))
        out[0] = x
        for layer in range(n_layers):
            _spread(graph, out[layer], None, out[layer + 1])
        return out

    @staticmethod
    def backward(ctx, grad):
        total = grad[ctx.n_layers].clone(memory_format=torch.contiguous_format)
        for layer in range(ctx.n_layers - 1, -1, -1):
            result = torch.empty_like(total)
            _spread(ctx.graph, total, None, result)
            total = result.add_(grad[layer])
        return total, None, None


def _spread(graph: Graph, x: torch.Tensor, nodes: np.ndarray | None, out: torch.Tensor) -> None:
    """`Â x` into `out` [n, d], at `nodes` alone if they are given."""
    csr = (graph.indptr, graph.indices, graph.values_as(x.dtype))
    if nodes is None:
        kernel.product(*csr, graph.chunks, x.numpy(), out.numpy())
    else:
        kernel.product_at(*csr, nodes, x.numpy(), out.numpy(), places=nodes)


class _DevicePropagation(torch.autograd.Function):
    """The same rule with the device's own sparse product (CUDA); also runs on the CPU, where tests compare the two."""

    @staticmethod
    def forward(ctx, x, graph: Graph, n_layers: int, rows):
        matrix = graph.matrix(x.device, x.dtype)
        ctx.matrix, ctx.n_layers, ctx.rows = matrix, n_layers, rows
        layers, current = [x if rows is None else x.index_select(0, rows)], x
        for _ in range(n_layers):
            current = matrix @ current
            layers.append(current if rows is None else current.index_select(0, rows))
        return torch.stack(layers)

    @staticmethod
    def backward(ctx, grad):
        matrix, rows = ctx.matrix, ctx.rows

        def add(total, part):
            return total + part if rows is None else total.index_add_(0, rows, part)

        total = grad.new_zeros((matrix.shape[0], grad.shape[2])) if rows is not None else torch.zeros_like(grad[0])
        total = add(total, grad[ctx.n_layers])
        for layer in range(ctx.n_layers - 1, -1, -1):
            total = add(matrix @ total, grad[layer])
        return total, None, None, None
