"""The tables of notebook 09: measures against naive loops, runs from records made by hand."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from helpers import random_interactions

from recq_lib.companion import published
from recq_lib.companion.analysis import baco_ablation_tables as tables
from recq_lib.companion.studies import study as studies
from recq_lib.config import TrainConfig
from recq_lib.papers.baco.clustering import cluster, node_weights
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


# ---- clusterings ---------------------------------------------------------------------------------------------------------------


def test_common_unit_is_the_price_of_all_pairs_per_interaction():
    data = random_interactions(9, 7, 30, seed=1, test=5)
    for user, item in (("degree", "released"), ("uniform", "uniform"), ("log", "sqrt")):
        w = node_weights(data, user, item)
        expected = sum(a * b for a in w[:9] for b in w[9:]) / data.n_train
        assert tables.common_unit(data, w) == pytest.approx(expected)
    assert tables.common_unit(data, node_weights(data, "degree", "degree")) == pytest.approx(1)


def test_measures_count_by_loops():
    data = random_interactions(12, 9, 50, seed=4, test=5)
    found = cluster(data, 0.7)
    row = tables.measures(data, {"some": found}, DIM).iloc[0]
    users, items = found.user_rows.tolist(), found.item_rows.tolist()
    assert (row["weights"], row["γ"], row["user rows"], row["item rows"]) == ("some", 0.7, len(set(users)), len(set(items)))
    assert row["second"] == sum(second >= 0 for second in found.user_second)
    assert row["size, %"] == pytest.approx(100 * (DIM * (len(set(users)) + len(set(items))) + row["second"]) / (DIM * 21))
    assert row["largest, users"] == max(map(users.count, users)) and row["largest, items"] == max(map(items.count, items))
    single = sum(users.count(u) == 1 for u in users) + sum(items.count(i) == 1 for i in items)
    assert row["alone, %"] == pytest.approx(100 * single / 21)
    inside = sum(found.labels[u] == found.labels[12 + i] for u, i in zip(*data.pairs("train"), strict=True))
    assert row["inside, %"] == pytest.approx(100 * inside / data.n_train)


def test_company_takes_medians_in_groups_of_similar_degree():
    degree = np.array([1, 1, 2, 2, 5, 5, 9, 9])
    rows = np.array([0, 0, 0, 1, 1, 2, 3, 4])
    x, y = tables.company(degree, rows, bins=4)
    assert x.tolist() == [1, 2, 5, 9]
    assert y.tolist() == [3, 2.5, 1.5, 1]
    x, y = tables.company(np.full(5, 7), np.zeros(5, int))  # one degree, one group
    assert x.tolist() == [7] and y.tolist() == [5]


def test_agreement_is_the_adjusted_rand_index_of_pairs():
    rng = np.random.default_rng(2)
    labels = {"a": rng.integers(0, 4, 30), "b": rng.integers(0, 3, 30), "c": np.arange(30) % 5}
    found = tables.agreement(labels)
    pairs = list(combinations(range(30), 2))
    for a, b in combinations(labels, 2):
        one, other = (np.array([v[i] == v[j] for i, j in pairs]) for v in (labels[a], labels[b]))
        chance = one.sum() * other.sum() / len(pairs)
        expected = ((one & other).sum() - chance) / ((one.sum() + other.sum()) / 2 - chance)
        assert found.loc[a, b] == pytest.approx(expected) == pytest.approx(found.loc[b, a])
    assert np.diag(found).tolist() == [1, 1, 1]


# ---- runs ----------------------------------------------------------------------------------------------------------------------


def test_names_say_what_differs_from_the_default():
    runs = [
        record(), record(user_weight="sqrt", item_weight="sqrt", scu=False), record(ghost=False), record(sweeps=1), record(sweeps=8),
        record(ratio=0.05), record("graphhash", ratio=0.1), record("random-hash"), record("lightgcn"),
    ]  # fmt: skip
    names = tables.runs_table(runs, "recall_min@20")["name"].tolist()
    assert names == [
        "degree / released", "sqrt / sqrt, no second rows", "degree / released, no ghosts", "degree / released, 1 sweep",
        "degree / released, 8 sweeps", "degree / released, size 5%", "GraphHash, size 10%", "Random, size 20%", "full table",
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
        record(ghost=False), record(ratio=0.1), record("graphhash"), record("lightgcn"),
    ]  # fmt: skip
    table = tables.runs_table(runs, "recall_min@20")
    assert tables.varied(table)["name"].tolist() == [tables.DEFAULT]
    assert tables.varied(table, "user", "item")["name"].tolist() == [tables.DEFAULT, "log / log"]
    assert len(tables.varied(table, "user", "item", "scu")) == 3
    for column, name in (("sweeps", "3 sweeps"), ("ghost", "no ghosts"), ("ratio", "size 10%")):
        assert tables.varied(table, column)["name"].tolist() == [tables.DEFAULT, f"{tables.DEFAULT}, {name}"]


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
    found = tables.recalls(tables.runs_table(runs, "recall_min@20"), 20)
    assert list(found) == [tables.DEFAULT, tables.FULL]
    np.testing.assert_allclose(found[tables.DEFAULT], [np.zeros(12), [0.5] * 12])
    np.testing.assert_allclose(found[tables.FULL], [[0.5] * 12])


# ---- activity ------------------------------------------------------------------------------------------------------------------


def test_quarters_keep_equal_degrees_together():
    assert tables.quarters(np.array([4, 1, 3, 2, 8, 7, 6, 5])).tolist() == [1, 0, 1, 0, 3, 3, 2, 2]
    found = tables.quarters(np.array([5, 5, 5, 5, 9]))
    assert found[:4].tolist() == [0, 0, 0, 0] and found[4] == 3


def test_by_activity_means_per_quarter_and_what_is_kept():
    quarter = np.array([0, 0, 1, 1])
    by_name = {tables.FULL: np.array([[0.4, 0.6, 1.0, 0.6]]), "x": np.array([[0.2, 0.4, 0.8, 0.8], [0.4, 0.0, 0.4, 0.4]])}
    table = tables.by_activity(by_name, quarter)
    assert len(table) == 2 + 4 and set(table["users"]) == {2}
    x = table[table["name"] == "x"]
    assert x.sort_values(["quarter", "seed"])["value"].tolist() == pytest.approx([0.3, 0.2, 0.8, 0.4])
    kept = tables.kept_by_activity(table)
    assert list(kept) == ["x"] and kept["x"] == pytest.approx({0: 0.25 / 0.5, 1: 0.6 / 0.8})
    assert tables.kept_by_activity(x) == {}


def test_published_kept_divides_figure_5_by_its_full_table():
    kept = tables.published_kept()
    assert set(kept) == {"gowalla", "yelp2018"} and all(list(k) == [0, 1, 2, 3] for k in kept.values())
    cell = {"dataset": "gowalla", "metric": "recall_min@20", "setting": "activity=75-100"}
    ours, full = (published.value(paper="baco", method=name, **cell) for name in ("baco", "lightgcn"))
    assert kept["gowalla"][3] == pytest.approx(ours / full) and 0.9 < kept["gowalla"][3] < 1
    assert kept["gowalla"][3] > tables.published_kept("graphhash")["gowalla"][3]


# ---- words ---------------------------------------------------------------------------------------------------------------------


def judged(*rows):
    return pd.DataFrame(rows, columns=["a", "difference", "verdict"]).assign(b="usual")


def test_outcome_counts_what_is_shown():
    mixed = judged(("p", 1.0, "a better"), ("q", -2.0, "b better"), ("r", 0.4, "unclear"), ("s", -0.1, "no difference shown"))
    said = tables.outcome("weights", mixed)
    assert (
        said
        == "weights: of 4 alternatives 1 shown better (p) and 1 shown worse (q) than the usual choice; differences -2.00 to +1.00 points."
    )
    assert "of 1 alternative 0 shown better and 0 shown worse" in tables.outcome(
        "ghosts", mixed.iloc[3:]
    ) and "-0.10 points" in tables.outcome("ghosts", mixed.iloc[3:])
    assert tables.outcome("ghosts", mixed.iloc[:0]) == "ghosts: not recorded."


def test_what_matters_orders_by_shown_differences_only():
    small = judged(("p", 0.5, "a better"), ("q", -9.0, "unclear"))
    large, nothing = judged(("r", -2.0, "b better")), judged(("s", 5.0, "no difference shown"))
    said = tables.what_matters({"weights": small, "sweeps": large, "ghosts": nothing, "second rows": nothing.iloc[:0]})
    expected = "By the largest difference shown: sweeps (2.00 points), weights (0.50 points). No difference is shown for ghosts."
    assert said == expected
    assert tables.what_matters({"ghosts": nothing}) == "No difference is shown for ghosts."
    assert "nothing can be said" in tables.what_matters({"ghosts": nothing.iloc[:0]})
