"""Every notebook runs from a fresh kernel at the smoke profile, from two working directories, and repeats its committed numbers.

Without notebooks the same tests run on a small sample, so that the machinery is tested in any case.
"""

from __future__ import annotations

import base64
import io
import json
import re
from pathlib import Path

import nbclient
import pytest
from nbformat import NotebookNode
from notebook_samples import runnable, write
from PIL import Image

from recq_lib.companion.notebook_tools.execute import CELL_SECONDS, environment, error_of, execute, private_folders
from recq_lib.companion.notebook_tools.refresh import deviations, refresh, small_png
from recq_lib.companion.notebook_tools.sources import find, read, tags
from recq_lib.companion.notebook_tools.student import student_version
from recq_lib.io import paths

NAMES = [path.stem for path in find()] or ["sample"]


@pytest.fixture(scope="module", params=NAMES)
def notebook(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    if request.param != "sample":
        return paths.notebooks_dir() / f"{request.param}.ipynb"
    path = write(runnable("sample"), tmp_path_factory.mktemp("notebooks") / "sample.ipynb")
    assert refresh(path) == ""
    return path


def run_smoke(path: Path, cwd: Path | None) -> None:
    with private_folders() as (folder, variables):
        target, log = folder / path.name, folder / "log.txt"
        outcome = execute(path, target, env=environment(**variables), cell_seconds=CELL_SECONDS["smoke"], cwd=cwd, log=log)
        assert outcome.returncode == 0, error_of(target) or log.read_text()
        written = json.loads((folder / "out" / "smoke" / f"{path.stem}.json").read_text())
    reference = read(path).metadata["recq"]["results"]
    assert deviations(reference, written["values"]) == []


class TestFromRoot:
    def test_smoke_repeats_the_committed_numbers(self, notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(paths.project_root())
        run_smoke(notebook, cwd=None)


class TestFromNotebooks:
    def test_smoke_repeats_the_committed_numbers(self, notebook: Path) -> None:
        run_smoke(notebook, cwd=notebook.parent)


class TestStudentVersion:
    def test_runs_until_the_first_exercise_and_empty_stubs_fail(self, notebook: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        student = student_version(read(notebook))
        checks = check_cells(student)
        assert not any("solution" in tags(cell) for cell in student.cells)
        with private_folders() as (_, variables):
            for name, value in environment(**variables).items():
                monkeypatch.setenv(name, value)
            for name, value in variables.items():
                if value is None:
                    monkeypatch.delenv(name, raising=False)
            monkeypatch.delenv("MPLBACKEND", raising=False)
            client = nbclient.NotebookClient(
                student,
                timeout=CELL_SECONDS["smoke"],
                kernel_name="python3",
                allow_errors=True,
                resources={"metadata": {"path": notebook.parent}},
            )
            client.execute()
        failed = [index for index, cell in enumerate(student.cells) if has_error(cell)]
        assert set(checks) <= set(failed), "an empty stub passed its check"
        assert not checks or min(failed) == min(checks), "the student version fails before its first exercise"
        assert checks or not failed


def has_error(cell: NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", []))


def check_cells(student: NotebookNode) -> list[int]:
    """Positions of the first check_*() call after each exercise."""
    found = []
    for index, cell in enumerate(student.cells):
        if "exercise" in tags(cell):
            found += [later for later in range(index, len(student.cells)) if re.search(r"\bcheck_\w+\(", student.cells[later].source)][:1]
    return found


# ---- tolerances -------------------------------------------------------------------------------------------------------


def test_deviations_keep_to_the_tolerances() -> None:
    reference = {"values": {"users": 10, "recall": 0.2, "loss": 1.0}, "tolerances": {"recall": 0.02}}
    assert deviations(reference, {"users": 10, "recall": 0.219, "loss": 1.04}) == []
    assert deviations(reference, {"users": 10, "recall": 0.221, "loss": 1.0}) == ["recall: 0.221, committed 0.2, allowed deviation 0.02"]
    assert deviations(reference, {"users": 11, "recall": 0.2, "loss": 1.0}) == ["users: 11, committed 10, allowed deviation 0"]
    assert deviations(reference, {"users": 10, "recall": 0.2, "loss": 1.06}) == ["loss: 1.06, committed 1.0, allowed deviation 0.05"]


def test_deviations_see_missing_new_and_undefined_values() -> None:
    reference = {"values": {"a": 1, "b": 1.0}}
    assert deviations(reference, {"b": float("nan"), "c": 2}) == [
        "a: committed, but no longer written",
        "b: nan, committed 1.0, allowed deviation 0.05",
        "c: written, but not in the committed copy",
    ]


def test_small_png_keeps_the_picture() -> None:
    picture = Image.new("RGBA", (60, 40), (255, 255, 255, 255))
    for x in range(60):
        picture.putpixel((x, x // 2), (0, 114, 178, 255))
    buffer = io.BytesIO()
    picture.save(buffer, "png")
    small = small_png(base64.b64encode(buffer.getvalue()).decode())
    again = Image.open(io.BytesIO(base64.b64decode(small)))
    assert again.mode == "P" and again.convert("RGB").tobytes() == picture.convert("RGB").tobytes()
    assert small_png(small) == small
