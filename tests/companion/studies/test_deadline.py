"""`--seconds`: a study that is stopped again and again leaves the records of one that was not, bit for bit, and says what is left."""

from __future__ import annotations

import dataclasses
import itertools
import time

import numpy as np
import pytest

from recq_lib.cli import main as cli
from recq_lib.companion.studies import study as studies
from recq_lib.config import TrainConfig
from recq_lib.io import paths
from recq_lib.runs import run as runs
from recq_lib.runs import store as results
from recq_lib.runs.run import Plan

TINY = TrainConfig(dim=4, n_layers=1, epochs=5, eval_every=2, patience=0, batch_size=64, ks=(5, 10), select_metric="recall@5")
QUIET = {"report": lambda _: None}


def plan(method: str, *, seed: int = 0, dataset: str = "synthetic-tiny", **options: object) -> Plan:
    return Plan(method, dataset, "smoke", dataclasses.replace(TINY, seed=seed, options=options))


# a model of its own, one with a teacher that is a plan too, one with a teacher that is none, and a closed form
PLANS = [plan("lightgcn"), plan("ptq-bits", bits=2), plan("l2q-gcn", warm_start=True, teacher_epochs=3), plan("mostpop")]


@pytest.fixture(autouse=True)
def tiny(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))
    monkeypatch.setitem(studies.STUDIES, "tiny", lambda profile: PLANS)


@pytest.fixture
def uninterrupted(tmp_path, monkeypatch):
    """Records by key of the same study in folders of its own."""
    with monkeypatch.context() as patch:
        patch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "whole"))
        patch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "whole_checkpoints"))
        assert studies.run_study("tiny", "smoke", **QUIET) == studies.Outcome(0)
        return {record.spec.key: record for record in results.find()}


def check_equal(expected) -> None:
    found = {record.spec.key: record for record in results.find()}
    assert found.keys() == expected.keys()
    for key, record in found.items():
        other = expected[key]
        assert record.metrics == other.metrics and record.history == other.history and record.n_bytes == other.n_bytes
        assert record.per_user.keys() == other.per_user.keys()
        assert all(np.array_equal(values, other.per_user[name]) for name, values in record.per_user.items())


def over_at(monkeypatch, calls: int) -> None:
    """The deadline is over when it is looked at for the `calls`-th time, and from then on."""
    looked = itertools.count(1)

    def past(deadline):
        return deadline is not None and next(looked) >= calls

    monkeypatch.setattr(runs, "past", past)
    monkeypatch.setattr(studies, "past", past)


@pytest.mark.parametrize("calls", [2, 3, 5])
def test_stopped_again_and_again_ends_as_if_it_had_not_been(monkeypatch, uninterrupted, calls):
    outcomes, left = [], len(PLANS)
    while not outcomes or outcomes[-1].left:
        over_at(monkeypatch, calls)
        outcomes.append(studies.run_study("tiny", "smoke", deadline=1.0, **QUIET))
        assert outcomes[-1].failures == 0 and outcomes[-1].begun <= 1 and outcomes[-1].left <= left
        left = outcomes[-1].left
        assert len(outcomes) < 50
    assert sum(outcome.begun for outcome in outcomes) >= 3  # of trainings that take five, five and three epochs
    check_equal(uninterrupted)
    assert not list(paths.checkpoints_dir().glob("*.pt"))


def test_a_deadline_that_is_over_begins_nothing_but_counts_no_record_as_left(uninterrupted):
    assert studies.run_study("tiny", "smoke", deadline=0.0, **QUIET) == studies.Outcome(0, 0, 4)
    assert not paths.results_dir().exists() and not paths.checkpoints_dir().exists()
    runs.run(PLANS[3])
    assert studies.run_study("tiny", "smoke", deadline=time.time() - 1, **QUIET) == studies.Outcome(0, 0, 3)
    assert studies.run_study("tiny", "smoke", deadline=time.time() + 1000, **QUIET) == studies.Outcome(0)
    check_equal(uninterrupted)


def test_a_failure_is_no_run_that_is_left(monkeypatch):
    monkeypatch.setitem(studies.STUDIES, "tiny", lambda profile: [plan("mostpop", dataset="no-such-data"), *PLANS])
    over_at(monkeypatch, 2)
    assert studies.run_study("tiny", "smoke", deadline=1.0, **QUIET) == studies.Outcome(1, 0, 4)


def test_time_that_a_teacher_took_is_not_lost(monkeypatch):
    """The deadline comes while the teacher's last epoch ends: its model is kept, and the student has not begun."""
    over_at(monkeypatch, 6)  # once before the run, then after four of the teacher's epochs: the fifth ends it
    with pytest.raises(runs.RunPaused, match="after training its teacher"):
        runs.past(1.0)
        runs.run(plan("l2q-gcn", warm_start=True), deadline=1.0)
    assert len(list((paths.checkpoints_dir() / "models").iterdir())) == 1 and not list(paths.checkpoints_dir().glob("*.pt"))


@pytest.mark.slow
def test_with_jobs(uninterrupted):
    assert studies.run_study("tiny", "smoke", jobs=2, deadline=0.0, **QUIET) == studies.Outcome(0, 0, 4)
    for stopped in PLANS[:2]:
        with pytest.raises(runs.RunPaused):
            runs.run(stopped, deadline=0.0)
    assert len(list(paths.checkpoints_dir().glob("*.pt"))) >= 1
    assert studies.run_study("tiny", "smoke", jobs=2, deadline=time.time() + 1000, **QUIET) == studies.Outcome(0)
    check_equal(uninterrupted)
    assert any(record.provenance["resumed"] for record in results.find())


class TestCommand:
    def test_says_what_is_left_and_how_to_go_on(self, capsys, uninterrupted):
        assert cli.main(["study", "tiny", "--profile", "smoke", "--seconds", "0"]) == cli.UNFINISHED == 75
        out = capsys.readouterr().out
        assert out == "stopped after 0 s: 4 of 4 runs left; go on with: recq study tiny --profile smoke --seconds 0\n"
        assert cli.main(["study", "tiny", "--profile", "smoke", "--seconds", "1000"]) == 0
        assert "left" not in capsys.readouterr().out
        check_equal(uninterrupted)
        assert cli.main(["study", "tiny", "--profile", "smoke", "--seconds", "0"]) == 0  # all is recorded

    def test_names_the_run_it_stopped_and_every_flag_of_the_call(self, capsys, monkeypatch):
        over_at(monkeypatch, 3)
        call = "study tiny --profile smoke --device cpu --dataset synthetic-tiny --seconds 2.5 --allow-dirty"
        assert cli.main(call.split()) == 75
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == 2 and "lightgcn" in lines[0] and "paused after epoch 1, checkpoint" in lines[0]
        assert lines[1] == f"stopped after 2.5 s: 4 of 4 runs left (1 of them begun); go on with: recq {call}"

    def test_a_failure_outweighs_what_is_left(self, monkeypatch, capsys):
        monkeypatch.setitem(studies.STUDIES, "tiny", lambda profile: [plan("mostpop", dataset="no-such-data"), *PLANS])
        over_at(monkeypatch, 2)
        assert cli.main(["study", "tiny", "--profile", "smoke", "--seconds", "5"]) == 1
        assert "FAILED" in (out := capsys.readouterr().out) and "4 of 5 runs left" in out

    def test_negative_seconds_are_refused(self, capsys):
        assert cli.main(["study", "tiny", "--profile", "smoke", "--seconds", "-1"]) == 1
        assert "--seconds is -1" in capsys.readouterr().err

    def test_train(self, capsys):
        call = ["train", "lightgcn", "--dataset", "synthetic-tiny", "--ks", "5", "10", "--epochs", "3", "--eval-every", "1"]
        assert cli.main([*call, "--no-save", "--seconds", "5"]) == 1
        assert "--no-save writes none" in capsys.readouterr().err
        for epoch in (0, 1):
            assert cli.main([*call, "--seconds", "0"]) == 75
            out, err = capsys.readouterr()
            last = err.splitlines()[-1]
            assert out == "" and last.startswith(f"stopped after 0 s: paused after epoch {epoch}, checkpoint ") and "again" in last
        assert cli.main([*call, "--seconds", "0"]) == 0  # the last epoch ends the run
        (resumed,) = results.find()
        assert cli.main([*call, "--force"]) == 0
        (whole,) = results.find()
        assert resumed.provenance["resumed"] and (resumed.metrics, resumed.history) == (whole.metrics, whole.history)
