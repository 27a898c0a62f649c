"""One execution of a notebook that serves every test about it: does it run, repeat its numbers and facts, refuse empty answers?

Starting a kernel and training the models of a notebook takes most of the time of its tests, so it is done once. The executed copy
is compared with the committed one by nbval's own code. To see that an empty answer fails its check, a probe stands between each
exercise and its solution: the same check, tried on the empty stub. A probe changes nothing that later cells use.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

from recq_lib.companion.notebook_tools.execute import CELL_SECONDS, environment, error_of, execute, private_folders
from recq_lib.companion.notebook_tools.sources import read, tags
from recq_lib.io import paths

PROBE = "probe"
PASSED = "passed"


@dataclass(frozen=True)
class Run:
    """What one execution left: the executed copy, the numbers it saved, what each check said to an empty stub, files left behind."""

    executed: NotebookNode
    values: dict[str, float]
    probes: list[str]
    left_behind: list[str]


def run_once(path: Path, cwd: Path) -> Run:
    """Execute a notebook at the smoke profile in a fresh kernel with the working directory `cwd`; fails the test when a cell does."""
    before = set(cwd.rglob("*"))
    with private_folders() as (folder, variables):
        source, target, log = folder / "source" / path.name, folder / path.name, folder / "log.txt"
        source.parent.mkdir()
        nbformat.write(with_probes(read(path)), source)
        outcome = execute(source, target, env=environment(**variables), cell_seconds=CELL_SECONDS["smoke"], cwd=cwd, log=log)
        if outcome.returncode != 0:
            pytest.fail(f"{path.name}: {error_of(target) or log.read_text()}", pytrace=False)
        written = json.loads((folder / "out" / "smoke" / f"{path.stem}.json").read_text())
        executed = read(target)
    probes = [cell for cell in executed.cells if PROBE in tags(cell)]
    executed.cells = [cell for cell in executed.cells if PROBE not in tags(cell)]
    left = sorted(str(found.relative_to(cwd)) for found in set(cwd.rglob("*")) - before)
    return Run(executed, written["values"], [cell.outputs[-1].text.strip() for cell in probes], left)


# ---- empty answers ----------------------------------------------------------------------------------------------------


def with_probes(notebook: NotebookNode) -> NotebookNode:
    """A copy in which every exercise is followed by its own check, tried on the empty stub before the solution replaces it."""
    probed = copy.deepcopy(notebook)
    probed.cells = list(_probed(notebook.cells))
    return probed


def _probed(cells: list[NotebookNode]) -> Iterator[NotebookNode]:
    for index, cell in enumerate(cells):
        yield cell
        if "exercise" in tags(cell):
            check = next(later.source for later in cells[index:] if re.search(r"\bcheck_\w+\(", later.source))
            yield new_code_cell(_TRY.format(source=check), metadata={"tags": [PROBE]})


_TRY = f"""try:
    exec({{source!r}}, globals())
    print({PASSED!r})
except Exception as error:
    print(type(error).__name__)"""


# ---- facts ------------------------------------------------------------------------------------------------------------


def fact_differences(request: pytest.FixtureRequest, path: Path, executed: NotebookNode) -> list[str]:
    """Where nbval, in its lax mode and with our sanitise file, sees other output in `executed` than in the committed copy at `path`.

    nbval reads the committed file, decides which cells count and compares; only the execution is not its own. An account per cell.
    """
    from nbval.plugin import IPyNbFile, coalesce_streams, get_sanitize_patterns

    file = IPyNbFile.from_parent(request.session, path=path)
    file.compare_outputs = False  # lax: tagged cells only
    file.sanitize_patterns.update(get_sanitize_patterns((paths.project_root() / "tests" / "nbval_sanitize.cfg").read_text()))
    fresh = [cell for cell in executed.cells if cell.cell_type == "code"]
    reference = list(file.collect())
    assert [cell.cell.source for cell in reference] == [cell.source for cell in fresh]
    found = []
    for item, cell in zip(reference, fresh, strict=True):
        compared = item.options["check"] and item.cell.execution_count is not None
        if compared and not item.compare_outputs(coalesce_streams(cell.outputs), coalesce_streams(item.cell.outputs)):
            found.append(f"{item.name}: {' '.join(' '.join(item.comparison_traceback).split())}")
    return found
