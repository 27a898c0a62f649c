"""Simple baselines without gradient training: a table without them says little about a graph model.

Each is a `BlockScorer`: `score_block(users)` → float32 [b, n_items]. All use the training split only.
"""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from scipy.sparse.linalg import svds

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.parts.method import Method


class ClosedForm:
    """What the scorers here have in common.

    n_users, n_items : sizes of the data
    user_ids [U], item_ids [I] : own ids of the data, or None where numbers are the ids
    """

    def __init__(self, data: Interactions) -> None:
        self._train = data.train
        self.n_users, self.n_items = data.n_users, data.n_items
        self.user_ids, self.item_ids = data.user_ids, data.item_ids

    def interactions(self) -> sp.csr_matrix:
        """The training interactions [n_users, n_items]."""
        return self._train


class MostPop(ClosedForm):
    """Score of an item: its number of training interactions."""

    def __init__(self, data: Interactions) -> None:
        super().__init__(data)
        self._popularity = np.bincount(data.train.indices, minlength=data.n_items).astype(np.float32)

    def score_block(self, users: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self._popularity, (users.size, self._popularity.size))

    def n_bytes(self) -> dict[str, int]:
        return {"parameters": 0, "stored": self._popularity.nbytes}


class ItemKNN(ClosedForm):
    """Sum of shrunk cosine similarities to the user's items, `neighbours` kept per item (Sarwar et al., WWW 2001).

    sim(i, j) = n_ij / (√(n_i·n_j) + shrink)
    """

    def __init__(self, data: Interactions, neighbours: int = 100, shrink: float = 10.0, block: int = 1024) -> None:
        if neighbours < 1:
            raise ConfigError(f"neighbours is {neighbours}, but must be at least 1")
        super().__init__(data)
        norms = np.sqrt(np.bincount(data.train.indices, minlength=data.n_items).astype(np.float64))
        transposed = data.train.T.tocsr()
        rows = [self._nearest(transposed, data.train, norms, start, block, neighbours, shrink) for start in range(0, data.n_items, block)]
        self._similarity = sp.vstack(rows).T.tocsr().astype(np.float32)  # column i: the neighbours of i

    @staticmethod
    def _nearest(transposed, train, norms, start, block, neighbours, shrink) -> sp.csr_matrix:
        counts = (transposed[start : start + block] @ train).tocsr().astype(np.float64)
        row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        counts.data /= norms[start + row] * norms[counts.indices] + shrink
        counts.data[counts.indices == start + row] = 0.0
        order = np.lexsort((counts.indices, -counts.data, row))  # by row, then falling similarity, then id
        rank = np.arange(order.size) - counts.indptr[row[order]]
        keep = order[(rank < neighbours) & (counts.data[order] > 0)]
        return sp.csr_matrix((counts.data[keep], (row[keep], counts.indices[keep])), shape=counts.shape)

    def score_block(self, users: np.ndarray) -> np.ndarray:
        return (self._train[users] @ self._similarity).toarray()

    def n_bytes(self) -> dict[str, int]:
        return {"parameters": 0, "stored": self._similarity.data.nbytes + self._similarity.indices.nbytes + self._similarity.indptr.nbytes}


class EASE(ClosedForm):
    """EASE^R (Steck, WWW 2019): ridge regression of items on items with zero diagonal, in closed form.

    P = (XᵀX + λI)⁻¹, B = I - P·diag(1/P_jj); score = x_u B. Needs items² float64 three times while solving.
    """

    def __init__(self, data: Interactions, l2: float = 200.0, memory_limit_gb: float = 8.0) -> None:
        if not l2 > 0:
            raise ConfigError(f"EASE's l2 is {l2}, but must be positive")
        needed = 3 * 8 * data.n_items**2 / 1e9
        if needed > memory_limit_gb:
            raise ConfigError(
                f"EASE on {data.name} needs about {needed:.0f} GB for {data.n_items}² numbers, the limit is {memory_limit_gb:.0f} GB; "
                "raise memory_limit_gb or use GF-CF"
            )
        gram = np.asarray((data.train.T @ data.train).todense(), dtype=np.float64)
        gram[np.diag_indices_from(gram)] += l2
        inverse = np.linalg.inv(gram)
        weights = inverse / -np.diag(inverse)
        weights[np.diag_indices_from(weights)] = 0.0
        super().__init__(data)
        self._weights = weights.astype(np.float32)

    def score_block(self, users: np.ndarray) -> np.ndarray:
        return np.asarray(self._train[users] @ self._weights)

    def n_bytes(self) -> dict[str, int]:
        return {"parameters": self._weights.nbytes, "stored": self._weights.nbytes}


class GFCF(ClosedForm):
    """GF-CF (Shen et al., CIKM 2021): a linear graph filter plus an ideal low-pass filter, in closed form.

    R̃ = D_U^-1/2 R D_I^-1/2;  score = r_u (R̃ᵀR̃ + α·D_I^-1/2 V_k V_kᵀ D_I^1/2), V_k the top-k right singular vectors of R̃.
    """

    def __init__(self, data: Interactions, n_factors: int = 256, alpha: float = 0.3, seed: int = 0) -> None:
        users, items = data.train.shape
        n_factors = min(n_factors, min(users, items) - 1)
        if n_factors < 1:
            raise ConfigError(f"GF-CF needs at least 2 users and 2 items, {data.name} has {users} and {items}")
        user_scale, item_scale = (_inverse_sqrt(np.asarray(data.train.sum(axis=axis)).ravel()) for axis in (1, 0))
        normalised = (sp.diags(user_scale) @ data.train @ sp.diags(item_scale)).tocsr().astype(np.float64)
        start = np.random.default_rng(seed).standard_normal(min(normalised.shape))
        _, _, right = svds(normalised, k=n_factors, v0=start)
        super().__init__(data)
        self._normalised = normalised.astype(np.float32)
        self._low_in = (item_scale[:, None] * right.T).astype(np.float32)  # [I, k]
        back = np.divide(1.0, item_scale, out=np.zeros_like(item_scale), where=item_scale > 0)
        self._low_out = (alpha * right * back).astype(np.float32)  # [k, I]

    def score_block(self, users: np.ndarray) -> np.ndarray:
        history = self._train[users]
        linear = (history @ self._normalised.T) @ self._normalised
        return linear.toarray() + np.asarray(history @ self._low_in) @ self._low_out

    def n_bytes(self) -> dict[str, int]:
        stored = self._low_in.nbytes + self._low_out.nbytes + self._normalised.data.nbytes + self._normalised.indices.nbytes
        return {"parameters": 0, "stored": stored}


def _inverse_sqrt(degree: np.ndarray) -> np.ndarray:
    degree = degree.astype(np.float64)
    return np.divide(1.0, np.sqrt(degree), out=np.zeros_like(degree), where=degree > 0)


# ---- entries ----------------------------------------------------------------------------------------------------------------

METHODS = (
    Method("mostpop", "MostPop", "simple", "closed_form", lambda data, config, teacher: MostPop(data), marker="o"),
    Method("itemknn", "ItemKNN", "simple", "closed_form", lambda data, config, teacher: ItemKNN(data), marker="s"),
    Method("ease", "EASE^R", "simple", "closed_form", lambda data, config, teacher: EASE(data), marker="^"),
    Method("gfcf", "GF-CF", "simple", "closed_form", lambda data, config, teacher: GFCF(data), marker="D", colour="sky"),
)
