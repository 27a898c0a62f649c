"""What search needs besides time: bytes in memory and on disk, memory to evaluate, seconds to load a file and to answer first.

Everything runs in fresh processes, so that neither earlier work nor loaded packages count.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from recq_lib.companion.bench.search_contenders import K, World
from recq_lib.companion.bench.timing import Timing
from recq_lib.data.interactions import Interactions

_WIDTH = 256  # float32 numbers of the one vector a node that files are compared with
MANY_ITEMS, MEMORY_ITEMS, MEMORY_USERS = 1_000_000, 500_000, 10_000

_FIRST_ANSWER = """
import sys, time
from recq_lib.codes.index import Index
started = time.perf_counter()
index = Index.load(sys.argv[1])
loaded = time.perf_counter()
items, _ = index.search([0], 20)
assert len(items[0]) == 20 and "torch" not in sys.modules
print(loaded - started)
"""

_MEMORY = """
import json, sys, tracemalloc
import numpy as np, scipy.sparse as sp
from recq_lib.companion.bench.search_contenders import World
from recq_lib.companion.bench.search_size import forget_peak, now_mb
from recq_lib.data.interactions import Interactions
from recq_lib.evaluation.ranking import evaluate
from recq_lib.runs import provenance

def data(n_users, n_items):
    rng = np.random.default_rng(0)
    pairs = np.unique(np.arange(n_users).repeat(30) * n_items + rng.integers(0, n_items, 30 * n_users))
    taken = rng.random(pairs.size) < 0.2
    parts = [sp.csr_matrix((np.ones(p.size, np.float32), divmod(p, n_items)), (n_users, n_items)) for p in (pairs[~taken], pairs[taken])]
    return Interactions("random", parts[0], sp.csr_matrix(parts[0].shape, dtype=np.float32), parts[1], source="synthetic")

def run(n_users, n_items):
    codes, inter = World(n_users, n_items).codes, data(n_users, n_items)
    forget_peak()
    before = now_mb()
    result = evaluate(codes, inter, ks=(20,))
    resident = provenance.peak_memory_mb() - before
    lists = result.top.nbytes + result.hits.nbytes + result.users.nbytes + result.n_relevant.nbytes
    tracemalloc.start()  # numpy tells it of its arrays, also of those that take memory which was freed before
    evaluate(codes, inter, ks=(20,))
    traced = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return {"codes_mb": codes.n_bytes() / 2**20, "lists_mb": lists / 2**20, "more_mb": max(resident, traced)}

run(300, 20_000)  # compiles
print(json.dumps(run(int(sys.argv[1]), int(sys.argv[2]))))
"""


def size(data: Interactions, repeats: int, n_items: int = MANY_ITEMS) -> list[dict[str, Any]]:
    """Files of `data`'s size and of a million items; loading the latter, and from the start of a process to its first answer."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for items, users in ((data.n_items, data.n_users), (n_items, 1024)):
            world, path = World(users, items), Path(folder) / f"{items}.index"
            floats = 4 * _WIDTH * (users + items)
            for name, saved in (("codes file", world.codes.save(path.with_suffix(".codes"))), ("index file", world.index.save(path))):
                on_disk = saved.stat().st_size
                rows.append({"part": "search file", "contender": name, "items": items, "users": users, "bytes": on_disk,
                             "smaller": floats / on_disk, "megabytes": on_disk / 2**20})  # fmt: skip
        seconds = [_first_answer(path) for _ in range(repeats + 1)][1:]  # the first one warms the cache up
    for name, values in zip(("load an index", "start to first answer"), zip(*seconds), strict=True):
        rows.append({"part": "search start", "contender": name, "items": n_items, **vars(Timing.of(list(values))), "ratio": 1.0})
    return rows


def _first_answer(path: Path) -> tuple[float, float]:
    """(seconds to load, seconds of the whole process)."""
    done, seconds = _timed([sys.executable, "-W", "ignore", "-c", _FIRST_ANSWER, str(path)])
    return float(done), seconds


def _timed(command: list[str]) -> tuple[str, float]:
    start = time.perf_counter()
    out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return out, time.perf_counter() - start


def memory(data: Interactions, repeats: int, n_users: int = MEMORY_USERS, n_items: int = MEMORY_ITEMS) -> list[dict[str, Any]]:
    """Peak resident memory of `evaluate` with codes of 500 k items, as multiple of the codes and the lists that it returns."""
    command = [sys.executable, "-W", "ignore", "-c", _MEMORY, str(n_users), str(n_items)]
    found = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
    times = (found["codes_mb"] + found["more_mb"]) / (found["codes_mb"] + found["lists_mb"])
    row = {"part": "search memory", "contender": "recq evaluate", "items": n_items, "users": n_users}
    return [row | found | {"megabytes": found["codes_mb"] + found["more_mb"], "times": times, "k": K}]


def now_mb() -> float:
    """Resident memory of this process in MB (Linux; nan elsewhere)."""
    return _status("VmRSS")


def forget_peak() -> None:
    """Start the process's high-water mark of memory anew, where the system can (Linux)."""
    marks = Path("/proc/self/clear_refs")
    if marks.exists():
        marks.write_text("5")


def _status(name: str) -> float:
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith(f"{name}:")), float("nan"))
