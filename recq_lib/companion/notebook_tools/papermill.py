"""Papermill in a process that ends with the one that started it, and takes its kernel along (ours).

`python -m recq_lib.companion.notebook_tools.papermill …` is `python -m papermill …`, and reads its standard input: a pipe that closes when
the runner ends, however it ends. A runner that was killed cannot stop its notebooks itself.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time

_PATIENCE = 10.0  # seconds to shut the kernel down; one that is left notices by itself that it has lost its parent


def end_with_input() -> None:
    """Terminate this process when its standard input closes."""

    def watch() -> None:
        while os.read(0, 1):
            pass
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(_PATIENCE)
        os._exit(128 + signal.SIGTERM)

    threading.Thread(target=watch, daemon=True).start()


def main() -> None:
    """Papermill's own command line."""
    from papermill.__main__ import papermill

    papermill(sys.argv[1:], prog_name="papermill")


if __name__ == "__main__":
    end_with_input()
    main()
