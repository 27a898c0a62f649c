"""What a run keeps on disk besides its record: a checkpoint until the record is there, and the model for runs that start from it (ours)."""

from __future__ import annotations

from pathlib import Path

import torch

from recq_lib.io import paths
from recq_lib.io.files import is_in_use, set_aside, sweep
from recq_lib.parts.model import Recommender
from recq_lib.runs import rebuildable
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord, RunSpec
from recq_lib.training import checkpoint as checkpoints


def checkpoint_of(spec: RunSpec) -> Path:
    """Where a run keeps its state until its record is saved."""
    return paths.checkpoints_dir() / f"{spec.key}.pt"


def model_of(spec: RunSpec) -> Path:
    """Where a trained model is kept for the runs that start from it."""
    return paths.checkpoints_dir() / "models" / f"{spec.key}.pt"


def mark_of(spec: RunSpec) -> Path:
    """The file that is locked while a process trains this run."""
    return checkpoint_of(spec).with_suffix(".running")


def keep(spec: RunSpec, record: RunRecord, model: Recommender, *, record_too: bool = True, model_too: bool = False) -> None:
    """What is left of a run, the record first: killed before the model is kept, the run goes on from its checkpoint, which has ended."""
    if record_too:
        results.save(record)
    if model_too:
        codes = record.provenance.get("code", [rebuildable.code_of(record.provenance)])
        checkpoints.save(model_of(spec), state_of(model), {"key": spec.key, "code": codes})
    forget_checkpoint(spec)  # only now: until here the checkpoint is all there is


def state_of(model: Recommender) -> dict[str, torch.Tensor]:
    """Parameters and buffers, on the CPU."""
    return {name: tensor.detach().cpu() for name, tensor in model.state_dict().items()}


def kept_state(spec: RunSpec) -> dict[str, torch.Tensor] | None:
    """The kept parameters of a run, None where there are none; damaged ones, or those of another run, are moved aside."""
    path = model_of(spec)
    kept = checkpoints.load_or_set_aside(path)
    if kept is not None and kept.meta.get("key") != spec.key:
        set_aside(path, f"it is the model of the run {kept.meta.get('key')}")
        return None
    return None if kept is None else kept.tensors


def forget_checkpoint(spec: RunSpec) -> None:
    """Remove the checkpoint of a run that has ended, or begins anew, and what killed writers left beside it."""
    for path in (checkpoint_of(spec), rebuildable.note_of(checkpoint_of(spec))):
        path.unlink(missing_ok=True)
    sweep(checkpoint_of(spec).parent)


def sweep_checkpoint(spec: RunSpec, model_wanted: bool) -> None:
    """Remove the checkpoint of a recorded run, unless a process repeats the run now, or the model that is wanted is to come from it."""
    left = checkpoint_of(spec).is_file() or rebuildable.note_of(checkpoint_of(spec)).is_file()
    if left and not is_in_use(mark_of(spec)) and (not model_wanted or model_of(spec).is_file()):
        forget_checkpoint(spec)
