"""Files damaged in every way that disks and transfers know: each reader must refuse, give the right value, or make it anew."""

from __future__ import annotations

import random
import tempfile
import warnings
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from recq_lib.companion.selftest.children import folders_below
from recq_lib.companion.selftest.formats import Format
from recq_lib.errors import RecqError

Damage = Callable[[bytes, random.Random], bytes]


def attack(form: Format, trials: int, seed: int = 0) -> Counter[str]:
    """How `trials` damaged files of one format end: "refused", "same", "wrong" or "traceback"."""
    rng, found = random.Random(f"{form.name} {seed}"), Counter(refused=0, same=0, wrong=0, traceback=0)
    with tempfile.TemporaryDirectory(prefix="recq-selftest-") as place, folders_below(Path(place)), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        path = form.make(Path(place))
        whole = path.read_bytes()
        value = form.read(path)
        for _ in range(trials):
            damaged = whole
            while damaged == whole:
                damaged = rng.choice(DAMAGES)(whole, rng)
            path.write_bytes(damaged)
            found[_outcome(form, path, value)] += 1
            path.write_bytes(whole)
            for aside in path.parent.glob("*.damaged"):
                aside.unlink()
    return found


def _outcome(form: Format, path: Path, value: Any) -> str:
    try:
        got = form.read(path)
    except RecqError:
        return "refused"
    except Exception:
        return "traceback"
    if got is None:
        return "refused"
    return "same" if got == value else "wrong"


def _flip(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([content[at] ^ (1 << rng.randrange(8))]) + content[at + 1 :]


def _byte(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + bytes([rng.randrange(256)]) + content[at + 1 :]


def _digit(content: bytes, rng: random.Random) -> bytes:
    """A digit for another: what a text file takes without a word."""
    places = [at for at, byte in enumerate(content) if byte in b"0123456789"]
    if not places:
        return _byte(content, rng)
    at = rng.choice(places)
    return content[:at] + rng.choice(b"0123456789".decode()).encode() + content[at + 1 :]


def _cut(content: bytes, rng: random.Random) -> bytes:
    return content[: rng.randrange(len(content))]


def _blank(content: bytes, rng: random.Random) -> bytes:
    """A block of zeros, as an unwritten sector."""
    at, size = rng.randrange(len(content)), rng.choice((1, 16, 512, 4096))
    end = min(at + size, len(content))
    return content[:at] + bytes(end - at) + content[end:]


def _lost(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    return content[:at] + content[at + rng.randint(1, 64) :]


def _added(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content) + 1)
    return content[:at] + rng.randbytes(rng.randint(1, 64)) + content[at:]


def _twice(content: bytes, rng: random.Random) -> bytes:
    at = rng.randrange(len(content))
    end = min(len(content), at + rng.randint(1, 256))
    return content[:end] + content[at:end] + content[end:]


DAMAGES: tuple[Damage, ...] = (_flip, _flip, _byte, _digit, _cut, _blank, _lost, _added, _twice)
