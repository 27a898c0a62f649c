"""Findings about a claim: the four words, and how shares, sizes and tests of recorded runs become them (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from recq_lib.companion import studies
from recq_lib.companion.analysis.paired import recall_of
from recq_lib.companion.analysis.verdict import BETTER, EQUIVALENT, VERDICTS, WORSE, against_bar
from recq_lib.companion.studies import naming
from recq_lib.evaluation.statistics import compare, mean_interval
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord

REPRODUCED, CONTRADICTED, UNDECIDED, UNTESTED = WORDS = ("reproduced", "contradicted", "undecided", "untested")


@dataclass(frozen=True)
class Finding:
    """What some records say of a claim.

    measured : what was compared, in words; number, interval : as text, with unit; "" where there is none
    protocol : how the runs were trained; seeds : "3", "3 to 5", or "" for what needs no training
    verdict : one of `WORDS`; place : where it holds in the short table, the dataset if ""
    """

    measured: str
    verdict: str
    number: str = ""
    interval: str = ""
    dataset: str = ""
    protocol: str = ""
    seeds: str = ""
    place: str = ""


def word(verdict: str) -> str:
    """What a verdict of the one rule makes of a claim to be better or to pass a bar."""
    return {BETTER: REPRODUCED, WORSE: CONTRADICTED, EQUIVALENT: CONTRADICTED}.get(verdict, UNDECIDED)


def untested(why: str, place: str = "") -> list[Finding]:
    """The finding of a claim that no record measures; `why` says what is missing and how to make it."""
    return [Finding(why, UNTESTED, place=place)]


def protocol_in_words(records: Sequence[RunRecord]) -> str:
    """The protocols of runs as `studies.naming` calls them; of a laptop's scale without the settings, which would fill the cell.

    Closed forms are named only where nothing is trained.
    """
    found = [naming.protocol_of(record) for record in records]
    trained = [protocol for protocol in found if protocol.name] or found
    return "; ".join(dict.fromkeys(protocol.title if protocol.laptop else str(protocol) for protocol in trained))


def missing(what: str, study: str) -> list[Finding]:
    return untested(f"{what}; make them with: python -m recq_lib study {study} --profile paper")


class Recorded:
    """Records of the paper profile, read once for all claims."""

    def __init__(self) -> None:
        self._all = results.find(profile="paper", arrays=False)

    def of(self, *names: str) -> list[RunRecord]:
        """Runs of the studies, in the order of their plans."""
        return [record for name in names for record in studies.recorded(name, "paper", among=self._all)]


# ---- from runs to findings --------------------------------------------------------------------------------------------------


def share_of(measured: str, a: dict[int, RunRecord], b: dict[int, RunRecord], bar: float, k: int = 20) -> list[Finding]:
    """Whether Recall@k of `a` is at least `bar` times that of `b`, on the seeds both have; nothing where they have none."""
    seeds = sorted(a.keys() & b.keys())
    if not seeds:
        return []
    x, y = (recall_of([side[seed].spec.key for seed in seeds], k) for side in (a, b))
    share = x.mean() / y.mean()
    over_users = compare(x, share * y).interval
    users = tuple(100 * (share + end / y.mean()) for end in (over_users.low, over_users.high))
    over_seeds = mean_interval(x.mean(axis=1) / y.mean(axis=1))
    interval = both_intervals(users, (100 * over_seeds.low, 100 * over_seeds.high), ".1f")
    said = word(against_bar(x, y, bar))
    first, number = a[seeds[0]], f"{100 * share:.1f} %"
    where = f"{first.spec.dataset}, d = {first.spec.params['dim']}"
    return [Finding(measured, said, number, interval, first.spec.dataset, protocol_in_words([first]), str(len(seeds)), where)]


def size_of(measured: str, records: Iterable[RunRecord], method: str, bar: float) -> list[Finding]:
    """How many times smaller than one float32 vector per node, by width; the same on all data, and exact."""
    sizes = {r.spec.params["dim"]: r.n_bytes["parameters"] / r.n_bytes["stored"] for r in records if r.spec.method == method}
    said = {dim: REPRODUCED if times >= bar else CONTRADICTED for dim, times in sizes.items()}
    return [Finding(f"{measured}, d = {dim}", said[dim], f"{sizes[dim]:.2f} times smaller", place=f"d = {dim}") for dim in sizes]


def grouped(measured: str, tests: pd.DataFrame, side: str, dataset: str, protocol: str, place: str = "") -> list[Finding]:
    """Rows of `paired`, one finding per verdict: every row is counted and named.

    side : the column that names a row; place : what sets these tests apart in short, e.g. "equal bits"
    """
    found = []
    for said in VERDICTS:
        part = tests[tests["verdict"] == said]
        if part.empty:
            continue
        names = "; ".join(part[side])
        low, high = part["difference"].min(), part["difference"].max()
        number = f"{low:+.2f}" if len(part) == 1 else f"{low:+.2f} to {high:+.2f}"
        row = part.iloc[0]
        interval = both_intervals((row["low"], row["high"]), (row["seed_low"], row["seed_high"])) if len(part) == 1 else ""
        seeds = sorted({int(str(value).split("/")[-1]) for value in part["seeds"]})
        told = f"{measured}: {said} in {len(part)} of {len(tests)} ({names})"
        span = str(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {seeds[-1]}"
        where = ", ".join(filter(None, [dataset, place, f"{len(part)} of {len(tests)}" if len(tests) > 1 else ""]))
        found.append(Finding(told, word(said), f"{number} points", interval, dataset, protocol, span, where))
    return found


# ---- intervals as text -------------------------------------------------------------------------------------------------------


def both_intervals(users: tuple[float, float], seeds: tuple[float, float], form: str = "+.2f") -> str:
    """"[a, b]; [c, d]" over users and over seeds, "–" for an interval that does not exist."""
    return "; ".join(f"[{low:{form}}, {high:{form}}]" if np.isfinite(low) else "–" for low, high in (users, seeds))
