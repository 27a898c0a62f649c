"""LEGCF (Liang et al., SIGIR 2024): one codebook for users and items, sparse weighted assignments, rows that take part in propagation.

With c codebook rows C [c, d] and an assignment S [n, c] of t non-zeros per node, Â the graph's normalised adjacency:

    layer 0:  [tanh(S C); C],    layer l:  M·(layer l-1),    M = normalised [[Â, S], [Sᵀ, 0]],    D^-1/2 · D^-1/2 with D the row sums

Only the nodes' part is scored. S starts from a METIS partition of the graph into c parts: weight w* for a node's part, the rest for random
other ones. An update takes S from the propagated vectors, S ← the t largest per row of H_nodes · pinv(H_C).

Equations and start follow the authors' code. As in BACO's comparison (supplement) the update comes once, after the first epoch, and the
harness is the common one: dot product instead of a factorisation machine, two layers, BPR with one negative, no clipping of gradients.

Ours: the product with pinv is done in blocks of nodes; ties go to the lower row; entries below 0 become 0 (the authors' code stops at one)
and a node without an entry above 0 keeps its assignment; and an update rescales the weights of a node to the sum 1 that they start with.
pinv spreads a node over all c rows, so the t largest entries are of order d/c, and with c far above d, as at BACO's budgets, vectors of all
nodes would vanish beside those of the codebook. `rescale=False` takes the entries as they are.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
import torch
from torch import nn

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, whole
from recq_lib.graph.adjacency import Graph
from recq_lib.graph.propagation import propagate
from recq_lib.io.optional import optional
from recq_lib.parts.building import on_rows
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.parts.protocols import Encoder, Table
from recq_lib.parts.tables import Fixed, FixedProduct
from recq_lib.sharing.louvain import SIZE_OPTIONS, rows_of

ANCHOR = 0.9  # w*, default of the authors' code; versions of their instructions name 0.5 to 0.9 by dataset
UPDATE_EPOCH = 1  # the assignment is renewed before the second epoch
_BLOCK = 1 << 24  # entries of H_nodes · pinv(H_C) held at a time


# ---- the start --------------------------------------------------------------------------------------------------------------


def metis_assignment(
    data: Interactions, n_rows: int, *, composition: int = 2, anchor: float = ANCHOR, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """The rows [n_nodes, t] int64 and their weights [n_nodes, t] float32 with which LEGCF starts; users first, rows of a node distinct.

    Column 0 is the node's METIS part with weight `anchor`; the others are drawn from the remaining rows and have (1 - anchor)/(t - 1) each,
    and t = 1 gives weight 1. METIS leaves some parts empty when they are many.

    Parameters
    ----------
    n_rows : c, codebook rows for users and items together, at most n_nodes
    composition : t, at most c
    seed : of METIS and of the draws

    Raises `ConfigError` for sizes or weights out of range, or when the package pymetis is missing.
    """
    n_rows = whole("n_rows", n_rows, 1, data.n_nodes)
    composition, seed = whole("composition", composition, 1, n_rows), whole("seed", seed, 0)
    if not 0 < anchor <= 1:
        raise ConfigError(f"anchor weight is {anchor}, but must be above 0 and at most 1")
    first = _metis(data, n_rows, seed)
    others = _distinct_draws(np.random.default_rng(seed), data.n_nodes, n_rows - 1, composition - 1)
    others += others >= first[:, None]  # numbered without the node's own part
    weights = np.full((data.n_nodes, composition), (1 - anchor) / max(composition - 1, 1), np.float32)
    weights[:, 0] = anchor if composition > 1 else 1
    return np.column_stack([first, others]), weights


def _metis(data: Interactions, n_parts: int, seed: int) -> np.ndarray:
    """Part of every node [n_nodes] int64, edges unweighted (as the authors' call)."""
    if n_parts == 1:
        return np.zeros(data.n_nodes, np.int64)
    pymetis = optional("pymetis", "baselines", "LEGCF's METIS partition")
    graph = Graph.from_interactions(data)
    adjacency = pymetis.CSRAdjacency(graph.indptr.astype(np.int32), graph.indices)
    _, parts = pymetis.part_graph(n_parts, adjacency, options=pymetis.Options(seed=seed))
    return np.asarray(parts, dtype=np.int64)


def _distinct_draws(rng: np.random.Generator, n: int, below: int, k: int) -> np.ndarray:
    """k different whole numbers in [0, below) for each of n rows, every k-tuple equally likely (Floyd's method, then a shuffle)."""
    out = np.empty((n, k), np.int64)
    for j in range(k):
        top = below - k + j
        draw = rng.integers(0, top + 1, n)
        taken = (out[:, :j] == draw[:, None]).any(axis=1)
        out[:, j] = np.where(taken, top, draw)
    return rng.permuted(out, axis=1)


# ---- the table --------------------------------------------------------------------------------------------------------------


class ComposedTable(Table):
    """tanh(S C) [n_nodes, d], users first; C is trained, S is renewed once.

    Parameters
    ----------
    rows, weights : S as [n_nodes, t] row numbers in [0, n_rows) and weights ≥ 0, see `metis_assignment`; kept as buffers
    n_rows, dim : c and d
    std : C is drawn from N(0, std²); the authors' code and BACO's have 1
    rescale : whether `renew` makes the weights of a node sum to 1 (ours), or takes the entries as they are (authors)

    Raises `ConfigError` for shapes, row numbers or weights that break a rule above.
    """

    def __init__(
        self,
        rows: np.ndarray,
        weights: np.ndarray,
        n_rows: int,
        dim: int,
        std: float = 1.0,
        *,
        rescale: bool = True,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        rows, weights = np.asarray(rows, np.int64), np.asarray(weights, np.float32)
        if dim < 1 or not std >= 0:
            raise ConfigError(f"a table has {dim} columns and init std {std}, but needs at least 1 and 0")
        if rows.ndim != 2 or rows.size == 0 or rows.shape != weights.shape or not 0 <= rows.min() <= rows.max() < n_rows:
            raise ConfigError(f"rows {rows.shape} and weights {weights.shape} must both be [n, t], with row numbers in [0, {n_rows})")
        if not (np.isfinite(weights).all() and weights.min() >= 0):
            raise ConfigError(f"weights go from {weights.min()} to {weights.max()}, but must be finite and 0 or more")
        self.rescale = rescale
        self.weight = nn.Parameter(torch.randn(n_rows, dim, generator=generator).mul_(std))
        self.register_buffer("rows", torch.from_numpy(rows.copy()))
        self.register_buffer("shares", torch.from_numpy(weights.copy()))
        self.register_load_state_dict_post_hook(_assignment_loaded)
        self._build()

    @property
    def n_parameters(self) -> int:
        """As BACO's code counts indices: d per row and one per index beside a node's first; weights are not counted, `n_bytes` has them."""
        return self.weight.numel() + self.rows[:, 1:].numel()

    def n_bytes(self) -> int:
        """What must be kept: float32 rows, int32 row numbers and float32 weights."""
        return 4 * (self.weight.numel() + self.rows.numel() + self.shares.numel())

    @property
    def assignment(self) -> sp.csr_matrix:
        """S [n_nodes, c] float32; a new object whenever S has changed."""
        return self._matrices[0].matrix

    def forward(self) -> torch.Tensor:
        """[n_nodes, d]"""
        return torch.tanh(FixedProduct.apply(self.weight, *self._matrices))

    @torch.no_grad()
    def renew(self, nodes: torch.Tensor, codebook: torch.Tensor) -> None:
        """S ← the t largest entries per row of `nodes` [n, d] · pinv(`codebook` [c, d]), in float64; see the head of this file."""
        inverse = np.linalg.pinv(codebook.cpu().numpy().astype(np.float64))
        nodes = nodes.cpu().numpy().astype(np.float64)
        rows, shares = self.rows.cpu().numpy().copy(), self.shares.cpu().numpy().copy()
        step = max(_BLOCK // inverse.shape[1], 1)
        for start in range(0, rows.shape[0], step):
            columns, values = _largest(nodes[start : start + step] @ inverse, rows.shape[1])
            values = np.maximum(values, 0)
            found = np.flatnonzero(values.sum(axis=1) > 0)
            if self.rescale:
                values[found] /= values[found].sum(axis=1, keepdims=True)
            rows[start + found], shares[start + found] = columns[found], values[found]
        self.rows.copy_(torch.from_numpy(rows))
        self.shares.copy_(torch.from_numpy(shares))
        self._build()

    def _build(self) -> None:
        rows, shares = self.rows.cpu().numpy(), self.shares.cpu().numpy()
        n, t = rows.shape
        matrix = sp.csr_matrix((shares.ravel(), rows.ravel(), np.arange(0, n * t + 1, t)), shape=(n, self.weight.shape[0]))
        self._matrices = (Fixed(matrix), Fixed(matrix.T.tocsr()))

    def extra_repr(self) -> str:
        sizes = f"{self.rows.shape[0]} nodes, {self.weight.shape[0]} joint rows, dim={self.dim}"
        return f"{sizes}, composition={self.rows.shape[1]}, rescale={self.rescale}"


def _assignment_loaded(table: ComposedTable, _keys: object) -> None:
    table._build()


def _largest(values: np.ndarray, t: int) -> tuple[np.ndarray, np.ndarray]:
    """Columns [n, t] and values [n, t] of the t largest entries per row, by falling value; the lower column first among equals."""
    values, rows, picked = values.copy(), np.arange(values.shape[0]), []
    for _ in range(t):
        column = values.argmax(axis=1)
        picked.append((column, values[rows, column]))
        values[rows, column] = -np.inf
    return tuple(np.stack(part, axis=1) for part in zip(*picked, strict=True))


# ---- the encoder ------------------------------------------------------------------------------------------------------------


class ExtendedGraph(Graph):
    """M of the head of this file: the graph's nodes, then the codebook rows as further nodes, normalised by the root of row sums.

    `n_items` counts the codebook rows too. A node or row without any weight keeps an empty row.
    """

    @classmethod
    def of(cls, graph: Graph, assignment: sp.csr_matrix) -> ExtendedGraph:
        """`assignment`: S [n_nodes, c], entries ≥ 0."""
        block = sp.block_array([[graph.to_scipy(), assignment], [assignment.T, None]], format="csr", dtype=np.float64)
        block.sort_indices()
        degree = np.asarray(block.sum(axis=1)).ravel()
        scale = np.zeros(degree.size)
        np.divide(1.0, np.sqrt(degree), out=scale, where=degree > 0)
        exact = np.repeat(scale, np.diff(block.indptr)) * block.data * scale[block.indices]
        c = assignment.shape[1]
        return cls(block.indptr, block.indices.astype(np.int32), exact.astype(np.float32), graph.n_users, graph.n_items + c, exact=exact)


class ExtendedLightGCN(Encoder):
    """Encoder: LightGCN on `ExtendedGraph`, layers [L+1, R, d] of the nodes alone.

    It reads codebook and assignment from the `ComposedTable` that it is built with, which must be the model's table; before the second
    epoch it has the table's assignment renewed from means over the layers (official code). Raises `ConfigError` for fewer than 1 layer.
    """

    def __init__(self, n_layers: int, table: ComposedTable) -> None:
        super().__init__()
        if n_layers < 1:
            raise ConfigError(f"LEGCF has {n_layers} layers, but needs at least 1, or its codebook takes no part in propagation")
        self.n_layers = n_layers
        self._table = (table,)  # in a tuple, so that its parameters are the model's table's and not the encoder's too
        self._extended: tuple[sp.csr_matrix, Graph, ExtendedGraph] | None = None

    def forward(self, x: torch.Tensor, graph: Graph, rows: torch.Tensor | None = None) -> torch.Tensor:
        """x [n, d], the table. `rows` [R] distinct nodes, as in `propagate`."""
        layers = self._propagated(x, graph, rows)
        return layers if rows is not None else layers[:, : graph.n_nodes]

    def _propagated(self, x: torch.Tensor, graph: Graph, rows: torch.Tensor | None = None) -> torch.Tensor:
        return propagate(torch.cat([x, self._table[0].weight]), self.extended(graph), self.n_layers, rows)

    def extended(self, graph: Graph) -> ExtendedGraph:
        """M for the table's present assignment, built when that has changed."""
        assignment = self._table[0].assignment
        if self._extended is None or self._extended[0] is not assignment or self._extended[1] is not graph:
            self._extended = (assignment, graph, ExtendedGraph.of(graph, assignment))
        return self._extended[2]

    @torch.no_grad()
    def prepare(self, trainer) -> None:
        """Called by `Trainer` at the start of every epoch: renew the assignment when the first epoch is over."""
        graph, table = trainer.model.graph, self._table[0]
        if trainer.model.table is not table:
            raise ConfigError("LEGCF's encoder reads another table than the model's; build it as ExtendedLightGCN(n_layers, model's table)")
        if trainer.epoch == UPDATE_EPOCH:
            table.renew(*self._propagated(table(), graph).mean(dim=0).split([graph.n_nodes, table.weight.shape[0]]))

    def extra_repr(self) -> str:
        return f"{self.n_layers}"


# ---- entry ------------------------------------------------------------------------------------------------------------------

def _legcf(data: Interactions, config: TrainConfig, teacher: Recommender | None) -> Recommender:
    n_rows, generator = sum(rows_of(data, config.options["ratio"])), torch.Generator().manual_seed(config.seed)
    rows, weights = metis_assignment(data, n_rows, seed=config.seed)
    table = ComposedTable(rows, weights, n_rows, config.dim, config.init_std, generator=generator)
    table.asked = config.dim * n_rows
    return on_rows(data, config, table, ExtendedLightGCN(config.n_layers, table))


# rows are only found while training, so there is no `share`
METHODS = (Method("legcf", "LEGCF", "shared rows", "trained", _legcf, SIZE_OPTIONS, marker="3"),)
