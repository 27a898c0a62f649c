"""The attack itself: a short one finds nothing, and each part notices what it is there to notice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from recq_lib.companion.selftest import corruptions, crowd
from recq_lib.companion.selftest.corruptions import DAMAGES, attack
from recq_lib.companion.selftest.formats import FORMATS, Format
from recq_lib.errors import RecordError

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs a system that can fork")


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMATS, ids=lambda form: form.name)
def test_damage_is_noticed_in_every_format(form):
    found = attack(form, 12 if "kernel" in form.name else 25)
    assert found["wrong"] == found["traceback"] == 0 and found["refused"] + found["same"] >= 12


def test_a_reader_that_checks_nothing_fails_the_attack():
    def make(folder: Path) -> Path:
        (folder / "number").write_text("1234567890" * 20)
        return folder / "number"

    def refuses(path: Path) -> str:
        text = path.read_text(encoding="latin-1")
        if len(text) != 200:
            raise RecordError("another length")
        return text

    assert attack(Format("believes all", make, lambda path: path.read_bytes()), 50)["wrong"] == 50
    assert attack(Format("falls over", make, lambda path: int(path.read_text())), 50)["traceback"] > 10
    found = attack(Format("counts", make, refuses), 50)
    assert found["refused"] > 10 and found["wrong"] > 10 and found["traceback"] == 0


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_damages_damage(damage):
    rng, content = random.Random(0), bytes(range(256)) * 4
    changed = [damage(content, rng) != content for _ in range(20)]
    assert sum(changed) > 10 and all(isinstance(damage(content, rng), bytes) for _ in range(5))


def test_no_entry_of_a_crowd_is_lost_and_one_that_is_shows(tmp_path):
    assert crowd.attack(3, 6) == {"figures published": 0, "notebooks remembered": 0}
    written = crowd._at_once(2, 3, lambda key: (tmp_path / "last").write_text(key))
    assert len(written) == 6 and (tmp_path / "last").read_text() in written


@pytest.mark.slow
def test_kills_and_a_full_disk_in_small():
    """One kill of each kind of run but studies, whose workers have a test of their own."""
    call = [sys.executable, "-c", _SMALL]
    done = subprocess.run(call, capture_output=True, text=True, timeout=600, cwd=Path(__file__).parents[3])
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["1", "0", "0", "0", "0", "0"] * 3 + ["1", "0", "0", "0"]


_SMALL = """
import os
os.environ.update(OMP_NUM_THREADS="1", NUMBA_NUM_THREADS="1", NUMBA_THREADING_LAYER="workqueue", RECQ_OFFLINE="1", RECQ_PROGRESS="0")
from recq_lib.companion.selftest import disk, kills
for name in ("training", "runs with a teacher", "forced repeats"):
    found = kills.attack(name, 1)
    print(found.kills, found.lost, found.different, found.untidy, found.noisy, found.orphans)
found = disk.short_files(1)
print(found.runs, found.lost, found.loud, found.different)
"""


def test_the_outcome_of_a_damaged_file_that_is_gone_is_a_refusal(tmp_path):
    form = Format("gone", lambda folder: folder, lambda path: None)
    assert corruptions._outcome(form, tmp_path, 1) == "refused"
