"""The script that runs the README's examples, on files of its own; `./run_all.sh plain` runs it on the README."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import readme_examples

GOOD = """# Title

```python
import os
values = [1, 2]
open("left.txt", "w").write("x")
```

Text, and what is no Python: ```python inline```

```
not python at all
```

1. A list.

    ```python
    if sum(values) == 3:
        print("sum", sum(values), os.path.exists("left.txt"))
    ```
"""


def test_blocks_and_their_lines():
    found = readme_examples.blocks(GOOD)
    assert [line for line, _ in found] == [3, 17]
    assert found[1][1] == 'if sum(values) == 3:\n    print("sum", sum(values), os.path.exists("left.txt"))\n'


def test_later_blocks_go_on_from_earlier_ones(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    Path("own.md").write_text(GOOD)
    assert readme_examples.run(Path("own.md")) == 0
    out = capsys.readouterr().out
    assert "sum 3 True" in out and "own.md:3: ok" in out and "own.md:17: ok" in out
    assert [path.name for path in tmp_path.iterdir()] == ["own.md"]  # what the examples write is gone
    assert Path.cwd() == tmp_path


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("# Title\n\nText\n", "no Python example"),
        ("```python\nx = 1\n```\n\n```python\n\nprint(x + y)\n```\n", "own.md:5: this example fails"),
        ("```python\nif True\n```\n", "own.md:1: this example fails"),
    ],
)
def test_status_one_when_a_block_fails_or_none_is_there(tmp_path, text, message):
    (tmp_path / "own.md").write_text(text)
    done = subprocess.run([sys.executable, readme_examples.__file__, tmp_path / "own.md"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and message in done.stderr
    if "y" in text and "x + y" in text:
        assert 'own.md", line 7' in done.stderr and "print(x + y)" in done.stderr  # the line of the file, not of the block
