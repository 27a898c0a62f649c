"""Runs of study "weighting" as tables and in words, from records made by hand."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recq_lib.companion.analysis import weighting as tables
from recq_lib.companion.analysis.orders import crossed
from recq_lib.companion.analysis.orders import recalls as orders_recalls
from recq_lib.companion.analysis.paired import paired, recalls
from recq_lib.companion.studies import study as studies
from recq_lib.config import TrainConfig
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord, RunSpec
from recq_lib.runs.registry import resolve

USERS, DIM = 12, 8


def record(method="baco", seed=0, value=0.2, *, hits=None, n_test=None, rows=(6, 4, 5), **options):
    options = ({"ratio": 0.2} | options) if method != "lightgcn" else {}
    params = resolve(method, TrainConfig(dim=DIM, options=options)).params()
    counts = {"user_rows": rows[0], "item_rows": rows[1], "extra_rows": rows[2]} if method != "lightgcn" else {}
    parameters = DIM * (rows[0] + rows[1]) + rows[2] if counts else DIM * 50
    return RunRecord(
        spec=RunSpec(method, "tiny", seed, "smoke", params, "f"),
        metrics={"recall_min@20": value},
        per_user={
            "users": np.arange(USERS), "n_test": np.full(USERS, 4) if n_test is None else n_test,
            "hits@20": np.zeros(USERS, int) if hits is None else hits,
        },
        n_bytes={"parameters": 4 * parameters, "table": 4 * parameters + 200, "stored": 4 * DIM * 50},
        provenance={"table_parameters": parameters} | counts,
    )  # fmt: skip


# ---- runs ----------------------------------------------------------------------------------------------------------------------


def test_names_say_what_differs_from_the_default():
    runs = [
        record(), record(user_weight="sqrt", item_weight="sqrt", scu=False), record(ghost=False), record(sweeps=1), record(sweeps=8),
        record(ratio=0.05), record("graphhash", ratio=0.1), record("random-hash"), record("lightgcn"),
        record(scu=False, cluster_seed=7),
    ]  # fmt: skip
    names = tables.runs_table(runs, "recall_min@20")["name"].tolist()
    assert names == [
        "degree / released", "sqrt / sqrt, no second rows", "degree / released, no ghosts", "degree / released, 1 sweep",
        "degree / released, 8 sweeps", "degree / released, size 5%", "GraphHash, size 10%", "Random, size 20%", "full table",
        "degree / released, no second rows, order 7",
    ]  # fmt: skip
    assert tables.DEFAULT == names[0]


def test_runs_table_has_sizes_and_none_for_the_full_table():
    table = tables.runs_table([record(value=0.3), record("lightgcn", value=0.4)], "recall_min@20")
    assert table["share"].tolist() == pytest.approx([(8 * 10 + 5) / 400, 1])
    assert table["bytes"].tolist() == [4 * 85 + 200, 4 * 400 + 200] and table["value"].tolist() == [0.3, 0.4]
    assert table.loc[0, ["user_rows", "item_rows", "second", "sweeps"]].tolist() == [6, 4, 5, 5]
    assert table.loc[1, ["user_rows", "user", "ratio"]].isna().all()
    shown = tables.summary(table).set_index("setting")
    assert shown.loc["full table", ["user rows", "second", "size, %", "value, %"]].tolist() == ["–", "–", 100, 40]
    assert shown.loc["degree / released", ["user rows", "item rows", "second", "seeds"]].tolist() == ["6", "4", "5", 1]


def test_summary_has_the_half_width_of_students_interval():
    shown = tables.summary(tables.runs_table([record(seed=0, value=0.3), record(seed=1, value=0.32)], "recall_min@20")).iloc[0]
    assert shown["value, %"] == pytest.approx(31) and shown["±"] == pytest.approx(12.706205, rel=1e-6)  # t with one degree of freedom


def test_varied_keeps_everything_else_usual():
    runs = [
        record(), record(user_weight="log", item_weight="log"), record(user_weight="log", item_weight="log", scu=False), record(sweeps=3),
        record(ghost=False), record(ratio=0.1), record("graphhash"), record("lightgcn"), record(cluster_seed=7),
    ]  # fmt: skip
    table = tables.runs_table(runs, "recall_min@20")
    assert tables.varied(table)["name"].tolist() == [tables.DEFAULT]
    assert tables.varied(table, "user", "item")["name"].tolist() == [tables.DEFAULT, "log / log"]
    assert len(tables.varied(table, "user", "item", "scu")) == 3
    for column, name in (("sweeps", "3 sweeps"), ("ghost", "no ghosts"), ("ratio", "size 10%"), ("order", "order 7")):
        assert tables.varied(table, column)["name"].tolist() == [tables.DEFAULT, f"{tables.DEFAULT}, {name}"]


def test_orders_of_visits_are_told_apart_and_crossed():
    runs = [record(seed=seed, value=value, cluster_seed=order) for order, seed, value in ((2025, 0, 0.2), (2025, 1, 0.3), (7, 0, 0.4))]
    table = tables.runs_table([*runs, record("lightgcn")], "recall_min@20")
    assert table["order"].tolist()[:3] == [2025, 2025, 7] and table["order"].isna().tolist() == [False, False, False, True]
    (cell,) = crossed(table).values()
    assert list(crossed(table)) == [tables.DEFAULT] and cell.index.tolist() == [7, 2025]
    np.testing.assert_allclose(cell.to_numpy(), [[40, np.nan], [20, 30]])


def test_missing_lists_planned_settings_without_a_run():
    plans = studies.plans("weighting", "smoke")
    table = tables.runs_table([record(), record("lightgcn")], "recall_min@20")
    rest = ["degree / released, no second rows", "degree / uniform", "degree / uniform, no second rows"]
    assert tables.missing(plans, table) == rest
    assert tables.missing(plans, table.iloc[:0]) == ["full table", "degree / released", *rest]


def test_planned_runs_of_several_parts_count_once():
    assert tables.n_planned(studies.plans("weighting", "smoke")) == 3 * (1 + 2 * 2)
    # full; weights × second rows; ghosts; three other numbers of sweeps; three methods at four sizes of which one is the default
    assert tables.n_planned(studies.plans("weighting", "paper")) == 3 * (1 + 6 * 2 + 1 + 3 + 3 * 4 - 1)


def test_recalls_divide_by_the_smaller_of_k_and_test_items(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))
    n_test, hits = np.array([2, 30] * 6), np.array([1, 10] * 6)
    runs = [record(seed=1, hits=hits, n_test=n_test), record(seed=0, n_test=n_test), record("lightgcn", hits=hits, n_test=n_test)]
    for run in runs:
        results.save(run)
    found = recalls(tables.runs_table(runs, "recall_min@20"), 20, capped=True)
    assert list(found) == [tables.DEFAULT, tables.FULL]
    np.testing.assert_allclose(found[tables.DEFAULT], [np.zeros(12), [0.5] * 12])
    np.testing.assert_allclose(found[tables.FULL], [[0.5] * 12])


def test_recalls_of_orders_are_averaged_over_seeds_and_can_be_tested(tmp_path, monkeypatch, rng):
    """Two orders with two seeds each, and a third with one seed, which does not fit in; a pair is compared order by order."""
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))
    runs, hits = [], {}
    for order, seed in ((2025, 0), (2025, 1), (7, 0), (7, 1), (8, 0)):
        for scu in (True, False):
            hits[order, seed, scu] = rng.integers(0, 5, USERS)
            runs.append(record(seed=seed, cluster_seed=order, scu=scu, hits=hits[order, seed, scu]))
            results.save(runs[-1])
    by_name, orders = orders_recalls(tables.runs_table([*runs, record("lightgcn")], "recall_min@20"))
    other = f"{tables.DEFAULT}, no second rows"
    assert orders == {tables.DEFAULT: [7, 2025], other: [7, 2025]}
    for name, scu in ((tables.DEFAULT, True), (other, False)):
        expected = [(hits[order, 0, scu] + hits[order, 1, scu]) / 8 for order in (7, 2025)]
        np.testing.assert_allclose(by_name[name], expected)
    (tested,) = paired(by_name, [(other, tables.DEFAULT)], orders).itertuples()
    assert tested.difference == pytest.approx(100 * (by_name[other] - by_name[tables.DEFAULT]).mean()) and tested.seeds.endswith("/2")


# ---- choices ---------------------------------------------------------------------------------------------------------------------


def test_alternatives_differ_from_the_usual_value_in_one_choice():
    log = {"user_weight": "log", "item_weight": "log"}
    runs = [record(), record(scu=False), record(**log), record(**log, scu=False)]
    runs += [record(ghost=False), record(sweeps=3), record(ratio=0.1), record("graphhash"), record("lightgcn")]
    found = tables.alternatives(tables.runs_table(runs, "recall_min@20"))
    usual = tables.DEFAULT
    assert found["weights"] == [("log / log", usual)]
    assert found["second rows"] == [(f"{usual}, no second rows", usual), ("log / log, no second rows", "log / log")]
    assert found["ghosts"] == [(f"{usual}, no ghosts", usual)] and found["sweeps"] == [(f"{usual}, 3 sweeps", usual)]


def test_choices_are_corrected_together(rng):
    table = tables.runs_table([record(), record(ghost=False), record(sweeps=3)], "recall_min@20")
    base = rng.random((1, 40))
    by_name = dict(zip(table["name"], (base, base + rng.normal(0.05, 0.1, (1, 40)), base + rng.normal(0.02, 0.1, (1, 40))), strict=True))
    found = tables.tested(table, by_name)
    assert [len(tests) for tests in found.values()] == [0, 0, 1, 1]
    raw = [stats.wilcoxon(by_name[name][0] - base[0]).pvalue for name in table["name"][1:]]
    adjusted = [found["ghosts"]["p_holm"].item(), found["sweeps"]["p_holm"].item()]
    assert min(adjusted) == pytest.approx(min(1, 2 * min(raw))) and max(adjusted) == pytest.approx(max(*raw, min(adjusted)))


# ---- words ---------------------------------------------------------------------------------------------------------------------


def judged(*rows):
    return pd.DataFrame(rows, columns=["a", "difference", "verdict"]).assign(b="usual")


def test_outcome_counts_every_verdict():
    mixed = judged(("p", 1.0, "better"), ("q", -2.0, "worse"), ("r", 0.4, "equivalent"), ("s", -0.1, "undecided"))
    said = tables.outcome("weights", mixed)
    assert said == (
        "weights: of 4 alternatives to the usual choice better 1 (p +1.00); worse 1 (q -2.00); equivalent 1 (r +0.40); "
        "undecided 1 (s -0.10); differences -2.00 to +1.00 points."
    )
    alone = tables.outcome("ghosts", mixed.iloc[3:])
    assert "of 1 alternative to the usual choice better 0; worse 0" in alone and "differences -0.10 points" in alone
    assert tables.outcome("ghosts", mixed.iloc[:0]) == "ghosts: not recorded."


def test_what_matters_orders_by_better_and_worse_only():
    small = judged(("p", 0.5, "better"), ("q", -9.0, "undecided"))
    large, nothing = judged(("r", -2.0, "worse")), judged(("s", 5.0, "undecided"))
    said = tables.what_matters({"weights": small, "sweeps": large, "ghosts": nothing, "second rows": nothing.iloc[:0]})
    expected = "By the largest difference called better or worse: sweeps (2.00 points), weights (0.50 points). "
    expected += "None is called so for ghosts."
    assert said == expected
    assert tables.what_matters({"ghosts": nothing}) == "None is called so for ghosts."
    assert "nothing can be said" in tables.what_matters({"ghosts": nothing.iloc[:0]})


def test_sizes_are_compared_at_the_same_size(tmp_path, monkeypatch, rng):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))
    runs = [record(seed=s, hits=rng.integers(2, 4, USERS), n_test=np.full(USERS, 4)) for s in range(3)]
    runs += [record("graphhash", seed=s, hits=rng.integers(0, 2, USERS), n_test=np.full(USERS, 4)) for s in range(3)]
    runs += [record(seed=s, ratio=0.1, hits=rng.integers(0, 2, USERS), n_test=np.full(USERS, 4)) for s in range(3)]
    runs += [record("graphhash", seed=s, ratio=0.1, hits=rng.integers(2, 4, USERS), n_test=np.full(USERS, 4)) for s in range(3)]
    for run in runs:
        results.save(run)
    found = tables.by_size(tables.runs_table(runs, "recall_min@20"), "GraphHash", "Random")
    assert found[["a", "b"]].to_numpy().tolist() == [
        [f"{tables.DEFAULT}, size 10%", "GraphHash, size 10%"],
        [tables.DEFAULT, "GraphHash, size 20%"],
    ]
    hits = [[run.per_user["hits@20"].mean() for run in runs[k : k + 3]] for k in (0, 3, 6, 9)]
    expected = [25 * (np.mean(hits[2]) - np.mean(hits[3])), 25 * (np.mean(hits[0]) - np.mean(hits[1]))]
    assert found["difference"].tolist() == pytest.approx(expected) and found["verdict"].tolist() == ["worse", "better"]
    assert found["ratio"].tolist() == [0.1, 0.2]


def test_published_leads_by_size_are_those_of_figure_6():
    found = tables.published_by_size()
    assert list(found) == [4, 5, 6, 7, 8, 9, 10]
    assert found[4] == pytest.approx(16.27 - 15.61) and found[10] == pytest.approx(16.86 - 15.33) and min(found.values()) > 0
