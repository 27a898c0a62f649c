"""The runner on small notebooks in a folder of their own: exit status, publication, refusal, up-to-date, refresh, run_all.sh."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import nbformat
import pytest
from notebook_samples import good_notebook, runnable, write

from recq_lib.companion import figure_store, runner
from recq_lib.companion.notebook_tools import sources
from recq_lib.companion.notebook_tools.freshness import stale_reasons
from recq_lib.companion.notebook_tools.lint import lint
from recq_lib.companion.notebook_tools.refresh import refresh
from recq_lib.companion.notebook_tools.student import build
from recq_lib.errors import ConfigError
from recq_lib.io import paths


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A private project: notebooks here, figures, records and executed copies beside them."""
    for name in ("FIGURES", "OUT", "RESULTS", "CACHE"):
        monkeypatch.setenv(f"RECQ_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.delenv("RECQ_DATA_DIR", raising=False)
    (tmp_path / "notebooks").mkdir()
    return tmp_path


def call(folder: Path, *arguments: str) -> int:
    return runner.main([*arguments, "--notebooks", str(folder / "notebooks")])


class TestRun:
    @pytest.mark.slow
    def test_passing_and_failing_notebook(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write(runnable("01_good"), folder / "notebooks" / "01_good.ipynb")
        write(runnable("02_bad", fails=True), folder / "notebooks" / "02_bad.ipynb")
        before = (folder / "notebooks" / "01_good.ipynb").read_bytes()
        assert call(folder, "run", "--profile", "quick", "--jobs", "2") == 1
        table = capsys.readouterr().out
        good, bad = (next(line for line in table.splitlines() if line.startswith(f"{name}  ")) for name in ("01_good", "02_bad"))
        assert good.split()[1] == "numbers" and good.endswith("ok")
        assert float(good.split()[2]) > 0 and float(good.split()[3]) > 10  # seconds; MB: a kernel with matplotlib is larger
        assert "FAILED ValueError: deliberate" in bad
        # figures are taken over only after success, and nothing is written over what is on show or over the sources
        drawn = folder / "out" / "quick" / "figures"
        assert (drawn / "01_good" / "line.png").exists() and (drawn / "01_good" / "line.pdf").exists()
        assert not (drawn / "02_bad").exists() and not (folder / "figures").exists()
        assert list(figure_store.read_manifest(drawn)) == ["01_good/line"]
        assert (folder / "notebooks" / "01_good.ipynb").read_bytes() == before
        assert (folder / "out" / "quick" / "02_bad.ipynb").exists()
        assert json.loads((folder / "out" / "quick" / "01_good.json").read_text())["profile"] == "quick"

        # the good one is up to date now, the bad one runs again
        assert call(folder, "run", "--profile", "quick") == 1
        second = capsys.readouterr().out
        assert "01_good: started" not in second and "up to date" in second and "02_bad: started" in second

    def test_unknown_parameter_is_refused_before_anything_runs(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write(runnable("01_good"), folder / "notebooks" / "01_good.ipynb")
        assert call(folder, "run", "--param", "therms=4") == 2
        assert "'therms' is not in 01_good.ipynb; its parameters are: profile, terms" in capsys.readouterr().err
        assert not (folder / "out").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--only", "07"], "notebook '07' is not there"),
            (["--param", "terms"], "must be NAME=VALUE"),
            (["--param", "profile=x"], "--profile"),
            (["--profile", "big"], "--profile: invalid choice: 'big'"),
            (["--profile="], "--profile: invalid choice: ''"),
            (["--jobs", "0"], "--jobs: '0' must be a positive integer"),
            (["--only"], "--only: expected at least one argument"),
            (["--fast"], "unrecognized arguments: --fast"),
            (["tests"], "unrecognized arguments: tests"),
            (["--resume", "--only", "07"], "notebook '07' is not there"),  # accepted and needless
        ],
    )
    def test_wrong_call(self, folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], message: str) -> None:
        write(runnable("01_good"), folder / "notebooks" / "01_good.ipynb")
        assert call(folder, "run", *arguments) == 2
        err = capsys.readouterr().err
        assert message in err and err.startswith("error: ") and err.count("\n") == 1

    def test_flag_without_its_value(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert runner.main(["run", "--profile"]) == 2
        err = capsys.readouterr().err
        assert "--profile: expected one argument" in err and err.count("\n") == 1

    def test_empty_folder(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        assert call(folder, "run") == 2
        assert "no notebooks" in capsys.readouterr().err


@pytest.mark.slow
class TestRefresh:
    def test_hand_written_notebook_becomes_fresh_and_clean(self, folder: Path) -> None:
        path = write(runnable("01_good"), folder / "notebooks" / "01_good.ipynb")
        assert refresh(path) == ""
        notebook = sources.read(path)
        assert stale_reasons(notebook) == [] and lint(notebook) == []
        assert "papermill" not in notebook.metadata and not any("papermill" in cell.metadata for cell in notebook.cells)
        assert notebook.metadata["recq"]["params"] == {"profile": "smoke", "terms": 3}
        assert notebook.metadata["recq"]["results"]["values"] == {"sum": 6, "mean": 2.0}
        assert not (folder / "figures").exists() and not (folder / "out").exists()
        first = path.read_bytes()
        assert refresh(path) == ""
        assert path.read_bytes() == first

    def test_failing_notebook_is_left_alone(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(runnable("02_bad", fails=True), folder / "notebooks" / "02_bad.ipynb")
        before = path.read_bytes()
        monkeypatch.setattr(paths, "notebooks_dir", lambda: folder / "notebooks")
        assert "ValueError: deliberate" in refresh(path)
        assert path.read_bytes() == before
        (paths.project_root() / "build" / "refresh" / "02_bad.ipynb").unlink()

    def test_lint_command_reports_and_fails(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        write(good_notebook(), folder / "notebooks" / "01_good.ipynb")
        assert call(folder, "lint") == 1
        assert "metadata.recq.lib_sha256 is missing" in capsys.readouterr().out

    def test_student_version_has_no_solution_and_no_output(self, folder: Path) -> None:
        source = write(good_notebook(), folder / "notebooks" / "01_good.ipynb")
        before = source.read_bytes()
        student = sources.read(build(source, folder / "student"))
        assert [cell.source for cell in student.cells] == [
            cell.source for cell in good_notebook().cells if "solution" not in sources.tags(cell)
        ]
        assert not any(cell.get("outputs") for cell in student.cells)
        assert source.read_bytes() == before


class TestSources:
    def test_select_by_number_or_name(self) -> None:
        notebooks = [Path(f"{name}.ipynb") for name in ("01_data", "02_lightgcn", "10_retrieval")]
        assert sources.select(notebooks, ["10", "01_data.ipynb"]) == [notebooks[0], notebooks[2]]
        assert sources.select(notebooks, []) == notebooks
        with pytest.raises(ConfigError, match="'1' is not there"):
            sources.select(notebooks, ["1"])

    def test_unreadable_notebook(self, tmp_path: Path) -> None:
        path = tmp_path / "broken.ipynb"
        path.write_text("{")
        with pytest.raises(ConfigError, match="broken.ipynb is not a readable notebook"):
            sources.read(path)

    def test_notebook_without_parameters(self, tmp_path: Path) -> None:
        path = tmp_path / "plain.ipynb"
        nbformat.write(nbformat.v4.new_notebook(), path)
        assert sources.parameters(path) == {}


# ---- run_all.sh -------------------------------------------------------------------------------------------------------


def run_all(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["bash", str(paths.project_root() / "run_all.sh"), *arguments],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        env=dict(os.environ) | variables,
        check=False,
    )


class TestRunAll:
    def test_help(self) -> None:
        done = run_all("--help")
        assert done.returncode == 0
        assert all(word in done.stdout for word in ("--profile", "--only", "--jobs", "test", "plain", "lab", "smoke|quick|paper"))

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--fast"], "unrecognized arguments: --fast"),  # passed on to the runner, whose messages are tested above
            (["test", "--jobs", "2"], "'test' takes no further arguments"),
            (["plain", "lab"], "'plain' takes no further arguments"),
        ],
    )
    def test_wrong_call_exits_2(self, arguments: list[str], message: str) -> None:
        done = run_all(*arguments)
        assert done.returncode == 2
        assert message in done.stderr and len(done.stderr.strip().splitlines()) == 1

    def test_no_suitable_python(self, tmp_path: Path) -> None:
        """In a copy without .venv, where every Python on the path says that it is too old."""
        for name in ("run_all.sh", "pyproject.toml", "constraints.txt"):
            (tmp_path / name).write_bytes((paths.project_root() / name).read_bytes())
        tools = tmp_path / "bin"
        tools.mkdir()
        for tool in ("bash", "dirname", "head", "cat", "sed", "env"):
            found = next(Path(part) / tool for part in os.environ["PATH"].split(os.pathsep) if (Path(part) / tool).exists())
            (tools / tool).symlink_to(found)
        (tools / "python3").write_text('#!/bin/sh\n[ "$1" = --version ] && echo "Python 3.9.2" && exit 0\nexit 1\n')
        (tools / "python3").chmod(0o755)
        environment = {"PATH": str(tools)}
        done = subprocess.run(["bash", str(tmp_path / "run_all.sh")], capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 3
        assert "recq needs Python 3.11 or newer; found: python3 (Python 3.9.2)" in done.stderr
        assert not (tmp_path / ".venv").exists()

    def test_active_environment_is_used(self, tmp_path: Path) -> None:
        """A copy without .venv uses this environment, which holds the packages, and makes none of its own."""
        import sys

        for name in ("run_all.sh", "pyproject.toml"):
            (tmp_path / name).write_bytes((paths.project_root() / name).read_bytes())
        (tmp_path / "recq_lib").symlink_to(paths.project_root() / "recq_lib")
        done = subprocess.run(
            ["bash", str(tmp_path / "run_all.sh"), "--only", "99"],
            capture_output=True,
            text=True,
            env=dict(os.environ) | {"VIRTUAL_ENV": sys.prefix},
            check=False,
        )
        assert done.returncode == 2 and "notebook '99' is not there" in done.stderr
        assert not (tmp_path / ".venv").exists()
