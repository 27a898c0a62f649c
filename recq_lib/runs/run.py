"""One run from plan to record: load data, build, train or solve, evaluate once on test, keep what a reader needs to check it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from recq_lib.config import OPTION, TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.data.loading import load
from recq_lib.data.splits import with_validation
from recq_lib.errors import ConfigError, RecordError
from recq_lib.evaluation.ranking import Evaluation
from recq_lib.io import paths
from recq_lib.parts.method import Method
from recq_lib.parts.model import Recommender
from recq_lib.runs import provenance, registry
from recq_lib.runs import store as results
from recq_lib.runs.keys import key_params
from recq_lib.runs.store import RunRecord, RunSpec
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
    stop_after: float | None = None,
    keep_model: bool = False,
) -> RunRecord:
    """Run `plan` and return its record (not saved). A killed run continues from its checkpoint when `resume` is set.

    `stop_after` (seconds) ends this process's share early by raising `RunPaused`; the checkpoint stays. `keep_model` also writes the
    best parameters to `model_of(spec)`, for runs that start from them.
    """
    device = device or default_device()
    data = prepare(plan) if data is None else data
    spec = spec_of(plan, data)
    if data.test.nnz == 0:
        raise ConfigError(f"{data.name} has no test split, so a run could not be evaluated; split it first (data.splits)")
    # at the start: the code on disk may change while a long run goes on
    origin = provenance.collect("cpu" if plan.entry.kind == "closed_form" else device)
    teacher = teacher_for(plan, data, device=device, resume=resume, stop_after=stop_after)
    started = time.perf_counter()
    model = plan.entry.build(data, plan.settings, teacher)
    built = time.perf_counter() - started
    outcome: FitResult | None = None
    checkpoint = checkpoint_of(spec) if resume else None
    if plan.entry.kind == "trained":
        limited = _with_limit(on_epoch, stop_after, checkpoint)
        outcome = fit(model, data, plan.settings, device=device, checkpoint=checkpoint, on_epoch=limited)
        if keep_model:
            checkpoints.save(model_of(spec), {k: v.detach().cpu() for k, v in model.state_dict().items()}, {"key": spec.key})
    started = time.perf_counter()
    evaluation = final_evaluation(model, data, plan.config)
    timings = {
        "build_seconds": built,
        "evaluation_seconds": time.perf_counter() - started,
        "process_peak_memory_mb": provenance.peak_memory_mb(),
    }
    return _record(spec, data, model, evaluation, outcome, timings, origin)


def checkpoint_of(spec: RunSpec) -> Path:
    """Where a run keeps its state until its record is saved."""
    return paths.checkpoints_dir() / f"{spec.key}.pt"


def model_of(spec: RunSpec) -> Path:
    """Where a trained model is kept for the runs that start from it."""
    return paths.checkpoints_dir() / "models" / f"{spec.key}.pt"


def trained(plan: Plan, data: Interactions | None = None, **options) -> Recommender:
    """The trained model of `plan`: from its kept parameters, else trained now, recorded if it was not, and kept."""
    data = prepare(plan) if data is None else data
    spec = spec_of(plan, data)
    if not model_of(spec).exists():
        record = execute(plan, data=data, keep_model=True, **options)
        if not results.exists(spec):
            results.save(record)
        checkpoint_of(spec).unlink(missing_ok=True)
    model = plan.entry.build(data, plan.settings, teacher_for(plan, data, **options))
    model.load_state_dict(checkpoints.load(model_of(spec)).tensors)
    return model


def teacher_for(plan: Plan, data: Interactions, **options) -> Recommender | None:
    """The trained model that `plan` starts from, or None."""
    return None if plan.teacher is None else trained(plan.teacher, data, **options)


def run(
    plan: Plan, *, device: str | None = None, force: bool = False, on_found: Callable[[RunRecord], None] | None = None, **options
) -> RunRecord:
    """The saved record of `plan`: looked up if it exists (unless `force`), then told to `on_found`; else executed and saved."""
    data = prepare(plan)
    spec = spec_of(plan, data)
    if results.exists(spec) and not force:
        record = results.load(spec.key)
        if on_found is not None:
            on_found(record)
        return record
    if force:
        checkpoint_of(spec).unlink(missing_ok=True)
    record = execute(plan, device=device, data=data, **options)
    results.save(record)
    checkpoint_of(spec).unlink(missing_ok=True)  # only now: until the record is on disk the checkpoint is all there is
    return record


class RunPaused(RecordError):
    """A run reached its time limit; run the same command again to continue."""


def _with_limit(on_epoch, stop_after: float | None, checkpoint):
    if stop_after is None:
        return on_epoch
    start = time.monotonic()

    def limited(trainer: Trainer) -> None:
        if on_epoch is not None:
            on_epoch(trainer)
        if time.monotonic() - start >= stop_after and not trainer.finished:
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
    """How large a model's table is: numbers as BACO's code counts them, and rows per side where nodes share them."""
    table = getattr(model, "table", None)  # closed forms have none
    return {} if table is None else {"table_parameters": table.n_parameters} | table.facts()
