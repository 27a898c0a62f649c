"""Clustering benchmarks: the growing graph is what it says, and the parts run."""

from __future__ import annotations

import numpy as np
import pytest

from recq_lib.companion.bench import clustering
from recq_lib.companion.bench import run as bench
from recq_lib.data.synthetic import SyntheticConfig, generate


def test_growing_graphs_have_the_degrees_they_promise():
    data = clustering.growing(20_000, seed=1)
    assert (data.n_users, data.n_items) == (800, 400)
    degrees = np.diff(data.train.indptr)
    assert degrees.max() <= 25 and 0.9 * 20_000 < data.n_train <= 20_000
    by_item = np.bincount(data.train.indices, minlength=400)
    assert by_item[:100].mean() > 2 * by_item[300:].mean()  # a long tail
    assert np.array_equal(clustering.growing(20_000, seed=1).train.indices, data.train.indices)
    assert not np.array_equal(clustering.growing(20_000, seed=2).train.indices, data.train.indices)


def test_contenders_are_compared_in_one_run():
    data = generate(SyntheticConfig(n_users=800, n_items=600, n_interactions=5000, seed=0))
    rows = clustering.clustering(data, 1, resolution=50.0)
    assert [row["contender"] for row in rows] == ["recq", "scikit-network Louvain", "scikit-network Leiden"]
    assert rows[0]["ratio"] == 1 and all(row["median"] > 0 for row in rows)


@pytest.mark.slow
def test_growth_reports_time_and_memory_of_each_size():
    rows = clustering.growth(clustering.growing(1000), 1, edges=(2000, 4000))
    assert [row["edges"] for row in rows] == [clustering.growing(2000).n_train, clustering.growing(4000).n_train]
    assert all(row["peak_mb"] >= row["loaded_mb"] > 0 and row["seconds"] >= row["sweep"] > 0 for row in rows)
    outcome = {"dataset": "x", "provenance": {"device_name": "cpu", "threads": 1}, "rows": rows}
    assert "edges" in bench.as_text(outcome) and "peak" in bench.as_text(outcome)
