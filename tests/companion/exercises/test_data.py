import math

import numpy as np
import pytest

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import data as exercises


def dcg(gains, k):
    return sum(gain / math.log2(rank + 2) for rank, gain in enumerate(gains[:k]))


def both(hits, n_relevant, k):
    found = int(sum(hits))
    own = dcg([1] * found, k)
    return dcg(hits, k) / dcg([1] * n_relevant, k), dcg(hits, k) / own if own else 0.0


def test_ndcg_pair():
    exercises.check_ndcg_pair(both)

    def cut_before_sorting(hits, n_relevant, k):  # a common slip: the ideal list only sees the top K
        own = dcg(sorted(hits[:k], reverse=True), k)
        return dcg(hits, k) / dcg([1] * n_relevant, k), dcg(hits, k) / own if own else 0.0

    for wrong in (None, lambda h, n, k: both(h, n, k)[::-1], cut_before_sorting, lambda h, n, k: 0.0, lambda h: 0.0):
        with pytest.raises(ExerciseFailed):
            exercises.check_ndcg_pair(wrong)


def test_expected_hits():
    def right(k, above, hits_above, tied, hits_tied):
        return hits_above + hits_tied * min(k - above, tied) / tied

    exercises.check_expected_hits(right)
    no_cap = lambda k, above, hits_above, tied, hits_tied: hits_above + hits_tied * (k - above) / tied  # noqa: E731
    best_case = lambda k, above, hits_above, tied, hits_tied: hits_above + min(hits_tied, k - above)  # noqa: E731
    for wrong in (None, no_cap, best_case, lambda k: 0.0):
        with pytest.raises(ExerciseFailed):
            exercises.check_expected_hits(wrong)


def test_cold_items():
    degrees = np.array([1, 1, 3, 0, 12])
    exercises.check_cold_items(0.2 + 0.2 + 0.008 + 0.2**12, degrees, 0.8)
    for wrong in (None, 1.408, 0.2, "a few", [0.4]):
        with pytest.raises(ExerciseFailed):
            exercises.check_cold_items(wrong, degrees, 0.8)
