"""Uncertainty: intervals over seeds and users, paired per-user tests, effect size, Holm's correction (ours, on scipy.stats).

Higher is better throughout. In every comparison `a` is ours and `b` the other: a positive difference favours `a`, and
`alternative="greater"` asks whether `a` is better.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy import stats

from recq_lib.errors import ConfigError, one_of

TESTS = ("wilcoxon", "permutation", "t")
ALTERNATIVES = ("two-sided", "greater", "less")
BOOTSTRAPS = ("BCa", "percentile", "basic")
_BATCH_CELLS = 4_000_000  # resampled values held at once: 32 MB


@dataclass(frozen=True)
class MeanInterval:
    """A mean with its two-sided interval; `low` and `high` are nan when `note` says why there is none."""

    mean: float
    low: float
    high: float
    n: int
    level: float
    method: str
    note: str = ""

    @property
    def half_width(self) -> float:
        """Half of high − low: the ± of a table (nan when there is no interval)."""
        return (self.high - self.low) / 2


@dataclass(frozen=True)
class PairedResult:
    """Comparison of `a` with `b` on the same users.

    mean_difference : mean of a − b; `interval` is its two-sided interval whatever the alternative
    p_value : of `test` under `alternative`
    effect_size : Cohen's d_z, mean(a − b) / sd(a − b) with n − 1; 0 when all differences are 0
    rank_biserial : (W⁺ − W⁻) / (W⁺ + W⁻) over the users who differ, in [−1, 1]; 1 = `a` wins everywhere
    wins, losses, ties : users for whom a > b, a < b, a = b
    """

    n: int
    mean_difference: float
    interval: MeanInterval
    p_value: float
    effect_size: float
    rank_biserial: float
    wins: int
    losses: int
    ties: int
    test: str
    alternative: str

    def verdict(self, alpha: float = 0.05, p_value: float | None = None) -> str:
        """"a better", "b better", "unclear" (significant, but mean and ranks point apart) or "no difference shown".

        `p_value` replaces the raw one, e.g. by a Holm-adjusted one.
        """
        p = self.p_value if p_value is None else p_value
        if not p < alpha:
            return "no difference shown"
        if self.mean_difference > 0 and self.rank_biserial > 0 and self.alternative != "less":
            return "a better"
        if self.mean_difference < 0 and self.rank_biserial < 0 and self.alternative != "greater":
            return "b better"
        return "unclear"


def mean_interval(values: Sequence[float] | np.ndarray, level: float = 0.95) -> MeanInterval:
    """Student t-interval of the mean over independent values, usually one per seed; shape (n,).

    One value has no interval: both ends are nan and the note says so. Raises `ConfigError` for none or non-finite values.
    """
    x = _vector("values", values)
    _check_level(level)
    if len(x) == 1:
        return MeanInterval(float(x[0]), np.nan, np.nan, 1, level, "t", "one value: no interval")
    half = stats.t.ppf((1 + level) / 2, len(x) - 1) * x.std(ddof=1) / np.sqrt(len(x))
    return MeanInterval(float(x.mean()), float(x.mean() - half), float(x.mean() + half), len(x), level, "t")


def bootstrap_interval(
    per_user: Sequence[float] | np.ndarray, level: float = 0.95, seed: int = 0, method: str = "BCa", n_resamples: int = 2000
) -> MeanInterval:
    """Bootstrap interval of the mean over users; shape (n_users,).

    Resampling is `scipy.stats.bootstrap`; BCa (Efron 1987) takes the acceleration of a mean in closed form, Σ(x−x̄)³ / (6 (Σ(x−x̄)²)^1.5),
    equal to scipy's jackknife but linear in n. Constant input gives the interval [mean, mean] with a note, one user gives nan.
    """
    x = _vector("per_user", per_user)
    _check_level(level)
    one_of("method", method, BOOTSTRAPS)
    if len(x) == 1:
        return MeanInterval(float(x[0]), np.nan, np.nan, 1, level, method, "one value: no interval")
    if np.ptp(x) == 0:
        return MeanInterval(float(x[0]), float(x[0]), float(x[0]), len(x), level, method, "all values are equal: an interval of width 0")
    drawn = stats.bootstrap(
        (x,),
        _mean,
        n_resamples=n_resamples,
        batch=max(1, _BATCH_CELLS // len(x)),
        confidence_level=level,
        method="percentile" if method == "BCa" else method,
        rng=np.random.default_rng(seed),
    )
    interval = drawn.confidence_interval
    low, high = _bca(x, drawn.bootstrap_distribution, level) if method == "BCa" else (interval.low, interval.high)
    return MeanInterval(float(x.mean()), float(low), float(high), len(x), level, method)


def paired_test(
    a: Sequence[float] | np.ndarray,
    b: Sequence[float] | np.ndarray,
    test: str = "wilcoxon",
    alternative: str = "two-sided",
    level: float = 0.95,
    seed: int = 0,
    n_resamples: int = 9999,
) -> PairedResult:
    """Test whether `a` and `b` differ, user by user; both have shape (n_users,), entry i is the same user in both.

    alternative="greater": the alternative is that `a` is better (higher); "less": that `b` is. `test` is "wilcoxon" (signed rank, users
    without a difference left out), "permutation" (sign flips of the differences, mean as statistic; exact when 2^n ≤ n_resamples, else
    (1 + hits) / (1 + n_resamples)) or "t". The interval of the mean difference is Student's for "t", else BCa over users.
    All differences zero: p = 1. Differences are rounded to 1e-12 of the largest value, else rounding errors would be ranked.
    Raises `ConfigError` for unequal lengths, fewer than two users, non-finite values or unknown names.
    """
    one_of("test", test, TESTS)
    one_of("alternative", alternative, ALTERNATIVES)
    a, b = _vector("a", a), _vector("b", b)
    if len(a) != len(b):
        raise ConfigError(f"a has {len(a)} users and b has {len(b)}; a paired test needs the same users in the same order")
    if len(a) < 2:
        raise ConfigError(f"a paired test got {len(a)} user; it needs at least 2")
    d = _differences(a, b)
    interval = mean_interval(d, level) if test == "t" else bootstrap_interval(d, level, seed)
    return PairedResult(
        n=len(d),
        mean_difference=float(d.mean()),
        interval=interval,
        p_value=_p_value(d, test, alternative, seed, n_resamples) if d.any() else 1.0,
        effect_size=_cohens_dz(d),
        rank_biserial=_rank_biserial(d),
        wins=int((d > 0).sum()),
        losses=int((d < 0).sum()),
        ties=int((d == 0).sum()),
        test=test,
        alternative=alternative,
    )


def holm(p_values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Holm's (1979) step-down adjusted p-values in the order given: at most 1, and never decreasing in the raw p; shape (m,)."""
    p = np.asarray(p_values, dtype=np.float64)
    if p.ndim != 1 or not np.all((p >= 0) & (p <= 1)):
        raise ConfigError(f"p_values is {p_values!r}; Holm's correction needs a flat list of numbers in [0, 1]")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)))
    return adjusted


def compare(a_by_seed: np.ndarray, b_by_seed: np.ndarray, **options: object) -> PairedResult:
    """Average each user over seeds, then `paired_test`; shapes (n_seeds_a, n_users) and (n_seeds_b, n_users), `options` as there.

    The users are the sample, so the result speaks about users; how much training itself varies is what `mean_interval` over seeds shows.
    """
    return paired_test(_over_seeds("a_by_seed", a_by_seed), _over_seeds("b_by_seed", b_by_seed), **options)  # type: ignore[arg-type]


def compare_many(reference: np.ndarray, others: Mapping[str, np.ndarray], alpha: float = 0.05, **options: object) -> pd.DataFrame:
    """`compare(reference, other)` for each other, with Holm over all of them; arrays of shape (n_seeds, n_users).

    One row per other: other, n, mean_difference (reference − other), low, high, p_value, p_holm, effect_size, rank_biserial, wins, losses,
    ties, verdict ("reference better", "<name> better", "unclear" or "no difference shown", from p_holm and `alpha`).
    """
    results = {name: compare(reference, other, **options) for name, other in others.items()}
    adjusted = holm([result.p_value for result in results.values()])
    columns = ["other", "n", "mean_difference", "low", "high", "p_value", "p_holm"]
    columns += ["effect_size", "rank_biserial", "wins", "losses", "ties", "verdict"]
    rows = []
    for (name, r), p in zip(results.items(), adjusted, strict=True):
        verdict = {"a better": "reference better", "b better": f"{name} better"}.get(r.verdict(alpha, p), r.verdict(alpha, p))
        ends = (r.interval.low, r.interval.high)
        rows.append((name, r.n, r.mean_difference, *ends, r.p_value, p, r.effect_size, r.rank_biserial, r.wins, r.losses, r.ties, verdict))
    return pd.DataFrame(rows, columns=columns)


def _differences(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """a − b without rounding noise: (0.2 + 0.4) / 2 − (0.4 + 0.2) / 2 and its like must be ties, not tiny wins."""
    scale = max(np.abs(a).max(), np.abs(b).max())
    return np.round((a - b) / scale, 12) * scale if scale > 0 else a - b


def _cohens_dz(d: np.ndarray) -> float:
    if np.ptp(d) == 0:  # no spread: 0 without a difference, else without bound
        return float(np.sign(d[0]) * np.inf) if d[0] else 0.0
    return float(d.mean() / d.std(ddof=1))


def _p_value(d: np.ndarray, test: str, alternative: str, seed: int, n_resamples: int) -> float:
    if test == "wilcoxon":
        return float(stats.wilcoxon(d, zero_method="wilcox", alternative=alternative).pvalue)
    if test == "permutation":
        return _sign_flip_p(d[d != 0], alternative, seed, n_resamples)  # flipping the sign of a zero changes nothing
    if np.ptp(d) == 0:  # scipy's t statistic is ±inf with a warning: the limit is meant
        return {"two-sided": 0.0, "greater": float(d[0] < 0), "less": float(d[0] > 0)}[alternative]
    return float(stats.ttest_1samp(d, 0.0, alternative=alternative).pvalue)


def _sign_flip_p(d: np.ndarray, alternative: str, seed: int, n_resamples: int) -> float:
    """p of the mean of d under random signs. (scipy.stats.permutation_test is the same test, 20 s instead of 1 s for 30,000 users.)"""
    n, exact = len(d), len(d) < 63 and 2 ** len(d) <= n_resamples
    total, rng = 2**n if exact else n_resamples, np.random.default_rng(seed)
    extremity = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}[alternative]
    observed = extremity(d.sum()) - 1e-12 * np.abs(d).sum()  # equal sums must count as equal although rounding differs
    step, hits = max(1, _BATCH_CELLS // n), 0
    for start in range(0, total, step):
        rows = min(step, total - start)
        if exact:
            flips = np.arange(start, start + rows)[:, None] >> np.arange(n) & 1
        else:
            flips = np.unpackbits(rng.integers(0, 256, (rows, -(-n // 8)), dtype=np.uint8), axis=1, count=n)
        hits += int((extremity(d.sum() - 2 * (flips.astype(np.float64) @ d)) >= observed).sum())
    return hits / total if exact else (1 + hits) / (1 + total)


def _rank_biserial(d: np.ndarray) -> float:
    moved = d[d != 0]
    if not len(moved):
        return 0.0
    ranks = stats.rankdata(np.abs(moved))
    return float((ranks * np.sign(moved)).sum() / ranks.sum())


def _bca(x: np.ndarray, resampled: np.ndarray, level: float) -> tuple[float, float]:
    """Ends of the BCa interval from the resampled means (Efron & Tibshirani 1993, eq. 14.9-14.15)."""
    mean, centred = x.mean(), x - x.mean()
    below = ((resampled < mean).mean() + (resampled <= mean).mean()) / 2
    z0 = stats.norm.ppf(np.clip(below, 0.5 / len(resampled), 1 - 0.5 / len(resampled)))  # finite also when every mean lies on one side
    acceleration = (centred**3).sum() / (6 * (centred**2).sum() ** 1.5)
    z = z0 + stats.norm.ppf(np.array([(1 - level) / 2, (1 + level) / 2]))
    low, high = np.quantile(resampled, stats.norm.cdf(z0 + z / (1 - acceleration * z)))
    return low, high


def _mean(x: np.ndarray, axis: int = -1) -> np.ndarray:
    return np.mean(x, axis=axis)


def _vector(name: str, values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Values as float64 (stored per-user arrays are small unsigned integers, whose differences would wrap around)."""
    x = np.asarray(values, dtype=np.float64)
    if x.ndim != 1 or x.size == 0:
        raise ConfigError(f"{name} has shape {x.shape}; it must be a flat list of at least one number")
    if not np.isfinite(x).all():
        raise ConfigError(f"{name} holds {int((~np.isfinite(x)).sum())} non-finite values of {x.size}; leave out what was not measured")
    return x


def _over_seeds(name: str, by_seed: np.ndarray) -> np.ndarray:
    x = np.asarray(by_seed, dtype=np.float64)
    if x.ndim != 2 or x.size == 0:
        raise ConfigError(f"{name} has shape {x.shape}; it must be (n_seeds, n_users)")
    return x.mean(axis=0)


def _check_level(level: float) -> None:
    if not 0 < level < 1:
        raise ConfigError(f"level is {level}; it must lie strictly between 0 and 1, e.g. 0.95")
