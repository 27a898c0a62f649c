"""Checks for the exercises of notebook 10."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from recq_lib.companion.checks import check, check_close, rejects


def check_node_bytes(function: Callable[[int, int, int], int] | None) -> None:
    """Exercise 1: `function(d, segments, bits)` is what one node takes: words of 64 columns for every bit and segment, a float32 each."""
    rule = "every segment has bits·⌈d/64⌉ words of 8 bytes, because columns are padded to whole words, and one scale of 4 bytes"
    check(function is not None, rule, found=function)
    for d, segments, bits in ((256, 3, 1), (64, 1, 1), (65, 1, 1), (64, 1, 4), (100, 2, 8)):
        with rejects("the function takes d, segments and bits, and returns one whole number"):
            found = int(function(d, segments, bits))
        words = sum(1 for _ in range(0, d, 64))
        check(found == segments * (8 * bits * words + 4), f"{rule} (d = {d}, {segments} segments, {bits} bits)", found=found)


def check_score(function: Callable[[Sequence[int], Sequence[int], Sequence[float], int], float] | None) -> None:
    """Exercise 2: `function(user, item, factors, d)` is Σ_l f_l·<signs of user, signs of item>, one whole number of d bits a segment."""
    rule = "a segment's product of signs is d − 2·popcount(user XOR item); the score is the sum of factor times product"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(3)
    for d in (8, 61, 256):
        signs = rng.choice([-1, 1], (2, 3, d))  # user and item, three segments
        numbers = [[sum(1 << k for k in range(d) if row[k] > 0) for row in side] for side in signs]
        factors = rng.random(3)
        with rejects("the function takes two lists of whole numbers, a list of factors and d, and returns one number"):
            found = function(*numbers, factors.tolist(), d)
        check_close(found, factors @ (signs[0] * signs[1]).sum(axis=1), f"{rule} (d = {d})", tolerance=1e-9)


def check_candidates(function: Callable[[np.ndarray, np.ndarray, int], int] | None) -> None:
    """Exercise 3: `function(products, factors, k)`: how many candidates, nearest by Hamming distance first, hold the best k by score.

    products [I]: <signs of user, signs of item>, larger is nearer; factors [I] > 0; all items of one distance become candidates together.
    """
    rule = "candidates must hold the best k by factor·product, and all items of one Hamming distance come in together"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(4)
    for n, d, k in ((40, 16, 3), (200, 64, 10), (50, 32, 1)):
        products, factors = 2 * rng.integers(0, d + 1, n) - d, rng.random(n) + 0.5
        best = set(np.argsort(-factors * products)[:k])
        with rejects("the function takes products [I], factors [I] and k, and returns one whole number"):
            found = int(function(products.copy(), factors.copy(), k))
        counts = [int((products >= level).sum()) for level in np.unique(products)[::-1]]
        least = next(count for count in counts if best <= set(np.argsort(-products, kind="stable")[:count]))
        check(found == least, f"{rule} ({n} items, k = {k}: {least})", found=found)
