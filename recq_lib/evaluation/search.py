"""`search`: the best items of a few users, with their scores, from a model, vectors or codes."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike

from recq_lib.codes.search import checked_request, lists_of
from recq_lib.errors import whole
from recq_lib.evaluation.scorers import Scorer, scores_of


def search(
    scorer: Scorer, users: ArrayLike, k: int = 20, exclude: sp.csr_matrix | None = None, *, n_items: int | None = None, tie_seed: int = 0
) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The `k` items of highest score for each user: item numbers (int32) and scores (float32), one array per user each, best first.

    Parameters
    ----------
    scorer : as in `evaluate`: a model, a pair of vectors (users [U, D], items [I, D]), `Codes`, or a `BlockScorer`
    users : [B] user numbers
    k : at least 1; a user for whom fewer items are left gets fewer
    exclude : CSR matrix [users, items]; what is stored in a user's row is not returned to that user
    n_items : size of the catalogue, for a scorer of your own that does not tell it; its users are then those of `exclude`
    tie_seed : among equal scores the item that comes first in a permutation with this seed wins

    Raises `ConfigError` for unknown users, a k below 1, an `exclude` of another shape, and vectors as in `evaluate`.

    >>> import numpy as np, scipy.sparse as sp
    >>> import recq_lib as recq
    >>> users, items = np.array([[1.0, 0.0], [0.0, 2.0]]), np.array([[3.0, 1.0], [1.0, 4.0], [2.0, -1.0]])
    >>> ids, scores = recq.search((users, items), [0, 1], k=2)
    >>> [found.tolist() for found in ids], [found.tolist() for found in scores]
    ([[0, 2], [1, 0]], [[3.0, 2.0], [8.0, 2.0]])
    >>> seen = sp.csr_matrix(np.array([[1, 1, 0], [0, 1, 0]]))
    >>> [found.tolist() for found in recq.search((users, items), [0, 1], k=2, exclude=seen)[0]]  # one is left for user 0
    [[2], [0, 2]]
    """
    scores = scores_of(scorer, n_items)
    n_users, n_items = scores.sizes(None, n_items, "n_items says")
    numbers, k, masks = checked_request(users, k, () if exclude is None else (exclude,), n_users, n_items)
    return lists_of(*scores.best(numbers, k, masks, whole("tie_seed", tie_seed, 0)))
