"""Paired tests of several pairs, the names of their verdicts, and the sentences made of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recq_lib.companion.analysis import paired as tables
from recq_lib.runs.records import RunRecord, RunSpec


def test_paired_corrects_over_the_pairs_that_exist():
    rng = np.random.default_rng(0)
    low, high = rng.random((3, 60)), rng.random((3, 60)) + 0.4
    twin = low + rng.normal(0, 1e-3, (3, 60))
    pairs = [("low", "high"), ("low", "absent"), ("high", "low"), ("twin", "low")]
    table = tables.paired({"low": low, "high": high, "twin": twin}, pairs, dict.fromkeys(("low", "high", "twin"), [0, 1, 2]))
    assert table[["a", "b"]].to_numpy().tolist() == [["low", "high"], ["high", "low"], ["twin", "low"]]
    raw = [stats.wilcoxon(a.mean(0) - b.mean(0)).pvalue for a, b in ((low, high), (high, low), (twin, low))]
    assert table["p_holm"].iloc[0] == pytest.approx(3 * min(raw)) and table["p_holm"].iloc[2] == pytest.approx(raw[2])
    assert table["difference"].tolist() == pytest.approx([100 * (a - b).mean() for a, b in ((low.mean(0), high.mean(0)),
        (high.mean(0), low.mean(0)), (twin.mean(0), low.mean(0)))])  # fmt: skip
    assert table["verdict"].tolist() == ["worse", "better", "equivalent"]
    assert table["seeds"].tolist() == ["0/3", "3/3", f"{sum((twin - low).mean(axis=1) > 0)}/3"]
    said = tables.sentences(table)
    assert said[0].startswith("low against high: worse (-") and said[1].startswith("high against low: better (+")
    assert "twin against low: equivalent" in said[2] and "over seeds, Holm p" in said[2]
    assert tables.paired({"low": low}, [("low", "high")], {"low": [0, 1, 2]}).empty


def test_pairs_are_compared_on_the_seeds_both_have_whatever_their_order():
    rng = np.random.default_rng(1)
    a, b, c = rng.random((3, 40)), rng.random((2, 40)), rng.random((1, 40))
    seeds = {"a": [2, 0, 1], "b": [1, 2], "c": [7]}
    table = tables.paired({"a": a, "b": b, "c": c}, [("a", "b"), ("a", "c")], seeds)
    assert table["b"].tolist() == ["b"] and table["seeds"].item().endswith("/2")  # a and c have no seed in common
    assert table["difference"].item() == pytest.approx(100 * (a[[2, 0]] - b).mean())
    differences = (a[[2, 0]] - b).mean(axis=1)
    ends = stats.t.interval(0.95, 1, 100 * differences.mean(), 100 * stats.sem(differences))
    assert table[["seed_low", "seed_high"]].iloc[0].tolist() == pytest.approx(ends)


def test_a_closed_form_stands_for_every_seed():
    """Its one run is compared with each of the other's three, so a verdict is possible; a method of one seed has none."""
    trained = np.random.default_rng(2).random((3, 40)) / 10 + 0.5
    fixed = np.full((1, 40), 0.2)
    seeds = {"trained": [0, 1, 2], "closed": [tables.ANY_SEED], "once": [1], "also closed": [tables.ANY_SEED]}
    values = {"trained": trained, "closed": fixed, "once": fixed, "also closed": fixed}
    pairs = [("trained", "closed"), ("closed", "trained"), ("trained", "once"), ("closed", "also closed")]
    table = tables.paired(values, pairs, seeds)
    assert table["verdict"].tolist() == ["better", "worse", "undecided", "undecided"]
    assert table["seeds"].tolist() == ["3/3", "0/3", "1/1", "0/1"]
    ends = stats.t.interval(0.95, 2, 100 * trained.mean() - 20, 100 * stats.sem(trained.mean(axis=1)))
    assert table[["seed_low", "seed_high"]].iloc[0].tolist() == pytest.approx(ends)


def test_named_marks_closed_forms():
    runs = [RunRecord(RunSpec(method, "a", seed, "smoke", {}, "f"), {}) for method, seed in (("mostpop", 0), ("lightgcn", 2))]
    assert tables.named(runs, lambda run: run.spec.method)["seed"].tolist() == [tables.ANY_SEED, 2]


# ---- verdicts ----------------------------------------------------------------------------------------------------------------


def judged(*rows):
    return pd.DataFrame([("BACO", *row) for row in rows], columns=["a", "b", "difference", "p_holm", "verdict"])


TESTS = judged(
    ("full table", -1.3, 1e-9, "worse"),
    ("Random", 4.0, 0.012, "better"),
    ("SCC", 0.2, 0.4, "undecided"),
    ("x", 1, 0.01, "equivalent"),
)


def test_verdicts_name_the_better_side():
    shown = tables.to_show(TESTS)
    assert shown["verdict"].tolist() == ["full table better", "BACO better", "undecided", "equivalent"]
    assert shown["p_holm"].tolist() == ["< 0.001", "0.012", "0.400", "0.010"]
    assert tables.shown(TESTS).tolist() == [True, True, False, False]
    assert tables.better_and_worse(TESTS, "b") == (["Random"], ["full table"])
    assert tables.counts(TESTS, "b") == (
        "better 1 (Random +4.00); worse 1 (full table -1.30); equivalent 1 (x +1.00); undecided 1 (SCC +0.20)"
    )


def test_lead_in_words_counts_baselines_and_names_what_is_not_beaten():
    expected = (
        "of 2 baselines with records, points of Recall, BACO is better 1 (Random +4.00); worse 0; equivalent 0; undecided 1 (SCC +0.20); "
        "beside full table (-1.30 points): full table better."
    )
    assert tables.lead_in_words(TESTS.iloc[:3], ["Random", "SCC", "LP"]) == expected
    alone = "of 1 baselines with records, points of Recall, BACO is better 1 (Random +4.00); worse 0; equivalent 0; undecided 0."
    assert tables.lead_in_words(TESTS.iloc[1:2], ["Random"]) == alone
    worse = tables.lead_in_words(TESTS.iloc[:1], ["full table"])
    assert worse.endswith("BACO is better 0; worse 1 (full table -1.30); equivalent 0; undecided 0.")
