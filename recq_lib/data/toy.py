"""The 6×5 toy on which every method is first done by hand: two groups of taste and one item that both like (ours)."""

from __future__ import annotations

import numpy as np

from recq_lib.data.interactions import Interactions

# rows are users, columns items: T = train, ? = test, . = never
_PICTURE = """
T T ? . .
T T T . .
? T T . .
. . T T ?
. . T T T
. . ? ? T
"""


def toy() -> Interactions:
    """Six users and five items: 13 train pairs, 5 test pairs, no validation; name "toy", source "by hand".

    Users 0-2 like items 0 and 1, users 3-5 items 3 and 4, both sides item 2. Train degrees of users are (2, 3, 2, 2, 3, 1), of
    items (2, 3, 4, 2, 2). Users 0, 2 and 3 have one test item, user 5 has two (so that |T| and min(K, |T|) differ at K = 1),
    users 1 and 4 have none.
    """
    cells = np.array([row.split() for row in _PICTURE.strip().splitlines()])
    n_users, n_items = cells.shape
    train, test = np.nonzero(cells == "T"), np.nonzero(cells == "?")
    return Interactions.from_pairs(train, test, n_users=n_users, n_items=n_items, name="toy", source="by hand")
