"""When a notebook runs again, where its figures and records go, what `--publish` renews, and that a run leaves the project as it is.

Most tests put a stand-in for papermill in its place, which writes at once what a small notebook would: what is tested is the runner.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from notebook_samples import code, runnable, write

from recq_lib.companion import figure_store, runner
from recq_lib.companion.notebook_tools import batch, execute, records, state
from recq_lib.io import paths

REAL, STAND_IN = "lastfm (RECQ_DATA_DIR)", "synthetic-50000 (synthetic)"


@dataclass
class Kernel:
    """Stands in for `execute.execute`: every notebook draws `<name>/line` from `source`, writes its results, and may fail."""

    source: str = "toy graph"
    profile: str = "smoke"  # of the records drawn
    returncode: int = 0
    started: list[str] = field(default_factory=list)

    def __call__(self, source: Path, target: Path, *, env: dict[str, str], params: dict[str, Any], **_: object) -> execute.Outcome:
        name = source.stem
        self.started.append(name)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(source.read_bytes())
        if self.returncode == 0:
            picture = f"{self.profile} {self.source}".encode()
            entry = figure_store.entry_of(self.profile, self.source)
            figure_store.save(Path(env["RECQ_FIGURES_DIR"]), f"{name}/line", dict.fromkeys(figure_store.SUFFIXES, picture), entry)
            results = {"source": self.source, "values": {"sum": sum(range(1, params.get("terms", 3) + 1))}}
            (Path(env["RECQ_OUT_DIR"]) / params["profile"] / f"{name}.json").write_text(json.dumps(results))
        return execute.Outcome(self.returncode, 0.1, 100.0)


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    stand_in = Kernel()
    monkeypatch.setattr(execute, "execute", stand_in)
    return stand_in


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private project with one notebook: figures, records and executed copies beside it."""
    for name in ("FIGURES", "OUT", "RESULTS", "CACHE"):
        monkeypatch.setenv(f"RECQ_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.delenv("RECQ_DATA_DIR", raising=False)
    write(runnable("01_good"), tmp_path / "notebooks" / "01_good.ipynb")
    return tmp_path


def run(folder: Path, profile: str = "smoke", **options: object) -> list[batch.Row]:
    notebooks = sorted((folder / "notebooks").glob("*.ipynb"))
    return batch.run_all(notebooks, profile=profile, say=lambda text: None, **options)


def statuses(folder: Path, **options: object) -> list[str]:
    return [row.status for row in run(folder, **options)]


class TestUpToDate:
    def test_what_makes_a_notebook_run_again(self, folder: Path, kernel: Kernel) -> None:
        assert statuses(folder) == ["ok"]
        assert statuses(folder) == ["up to date"]
        assert statuses(folder, force=True) == ["ok"]
        (folder / "out" / "smoke" / "figures" / "01_good" / "line.pdf").unlink()
        assert statuses(folder) == ["ok"]
        (folder / "out" / "smoke" / "01_good.ipynb").unlink()
        assert statuses(folder) == ["ok"]
        assert statuses(folder, params={"terms": 5}) == ["ok"]
        assert json.loads((folder / "out" / "smoke" / "01_good.json").read_text())["values"]["sum"] == 15
        assert statuses(folder, params={"terms": 5}) == ["up to date"]
        assert kernel.started == ["01_good"] * 5

    def test_failure_is_run_again_and_forgets_what_was(self, folder: Path, kernel: Kernel) -> None:
        assert statuses(folder) == ["ok"]
        kernel.returncode = 1
        assert statuses(folder, force=True) == ["FAILED exit status 1"]
        kernel.returncode = 0
        assert statuses(folder) == ["ok"]

    def test_one_notebook_keeps_what_is_known_of_the_others(self, folder: Path, kernel: Kernel) -> None:
        write(runnable("02_more"), folder / "notebooks" / "02_more.ipynb")
        assert statuses(folder) == ["ok", "ok"]
        batch.run_all([folder / "notebooks" / "02_more.ipynb"], profile="smoke", force=True, say=lambda text: None)
        assert statuses(folder) == ["up to date", "up to date"]

    @pytest.mark.parametrize("damage", ["empty", "row", "field", "type", "figures", "foreign", "list", "digit"])
    def test_damaged_state_means_run_again(self, folder: Path, kernel: Kernel, damage: str) -> None:
        assert statuses(folder) == ["ok"]
        path = folder / "out" / "smoke" / state.FILE
        entries = json.loads(path.read_text())
        entry = entries["01_good"]
        if damage == "row":
            del entry["row"]
        elif damage == "field":
            entry["row"]["unknown"] = 1
        elif damage == "type":
            entry["row"]["seconds"] = "long"
        elif damage == "figures":
            entry["row"]["figures"] = [3]
        elif damage == "foreign":
            entries["01_good"] = 3
        elif damage == "digit":  # of the right type and shape, but not what was written
            entry["row"]["seconds"] += 1
        elif damage == "list":
            entries = [entries]
        path.write_text("{" if damage == "empty" else json.dumps(entries))
        assert statuses(folder) == ["ok"]
        assert statuses(folder) == ["up to date"]

    def test_signature_sees_content_name_and_removal(self, tmp_path: Path) -> None:
        assert state.folder_signature(None) == state.folder_signature(tmp_path / "absent") == "none"
        seen = {state.folder_signature(tmp_path)}
        (tmp_path / "a.json").write_text("1")
        seen.add(state.folder_signature(tmp_path))
        (tmp_path / "a.json").write_text("12")
        seen.add(state.folder_signature(tmp_path))
        (tmp_path / "a.json").rename(tmp_path / "b.json")
        seen.add(state.folder_signature(tmp_path))
        assert len(seen) == 4


class TestPublish:
    def on_show(self, folder: Path) -> bytes:
        return (folder / "figures" / "01_good" / "line.png").read_bytes()

    def test_only_when_asked(self, folder: Path, kernel: Kernel) -> None:
        (row,) = run(folder)
        assert (row.figures, row.published, row.kept) == (["01_good/line"], [], [])
        assert not (folder / "figures").exists()
        (row,) = run(folder, publish=True)  # up to date: what it drew is there
        assert (row.status, row.published, row.kept) == ("up to date", ["01_good/line"], [])
        assert self.on_show(folder) == b"smoke toy graph" and kernel.started == ["01_good"]

    def test_failed_notebook_publishes_nothing(self, folder: Path, kernel: Kernel) -> None:
        run(folder)
        kernel.returncode = 1
        run(folder, force=True, publish=True)
        assert not (folder / "figures").exists()

    def test_paper_figure_is_not_replaced(self, folder: Path, kernel: Kernel) -> None:
        kernel.profile = "paper"
        run(folder, publish=True)
        kernel.profile = "smoke"
        (row,) = run(folder, publish=True, force=True)
        assert (row.status, row.figures, row.published, row.kept) == ("ok", ["01_good/line"], [], ["01_good/line"])
        assert self.on_show(folder) == b"paper toy graph"
        assert figure_store.read_manifest(folder / "figures")["01_good/line"]["profile"] == "paper"

    def test_real_data_are_not_replaced_by_a_stand_in(self, folder: Path, kernel: Kernel) -> None:
        kernel.source, kernel.profile = REAL, "quick"
        run(folder, profile="quick", publish=True)
        kernel.source, kernel.profile = STAND_IN, "paper"
        (row,) = run(folder, profile="quick", publish=True, force=True)
        assert row.kept == ["01_good/line"] and self.on_show(folder) == f"quick {REAL}".encode()
        drawn = figure_store.read_manifest(folder / "out" / "quick" / "figures")["01_good/line"]
        assert drawn["synthetic"] is True  # its own place shows what this run drew
        kernel.source, kernel.profile = REAL, "quick"
        (row,) = run(folder, profile="quick", publish=True, force=True)
        assert row.published == ["01_good/line"]

    def test_command_line(self, folder: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
        call = ["run", "--profile", "smoke", "--notebooks", str(folder / "notebooks")]
        assert runner.main(call) == 0
        assert "1 figures in out/smoke/figures/ (figures/ is renewed by --publish)" in capsys.readouterr().out
        assert runner.main([*call, "--publish"]) == 0
        assert "1 figures, 1 published, 0 kept" in capsys.readouterr().out and (folder / "figures" / "01_good" / "line.pdf").exists()

    def test_damaged_manifest_is_one_line(self, folder: Path, kernel: Kernel, capsys: pytest.CaptureFixture[str]) -> None:
        (folder / "figures").mkdir()
        (folder / "figures" / figure_store.MANIFEST).write_text('{"01_good/line": {"profile": "quick"}}')
        assert runner.main(["run", "--profile", "smoke", "--publish", "--notebooks", str(folder / "notebooks")]) == 2
        (line,) = capsys.readouterr().err.strip().splitlines()
        assert line.startswith("error: manifest.json in figures/ has the entry '01_good/line'")


def record(folder: Path, name: str, profile: str) -> Path:
    path = folder / "records" / "lastfm" / "baco" / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"spec": {"profile": profile}}))
    path.with_suffix(".npz").write_bytes(b"arrays")
    return path


class TestRecords:
    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.rglob("*.*"))

    def test_smoke_records_are_not_copied_into_a_private_folder(self, tmp_path: Path) -> None:
        for profile in ("smoke", "paper"):
            record(tmp_path / "from", profile, profile)
        records.copy_records(tmp_path / "from", tmp_path / "to", lambda profile: profile != "smoke")
        assert self.names(tmp_path / "to") == ["paper.json", "paper.npz"]

    def test_smaller_profiles_work_on_a_copy_and_keep_what_they_add(self, folder: Path) -> None:
        record(folder / "results", "a", "paper")
        gone = record(folder / "results", "b", "paper")
        records.prepare("quick")
        copy = records.folder("quick")
        assert copy == folder / "out" / "quick" / "results" and self.names(copy) == ["a.json", "a.npz", "b.json", "b.npz"]
        record(copy, "own", "quick")
        for part in (gone, gone.with_suffix(".npz")):
            part.unlink()
        records.prepare("quick")
        assert self.names(copy) == ["a.json", "a.npz", "own.json", "own.npz"]
        assert self.names(folder / "results") == ["a.json", "a.npz"]

    def test_what_is_unchanged_is_left_alone_and_what_changed_is_replaced(self, folder: Path) -> None:
        kept, other = record(folder / "results", "a", "paper"), record(folder / "results", "b", "paper")
        records.prepare("quick")
        copy = records.folder("quick") / "records" / "lastfm" / "baco"
        before = {path.name: path.stat().st_ino for path in copy.iterdir()}
        other.write_text(json.dumps({"spec": {"profile": "paper"}, "metrics": 1}))
        records.prepare("quick")
        after = {path.name: path.stat().st_ino for path in copy.iterdir()}
        assert {name for name in before if before[name] != after[name]} == {"b.json"} and after.keys() == before.keys()
        assert (copy / "b.json").read_bytes() == other.read_bytes() and (copy / "a.json").read_bytes() == kept.read_bytes()

    def test_a_second_run_hides_nothing_from_a_reader(self, folder: Path) -> None:
        for number in range(30):
            record(folder / "results", f"r{number}", "paper")
        records.prepare("quick")
        copy, done, seen = records.folder("quick"), threading.Event(), []

        def read() -> None:
            while not done.is_set():
                found = copy.glob("records/*/*/*.json")
                try:
                    seen.append(sum(path.read_text() != "" and path.with_suffix(".npz").read_bytes() == b"arrays" for path in found))
                except FileNotFoundError:
                    seen.append(-1)

        reader = threading.Thread(target=read)
        reader.start()
        try:
            for _ in range(20):
                records.prepare("quick")
        finally:
            done.set()
            reader.join()
        assert set(seen) == {30}

    def test_paper_runs_add_to_the_project(self, folder: Path) -> None:
        record(folder / "results", "a", "paper")
        records.prepare("paper")
        assert records.folder("paper") == folder / "results" and not (folder / "out").exists()


# ---- a clone ----------------------------------------------------------------------------------------------------------


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, text=True, env=variables)
    return done.stdout.strip()


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")
@pytest.mark.parametrize("source", [STAND_IN, REAL])
def test_a_run_leaves_a_clone_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    """A notebook that draws, saves results and stores a record, run without any variable of ours, changes nothing that git sees."""
    here = paths.project_root()
    for name in ("FIGURES", "OUT", "RESULTS", "DATA", "CHECKPOINTS"):
        monkeypatch.delenv(f"RECQ_{name}_DIR", raising=False)
    monkeypatch.setenv("PYTHONPATH", str(here))
    monkeypatch.setattr(paths, "checkout", lambda: tmp_path)
    shutil.copyfile(here / ".gitignore", tmp_path / ".gitignore")
    notebook = runnable("01_good")
    drawing = next(cell for cell in notebook.cells if "save_figure(fig" in cell.source)
    drawing.source = drawing.source.replace('source="numbers"', f'source="{source}"')
    notebook.cells.insert(-1, code(_RECORD))
    path = write(notebook, tmp_path / "notebooks" / "01_good.ipynb")
    entry = figure_store.entry_of("smoke", REAL)
    figure_store.save(tmp_path / "figures", "01_good/line", dict.fromkeys(figure_store.SUFFIXES, b"real"), entry)
    record(tmp_path / "results", "0" * 16, "paper")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")

    assert runner.main(["run", "--profile", "quick"]) == 0
    assert git(tmp_path, "status", "--porcelain") == ""
    assert len(list((tmp_path / "out" / "quick" / "results" / "records" / "lastfm" / "mostpop").glob("*.json"))) == 1
    assert runner.main(["run", "--profile", "quick", "--publish"]) == 0
    changed = {line.split()[-1] for line in git(tmp_path, "status", "--porcelain").splitlines()}
    renewed = {"figures/01_good/line.pdf", "figures/01_good/line.png", "figures/README.md", "figures/manifest.json"}
    assert changed == (set() if source == STAND_IN else renewed)
    assert path.exists()


_RECORD = """from recq_lib.runs import store
spec = store.RunSpec("mostpop", "lastfm", seed=0, profile=profile, data_fingerprint="0" * 16)
store.save(store.RunRecord(spec, {"recall@20": 0.1}))"""
