"""A runner that is killed takes its notebooks with it, kernels included."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from nbformat.v4 import new_code_cell, new_notebook
from notebook_samples import write

from recq_lib.io import paths

_RUNNER = """
import sys
from pathlib import Path
from recq_lib.companion.notebook_tools import execute
source, folder = Path(sys.argv[1]), Path(sys.argv[2])
execute.execute(source, folder / "executed.ipynb", env=execute.environment(), cell_seconds=600, log=folder / "log.txt")
"""


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="looks processes up in /proc")
def test_a_killed_runner_leaves_no_kernel_running(tmp_path: Path) -> None:
    mark = tmp_path / "kernel"
    cell = f"import os, time, pathlib\npathlib.Path({str(mark)!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    notebook = new_notebook(cells=[new_code_cell(cell)], metadata={"kernelspec": kernelspec})
    source = write(notebook, tmp_path / "01_endless.ipynb")
    runner = subprocess.Popen([sys.executable, "-c", _RUNNER, str(source), str(tmp_path)], cwd=paths.project_root())
    assert wait_for(lambda: mark.exists() and mark.read_text(), 120)
    kernel = int(mark.read_text())
    assert lives(kernel)
    runner.send_signal(signal.SIGKILL)
    runner.wait()
    assert wait_for(lambda: not lives(kernel), 30)


def lives(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def wait_for(condition, seconds: float) -> bool:
    until = time.monotonic() + seconds * (4 if os.getloadavg()[0] > 4 else 1)
    while not condition() and time.monotonic() < until:
        time.sleep(0.1)
    return bool(condition())
