"""Seeded holdouts. The same set of pairs and the same seed give the same split, in whatever order the pairs come."""

from __future__ import annotations

import numpy as np

from recq_lib.data.holdouts import EIGHTY_TEN_TEN, Fractions, check_fractions, edge_labels, shown, user_labels
from recq_lib.data.interactions import SPLITS, Interactions
from recq_lib.errors import ConfigError, DataError

Pairs = tuple[np.ndarray, np.ndarray]


def merge_train_test(data: Interactions) -> Pairs:
    """All pairs of all splits as (users, items), int64, sorted by user, then item."""
    users, items = (np.concatenate([data.pairs(split)[side] for split in SPLITS]).astype(np.int64) for side in (0, 1))
    order = np.lexsort((items, users))
    return users[order], items[order]


def random_split(
    data: Interactions | Pairs,
    fractions: Fractions = EIGHTY_TEN_TEN,
    seed: int = 0,
    *,
    n_users: int | None = None,
    n_items: int | None = None,
    name: str | None = None,
) -> Interactions:
    """Global random split of the edges into train, val and test (BACO's protocol); all splits of `data` are merged first.

    Train and val get floor(fraction × n) pairs, test the rest. A user may end up without train items.
    Raises `ConfigError` for fractions that are not three numbers ≥ 0 with sum 1 and a positive first one.
    """
    fractions = check_fractions(fractions)
    users, items = _sorted_pairs(data)
    label = edge_labels(users.size, fractions, seed)
    return _build(data, users, items, label, n_users, n_items, name, f"random edge split {shown(fractions)}, seed {seed}")


def per_user_split(
    data: Interactions | Pairs,
    fractions: Fractions = EIGHTY_TEN_TEN,
    seed: int = 0,
    *,
    n_users: int | None = None,
    n_items: int | None = None,
    name: str | None = None,
) -> Interactions:
    """Split each user's items at random into train, val and test; all splits of `data` are merged first.

    A share that is not whole, such as 10 % of 5 items, is rounded up or down by chance, so its expectation is exact also for users
    with few items. Every user keeps at least one train item. Raises as `random_split`.
    """
    fractions = check_fractions(fractions)
    users, items = _sorted_pairs(data)
    label = user_labels(users, fractions, seed)
    return _build(data, users, items, label, n_users, n_items, name, f"per-user split {shown(fractions)}, seed {seed}")


def with_validation(data: Interactions, fraction: float = 0.1, seed: int = 0) -> Interactions:
    """Carve a validation split of `fraction` of each user's train items when there is none; else return `data` itself.

    Every user keeps at least one train item; test is untouched. Raises `ConfigError` unless 0 < fraction < 1, and `DataError` when
    no user has two train items.
    """
    if not 0 < float(fraction) < 1:
        raise ConfigError(f"fraction is {fraction}, but must lie between 0 and 1 (0.1 holds out a tenth of each user's train items)")
    if data.val.nnz:
        return data
    carved = per_user_split(data.pairs("train"), (1 - fraction, fraction, 0.0), seed)
    if carved.val.nnz == 0:
        raise DataError(f"{data.name}: no validation pair could be carved (fraction {fraction}); users with two train items are needed")
    note = f"validation: {fraction:g} of each user's train items, seed {seed}"
    return Interactions.from_pairs(
        carved.pairs("train"), data.pairs("test"), carved.pairs("val"),
        n_users=data.n_users, n_items=data.n_items, name=data.name, source=data.source, notes=_join(data.notes, note),
        user_ids=data.user_ids, item_ids=data.item_ids,
    )


# ---- parts ----------------------------------------------------------------------------------------------------------------


def _sorted_pairs(data: Interactions | Pairs) -> Pairs:
    """Checked and sorted, so that the split depends on the set of pairs only."""
    if isinstance(data, Interactions):
        return merge_train_test(data)
    users, items = Interactions.from_pairs(data, name="pairs to split").pairs("train")
    return users.astype(np.int64), items.astype(np.int64)


def _build(
    data: Interactions | Pairs, users: np.ndarray, items: np.ndarray, label: np.ndarray,
    n_users: int | None, n_items: int | None, name: str | None, note: str,
) -> Interactions:
    known = isinstance(data, Interactions)
    own = {"user_ids": data.user_ids, "item_ids": data.item_ids} if known and n_users is None and n_items is None else {}
    parts = {split: (users[label == code], items[label == code]) for code, split in enumerate(SPLITS)}
    return Interactions.from_pairs(
        **parts,
        n_users=data.n_users if known and n_users is None else n_users,
        n_items=data.n_items if known and n_items is None else n_items,
        name=name or (data.name if known else "unnamed"),
        source=data.source if known else "memory",
        notes=_join(data.notes if known else "", note),
        **own,
    )


def _join(notes: str, note: str) -> str:
    return f"{notes}; {note}" if notes else note
