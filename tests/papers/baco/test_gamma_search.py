"""The search for γ: budgets met, budgets out of reach, and the size the paper reports for Beauty."""

from __future__ import annotations

import re

import numpy as np
import pytest
from helpers import random_interactions

from recq_lib.data import load
from recq_lib.data.synthetic import generate
from recq_lib.errors import ConfigError
from recq_lib.papers.baco.clustering import Solver, cluster, node_weights
from recq_lib.papers.baco.gamma_search import search_gamma

SMOKE = generate("smoke")
TINY = random_interactions(n_users=12, n_items=9, n_pairs=50, test=5, seed=1)


def error(rows):
    """Parameters over the budget of the search, minus 1."""
    settings = rows.found.settings
    return rows.n_parameters(settings["dim"]) / settings["budget"] - 1


@pytest.mark.parametrize("budget", [{"ratio": 0.1}, {"ratio": 0.25}, {"budget_parameters": 9_000}])
def test_a_budget_is_met_and_the_answer_is_what_cluster_gives(budget):
    rows = search_gamma(SMOKE, **budget)
    wanted = 9_000 if "ratio" not in budget else round(budget["ratio"] * 64 * SMOKE.n_nodes)
    assert rows.found.settings["budget"] == wanted and rows.found.settings["dim"] == 64 and rows.found.seconds > 0
    again = cluster(SMOKE, rows.found.gamma)
    np.testing.assert_array_equal(rows.found.labels, again.found.labels)
    assert abs(again.n_parameters(64) / wanted - 1) <= 0.01
    assert rows == again


@pytest.mark.parametrize("gamma", [0.7, 1.0, 1.5])
@pytest.mark.parametrize("seed, scu, ties", [(0, True, "last"), (1, False, "last"), (2, True, "last"), (2, True, "official")])
def test_a_size_that_some_gamma_has_is_found(gamma, seed, scu, ties):
    chosen = {"seed": seed, "scu": scu, "ties": ties}
    size = cluster(SMOKE, gamma, **chosen).n_parameters(32)
    rows = search_gamma(SMOKE, budget_parameters=size, dim=32, **chosen)
    again = cluster(SMOKE, rows.found.gamma, **chosen)
    assert again == rows and abs(again.n_parameters(32) / size - 1) <= 0.01
    assert rows.found.gamma == pytest.approx(gamma, rel=0.1)


@pytest.mark.parametrize("ratio", [0.2, 0.25, 0.35])  # no γ gives these: one row more or less is far from the budget
def test_the_closest_of_all_tried_is_kept(ratio):
    rows = search_gamma(TINY, ratio=ratio, tolerance=0.0)
    budget = ratio * 64 * TINY.n_nodes
    gaps = [abs(parameters - round(budget)) for _, parameters in rows.found.tried]
    assert abs(rows.n_parameters(64) - round(budget)) == min(gaps) > 0
    assert len(rows.found.tried) > 10
    for gamma, parameters in rows.found.tried:
        assert cluster(TINY, gamma).n_parameters(64) == parameters


def test_no_evaluation_follows_the_first_within_tolerance():
    rows = search_gamma(SMOKE, ratio=0.25, tolerance=0.05)
    met = [abs(parameters / (0.25 * 64 * SMOKE.n_nodes) - 1) <= 0.05 for _, parameters in rows.found.tried]
    assert met[-1] and sum(met[3:]) == 1


def test_scaling_the_weights_scales_gamma_only():
    weights = node_weights(SMOKE)
    plain, scaled = search_gamma(SMOKE, ratio=0.15), search_gamma(SMOKE, ratio=0.15, weights=4 * weights)
    assert scaled.found.gamma == plain.found.gamma / 16
    np.testing.assert_array_equal(scaled.found.labels, plain.found.labels)


@pytest.mark.parametrize("user, item", [("uniform", "uniform"), ("degree", "uniform"), ("log", "sqrt")])
def test_other_weights_reach_the_same_budget(user, item):
    rows = search_gamma(SMOKE, ratio=0.2, weights=node_weights(SMOKE, user, item), tolerance=0.05)
    assert abs(error(rows)) <= 0.05


@pytest.mark.parametrize("ratio", [0.9, 0.001])
def test_a_budget_out_of_reach_names_what_is_in_reach(ratio):
    told = r"out of reach on synthetic-smoke: 5 sweeps give .* \(budget=; `recq compress --budget`, `recq train --set ratio=`\)"
    with pytest.raises(ConfigError, match=told) as caught:
        search_gamma(SMOKE, ratio=ratio)
    low, high = (int(text.replace(",", "")) for text in re.search(r"give ([\d,]+) to ([\d,]+) \(", str(caught.value)).groups())
    solver = Solver(SMOKE)
    sizes = [solver.solve(gamma).n_parameters(64) for gamma in np.geomspace(1e-4, 1e4, 60)]
    plain = solver.solve(0.0).n_parameters(64)
    assert plain * 0.9 <= low <= min(plain, *sizes)
    assert max(sizes) * 0.98 <= high <= max(sizes) * 1.02
    assert not low <= ratio * 64 * SMOKE.n_nodes <= high
    inside = search_gamma(SMOKE, budget_parameters=int(0.97 * high))
    assert abs(error(inside)) <= 0.01


def test_more_rows_are_in_reach_with_fewer_sweeps():
    with pytest.raises(ConfigError, match="fewer give more"):
        search_gamma(SMOKE, ratio=0.45)
    assert abs(error(search_gamma(SMOKE, ratio=0.45, sweeps=1))) <= 0.01


@pytest.mark.parametrize(
    "change, message",
    [
        ({}, "give exactly one"),
        ({"ratio": 0.1, "budget_parameters": 100}, "give exactly one"),
        ({"ratio": 0.0}, "the budget is 0.0"),
        ({"ratio": float("nan")}, "the budget is nan"),
        ({"budget_parameters": -5}, "the budget is -5"),
        ({"ratio": 0.1, "dim": 0}, "dim is 0"),
        ({"ratio": 0.1, "tolerance": -0.1}, "tolerance is -0.1"),
        ({"ratio": 0.1, "sweeps": 0}, "sweeps is 0, but must be a whole number of at least 1"),
    ],
)
def test_arguments_are_checked(change, message):
    with pytest.raises(ConfigError, match=message):
        search_gamma(TINY, **change)


def test_beauty_at_the_size_of_graphhash(real_dataset):
    real_dataset("beauty")
    data = load("beauty", profile="paper", offline=True)
    rows = search_gamma(data, budget_parameters=64 * 8267, tolerance=0.002)
    assert abs(error(rows)) <= 0.002
    assert rows.found.gamma == pytest.approx(0.1308, rel=0.01)  # the paper's γ for this size
