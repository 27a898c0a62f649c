"""Every set of instructions gives the same bits: processes that compile for one each, against numpy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import llvmlite.binding as llvm
import numba
import numpy as np
import pytest
from code_oracle import float32_scores, laid, naive_best, random_side

from recq_lib.kernels import instructions
from recq_lib.kernels.instructions import Instructions, features_in_use, instructions_of

ROOT = Path(__file__).resolve().parents[2]
AVX2 = "+sse3,+ssse3,+sse4.1,+sse4.2,+popcnt,+avx,+avx2,+bmi,+bmi2,+fma"
AVX512 = AVX2 + ",+avx512f,+avx512bw,+avx512cd,+avx512dq,+avx512vl,+avx512vpopcntdq"
HOST = {name for name, has in llvm.get_host_cpu_features().items() if has}
SETS = {  # name of the CPU and its features, as numba is told, and what is chosen for them
    "portable": ("generic", "", Instructions(8, 4, False, "")),
    "AVX2": ("haswell", AVX2, Instructions(8, 4, False, "maddubs")),
    "AVX-512 without products of bytes": ("skylake-avx512", AVX512, Instructions(16, 4, True, "")),
    "this machine's": (None, None, instructions_of(HOST)),
}
# 1,100 columns are more words than are counted in bytes at once; of 70 the last word is nearly empty
WIDTHS = [(bits, dim) for bits in range(1, 9) for dim in (70, 1100)]
USERS, ITEMS, KS = 3, 150, (150, 10)  # a list of all items holds all scores

PROGRAM = """
import sys
import numpy as np
from recq_lib.kernels import code_topk, topk
from recq_lib.kernels.instructions import CHOSEN
given, found = np.load(sys.argv[1]), {}
users, items, n, ks = *given["sizes"].tolist(), given["ks"].tolist()
start, nothing = np.zeros(users + 1, np.int64), np.empty(0, np.int32)
for case in range(n):
    uw, uf, iw, f, form = (given[f"{case} {name}"] for name in ("user words", "user factors", "item words", "item factors", "form"))
    for k in ks:  # the loop that code_topk runs in every thread: it alone is compiled, for compiling takes seconds
        heap = topk.heaps(users, k, items)
        code_topk._push(uw, uf, 0, users, iw, f, 0, len(iw), *form.tolist(), items, 2, 0, start, nothing, *heap)
        found |= {f"{case} {k} scores": heap[0], f"{case} {k} places": heap[1]}
for k in ks:
    heap = topk.heaps(users, k, items)
    for row, best, place in zip(given["rows"], *heap):
        assert not topk._offer_row(row, 0, nothing, np.arange(items, dtype=np.int32), best, place, 2, np.float32(-np.inf))
    found |= {f"rows {k} scores": heap[0], f"rows {k} places": heap[1]}
for bad in (np.nan, np.inf, -np.inf):
    row, heap = given["rows"][0].copy(), topk.heaps(1, 1, items)
    row[77] = bad
    assert topk._offer_row(row, 0, nothing, np.arange(items, dtype=np.int32), heap[0][0], heap[1][0], 2, np.float32(-np.inf))
np.savez(sys.argv[2], **found)
print(CHOSEN)
"""


@pytest.fixture(scope="module")
def codes():
    rng = np.random.default_rng(0)
    return [(random_side(rng, 2, USERS, dim, bits), random_side(rng, 2, ITEMS, dim, bits)) for bits, dim in WIDTHS]


@pytest.fixture(scope="module")
def given(codes, tmp_path_factory):
    """A file with codes in the kernel's form, and rows of scores."""
    arrays = {"sizes": np.array([USERS, ITEMS, len(codes)]), "ks": np.array(KS)}
    arrays["rows"] = np.random.default_rng(1).integers(-4, 5, (USERS, ITEMS)).astype(np.float32)  # with ties
    for case, sides in enumerate(codes):
        users, items = laid(*sides)
        form = np.array([items.form.bits, items.form.kind, items.form.largest])
        named = {"user words": users.words, "user factors": users.factors, "item words": items.words, "item factors": items.factors}
        arrays |= {f"{case} {name}": part for name, part in (named | {"form": form}).items()}
    path = tmp_path_factory.mktemp("instructions") / "given.npz"
    np.savez(path, **arrays)
    return path


def answers_of(which: str, given: Path, folder: Path):
    """Heaps by name, of a process that compiles for these instructions; skips the test where this machine lacks them."""
    name, features, chosen = SETS[which]
    missing = {word[1:] for word in (features or "").split(",") if word} - HOST
    if missing:
        pytest.skip(f"this machine lacks {', '.join(sorted(missing))}")
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    environment = {key: value for key, value in environment.items() if not key.startswith("NUMBA_CPU")}
    if name is not None:
        environment |= {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": features}
    command = [sys.executable, "-c", PROGRAM, str(given), str(folder / "found.npz")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(chosen)
    return np.load(folder / "found.npz")


def sorted_lists(found, name: str) -> tuple[np.ndarray, np.ndarray]:
    """(items, scores) of heaps: best first, of equal ones the lower place first."""
    scores, places = found[f"{name} scores"], found[f"{name} places"]
    turned = np.lexsort((places, -scores), axis=1)
    return np.take_along_axis(places, turned, axis=1), np.take_along_axis(scores, turned, axis=1)


@pytest.mark.slow
@pytest.mark.parametrize("which", SETS)
def test_scores_and_lists_are_numpys_to_the_bit(which, codes, given, tmp_path):
    found, order = answers_of(which, given, tmp_path), np.arange(ITEMS)
    scores = {str(case): float32_scores(*sides) for case, sides in enumerate(codes)} | {"rows": np.load(given)["rows"]}
    assert len(found.files) == 2 * len(KS) * len(scores)
    for name, values in scores.items():
        for k in KS:
            for got, wanted in zip(sorted_lists(found, f"{name} {k}"), naive_best(values, k, order), strict=True):
                np.testing.assert_array_equal(got, wanted, err_msg=f"{which}, {name}, lists of {k}")


class TestChoice:
    @pytest.mark.parametrize(
        "features, chosen",
        [
            (set(), (8, 4, False, "")),
            ({"neon", "dotprod"}, (8, 4, False, "")),
            ({"sse4.2", "popcnt", "avx"}, (8, 4, False, "")),
            ({"avx2", "popcnt"}, (8, 4, False, "maddubs")),
            ({"avx2", "avxvnni"}, (8, 4, False, "maddubs")),
            ({"avx2", "avx512f", "avx512bw"}, (8, 4, False, "maddubs")),  # no counts of words
            ({"avx2", "avx512f", "avx512vpopcntdq"}, (8, 4, False, "maddubs")),
            ({"avx2", "avx512f", "avx512bw", "avx512vpopcntdq"}, (16, 4, True, "")),
            ({"avx2", "avx512f", "avx512bw", "avx512vpopcntdq", "avx512vnni"}, (16, 4, True, "vnni")),
        ],
    )
    def test_the_best_that_there_is(self, features, chosen):
        got = instructions_of(features)
        assert got == Instructions(*chosen) and got.wide == (chosen[0] == 16)
        assert 64 % (got.lanes * got.vectors) == 0  # a group is gone through in whole passes

    def test_features_are_those_that_numba_compiles_for(self, monkeypatch):
        for told, features in (("", set()), ("+avx2", {"avx2"}), ("+avx2,-avx512f,+popcnt", {"avx2", "popcnt"})):
            monkeypatch.setattr(numba.config, "CPU_FEATURES", told)
            assert features_in_use() == features
        monkeypatch.setattr(numba.config, "CPU_FEATURES", None)
        assert features_in_use() <= HOST
        monkeypatch.setattr(numba.config, "ENABLE_AVX", 0)
        assert not any(name.startswith("avx") for name in features_in_use())

    def test_what_is_in_use_is_what_was_chosen(self):
        assert instructions.CHOSEN == instructions_of(features_in_use())
        assert instructions.PASSES * instructions.LANES * instructions.VECTORS == instructions.GROUP == 64
