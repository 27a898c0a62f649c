"""`recommend`: items for users, in the ids that the data came with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike

from recq_lib.data.ids import look_up
from recq_lib.evaluation.search import search
from recq_lib.parts.model import Recommender


def recommend(
    model: Recommender, users: ArrayLike | None = None, k: int = 10, *, exclude: sp.csr_matrix | None = None, seen: bool = False
) -> pd.DataFrame:
    """The best `k` items for each user: a table with the columns user, rank (from 1), item, score.

    Parameters
    ----------
    model : trained, or read by `Recommender.load`; it knows the training interactions and the own ids of its data
    users : own ids (numbers where the data had none); all users without it
    k : items per user, at least 1; a user for whom fewer are left has fewer rows
    exclude : further interactions [users, items] by number that are not recommended again, such as `data.val`
    seen : recommend also what a user has in the training interactions

    Raises `DataError` for an unknown user, `ConfigError` for a k below 1 or an `exclude` of another shape.

    >>> import pandas as pd
    >>> import recq_lib as recq
    >>> events = pd.DataFrame({"who": ["ann", "ann", "bob", "bob", "cid"], "what": ["tea", "rye", "tea", "oil", "oil"]})
    >>> data = recq.Interactions.from_pandas(events, user="who", item="what", fractions=(1.0, 0.0, 0.0))
    >>> model = recq.build("mf", data, recq.TrainConfig(dim=4))
    >>> table = recq.recommend(model, ["ann"], k=5)
    >>> table[["user", "rank", "item"]].values.tolist()  # tea and rye are known to ann, so one item is left
    [['ann', 1, 'oil']]
    >>> len(recq.recommend(model, k=2, seen=True))  # two items for each of three users
    6
    """
    numbers = np.arange(model.n_users) if users is None else look_up(users, _index(model), "user", "the model's data")
    known = None if seen else model.graph.interactions()
    if exclude is not None:
        known = exclude.tocsr() if known is None else (known + exclude.tocsr())
    items, scores = search(model, numbers, k, known)
    counts = [found.size for found in items]
    found = np.concatenate(items) if items else np.empty(0, np.int32)
    return pd.DataFrame(
        {
            "user": np.repeat(_own(model.user_ids, numbers), counts),
            "rank": np.concatenate([np.arange(1, n + 1) for n in counts]) if counts else np.empty(0, np.int64),
            "item": _own(model.item_ids, found),
            "score": np.concatenate(scores) if scores else np.empty(0, np.float32),
        }
    )


def _index(model: Recommender) -> pd.Index | int:
    return model.n_users if model.user_ids is None else pd.Index(model.user_ids, dtype=model.user_ids.dtype)


def _own(ids: np.ndarray | None, numbers: np.ndarray) -> np.ndarray:
    return numbers if ids is None else ids[numbers]
