"""`recommend`: items for users, in the ids that the data came with."""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike

from recq_lib.codes.search import checked_request, lists_of
from recq_lib.data.ids import look_up
from recq_lib.errors import ConfigError
from recq_lib.evaluation.scorers import Scorer, scores_of


def recommend(
    model: Scorer, users: ArrayLike | None = None, k: int = 10, *, exclude: sp.csr_matrix | None = None, seen: bool = False
) -> pd.DataFrame:
    """The best `k` items for each user: a table with the columns user, rank (from 1), item, score.

    Parameters
    ----------
    model : what `build`, `Recommender.load` or `Index.load` gives; it knows the training interactions and the own ids of its data. Any
        other scorer that `evaluate` takes will do: its `user_ids` and `item_ids` are used where it has them, and what is known comes by
        `exclude`
    users : own ids (numbers where the data had none); all users without it
    k : items per user, at least 1; a user for whom fewer are left has fewer rows
    exclude : further interactions [users, items] by number that are not recommended again, such as `data.val`
    seen : recommend also what a user has in the training interactions

    Raises `DataError` for an unknown user, `ConfigError` for a k below 1, an `exclude` of another shape or no sparse matrix, and a scorer
    that does not tell its sizes or, without `exclude` and `seen`, the training interactions.

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
    scores = scores_of(model)
    if scores.n_users is None or scores.n_items is None:
        raise ConfigError(f"{scores.name} does not tell its users and items; give it n_users and n_items, or user_ids and item_ids")
    user_ids, item_ids = _ids(model, "user", scores.n_users), _ids(model, "item", scores.n_items)
    if users is None:
        numbers = np.arange(scores.n_users)
    else:
        numbers = look_up(users, scores.n_users if user_ids is None else _index(model, user_ids), "user", "the model's data")
    known = None if seen else _known(model, scores.name, exclude)
    left_out = [matrix for matrix in (known, exclude) if matrix is not None]
    numbers, k, masks = checked_request(numbers, k, left_out, scores.n_users, scores.n_items)
    items, values = lists_of(*scores.best(numbers, k, masks, getattr(model, "tie_seed", 0)))  # an index has an order of ties of its own
    counts = [found.size for found in items]
    found = np.concatenate(items) if items else np.empty(0, np.int32)
    return pd.DataFrame(
        {
            "user": np.repeat(numbers if user_ids is None else user_ids[numbers], counts),
            "rank": np.concatenate([np.arange(1, n + 1) for n in counts]) if counts else np.empty(0, np.int64),
            "item": found if item_ids is None else item_ids[found],
            "score": np.concatenate(values) if values else np.empty(0, np.float32),
        }
    )


def _known(model: Scorer, name: str, exclude: sp.csr_matrix | None) -> sp.csr_matrix | None:
    """The training interactions; None where only `exclude` says what is known."""
    if hasattr(model, "interactions") and getattr(model, "seen", True) is not None:  # an index may hold none
        return model.interactions()
    if exclude is None:
        raise ConfigError(f"{name} does not tell what its users have already; pass exclude, e.g. data.train, or seen=True")
    return None


def _ids(model: Scorer, side: str, size: int) -> np.ndarray | None:
    """Own ids [size] of one side, or None where numbers are the ids."""
    ids = getattr(model, f"{side}_ids", None)
    if ids is not None and len(ids) != size:
        raise ConfigError(f"{side}_ids are {len(ids)}, but the scorer has {size} {side}s; give it one id for each")
    return None if ids is None else np.asarray(ids)


def _index(model: Scorer, ids: np.ndarray) -> pd.Index:
    """The index of own ids, kept on the model: to build it takes longer than to answer a few users."""
    kept = getattr(model, "__dict__", {})
    if "_user_index" not in kept or kept["_user_index"][0] is not ids:
        kept["_user_index"] = (ids, pd.Index(ids, dtype=ids.dtype))
    return kept["_user_index"][1]
