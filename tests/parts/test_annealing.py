import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.parts.annealing import KINDS, SCHEDULES, Schedule


def test_none_and_root_by_hand():
    assert [Schedule("none", start=0.7)(e, 10) for e in (0, 5, 9)] == [0.7] * 3
    assert [Schedule("root", start=1.0)(e, 10) for e in (0, 1, 8)] == [1.0, 1 / math.sqrt(11), 1 / 9]


@pytest.mark.parametrize(
    ("kind", "halfway"), [("linear", 0.55), ("cosine", 0.55), ("exponential", math.sqrt(0.1)), ("doubling", 0.25)]
)  # doubling: ⌈log2 10⌉ = 4 stages, halfway in the third
def test_values_at_the_corners_and_halfway(kind, halfway):
    schedule = Schedule(kind, start=1.0, end=0.1, hold=0.2, span=0.5)
    assert [schedule(e, 100) for e in (0, 19, 20)] == [1.0, 1.0, 1.0]
    assert schedule(45, 100) == pytest.approx(halfway)
    assert [schedule(e, 100) for e in (70, 71, 99)] == pytest.approx([0.1] * 3)
    assert not schedule.done(69, 100) and schedule.done(70, 100)


def test_exponential_decay_is_one_factor_per_epoch():
    schedule = Schedule("exponential", start=1.0, end=0.05, hold=0.0, span=0.4)
    values = [schedule(e, 50) for e in range(21)]
    assert [b / a for a, b in zip(values, values[1:], strict=False)] == pytest.approx([0.05 ** (1 / 20)] * 20)


def test_doubling_doubles_the_slope():
    slopes = {1 / Schedule("doubling", start=1.0, end=1 / 64, hold=0.0, span=1.0)(e, 60) for e in range(60)}
    assert sorted(slopes) == [1, 2, 4, 8, 16, 32]


@given(
    kind=st.sampled_from(KINDS), start=st.floats(0.01, 10), end=st.floats(0.01, 10), hold=st.floats(0, 1), span=st.floats(0, 1),
    epochs=st.integers(1, 300),
)  # fmt: skip
def test_values_stay_between_start_and_end_and_move_one_way(kind, start, end, hold, span, epochs):
    values = [Schedule(kind, start, end, hold, span)(e, epochs) for e in range(epochs)]
    if kind == "root":
        assert values == sorted(values, reverse=True) and values[0] == start
        return
    low, high = min(start, end) - 1e-9, max(start, end) + 1e-9
    assert all(low <= value <= high for value in values)
    steps = [b - a for a, b in zip(values, values[1:], strict=False)]
    assert all(step * (end - start) >= -1e-9 for step in steps)


def test_without_a_span_the_value_jumps():
    schedule = Schedule("linear", start=1.0, end=0.0, hold=0.5, span=0.0)
    assert [schedule(e, 4) for e in range(4)] == [1.0, 1.0, 0.0, 0.0]


def test_an_unannealed_value_never_arrives():
    assert not any(SCHEDULES[name].done(99, 100) for name in ("none", "root"))


def test_bad_schedules_are_refused():
    with pytest.raises(ConfigError, match="schedule"):
        Schedule("expnential")
    with pytest.raises(ConfigError, match="span is 1.5"):
        Schedule("linear", span=1.5)
    with pytest.raises(ConfigError, match="must be positive"):
        Schedule("exponential", end=0.0)
