"""Checks for the exercises of notebook 03."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recq_lib.codes.codes import Codes
from recq_lib.companion.checks import check, check_close, rejects


def check_bitwise_score(answer: object, codes: Codes, user: int, item: int) -> None:
    """Exercise 1: `answer` is the score of `user` and `item` (item ids from 0), from words and factors w_l·α^(l)."""
    rule = "score = Σ_l s_u^(l)·s_i^(l)·(d - 2·popcount(b_u^(l) XOR b_i^(l)))"
    check(answer is not None, rule, found=answer)
    with rejects("the answer is one number"):
        found = float(answer)  # type: ignore[arg-type]
    z = codes.vectors().astype(np.float64)
    check_close(found, z[user] @ z[codes.n_users + item], rule, tolerance=1e-4)


def check_scaler(function: Callable[[np.ndarray], np.ndarray] | None) -> None:
    """Exercise 2: `function(v)` gives for each row of v [n, d] the scaler s that makes ‖v - s·sign(v)‖² smallest, [n]."""
    rule = "no other scaler may have a smaller error ‖v - s·sign(v)‖²"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(3)
    vectors = rng.standard_normal((6, 16)) * rng.uniform(0.01, 3, size=(6, 1))
    with rejects("the function takes v [n, d] and returns one number per row"):
        found = np.asarray(function(vectors.copy()), dtype=np.float64)
    check(found.shape == (6,), "one number per row of v", found=found.shape)
    signs = np.where(vectors >= 0, 1.0, -1.0)

    def error(scaler: np.ndarray) -> np.ndarray:
        return ((vectors - scaler[:, None] * signs) ** 2).sum(axis=1)

    size = np.sqrt((vectors**2).mean(axis=1))
    for step in (0.5, 0.1, 0.01, 0.001):
        for sign in (-1, 1):
            other = found + sign * step * size
            worse = error(found) <= error(other) + 1e-12
            row = int(np.argmin(worse))
            check(worse.all(), f"{rule}; on row {row} the scaler {other[row]:.4f} has one", found=float(found[row]))


def check_stored_bytes(function: Callable[[int, int, int], int] | None) -> None:
    """Exercise 3: `function(n, d, n_layers)` is the bytes of all codes and float32 scalers; d bits take whole words of 64."""
    rule = "every node and layer 0…L needs ⌈d/64⌉ words of 8 bytes and a scaler of 4"
    check(function is not None, rule, found=function)
    cases = [(9_992, 256, 2), (1_000, 64, 2), (1_000, 32, 2), (7, 65, 3), (1, 512, 0)]
    with rejects("the function takes the number of nodes, d and L"):
        found = [function(*case) for case in cases]
    expected = []
    for n, dim, n_layers in cases:
        values = np.zeros((n_layers + 1, 1, dim), np.float32)
        expected.append(n * Codes.from_signs(values, np.zeros((n_layers + 1, 1)), n_users=1).n_bytes())
    check_close(found, expected, rule, tolerance=0.5)
