import numpy as np
import pytest
import torch

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import hq_gnn as exercises


def fails(check, *answer_and_rest):
    with pytest.raises(ExerciseFailed):
        check(*answer_and_rest)


def test_score_of_codes_done_by_hand():
    # 3·x/1.5 = (1.8, -0.2, 5, -9) -> (1, -1, 3, -3) and (2.4, 2.2, -4, 0.6) -> (3, 3, -3, 1)
    user, item = (0.9, -0.1, 2.5, -4.5), (1.2, 1.1, -2.0, 0.3)
    right = 1 * 3 + -1 * 3 + 3 * -3 + -3 * 1
    exercises.check_score(right, user, item, 2, 1.5)
    for wrong in (None, right + 2, -right, "twelve", [1, 2]):
        fails(exercises.check_score, wrong, user, item, 2, 1.5)
    fails(exercises.check_score, right, user, item, 1, 1.5)
    exercises.check_score(1 - 1 - 1 - 1, user, item, 1, 1.5)  # signs agree in the first value only


def by_loops(q_user, q_items, bits):
    top = 2**bits - 1
    return [sum((2 * int(a) - top) * (2 * int(b) - top) for a, b in zip(q_user, row)) for row in q_items]


def test_item_scores_may_differ_by_a_constant_only():
    exercises.check_item_scores(by_loops)
    exercises.check_item_scores(lambda u, i, b: 4 * i @ u - 2 * (2**b - 1) * i.sum(1))
    wrong = (
        None,
        lambda u, i, b: i @ u,
        lambda u, i, b: 4 * i @ u - (2**b - 1) * i.sum(1),
        lambda u, i, b: 2 * np.array(by_loops(u, i, b)),
        lambda u, i, b: by_loops(u, i, b)[:-1],
        lambda u, i, b: np.array(by_loops(u, i, b))[:, None],
        lambda u, i: i @ u,
    )
    for answer in wrong:
        fails(exercises.check_item_scores, answer)


def by_differences(user, positive, negative):
    """Central second differences of the loss in every number, in plain numpy."""

    def loss(z):
        s_ui, s_uj = (z[0] * z[1]).sum(1), (z[0] * z[2]).sum(1)
        return (np.log1p(np.exp(-s_ui)) + np.log1p(np.exp(s_uj))).mean()

    z, step, total = np.stack([t.numpy() for t in (user, positive, negative)]), 1e-3, 0.0
    for place in np.ndindex(z.shape):
        up, down = z.copy(), z.copy()
        up[place] += step
        down[place] -= step
        total += (loss(up) + loss(down) - 2 * loss(z)) / step**2
    return total


def closed_form(user, positive, negative, share=1.0):
    def weight(score):
        return torch.sigmoid(score) * torch.sigmoid(-score)

    own = user.square().sum(1)
    first = weight((user * positive).sum(1)) * (positive.square().sum(1) + own)
    second = weight((user * negative).sum(1)) * (negative.square().sum(1) + share * own)
    return (first + second).mean()


def test_bce_trace_from_second_differences_and_in_closed_form():
    exercises.check_bce_trace(closed_form)
    z = torch.randn(3, 4, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert by_differences(*z) == pytest.approx(float(closed_form(*z)), rel=1e-5)
    wrong = (
        None,
        lambda u, i, j: closed_form(u, i, j, share=0.0),
        lambda u, i, j: closed_form(u, i, j) * len(u),
        lambda u, i, j: closed_form(i, u, j),
        lambda u, i, j: u,
        lambda u: 0.0,
    )
    for answer in wrong:
        fails(exercises.check_bce_trace, answer)
