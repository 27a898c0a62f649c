"""Checks for the exercises of notebook 06."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recq_lib.companion.checks import check, check_close, rejects

_BYTES = "every code takes whole words of 8 bytes for its bits, and 4 bytes for its scaler"


def _node_bytes(codes: int, bits: int) -> int:
    return codes * (8 * -(-bits // 64) + 4)


def check_code_error(function: Callable[[np.ndarray], float] | None) -> None:
    """Exercise 1: `function(v)` is ‖v - α·sign(v)‖²/‖v‖² with α = ‖v‖₁/d, for one vector v [d] that is not all zero."""
    rule = "the error is 1 - cos² of vector and code: 1 - ‖v‖₁²/(d·‖v‖₂²)"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(0)
    for v in (np.array([1.0, 0.0]), np.array([-2.0, 2.0, 2.0]), rng.standard_normal(50), rng.exponential(size=7)):
        with rejects("the function takes one vector and returns one number"):
            found = function(v.copy())
        check_close(found, 1 - np.abs(v).sum() ** 2 / (v.size * np.square(v).sum()), rule, tolerance=1e-9)


def check_node_bytes(function: Callable[[int, int], int] | None) -> None:
    """Exercise 2: `function(codes, bits)` is the bytes of a node with that many codes of that many bits, each with a float32 scaler."""
    check(function is not None, _BYTES, found=function)
    for codes, bits in ((1, 64), (3, 64), (1, 192), (3, 32), (4, 100), (2, 65)):
        with rejects("the function takes the number of codes and the bits of each"):
            found = function(codes, bits)
        check(found == _node_bytes(codes, bits), f"{codes} × {bits} bits: {_BYTES}", found=found)


def check_equal_bytes_width(answer: object, dim: int, n_layers: int) -> None:
    """Exercise 3: the widest single code, in bits, that takes no more bytes than one code of `dim` bits per layer 0…L."""
    rule = f"the most bits that fit in the bytes of {n_layers + 1} codes of {dim} bits; {_BYTES}"
    check(answer is not None, rule, found=answer)
    with rejects("the answer is a whole number of bits"):
        width = int(answer)
    budget = _node_bytes(n_layers + 1, dim)
    check(width == answer and width > 0 and _node_bytes(1, width) <= budget < _node_bytes(1, width + 1), rule, found=answer)
