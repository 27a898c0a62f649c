import numpy as np
import pytest

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import baco as exercises
from recq_lib.data.toy import toy

GROUPS = np.array([0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1])


def fails(check, *answers_and_rest):
    with pytest.raises(ExerciseFailed):
        check(*answers_and_rest)


def dense_objective(labels, gamma):
    """Cell by cell; released weights of the toy are d_u/√13 and d_v/√5."""
    matrix = toy().train.toarray().astype(np.float64)
    total = 0.0
    for u in range(6):
        for v in range(5):
            if labels[u] == labels[6 + v]:
                total += matrix[u, v] - gamma * matrix[u].sum() / 13**0.5 * matrix[:, v].sum() / 5**0.5
    return total


@pytest.mark.parametrize("node, to", [(2, 1), (8, 1), (5, 0), (0, 0)])
def test_move_is_the_difference_of_two_objectives(node, to):
    after = GROUPS.copy()
    after[node] = to
    right = dense_objective(after, 0.5) - dense_objective(GROUPS, 0.5)
    exercises.check_move(right, toy(), GROUPS, node, to, 0.5)
    exercises.check_move(round(right, 4), toy(), GROUPS, node, to, 0.5)
    for wrong in (None, right + 0.01, right - 2, "much", [right, right]):
        fails(exercises.check_move, wrong, toy(), GROUPS, node, to, 0.5)
    assert GROUPS.tolist() == [0, 0, 0, 1, 1, 1, 0, 0, 0, 1, 1]  # the caller's labels stay


def test_gini_passes_the_area_between_the_lorenz_curve_and_the_diagonal():
    def by_area(sizes):
        lorenz = np.concatenate([[0], np.cumsum(np.sort(sizes))]) / sizes.sum()
        return 1 - (lorenz[1:] + lorenz[:-1]).mean()

    exercises.check_gini(by_area)
    wrong = (
        None,
        lambda sizes: 0.0,
        lambda sizes: by_area(sizes) * sizes.size / max(sizes.size - 1, 1),  # the sample correction
        lambda sizes: 1 - (np.concatenate([[0], np.cumsum(sizes)]) / sizes.sum())[1:].mean(),  # not sorted
        lambda sizes: sizes.std() / sizes.mean(),
        lambda sizes: [0.1, 0.2],
        lambda: 0.0,
    )
    for answer in wrong:
        fails(exercises.check_gini, answer)


def test_gini_failure_tells_the_sizes():
    with pytest.raises(ExerciseFailed, match=r"sizes \[1, 9\]"):
        exercises.check_gini(lambda sizes: 0.0)


def test_gamma_makes_the_two_null_terms_equal():
    exercises.check_gamma(lambda resolution, data: resolution * (data.n_items / data.n_train) ** 0.5)
    wrong = (
        None,
        lambda resolution, data: resolution,
        lambda resolution, data: resolution * data.n_items / data.n_train,
        lambda resolution, data: resolution * (data.n_users / data.n_train) ** 0.5,
        lambda resolution, data: resolution * (data.n_train / data.n_items) ** 0.5,
        lambda resolution: resolution,
        lambda resolution, data: "high",
    )
    for answer in wrong:
        fails(exercises.check_gamma, answer)
