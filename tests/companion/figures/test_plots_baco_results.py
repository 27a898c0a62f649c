"""What the figures of notebook 05's results show: the numbers in the artists, not the pixels."""

import numpy as np
import pandas as pd
import pytest
from helpers import baco_record

from recq_lib.companion import published
from recq_lib.companion.figures import baco_results as plots
from recq_lib.config import protocol


def test_beside_rows_take_records_of_the_papers_protocol_only():
    chosen = [baco_record("baco", s, recall=0.06 + 0.01 * s, gamma=0.1308) for s in (0, 1)]
    chosen += [baco_record("random-hash", recall=0.03), baco_record("leiden", recall=0.05, resolution=200.5)]
    others = [
        baco_record("baco", 2, recall=0.9, scu=False),
        baco_record("baco", 3, recall=0.9, ratio=0.1),
        baco_record("lightgcn", recall=0.9, config=protocol("baco", lr=0.01)),
        baco_record("scc", recall=0.9, dataset="lastfm"),
    ]
    table = plots.beside_rows(chosen + others, "beauty", "recall_min@10").set_index("method")
    assert len(table) == 20 and table["published"].notna().all()
    assert table.loc["baco", ["ours", "seeds"]].tolist() == [pytest.approx(6.5), 2]
    assert table.loc["baco", "half_width"] == pytest.approx(12.706205 * 0.5, rel=1e-5)  # Student's t with one degree of freedom
    assert table.loc["baco", "published"] == published.value(paper="baco", dataset="beauty", method="baco", metric="recall_min@10")
    assert table.loc["random", "ours"] == pytest.approx(3) and table.loc["leiden", "ours"] == pytest.approx(5)
    assert table.loc["baco", "difference"] == pytest.approx(6.5 - table.loc["baco", "published"])
    missing = table.loc[["lightgcn", "scc"]]
    assert missing["ours"].isna().all() and (missing["seeds"] == 0).all()


def test_beside_rows_take_our_split_of_the_same_data_and_other_protocols_on_request():
    large = protocol("baco", lr=0.01, batch_size=16384)
    records = [
        baco_record("baco", recall=0.11, dataset="gowalla-resplit"),
        baco_record("scc", recall=0.10, dataset="gowalla-resplit", config=large),
        baco_record("scc", recall=0.90, dataset="yelp2018-resplit", config=large),
    ]
    strict = plots.beside_rows(records, "gowalla", "recall_min@10").set_index("method")["ours"].dropna()
    assert strict.to_dict() == {"baco": pytest.approx(11)}
    free = plots.beside_rows(records, "gowalla", "recall_min@10", any_protocol=True).set_index("method")["ours"].dropna()
    assert free.to_dict() == {"baco": pytest.approx(11), "scc": pytest.approx(10)}


def test_beside_published_is_sorted_and_shows_ours_where_there_is_one():
    table = pd.DataFrame(
        {
            "method": ["baco", "random", "leiden"], "label": ["BACO", "Random", "Leiden"], "published": [6.3, 3.0, 5.5],
            "ours": [6.0, np.nan, 5.0], "half_width": [0.2, np.nan, np.nan],
        }
    )  # fmt: skip
    ax, other = plots.beside_published({"t": table, "two of them": table.iloc[:2]}, "x").axes
    assert ax.get_title(loc="left") + ax.get_title() == "t" and len(other.get_yticks()) == 2
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Random", "Leiden", "BACO"]
    diamonds = [line.get_xydata()[0].tolist() for line in ax.get_lines() if line.get_marker() == "D" and len(line.get_xydata())]
    assert diamonds == [[3.0, 0], [5.5, 1], [6.3, 2]]
    dots = [line for line in ax.get_lines() if line.get_marker() == "o" and len(line.get_xydata())]
    assert [dot.get_xydata()[0].tolist() for dot in dots] == [[5.0, 1], [6.0, 2]]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [True, False]  # one seed, several
    widths = [np.ptp(segments.get_segments()[0][:, 0]) for segments in ax.collections]
    assert widths == pytest.approx([0, 0.4])
    wide = table.assign(half_width=[2.0, np.nan, np.nan])
    assert plots.beside_published({"t": wide}, "x").axes[0].get_xlim()[1] > 8.0  # the whole interval of BACO


def paired_rows(*rows):
    return pd.DataFrame(rows, columns=["other", "mean_difference", "low", "high", "verdict"])


TESTS = paired_rows(
    ("full table", -1.3, -1.7, -0.9, "full table better"),
    ("Random", 4.0, 3.5, 4.5, "BACO better"),
    ("SCC", 0.2, -0.1, 0.5, "no difference shown"),
)


def test_lead_is_sorted_and_hollow_where_no_test_shows_it():
    ax = plots.lead(TESTS, "BACO", "t").axes[0]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["Random", "SCC", "full table"]
    dots = [line for line in ax.get_lines() if line.get_marker() == "o"]
    assert [dot.get_xydata()[0].tolist() for dot in dots] == [[4.0, 0], [0.2, 1], [-1.3, 2]]
    assert [dot.get_markerfacecolor() == "white" for dot in dots] == [False, True, False]
    bars = [line.get_xdata() for line in ax.get_lines() if line.get_marker() != "o" and len(set(line.get_ydata())) == 1]
    assert [list(bar) for bar in bars] == [[3.5, 4.5], [-0.1, 0.5], [-1.7, -0.9]]


def test_lead_in_words_counts_baselines_and_names_what_is_not_beaten():
    expected = (
        "of 2 baselines with records BACO is shown better than 1; no difference shown to SCC (+0.20 points); "
        "beside full table (-1.30 points): full table better."
    )
    assert plots.lead_in_words(TESTS, "BACO", ["Random", "SCC", "LP"]) == expected
    assert plots.lead_in_words(TESTS.iloc[1:2], "BACO", ["Random"]) == "of 1 baselines with records BACO is shown better than 1."
    worse = plots.lead_in_words(TESTS.iloc[:1], "BACO", ["full table"])
    assert worse == "of 1 baselines with records BACO is shown better than 0; shown worse than full table (-1.30 points)."


def test_kept_beside_shows_ours_filled_and_published_hollow_in_one_colour():
    ours, theirs = {"BACO": {0: 0.9, 1: 0.8}, "GraphHash": {0: 0.7, 1: 0.6}}, {"BACO": {0: 0.95, 1: 0.85}}
    left, right = plots.kept_beside({"a": (ours, theirs), "b": (ours, {})}, ["0-50", "50-100"]).axes
    found = {line.get_label(): line for line in left.get_lines()}
    assert found["BACO, ours"].get_xydata().tolist() == [[0, 0.9], [1, 0.8]]
    assert found["BACO, published"].get_xydata().tolist() == [[0, 0.95], [1, 0.85]]
    assert found["BACO, ours"].get_color() == found["BACO, published"].get_color() != found["GraphHash, ours"].get_color()
    assert found["BACO, published"].get_markerfacecolor() == "white" != found["BACO, ours"].get_markerfacecolor()
    assert len(right.get_lines()) == 2 and [label.get_text() for label in right.get_xticklabels()] == ["0-50 %", "50-100 %"]
