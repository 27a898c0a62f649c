"""What the lint rules share: cells by kind and tag, code without strings, texts of outputs."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator

from nbformat import NotebookNode

from recq_lib.companion.notebook_tools.sources import tags

MACHINE_PATH = re.compile(r"(?<![\w.:/])/(?:home|Users|root|tmp|work|mnt|opt|usr|var|private)/\w|\b[A-Z]:\\\w")


def cells(notebook: NotebookNode, kind: str = "code") -> list[tuple[int, NotebookNode]]:
    return [(index, cell) for index, cell in enumerate(notebook.cells, start=1) if cell.cell_type == kind]


def tagged(notebook: NotebookNode, tag: str) -> list[int]:
    return [index for index, cell in enumerate(notebook.cells, start=1) if tag in tags(cell)]


def without_magic(source: str) -> str:
    """The source of a cell with its magic and shell lines blanked."""
    return "\n".join("" if re.match(r"\s*[%!]", line) else line for line in source.splitlines())


def python(source: str) -> ast.Module | None:
    """Syntax tree of a cell without its magic lines; None when it does not parse (ruff reports that)."""
    try:
        return ast.parse(without_magic(source))
    except SyntaxError:
        return None


def without_strings(source: str) -> list[str]:
    """Lines of code with comments and string contents blanked, so that text in them is not mistaken for code."""
    lines = [list(line) for line in source.splitlines()]
    text_tokens = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)}
    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(without_magic(source) + "\n").readline))
    except (tokenize.TokenError, SyntaxError):
        return source.splitlines()
    for token in tokens:
        if token.type in text_tokens:
            (first, start), (last, end) = token.start, token.end
            for row in range(first - 1, last):
                begin = start if row == first - 1 else 0
                stop = end if row == last - 1 else len(lines[row])
                lines[row][begin:stop] = " " * (stop - begin)
    return ["".join(line) for line in lines]


def output_types(output: NotebookNode) -> list[str]:
    return list(output.get("data", {}))


def output_text(output: NotebookNode) -> str:
    data = output.get("data", {})
    parts = [output.get("text", "")] + [data[kind] for kind in ("text/plain", "text/html") if kind in data]
    return "\n".join("".join(part) if isinstance(part, list) else str(part) for part in parts)


def plain_strings(source: str) -> Iterator[str]:
    tree = python(source)
    if tree is None:
        return
    inside = {id(part) for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in ast.walk(node)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in inside:
            yield node.value
