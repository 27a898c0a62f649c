"""Seeded synthetic interactions: a degree-corrected co-cluster model with nested taste groups and long tails (ours).

Users and items belong to fine groups nested in coarse groups. A user with activity a_u draws a_u distinct items; each draw comes from
the items of the fine group, of the coarse group or of the whole catalogue, and within these an item is drawn in proportion to
its popularity. So P(u, i) ∝ a_u · p_i · affinity(group of u, group of i): Zipf-like items, lognormal users, a hierarchy of tastes.
Few items per user make the neighbours of neighbours informative, which is what graph propagation lives on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace

import numpy as np

from recq_lib.data.interactions import Interactions
from recq_lib.data.splits import per_user_split
from recq_lib.errors import ConfigError, one_of
from recq_lib.io.memory import check_memory

_ROUNDS = 200  # of top-up draws; a handful suffices, the bound only guards against an endless loop
_UNIFORM_AFTER = 6  # rounds after which saturated users draw from the whole catalogue


@dataclass(frozen=True)
class SyntheticConfig:
    """Sizes and shape of the generated data; the defaults are the `smoke` preset."""

    n_users: int = 600  # trains in seconds on two cores
    n_items: int = 400  # more than any K that is reported
    n_interactions: int = 12_000  # 20 per user on average, about 12 for the median user
    n_coarse: int = 3  # few broad tastes
    n_fine: int = 2  # fine groups in each coarse one: nested, and large enough that two items of a group rarely meet in one user
    p_fine: float = 0.7  # share of draws from the own fine group: clear signal, yet no partition
    p_coarse: float = 0.15  # share from the own coarse group: what joins the fine groups; the rest is popularity alone
    item_exponent: float = 0.6  # Zipf exponent of popularity over rank: long tail without one item owning everything
    user_sigma: float = 0.8  # spread of the lognormal activity: mean / median = exp(σ²/2) = 1.38
    min_degree: int = 5  # as in the 5-core filters of public datasets
    test_fraction: float = 0.2  # per user
    val_fraction: float = 0.1  # per user, for early stopping
    seed: int = 0  # same seed and sizes, same data

    def __post_init__(self) -> None:
        for name in ("n_users", "n_items", "n_interactions", "n_coarse", "n_fine", "min_degree", "seed"):
            value, least = getattr(self, name), 0 if name == "seed" else 1
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ConfigError(f"{name} is {value!r}, but must be a whole number ≥ {least}")
        for name in (field.name for field in fields(self) if field.type == "float"):
            value = getattr(self, name)
            if not (isinstance(value, (int, float)) and math.isfinite(value) and value >= 0):
                raise ConfigError(f"{name} is {value!r}, but must be a finite number ≥ 0")
        if self.p_fine + self.p_coarse > 1 or self.test_fraction + self.val_fraction >= 1:
            raise ConfigError("p_fine + p_coarse must be at most 1, and test_fraction + val_fraction less than 1; lower one of them")
        if self.n_items < self.n_coarse * self.n_fine or self.n_users < self.n_coarse * self.n_fine:
            raise ConfigError(f"{self.n_coarse} × {self.n_fine} groups need at least one user and one item each; use fewer groups")
        if not self.n_users * self.min_degree <= self.n_interactions <= self.n_users * self.most_items:
            low, high = self.n_users * self.min_degree, self.n_users * self.most_items
            rule = f"must lie in [{low}, {high}]: each user has min_degree items at least and half of all items at most"
            raise ConfigError(f"n_interactions is {self.n_interactions}, but {rule}")

    @property
    def most_items(self) -> int:
        """Most items one user may have: half the catalogue, so that there is something left to rank."""
        return max(self.n_items // 2, 1)


@dataclass(frozen=True, eq=False)
class SyntheticData:
    """`interactions` with the truth behind them: columns of `user_groups` [n_users, 2] and `item_groups` [n_items, 2] are coarse, fine."""

    interactions: Interactions
    user_groups: np.ndarray
    item_groups: np.ndarray


PRESETS = {
    "tiny": SyntheticConfig(n_users=60, n_items=40, n_interactions=600, n_coarse=2, n_fine=2, min_degree=4),
    "smoke": SyntheticConfig(),
}


def scaled(n_interactions: int, *, seed: int = 0) -> SyntheticConfig:
    """A configuration of any size from 2,000 to tens of millions: 20 interactions per user, 3 users for 2 items as in `smoke`.

    The number of groups grows with the square root of the size, so groups become both more numerous and larger.
    """
    if isinstance(n_interactions, bool) or not isinstance(n_interactions, (int, np.integer)) or n_interactions < 2000:
        raise ConfigError(f"n_interactions is {n_interactions!r}, but must be a whole number ≥ 2000")
    base = PRESETS["smoke"]
    side = (n_interactions / base.n_interactions) ** 0.25  # the square root, shared by the two levels of the hierarchy
    return replace(
        base,
        n_users=round(n_interactions / 20),
        n_items=round(n_interactions / 30),
        n_interactions=int(n_interactions),
        n_coarse=max(2, round(base.n_coarse * side)),
        n_fine=max(2, round(base.n_fine * side)),
        seed=seed,
    )


def generate(config: SyntheticConfig | str = "smoke", *, name: str | None = None, seed: int | None = None) -> Interactions:
    """`Interactions` with exactly `n_interactions` distinct pairs and a per-user split; source "synthetic".

    `config` is a `SyntheticConfig` or a preset, "smoke" or "tiny"; `seed` replaces the one in it. Same configuration, same
    fingerprint. Raises `ConfigError` for an unknown preset.
    """
    return generate_with_groups(config, name=name, seed=seed).interactions


def generate_with_groups(config: SyntheticConfig | str = "smoke", *, name: str | None = None, seed: int | None = None) -> SyntheticData:
    """As `generate`, with the group of every user and item, for experiments on co-clustering."""
    if isinstance(config, str):
        name = name or f"synthetic-{config}"
        config = PRESETS[one_of("preset", config, tuple(PRESETS))]
    if seed is not None:
        config = replace(config, seed=seed)
    check_memory(f"generating {config.n_interactions:,} interactions", 100 * config.n_interactions, "generate fewer")
    rng = np.random.default_rng(config.seed)
    user_fine, _ = _assign_groups(config, config.n_users, rng)
    item_fine, bounds = _assign_groups(config, config.n_items, rng)  # items sorted by fine group: every pool is a range
    cumulative = np.concatenate([[0.0], np.cumsum(_popularity(config, rng))])
    users, items = _draw_pairs(config, user_fine, bounds, cumulative, rng)
    user_names, item_names = rng.permutation(config.n_users), rng.permutation(config.n_items)  # ids must not give groups away
    data = per_user_split(
        (user_names[users], item_names[items]),
        (1 - config.test_fraction - config.val_fraction, config.val_fraction, config.test_fraction),
        config.seed,
        n_users=config.n_users,
        n_items=config.n_items,
        name=name or f"synthetic-{config.n_interactions}",
    )
    notes = f"degree-corrected co-clusters, {config.n_coarse} × {config.n_fine} groups, seed {config.seed}; {data.notes}"
    data = data.described(source="synthetic", notes=notes)
    return SyntheticData(data, _groups(config, user_fine, user_names), _groups(config, item_fine, item_names))


# ---- parts ----------------------------------------------------------------------------------------------------------------


def _assign_groups(config: SyntheticConfig, count: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Fine group of each of `count` nodes, in order, and the bounds [n_groups + 1] of the groups; sizes differ, none is empty."""
    n_groups = config.n_coarse * config.n_fine
    weights = rng.dirichlet(np.full(n_groups, 8.0))  # sizes vary by about a third
    sizes = 1 + rng.multinomial(count - n_groups, weights)
    return np.repeat(np.arange(n_groups), sizes), np.concatenate([[0], np.cumsum(sizes)])


def _popularity(config: SyntheticConfig, rng: np.random.Generator) -> np.ndarray:
    """Zipf weights in random order, so that every group has its own head and tail. float64 [n_items]"""
    return rng.permutation(np.arange(1, config.n_items + 1, dtype=np.float64) ** -config.item_exponent)


def _degrees(config: SyntheticConfig, rng: np.random.Generator) -> np.ndarray:
    """Items per user: lognormal above `min_degree`, at most `most_items`, summing to `n_interactions`. int64 [n_users]"""
    least, most, total = config.min_degree, config.most_items, config.n_interactions
    extra = rng.lognormal(0.0, config.user_sigma, config.n_users)
    degrees = np.full(config.n_users, least, np.int64)
    while (missing := total - int(degrees.sum())) > 0:
        weight = np.where(degrees < most, extra, 0.0)
        share = missing * weight / weight.sum()
        degrees = np.minimum(degrees + np.floor(share + rng.random(share.size) * (share > 0)).astype(np.int64), most)
        excess = int(degrees.sum()) - total
        if excess > 0:  # rounding went over: take one item each from as many users
            degrees[rng.choice(np.flatnonzero(degrees > least), excess, replace=False)] -= 1
    return degrees


def _draw_pairs(
    config: SyntheticConfig, user_fine: np.ndarray, bounds: np.ndarray, cumulative: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Distinct (users, items): draw with replacement, drop repeats, draw again for the users who are short."""
    degrees = _degrees(config, rng)
    keys = np.empty(0, np.int64)  # user · n_items + item, sorted
    for attempt in range(_ROUNDS):
        short = degrees - np.bincount(keys // config.n_items, minlength=config.n_users)
        if not short.any():
            break
        users = np.repeat(np.arange(config.n_users), short)
        low, high = _pools(config, user_fine[users], bounds, rng)
        if attempt < _UNIFORM_AFTER:
            start = cumulative[low]
            points = start + rng.random(users.size) * (cumulative[high] - start)
            items = np.searchsorted(cumulative, points, side="right") - 1
            np.clip(items, low, high - 1, out=items)  # a point may round up to the end of its pool
        else:
            items = rng.integers(config.n_items, size=users.size)
        keys = _merge(keys, np.unique(users * config.n_items + items))
    return np.divmod(keys, config.n_items)


def _merge(keys: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Sorted union of two sorted arrays without repeats; sorting everything again in each round would dominate at 10 M pairs."""
    if keys.size == 0:
        return new
    place = np.searchsorted(keys, new)
    fresh = keys[np.minimum(place, keys.size - 1)] != new
    return np.insert(keys, place[fresh], new[fresh])


def _pools(config: SyntheticConfig, fine: np.ndarray, bounds: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """For each draw the range of items it comes from: fine group, coarse group, or all."""
    first = fine - fine % config.n_fine  # first fine group of the coarse group
    level = rng.random(fine.size)
    own, near = level < config.p_fine, level < config.p_fine + config.p_coarse
    low = np.where(own, bounds[fine], np.where(near, bounds[first], 0))
    high = np.where(own, bounds[fine + 1], np.where(near, bounds[first + config.n_fine], config.n_items))
    return low, high


def _groups(config: SyntheticConfig, fine: np.ndarray, names: np.ndarray) -> np.ndarray:
    groups = np.empty((fine.size, 2), np.int64)
    groups[names] = np.stack([fine // config.n_fine, fine], axis=1)
    return groups
