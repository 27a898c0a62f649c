"""GSTE − STE by setting, from records made by hand, and what is said about it."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recq_lib.companion.analysis import hessian as tables
from recq_lib.companion.analysis.verdict import BETTER, EQUIVALENT, UNDECIDED, WORSE
from recq_lib.companion.studies import study as studies
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord, RunSpec

USERS = 60


# ---- runs --------------------------------------------------------------------------------------------------------------------


def run(estimator, seed=0, hits=None, bits=1, bounds="fixed", warm=True, dataset="tiny", best=5, correction=0.1, value=0.2, **options):
    option = {"bits": bits, "bounds": bounds, "warm_start": warm, "estimator": estimator, "refresh": 1, "trace": "closed"} | options
    history = [{"epoch": e, "loss": 1.0, "users_correction": 9.0 * (e == 0) + correction, "items_correction": 0.0} for e in range(3)]
    hits = np.zeros(USERS, int) if hits is None else hits
    return RunRecord(
        spec=RunSpec("hq-gnn", dataset, seed, "smoke", {"dim": 8} | {f"option.{k}": v for k, v in option.items()}, "f"),
        metrics={"recall@50": value if hits is None else float((hits / 4).mean())},
        per_user={"users": np.arange(USERS), "n_test": np.full(USERS, 4), "hits@50": hits},
        history=history,
        timings={"best_epoch": float(best)},
    )


def test_runs_table_reads_options_and_leaves_out_the_first_epoch():
    plain = RunRecord(RunSpec("lightgcn", "tiny", 2, "smoke", {}, "f"), {"recall@50": 0.4}, timings={"best_epoch": 1.0})
    records = [run("gste"), run("gste", refresh=10), run("gste", trace="hutchinson", warm=False), run("ste", correction=0.0, best=0), plain]
    table = tables.runs_table(records)
    assert table["measured"].tolist() == ["every epoch", "every 10 epochs", "Hutchinson", "every epoch", "every epoch"]
    assert table["correction"].tolist() == pytest.approx([0.05, 0.05, 0.05, 0, 0])
    assert table["estimator"].tolist() == ["gste", "gste", "gste", "ste", tables.FULL]
    assert table["bits"].tolist() == [1, 1, 1, 1, 0] and table["kept"].tolist() == [5, 5, 5, 0, 1]
    assert table["warm"].tolist() == [True, True, False, True, False]


def test_varied_counts_what_the_plans_combine():
    table = tables.varied(studies.plans("hessian", "smoke"))
    row = table.iloc[0].to_dict()
    assert len(table) == 1 and row["seeds"] == 5 and row["estimators"] == "STE, GSTE"
    assert (row["start"], row["δ measured"], row["bits"], row["code scale"]) == ("warm", "every epoch", "1, 2", "one scale, codes ±1")


@pytest.fixture
def recorded(tmp_path, monkeypatch):
    """Four seeds: GSTE one hit ahead with codes of ±1, one behind with 2 bits, equal with one scale; a way of measuring of its own."""
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))
    rng, records = np.random.default_rng(0), []
    for seed in range(4):
        hits = rng.integers(1, 3, USERS)
        some = rng.random(USERS) < 0.5 + 0.1 * seed
        records += [run("ste", seed, hits), run("gste", seed, hits + some), run("gste", seed, hits + some, refresh=10)]
        records += [run("ste", seed, hits, bits=2), run("gste", seed, hits - some, bits=2)]
        records += [run("ste", seed, hits + 1, bounds="learn", best=0), run("gste", seed, hits + 1, bounds="learn", best=0)]
    records += [run("gste", 0, bits=4)]
    for record in records:
        results.save(record)
    return records


def test_differences_pair_seeds_and_users(recorded):
    found = tables.differences(tables.runs_table(recorded)).set_index("setting")
    fixed, two, learn = "1 bit, codes ±1, warm start", "2 bits, codes ±1, warm start", "1 bit, one scale, warm start"
    assert set(found.index) == {fixed, two, learn, f"{fixed}, δ every 10 epochs"}  # 4 bits have no STE to compare with
    by_seed = {r.spec.seed: r.metrics["recall@50"] for r in recorded[:-1] if r.spec.params["option.bits"] == 2 and _estimator(r) == "ste"}
    of_gste = {r.spec.seed: r.metrics["recall@50"] for r in recorded[:-1] if r.spec.params["option.bits"] == 2 and _estimator(r) == "gste"}
    gste, ste = ([100 * part[seed] for seed in range(4)] for part in (of_gste, by_seed))
    paired = stats.ttest_rel(gste, ste)
    assert found.loc[two, "difference"] == pytest.approx(np.mean(gste) - np.mean(ste))
    assert (found.loc[two, "low"], found.loc[two, "high"]) == pytest.approx(tuple(paired.confidence_interval(0.95)))
    assert found["verdict"].to_dict() == {
        fixed: BETTER,
        two: WORSE,
        learn: EQUIVALENT,  # one model: the difference is 0 in every seed, for every user
        f"{fixed}, δ every 10 epochs": BETTER,
    }
    assert found.loc[learn, ["difference", "low", "high", "p_holm", "idle"]].tolist() == [0, 0, 0, 1, 4]
    matrices = [np.stack([r.per_user["hits@50"] / 4 for r in recorded[:-1] if r.spec.params["option.bits"] == 2 and _estimator(r) == e])
                for e in ("gste", "ste")]  # fmt: skip
    over_users = matrices[0].mean(axis=0) - matrices[1].mean(axis=0)
    assert found["p_holm"].max() <= 1 and found.loc[two, "p_holm"] >= stats.wilcoxon(over_users).pvalue
    assert found.loc[two, "user_low"] < 100 * over_users.mean() < found.loc[two, "user_high"]


def _estimator(record):
    return record.spec.params["option.estimator"]


def test_one_seed_shows_nothing(recorded):
    found = tables.differences(tables.runs_table([r for r in recorded if r.spec.seed == 0]))
    assert (found["verdict"] == UNDECIDED).all() and found["low"].isna().all()


def test_nothing_recorded_says_so():
    found = tables.differences(tables.runs_table([run("ste")]))
    assert found.empty and tables.scale_or_estimator(found).empty
    assert "nothing can be said" in tables.plain_words(found, tables.scale_or_estimator(found))


# ---- words -------------------------------------------------------------------------------------------------------------------


def rows(*entries):
    columns = ["dataset", "bits", "bounds", "ste", "difference", "correction", "verdict", "idle"]
    table = pd.DataFrame([(*entry, 0)[:8] for entry in entries], columns=columns).assign(warm=True, measured=tables.EVERY_EPOCH, seeds=3)
    table["setting"] = [tables.setting_name(row.bits, row.bounds, row.warm) for row in table.itertuples()]
    return table


def test_scale_or_estimator_compares_within_a_group():
    found = rows(
        ("a", 1, "scale", 30.0, 0.1, 0.01, UNDECIDED),
        ("a", 1, "fixed", 25.0, -2.0, 0.2, WORSE),
        ("a", 2, "fixed", 35.0, 1.0, 0.1, BETTER),
    )
    (row,) = tables.scale_or_estimator(found).to_dict("records")
    assert (row["bits"], row["best"], row["best_ste"], row["verdict"], row["idle"]) == (1, "scale", 30.0, UNDECIDED, False)
    assert (row["scale"], row["estimator"], row["at_best"]) == pytest.approx((5.0, 2.0, 0.1))


def said(*entries):
    found = rows(*entries)
    return tables.plain_words(found, tables.scale_or_estimator(found))


def test_plain_words_follow_the_records():
    short, long = ("a", 1, "scale", 30.0, 0.1, 0.01, UNDECIDED), ("a", 1, "fixed", 25.0, 2.0, 0.2, BETTER)
    text = said(short, long)
    assert "GSTE better: 1 bit, codes ±1, warm start on a (+2.00)." in text and "GSTE worse" not in text
    assert "GSTE against STE: better in 1, worse in 0, equivalent in 0, undecided in 1 of 2." in text
    assert "Undecided, the mean differences there: +0.10 points." in text
    assert (
        "larger of the two in 1 of 1" in text and "So: choose the code scale first; under the best one no gain from GSTE is shown." in text
    )
    assert "under the best one GSTE is worth its small price" in said((*short[:6], BETTER), long)
    assert "under the best one GSTE does harm" in said((*short[:6], WORSE), long)
    near = said(short, ("a", 1, "fixed", 29.0, 2.0, 0.2, BETTER))
    assert "So: the estimator moves as much as the code scale" in near
    assert "Spearman" not in text  # two settings give no trend


def test_plain_words_set_settings_aside_that_never_felt_the_estimator():
    idle = ("a", 1, "scale", 30.0, 0.0, 0.3, UNDECIDED, 3)
    text = said(idle, ("a", 1, "fixed", 25.0, 2.0, 0.2, BETTER))
    assert "In 1 of them every seed kept its first epoch" in text and "Undecided" not in text
    assert "(in 1 of them δ did not act)" in text and "smallest +2.00" in text
    assert "GSTE" not in said(idle).split("\n")[0] and len(said(idle).split("\n")) == 2


@pytest.mark.parametrize(("sign", "words"), [(1, "grows with"), (-1, "falls with")])
def test_plain_words_name_the_trend(sign, words):
    entries = [("a", b, "fixed", 30.0, sign * 0.1 * b, 0.01 * b, UNDECIDED) for b in range(1, 7)]
    assert f"the difference {words} the correction (Spearman {sign:+.2f}" in said(*entries)


# ---- every recorded row --------------------------------------------------------------------------------------------------------


def test_every_way_of_measuring_is_counted_and_positive_rows_are_listed(recorded):
    """A row that is measured otherwise than every epoch counts like the others, in tables, words and the group's largest effect."""
    found = tables.differences(tables.runs_table(recorded))
    assert len(found) == 4 and set(found["measured"]) == {"every epoch", "every 10 epochs"}
    text = tables.plain_words(found, tables.scale_or_estimator(found))
    acting = found[found["idle"] < found["seeds"]]
    better, worse = (int((acting["verdict"] == word).sum()) for word in (BETTER, WORSE))
    assert (better, worse) == (2, 1) and f"better in {better}, worse in {worse}, equivalent in 0, undecided in 0 of 3." in text
    assert "Settings compared: 4" in text and "δ measured every epoch in 3, every 10 epochs in 1" in text
    assert "GSTE's mean is higher in 2 of 3: " in text and "δ every 10 epochs on tiny (+" in text and ", better)" in text


def test_the_largest_effect_of_a_group_may_be_one_measured_otherwise():
    found = rows(("a", 1, "scale", 30.0, 0.1, 0.01, UNDECIDED), ("a", 1, "fixed", 25.0, -0.5, 0.2, UNDECIDED))
    seldom = found.iloc[[0]].assign(measured="every 10 epochs", difference=3.0, verdict=BETTER)
    (row,) = tables.scale_or_estimator(pd.concat([found, seldom], ignore_index=True)).to_dict("records")
    assert (row["estimator"], row["at_best"], row["verdict"]) == (3.0, 3.0, BETTER)
