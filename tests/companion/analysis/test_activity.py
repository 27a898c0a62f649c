"""Quarters of users and what is kept in each, against values by hand and the paper's figure."""

import numpy as np
import pytest

from recq_lib.companion import published
from recq_lib.companion.analysis import activity as tables
from recq_lib.companion.analysis.weighting import FULL


def test_quarters_keep_equal_degrees_together():
    assert tables.quarters(np.array([4, 1, 3, 2, 8, 7, 6, 5])).tolist() == [1, 0, 1, 0, 3, 3, 2, 2]
    found = tables.quarters(np.array([5, 5, 5, 5, 9]))
    assert found[:4].tolist() == [0, 0, 0, 0] and found[4] == 3


def test_by_activity_means_per_quarter_and_what_is_kept():
    quarter = np.array([0, 0, 1, 1])
    by_name = {FULL: np.array([[0.4, 0.6, 1.0, 0.6]]), "x": np.array([[0.2, 0.4, 0.8, 0.8], [0.4, 0.0, 0.4, 0.4]])}
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
