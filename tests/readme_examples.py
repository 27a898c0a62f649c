"""`python tests/readme_examples.py [FILE.md]`: run the Python examples of the README one after the other, as a reader would.

Every block fenced by ```python is executed in order, in one namespace, so that a block may go on from the one before; files that they
write land in a temporary folder. Status 1 when a block fails or when there is none. Needs nothing but what the examples import.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
import time
import traceback
from pathlib import Path

_BLOCK = re.compile(r"^(?P<indent>[ ]*)```python[ ]*\n(?P<code>.*?)^(?P=indent)```[ ]*$", flags=re.MULTILINE | re.DOTALL)


def blocks(text: str) -> list[tuple[int, str]]:
    """(line of the fence, counted from 1, code) of every Python block; an indented block loses its indentation."""
    return [
        (text.count("\n", 0, found.start()) + 1, re.sub(f"^{found['indent']}", "", found["code"], flags=re.MULTILINE))
        for found in _BLOCK.finditer(text)
    ]


def run(path: Path) -> int:
    """Execute the blocks of `path`; the exit status."""
    path = path.resolve()
    found, namespace = blocks(path.read_text(encoding="utf-8")), {"__name__": "__main__"}
    if not found:
        print(f"{path.name}: no Python example; a block starts with ```python", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        before = Path.cwd()
        os.chdir(folder)
        try:
            for line, code in found:
                started = time.perf_counter()
                exec(compile("\n" * line + code, str(path), "exec"), namespace)  # so that a traceback names the line of the file
                print(f"{path.name}:{line}: ok, {time.perf_counter() - started:.1f} s", flush=True)
        except Exception:
            traceback.print_exc()
            print(f"{path.name}:{line}: this example fails", file=sys.stderr)
            return 1
        finally:
            os.chdir(before)
    return 0


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).resolve().parents[1] / "README.md"))
