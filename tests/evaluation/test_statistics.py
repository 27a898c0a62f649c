"""Intervals, paired tests and Holm, each against a second route: hand values, enumeration, simulation, or scipy used otherwise."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recq_lib.errors import ConfigError
from recq_lib.evaluation import statistics


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20240601)


def fake_recall(rng: np.random.Generator, n: int, shift: float) -> np.ndarray:
    """Recall-like values: multiples of 1/5 with many zeros and ties; `shift` moves the hit probability."""
    return rng.binomial(5, np.clip(rng.beta(1, 4, n) + shift, 0, 1)) / 5


class TestMeanInterval:
    def test_hand_value(self):
        # mean 2, sd 1, n 3: half width = t(0.975; 2) / sqrt(3) with t = 4.302653 from the printed table
        result = statistics.mean_interval([1.0, 2.0, 3.0])
        assert (result.mean, result.n) == (2.0, 3)
        assert result.half_width == pytest.approx(4.302653 / np.sqrt(3), abs=1e-6)
        assert result.low == pytest.approx(2 - 4.302653 / np.sqrt(3), abs=1e-6)

    def test_equals_scipy(self, rng):
        x = rng.normal(3, 2, 17)
        low, high = stats.t.interval(0.9, 16, loc=x.mean(), scale=stats.sem(x))
        result = statistics.mean_interval(x, level=0.9)
        assert (result.low, result.high) == pytest.approx((low, high), rel=1e-12)

    def test_one_value_has_no_interval_and_says_so(self):
        result = statistics.mean_interval([0.3])
        assert result.mean == 0.3 and np.isnan(result.low) and np.isnan(result.high)
        assert "one value" in result.note

    def test_coverage(self, rng):
        """95 % intervals from 5 seeds hold the truth in 95 % of 4000 simulated studies (standard error 0.34 points)."""
        draws = rng.normal(0.2, 0.05, (4000, 5))
        hits = [(i.low <= 0.2 <= i.high) for i in map(statistics.mean_interval, draws)]
        assert np.mean(hits) == pytest.approx(0.95, abs=4 * np.sqrt(0.95 * 0.05 / 4000))

    @pytest.mark.parametrize("values", [[], [np.nan, 1.0], [[1.0, 2.0]], [np.inf]])
    def test_refuses_unusable_values(self, values):
        with pytest.raises(ConfigError, match="values"):
            statistics.mean_interval(values)

    def test_refuses_level_in_percent(self):
        with pytest.raises(ConfigError, match="level is 95"):
            statistics.mean_interval([1.0, 2.0], level=95)


class TestBootstrap:
    @pytest.mark.parametrize("method", ["BCa", "percentile", "basic"])
    def test_equals_scipy_with_its_own_jackknife(self, rng, method):
        x = rng.exponential(size=150)
        reference = stats.bootstrap((x,), np.mean, n_resamples=2000, method=method, rng=np.random.default_rng(5)).confidence_interval
        result = statistics.bootstrap_interval(x, seed=5, method=method)
        assert (result.low, result.high) == pytest.approx((reference.low, reference.high), rel=1e-9)

    def test_skew_moves_bca_to_the_long_tail(self, rng):
        x = rng.exponential(size=60)
        result = statistics.bootstrap_interval(x)
        assert result.high - x.mean() > x.mean() - result.low > 0

    def test_repeatable_per_seed(self, rng):
        x = rng.random(500)
        assert statistics.bootstrap_interval(x, seed=1) == statistics.bootstrap_interval(x, seed=1)
        assert statistics.bootstrap_interval(x, seed=1) != statistics.bootstrap_interval(x, seed=2)

    def test_constant_input(self):
        result = statistics.bootstrap_interval([0.25] * 9)
        assert (result.low, result.mean, result.high) == (0.25, 0.25, 0.25)
        assert "equal" in result.note

    def test_one_user(self):
        assert np.isnan(statistics.bootstrap_interval([0.25]).low)

    def test_unknown_method_names_the_right_one(self):
        with pytest.raises(ConfigError, match="BCa"):
            statistics.bootstrap_interval([0.1, 0.2], method="bca")


class TestPairedTest:
    @pytest.mark.parametrize("test", statistics.TESTS)
    def test_a_better_model_is_reported_better_and_a_worse_one_never(self, rng, test):
        worse, better = fake_recall(rng, 400, 0.0), fake_recall(rng, 400, 0.15)
        up, down = (statistics.paired_test(a, b, test, alternative="greater") for a, b in ((better, worse), (worse, better)))
        assert up.p_value < 0.001 and up.mean_difference > 0 and up.verdict() == "a better"
        assert down.p_value > 0.99 and down.mean_difference < 0 and down.verdict() == "no difference shown"
        both = statistics.paired_test(worse, better, test)
        assert both.p_value < 0.001 and both.verdict() == "b better"
        assert statistics.paired_test(worse, better, test, alternative="less").verdict() == "b better"

    @pytest.mark.slow
    @pytest.mark.parametrize("test", statistics.TESTS)
    def test_false_alarms_under_no_difference(self, test):
        """At level 0.05, models of equal quality are called different in about 5 % of 400 studies."""
        rng = np.random.default_rng(11)
        called = 0
        for _ in range(400):
            a, b = fake_recall(rng, 60, 0.05), fake_recall(rng, 60, 0.05)
            called += statistics.paired_test(a, b, test, n_resamples=499).p_value < 0.05
        assert 0.02 <= called / 400 <= 0.085

    @pytest.mark.parametrize("alternative", statistics.ALTERNATIVES)
    def test_permutation_equals_enumeration(self, rng, alternative):
        a, b = rng.integers(0, 6, 9) / 5, rng.integers(0, 5, 9) / 5
        d = a - b
        sums = [sum(s * x for s, x in zip(signs, d, strict=True)) for signs in itertools.product((1, -1), repeat=9)]
        key = {"two-sided": abs, "greater": lambda x: x, "less": lambda x: -x}[alternative]
        expected = np.mean([key(total) >= key(d.sum()) - 1e-9 for total in sums])
        assert statistics.paired_test(a, b, "permutation", alternative).p_value == pytest.approx(expected, abs=1e-12)

    def test_permutation_by_sampling_agrees_with_scipy(self, rng):
        a = rng.random(40)
        b = a - rng.normal(0.02, 0.1, 40)
        reference = stats.permutation_test((a - b,), np.mean, permutation_type="samples", n_resamples=20_000, rng=np.random.default_rng(1))
        result = statistics.paired_test(a, b, "permutation", n_resamples=20_000)
        assert 0.05 < result.p_value < 0.9
        assert result.p_value == pytest.approx(reference.pvalue, abs=0.02)  # 4 standard errors of the difference at p = 0.5

    def test_permutation_p_is_never_zero(self):
        result = statistics.paired_test(np.ones(200), np.zeros(200), "permutation", n_resamples=99)
        assert result.p_value == pytest.approx(1 / 100)

    def test_wilcoxon_by_enumerating_signs(self):
        d = np.array([0.5, -0.2, 0.3, 0.7, -0.1, 0.4, 0.6])
        ranks = np.argsort(np.argsort(np.abs(d))) + 1
        observed = ranks[d > 0].sum()
        sums = np.array([np.dot(ranks, signs) for signs in itertools.product((0, 1), repeat=7)])
        result = statistics.paired_test(d, np.zeros(7), "wilcoxon", alternative="greater")
        assert result.p_value == pytest.approx((sums >= observed).mean(), abs=1e-12)

    def test_wilcoxon_by_normal_approximation_with_ties(self, rng):
        a, b = fake_recall(rng, 300, 0.02), fake_recall(rng, 300, 0.0)
        d = np.rint(5 * (a - b))  # whole hits, so that ties are exact
        d = d[d != 0]
        ranks = stats.rankdata(np.abs(d))
        counts = np.unique(np.abs(d), return_counts=True)[1]
        n = len(d)
        variance = n * (n + 1) * (2 * n + 1) / 24 - (counts**3 - counts).sum() / 48
        z = (ranks[d > 0].sum() - n * (n + 1) / 4) / np.sqrt(variance)
        assert statistics.paired_test(a, b).p_value == pytest.approx(2 * stats.norm.sf(abs(z)), rel=1e-6)

    def test_t_test_equals_scipys_two_sample_form(self, rng):
        a, b = rng.random(30), rng.random(30)
        result = statistics.paired_test(a, b, "t")
        assert result.p_value == pytest.approx(stats.ttest_rel(a, b).pvalue, rel=1e-9)
        interval = stats.ttest_rel(a, b).confidence_interval(0.95)
        assert (result.interval.low, result.interval.high) == pytest.approx((interval.low, interval.high), rel=1e-9)

    def test_effect_sizes_by_hand(self):
        # differences 3, -1, 2, 0: mean 1, sd sqrt(10/3); ranks of |3|,|1|,|2| = 3,1,2 → (3 + 2 − 1) / 6
        result = statistics.paired_test([4.0, 1.0, 3.0, 2.0], [1.0, 2.0, 1.0, 2.0])
        assert result.mean_difference == 1.0
        assert result.effect_size == pytest.approx(1 / np.sqrt(10 / 3))
        assert result.rank_biserial == pytest.approx(4 / 6)
        assert (result.wins, result.losses, result.ties, result.n) == (2, 1, 1, 4)

    @pytest.mark.parametrize("test", statistics.TESTS)
    def test_no_difference_at_all(self, test):
        result = statistics.paired_test([0.1, 0.2, 0.3], [0.1, 0.2, 0.3], test)
        assert (result.p_value, result.mean_difference, result.effect_size, result.rank_biserial) == (1.0, 0.0, 0.0, 0.0)
        assert result.verdict() == "no difference shown"

    def test_constant_difference(self):
        result = statistics.paired_test(np.full(20, 2.0), np.full(20, 1.0), "t", alternative="greater")
        assert result.p_value == 0.0 and result.effect_size == np.inf and result.rank_biserial == 1.0
        assert statistics.paired_test(np.full(20, 2.0), np.full(20, 1.0), "t", alternative="less").p_value == 1.0

    def test_unsigned_integers_do_not_wrap(self):
        a, b = np.array([0, 1, 2, 3], np.uint8), np.array([5, 5, 5, 5], np.uint8)
        assert statistics.paired_test(a, b).mean_difference == -3.5

    def test_rounding_errors_are_ties(self):
        a, b = np.array([0.1 + 0.2, 0.3, 0.9, 0.1]), np.array([0.3, 0.1 + 0.2, 0.9, 0.1])
        assert np.count_nonzero(a - b) == 2  # the noise is there
        result = statistics.paired_test(a, b)
        assert (result.ties, result.p_value) == (4, 1.0)

    def test_differences_that_are_equal_but_for_rounding_share_a_rank(self):
        # 0.3 − 0.2, 0.4 − 0.3 and 0.2 − 0.1 are three different floats; with equal ranks W⁺ : W⁻ is 2 : 1
        result = statistics.paired_test([0.3, 0.4, 0.1], [0.2, 0.3, 0.2])
        assert result.rank_biserial == pytest.approx(1 / 3)

    def test_mean_and_ranks_apart_is_unclear(self):
        d = np.concatenate([np.full(60, 0.1), np.full(12, -2.0)])  # most users gain a little, a few lose a lot
        result = statistics.paired_test(d, np.zeros_like(d))
        assert result.p_value < 0.05 and result.mean_difference < 0 < result.rank_biserial
        assert result.verdict() == "unclear"

    def test_verdict_needs_significance(self, rng):
        a, b = fake_recall(rng, 30, 0.01), fake_recall(rng, 30, 0.0)
        assert statistics.paired_test(a, b).verdict(alpha=1e-9) == "no difference shown"

    def test_refuses_other_users(self):
        with pytest.raises(ConfigError, match="a has 3 users and b has 2"):
            statistics.paired_test([1.0, 2.0, 3.0], [1.0, 2.0])

    def test_refuses_one_user_and_unknown_names(self):
        with pytest.raises(ConfigError, match="at least 2"):
            statistics.paired_test([1.0], [2.0])
        with pytest.raises(ConfigError, match="wilcoxon"):
            statistics.paired_test([1.0, 2.0], [2.0, 1.0], test="wilcox")
        with pytest.raises(ConfigError, match="greater"):
            statistics.paired_test([1.0, 2.0], [2.0, 1.0], alternative="grater")

    @given(st.lists(st.tuples(st.integers(0, 20), st.integers(0, 20)), min_size=2, max_size=30), st.sampled_from(statistics.TESTS))
    def test_swapping_the_models_mirrors_the_result(self, pairs, test):
        a, b = (np.array(side) / 20 for side in zip(*pairs, strict=True))
        one, other = (statistics.paired_test(*sides, test, n_resamples=200) for sides in ((a, b), (b, a)))
        assert one.mean_difference == pytest.approx(-other.mean_difference)
        assert one.rank_biserial == pytest.approx(-other.rank_biserial)
        assert one.p_value == pytest.approx(other.p_value)
        assert (one.wins, one.losses) == (other.losses, other.wins)


class TestHolm:
    def test_hand_computation(self):
        # sorted 0.01, 0.02, 0.03, 0.04 times 4, 3, 2, 1 = 0.04, 0.06, 0.06, 0.04 → running maximum 0.04, 0.06, 0.06, 0.06
        assert statistics.holm([0.04, 0.01, 0.03, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])

    def test_never_above_one(self):
        assert statistics.holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])

    def test_empty(self):
        assert len(statistics.holm([])) == 0

    @given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
    def test_is_the_smallest_level_that_rejects(self, p):
        """Step-down by its definition: at level α reject in ascending order while p ≤ α / (hypotheses left)."""
        adjusted = statistics.holm(p)
        assert np.all(adjusted >= np.array(p)) and np.all(adjusted <= 1)
        for alpha in (0.01, 0.05, 0.2):
            rejected = set()
            for step, i in enumerate(sorted(range(len(p)), key=lambda i: p[i])):
                if p[i] * (len(p) - step) > alpha:
                    break
                rejected.add(i)
            assert rejected == {i for i in range(len(p)) if adjusted[i] <= alpha}

    @pytest.mark.parametrize("p", [[-0.1], [1.1], [np.nan], [[0.1]]])
    def test_refuses_what_is_no_p_value(self, p):
        with pytest.raises(ConfigError, match="Holm"):
            statistics.holm(p)


class TestCompare:
    def test_averages_seeds_first(self, rng):
        a, b = rng.random((3, 50)), rng.random((4, 50))
        assert statistics.compare(a, b) == statistics.paired_test(sum(a) / 3, sum(b) / 4)

    def test_refuses_a_flat_array(self, rng):
        with pytest.raises(ConfigError, match="n_seeds, n_users"):
            statistics.compare(rng.random(5), rng.random((2, 5)))

    def test_many(self, rng):
        reference = np.stack([fake_recall(rng, 300, 0.1) for _ in range(3)])
        others = {
            "weak": np.stack([fake_recall(rng, 300, 0.0) for _ in range(3)]),
            "twin": reference[::-1],
            "strong": np.stack([fake_recall(rng, 300, 0.3) for _ in range(3)]),
        }
        table = statistics.compare_many(reference, others).set_index("other")
        assert list(table.index) == ["weak", "twin", "strong"]
        assert table.loc["weak", "verdict"] == "reference better" and table.loc["weak", "mean_difference"] > 0
        assert table.loc["strong", "verdict"] == "strong better" and table.loc["strong", "high"] < 0
        assert table.loc["twin", "verdict"] == "no difference shown" and table.loc["twin", "p_value"] == 1
        by_hand = statistics.holm([statistics.compare(reference, other).p_value for other in others.values()])
        assert table["p_holm"].to_numpy() == pytest.approx(by_hand)

    def test_verdict_uses_the_corrected_p(self, rng):
        """One borderline comparison among many identical ones is no longer significant."""
        reference = rng.random((1, 40))
        borderline = reference - rng.normal(0.1, 0.3, (1, 40))
        alone = statistics.compare_many(reference, {"x": borderline}, test="t")
        crowd = statistics.compare_many(reference, {"x": borderline, **{f"twin{i}": reference for i in range(30)}}, test="t")
        assert 0.05 / 31 < alone.loc[0, "p_value"] < 0.05
        assert alone.loc[0, "verdict"] == "reference better"
        assert crowd.loc[0, "verdict"] == "no difference shown"
