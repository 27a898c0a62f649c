"""The nbval gate: are the tagged facts still printed word for word?"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from recq_lib.companion.notebook_tools.execute import environment, private_folders
from recq_lib.io import paths

CELL_SECONDS = 120


def check_facts(notebooks: list[Path], jobs: int) -> int:
    """Run pytest with nbval over the committed copies, as they were made: synthetic data, nothing written into the project.

    jobs : notebooks at a time. Returns pytest's exit status.
    """
    command = [sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", str(CELL_SECONDS)]
    command += ["--nbval-sanitize-with", str(paths.project_root() / "tests" / "nbval_sanitize.cfg")]
    command += ["-n", str(jobs), "--dist", "loadscope"] if jobs > 1 else []  # nbval needs one worker per notebook
    with private_folders() as (_, variables):
        done = subprocess.run([*command, *map(str, notebooks)], env=environment(**variables), cwd=paths.project_root(), check=False)
    return done.returncode
