"""Checks for the exercises of notebook 04."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch.nn.functional import softplus

from recq_lib.companion.checks import check, check_close, rejects


def check_score(answer: object, user: Sequence[float], item: Sequence[float], bits: int, beta: float) -> None:
    """Exercise 1: `answer` is <c_u, c_i> of two vectors under one clip range β."""
    top = 2**bits - 1
    levels = np.arange(-top, top + 1, 2)
    rule = f"each code is the level among {levels.tolist()} nearest to {top}·x/β, and the score is the sum of the products of codes"
    check(answer is not None, rule, found=answer)
    with rejects("the answer is one whole number"):
        found = float(answer)  # type: ignore[arg-type]
    codes = [levels[np.abs(top * np.asarray(x)[:, None] / beta - levels).argmin(axis=1)] for x in (user, item)]
    check_close(found, codes[0] @ codes[1], rule)


def check_item_scores(function: Callable[[np.ndarray, np.ndarray, int], np.ndarray] | None) -> None:
    """Exercise 2: `function(q_user, q_items, bits)` gives [n] integers that differ from <c_u, c_i> by one number for all items.

    q_user [d], q_items [n, d]: unsigned codes in {0, …, L}
    """
    rule = "items must be ranked as by <c_u, c_i>: your numbers may differ from it by a constant only, the same for all items"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(5)
    for bits in (1, 2, 4):
        top = 2**bits - 1
        q_user, q_items = rng.integers(0, top + 1, 9), rng.integers(0, top + 1, (20, 9))
        with rejects("the function takes q_user [d], q_items [n, d] and bits, and returns one number per item"):
            found = np.asarray(function(q_user.copy(), q_items.copy(), bits), dtype=np.float64)
        check(found.shape == (20,), "one number per item", found=found.shape)
        expected = (2 * q_items - top) @ (2 * q_user - top)
        check(np.ptp(found - expected) < 1e-9, f"{rule} (b = {bits})", found=found.tolist())


def check_bce_trace(function: Callable[[torch.Tensor, torch.Tensor, torch.Tensor], object] | None) -> None:
    """Exercise 3: `function(q_user, q_positive, q_negative)` is the Hessian's trace of mean[softplus(-s_ui) + softplus(s_uj)], all [T, d].

    Every row is a vector of its own here, so the trace runs over all 3·T·d numbers.
    """
    rule = "the sum of the second derivatives of mean[softplus(-<Q_u, Q_i>) + softplus(<Q_u, Q_j>)] in every number of Q_u, Q_i and Q_j"
    check(function is not None, rule, found=function)
    generator = torch.Generator().manual_seed(6)
    q = 1.5 * torch.randn(3, 4, 3, dtype=torch.float64, generator=generator)

    def loss(z: torch.Tensor) -> torch.Tensor:
        user, positive, negative = z
        return (softplus(-(user * positive).sum(1)) + softplus((user * negative).sum(1))).mean()

    with rejects("the function takes three tensors [T, d] and returns one number"):
        found = float(function(*q.clone()))  # type: ignore[arg-type]
    exact = torch.autograd.functional.hessian(loss, q).reshape(q.numel(), -1).trace()
    check_close(found, float(exact), rule, tolerance=1e-6)
