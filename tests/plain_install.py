"""`python tests/plain_install.py`, with the Python of an environment that holds recq and nothing else: does it work alone?

`./run_all.sh plain` makes that environment. Standard library only, because the tests' own packages must not be there.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata, resources
from pathlib import Path

HEAVY = {"torch", "numba", "numpy", "scipy", "pandas", "tyro"}
UNWANTED = re.compile(r"jupyter.*|ipy.*|nb(format|client|convert|val)|papermill|pytest.*|ruff|matplotlib|seaborn|infomap|torch.geometric")
TRAIN = ["train", "lightgcn", "--dataset", "synthetic-tiny", "--ks", "5", "--select-metric", "recall@5", "--epochs", "2"]


def problems() -> list[str]:
    """What is wrong, one line each."""
    import recq_lib

    found = [f"import recq_lib loads {name}" for name in sorted(HEAVY & set(sys.modules))]
    if not Path(recq_lib.__file__).is_relative_to(sys.prefix):
        found.append(f"recq_lib is taken from {recq_lib.__file__}, not from the environment {sys.prefix}")
    installed = {distribution.metadata["Name"].lower() for distribution in metadata.distributions()}
    found += [f"{name} is installed, but belongs to an extra" for name in sorted(installed) if UNWANTED.fullmatch(name)]
    files = resources.files("recq_lib")
    for name in ("py.typed", "companion/recq.mplstyle", "companion/published_tables/sources.csv"):
        if not files.joinpath(*name.split("/")).is_file():
            found.append(f"recq_lib/{name} is not installed")
    return found + _commands()


def _commands() -> list[str]:
    found = []
    with tempfile.TemporaryDirectory() as home:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("RECQ_", "XDG_", "PYTHON"))}
        environment = kept | {"HOME": home, "RECQ_OFFLINE": "1"}
        for arguments, expected in ((["--version"], "recq "), (["data", "list"], "terms: "), (TRAIN, "recall@5"), (TRAIN, "recall@5")):
            command = [str(Path(sys.executable).with_name("recq")), *arguments]
            done = subprocess.run(command, cwd=home, env=environment, capture_output=True, text=True, check=False)
            if done.returncode != 0 or expected not in done.stdout:
                found.append(f"recq {' '.join(arguments)} ends with {done.returncode}: {done.stdout}{done.stderr}")
        records = [path for path in Path(home).rglob("*.json") if "records" in path.parts]
        if len(records) != 1:
            found.append(f"one run leaves {len(records)} records in the user's folder")
    return found


if __name__ == "__main__":
    wrong = problems()
    print("\n".join(wrong) or "the library works alone")
    sys.exit(1 if wrong else 0)
