"""A paper record is refused where no commit holds the code, before training; other profiles and installed libraries are not asked."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import pytest
from helpers import git

from recq_lib.cli import main as cli
from recq_lib.companion.studies import study as studies
from recq_lib.config import TrainConfig
from recq_lib.errors import RecordError
from recq_lib.io import paths
from recq_lib.runs import provenance, rebuildable
from recq_lib.runs import run as runs
from recq_lib.runs import store as results
from recq_lib.runs.run import Plan

pytestmark = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")

TINY = TrainConfig(dim=4, n_layers=1, epochs=4, eval_every=2, patience=0, batch_size=64, ks=(5, 10), select_metric="recall@5")
PAPER = Plan("lightgcn", "synthetic-tiny", "paper", TINY)
STUDENT = Plan("l2q-gcn", "synthetic-tiny", "paper", dataclasses.replace(TINY, options={"warm_start": True}))


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch) -> Path:
    """A checkout with one library file and no repository yet, and folders of its own for what runs write."""
    for name in ("RESULTS", "CHECKPOINTS"):
        monkeypatch.setenv(f"RECQ_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.delenv(rebuildable.SWITCH, raising=False)
    folder = tmp_path / "project"
    (folder / "recq_lib" / "companion").mkdir(parents=True)
    (folder / "recq_lib" / "a.py").write_text("x = 1\n")
    (folder / "recq_lib" / "companion" / "title.py").write_text("title = 1\n")
    monkeypatch.setattr(paths, "checkout", lambda: folder)
    return folder


@pytest.fixture
def committed(project) -> Path:
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "commit", "-q", "-m", "first")
    return project


@pytest.fixture
def untrained(monkeypatch) -> None:
    """Training is an error: what must be refused is refused before it."""

    def train(*_, **__):
        raise AssertionError("trained before the refusal")

    monkeypatch.setattr(runs, "fit", train)


def change(project: Path, text: str = "x = 2\n") -> None:
    (project / "recq_lib" / "a.py").write_text(text)


def said(record) -> tuple[object, object]:
    return record.provenance["dirty"], record.provenance.get("allowed_dirty")


class TestClean:
    def test_a_record_is_made_and_says_so(self, committed):
        record = runs.run(PAPER)
        assert said(record) == (False, None) and record.provenance["commit"] == git(committed, "rev-parse", "HEAD")
        assert results.exists(record.spec) and "code" not in record.provenance

    def test_a_title_of_the_companion_changes_nothing(self, committed):
        (committed / "recq_lib" / "companion" / "title.py").write_text("title = 2\n")
        assert said(runs.run(PAPER)) == (False, None)


class TestDirty:
    @pytest.mark.parametrize("plan", [PAPER, STUDENT, Plan("mostpop", "synthetic-tiny", "paper", TINY)], ids=lambda plan: plan.method)
    def test_refused_before_training(self, committed, untrained, plan):
        change(committed)
        commit = git(committed, "rev-parse", "HEAD")
        with pytest.raises(RecordError, match=f"recq_lib differs from commit {commit[:12]}.*; commit it .*--allow-dirty") as refused:
            runs.run(plan)
        assert "\n" not in str(refused.value) and results.find() == []
        assert not paths.checkpoints_dir().exists()

    def test_no_commit_yet(self, project, untrained):
        git(project, "init", "-q")
        with pytest.raises(RecordError, match="no commit holds recq_lib"):
            runs.run(PAPER)

    def test_a_library_file_that_git_is_told_to_ignore(self, committed, untrained):
        """`git status` says nothing of it, but no commit has the library with this file."""
        (committed / ".git" / "info" / "exclude").write_text("b.py\n")
        (committed / "recq_lib" / "b.py").write_text("y = 1\n")
        assert git(committed, "status", "--porcelain") == ""
        with pytest.raises(RecordError, match="recq_lib differs from commit"):
            runs.run(PAPER)

    def test_smaller_profiles_and_runs_that_keep_nothing_are_not_asked(self, committed):
        change(committed)
        for profile in ("quick", "smoke"):
            record = runs.run(dataclasses.replace(PAPER, profile=profile))
            assert said(record) == (True, None)
        kept = sorted(path.name for path in paths.results_dir().rglob("*.json"))
        for plan in (PAPER, STUDENT):  # nor does a teacher leave anything
            assert said(runs.execute(plan, resume=False)) == (True, None)
        assert sorted(path.name for path in paths.results_dir().rglob("*.json")) == kept
        assert not list(paths.checkpoints_dir().rglob("*.pt"))

    def test_a_recorded_run_is_found_all_the_same(self, committed, monkeypatch):
        first = runs.run(PAPER)
        change(committed)
        assert runs.run(PAPER).provenance == first.provenance


class TestSwitch:
    def test_as_an_argument(self, committed):
        change(committed)
        assert said(runs.run(PAPER, allow_dirty=True)) == (True, True)
        assert results.load(results.find()[0].spec).provenance["allowed_dirty"] is True

    def test_as_a_variable_and_an_argument_that_overrules_it(self, committed, monkeypatch):
        change(committed)
        monkeypatch.setenv(rebuildable.SWITCH, "1")
        with pytest.raises(RecordError, match="differs from commit"):
            runs.run(PAPER, allow_dirty=False)
        assert said(runs.run(STUDENT)) == (True, True)
        found = {(r.spec.method, *said(r)) for r in results.find()}
        assert found == {("lightgcn", True, True), ("l2q-gcn", True, True)}  # with its teacher

    def test_is_not_named_where_it_was_not_needed(self, committed):
        assert said(runs.run(PAPER, allow_dirty=True)) == (False, None)

    def test_on_the_command_line(self, committed, capsys):
        change(committed)
        call = ["train", "lightgcn", "--dataset", "synthetic-tiny", "--profile", "paper", "--ks", "5", "10", "--epochs", "2"]
        assert cli.main(call) == 1
        error = capsys.readouterr().err
        assert error.startswith("error: no record of profile 'paper'") and error.count("\n") == 1
        assert cli.main([*call, "--no-save"]) == 0 and results.find() == []
        assert cli.main([*call, "--allow-dirty"]) == 0 and said(results.find()[0]) == (True, True)

    def test_a_study_is_refused_once_and_only_while_runs_are_missing(self, committed, monkeypatch, capsys):
        monkeypatch.setitem(studies.STUDIES, "tiny", lambda profile: [dataclasses.replace(p, profile=profile) for p in (PAPER, STUDENT)])
        change(committed)
        assert cli.main(["study", "tiny", "--profile", "paper"]) == 1
        out, err = capsys.readouterr()
        assert out == "" and err.count("\n") == 1 and "recq_lib differs" in err
        assert cli.main(["study", "tiny", "--profile", "smoke"]) == 0
        assert cli.main(["study", "tiny", "--profile", "paper", "--allow-dirty"]) == 0
        assert {said(r) for r in results.find(profile="paper")} == {(True, True)}
        assert cli.main(["study", "tiny", "--profile", "paper"]) == 0  # nothing is left to make


class TestNoRepository:
    """A wheel, or a copy of the files: git has nothing to say, and the record says that."""

    def test_a_copy_without_a_repository(self, project):
        record = runs.run(PAPER)
        assert said(record) == (None, None) and record.provenance["commit"] == "uncommitted"

    def test_an_installed_library(self, monkeypatch):
        monkeypatch.setattr(paths, "checkout", lambda: None)
        assert said(runs.run(PAPER)) == (None, None)

    def test_a_repository_that_git_does_not_answer_for(self, committed, monkeypatch, untrained):
        monkeypatch.setenv("PATH", str(committed))  # no git there
        with pytest.raises(RecordError, match="git does not answer for the repository of recq_lib"):
            runs.run(PAPER)


class TestParts:
    """Code behind a checkpoint or a kept model counts like the code at hand."""

    def test_a_checkpoint_from_dirty_code_is_not_continued_by_clean_code(self, committed):
        change(committed)
        with pytest.raises(runs.RunPaused):
            runs.run(PAPER, deadline=0.0, allow_dirty=True)
        git(committed, "commit", "-aqm", "second")
        with pytest.raises(RecordError, match="the checkpoint comes from code that no commit holds; delete it below checkpoints/"):
            runs.run(PAPER)
        record = runs.run(PAPER, allow_dirty=True)
        assert said(record) == (False, True) and [code["dirty"] for code in record.provenance["code"]] == [True, False]
        assert not list(paths.checkpoints_dir().iterdir())

    def test_every_commit_of_a_run_is_named(self, committed):
        first = git(committed, "rev-parse", "HEAD")
        with pytest.raises(runs.RunPaused):
            runs.run(PAPER, deadline=0.0)
        change(committed)
        git(committed, "commit", "-aqm", "second")
        record = runs.run(PAPER)
        assert [code["commit"] for code in record.provenance["code"]] == [first, record.provenance["commit"]]
        assert said(record) == (False, None)

    def test_a_teacher_from_dirty_code(self, committed):
        change(committed)
        runs.trained(STUDENT.teacher, allow_dirty=True)
        git(committed, "commit", "-aqm", "second")
        with pytest.raises(RecordError, match="the kept model of its teacher comes from code that no commit holds"):
            runs.run(STUDENT)
        record = runs.run(STUDENT, allow_dirty=True)
        assert said(record) == (False, True) and [code["dirty"] for code in record.provenance["teacher"]] == [True]

    @pytest.mark.parametrize("damage", [lambda text: "[", lambda text: text.replace('"dirty": false', '"dirty": true')])
    def test_a_damaged_note_is_moved_aside_and_the_run_begins_anew(self, committed, damage):
        with pytest.raises(runs.RunPaused):
            runs.run(PAPER, deadline=0.0)
        note = rebuildable.note_of(runs.checkpoint_of(runs.spec_of(PAPER, runs.prepare(PAPER))))
        assert json.loads(note.read_text())["codes"] == [rebuildable.code_of(provenance.collect("cpu"))]
        note.write_text(damage(note.read_text()))
        with pytest.warns(UserWarning) as told:
            record = runs.run(PAPER)
        assert all(".damaged and made anew" in str(warning.message) for warning in told) and len(told) == 2
        assert not record.provenance["resumed"] and said(record) == (False, None)
