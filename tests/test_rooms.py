"""The rooms of the library: what each may import, that no modules form a circle, and that each says what it is for."""

from __future__ import annotations

import ast
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
LIBRARY = ROOT / "recq_lib"
ROOMS = sorted(path.parent.relative_to(LIBRARY).as_posix() for path in LIBRARY.rglob("__init__.py") if path.parent != LIBRARY)


def test_contracts_are_kept():
    """`lint-imports`: rooms import only what lies below them, the library never the companion, no circles."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()", "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_every_room_is_in_the_contract():
    """The contract is exhaustive, so a new room without a floor breaks it; here: it names no room that is gone."""
    contract = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"][0]
    there = {path.stem for path in LIBRARY.iterdir() if path.suffix == ".py" or (path / "__init__.py").is_file()}
    assert contract["exhaustive"] and set(contract["layers"]) == there - {"__init__", "__main__"}


def test_about_fifteen_rooms_at_the_root():
    assert len([path for path in LIBRARY.iterdir() if path.is_dir() and path.name != "__pycache__"]) <= 15


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_lives_there(room):
    text = ast.get_docstring(ast.parse((LIBRARY / room / "__init__.py").read_text()))
    assert text and len(text) > 30, f"recq_lib/{room}/__init__.py needs a few lines on what lives there"
    if "/" not in room and room != "companion":
        assert "import" in text.lower(), f"recq_lib/{room}/__init__.py must say what it may import"


# packages that may be missing, or that cost more than the function that needs them
OPTIONAL = {
    "faiss", "infomap", "pymetis", "sknetwork", "sklearn", "torch_geometric", "tqdm", "IPython", "matplotlib_inline", "ipywidgets",
    "resource", "fcntl", "torch", "numba", "threadpoolctl", "pooch", "requests",
}  # fmt: skip


# commands, and the companion's among them, load what they need when they are called
FILES = [path for path in sorted(LIBRARY.rglob("*.py")) if path.relative_to(LIBRARY).parts[0] not in ("companion", "cli")]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(LIBRARY).as_posix())
def test_imports_inside_functions_are_of_heavy_or_optional_packages(path):
    relative = path.relative_to(LIBRARY)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    inside = [
        node
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]
    names = {(node.module or "").split(".")[0] if isinstance(node, ast.ImportFrom) else node.names[0].name.split(".")[0] for node in inside}
    assert names <= OPTIONAL, f"{relative}: import {', '.join(sorted(names - OPTIONAL))} at the top of the file"


def test_importing_the_library_is_light():
    code = "import sys, recq_lib; print(sorted({'torch', 'numba', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
