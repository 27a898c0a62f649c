"""pyproject.toml, constraints.txt and environment.yml name the same packages, and every pin lies in its range."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from recq_lib.companion import environment
from recq_lib.io import paths

ROOT = paths.project_root()


PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def by_name(lines: list[str]) -> dict[str, Requirement]:
    """The packages that the lines name, without the project's own extras."""
    found = {canonicalize_name(Requirement(line).name): Requirement(line) for line in lines}
    return {name: item for name, item in found.items() if name != "recq"}


def declared() -> dict[str, Requirement]:
    """Every package of the base and of every extra."""
    return by_name([*PROJECT["dependencies"], *(line for lines in PROJECT["optional-dependencies"].values() for line in lines)])


def pins() -> tuple[dict[str, Version], dict[str, Version]]:
    """Pins of the named packages, and pins of what those require."""
    named, _, indirect = (ROOT / "constraints.txt").read_text().partition("# ---- required by the packages above")
    answer = []
    for text in (named, indirect):
        lines = [line for line in text.splitlines() if re.match(r"\w", line)]
        assert all(re.fullmatch(r"[\w.\-]+==[\w.]+", line) for line in lines), "a pin is name==version, without URL, hash or +cpu"
        answer.append({canonicalize_name(name): Version(version) for name, version in (line.split("==") for line in lines)})
    return answer[0], answer[1]


def package_lines(name: str) -> list[str]:
    """Lines of environment.yml or pyproject.toml that name a package, with their comments."""
    text = (ROOT / name).read_text()
    if name == "environment.yml":
        text = text.partition("\ndependencies:\n")[2]
        return [line.strip()[2:] for line in text.splitlines() if re.match(r"\s+- \w", line) and line.strip() != "- pip:"]
    text = text.partition("\n[project.scripts]\n")[0]
    return [line.strip() for line in text.splitlines() if re.match(r'    "[\w-]+(\[\w+\])?[=<>"]', line)]


def conda() -> dict[str, Requirement]:
    return by_name([line.partition("#")[0].strip() for line in package_lines("environment.yml")])


def test_every_package_has_a_pin() -> None:
    assert set(pins()[0]) == set(declared())


def test_environment_file_has_the_ranges_of_pyproject() -> None:
    ours = {name: item.specifier for name, item in conda().items() if name not in ("python", "pip")}
    assert ours == {name: declared()[name].specifier for name in ours} and "jupyterlab" in ours


def test_environment_file_and_run_all_install_the_project_with_every_extra() -> None:
    assert (ROOT / "environment.yml").read_text().endswith("  - pip:\n      - -e .[all]\n")
    assert '-e "$root[all]"' in (ROOT / "run_all.sh").read_text()
    names = by_name(environment.requirements(extras=("all",)))
    assert names == declared()


def test_plain_install_has_no_jupyter_no_tests_and_no_gpl() -> None:
    names = set(by_name(environment.requirements()))
    assert names == set(by_name(PROJECT["dependencies"])) and {"torch", "scikit-network", "tyro", "platformdirs", "safetensors"} <= names
    unwanted = {"infomap", "matplotlib", "seaborn", "torch-geometric", "papermill", "ruff"}
    assert not names & unwanted and not any(re.search("jupyter|^ipy|^nb(format|client|convert|val)|pytest", name) for name in names)


def test_extras_take_in_others() -> None:
    names = set(by_name(environment.requirements(extras=("notebooks",))))
    assert {"jupyterlab", "infomap", "torch"} <= names and "pytest" not in names and "faiss-cpu" not in names
    lines = environment.requirements(extras=environment.EXTRAS)
    assert len(lines) == len(set(lines)) and {"pytest", "jupyterlab", "infomap"} <= set(by_name(lines))


def test_python_range_agrees() -> None:
    assert str(conda()["python"].specifier) == PROJECT["requires-python"] == ">=3.11"
    minors = [int(text.rpartition(".")[2]) for text in PROJECT["classifiers"] if re.search(r":: 3\.\d+$", text)]
    assert minors == [11, 12, 13]


def test_every_pin_lies_in_its_range() -> None:
    named, indirect = pins()
    outside = [name for name, item in declared().items() if not item.specifier.contains(named[name])]
    assert outside == []
    assert not set(named) & set(indirect)


def test_every_dependency_says_what_uses_it() -> None:
    lines = package_lines("pyproject.toml") + package_lines("environment.yml")
    assert len(lines) > len(declared())  # those of environment.yml are named twice
    silent = [line for line in lines if line not in ("pip",) and not re.search(r"# .*\w{3,}", line)]
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


def test_question_needs_the_standard_library_alone() -> None:
    """As in an environment that holds nothing: what is missing is said, not a traceback."""
    code = "import sys; sys.path = [p for p in sys.path if 'site-packages' not in p]; from recq_lib.companion import environment as e"
    command = [sys.executable, "-c", f"{code}; sys.exit(e.main())"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (1, "packaging is not installed\n", "")


def test_versions_are_those_installed() -> None:
    import numpy

    answer = environment.versions(("numpy", "no-such-package"))
    assert answer["numpy"] == numpy.__version__ and answer["no-such-package"] == "not installed"


def test_package_data_is_declared() -> None:
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    patterns = tool["setuptools"]["package-data"]["recq_lib"]
    library = ROOT / "recq_lib"
    covered = {path for pattern in patterns for path in library.glob(pattern)}
    wanted = {path for path in library.rglob("*") if path.is_file() and path.suffix != ".py" and "__pycache__" not in path.parts}
    assert {path.suffix for path in wanted} == {".mplstyle", ".csv", ".typed"} and wanted <= covered


@pytest.mark.parametrize("name", ["run_all.sh", ".ci/run"])
def test_scripts_are_strict_and_executable(name: str) -> None:
    path = Path(ROOT / name)
    assert path.stat().st_mode & 0o111
    assert "set -euo pipefail" in path.read_text()
