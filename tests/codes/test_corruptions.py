"""Files changed at random: refused with one line, or of the same content; with a checksum put right again, refused or harmless.

RECQ_CORRUPTIONS=2000 sets how many of each.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from index_samples import random_codes, small_index

from recq_lib.codes.codes import Codes
from recq_lib.codes.index import Index
from recq_lib.errors import RecordError, RecqError

COUNT = int(os.environ.get("RECQ_CORRUPTIONS", "200"))


def flipped(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for place in rng.integers(0, len(content), rng.integers(1, 4)):
        changed[place] ^= 1 << rng.integers(0, 8)
    return bytes(changed)


def cut(content: bytes, rng: np.random.Generator) -> bytes:
    begin = rng.integers(0, len(content))
    return content[:begin] + content[begin + rng.integers(1, 100) :] if rng.random() < 0.5 else content[:begin]


def inserted(content: bytes, rng: np.random.Generator) -> bytes:
    place = rng.integers(0, len(content) + 1)
    return content[:place] + rng.bytes(rng.integers(1, 100)) + content[place:]


def overwritten(content: bytes, rng: np.random.Generator) -> bytes:
    begin, length = rng.integers(0, len(content)), rng.integers(1, 100)
    piece = [rng.bytes(length), b"\0" * length, b"\xff" * length, content[:length]][rng.integers(0, 4)]
    return (content[:begin] + piece + content[begin + length :])[: len(content)]


def digit_changed(content: bytes, rng: np.random.Generator) -> bytes:
    """A digit of the header, so that sizes and places are wrong in a way that is still JSON."""
    begin = content.index(b"{")
    end = content.index(b"\n", begin)
    places = [place for place in range(begin, end) if content[place : place + 1].isdigit()]
    place = places[rng.integers(0, len(places))]
    return content[:place] + str(rng.integers(0, 10)).encode() + content[place + 1 :]


CHANGES = [flipped, cut, inserted, overwritten, digit_changed]


def corruptions(content: bytes, seed: int) -> Iterator[bytes]:
    rng = np.random.default_rng(seed)
    for number in range(COUNT):
        yield CHANGES[number % len(CHANGES)](content, rng)


def mended(content: bytes) -> bytes:
    """`content` with the checksum that its lines behind the second have."""
    lines = content.split(b"\n", 2)
    return content if len(lines) < 3 else b"\n".join([lines[0], hashlib.sha256(lines[2]).hexdigest().encode(), lines[2]])


def answers_of_index(index: Index) -> list:
    names = index.user_ids, index.item_ids
    found = [index.search(range(index.n_users), 5), index.recommend([], 3)]
    if index.seen is not None:
        found.append(index.search([0], index.n_items, index.interactions()))
    try:
        found.append(index.recommend([0 if names[0] is None else names[0][0]], 100))
    except RecqError:  # an order of text that does not rise: unknown, never another user
        pass
    return [repr(index), *(None if ids is None else ids.tolist() for ids in names), *_plain(found)]


def answers_of_codes(codes: Codes) -> list:
    return [repr(codes), codes.values().tolist(), *_plain([codes.search(range(codes.n_users), 5)])]


def _plain(found: list) -> list:
    return [[[row.tolist() for row in part] for part in answer] for answer in found]


KINDS: dict[str, tuple[Callable, Callable, Callable]] = {
    "index of text": (small_index, Index.load, answers_of_index),
    "index of numbers": (lambda: small_index(False, bits=4), Index.load, answers_of_index),
    "codes": (lambda: random_codes(2, n_nodes=30, n_users=10), Codes.load, answers_of_codes),
}


@pytest.mark.parametrize("kind", KINDS)
def test_random_changes_are_refused_or_change_nothing(kind, tmp_path):
    make, load, answers = KINDS[kind]
    path = make().save(tmp_path / "some.file")
    good = path.read_bytes()
    expected, refused = answers(load(path)), 0
    for content in corruptions(good, seed=1):
        path.unlink()  # never in its place: what was loaded before may still be mapped
        path.write_bytes(content)
        try:
            loaded = load(path)
        except RecordError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            refused += 1
        else:
            assert answers(loaded) == expected
    assert refused > 0.9 * COUNT


@pytest.mark.parametrize("kind", KINDS)
def test_changes_under_a_right_checksum_are_refused_or_harmless(kind, tmp_path):
    """The checksum does not help here. Answers may be others, but they are answers, and nothing but our own errors is raised."""
    make, load, answers = KINDS[kind]
    path = make().save(tmp_path / "some.file")
    good, refused = path.read_bytes(), 0
    for content in map(mended, corruptions(good, seed=2)):
        path.unlink()
        path.write_bytes(content)
        try:
            loaded = load(path)
        except RecordError as error:
            assert "\n" not in str(error) and str(path) in str(error)
            refused += 1
        else:
            with contextlib.suppress(RecqError):  # such as scores that can exceed float32
                assert len(answers(loaded)) >= 2
    assert 0 < refused < COUNT
