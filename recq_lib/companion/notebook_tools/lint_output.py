"""Lint rules about what an execution left: outputs, sizes, facts, metadata."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

from nbformat import NotebookNode

from recq_lib.companion.notebook_tools.lint_common import MACHINE_PATH, cells, output_text, output_types, tagged, without_strings
from recq_lib.companion.notebook_tools.sources import tags

MAX_OUTPUT_BYTES = 100_000
MAX_NOTEBOOK_BYTES = 500_000
MIN_FACTS = 3

_REFUSED_TAGS = ("injected-parameters", "papermill-error-cell-tag")
_FIGURE, _TABLE = re.compile(r"\bsave_figure\(|\.show\(fig"), re.compile(r"\bshow_table\(|\.table\(")
_SLIDER = re.compile(r"\b(\w*Slider|interact|interactive|Dropdown|ToggleButtons)\s*\(")


def no_leftovers(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """No tag or metadata that papermill or widgets leave behind."""
    for tag in _REFUSED_TAGS:
        for index in tagged(notebook, tag):
            yield index, f"tag {tag!r} is left from an execution; refresh the notebook"
    for key in ("papermill", "widgets"):
        if key in notebook.metadata:
            yield 0, f"metadata.{key} must not be committed; refresh the notebook"


def clean_outputs(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """No stderr, error, svg or machine path in any output."""
    for index, cell in cells(notebook):
        for output in cell.get("outputs", []):
            if output.get("output_type") == "error":
                yield index, f"error output {output.get('ename')}"
            if output.get("name") == "stderr":
                yield index, f"stderr output: {output.get('text', '')[:80]!r}"
            if "image/svg+xml" in output_types(output):
                yield index, "svg output; vector graphics go to files"
            match = MACHINE_PATH.search(output_text(output))
            if match:
                yield index, f"output shows a path of a machine: {match.group()!r}"


def sizes(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """At most 100 kB per output and 500 kB per notebook."""
    for index, cell in cells(notebook):
        for output in cell.get("outputs", []):
            size = len(json.dumps(output))
            if size > MAX_OUTPUT_BYTES:
                yield index, f"output of {size:,} bytes, but at most {MAX_OUTPUT_BYTES:,} are allowed"
    size = len(json.dumps(notebook, indent=1, ensure_ascii=False).encode("utf-8"))
    if size > MAX_NOTEBOOK_BYTES:
        yield 0, f"{size:,} bytes, but at most {MAX_NOTEBOOK_BYTES:,} are allowed"


def facts(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """At least three cells tagged nbval-check-output, each printing plain text only."""
    chosen = tagged(notebook, "nbval-check-output")
    if len(chosen) < MIN_FACTS:
        yield 0, f"{len(chosen)} cells are tagged 'nbval-check-output', but at least {MIN_FACTS} are needed"
    for index in chosen:
        outputs = notebook.cells[index - 1].get("outputs", [])
        if not outputs:
            yield index, "tagged 'nbval-check-output' but prints nothing"
        kinds = {kind for output in outputs for kind in output_types(output)} - {"text/plain"}
        if kinds:
            yield index, f"tagged 'nbval-check-output' but shows {', '.join(sorted(kinds))}; print plain text only"


def recorded(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """metadata.recq is present (the freshness test checks its hashes) and comes from the smoke profile."""
    record = notebook.metadata.get("recq")
    if not isinstance(record, dict):
        yield 0, "metadata.recq is missing; run `python -m recq_lib.companion.runner refresh`"
    elif record.get("profile") != "smoke":
        yield 0, f"committed copy was run with profile {record.get('profile')!r}, but its defaults must be 'smoke'"


def shows_profile(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """Every figure goes through `Book.show`, every HTML table through `Book.table`: both print profile and data source."""
    for index, cell in cells(notebook):
        outputs = cell.get("outputs", [])
        if any("image/png" in output_types(output) for output in outputs) and not _FIGURE.search(cell.source):
            yield index, "figure without book.show(…), so it does not say its profile"
        tables = any("<table" in "".join(output.get("data", {}).get("text/html", "")) for output in outputs)
        if tables and not _TABLE.search(cell.source):
            yield index, "table without book.table(…), so it does not say its profile"


def sliders(notebook: NotebookNode) -> Iterator[tuple[int, str]]:
    """Every slider stands next to a static figure of the same content: viewers without a kernel show no widget."""
    code = cells(notebook)
    for position, (index, cell) in enumerate(code):
        if not _SLIDER.search("\n".join(without_strings(cell.source))):
            continue
        near = [other for _, other in code[max(0, position - 1) : position + 2] if other is not cell]
        if not any("image/png" in output_types(output) for other in near for output in other.get("outputs", [])):
            yield index, "slider without a static figure in the code cell before or after it"
        if "nbval-check-output" in tags(cell):
            yield index, "a widget cell must not be tagged 'nbval-check-output'"
