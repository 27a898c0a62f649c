"""`PropagatedRows`: exact search after propagation without a table of final vectors, from codebook, assignment and graph (ours).

After propagation every node has a vector of its own, z = P·S·E with P = Σ_l a_l Â^l, so items of one codebook row no longer tie, and no
score is shared (`codes.shared` is for models without propagation). But P is linear and symmetric, so a user's scores with all items are

    y = P S E q,   q = z_u = Eᵀ Sᵀ P δ_u

from right to left: numbers per node spread over the graph L times for q and L times for y, one column a user, never a vector per node. The
graph is bipartite, so every step goes one way, from users to items or back, and reads each interaction once: L·|E| additions a user for y
(q's first two steps meet the user's surroundings alone), where a table takes I·d. For about as many users as the table has columns, or
more, it takes less work to propagate these, once, and to drop the vectors after the answer. `benchmarks/README.md` has times and bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import scipy.sparse as sp

from recq_lib.errors import ConfigError
from recq_lib.evaluation.scorers import scores_of
from recq_lib.graph.adjacency import Graph
from recq_lib.kernels import topk
from recq_lib.kernels.neighbour_sums import neighbour_sums, spread_unit
from recq_lib.kernels.propagation import balanced_chunks

_COLUMNS = 16  # users answered at once: numbers of a node in one cache line
_MANY = 0.75  # users per column of the table from which on propagating the table is faster (measured on Gowalla and ML-1M: 47/64, 46/64)


class PropagatedRows:
    """A scorer for `evaluate`, `search` and `recommend`.

    Parameters
    ----------
    graph : training graph; its structure is shared, not copied, its values are not kept
    shares : S [n, K] sparse, from `Table.sharing_matrix`
    weight : E [K, d]
    pooling : a [L+1], from `Readout.pooling`
    user_ids, item_ids : own ids, or None

    Scores are those of `model.embeddings()`, up to the rounding of float32 sums in another order.
    Raises `ConfigError` for parts that do not fit together.
    """

    def __init__(
        self,
        graph: Graph,
        shares: sp.csr_matrix,
        weight: np.ndarray,
        pooling: Sequence[float],
        *,
        user_ids: np.ndarray | None = None,
        item_ids: np.ndarray | None = None,
    ) -> None:
        if shares.shape != (graph.n_nodes, weight.shape[0]):
            raise ConfigError(f"shares have shape {shares.shape}, but must be [nodes, rows] = {(graph.n_nodes, weight.shape[0])}")
        self.n_users, self.n_items, self.user_ids, self.item_ids = graph.n_users, graph.n_items, user_ids, item_ids
        self.weight, self.pooling = np.ascontiguousarray(weight, np.float32), np.asarray(pooling, np.float32)
        self.shares = shares.astype(np.float32)
        self.indptr, self.indices = graph.indptr, graph.indices
        degree = np.diff(graph.indptr)
        self.scale = (1 / np.sqrt(np.maximum(degree, 1))).astype(np.float32)
        chunks = balanced_chunks(self.indptr)
        self._chunks = [  # of either side: what it spreads to
            np.unique(np.concatenate([[begin], chunks[(chunks > begin) & (chunks < end)], [end]]))
            for begin, end in ((0, self.n_users), (self.n_users, graph.n_nodes))
        ]

    @property
    def n_layers(self) -> int:
        """L"""
        return self.pooling.size - 1

    def n_bytes(self) -> dict[str, int]:
        """Bytes resident: codebook, assignment, graph (both directions, no values; it is also what users have already)."""
        shares = self.shares
        return {
            "codebook": self.weight.nbytes,
            "assignment": shares.data.nbytes + shares.indices.nbytes + shares.indptr.nbytes,
            "graph": self.indptr.nbytes + self.indices.nbytes + self.scale.nbytes,
        }

    def interactions(self) -> sp.csr_matrix:
        """The training interactions [users, items]: what `recommend` leaves out."""
        indptr = self.indptr[: self.n_users + 1]
        items = self.indices[: indptr[-1]] - self.n_users
        return sp.csr_matrix((np.ones(items.size, np.float32), items, indptr), shape=(self.n_users, self.n_items))

    # ---- search ------------------------------------------------------------------------------------------------------------

    def best(self, users: np.ndarray, k: int, masks: Sequence, tie_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """As `kernels.topk.best`; many users take the memory of a table of final vectors while they are answered."""
        if users.size >= _MANY * self.weight.shape[1]:
            return scores_of(self.embeddings()).best(users, k, masks, tie_seed)
        return topk.best(self._tiles, users, k, masks, self.n_items, tie_seed, block=_COLUMNS)

    def scores(self, users: np.ndarray) -> np.ndarray:
        """y [b, I], float32, by numbers per node: of a few users."""
        n, items = self.n_users, slice(self.n_users, None)
        own = (self.weight.T @ (self.shares.T @ self._of_unit(users))).T  # q [b, d]
        field = self.shares @ (self.weight @ own.T)  # [n, b]
        total = self.pooling[-1] * field
        for layer in range(self.n_layers - 1, -1, -1):  # Horner; layer 0 is wanted at items, so layer 1 at users, …
            side = 1 - layer % 2
            nodes = items if side else slice(n)
            total[nodes] = self._spread(total, side)[nodes] + self.pooling[layer] * field[nodes]
        return np.ascontiguousarray(total[items].T)

    def embeddings(self) -> tuple[np.ndarray, np.ndarray]:
        """(users [U, d], items [I, d]): the final vectors, computed anew by every call. As `Recommender.embeddings`, but arrays."""
        layer = np.ascontiguousarray(self.shares @ self.weight)
        total = self.pooling[0] * layer
        for weight in self.pooling[1:]:
            spread = self._spread(layer, 0)
            layer = self._spread(layer, 1, spread)
            total += weight * layer
        return total[: self.n_users], total[self.n_users :]

    def _tiles(self, users: np.ndarray) -> Iterator[np.ndarray]:
        yield self.scores(users)

    def _of_unit(self, users: np.ndarray) -> np.ndarray:
        """P δ_u [n, b]: the first two layers from the users outwards, which for most of them meets little of the graph."""
        n, total = self.n_users, np.zeros((self.indptr.size - 1, users.size), np.float32)
        if self.n_layers:
            once = np.zeros_like(total)
            layer = np.zeros_like(total) if self.n_layers > 1 else np.empty((0, users.size), np.float32)
            spread_unit(self.indptr, self.indices, self.scale, users, once, layer)
            total[n:] = self.pooling[1] * once[n:]
            total[:n] = self.pooling[2] * layer[:n] if self.n_layers > 1 else 0
            for place in range(3, self.n_layers + 1):
                side = place % 2
                nodes = slice(n, None) if side else slice(n)
                layer = self._spread(layer, side)
                total[nodes] += self.pooling[place] * layer[nodes]
        total[users, np.arange(users.size)] += self.pooling[0]
        return total

    def _spread(self, x: np.ndarray, side: int, out: np.ndarray | None = None) -> np.ndarray:
        """Â x at the users (side 0) or the items (1); other rows of the result hold anything."""
        out = np.empty_like(x) if out is None else out
        rows, others = slice(self.n_users), slice(self.n_users, None)
        rows, others = (others, rows) if side else (rows, others)
        scaled = np.empty_like(x)
        np.multiply(self.scale[others, None], x[others], out=scaled[others])
        neighbour_sums(self.indptr, self.indices, self._chunks[side], scaled, out)
        out[rows] *= self.scale[rows, None]
        return out
