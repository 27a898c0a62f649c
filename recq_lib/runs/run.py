"""One run from plan to record: load data, build, train or solve, evaluate once on test, keep what a reader needs to check it."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property

from recq_lib.config import OPTION, TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.data.loading import load
from recq_lib.data.splits import with_validation
from recq_lib.errors import ConfigError, RecordError
from recq_lib.evaluation.ranking import Evaluation
from recq_lib.evaluation.scorers import BlockScorer
from recq_lib.io.files import in_use
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.runs import keeping, provenance, rebuildable, registry
from recq_lib.runs import store as results
from recq_lib.runs.keeping import checkpoint_of, model_of
from recq_lib.runs.keys import key_params
from recq_lib.runs.sizes import check_cutoffs, check_fits
from recq_lib.runs.store import RunRecord, RunSpec
from recq_lib.sharing.store import nothing_kept
from recq_lib.training import checkpoint as checkpoints
from recq_lib.training.device import default_device
from recq_lib.training.trainer import FitResult, Trainer, final_evaluation, fit

_VALIDATION_FRACTION = 0.1


@dataclass(frozen=True)
class Plan:
    """A run that may or may not be recorded yet. `config` also holds the seed and, for closed forms, the cutoffs."""

    method: str
    dataset: str
    profile: str
    config: TrainConfig = field(default_factory=TrainConfig)

    @cached_property
    def entry(self) -> Method:
        return registry.method(self.method)

    @cached_property
    def settings(self) -> TrainConfig:
        """`config` with every option of the method."""
        return registry.resolve(self.method, self.config)

    @cached_property
    def teacher(self) -> Plan | None:
        """The run that this one starts from, if it starts from one: same data and profile."""
        found = self.entry.teacher(self.settings)
        return None if found is None else Plan(found[0], self.dataset, self.profile, found[1])

    def __reduce__(self) -> tuple:
        return Plan, (self.method, self.dataset, self.profile, self.config)  # to another process: without what was looked up here


def prepare(plan: Plan) -> Interactions:
    """The plan's dataset, with a validation split carved from train when the plan selects on one and none exists.

    Closed forms need no validation, but they are compared with methods that do, so they learn from the same interactions.
    """
    data = load(plan.dataset, profile=plan.profile)
    if plan.config.select_on == "val" and data.val.nnz == 0:
        return with_validation(data, fraction=_VALIDATION_FRACTION, seed=0)
    return data


def identity_of(plan: Plan) -> tuple[int, dict]:
    """(seed, params) that tell the plan's runs apart: closed forms depend on their own options only, not on training settings."""
    params = key_params(plan.method, plan.settings, plan.entry.options)
    if plan.entry.kind == "closed_form":
        return 0, {name: value for name, value in params.items() if name == "ks" or name.startswith(OPTION)}
    return plan.settings.seed, params


def spec_of(plan: Plan, data: Interactions) -> RunSpec:
    """What identifies the run. A stand-in keeps its own name: synthetic data are never recorded under the name of a real dataset."""
    seed, params = identity_of(plan)
    return RunSpec(plan.method, data.name, seed, plan.profile, params, data.fingerprint)


def execute(
    plan: Plan,
    *,
    device: str | None = None,
    resume: bool = True,
    on_epoch: Callable[[Trainer], None] | None = None,
    data: Interactions | None = None,
    deadline: float | None = None,
    allow_dirty: bool | None = None,
) -> RunRecord:
    """Run `plan` and return its record (not saved). A killed run continues from its checkpoint when `resume` is set.

    A run that is still training at `deadline` (as `time.time` counts) ends at the next epoch by raising `RunPaused`; its checkpoint
    stays. Without `resume` nothing is read or written, nor of a teacher.

    With `resume`, raises `RecordError` before training where a record of the profile "paper" would come from code that no commit holds;
    `allow_dirty` as in `rebuildable.checked`.
    """
    record, _ = executed(
        plan, device=device, resume=resume, on_epoch=on_epoch, data=data, deadline=deadline, allow_dirty=allow_dirty
    )
    return record


def executed(
    plan: Plan,
    *,
    device: str | None = None,
    resume: bool = True,
    on_epoch: Callable[[Trainer], None] | None = None,
    data: Interactions | None = None,
    deadline: float | None = None,
    allow_dirty: bool | None = None,
) -> tuple[RunRecord, Recommender | BlockScorer]:
    """`execute`, with the model that was evaluated."""
    device = device or default_device()
    data = prepare(plan) if data is None else data
    spec = spec_of(plan, data)
    if data.test.nnz == 0:
        raise ConfigError(f"{data.name} has no test split, so a run could not be evaluated; split it first (data.splits)")
    check_cutoffs(data, plan.config.ks)
    check_fits(plan.entry, data, plan.settings)
    # at the start: the code on disk may change while a long run goes on
    origin = provenance.collect("cpu" if plan.entry.kind == "closed_form" else device)
    checkpoint = checkpoint_of(spec) if resume else None
    if resume:
        rebuildable.checked(plan.profile, origin, allow_dirty)
    taught = plan.teacher is None or model_of(spec_of(plan.teacher, data)).exists()
    teacher = teacher_for(plan, data, device=device, resume=resume, deadline=deadline, allow_dirty=allow_dirty)
    if resume and not taught and past(deadline):  # what the teacher took is kept, so another call goes on from here
        raise RunPaused("paused after training its teacher; run the same command again to continue")
    if resume:
        origin = rebuildable.checked(plan.profile, _with_others(plan, data, spec, origin), allow_dirty)
    started = time.perf_counter()
    model = _built(plan, data, teacher, resume)
    built = time.perf_counter() - started
    outcome: FitResult | None = None
    if plan.entry.kind == "trained":
        limited = _with_limit(on_epoch, deadline, checkpoint)
        with nullcontext() if checkpoint is None else in_use(keeping.mark_of(spec)):
            outcome = fit(model, data, plan.settings, device=device, checkpoint=checkpoint, on_epoch=limited)
    started = time.perf_counter()
    evaluation = final_evaluation(model, data, plan.config)
    timings = {
        "build_seconds": built,
        "evaluation_seconds": time.perf_counter() - started,
        "process_peak_memory_mb": provenance.peak_memory_mb(),
    }
    return _record(spec, data, model, evaluation, outcome, timings, origin), model


def _built(plan: Plan, data: Interactions, teacher: Recommender | None, resume: bool) -> Recommender | BlockScorer:
    """The untrained model; without `resume` shared rows are found anew and not kept."""
    with nullcontext() if resume else nothing_kept():
        return plan.entry.build(data, plan.settings, teacher)


def _with_others(plan: Plan, data: Interactions, spec: RunSpec, origin: dict) -> dict:
    """`origin` with the code behind the checkpoint that the run continues from, and behind its teacher."""
    teacher = None if plan.teacher is None else model_of(spec_of(plan.teacher, data))
    of_teacher = [] if teacher is None else checkpoints.load(teacher).meta.get("code", [])
    if plan.entry.kind != "trained":
        return rebuildable.with_others(origin, [], of_teacher)
    codes = rebuildable.behind_checkpoint(checkpoint_of(spec), rebuildable.code_of(origin))
    return rebuildable.with_others(origin, codes, of_teacher)


def trained(
    plan: Plan,
    data: Interactions | None = None,
    *,
    device: str | None = None,
    resume: bool = True,
    on_epoch: Callable[[Trainer], None] | None = None,
    deadline: float | None = None,
    allow_dirty: bool | None = None,
) -> Recommender:
    """The trained model of `plan`: from its kept parameters, else trained now, recorded if it was not, and kept.

    Without `resume` it is trained now, and neither recorded nor kept. The other options are those of `execute`.
    """
    data = prepare(plan) if data is None else data
    spec = spec_of(plan, data)
    options = {"device": device, "resume": resume, "deadline": deadline, "allow_dirty": allow_dirty}
    if not resume:
        state = keeping.state_of(executed(plan, on_epoch=on_epoch, data=data, **options)[1])
    elif (kept := keeping.kept_state(spec)) is not None:
        state = kept
    else:
        known = results.load_or_set_aside(spec)
        record, fitted = executed(plan, on_epoch=on_epoch, data=data, **options)
        keeping.keep(spec, record, fitted, record_too=known is None, model_too=True)
        state = keeping.state_of(fitted)
    model = _built(plan, data, teacher_for(plan, data, **options), resume)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        raise RecordError(f"kept model {model_of(spec)} was made by another version of this library; delete it to train it anew") from error
    return model


def teacher_for(plan: Plan, data: Interactions, **options) -> Recommender | None:
    """The trained model that `plan` starts from, or None."""
    return None if plan.teacher is None else trained(plan.teacher, data, **options)


def run(
    plan: Plan,
    *,
    device: str | None = None,
    force: bool = False,
    on_found: Callable[[RunRecord], None] | None = None,
    keep_model: bool = False,
    **options,
) -> RunRecord:
    """The saved record of `plan`: looked up if it exists (unless `force`), then told to `on_found`; else executed and saved.

    `keep_model` also writes the best parameters to `model_of(spec)`, for runs that start from them. A damaged record is moved aside with a
    warning and made again. `options` and errors are those of `execute`.
    """
    data = prepare(plan)
    spec = spec_of(plan, data)
    record = None if force else results.load_or_set_aside(spec)
    if record is not None:
        keeping.sweep_checkpoint(spec, keep_model)
        if on_found is not None:
            on_found(record)
        return record
    if force:
        keeping.forget_checkpoint(spec)
    every = {"resume": True, "on_epoch": None, "deadline": None, "allow_dirty": None} | options
    record, model = executed(plan, device=device, data=data, **every)
    keeping.keep(spec, record, model, model_too=keep_model and plan.entry.kind == "trained")
    return record


class RunPaused(RecordError):
    """A run reached its deadline; run the same command again to continue."""


def past(deadline: float | None) -> bool:
    """Whether `deadline`, as `time.time` counts in every process of a machine, is over; None never is."""
    return deadline is not None and time.time() >= deadline


def _with_limit(on_epoch, deadline: float | None, checkpoint):
    if deadline is None:
        return on_epoch

    def limited(trainer: Trainer) -> None:
        if on_epoch is not None:
            on_epoch(trainer)
        if past(deadline) and not trainer.finished:
            if checkpoint is None:
                raise RunPaused(f"stopped after epoch {trainer.epoch - 1}; without a checkpoint (resume=False) nothing is kept")
            trainer.save(checkpoint)
            raise RunPaused(f"paused after epoch {trainer.epoch - 1}, checkpoint {checkpoint.name}; run the same command again to continue")

    return limited


def _record(
    spec: RunSpec, data: Interactions, model, evaluation: Evaluation, outcome: FitResult | None, timings: dict[str, float], origin: dict
) -> RunRecord:
    origin = origin | {"data_source": data.source, "data_notes": data.notes, "resumed": outcome is not None and outcome.resumed}
    origin |= _table_facts(model)
    metrics = dict(evaluation.values)
    if outcome is not None:
        timings = timings | {
            "train_seconds": outcome.seconds,
            "epochs": float(len(outcome.history)),
            "best_epoch": float(outcome.best_epoch),
        }
        timings["seconds_per_epoch"] = outcome.seconds / max(1, len(outcome.history))
        if spec.params["select_on"] != "none":
            metrics[f"best_{spec.params['select_on']}_{spec.params['select_metric']}"] = outcome.best_value
    return RunRecord(
        spec=spec,
        metrics=metrics,
        per_user=evaluation.hit_counts(spec.params["ks"]),
        history=outcome.history if outcome is not None else [],
        n_bytes=model.n_bytes(),
        timings=timings,
        provenance=origin,
    )


def _table_facts(model) -> dict[str, int]:
    """How large a model's table is: numbers as BACO's code counts them and as asked for, and rows per side where nodes share them."""
    table = getattr(model, "table", None)  # closed forms have none
    if table is None:
        return {}
    asked = {} if table.asked is None else {"asked_parameters": table.asked}
    return {"table_parameters": table.n_parameters} | asked | table.facts()
