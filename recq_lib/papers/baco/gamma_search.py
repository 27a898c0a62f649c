"""The γ with which BACO's codebooks meet a budget of parameters (ours: the paper names the γ of its datasets, not how they were found)."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, exactly_one, number, whole
from recq_lib.papers.baco.clustering import SWEEPS, Solver
from recq_lib.sharing.grouping import SEED, OutOfReach, Stopwatch
from recq_lib.sharing.sharing import Sharing

_FURTHER = tuple(sign * step for step in range(36, 404, 8) for sign in (1, -1))  # up to half as much and two thirds; small data only


def search_gamma(
    data: Interactions,
    *,
    budget_parameters: int | None = None,
    ratio: float | None = None,
    dim: int = 64,
    tolerance: float = 0.01,
    weights: np.ndarray | None = None,
    sweeps: int = SWEEPS,
    seed: int = SEED,
    ghost: bool = True,
    scu: bool = True,
    ties: str = "last",
) -> Sharing:
    """Find γ so that `Sharing.n_parameters(dim)` meets a budget to a relative `tolerance`; the closest found is given back.

    The budget is a number of parameters, or a `ratio` of the n_nodes·dim of a full table. With the number of sweeps
    fixed, the parameters rise with γ to a peak (about half a full table on Beauty) and fall again. γ is sought before
    the peak: a bracket in steps of 4, geometric bisection, and where the tolerance is still not met some γ around,
    because the curve is not smooth. Other arguments as in `cluster`. In `found` of the result `tried` are all (γ,
    parameters), `settings` have `budget` and `dim` too, and `seconds` are those of all evaluations. Raises
    `OutOfReach` (a `ConfigError`) for a budget out of reach, telling what is in reach and holding the closest found.
    """
    watch, budget, tolerance = Stopwatch(), _budget(data, budget_parameters, ratio, dim), number("tolerance", tolerance, 0)
    solver = Solver(data, weights=weights, sweeps=sweeps, seed=seed, ghost=ghost, scu=scu, ties=ties)
    search = _Search(solver, budget, dim, tolerance)
    if not search.run():
        low, high = search.reach()
        full = dim * data.n_nodes
        asked = f"a budget of {budget:,} parameters ({budget / full:.1%} of a full table)"
        others = ", or other sweeps (fewer give more)"
        raise OutOfReach(asked, data.name, low, high, full, f"{sweeps} sweeps", others, search.told(watch))
    return search.told(watch)


class _Search:
    """Evaluations so far, and the closest of them."""

    def __init__(self, solver: Solver, budget: int, dim: int, tolerance: float) -> None:
        self.solver, self.budget, self.dim, self.tolerance = solver, budget, dim, tolerance
        self.tried: list[tuple[float, int]] = []
        self.closest: Sharing | None = None
        # the γ at which an average node of the other side costs an average node as much as a neighbour brings: the peak
        # lies near it
        means = [part.mean() if part.any() else 1.0 for part in np.split(solver.weights, [solver.n_users])]
        self.unit = 1 / (means[0] * means[1])

    def run(self) -> bool:
        """False if the budget is out of reach."""
        bracket = self._fall() if self._parameters(self.unit / 64) > self.budget else self._rise(self.budget)
        if bracket is None:
            low, high = self._extremes()
            return self._met() or low <= self.budget <= high
        low, high = bracket
        while not self._met() and high > low * 1.0001:
            middle = math.sqrt(low * high)
            low, high = (low, middle) if self._parameters(middle) > self.budget else (middle, high)
        for step in (1, -1, 2, -2, 4, -4, 8, -8, 16, -16, 32, -32, *_FURTHER):  # the curve is the rougher the smaller the data
            if not self._met():
                self._parameters(low * 1.001**step)
        return True

    def told(self, watch: Stopwatch) -> Sharing:
        """The closest, with what is known of the search."""
        found = self.closest.found
        settings = {**found.settings, "budget": self.budget, "dim": self.dim, "tolerance": self.tolerance}
        found = replace(found, settings=settings, seconds=watch.seconds, tried=tuple(self.tried), asked=self.budget)
        return replace(self.closest, found=found)

    def reach(self) -> tuple[int, int]:
        """Fewest and most parameters that any γ gives, as far as tried."""
        self._parameters(0.0)
        self._rise(math.inf)
        return self._extremes()

    def _fall(self) -> tuple[float, float] | None:
        high = self.unit / 64
        while high > self.unit * 1e-9:
            if self._parameters(high / 4) <= self.budget:
                return high / 4, high
            high /= 4
        self._parameters(0.0)
        return None

    def _rise(self, goal: float) -> tuple[float, float] | None:
        """A bracket before the peak; None if the peak is below `goal`."""
        for step in (16, 4, 1, 0.25):
            gamma = self.unit / step
            if self._parameters(gamma) >= goal:
                return gamma / 4, gamma
        for factor in (2.0, 2**0.5, 2**0.25):
            peak = max(self.tried, key=lambda pair: pair[1])[0]
            for gamma in (peak / factor, peak * factor):
                if self._parameters(gamma) >= goal:
                    return gamma / 4, gamma
        return None

    def _parameters(self, gamma: float) -> int:
        found = self.solver.solve(gamma)
        parameters = found.n_parameters(self.dim)
        self.tried.append((gamma, parameters))
        if self.closest is None or abs(parameters - self.budget) < abs(self.closest.n_parameters(self.dim) - self.budget):
            self.closest = found
        return parameters

    def _met(self) -> bool:
        return abs(self.closest.n_parameters(self.dim) / self.budget - 1) <= self.tolerance

    def _extremes(self) -> tuple[int, int]:
        counts = [parameters for _, parameters in self.tried]
        return min(counts), max(counts)


def _budget(data: Interactions, parameters: int | None, ratio: float | None, dim: int) -> int:
    dim = whole("dim", dim, 1)
    exactly_one(budget_parameters=parameters, ratio=ratio)
    budget = ratio * dim * data.n_nodes if parameters is None else parameters
    if not (math.isfinite(budget) and budget >= 1):
        raise ConfigError(f"the budget is {budget} parameters, but must be a finite number ≥ 1; give another budget_parameters or ratio")
    return round(budget)
