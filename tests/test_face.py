"""The face: some fifteen names, each with examples that run, and nothing else."""

from __future__ import annotations

import doctest
import importlib
import inspect
import subprocess
import sys
import typing
from pathlib import Path

import pytest

import recq_lib as recq


def test_the_face_is_sixteen_names_and_nothing_else():
    assert len(recq.__all__) == 16 and dir(recq) == sorted([*recq.__all__, "__version__"])
    assert all(getattr(recq, name).__name__ == name for name in recq.__all__)


def test_star_import_brings_the_face():
    names: dict[str, object] = {}
    exec("from recq_lib import *", names)
    assert set(names) - {"__builtins__"} == set(recq.__all__)


def test_an_unknown_name_says_what_there_is():
    with pytest.raises(AttributeError, match="no attribute 'Reccomender'; it offers Codes, .* share"):
        _ = recq.Reccomender


def examples_of(thing) -> list[doctest.DocTest]:
    finder = doctest.DocTestFinder(exclude_empty=True)
    return [test for test in finder.find(thing, module=importlib.import_module(thing.__module__)) if test.examples]


@pytest.mark.parametrize("name", recq.__all__)
def test_every_name_has_examples_that_run(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tests = examples_of(getattr(recq, name))
    assert sum(len(test.examples) for test in tests) >= 2, f"recq.{name} needs two or more examples"
    runner = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS)
    for test in tests:
        output: list[str] = []
        runner.run(test, out=output.append)
        assert runner.failures == 0, "".join(output)


def functions_of(thing):
    """The thing itself, or a class's own public methods."""
    if not inspect.isclass(thing):
        return [thing]
    members = (member.__func__ if isinstance(member, classmethod | staticmethod) else member for member in vars(thing).values())
    functions = [member for member in members if inspect.isfunction(member)]
    return [each for each in functions if not each.__name__.startswith("_") or each.__name__ == "__init__"]


@pytest.mark.parametrize("name", [name for name in recq.__all__ if name != "RecqError"])
def test_types_on_everything(name):
    for function in functions_of(getattr(recq, name)):
        parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("self", "cls")]
        missing = [p.name for p in parameters if p.annotation is p.empty]
        assert not missing, f"{name}: {function.__qualname__} has no type for {', '.join(missing)}"
        assert inspect.signature(function).return_annotation is not inspect.Signature.empty, f"{function.__qualname__} has no return type"


def test_the_package_is_marked_as_typed():
    assert (Path(recq.__file__).parent / "py.typed").is_file() and typing.TYPE_CHECKING is False


def test_library_names_load_no_companion():
    code = "import sys; from recq_lib import *; print([name for name in sys.modules if 'companion' in name])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == "[]"
