"""Tables behind notebook 08: gradient errors against finite differences, GSTE − STE per setting, and what they say in words (ours)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import pandas as pd
import torch
from scipy import stats
from torch.nn.functional import softplus

from recq_lib.evaluation.statistics import compare, holm, mean_interval
from recq_lib.papers.hq_gnn.quantizer import nearest_odd, top_level
from recq_lib.papers.hq_gnn.trace import bpr_deltas
from recq_lib.runs import registry
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord
from recq_lib.runs.run import Plan

FULL = "full precision"
BOUNDS = {"scale": "two scales", "learn": "one scale", "fixed": "codes ±1"}
EVERY_EPOCH = "every epoch"
UNSHOWN = "no difference shown"
GROUP = ["dataset", "bits", "bounds", "warm"]


# ---- gradients ---------------------------------------------------------------------------------------------------------------


def change_slopes(vectors: torch.Tensor, triples: Sequence[torch.Tensor], change: torch.Tensor) -> torch.Tensor:
    """(loss after adding change[r, k] to vectors[r, k] alone, minus loss) / change[r, k], for every r and k: [R, d].

    The loss is the mean BPR loss of the triples (user, positive, negative), each [T] rows of `vectors` [R, d]; users' and items' rows do
    not overlap, and positive and negative differ, so that an entry acts on a triple's score once. `change` must have no zeros.
    """
    users, positives, negatives = triples
    difference = vectors[positives] - vectors[negatives]
    scores = (vectors[users] * difference).sum(dim=1)
    before, moved = softplus(-scores), torch.zeros_like(vectors)
    for rows, other in ((users, difference), (positives, vectors[users]), (negatives, -vectors[users])):
        after = softplus(-(scores[:, None] + change[rows] * other))
        moved.index_add_(0, rows, after - before[:, None])
    return moved / scores.numel() / change


def estimator_errors(
    x: torch.Tensor, n_users: int, triples: Sequence[torch.Tensor], bits: int, s: float, times: Sequence[float] = (0.0, 1.0)
) -> pd.DataFrame:
    """How far STE's and GSTE's gradients are from what a change of code would do to the loss; one row per multiple of the measured δ.

    Parameters
    ----------
    x : [R, d] vectors to quantize, users' rows first; clip range ±3·std(x) per side, output scale `s`
    triples : (users, positives, negatives), each [T] rows of x
    times : multiples of δ; 0 is STE and 1 is GSTE

    The true slope of an entry is that of the line between its code and the neighbour on the side of its error. Entries outside the clip
    range (no estimator moves them) and rows in no triple are left out. Columns: bits, s, times, error (‖estimate − slope‖/‖slope‖),
    cosine, wrong_sign (share), correction (mean δ·|error in Q|, not multiplied).
    """
    x, top = x.double(), top_level(bits)  # a change of one entry moves the loss in its last digits
    sides = [part * (top / (3 * part.std(correction=0))) for part in (x[:n_users], x[n_users:])]
    v = torch.cat(sides)
    codes = nearest_odd(v.clamp(-top, top))
    error, step = v.clamp(-top, top) - codes, s / top
    vectors = (step * codes).requires_grad_()
    users, positives, negatives = triples
    loss = softplus(-(vectors[users] * (vectors[positives] - vectors[negatives])).sum(dim=1)).mean()
    (gradient,) = torch.autograd.grad(loss, vectors)
    vectors = vectors.detach()
    slopes = change_slopes(vectors, triples, 2 * step * torch.where(error >= 0, 1.0, -1.0).to(x))
    delta_users, delta_items = bpr_deltas(vectors, *triples)
    delta = torch.full((x.shape[0], 1), delta_items[0]).to(x)
    delta[:n_users] = delta_users[0]
    kept = v.abs() < top
    kept &= torch.zeros_like(kept).index_fill_(0, torch.cat([users, positives, negatives]), True)
    g, t, size = gradient[kept], slopes[kept], (delta * step * error)[kept]
    rows = []
    for multiple in times:
        estimate = g * (1 + multiple * torch.sign(g) * size)
        cosine = (estimate * t).sum() / (estimate.norm() * t.norm())
        wrong = (torch.sign(estimate) != torch.sign(t)).double().mean()
        rows.append((bits, s, multiple, float((estimate - t).norm() / t.norm()), float(cosine), float(wrong), float(size.abs().mean())))
    return pd.DataFrame(rows, columns=["bits", "s", "times", "error", "cosine", "wrong_sign", "correction"])


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
        option = {name.removeprefix("option."): value for name, value in params.items() if name.startswith("option.")}
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

    Columns: `GROUP`, measured, setting, seeds, ste and gste (means over seeds, %), difference with low and high (points; t-interval of the
    paired differences over seeds, nan for one seed), correction (of GSTE), idle (seeds in which both kept epoch 0, where δ is still 0, so
    that they are one model), user_low and user_high (95 % over users, points), p_holm
    (Wilcoxon over users, seeds averaged, Holm over all rows), verdict. A verdict needs both: the test over users and an interval over seeds
    without 0. Per-user hits@k are read from the records of `key`.
    """
    rows, tests = [], []
    for place, part in table[table["estimator"] == "gste"].groupby([*GROUP, "measured"], sort=False):
        same = (table[GROUP] == list(place[:-1])).all(axis=1) & (table["estimator"] == "ste")
        both = part.merge(table[same], on="seed", suffixes=("_gste", "_ste")).sort_values("seed")
        if both.empty:
            continue
        of_seeds = mean_interval(100 * (both["value_gste"] - both["value_ste"]).to_numpy())
        tests.append(compare(*(recall_per_user(both[f"key_{name}"], k) for name in ("gste", "ste"))))
        means = [100 * both[f"value_{name}"].mean() for name in ("ste", "gste")]
        idle = int(((both["kept_gste"] == 0) & (both["kept_ste"] == 0)).sum())
        seen = (of_seeds.mean, of_seeds.low, of_seeds.high, both["correction_gste"].mean(), idle)
        rows.append((*place, setting_name(*place[1:]), len(both), *means, *seen))
    columns = [*GROUP, "measured", "setting", "seeds", "ste", "gste", "difference", "low", "high", "correction", "idle"]
    found = pd.DataFrame(rows, columns=columns)
    found["user_low"], found["user_high"] = ([100 * getattr(test.interval, end) for test in tests] for end in ("low", "high"))
    found["p_holm"] = holm([test.p_value for test in tests])
    found["verdict"] = [_verdict(test.verdict(p_value=row.p_holm), row) for test, row in zip(tests, found.itertuples(), strict=True)]
    return found


def recall_per_user(keys: Iterable[str], k: int = 50) -> np.ndarray:
    """[records, users] Recall@k from saved records."""
    return results.per_user_matrix([results.load(key) for key in keys], f"hits@{k}", divide_by="n_test")


def _verdict(over_users: str, row) -> str:
    if over_users == "a better" and row.low > 0:
        return "GSTE better"
    return "STE better" if over_users == "b better" and row.high < 0 else UNSHOWN


def scale_or_estimator(found: pd.DataFrame) -> pd.DataFrame:
    """How far the code scale and the estimator each move the metric, per dataset, bits and start with at least two code scales.

    Columns: dataset, bits, warm, best (code scale under STE), best_ste (%), scale (points between the best and the worst code scale under
    STE, means over seeds), estimator (largest |GSTE − STE| over the code scales, points), at_best (GSTE − STE at the best one, points) and
    verdict there, idle (there, no seed felt δ).
    """
    rows = []
    for place, part in found[found["measured"] == EVERY_EPOCH].groupby(["dataset", "bits", "warm"], sort=False):
        if part["bounds"].nunique() > 1:
            top, moved = part.loc[part["ste"].idxmax()], part["difference"].abs().max()
            idle = bool(top["idle"] == top["seeds"])
            rows.append((*place, top["bounds"], top["ste"], np.ptp(part["ste"]), moved, top["difference"], top["verdict"], idle))
    return pd.DataFrame(rows, columns=["dataset", "bits", "warm", "best", "best_ste", "scale", "estimator", "at_best", "verdict", "idle"])


# ---- words -------------------------------------------------------------------------------------------------------------------


def plain_words(found: pd.DataFrame, scales: pd.DataFrame) -> str:
    """What `differences` and `scale_or_estimator` say about when GSTE pays, one statement per line."""
    main = found[found["measured"] == EVERY_EPOCH]
    if main.empty:
        return "No setting is recorded with both estimators, so nothing can be said."
    felt = acted(main)
    lines = [f"Settings compared: {len(main)}, each under one quantizer, over {_span(main['seeds'], 'd')} seeds."]
    if len(felt) < len(main):
        lines.append(
            f"In {len(main) - len(felt)} of them every seed kept its first epoch, where δ is still 0: they say nothing about GSTE."
        )
    if len(felt):
        lines += [*_counts(felt), *_extremes(felt), *_trend(felt), *_scales(scales)]
    return "\n".join(f"- {line}" for line in lines)


def acted(found: pd.DataFrame) -> pd.DataFrame:
    """Rows of `differences` in which δ could act in at least one seed, because the epoch that was kept is not the first."""
    return found[found["idle"] < found["seeds"]]


def _names(rows: pd.DataFrame) -> str:
    return "; ".join(f"{row.setting} on {row.dataset} ({row.difference:+.2f})" for row in rows.itertuples())


def _counts(felt: pd.DataFrame) -> list[str]:
    lines = []
    for verdict in ("GSTE better", "STE better"):
        rows = felt[felt["verdict"] == verdict]
        lines.append(f"{verdict}, shown in {len(rows)}: {_names(rows)}." if len(rows) else f"{verdict}: shown in none.")
    rest = felt[felt["verdict"] == UNSHOWN]
    if len(rest):
        lines.append(f"No difference shown in {len(rest)}; the mean differences there: {_span(rest['difference'], '+.2f')} points.")
    return lines


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
        int(column.sum()) for column in (scales["verdict"] == "GSTE better", scales["verdict"] == "STE better", scales["idle"])
    )
    first = "choose the code scale first" if 2 * larger > n else "the estimator moves as much as the code scale"
    if won == lost:
        then = "no gain from GSTE is shown" if not won else "GSTE wins as often as it loses"
    else:
        then = "GSTE is worth its small price" if won > lost else "GSTE does harm"
    return [
        f"The code scale alone, under STE, moves Recall@50 by {_span(scales['scale'])} points, the estimator by at most "
        f"{_span(scales['estimator'])}; the scale is the larger of the two in {larger} of {n} groups of dataset, bits and start.",
        f"Under the best code scale of a group GSTE is shown better in {won}, worse in {lost} of {n}"
        + (f" (in {idle} of them δ did not act)." if idle else "."),
        f"So: {first}; under the best one {then}.",
    ]


def _span(values: pd.Series, form: str = ".2f") -> str:
    low, high = format(values.min(), form), format(values.max(), form)
    return low if low == high else f"{low} to {high}"
