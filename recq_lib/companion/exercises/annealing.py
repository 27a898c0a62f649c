"""Checks for the exercises of notebook 07."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from recq_lib.companion.checks import check, check_close, rejects
from recq_lib.parts.annealing import Schedule


def check_slope(function: Callable[[np.ndarray, float], np.ndarray] | None) -> None:
    """Exercise 1: `function(v, tau)` [d] is the derivative of α·tanh(v/(τα))/tanh(1/τ) in v, α held constant."""
    rule = "the slope is (1 - tanh²(v/(τα))) / (τ·tanh(1/τ)), with α = ‖v‖₁/d"
    check(function is not None, rule, found=function)
    v, step = np.random.default_rng(0).standard_normal(9), 1e-6
    alpha = np.abs(v).mean()
    for temperature in (4.0, 1.0, 0.3):
        with rejects("the function takes a vector and a temperature and returns a vector"):
            found = function(v.copy(), temperature)
        above, below = (alpha * np.tanh((v + h) / (temperature * alpha)) / np.tanh(1 / temperature) for h in (step, -step))
        check_close(found, (above - below) / (2 * step), rule, tolerance=1e-6)


def check_decay(answer: object, start: float, end: float, epochs: int) -> None:
    """Exercise 2: the factor ρ per epoch by which the temperature falls from `start` to `end` in `epochs` epochs."""
    check_close(
        answer, np.exp(np.log(end / start) / epochs), f"ρ multiplied {epochs} times leads from {start:g} to {end:g}", tolerance=1e-6
    )


def check_schedule(answer: object, epochs: int) -> None:
    """Exercise 3: a schedule at τ = 4 for the first fifth of the run, then falling by equal factors, with hard codes for the last half."""
    rule = "τ = 4 for the first 20 % of the epochs, equal factors from there, and hard codes from half of the run on"
    check(isinstance(answer, Schedule), f"the answer is a Schedule; {rule}", found=answer)
    hold, half = round(0.2 * epochs), round(0.5 * epochs)
    values = np.array([answer(epoch, epochs) for epoch in range(epochs)])
    check_close(values[: hold + 1], np.full(hold + 1, 4.0), f"τ = 4 for the first {hold} epochs", tolerance=1e-9)
    factors = values[hold + 1 : half + 1] / values[hold:half]
    check(np.ptp(factors) < 1e-9 and factors[0] < 1, f"τ falls by one factor per epoch between epochs {hold} and {half}", found=factors)
    hard = [answer.done(epoch, epochs) for epoch in range(epochs)]
    check(hard == [epoch >= half for epoch in range(epochs)], f"hard codes from epoch {half} on, not before", found=hard.count(True))
