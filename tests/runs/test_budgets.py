"""Sizes asked for and delivered, of every method that shares rows: met within 1 %, or refused with sizes that can be had."""

from __future__ import annotations

import dataclasses
import re
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.data.synthetic import SyntheticConfig, generate
from recq_lib.errors import ConfigError
from recq_lib.runs import registry
from recq_lib.runs.run import Plan, execute
from recq_lib.runs.share import share
from recq_lib.sharing import store
from recq_lib.sharing.sharing import Sharing

DATA = generate(SyntheticConfig(n_users=150, n_items=100, n_interactions=1800, seed=3))
DIM = 16
SHARED = [entry.name for entry in registry.METHODS.values() if entry.family == "shared rows"]
SIZED = [name for name in SHARED if "ratio" in registry.method(name).options]
BY_SHARE = [name for name in SIZED if registry.method(name).share is not None]
FREE = ["bimlpa", "brim", "infomap"]


def named_sizes(message: str) -> list[int]:
    """The sizes that an error offers, as parameters."""
    told = re.search(r"sizes found are (.*?); set one|give (.*?)[;:]", message)
    return [int(text.replace(",", "")) for text in re.findall(r"(?<![\d.])(\d[\d,]*)(?= \(| to )", told[0])]


def test_every_method_is_in_the_table():
    assert len(SHARED) == 19 and sorted({*SHARED} - {*SIZED}) == FREE and sorted({*SIZED} - {*BY_SHARE}) == ["cce", "legcf"]


@pytest.mark.parametrize("budget", [0.1, 0.3, 0.6, 0.9, 2, 1003])
@pytest.mark.parametrize("name", BY_SHARE)
def test_a_budget_is_met_within_one_in_a_hundred_or_what_can_be_is_told(name, budget):
    full = DIM * 250
    asked = round(budget * full) if budget <= 1 else budget
    try:
        rows = share(DATA, name, budget=budget, dim=DIM)
    except ConfigError as error:
        text, sizes = str(error), named_sizes(str(error))
        assert text.count("\n") == 0 and f"a budget of {asked:,} parameters" in text and "--budget" in text
        assert sizes and asked not in sizes and ("out of reach" in text or sizes == sorted(sizes))
        if "out of reach" not in text and len(sizes) == 2:
            assert sizes[0] < asked < sizes[1]
            assert min(abs(size / asked - 1) for size in sizes) > 0.01
        if "out of reach" in text:
            sizes = [min(sizes, key=lambda size: abs(size - asked))]
        for size in sizes:  # what is offered can be had
            offered = share(DATA, name, budget=size, dim=DIM)
            assert abs(offered.n_parameters(DIM) / size - 1) <= 0.01
    else:
        assert rows.found.asked == asked and abs(rows.n_parameters(DIM) / asked - 1) <= 0.01 + 1e-9
        sizes = rows.summary(DIM)
        assert (sizes["asked"], sizes["parameters"]) == (asked, rows.n_parameters(DIM))


def test_many_methods_meet_many_budgets():
    """So that the test above does not hold by refusals alone."""
    for name in ("random-hash", "frequency-hash", "double-hash", "hybrid-hash", "lp", "baco"):
        for budget in (0.2, 0.3) if name == "baco" else (0.2, 0.3, 0.5, 0.8):
            share(DATA, name, budget=budget)


def test_second_indices_are_paid_from_the_budget():
    for name in ("double-hash", "hybrid-hash", "doublegraphhash"):
        rows = share(DATA, name, budget=0.4, tolerance=0.02)
        assert rows.n_extra == 250 and abs(rows.n_parameters(64) / (0.4 * 64 * 250) - 1) <= 0.02


def test_a_wider_tolerance_takes_a_size_nearby():
    with pytest.raises(ConfigError, match=r"lsh-hash on .* cannot meet a budget of 1,200 parameters \(30.0% of a full table\) within 1 %"):
        share(DATA, "lsh-hash", budget=0.3, dim=DIM)
    rows = share(DATA, "lsh-hash", budget=0.3, dim=DIM, tolerance=0.3)
    assert rows.found.asked == 1200 and 0.01 < abs(rows.n_parameters(DIM) / 1200 - 1) <= 0.3
    assert share(DATA, budget=0.3, tolerance=0.1).found.settings["tolerance"] == 0.1
    with pytest.raises(ConfigError, match="tolerance is -0.1"):
        share(DATA, budget=0.3, tolerance=-0.1)


@pytest.mark.parametrize("name", SIZED)
def test_a_model_says_what_was_asked_for_and_what_it_has(name):
    config = TrainConfig(dim=DIM, options={"ratio": 0.3})
    table = registry.build(name, DATA, config).table
    assert table.asked == DIM * (45 + 30)
    found = table.n_parameters / table.asked - 1
    extra = {"legcf": 250 / table.asked, "double-hash": 250 / table.asked, "hybrid-hash": 250 / table.asked, "doublegraphhash": 0.25}
    assert -0.5 < found <= 0.05 + extra.get(name, 0)


@pytest.mark.parametrize("name", FREE)
def test_methods_that_choose_their_size_are_asked_for_none(name):
    assert share(DATA, name).found.asked is None
    with pytest.raises(ConfigError, match="finds its own number of rows and cannot meet a budget"):
        share(DATA, name, budget=0.3)


# ---- BACO's default -------------------------------------------------------------------------------------------------------------


def test_the_default_of_baco_falls_back_to_what_is_in_reach():
    told = r"the default size, GraphHash's at resolution 200, .* is out of reach on .*; the closest, .*budget="
    with pytest.warns(UserWarning, match=told):
        rows = share(DATA)
    most = max(size for _, size in rows.found.tried)
    assert rows.n_parameters(64) == most < rows.found.asked == 64 * share(DATA, "graphhash").n_rows
    assert rows == share(DATA, gamma=rows.found.gamma)


@given(st.integers(0, 10**6))
@settings(max_examples=40)
def test_the_default_of_baco_works_on_any_graph(seed):
    rng = np.random.default_rng(seed)
    dense = rng.random(rng.integers(1, 25, 2)) < rng.choice([0.05, 0.3, 1.0])
    dense[rng.integers(dense.shape[0]), rng.integers(dense.shape[1])] = True
    data = Interactions.from_pairs(np.nonzero(dense), n_users=dense.shape[0], n_items=dense.shape[1], name="any")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        rows = share(data)
    assert rows.found.asked > 0 and rows.n_users == dense.shape[0]


def test_a_record_and_a_kept_file_say_what_was_asked_for(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))
    config = TrainConfig(dim=4, n_layers=1, epochs=1, eval_every=1, ks=(5,), select_metric="recall@5")
    with pytest.warns(UserWarning, match="the default size"):
        record = execute(Plan("baco", "synthetic-tiny", "smoke", config))
    asked, has = record.provenance["asked_parameters"], record.provenance["table_parameters"]
    assert asked == 400 > has > 0
    (kept,) = (tmp_path / "checkpoints" / "sharings").iterdir()
    assert Sharing.load(kept).found.asked == asked
    assert execute(Plan("baco", "synthetic-tiny", "smoke", config)).provenance["asked_parameters"] == asked


# ---- leaving no trace -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["baco", "sbc", "ptq-sign", "l2q-gcn-anl", "bigear", "mostpop"])
def test_a_run_that_is_not_to_be_saved_writes_nothing(method, tmp_path, monkeypatch):
    for name in ("RESULTS", "CHECKPOINTS", "CACHE"):
        monkeypatch.setenv(f"RECQ_{name}_DIR", str(tmp_path / name.lower()))
    config = TrainConfig(dim=4, n_layers=1, epochs=1, eval_every=1, ks=(5,), select_metric="recall@5")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        execute(Plan(method, "synthetic-tiny", "smoke", config), resume=False)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_kept_only_within(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path))
    config = dataclasses.replace(registry.resolve("sbc"), options=registry.resolve("sbc").options | {"ratio": 0.3})
    with store.nothing_kept():
        registry.build("sbc", DATA, config)
        assert list(tmp_path.rglob("*.npz")) == []
    registry.build("sbc", DATA, config)
    assert len(list(tmp_path.rglob("*.npz"))) == 1
