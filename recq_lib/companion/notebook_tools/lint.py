"""Rules for committed notebooks that ruff cannot express. Each rule is one function; each is shown to fire in the tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from nbformat import NotebookNode

from recq_lib.companion.notebook_tools import lint_output, lint_source

Rule = Callable[[NotebookNode], Iterator[tuple[int, str]]]

RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        lint_source.one_title,
        lint_source.one_each,
        lint_source.kernel,
        lint_source.literal_parameters,
        lint_source.counts,
        lint_source.short_cells,
        lint_source.no_shell_or_magic,
        lint_source.no_semicolon,
        lint_source.no_paths,
        lint_output.no_leftovers,
        lint_output.clean_outputs,
        lint_output.sizes,
        lint_output.facts,
        lint_output.recorded,
        lint_output.shows_profile,
        lint_source.exercises,
        lint_output.sliders,
    )
}


@dataclass(frozen=True)
class Problem:
    """One broken rule: its name, the cell (1-based; 0 for the whole notebook) and what is wrong."""

    rule: str
    cell: int
    message: str

    def __str__(self) -> str:
        where = f"cell {self.cell}" if self.cell else "notebook"
        return f"{where}: {self.message} [{self.rule}]"


def lint(notebook: NotebookNode) -> list[Problem]:
    """All problems of one notebook, in the order of the rules; empty when it keeps them all."""
    return [Problem(name, cell, message) for name, rule in RULES.items() for cell, message in rule(notebook)]
