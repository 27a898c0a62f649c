"""Every notebook runs from a fresh kernel at the smoke profile, anywhere, and repeats its committed numbers and facts.

A notebook is executed once and the tests about it share that execution (`notebook_runs`); one class per notebook, so that the workers
of a parallel run share the notebooks. The machinery itself is tested on a small sample, the facts of one notebook also by nbval alone.
"""

from __future__ import annotations

import base64
import copy
import io
import re
from pathlib import Path

import nbclient
import pytest
from nbformat import NotebookNode
from notebook_runs import PASSED, Run, fact_differences, run_once
from notebook_samples import runnable, write
from PIL import Image

from recq_lib.companion.notebook_tools.execute import CELL_SECONDS, environment, private_folders
from recq_lib.companion.notebook_tools.facts import check_facts
from recq_lib.companion.notebook_tools.refresh import deviations, refresh, small_png
from recq_lib.companion.notebook_tools.sources import find, read, tags
from recq_lib.companion.notebook_tools.student import student_version
from recq_lib.io import paths


class NotebookTests:
    """What every notebook must do."""

    path: Path

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, tmp_path_factory: pytest.TempPathFactory) -> Run:
        """Executed in a folder with nothing in it, so that no path of the notebook can depend on where it is started."""
        return run_once(cls.path, tmp_path_factory.mktemp("empty"))

    def test_leaves_nothing_where_it_runs(self, run: Run) -> None:
        assert run.left_behind == []

    def test_repeats_the_committed_numbers(self, run: Run) -> None:
        assert deviations(read(self.path).metadata["recq"]["results"], run.values) == []

    def test_prints_the_committed_facts(self, run: Run, request: pytest.FixtureRequest) -> None:
        assert fact_differences(request, self.path, run.executed) == []

    def test_an_empty_answer_fails_its_check(self, run: Run) -> None:
        exercises = [cell for cell in read(self.path).cells if "exercise" in tags(cell)]
        assert len(run.probes) == len(exercises)
        assert PASSED not in run.probes, "an empty stub passed its check"

    def test_student_version_runs_until_its_first_exercise(self, run: Run) -> None:
        """Up to there it has the cells of the notebook that has just run; from there on it has no solution."""
        cells, student = read(self.path).cells, student_version(read(self.path)).cells
        first = next((index for index, cell in enumerate(cells) if "exercise" in tags(cell)), len(cells)) + 1
        assert [cell.source for cell in student[:first]] == [cell.source for cell in cells[:first]]
        assert not any("solution" in tags(cell) for cell in student)


for _path in find():
    _name = f"Test_{_path.stem}"
    globals()[_name] = pytest.mark.slow(type(_name, (NotebookTests,), {"path": _path}))


@pytest.mark.slow
def test_nbval_itself_agrees() -> None:
    """The facts of the first notebook by nbval's own execution, in the folder of the notebooks."""
    assert check_facts(find()[:1], jobs=1) == 0


# ---- the machinery, on a small sample ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = write(runnable("sample"), tmp_path_factory.mktemp("notebooks") / "sample.ipynb")
    assert refresh(path) == ""
    return path


@pytest.mark.slow
class TestSample:
    """What the tests above rest on: they pass on a sound notebook and see each fault."""

    @pytest.fixture(scope="class")
    @classmethod
    def run(cls, sample: Path) -> Run:
        return run_once(sample, paths.project_root())

    def test_sound(self, sample: Path, run: Run, request: pytest.FixtureRequest) -> None:
        assert run.left_behind == []
        assert deviations(read(sample).metadata["recq"]["results"], run.values) == []
        assert fact_differences(request, sample, run.executed) == []
        assert run.probes == ["AssertionError"]

    def test_changed_fact_is_seen_as_nbval_sees_it(
        self, sample: Path, run: Run, request: pytest.FixtureRequest, tmp_path: Path, capfd: pytest.CaptureFixture[str]
    ) -> None:
        changed = read(sample)
        facts = [cell for cell in changed.cells if "nbval-check-output" in tags(cell)]
        facts[1].outputs[0].text = "7\n"
        path = write(changed, tmp_path / "sample.ipynb")
        (difference,) = fact_differences(request, path, run.executed)
        assert check_facts([path], jobs=1) == 1  # executes it, in its own folder
        said = capfd.readouterr().out
        cell = difference.partition(":")[0]
        assert len(re.findall(r"^FAILED .*::(Cell \d+)", said, flags=re.M)) == 1 and re.search(rf"^FAILED .*::{cell}\b", said, flags=re.M)

    def test_addresses_and_times_are_no_facts(self, sample: Path, run: Run, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        committed, executed = read(sample), copy.deepcopy(run.executed)
        for notebook, text in ((committed, "at 0x7f00aa55 in 3.2 s\n"), (executed, "at 0x7f00bb66 in 14 s\n")):
            next(cell for cell in notebook.cells if "nbval-check-output" in tags(cell)).outputs[0].text = text
        assert fact_differences(request, write(committed, tmp_path / "sample.ipynb"), executed) == []

    def test_untagged_output_is_no_fact(self, sample: Path, run: Run, request: pytest.FixtureRequest, tmp_path: Path) -> None:
        committed = read(sample)
        for cell in committed.cells:
            if "nbval-check-output" in tags(cell):
                cell.metadata["tags"].remove("nbval-check-output")
                cell.outputs[0].text = "other\n"
        assert fact_differences(request, write(committed, tmp_path / "sample.ipynb"), run.executed) == []

    def test_empty_answer_that_passes_and_file_left_behind_are_seen(self, tmp_path: Path) -> None:
        notebook = runnable("untidy")
        check = next(cell for cell in notebook.cells if "def check_largest" in cell.source)
        check.source = "def check_largest(value):\n    pass\n\n\ncheck_largest(answer)"
        notebook.cells[3].source += "\nopen('left' + '.txt', 'w').close()"
        path = write(notebook, tmp_path / "notebooks" / "untidy.ipynb")
        (tmp_path / "cwd").mkdir()
        found = run_once(path, tmp_path / "cwd")
        assert (found.probes, found.left_behind) == ([PASSED], ["left.txt"])

    def test_failing_cell_fails_the_test(self, tmp_path: Path) -> None:
        path = write(runnable("bad", fails=True), tmp_path / "bad.ipynb")
        with pytest.raises(pytest.fail.Exception, match=r"bad\.ipynb: ValueError: deliberate"):
            run_once(path, tmp_path)

    def test_student_version_stops_at_its_exercise(self, sample: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """The student version itself, executed: it fails at the check of the first exercise and not before."""
        student = student_version(read(sample))
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
                resources={"metadata": {"path": sample.parent}},
            )
            client.execute()
        failed = [index for index, cell in enumerate(student.cells) if has_error(cell)]
        assert failed == [index for index, cell in enumerate(student.cells) if "check_largest(answer)" in cell.source]


def has_error(cell: NotebookNode) -> bool:
    return any(output.output_type == "error" for output in cell.get("outputs", []))


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
