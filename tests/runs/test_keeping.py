"""What a run keeps besides its record: nothing is lost when it is killed in between, nothing stays behind, damage is made good."""

from __future__ import annotations

import dataclasses

import pytest
import torch

from recq_lib.config import TrainConfig
from recq_lib.io.files import in_use
from recq_lib.runs import keeping
from recq_lib.runs import run as runs
from recq_lib.runs import store as results
from recq_lib.runs.run import Plan
from recq_lib.training import checkpoint as checkpoints

TINY = TrainConfig(dim=4, n_layers=1, epochs=4, eval_every=2, patience=0, batch_size=64, ks=(5, 10), select_metric="recall@5")
PLAN = Plan("lightgcn", "synthetic-tiny", "smoke", TINY)
SPEC = runs.spec_of(PLAN, runs.prepare(PLAN))


class Killed(BaseException):
    """Stands for SIGKILL: nothing that the code does on its way out is wanted."""


@pytest.fixture(autouse=True)
def folders(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))


@pytest.fixture(scope="module")
def whole():
    """The model and record of a run that nothing disturbed."""
    data = runs.prepare(PLAN)
    return runs.trained(PLAN, data, resume=False), runs.execute(PLAN, data=data, resume=False)


def same(record, other) -> bool:
    return record.metrics == other.metrics and record.history == other.history


@pytest.mark.parametrize("place", ["results.save", "checkpoints.save", "forget_checkpoint"])
def test_a_teacher_killed_at_its_end_loses_neither_record_nor_model(monkeypatch, whole, place):
    def kill(*_, **__):
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"recq_lib.runs.keeping.{place}" if "." in place else f"recq_lib.runs.keeping.{place}", kill)
        with pytest.raises(Killed):
            if place == "checkpoints.save":  # training itself saves too
                _train_then(patch, kill)
            runs.trained(PLAN)
    model = runs.trained(PLAN)
    assert same(results.load(SPEC), whole[1])
    assert torch.equal(model.table(), whole[0].table())
    runs.run(PLAN, keep_model=True)
    assert not list(keeping.checkpoint_of(SPEC).parent.glob("*.*"))


def _train_then(patch, kill) -> None:
    """Only the saving of the kept model is killed, not the training's own."""
    patch.undo()
    save = checkpoints.save
    patch.setattr(checkpoints, "save", lambda path, *rest: kill() if path == keeping.model_of(SPEC) else save(path, *rest))
    patch.setattr(keeping.checkpoints, "save", checkpoints.save)


def test_the_checkpoint_of_a_recorded_run_is_swept_unless_a_process_repeats_it():
    record = runs.run(PLAN)
    checkpoint = keeping.checkpoint_of(SPEC)
    checkpoint.write_bytes(b"left by a run that was killed after its record was saved")
    with in_use(keeping.mark_of(SPEC)):
        assert same(runs.run(PLAN), record) and checkpoint.exists()
    assert same(runs.run(PLAN), record) and not checkpoint.exists()


def test_a_damaged_kept_model_is_trained_again(whole):
    runs.trained(PLAN)
    path = keeping.model_of(SPEC)
    content = path.read_bytes()
    path.write_bytes(content[:-5] + bytes([content[-5] ^ 64]) + content[-4:])
    with pytest.warns(UserWarning, match="damaged .* made anew"):
        model = runs.trained(PLAN)
    assert torch.equal(model.table(), whole[0].table()) and keeping.kept_state(SPEC) is not None


def test_the_kept_model_of_another_run_is_not_taken(whole):
    other = dataclasses.replace(PLAN, config=dataclasses.replace(TINY, lr=0.1))
    runs.trained(other)
    keeping.model_of(runs.spec_of(other, runs.prepare(other))).rename(keeping.model_of(SPEC))
    with pytest.warns(UserWarning, match="it is the model of the run"):
        model = runs.trained(PLAN)
    assert torch.equal(model.table(), whole[0].table())


@pytest.mark.parametrize("suffix", [".json", ".npz"])
def test_a_damaged_record_is_moved_aside_and_the_run_made_again(whole, suffix):
    runs.run(PLAN)
    (path,) = (results.paths.results_dir() / "records").rglob(f"*{suffix}")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.warns(UserWarning, match="damaged .* made anew"):
        assert same(runs.run(PLAN), whole[1])
    assert same(results.load(SPEC), whole[1])
    assert path.with_name(path.name + ".damaged").exists() and len(results.find()) == 1
