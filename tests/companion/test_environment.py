"""pyproject.toml, constraints.txt and environment.yml name the same packages, and every pin lies in its range."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from recq_lib.companion import environment
from recq_lib.io import paths

ROOT = paths.project_root()


def declared() -> dict[str, Requirement]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = [*project["dependencies"], *project["optional-dependencies"]["search"]]
    return {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}


def pins() -> tuple[dict[str, Version], dict[str, Version]]:
    """Pins of the named packages, and pins of what those require."""
    named, _, indirect = (ROOT / "constraints.txt").read_text().partition("# ---- required by the packages above")
    answer = []
    for text in (named, indirect):
        lines = [line for line in text.splitlines() if re.match(r"\w", line)]
        assert all(re.fullmatch(r"[\w.\-]+==[\w.]+", line) for line in lines), "a pin is name==version, without URL, hash or +cpu"
        answer.append({canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)})
    return answer[0], answer[1]


def conda_lines() -> list[str]:
    """Lines of environment.yml that name a package, with their comments."""
    text = (ROOT / "environment.yml").read_text().partition("\ndependencies:\n")[2]
    return [line.strip()[2:] for line in text.splitlines() if re.match(r"\s+- \w", line) and line.strip() != "- pip:"]


def conda() -> dict[str, Requirement]:
    found = (Requirement(line.partition("#")[0].strip()) for line in conda_lines())
    return {canonicalize_name(item.name): item for item in found}


def test_all_three_name_the_same_packages() -> None:
    names = set(declared())
    assert set(pins()[0]) == names
    assert set(conda()) - {"python", "pip"} == names


def test_environment_file_has_the_ranges_of_pyproject() -> None:
    ours = conda()
    assert {name: ours[name].specifier for name in declared()} == {name: item.specifier for name, item in declared().items()}


def test_python_range_agrees() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert str(conda()["python"].specifier) == project["requires-python"]


def test_every_pin_lies_in_its_range() -> None:
    named, indirect = pins()
    outside = [name for name, item in declared().items() if not item.specifier.contains(named[name])]
    assert outside == []
    assert not set(named) & set(indirect)


def test_every_dependency_says_what_uses_it() -> None:
    silent = [line for line in conda_lines() if line.split(">")[0] not in ("python", "pip") and not re.search(r"# \w{3,}", line)]
    assert silent == []


def test_torch_is_pinned_to_the_release_that_is_tested() -> None:
    assert str(pins()[0]["torch"]) == "2.13.0"
    assert "2.14.0" not in declared()["torch"].specifier


def test_this_environment_is_usable() -> None:
    assert environment.problems() == []


def test_missing_and_wrong_versions_are_named() -> None:
    found = environment.problems(["numpy<1", "no-such-package>=2", "numpy>=1"])
    assert len(found) == 2
    assert re.fullmatch(r"numpy is [\d.]+, but must be <1", found[0])
    assert found[1] == "no-such-package is not installed (needs >=2)"


def test_versions_are_those_installed() -> None:
    import numpy

    answer = environment.versions(("numpy", "no-such-package"))
    assert answer["numpy"] == numpy.__version__ and answer["no-such-package"] == "not installed"


def test_package_data_is_declared() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    patterns = tool["setuptools"]["package-data"]["recq_lib"]
    library = ROOT / "recq_lib"
    covered = {path for pattern in patterns for path in library.glob(pattern)}
    wanted = {path for suffix in ("*.mplstyle", "*.csv") for path in library.rglob(suffix)}
    assert wanted and wanted <= covered


@pytest.mark.parametrize("name", ["run_all.sh", ".ci/run"])
def test_scripts_are_strict_and_executable(name: str) -> None:
    path = Path(ROOT / name)
    assert path.stat().st_mode & 0o111
    assert "set -euo pipefail" in path.read_text()
