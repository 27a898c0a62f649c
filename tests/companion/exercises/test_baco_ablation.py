import math

import numpy as np
import pytest

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import baco_ablation as exercises
from recq_lib.data.synthetic import generate
from recq_lib.papers.baco.clustering import cluster


def fails(check, answer):
    with pytest.raises(ExerciseFailed):
        check(answer)


def test_dearer_is_two_degrees_over_their_means():
    exercises.check_dearer(lambda du, dv: max(du) / (sum(du) / len(du)) * max(dv) / (sum(dv) / len(dv)))
    wrong = (
        None,
        lambda du, dv: du.max() * dv.max(),  # γ left alone
        lambda du, dv: du.max() * dv.max() / du.sum(),  # the price itself, not in units of the other
        lambda du, dv: du.max() / du.mean(),
        lambda du, dv: (du / du.mean()) * (dv.max() / dv.mean()),
        lambda du: 0.0,
    )
    for answer in wrong:
        fails(exercises.check_dearer, answer)


def test_rows_given_up_rounds_up():
    exercises.check_rows_given_up(lambda n_second, dim: math.ceil(n_second / dim))
    wrong = (
        None,
        lambda n_second, dim: n_second // dim,
        lambda n_second, dim: n_second / dim,
        lambda n_second, dim: n_second // dim + 1,  # one too many where d divides
        lambda n_second, dim: -(-n_second // 64),
        lambda n_second: 1,
        lambda n_second, dim: "few",
    )
    for answer in wrong:
        fails(exercises.check_rows_given_up, answer)


def test_fewest_sweeps_is_the_first_at_or_below():
    def right(data, ratio, dim):
        return next(sweeps for sweeps in range(1, 20) if cluster(data, 0.0, sweeps=sweeps).ratio(dim) <= ratio)

    exercises.check_fewest_sweeps(right)
    wrong = (
        None,
        lambda data, ratio, dim: 1,
        lambda data, ratio, dim: right(data, ratio, dim) + 1,
        lambda data, ratio, dim: right(data, ratio, dim) - 1,
        lambda data, ratio: 2,
    )
    for answer in wrong:
        fails(exercises.check_fewest_sweeps, answer)


def test_fewest_sweeps_is_asked_about_several_answers():
    sizes = np.array([cluster(generate("tiny"), 0.0, sweeps=sweeps).ratio(32) for sweeps in range(1, 7)])
    assert len({int(np.argmax(sizes <= ratio)) for ratio in (0.6, 0.25)}) == 2  # a constant cannot pass
