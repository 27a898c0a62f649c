"""Runs of study "hessian": GSTE − STE for each setting, and what the differences say in words (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np
import pandas as pd
from scipy import stats

from recq_lib.companion.analysis.paired import recall_of
from recq_lib.companion.analysis.verdict import BETTER, SHOWN, UNDECIDED, VERDICTS, WORSE, judge
from recq_lib.config import OPTION
from recq_lib.runs import registry
from recq_lib.runs.records import RunRecord
from recq_lib.runs.run import Plan

FULL = "full precision"
BOUNDS = {"scale": "two scales", "learn": "one scale", "fixed": "codes ±1"}
EVERY_EPOCH = "every epoch"
GROUP = ["dataset", "bits", "bounds", "warm"]


# ---- runs --------------------------------------------------------------------------------------------------------------------


def varied(plans: Iterable[Plan]) -> pd.DataFrame:
    """What a study's plans vary: a row per dataset, start and way of measuring δ, with the bits, code scales, estimators and seeds."""
    rows = []
    for plan in plans:
        option = registry.resolve(plan.method, plan.config).options
        if "estimator" in option:
            start = "warm" if option["warm_start"] else "scratch"
            scale = BOUNDS[option["bounds"]]
            rows.append((plan.dataset, start, _measured(option), option["bits"], scale, option["estimator"].upper(), plan.config.seed))
    table = pd.DataFrame(rows, columns=["data", "start", "δ measured", "bits", "code scale", "estimators", "seeds"])

    def listed(values: pd.Series) -> str:
        return ", ".join(dict.fromkeys(map(str, values)))

    by = table.groupby(["data", "start", "δ measured"], sort=False)
    return by.agg({"bits": listed, "code scale": listed, "estimators": listed, "seeds": "nunique"}).reset_index()


def _measured(option: Mapping[str, object]) -> str:
    """How a run's δ is measured, in words."""
    if option.get("trace") == "hutchinson":
        return "Hutchinson"
    return EVERY_EPOCH if option.get("refresh", 1) == 1 else f"every {option['refresh']} epochs"


def runs_table(records: Iterable[RunRecord], metric: str = "recall@50") -> pd.DataFrame:
    """One row per run of study "hessian".

    Columns: dataset; bits (0 for `FULL`); bounds; warm; estimator ("ste", "gste" or `FULL`); measured, how δ is; seed; value of the metric
    (fraction); correction, δ·|error| as the mean of both tables over the epochs after the first (0 for STE); kept, the epoch that was
    kept; key of the record.
    """
    rows = []
    for record in records:
        spec, params = record.spec, record.spec.params
        option = {name.removeprefix(OPTION): value for name, value in params.items() if name.startswith(OPTION)}
        after = [entry for entry in record.history if entry["epoch"] > 0 and "users_correction" in entry]
        correction = float(np.mean([[e["users_correction"], e["items_correction"]] for e in after])) if after else 0.0
        place = (
            option.get("bits", 0),
            option.get("bounds", ""),
            option.get("warm_start", False),
            option.get("estimator", FULL),
            _measured(option),
        )
        rows.append((spec.dataset, *place, spec.seed, record.metrics[metric], correction, record.timings["best_epoch"], spec.key))
    return pd.DataFrame(rows, columns=[*GROUP, "estimator", "measured", "seed", "value", "correction", "kept", "key"])


def setting_name(bits: int, bounds: str, warm: bool, measured: str = EVERY_EPOCH) -> str:
    """How a row of the forest is called."""
    how = "" if measured == EVERY_EPOCH else f", δ {'by ' if measured == 'Hutchinson' else ''}{measured}"
    return f"{bits} bit{'s' if bits > 1 else ''}, {BOUNDS[bounds]}, {'warm start' if warm else 'from scratch'}{how}"


def differences(table: pd.DataFrame, k: int = 50) -> pd.DataFrame:
    """GSTE − STE for every setting of `runs_table` that both have, on the seeds both have.

    Columns: `GROUP`, measured, setting, seeds, ste and gste (means over seeds, %), correction (of GSTE), idle (seeds in which both
    kept epoch 0, where δ is still 0, so that they are one model), difference with low and high (points; t-interval of the paired
    differences over seeds, nan for one seed), user_low and user_high (95 % over users), margin, p_holm (Holm over all rows) and
    verdict (of GSTE), by the rule of `verdict`. Every way of measuring δ is a row. Per-user hits@k are read from the records.
    """
    rows, pairs = [], []
    for place, part in table[table["estimator"] == "gste"].groupby([*GROUP, "measured"], sort=False):
        same = (table[GROUP] == list(place[:-1])).all(axis=1) & (table["estimator"] == "ste")
        both = part.merge(table[same], on="seed", suffixes=("_gste", "_ste")).sort_values("seed")
        if both.empty:
            continue
        pairs.append(tuple(recall_of(both[f"key_{name}"], k) for name in ("gste", "ste")))
        means = [100 * both[f"value_{name}"].mean() for name in ("ste", "gste")]
        idle = int(((both["kept_gste"] == 0) & (both["kept_ste"] == 0)).sum())
        rows.append((*place, setting_name(*place[1:]), len(both), *means, both["correction_gste"].mean(), idle))
    columns = [*GROUP, "measured", "setting", "seeds", "ste", "gste", "correction", "idle"]
    judged = judge(pairs).rename(columns={"low": "user_low", "high": "user_high", "seed_low": "low", "seed_high": "high"})
    kept = ["difference", "low", "high", "user_low", "user_high", "margin", "p_holm", "verdict"]
    return pd.concat([pd.DataFrame(rows, columns=columns), judged[kept]], axis=1)


def scale_or_estimator(found: pd.DataFrame) -> pd.DataFrame:
    """How far the code scale and the estimator each move the metric, per dataset, bits and start with at least two code scales.

    Columns: dataset, bits, warm, best (code scale under STE), best_ste (%), scale (points between the best and the worst code
    scale under STE, means over seeds), estimator (largest |GSTE − STE| over the code scales and ways of measuring δ, points),
    at_best (GSTE − STE at the best scale, points; of several ways of measuring δ the one that does best) and verdict there, idle
    (there, no seed felt δ).
    """
    rows = []
    for place, part in found.groupby(["dataset", "bits", "warm"], sort=False):
        if part["bounds"].nunique() > 1:
            at_top, moved = part[part["ste"] == part["ste"].max()], part["difference"].abs().max()
            top = at_top.loc[at_top["difference"].idxmax()]
            idle = bool(top["idle"] == top["seeds"])
            rows.append((*place, top["bounds"], top["ste"], np.ptp(part["ste"]), moved, top["difference"], top["verdict"], idle))
    return pd.DataFrame(rows, columns=["dataset", "bits", "warm", "best", "best_ste", "scale", "estimator", "at_best", "verdict", "idle"])


# ---- words -------------------------------------------------------------------------------------------------------------------


def plain_words(found: pd.DataFrame, scales: pd.DataFrame) -> str:
    """What `differences` and `scale_or_estimator` say about when GSTE pays, one statement per line; every recorded row is counted."""
    if found.empty:
        return "No setting is recorded with both estimators, so nothing can be said."
    felt = acted(found)
    lines = [f"Settings compared: {len(found)}, each under one quantizer, over {_span(found['seeds'], 'd')} seeds{_ways(found)}."]
    if len(felt) < len(found):
        lines.append(
            f"In {len(found) - len(felt)} of them every seed kept its first epoch, where δ is still 0: they say nothing about GSTE."
        )
    if len(felt):
        lines += [*_counts(felt), *_ahead(felt), *_extremes(felt), *_trend(felt), *_scales(scales)]
    return "\n".join(f"- {line}" for line in lines)


def _ways(found: pd.DataFrame) -> str:
    ways = found["measured"].value_counts(sort=False)
    return "" if len(ways) < 2 else f"; δ measured {', '.join(f'{way} in {count}' for way, count in ways.items())}"


def acted(found: pd.DataFrame) -> pd.DataFrame:
    """Rows of `differences` in which δ could act in at least one seed, because the epoch that was kept is not the first."""
    return found[found["idle"] < found["seeds"]]


def _names(rows: pd.DataFrame) -> str:
    return "; ".join(f"{row.setting} on {row.dataset} ({row.difference:+.2f})" for row in rows.itertuples())


def _counts(felt: pd.DataFrame) -> list[str]:
    of = {word: felt[felt["verdict"] == word] for word in VERDICTS}
    lines = [f"GSTE against STE: {', '.join(f'{word} in {len(rows)}' for word, rows in of.items())} of {len(felt)}."]
    lines += [f"GSTE {word}: {_names(of[word])}." for word in SHOWN if len(of[word])]
    if len(of[UNDECIDED]):
        lines.append(f"Undecided, the mean differences there: {_span(of[UNDECIDED]['difference'], '+.2f')} points.")
    return lines


def _ahead(felt: pd.DataFrame) -> list[str]:
    """Settings in which GSTE's mean is the higher one, the largest difference first: whatever the verdict, none is left out."""
    ahead = felt[felt["difference"] > 0].sort_values("difference", ascending=False)
    named = "; ".join(f"{row.setting} on {row.dataset} ({row.difference:+.2f}, {row.verdict})" for row in ahead.itertuples())
    return [f"GSTE's mean is higher in {len(ahead)} of {len(felt)}" + (f": {named}." if named else ".")]


def _extremes(felt: pd.DataFrame) -> list[str]:
    top, low = felt.loc[felt["difference"].idxmax()], felt.loc[felt["difference"].idxmin()]
    return [
        f"Largest mean difference {top['difference']:+.2f} points ({top['setting']}, {top['dataset']}; correction "
        f"{100 * top['correction']:.1f} %), smallest {low['difference']:+.2f} ({low['setting']}, {low['dataset']}; "
        f"{100 * low['correction']:.1f} %)."
    ]


def _trend(felt: pd.DataFrame) -> list[str]:
    if len(felt) < 5 or felt["correction"].nunique() < 2 or felt["difference"].nunique() < 2:
        return []
    rho, p = stats.spearmanr(felt["correction"], felt["difference"])
    said = "does not clearly follow" if p >= 0.05 else "grows with" if rho > 0 else "falls with"
    return [f"Over settings the difference {said} the correction (Spearman {rho:+.2f}, p = {p:.3f}; settings share data and teachers)."]


def _scales(scales: pd.DataFrame) -> list[str]:
    if scales.empty:
        return []
    n, larger = len(scales), int((scales["scale"] > scales["estimator"]).sum())
    won, lost, idle = (
        int(column.sum()) for column in (scales["verdict"] == BETTER, scales["verdict"] == WORSE, scales["idle"])
    )
    first = "choose the code scale first" if 2 * larger > n else "the estimator moves as much as the code scale"
    if won == lost:
        then = "no gain from GSTE is shown" if not won else "GSTE wins as often as it loses"
    else:
        then = "GSTE is worth its small price" if won > lost else "GSTE does harm"
    return [
        f"The code scale alone, under STE, moves Recall@50 by {_span(scales['scale'])} points, the estimator by at most "
        f"{_span(scales['estimator'])}; the scale is the larger of the two in {larger} of {n} groups of dataset, bits and start.",
        f"Under the best code scale of a group GSTE is better in {won}, worse in {lost} of {n}"
        + (f" (in {idle} of them δ did not act)." if idle else "."),
        f"So: {first}; under the best one {then}.",
    ]


def _span(values: pd.Series, form: str = ".2f") -> str:
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"
