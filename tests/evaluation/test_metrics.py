import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.evaluation import metrics


def naive(hits: list[bool], n_relevant: int, k: int) -> dict[str, float]:
    found = sum(hits[:k])
    gain = sum(1 / math.log2(rank + 2) for rank in range(k) if hits[rank])

    def ideal(m):
        return sum(1 / math.log2(rank + 2) for rank in range(m))

    own = ideal(min(k, sum(hits)))
    return {
        "recall": found / n_relevant,
        "recall_min": found / min(k, n_relevant),
        "precision": found / k,
        "ndcg": gain / ideal(min(k, n_relevant)),
        "ndcg_authors": gain / own if own else 0.0,
    }


def test_hand_values():
    hits = np.array([[False, True, False, True]])
    got = metrics.per_user(hits, np.array([3]), 2)
    assert got["recall"][0] == pytest.approx(1 / 3)
    assert got["recall_min"][0] == pytest.approx(1 / 2)
    assert got["precision"][0] == pytest.approx(1 / 2)
    assert got["ndcg"][0] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    # two hits were retrieved in the whole list, so the authors' ideal holds two
    assert got["ndcg_authors"][0] == pytest.approx((1 / math.log2(3)) / (1 + 1 / math.log2(3)))
    assert metrics.per_user(hits[:, :2], np.array([3]), 2)["ndcg_authors"][0] == pytest.approx(1 / math.log2(3))


@given(st.data())
def test_equals_naive_loop(data):
    k_max = data.draw(st.integers(1, 12))
    rows = data.draw(st.lists(st.lists(st.booleans(), min_size=k_max, max_size=k_max), min_size=1, max_size=5))
    n_relevant = [max(1, sum(row) + data.draw(st.integers(0, 5))) for row in rows]
    k = data.draw(st.integers(1, k_max))
    got = metrics.per_user(np.array(rows), np.array(n_relevant), k)
    for index, row in enumerate(rows):
        for name, value in naive(row, n_relevant[index], k).items():
            assert got[name][index] == pytest.approx(value, abs=1e-12)
            assert 0 <= got[name][index] <= 1 + 1e-12


def test_perfect_and_worst_ranking():
    perfect = metrics.per_user(np.ones((2, 5), bool), np.array([5, 9]), 5)
    assert perfect["recall"].tolist() == [1.0, 5 / 9]
    for name in ("recall_min", "precision", "ndcg", "ndcg_authors"):
        assert perfect[name] == pytest.approx([1, 1])
    worst = metrics.per_user(np.zeros((2, 5), bool), np.array([5, 9]), 5)
    assert all(not values.any() for values in worst.values())


def test_coverage_counts_distinct_items():
    assert metrics.coverage(np.array([[0, 1], [1, -1]]), 8) == 0.25


def test_bad_cutoffs_are_refused():
    with pytest.raises(ConfigError, match="K is 6"):
        metrics.per_user(np.zeros((1, 5), bool), np.array([1]), 6)
    with pytest.raises(ConfigError, match="no Recall"):
        metrics.per_user(np.zeros((1, 5), bool), np.array([0]), 5)
