"""The one rule by which a difference between two methods is called better, worse, equivalent or undecided (ours).

Two kinds of chance are looked at. The *users'* paired test and interval ask whether other users would show the same; the t-interval of
the differences *seed by seed* asks whether training again would. A verdict needs both, so it needs `ENOUGH_SEEDS` seeds:

- equivalent: both 95 % intervals lie inside ± `MARGIN` of the baseline's mean, whatever the sign of the difference;
- better or worse: else, if the users' test shows it (p < 0.05 after Holm over the family) and the seeds' interval leaves out 0 on its side;
- undecided: everything else, and everything with fewer seeds.

"Undecided" says nothing about the methods, only about the runs.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from recq_lib.evaluation.statistics import MeanInterval, PairedResult, compare, holm, mean_interval

# Share of the baseline's mean. The smallest lead in Recall that BACO's Table 8 prints over its best rival is 3.5 % of the rival's
# (AmazonBook, K = 10), and L²Q-GCN calls a loss of 1 to 10 % of full precision a recovery: less than 2 % would change no choice here.
MARGIN = 0.02
ENOUGH_SEEDS = 3
BETTER, WORSE, EQUIVALENT, UNDECIDED = VERDICTS = ("better", "worse", "equivalent", "undecided")
SHOWN = (BETTER, WORSE)
Pair = tuple[np.ndarray, np.ndarray]  # of a and b: a metric as a fraction, [seeds, users], the same seeds and users in the same order


def verdict(over_users: PairedResult, p_holm: float, over_seeds: MeanInterval, margin: float) -> str:
    """What is said of a against b: one of `VERDICTS`. Both intervals are of a − b, in the unit of `margin`."""
    if over_seeds.n < ENOUGH_SEEDS:
        return UNDECIDED
    if all(-margin <= part.low and part.high <= margin for part in (over_users.interval, over_seeds)):
        return EQUIVALENT
    by_test = over_users.verdict(p_value=p_holm)
    if by_test == "a better" and over_seeds.low > 0:
        return BETTER
    return WORSE if by_test == "b better" and over_seeds.high < 0 else UNDECIDED


def judge(pairs: Sequence[Pair]) -> pd.DataFrame:
    """One row per pair (a, b) of a family, Holm over all of them.

    Columns: difference (a − b), low, high (95 % over users), seed_low, seed_high (95 % over the differences seed by seed; nan for one
    seed), margin (all in points, 1 point = 1 %), p_holm (Wilcoxon over users, seeds averaged), wins, losses, ties (users), seeds ("2/3": in
    two of three seeds the mean of a is higher), verdict (of a).
    """
    tests = [compare(a, b) for a, b in pairs]
    rows = []
    for (a, b), test, p in zip(pairs, tests, holm([test.p_value for test in tests]), strict=True):
        by_seed = [x.mean() - y.mean() for x, y in zip(a, b, strict=True)]
        over_seeds, margin = mean_interval(by_seed), MARGIN * float(b.mean())
        points = (test.mean_difference, test.interval.low, test.interval.high, over_seeds.low, over_seeds.high, margin)
        ahead = f"{sum(difference > 0 for difference in by_seed)}/{len(by_seed)}"
        said = verdict(test, p, over_seeds, margin)
        rows.append((*(100 * x for x in points), p, test.wins, test.losses, test.ties, ahead, said))
    columns = ["difference", "low", "high", "seed_low", "seed_high", "margin", "p_holm", "wins", "losses", "ties", "seeds", "verdict"]
    return pd.DataFrame(rows, columns=columns)


# ---- claims with a bar -------------------------------------------------------------------------------------------------------


def against_bar(a: np.ndarray, b: np.ndarray, share: float = 1.0, points: float = 0.0) -> str:
    """Whether a ≥ share · b + points (fractions, [seeds, users] as in `Pair`) holds: "better", "worse" or "undecided" than the bar.

    The bar is the paper's own, so there is no margin: better if both intervals of a − share · b − points lie at or above 0, worse if both
    lie below it.
    """
    over = a - share * b - points
    users, seeds = compare(over, np.zeros_like(over)).interval, mean_interval(over.mean(axis=1))
    if seeds.n < ENOUGH_SEEDS:
        return UNDECIDED
    if min(users.low, seeds.low) >= 0:
        return BETTER
    return WORSE if max(users.high, seeds.high) < 0 else UNDECIDED


# ---- in words ----------------------------------------------------------------------------------------------------------------


def in_words() -> str:
    """The rule as a paragraph for readers."""
    return (
        f"A difference between a method and its baseline is called *equivalent* if both its 95 % intervals, over users and over seeds, lie "
        f"inside ±{MARGIN:.0%} of the baseline; *better* or *worse* if the users' paired test shows it (Wilcoxon, Holm over the family, "
        f"p < 0.05) and the interval over seeds leaves out 0 on the same side; *undecided* otherwise, and always with fewer than "
        f"{ENOUGH_SEEDS} seeds."
    )


def counted(names: Sequence[str], verdicts: Sequence[str]) -> str:
    """How often each verdict was given and to what, e.g. "better 1 (x); worse 0; equivalent 0; undecided 2 (y, z)"."""
    found = {word: [name for name, said in zip(names, verdicts, strict=True) if said == word] for word in VERDICTS}
    return "; ".join(f"{word} {len(group)}" + (f" ({', '.join(group)})" if group else "") for word, group in found.items())
