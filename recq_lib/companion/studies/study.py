"""Named grids of runs. A study is data: a function from profile to plans; running it skips what is recorded."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from recq_lib.companion.studies import bits, campaign, codes, recipe, sharing
from recq_lib.companion.studies.protocols import Grid, for_each, per_seed, small_dataset
from recq_lib.config import PROFILES, TrainConfig, protocol
from recq_lib.errors import ConfigError, RecqError, one_of
from recq_lib.io.canonical import canonical_json
from recq_lib.io.workers import WorkerLost, side_by_side
from recq_lib.runs import registry
from recq_lib.runs import store as results
from recq_lib.runs.provenance import collect
from recq_lib.runs.rebuildable import checked
from recq_lib.runs.records import RunRecord
from recq_lib.runs.run import Plan, RunPaused, identity_of, past, run

SIMPLE = ("mostpop", "itemknn", "ease", "gfcf")
LARGE = ("mostpop", "itemknn", "gfcf")  # EASE^R solves a dense items × items system: 40 GB for Gowalla


# λ per method, each the best of `L2_GRID` on validation with seed 0 (study "tune-l2"); MF needs more of it than LightGCN
L2_GRID = (1e-4, 1e-3, 1e-2, 1e-1)
_TUNED = {"smoke": {"mf": 1e-1, "lightgcn": 1e-2}, "quick": {"mf": 1e-2, "lightgcn": 1e-3}}


def _small(profile: str) -> tuple[str, TrainConfig]:
    """Dataset and protocol of the two small profiles: LightGCN's, with a larger step because minutes must do."""
    changes = {"batch_size": 512, "epochs": 100, "patience": 4} if profile == "smoke" else {"epochs": 150, "patience": 4}
    return small_dataset(profile), protocol("lightgcn", lr=5e-3, eval_every=5, **changes)


def baselines(profile: str) -> list[Plan]:
    """LightGCN beside MF and the closed forms: is the graph worth it, and what does a simple method reach?"""

    def on(dataset: str, config: TrainConfig, seeds: int, simple: tuple[str, ...] = SIMPLE, **of_mf: float) -> list[Plan]:
        closed = [Plan(name, dataset, profile, config) for name in simple]
        mf = per_seed(profile, dataset, "mf", dataclasses.replace(config, **of_mf), seeds)
        return closed + mf + per_seed(profile, dataset, "lightgcn", config, seeds)

    if profile != "paper":
        dataset, config = _small(profile)
        tuned = _TUNED[profile]
        return on(dataset, dataclasses.replace(config, l2=tuned["lightgcn"]), 3, l2=tuned["mf"])
    return [
        *on("beauty", protocol("baco"), 5),
        *on("ml1m", protocol("lightgcn", eval_every=5, patience=10), 3),
        *on("gowalla", protocol("lightgcn", eval_every=20, epochs=400), 3, LARGE),
        *on("yelp2018", protocol("lightgcn", eval_every=20, epochs=300), 3, LARGE),
    ]


def tune_l2(profile: str) -> list[Plan]:
    """The grid behind the small profiles' λ; at paper scale the papers' own values are used for all methods."""
    if profile == "paper":
        return []
    dataset, config = _small(profile)
    return [Plan(name, dataset, profile, dataclasses.replace(config, l2=l2)) for name in ("mf", "lightgcn") for l2 in L2_GRID]


def depth(profile: str) -> list[Plan]:
    """LightGCN with one to three or four layers, everything else equal."""
    dataset, config = ("beauty", protocol("baco")) if profile == "paper" else _small(profile)
    config = config if profile == "paper" else dataclasses.replace(config, l2=_TUNED[profile]["lightgcn"])
    depths = (1, 2, 3) if profile == "quick" else (1, 2, 3, 4)
    return for_each(depths, lambda n: per_seed(profile, dataset, "lightgcn", dataclasses.replace(config, n_layers=n), 3))


def l2q_curve(profile: str) -> list[Plan]:
    """The first epochs of the full-precision model of L²Q-GCN's family, evaluated on test as its authors logged them (0-based 0…20)."""
    dataset, dim, epochs = {"smoke": ("synthetic-smoke", 64, 6), "quick": ("lastfm", 64, 11), "paper": ("ml1m", 256, 21)}[profile]
    return [Plan("lightgcn", dataset, profile, protocol("l2q-authors", dim=dim, epochs=epochs))]


STUDIES: dict[str, Grid] = {
    "baselines": baselines,
    "tune-l2": tune_l2,
    "depth": depth,
    "recipe": recipe.recipe,
    "recipe-validated": recipe.validated,
    "l2q-curve": l2q_curve,
    "binary": codes.binary,
    "l2q-paper": codes.l2q_paper,
    "l2q-wide": codes.wide,
    "layerwise": codes.layerwise,
    "annealing": codes.annealing,
    "tune-bits": bits.tune,
    "bits": bits.bits,
    "ngcf-published": bits.ngcf_published,
    "hessian": bits.hessian,
    "sharing": sharing.sharing,
    "sharing-unstopped": sharing.unstopped,
    "sharing-laptop": sharing.sharing_laptop,
    "sharing-large": sharing.sharing_large,
    "weighting": sharing.weighting,
    "weighting-orders": sharing.weighting_orders,
    "weighting-orders-large": sharing.weighting_orders_large,
    "warm-validated": campaign.warm_validated,
    "layers-large": campaign.layers_large,
    "layerwise-large": campaign.layerwise_large,
    "anneal-large": campaign.anneal_large,
    "bits-large": campaign.bits_large,
    "sharing-validated": campaign.sharing_validated,
    "sharing-recipe": campaign.sharing_recipe,
}


def plans(study: str, profile: str) -> list[Plan]:
    """The plans of a study. Raises `ConfigError` for an unknown study or profile."""
    return STUDIES[one_of("study", study, tuple(STUDIES))](one_of("profile", profile, PROFILES))


def recorded(study: str, profile: str, among: Iterable[RunRecord] | None = None) -> list[RunRecord]:
    """Saved records of a study's plans, in the order of the plans; plans without a record are left out. Arrays are not read.

    among : records of the profile that were read before, for several studies at once
    """
    found = _records(profile) if among is None else _by_identity(among)
    keys = [_key(p) for p in plans(study, profile)]
    return [found[key] for key in dict.fromkeys(keys) if key in found]


def _records(profile: str) -> dict[str, RunRecord]:
    """Saved records of a profile by what `_key` gives for their plans."""
    return _by_identity(results.find(profile=profile, arrays=False))


def _by_identity(records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    return {_identity(r.spec.method, r.spec.dataset, r.spec.seed, r.spec.params): r for r in records}


def _unrecorded(todo: list[Plan], profile: str) -> list[Plan]:
    found = _by_identity(results.find(profile=profile, arrays=False, skip_damaged=True))  # what is damaged is made again
    return [plan for plan in todo if _key(plan) not in found]


def best_recorded(study: str) -> tuple[str, list[RunRecord]]:
    """(profile, records) of the best profile (paper before quick before smoke) with records of a trained method; ("", []) if none."""
    for profile in PROFILES:
        records = recorded(study, profile)
        if any(record.history for record in records):
            return profile, records
    return "", []


def _identity(method: str, dataset: str, seed: int, params: Mapping[str, object]) -> str:
    return canonical_json([method, dataset, seed, dict(params)])


@dataclass(frozen=True)
class Outcome:
    """What a call of `run_study` left behind.

    failures : runs that ended in an error
    begun, untouched : runs without a record that the deadline stopped, or kept from starting
    """

    failures: int
    begun: int = 0
    untouched: int = 0

    @property
    def left(self) -> int:
        return self.begun + self.untouched


def run_study(
    study: str,
    profile: str,
    *,
    jobs: int = 1,
    device: str | None = None,
    report: Callable[[str], None] = print,
    only: Callable[[Plan], bool] | None = None,
    deadline: float | None = None,
    allow_dirty: bool | None = None,
) -> Outcome:
    """Run every plan that has no record yet; how each one ended is reported in a line.

    `jobs` processes work side by side, each with its share of the threads. From `deadline` on (as `time.time` counts) no run is begun and
    what trains stops at its next epoch; a later call goes on as if it had not been stopped. Raises `RecordError` before the first run
    where records of the profile "paper" would come from code that no commit holds; `allow_dirty` as in `runs.rebuildable.checked`.
    """
    if jobs < 1:
        raise ConfigError(f"jobs is {jobs}, but must be at least 1")
    todo = [plan for plan in plans(study, profile) if only is None or only(plan)]
    teachers = _teachers(todo)
    asked = profile == "paper" or deadline is not None
    missing = {_key(plan) for plan in _unrecorded(todo, profile)} if asked else set()
    if profile == "paper" and missing:
        checked(profile, collect("cpu"), allow_dirty)  # once, and not a failure for every run
    if deadline is not None:  # looking recorded runs up takes time: their data are loaded
        todo.sort(key=lambda plan: _key(plan) not in missing)
    work = [(plan, device, deadline, _key(plan) in teachers, allow_dirty) for plan in todo]
    ends = Counter()
    for plan, (end, text) in _one_by_one(work) if jobs == 1 else _side_by_side(work, jobs):
        if end == _UNTOUCHED and _key(plan) not in missing:
            continue  # recorded before, so there was nothing to begin
        ends[end] += 1
        if end != _UNTOUCHED:
            failed = "FAILED: " if end == _FAILED else ""
            report(f"{plan.dataset:>15}  {plan.method:<12} seed {plan.config.seed}  {failed}{text}")
    return Outcome(ends[_FAILED], ends[_PAUSED], ends[_UNTOUCHED])


_DONE, _FAILED, _PAUSED, _UNTOUCHED = "done", "failed", "paused", "untouched"
_Work = tuple[Plan, str | None, float | None, bool, bool | None]


def _one_by_one(work: list[_Work]) -> Iterator[tuple[Plan, tuple[str, str]]]:
    return ((one[0], _attempt(*one)) for one in work)


def _side_by_side(work: list[_Work], jobs: int) -> Iterator[tuple[Plan, tuple[str, str]]]:
    """Plans and how they ended, in the order in which they end."""
    for index, end in side_by_side(_attempt, work, min(jobs, len(work))):
        yield work[index][0], (_FAILED, str(end)) if isinstance(end, WorkerLost) else end


def _teachers(todo: list[Plan]) -> set[str]:
    """Keys of the runs that others start from: their models are kept, or they would be trained twice."""
    found = [(plan, registry.teacher_of(plan.method, plan.config)) for plan in todo]
    return {_key(dataclasses.replace(plan, method=teacher[0], config=teacher[1])) for plan, teacher in found if teacher is not None}


def _key(plan: Plan) -> str:
    return _identity(plan.method, plan.dataset, *identity_of(plan))


def _attempt(plan: Plan, device: str | None, deadline: float | None, keep_model: bool, allow_dirty: bool | None) -> tuple[str, str]:
    """How one run ends, and what is told of it."""
    if past(deadline):
        return _UNTOUCHED, ""
    try:
        record = run(plan, device=device, deadline=deadline, keep_model=keep_model, allow_dirty=allow_dirty)
    except RunPaused as pause:
        return _PAUSED, str(pause)
    except RecqError as error:
        return _FAILED, str(error)
    except Exception as error:  # out of memory, a bug: the other runs of the grid go on
        return _FAILED, f"{type(error).__name__}: {error}"
    metric = f"recall@{20 if 'recall@20' in record.metrics else max(plan.config.ks)}"
    return _DONE, f"{metric} {100 * record.metrics[metric]:.2f} %"
