import math

import numpy as np
import pytest

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import annealing as exercises
from recq_lib.parts.annealing import Schedule


def fails(check, *arguments):
    with pytest.raises(ExerciseFailed):
        check(*arguments)


def test_slope():
    def right(v, tau):
        alpha = sum(abs(x) for x in v) / len(v)
        return [1 / (math.cosh(x / (tau * alpha)) ** 2 * tau * math.tanh(1 / tau)) for x in v]

    exercises.check_slope(right)
    unscaled = lambda v, tau: 1 / np.cosh(v / tau) ** 2 / tau / math.tanh(1 / tau)  # noqa: E731
    for wrong in (None, unscaled, lambda v, tau: np.array(right(v, tau)) * math.tanh(1 / tau), lambda v: v, lambda v, tau: 1.0):
        fails(exercises.check_slope, wrong)


def test_decay():
    factor = 1 / 3
    exercises.check_decay(factor, 27.0, 1.0, 3)
    for wrong in (None, 1 - factor, factor**3, 1 / factor):
        fails(exercises.check_decay, wrong, 27.0, 1.0, 3)


def test_schedule():
    exercises.check_schedule(Schedule("exponential", start=4.0, end=0.05, hold=0.2, span=0.3), 50)
    wrong = [
        None,
        "exponential",
        Schedule("linear", start=4.0, end=0.1, hold=0.2, span=0.3),  # equal steps, not factors
        Schedule("exponential", start=1.0, end=0.1, hold=0.2, span=0.3),
        Schedule("exponential", start=4.0, end=0.1, hold=0.0, span=0.5),
        Schedule("exponential", start=4.0, end=0.1, hold=0.2, span=0.5),  # arrives too late
        Schedule("exponential", start=4.0, end=0.1, hold=0.2, span=0.2),  # arrives too early
        Schedule("none", start=4.0),
    ]
    for answer in wrong:
        fails(exercises.check_schedule, answer, 50)
