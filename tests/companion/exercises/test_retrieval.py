import numpy as np
import pytest

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import retrieval as exercises


def test_node_bytes():
    exercises.check_node_bytes(lambda d, segments, bits: segments * (8 * bits * ((d + 63) // 64) + 4))
    for wrong in (None, lambda d, segments, bits: segments * (bits * -(-d // 8) + 4), lambda d, segments, bits: 112, lambda d: 1):
        with pytest.raises(ExerciseFailed):
            exercises.check_node_bytes(wrong)


def test_score():
    def right(user, item, factors, d):
        total = 0.0
        for u, i, f in zip(user, item, factors):
            total += f * sum(1 if (u >> k & 1) == (i >> k & 1) else -1 for k in range(d))
        return total

    exercises.check_score(right)
    for wrong in (None, lambda user, item, factors, d: sum((u ^ i).bit_count() for u, i in zip(user, item)), lambda user: 0.0):
        with pytest.raises(ExerciseFailed):
            exercises.check_score(wrong)


def test_candidates():
    def right(products, factors, k):
        best = sorted(range(len(products)), key=lambda i: -factors[i] * products[i])[:k]
        return sum(1 for product in products if product >= min(products[i] for i in best))

    exercises.check_candidates(right)
    for wrong in (None, lambda products, factors, k: k, lambda products, factors, k: len(products), lambda products: np.nan):
        with pytest.raises(ExerciseFailed):
            exercises.check_candidates(wrong)
