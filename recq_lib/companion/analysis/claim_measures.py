"""What the recorded runs of the paper profile say of each claim of `published_tables/claims.csv`; one function per claim (ours)."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import numpy as np
import pandas as pd

from recq_lib.companion import studies
from recq_lib.companion.analysis import baco, hessian, kept, layers_and_annealing, weighting
from recq_lib.companion.analysis.claim_findings import (
    CONTRADICTED,
    REPRODUCED,
    UNTESTED,
    Finding,
    Recorded,
    both_intervals,
    grouped,
    missing,
    protocol_in_words,
    share_of,
    size_of,
    untested,
    word,
)  # fmt: skip
from recq_lib.companion.analysis.paired import paired, recall_of, recalls, seeds_of
from recq_lib.companion.analysis.verdict import against_bar
from recq_lib.evaluation.statistics import compare, mean_interval
from recq_lib.runs.records import RunRecord
from recq_lib.runs.registry import METHODS

Measure = Callable[[Recorded], list[Finding]]
# what a claim asks for: times smaller, share of another's Recall, share of the parameters, points
BARS = {"l2q-size": 8.5, "l2q-recovery": 0.90, "bigear-lead": 1.22, "bigear-recovery": 0.95, "bigear-size": 8.0,
        "baco-parameters": 0.75, "baco-drop": 1.85}  # fmt: skip


def _by_place(records: Iterable[RunRecord]) -> dict[tuple, list[RunRecord]]:
    """Runs by dataset, width, λ and loss: full precision is of the same protocol as what is held against it."""
    found: dict[tuple, list[RunRecord]] = {}
    for record in records:
        params = record.spec.params
        found.setdefault((record.spec.dataset, params["dim"], params["l2"], params.get("loss", "bpr")), []).append(record)
    return found


def _of(records: Iterable[RunRecord], method: str) -> dict[int, RunRecord]:
    """Seed → run of a method."""
    return {record.spec.seed: record for record in records if record.spec.method == method}


# ---- L²Q-GCN and BiGeaR ------------------------------------------------------------------------------------------------------


def _shares_of(runs: Recorded, method: str, title: str, bar: float) -> list[Finding]:
    found = []
    for (_, dim, l2, _), part in _by_place(runs.of("binary", "l2q-wide", "l2q-paper", "layers-large")).items():
        told = f"{title} over full precision, d = {dim}, λ = {l2:g}"
        found += share_of(told, _of(part, method), _of(part, "lightgcn"), bar)
    return found or missing(f"{title} and full precision are not recorded", "binary")


def _l2q_layers(runs: Recorded) -> list[Finding]:
    records = runs.of("layerwise")
    table = layers_and_annealing.layerwise_table(records)
    if table.empty:
        return missing("no code is recorded", "layerwise")
    plain = table[(table["scaler"] == "alpha") & (table["coded"].ne("all") | table["weighted"].eq(True))]
    size = plain.drop_duplicates("name").set_index("name")
    every = size.index[size["coded"] == "all"]
    same_width = [
        (a, b) for a in every for b in size.index[size["coded"] != "all"]
        if (size.at[a, "width"], size.at[a, "depth"]) == (size.at[b, "width"], size.at[b, "depth"])
    ]  # fmt: skip
    equal = layers_and_annealing.rivals(plain)
    tests = paired(recalls(plain), [*equal, *same_width], seeds_of(plain))
    tests["pair"] = [f"{a} against {b}" for a, b in zip(tests["a"], tests["b"], strict=True)]
    dataset, protocol = records[0].spec.dataset, protocol_in_words(records)
    at_equal = [pair in equal for pair in zip(tests["a"], tests["b"], strict=True)]
    found = grouped("at equal bits", tests[at_equal], "pair", dataset, protocol, "equal bits")
    found += grouped("at equal width, so with three times the bits", tests[~np.array(at_equal)], "pair", dataset, protocol, "equal width")
    alone = layers_and_annealing.unmatched(table)
    if alone:
        told = f"at equal bytes: no single code of as many bytes is recorded beside {', '.join(alone)}"
        found += untested(f"{told}; once it is in the grid: python -m recq_lib study layerwise --profile paper", "equal bytes")
    return found


def _l2q_annealing(runs: Recorded) -> list[Finding]:
    records = runs.of("annealing")
    table = layers_and_annealing.annealing_table(records)
    found = []
    if len(table):
        pairs = [(f"exponential to 0.1, {start}", f"{layers_and_annealing.HARD}, {start}") for start in ("warm start", "from scratch")]
        tests, where = paired(recalls(table), pairs, seeds_of(table)), (records[0].spec.dataset, protocol_in_words(records))
        found += grouped("-anl against hard codes of the same start", tests, "a", *where, "same start")
    for dataset, part in _by_dataset(runs.of("binary")).items():
        named = pd.DataFrame([(r.spec.method, r.spec.seed, r.spec.key) for r in part], columns=["name", "seed", "key"])
        tests = paired(recalls(named), [("l2q-gcn-anl", "l2q-gcn")], seeds_of(named))
        told = "-anl (with its warm start) against L²Q-GCN (from scratch)"
        found += grouped(told, tests, "a", dataset, protocol_in_words(part), "as they are")
    return found or missing("no annealed run is recorded", "annealing")


def _bigear_lead(runs: Recorded) -> list[Finding]:
    found = []
    for part in _by_dataset(runs.of("binary")).values():
        others = {name: by_seed for name in studies.codes.BINARY if (by_seed := _of(part, name))}
        means = {name: np.mean([run.metrics["recall@20"] for run in by_seed.values()]) for name, by_seed in others.items()}
        if means:
            best = max(means, key=means.__getitem__)
            told = f"BiGeaR over {kept.title_of(best)}, the best of {len(means)} other binary methods"
            found += share_of(told, _of(part, "bigear"), others[best], BARS["bigear-lead"])
    return found or missing("no binary method is recorded", "binary")


def _by_dataset(records: Iterable[RunRecord]) -> dict[str, list[RunRecord]]:
    found: dict[str, list[RunRecord]] = {}
    for record in records:
        found.setdefault(record.spec.dataset, []).append(record)
    return found


# ---- HQ-GNN ------------------------------------------------------------------------------------------------------------------


def _hq_sizes(runs: Recorded) -> dict[int, float]:
    """Bits → bytes of LightGCN's float32 vectors over bytes of the codes."""
    codes = [r for r in runs.of("bits") if r.spec.method == "hq-gnn" and kept.encoder_of(r) == "lightgcn"]
    return {int(r.spec.params["option.bits"]): r.n_bytes["parameters"] / r.n_bytes["stored"] for r in codes}


def _hq_memory(runs: Recorded) -> list[Finding]:
    sizes = _hq_sizes(runs)
    if not sizes:
        return missing("no code is recorded", "bits")
    number = ", ".join(f"{times:.1f} at {bits}" for bits, times in sorted(sizes.items()))
    return [Finding("what is stored and searched, by bits; training needs no less than before", REPRODUCED, f"times smaller: {number}")]


def _hq_bits(runs: Recorded) -> list[Finding]:
    bits = sorted(_hq_sizes(runs))
    told = "trained in study bits, on LightGCN"
    return [Finding(told, REPRODUCED, f"{', '.join(map(str, bits))} bits")] if len(bits) > 1 else untested("fewer than two are recorded")


def _hq_gste(runs: Recorded) -> list[Finding]:
    records = runs.of("hessian")
    found = hessian.differences(hessian.runs_table(records))
    if found.empty:
        return missing("GSTE and STE are not recorded", "hessian")
    rows = found.rename(columns={"low": "seed_low", "high": "seed_high", "user_low": "low", "user_high": "high"})
    told = []
    for dataset, part in hessian.acted(rows).groupby("dataset", sort=False):
        protocol = protocol_in_words([r for r in records if r.spec.dataset == dataset])
        told += grouped("GSTE against STE, settings in which δ acted", part, "setting", dataset, protocol)
    return told


# ---- BACO --------------------------------------------------------------------------------------------------------------------


def _baco_groups(runs: Recorded) -> list[tuple[str, list[RunRecord]]]:
    """(study, runs) for each dataset of the studies that compare ways to share rows."""
    names = ("sharing", "sharing-laptop", "sharing-large", "sharing-recipe")
    return [(name, part) for name in names for part in _by_dataset(runs.of(name)).values()]


def _with_scu(records: Iterable[RunRecord]) -> dict[int, RunRecord]:
    return {record.spec.seed: record for record in records if baco.name_of(record) == "BACO"}


def _baco_parameters(runs: Recorded) -> list[Finding]:
    found = []
    for name, part in _baco_groups(runs):
        ours, full = _with_scu(part), _of(part, "lightgcn")
        if ours and full:
            first, whole = (next(iter(side.values())) for side in (ours, full))
            less = 1 - first.provenance["table_parameters"] / (whole.n_bytes["parameters"] / 4)  # one clustering serves all seeds
            said = REPRODUCED if less >= BARS["baco-parameters"] else CONTRADICTED
            meant = {"sharing": "γ as published", "sharing-large": "size of GraphHash", "sharing-recipe": "size of GraphHash"}
            if name not in meant:
                said = UNTESTED
            size = meant.get(name, f"size set by us to {studies.sharing.RATIO:.0%}, which tests nothing")
            found.append(Finding(f"share of parameters saved, {size}", said, f"{100 * less:.1f} %", "", first.spec.dataset))
    return found or missing("BACO and the full table are not recorded", "sharing")


def _baco_drop(runs: Recorded) -> list[Finding]:
    found = []
    for _, part in _baco_groups(runs):
        ours, full = _with_scu(part), _of(part, "lightgcn")
        seeds = sorted(ours.keys() & full.keys())
        if not seeds:
            continue
        a, b = (recall_of([side[seed].spec.key for seed in seeds], 20, capped=True) for side in (ours, full))
        test, over_seeds = compare(b, a), mean_interval(100 * (b - a).mean(axis=1))
        users = tuple(100 * end for end in (test.interval.low, test.interval.high))
        said = word(against_bar(a, b, points=-BARS["baco-drop"] / 100))
        first = ours[seeds[0]]
        interval, number = both_intervals(users, (over_seeds.low, over_seeds.high)), f"{100 * test.mean_difference:.2f} points below"
        told = f"BACO below the full table, which reaches {100 * b.mean():.2f} %"
        found.append(Finding(told, said, number, interval, first.spec.dataset, protocol_in_words([first]), str(len(seeds))))
    return found or missing("BACO and the full table are not recorded", "sharing")


def _baco_lead(runs: Recorded) -> list[Finding]:
    found, titles = [], [baco.title_of(name) for name in studies.sharing.BASELINES]
    for _, part in _baco_groups(runs):
        tests = baco.against_others(part, capped=True)
        tests = tests[tests["b"].isin(titles)]
        if len(tests):
            told = f"BACO against {len(tests)} of the 18"
            found += grouped(told, tests, "b", part[0].spec.dataset, protocol_in_words(part))
    return found or missing("no baseline is recorded", "sharing")


def _baco_sizes(runs: Recorded) -> list[Finding]:
    records = runs.of("weighting")
    table = weighting.runs_table(records, "recall_min@20")
    tests = weighting.by_size(table, METHODS["graphhash"].title)
    if tests.empty:
        return missing("BACO and GraphHash are not recorded by size", "weighting")
    return grouped("BACO against GraphHash at the same size", tests, "b", records[0].spec.dataset, protocol_in_words(records))


MEASURES: dict[str, Measure] = {
    "l2q-size": lambda runs: (
        size_of("-anl", runs.of("binary", "l2q-wide"), "l2q-gcn-anl", BARS["l2q-size"]) or missing("no code is recorded", "binary")
    ),
    "l2q-recovery": lambda runs: _shares_of(runs, "l2q-gcn-anl", "-anl", BARS["l2q-recovery"]),
    "l2q-benchmarks": lambda _: untested("the names of the paper's four data sets are not known to us"),
    "l2q-layers": _l2q_layers,
    "l2q-annealing": _l2q_annealing,
    "bigear-lead": _bigear_lead,
    "bigear-recovery": lambda runs: _shares_of(runs, "bigear", "BiGeaR", BARS["bigear-recovery"]),
    "bigear-size": lambda runs: [
        *size_of("space: BiGeaR", runs.of("binary", "l2q-paper"), "bigear", BARS["bigear-size"]),
        *untested("time: no search is recorded for these models", "time"),
    ],
    "hq-memory": _hq_memory,
    "hq-latency": lambda _: untested("no search is recorded for these models"),
    "hq-balance": lambda _: untested("no search is recorded for these models; what Recall is kept, by bits, is in notebook 04"),
    "hq-gste": _hq_gste,
    "hq-stability": lambda _: untested("the paper's measure of stability is not known to us"),
    "hq-bits": _hq_bits,
    "baco-parameters": _baco_parameters,
    "baco-drop": _baco_drop,
    "baco-speed": lambda _: untested("neither the dataset nor the baseline is known to us; our own times are in notebook 05"),
    "baco-unify": lambda _: [Finding("identities checked number by number in notebook 05, section 2", REPRODUCED, "equal to rounding")],
    "baco-lead": _baco_lead,
    "baco-sizes": _baco_sizes,
    "baco-second-rows": lambda _: untested("the paper does not say which distance; what second rows do to Recall is in notebook 09"),
    "baco-time": lambda _: untested("the two data sets are not at hand"),
}  # fmt: skip
