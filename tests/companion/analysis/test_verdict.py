"""The one rule: each verdict from numbers whose tests and intervals are worked out here, without the library."""

import numpy as np
import pytest
from scipy import stats

from recq_lib.companion.analysis import verdict as rule

USERS = 200


def pair(by_seed, spread=0.05, base=0.4, seed=0):
    """(a, b) [seeds, users]: b is `base` for all, a − b has the means `by_seed` over users exactly, and a standard deviation."""
    rng = np.random.default_rng(seed)
    noise = rng.normal(0, 1, USERS)
    noise = spread * (noise - noise.mean()) / noise.std()
    b = np.full((len(by_seed), USERS), base)
    return b + np.asarray(by_seed)[:, None] + noise, b


def by_hand(by_seed, spread):
    """Ends of both 95 % intervals of a − b: t over seeds, and the normal approximation over users."""
    seeds = stats.t.interval(0.95, len(by_seed) - 1, np.mean(by_seed), stats.sem(by_seed))
    half = 1.96 * spread / np.sqrt(USERS)
    return (np.mean(by_seed) - half, np.mean(by_seed) + half), seeds


# margin: 2 % of 0.4 is 0.008
CASES = [
    ([0.030, 0.032, 0.028], 0.05, rule.BETTER),
    ([-0.030, -0.032, -0.028], 0.05, rule.WORSE),
    ([0.0005, -0.0005, 0.001], 0.01, rule.EQUIVALENT),
    ([0.0050, 0.0052, 0.0048], 0.01, rule.EQUIVALENT),  # both tests show it, but it is smaller than what matters
    ([0.030, 0.002, 0.058], 0.05, rule.UNDECIDED),  # users agree, seeds do not
    ([0.030, 0.031, 0.029], 0.60, rule.UNDECIDED),  # seeds agree, users do not
    ([0.0100, 0.0101, 0.0099], 0.30, rule.UNDECIDED),  # neither shown nor inside
]


@pytest.mark.parametrize(("by_seed", "spread", "expected"), CASES)
def test_every_verdict(by_seed, spread, expected):
    a, b = pair(by_seed, spread)
    (row,) = rule.judge([(a, b)]).to_dict("records")
    users, seeds = by_hand(by_seed, spread)
    assert (row["seed_low"], row["seed_high"]) == pytest.approx([100 * end for end in seeds])
    assert (row["low"], row["high"]) == pytest.approx([100 * end for end in users], abs=12 * spread / np.sqrt(USERS))
    assert row["margin"] == pytest.approx(0.8) and row["difference"] == pytest.approx(100 * np.mean(by_seed))
    inside = all(-0.008 <= low and high <= 0.008 for low, high in (users, seeds))
    one_side = [low > 0 for low, _ in (users, seeds)], [high < 0 for _, high in (users, seeds)]
    shown = rule.BETTER if all(one_side[0]) else rule.WORSE if all(one_side[1]) else rule.UNDECIDED
    by_definition = rule.EQUIVALENT if inside else shown
    assert row["verdict"] == expected == by_definition


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_fewer_than_three_seeds_decide_nothing(n_seeds):
    large, none = pair([0.2] * n_seeds), pair([0.0] * n_seeds, spread=0.0)
    assert rule.judge([large, none])["verdict"].tolist() == [rule.UNDECIDED] * 2
    assert rule.judge([pair([0.2] * 3)])["verdict"].tolist() == [rule.BETTER]
    assert rule.judge([pair([0.2])])["seed_low"].isna().all()


def test_ties_everywhere_are_equivalent():
    """No user and no seed differs: intervals of width 0, no error from a test of nothing; even where the margin is 0."""
    row = rule.judge([pair([0.0] * 3, spread=0.0)]).iloc[0]
    assert row["verdict"] == rule.EQUIVALENT and (row["wins"], row["losses"], row["ties"], row["p_holm"]) == (0, 0, USERS, 1)
    zero = np.zeros((3, USERS))
    assert rule.judge([(zero, zero)])["verdict"].tolist() == [rule.EQUIVALENT]


def test_mean_and_ranks_that_point_apart_are_undecided():
    """Most users lose a little and some win much: the mean is up, the ranks are down."""
    a, b = pair([0.0] * 3, spread=0.0)
    a = a + np.where(np.arange(USERS) < 40, 0.5, -0.01)
    row = rule.judge([(a, b)]).iloc[0]
    assert row["difference"] > 0 and row["losses"] > row["wins"] and row["p_holm"] < 0.05 and row["seed_low"] > 0
    assert row["verdict"] == rule.UNDECIDED


def test_holm_is_over_the_family():
    """A difference that is shown alone is not shown among many that are not."""
    borderline = pair([0.012, 0.0121, 0.0119], spread=0.06)
    noise = [pair([0.0001, 0.0002, 0.0], spread=0.3, seed=k) for k in range(1, 20)]
    alone, among = rule.judge([borderline]).iloc[0], rule.judge([borderline, *noise]).iloc[0]
    raw = stats.wilcoxon(borderline[0].mean(axis=0) - borderline[1].mean(axis=0)).pvalue
    assert alone["p_holm"] == pytest.approx(raw) and 0.05 / 20 < raw < 0.05
    assert (alone["verdict"], among["verdict"]) == (rule.BETTER, rule.UNDECIDED)


def test_the_margin_is_relative_to_the_baseline():
    """0.6 points: more than 2 % of a baseline of 10 %, less than 2 % of one of 40 %."""
    found = rule.judge([pair([0.006] * 3, 0.001, base) for base in (0.1, 0.4)])
    assert found["margin"].tolist() == pytest.approx([0.2, 0.8]) and found["verdict"].tolist() == [rule.BETTER, rule.EQUIVALENT]


def test_seeds_count_those_ahead():
    assert rule.judge([pair([0.01, -0.01, 0.02, -0.02])])["seeds"].tolist() == ["2/4"]


@pytest.mark.parametrize(
    ("by_seed", "expected"),
    [
        ([0.0, 0.001, -0.001], rule.BETTER),
        ([-0.1, -0.101, -0.099], rule.WORSE),
        ([-0.04, 0.0, -0.08], rule.UNDECIDED),
        ([0.0], rule.UNDECIDED),
    ],
)
def test_bars_need_both_intervals_on_one_side(by_seed, expected):
    """b is 0.4, so 90 % of it is 0.36: a reaches it, stays below, or straddles it by seed."""
    a, b = pair(by_seed, spread=0.05)
    assert rule.against_bar(a, b, share=0.9) == expected
    assert rule.against_bar(a, b, points=-0.04) == expected


def test_words():
    assert rule.counted(["x", "y", "z"], ["worse", "worse", "better"]) == "better 1 (z); worse 2 (x, y); equivalent 0; undecided 0"
    assert "±2%" in rule.in_words() and "3 seeds" in rule.in_words()
