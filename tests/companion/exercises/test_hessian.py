import math

import numpy as np
import pytest

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import hessian as exercises


def fails(check, *arguments):
    with pytest.raises(ExerciseFailed):
        check(*arguments)


def test_gradient():
    def right(g, v, c, delta):
        return np.array([[a + delta * abs(a) * (b - d) for a, b, d in zip(*rows)] for rows in zip(g, v, c)])

    exercises.check_gradient(right)
    straight_through = lambda g, v, c, delta: g  # noqa: E731
    turned = lambda g, v, c, delta: g * (1 + delta * np.sign(g) * (c - v))  # noqa: E731
    no_sign = lambda g, v, c, delta: g * (1 + delta * (v - c))  # noqa: E731
    for wrong in (None, straight_through, turned, no_sign, lambda g: g, lambda *_: "gradient"):
        fails(exercises.check_gradient, wrong)


def test_scale():
    def correction(a):  # δ·error = 2aσ(2a²) · a/2
        return 2 * a / (1 + math.exp(-2 * a * a)) * a / 2

    for a in (0.2, 0.6):
        exercises.check_scale(a, correction(a))
        for wrong in (None, 0.9 * a, 2 * a, -a, "long", [a, a]):
            fails(exercises.check_scale, wrong, correction(a))


def test_interval():
    def right(gste, ste):
        differences = [a - b for a, b in zip(gste, ste)]
        mean = sum(differences) / len(differences)
        variance = sum((d - mean) ** 2 for d in differences) / (len(differences) - 1)
        quantile = {3: 4.302652729911275, 5: 2.7764451051977987}[len(differences)]  # Student's t, 0.975, n - 1 degrees of freedom
        half = quantile * math.sqrt(variance / len(differences))
        return mean, mean - half, mean + half

    exercises.check_interval(right)

    def unpaired(gste, ste):
        mean, half = gste.mean() - ste.mean(), 2 * math.sqrt((gste.var(ddof=1) + ste.var(ddof=1)) / len(ste))
        return mean, mean - half, mean + half

    swapped = lambda gste, ste: right(ste, gste)  # noqa: E731
    for wrong in (None, unpaired, swapped, lambda gste, ste: right(gste, ste)[:2], lambda gste: 0.0):
        fails(exercises.check_interval, wrong)
