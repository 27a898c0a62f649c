"""Does this Python hold what the project needs? `python -m recq_lib.companion.environment` answers, with the standard library alone.

`run_all.sh` asks this of an active environment before it builds one of its own, so importing this file must not need any
package that may be missing.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

EXTRAS = ("notebooks", "baselines", "dev")  # what `run_all.sh` needs beside the library
MAIN_PACKAGES = ("torch", "torch-geometric", "numpy", "scipy", "pandas", "numba", "matplotlib")


def requirements(pyproject: Path | None = None, extras: tuple[str, ...] = ()) -> list[str]:
    """Requirement lines of `pyproject.toml` (the checkout's by default), with those of the named extras, each line once.

    An extra may take in others of the project: "recq[baselines]" stands for their lines.
    """
    path = pyproject if pyproject is not None else Path(__file__).resolve().parents[2] / "pyproject.toml"
    project = tomllib.loads(path.read_text(encoding="utf-8"))["project"]
    own = re.compile(rf"{re.escape(project['name'])}\[([\w, -]+)\]")
    lines, waiting = list(project["dependencies"]), list(extras)
    while waiting:
        for line in project["optional-dependencies"][waiting.pop(0)]:
            found = own.fullmatch(line)
            if found:
                waiting += [extra.strip() for extra in found[1].split(",")]
            else:
                lines.append(line)
    return list(dict.fromkeys(lines))


def problems(lines: list[str] | None = None) -> list[str]:
    """What is missing or out of range in the running Python, one line per package; empty when it is usable."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return ["packaging is not installed"]
    found = []
    for line in requirements(extras=EXTRAS) if lines is None else lines:
        need = Requirement(line)
        try:
            version = metadata.version(need.name)
        except metadata.PackageNotFoundError:
            found.append(f"{need.name} is not installed (needs {need.specifier})")
            continue
        if not need.specifier.contains(version, prereleases=True):
            found.append(f"{need.name} is {version}, but must be {need.specifier}")
    return found


def versions(packages: tuple[str, ...] = MAIN_PACKAGES) -> dict[str, str]:
    """Installed version of Python and of each package; "not installed" where there is none."""
    from recq_lib.runs.provenance import package_versions  # here: it needs packages that may be missing

    return package_versions(packages, missing="not installed")


def main() -> int:
    """Print what is wrong, if anything; exit status 0 when the environment is usable."""
    found = problems()
    for line in found:
        print(line)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
