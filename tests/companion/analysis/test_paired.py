"""Paired tests of several pairs, the names of their verdicts, and the sentences made of them."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from recq_lib.companion.analysis import paired as tables


def test_paired_corrects_over_the_pairs_that_exist():
    rng = np.random.default_rng(0)
    low, high = rng.random((3, 60)), rng.random((2, 60)) + 0.4
    twin = low + rng.normal(0, 1e-3, (3, 60))
    table = tables.paired({"low": low, "high": high, "twin": twin}, [("low", "high"), ("low", "absent"), ("high", "low"), ("twin", "low")])
    assert table[["a", "b"]].to_numpy().tolist() == [["low", "high"], ["high", "low"], ["twin", "low"]]
    raw = [stats.wilcoxon(a.mean(0) - b.mean(0)).pvalue for a, b in ((low, high), (high, low), (twin, low))]
    assert table["p_holm"].iloc[0] == pytest.approx(3 * min(raw)) and table["p_holm"].iloc[2] == pytest.approx(raw[2])
    assert table["difference"].tolist() == pytest.approx([100 * (a - b).mean() for a, b in ((low.mean(0), high.mean(0)),
        (high.mean(0), low.mean(0)), (twin.mean(0), low.mean(0)))])  # fmt: skip
    assert table["verdict"].tolist() == ["b better", "a better", "no difference shown"]
    assert table["seeds"].tolist() == ["0/2", "2/2", f"{sum((twin - low).mean(axis=1) > 0)}/3"]
    said = tables.sentences(table)
    assert said[0].startswith("low against high: worse (-") and said[1].startswith("high against low: better (+")
    assert "no difference shown" in said[2]
    assert tables.paired({"low": low}, [("low", "high")]).empty


# ---- verdicts ----------------------------------------------------------------------------------------------------------------


def judged(*rows):
    return pd.DataFrame([("BACO", *row) for row in rows], columns=["a", "b", "difference", "p_holm", "verdict"])


TESTS = judged(
    ("full table", -1.3, 1e-9, "b better"),
    ("Random", 4.0, 0.012, "a better"),
    ("SCC", 0.2, 0.4, "no difference shown"),
    ("x", 1, 0.01, "unclear"),
)


def test_verdicts_name_the_better_side():
    shown = tables.to_show(TESTS)
    assert shown["verdict"].tolist() == ["full table better", "BACO better", "no difference shown", "unclear"]
    assert shown["p_holm"].tolist() == ["< 0.001", "0.012", "0.400", "0.010"]
    assert tables.shown(TESTS).tolist() == [True, True, False, False]
    assert tables.better_and_worse(TESTS, "b") == (["Random"], ["full table"])


def test_lead_in_words_counts_baselines_and_names_what_is_not_beaten():
    expected = (
        "of 2 baselines with records BACO is shown better than 1; no difference shown to SCC (+0.20 points); "
        "beside full table (-1.30 points): full table better."
    )
    assert tables.lead_in_words(TESTS.iloc[:3], ["Random", "SCC", "LP"]) == expected
    assert tables.lead_in_words(TESTS.iloc[1:2], ["Random"]) == "of 1 baselines with records BACO is shown better than 1."
    worse = tables.lead_in_words(TESTS.iloc[:1], ["full table"])
    assert worse == "of 1 baselines with records BACO is shown better than 0; shown worse than full table (-1.30 points)."
