"""Full ranking over the catalogue, in blocks, with known items masked; metrics per user and their means.

Ties are broken by a seeded permutation of the items (`kernels.topk.tie_order`): among equal scores the item that comes first in it wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp

from recq_lib.codes.search import masks_of, user_numbers
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, whole
from recq_lib.evaluation import metrics
from recq_lib.evaluation.ranking_device import rank_on_device
from recq_lib.evaluation.scorers import Scorer, Scores, check_vectors, scores_of
from recq_lib.kernels import topk

_USERS = 1024  # whose items are looked up at once


@dataclass(frozen=True)
class Evaluation:
    """Result of `evaluate`.

    Attributes
    ----------
    values : metric name such as "recall@20" → mean over users, a fraction
    users : [n] int32, users with at least one relevant item
    n_relevant : [n] int32
    top : [n, Kmax] int32 item ids, best first, -1 where the catalogue was exhausted
    hits : [n, Kmax] bool
    """

    values: dict[str, float]
    users: np.ndarray
    n_relevant: np.ndarray
    top: np.ndarray
    hits: np.ndarray

    def per_user(self, metric: str) -> np.ndarray:
        """Values of e.g. "recall@20" for each of `users`."""
        name, _, k = metric.partition("@")
        if name not in metrics.NAMES or not k.isdigit():
            raise ConfigError(f"metric is {metric!r}, but must be one of {', '.join(metrics.NAMES)} followed by @K")
        return metrics.per_user(self.hits, self.n_relevant, int(k))[name]

    def hit_counts(self, ks: Sequence[int]) -> dict[str, np.ndarray]:
        """Arrays a record keeps: user ids, |T| and hits@K."""
        counts = {f"hits@{k}": self.hits[:, :k].sum(axis=1).astype(np.int32) for k in ks}
        return {"users": self.users, "n_test": self.n_relevant, **counts}


def evaluate(
    scorer: Scorer,
    data: Interactions,
    *,
    ks: Sequence[int] = (20,),
    split: str = "test",
    mask: Sequence[str] = ("train", "val"),
    tie_seed: int = 0,
) -> Evaluation:
    """Rank all items for every user with an interaction in `split`.

    Parameters
    ----------
    scorer : a model, a pair of vectors (users [U, D], items [I, D]; torch or numpy), `Codes`, or a `BlockScorer`
    ks : cutoffs; Kmax = max(ks) also defines `ndcg_authors`
    mask : splits whose items are never recommended to their users (BACO masks train only when it validates)
    tie_seed : of the order of items that decides between equal scores

    Raises `ConfigError` for cut-offs outside the catalogue, an empty split, a scorer of other sizes than the data, and vectors of
    other shapes, not finite, or so large that scores exceed float32.

    >>> import recq_lib as recq
    >>> data = recq.load("synthetic-tiny")
    >>> result = recq.evaluate(recq.build("mostpop", data), data, ks=(5, 20))
    >>> sorted(result.values)[:2], 0 < result.values["recall@20"] < 1
    (['coverage@20', 'coverage@5'], True)
    >>> result.per_user("recall@20").shape == result.users.shape  # one value per user with test items
    True
    """
    if not isinstance(data, Interactions):
        kind = type(data).__name__
        raise ConfigError(f"data is of type {kind}, but must be Interactions; the scorer comes first: evaluate(scorer, data)")
    ks, scores = _check_cutoffs(ks, data.n_items), scores_of(scorer, data.n_items)
    if scores.vectors is not None:
        check_vectors(*scores.vectors)  # of users that are not ranked too
    scores.sizes(data.n_users, data.n_items, f"{data.name} has")
    relevant = data.split(split)
    counts = np.diff(relevant.indptr)
    users = np.flatnonzero(counts).astype(np.int32)
    if users.size == 0:
        raise ConfigError(f"{data.name}: split {split!r} is empty; choose another split or carve one with data.splits.with_validation")
    masks = [data.split(name) for name in mask if name != split and data.split(name).nnz]
    top = _ranked(scores, users, data.n_items, max(ks), masks, tie_seed)
    hits = _contains(relevant, users, top)
    n_relevant = counts[users].astype(np.int32)
    values: dict[str, float] = {}
    for k in ks:
        values.update({f"{name}@{k}": float(array.mean()) for name, array in metrics.per_user(hits, n_relevant, k).items()})
        values[f"coverage@{k}"] = metrics.coverage(top[:, :k], data.n_items)
    return Evaluation(values, users, n_relevant, top, hits)


def rank(scorer: Scorer, users: np.ndarray, n_items: int, k: int, masks: Sequence, *, tie_seed: int = 0) -> np.ndarray:
    """Item ids [len(users), k] (int32), best first, items in any of the CSR `masks` left out; `scorer` as in `evaluate`.

    Raises `ConfigError` for a catalogue that is not the scorer's, unknown users, a k below 1, and masks of another shape.
    """
    scores = scores_of(scorer, n_items)
    n_users, n_items = scores.sizes(None, n_items, "the catalogue to rank has")
    n_users, masks = masks_of(masks, n_users, n_items)
    return _ranked(scores, user_numbers(users, n_users), n_items, whole("k", k, 1), masks, tie_seed)


def _ranked(scores: Scores, users: np.ndarray, n_items: int, k: int, masks: Sequence, tie_seed: int) -> np.ndarray:
    tie_seed = whole("tie_seed", tie_seed, 0)
    if scores.vectors is not None and scores.vectors[0].device.type != "cpu":
        check_vectors(*scores.vectors)
        return rank_on_device(*scores.vectors, users, k, masks, topk.tie_order(n_items, tie_seed))
    return scores.best(users, k, masks, tie_seed)[0]


def _contains(matrix: sp.csr_matrix, users: np.ndarray, items: np.ndarray) -> np.ndarray:
    """bool [n, K]: is `items[r, k]` (-1 never is) in row `users[r]` of the binary CSR `matrix`?"""
    width = np.int64(matrix.shape[1] + 1)
    rows = np.repeat(np.arange(matrix.shape[0], dtype=np.int64), np.diff(matrix.indptr))
    known = rows * width + matrix.indices  # sorted, because CSR rows and their indices are
    found = np.empty(items.shape, bool)
    for begin in range(0, len(users), _USERS):  # numbers of 64 bits take several times the memory of the lists
        part = slice(begin, begin + _USERS)
        wanted = np.where(items[part] >= 0, users[part].astype(np.int64)[:, None] * width + items[part], -1)
        found[part] = known[np.minimum(np.searchsorted(known, wanted), known.size - 1)] == wanted
    return found


def _check_cutoffs(ks: Sequence[int], n_items: int) -> tuple[int, ...]:
    if isinstance(ks, str) or not isinstance(ks, Iterable):
        raise ConfigError(f"ks is {ks!r}, but must be a list of cutoffs, such as (20,)")
    ks = tuple(sorted({whole("K", k, 1, n_items) for k in ks}))
    if not ks:
        raise ConfigError("ks is empty; give at least one cutoff, such as (20,)")
    return ks
