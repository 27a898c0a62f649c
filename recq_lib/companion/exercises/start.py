"""Checks for the exercises of notebook 00."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np

from recq_lib.companion.checks import check, check_close, rejects
from recq_lib.data.interactions import Interactions


def check_code_ratio(function: Callable[[int, int], float] | None) -> None:
    """Exercise 1: `function(d, b)` is how many times smaller a b-bit code with one float32 scale is than d float32 numbers."""
    rule = "32·d bits against b·d bits and 32 bits for the scale"
    check(function is not None, rule, found=function)
    cases = [(64, 1), (64, 4), (256, 1), (256, 8), (8, 2)]
    with rejects("the function takes the width d and the bits b"):
        found = [function(d, b) for d, b in cases]
    check_close(found, [4 * d / (b * d / 8 + 4) for d, b in cases], rule, tolerance=1e-9)


def check_most_popular(answer: Mapping[int, int] | None, data: Interactions) -> None:
    """Exercise 2: `answer[u]` is the most popular item user u has not trained on; among equals the smallest id."""
    rule = "for each user the item with most train interactions that is not in the user's train items, smallest id among equals"
    check(answer is not None, rule, found=answer)
    with rejects("the answer maps every user id to one item id"):
        found = [int(answer[user]) for user in range(data.n_users)]
    known = data.train.toarray() > 0
    counts = known.sum(axis=0).astype(np.float64)
    expected = [int(np.argmax(np.where(known[user], -1.0, counts))) for user in range(data.n_users)]
    check_close(found, expected, rule)
