"""Checks for the exercises of notebook 08."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from recq_lib.companion.checks import check, check_close, rejects


def check_gradient(function: Callable[[np.ndarray, np.ndarray, np.ndarray, float], np.ndarray] | None) -> None:
    """Exercise 1: `function(g, v, c, delta)` is GSTE's gradient into v, for arrays of one shape."""
    rule = "the gradient is g·(1 + δ·sign(g)·(v - c)), entry by entry"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(0)
    v = rng.uniform(-3, 3, (4, 5))
    c, g = 2 * np.floor(v / 2) + 1, rng.standard_normal(v.shape)
    for delta in (0.0, 0.2, 0.7):
        with rejects("the function takes g, v, c and δ and returns an array"):
            found = function(g.copy(), v.copy(), c.copy(), delta)
        check_close(found, g + delta * np.abs(g) * (v - c), rule, tolerance=1e-9)


def check_scale(answer: object, correction: float) -> None:
    """Exercise 2: the scale a at which the user's correction of one triple, codes ±a and errors of a/2, is `correction`."""
    rule = f"with δ = 2a·σ(2a²) and an error of a/2, δ·error is {correction:g}; look for a between 0 and 2, to three digits"
    check(answer is not None, rule, found=answer)
    with rejects("the scale is a number"):
        a = float(answer)  # type: ignore[arg-type]
    check(a > 0, f"the scale is positive; {rule}", found=answer)
    check_close(a**2 / (1 + np.exp(-2 * a**2)), correction, rule, tolerance=0.01 * correction)


def check_interval(function: Callable[[np.ndarray, np.ndarray], tuple[float, float, float]] | None) -> None:
    """Exercise 3: `function(gste, ste)`, one value per seed each, is (mean, low, high) of the paired difference, 95 % t-interval."""
    rule = "mean ± t(0.975, n - 1)·sd/√n of the differences seed by seed, sd with n - 1"
    check(function is not None, rule, found=function)
    rng = np.random.default_rng(1)
    for n in (3, 5):
        ste = rng.normal(30, 3, n)
        gste = ste + rng.normal(0.5, 0.2, n)
        with rejects("the function takes two arrays of one length and returns three numbers"):
            found = function(gste.copy(), ste.copy())
        expected = stats.ttest_rel(gste, ste).confidence_interval(0.95)
        check_close(found, ((gste - ste).mean(), expected.low, expected.high), rule, tolerance=1e-9)
