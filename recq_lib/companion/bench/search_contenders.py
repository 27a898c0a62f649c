"""Who answers "the best 20 items" in the search benchmark: our codes, and what a practitioner would take instead.

All get numbers of users [B]; laying out a user's code or taking its vector is part of the answer. FAISS, torch and usearch return items and
scores or distances, ours the same with the stated order of ties. Vectors are random: times do not depend on them.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numba
import numpy as np
import torch

from recq_lib.codes.codes import Codes
from recq_lib.codes.exchange import binary_rows, to_faiss
from recq_lib.codes.index import Index
from recq_lib.codes.planes import levels_of, n_words
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import rank
from recq_lib.io.optional import optional
from recq_lib.kernels import code_scores

K = 20
_BLOCK = 20_000  # rows made at once
_TRAINED = 20_000  # items from which FAISS learns centroids
Answer = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Contender:
    """answer : numbers of users [B] → whatever it returns; n_bytes : what it keeps for the items."""

    answer: Answer
    n_bytes: int


@dataclass(frozen=True)
class World:
    """Random users and items: 1-bit codes of `n_segments` layers of `dim` columns with scales, their vectors, and plain vectors."""

    n_users: int
    n_items: int
    dim: int = 256
    n_segments: int = 3
    bits: int = 1
    seed: int = 0

    @cached_property
    def codes(self) -> Codes:
        """Random bits are random codes where no column is left over, so `dim` is a multiple of 64."""
        rng, shape = np.random.default_rng(self.seed), (self.n_segments, self.n_users + self.n_items)
        planes = np.frombuffer(rng.bytes(8 * shape[0] * shape[1] * self.bits * n_words(self.dim)), np.uint64)
        scales = rng.random(shape, np.float32) + np.float32(0.5)
        return Codes(planes.reshape(*shape, self.bits, -1), scales, np.ones(shape[0], np.float32), self.dim, self.n_users)

    @cached_property
    def index(self) -> Index:
        return Index.of(self.codes)

    @cached_property
    def wide(self) -> tuple[torch.Tensor, torch.Tensor]:
        """The vectors that the codes stand for, [n, n_segments · dim] of users and items."""
        codes = self.codes
        out = np.empty((codes.n_nodes, codes.n_segments * codes.dim), np.float32)
        for begin in range(0, codes.n_nodes, _BLOCK):
            rows = np.arange(begin, min(begin + _BLOCK, codes.n_nodes))
            z = levels_of(codes.planes[:, rows], codes.dim) * codes.factors(rows)[:, :, None]
            out[rows] = z.transpose(1, 0, 2).reshape(len(rows), -1)
        return torch.from_numpy(out[: self.n_users]), torch.from_numpy(out[self.n_users :])

    @cached_property
    def narrow(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Plain vectors [n, dim] of users and items, normally distributed."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.n_users, self.dim, generator=generator), torch.randn(self.n_items, self.dim, generator=generator)


# ---- threads --------------------------------------------------------------------------------------------------------------------


@contextmanager
def threads(n: int):
    """numba, torch, FAISS and BLAS with `n` threads each, or as many as numba was started with; gives the number; restored afterwards."""
    n, before = min(n, numba.config.NUMBA_NUM_THREADS), (numba.get_num_threads(), torch.get_num_threads())
    optional("faiss", "search", "the benchmark of search")  # its pools can be limited once they are there
    pools = optional("threadpoolctl", "baselines", "the benchmark of search")
    try:
        with pools.threadpool_limits(n):
            numba.set_num_threads(n)
            torch.set_num_threads(n)
            yield n
    finally:
        numba.set_num_threads(before[0])
        torch.set_num_threads(before[1])


# ---- contenders -----------------------------------------------------------------------------------------------------------------


def ours(world: World) -> dict[str, Contender]:
    """The path that a user takes, and the scores without any selection."""
    index, rows = world.index, {}

    def scores(users: np.ndarray) -> np.ndarray:
        if users.size not in rows:
            rows[users.size] = np.empty((users.size, index.n_items), np.float32)
        code_scores.scores(index.users(users), index.items, rows[users.size])
        return rows[users.size]

    kept = index.items.words.nbytes + index.items.factors.nbytes + index.order.nbytes
    return {"recq": Contender(lambda users: index.search(users, K), kept), "recq, scores alone": Contender(scores, kept)}


def floats(world: World, pair: tuple[torch.Tensor, torch.Tensor]) -> dict[str, Contender]:
    """Inner products of `pair` by torch, and by our `rank`."""
    users, items = pair
    kept, name = items.nbytes, f"{items.shape[1]} floats"

    def best(numbers: np.ndarray) -> torch.Tensor:
        return torch.topk(users[torch.from_numpy(numbers).long()] @ items.T, K)

    return {
        f"torch mm + topk, {name}": Contender(best, kept),
        f"recq rank, {name}": Contender(lambda numbers: rank(pair, numbers, world.n_items, K, []), kept),
    }


def faiss_floats(world: World, recipes: dict[str, str] | None = None) -> dict[str, Contender]:
    """FAISS by inner products of vectors of width d; `recipes`: name → `index_factory`'s string."""
    faiss = optional("faiss", "search", "the benchmark of search")
    users, items = (side.numpy() for side in world.narrow)
    d, found = world.dim, {}
    default = {
        f"FAISS flat, {d} floats": "Flat", f"FAISS int8, {d} bytes": "SQ8",
        f"FAISS RaBitQ FastScan, {d} bits": "RaBitQfs", f"FAISS PQ FastScan, {d // 4} × 4 bits": f"PQ{d // 4}x4fs",
    }  # fmt: skip
    for name, recipe in (recipes or default).items():
        index = faiss.index_factory(d, recipe, faiss.METRIC_INNER_PRODUCT)
        if hasattr(index, "pq"):
            index.pq.cp.min_points_per_centroid = 1  # small catalogues are no reason for a warning
        index.train(items[:_TRAINED])
        index.add(items)
        found[name] = Contender(lambda numbers, index=index: index.search(users[numbers], K), index.ntotal * index.sa_code_size())
    return found


def hamming(world: World) -> dict[str, Contender]:
    """The codes' bits alone, by Hamming distance: FAISS, and usearch where it is installed (its exact search, not its graph)."""
    index, bits = to_faiss(world.codes), binary_rows(world.codes, slice(None))
    users, items = bits[: world.n_users], bits[world.n_users :]
    width = f"{8 * items.shape[1]} bits"
    found = {f"FAISS binary flat, {width}": Contender(lambda numbers: index.search(users[numbers], K), items.nbytes)}
    try:
        usearch = optional("usearch.index", "search", "the benchmark of search")
    except ConfigError:
        return found
    options = {"exact": True, "threads": numba.get_num_threads(), "dtype": "b1"}

    def near(numbers: np.ndarray) -> Any:
        return usearch.search(items, users[numbers], K, usearch.MetricKind.Hamming, **options)

    return found | {f"usearch b1, {width}": Contender(near, items.nbytes)}


def everyone(world: World) -> dict[str, Contender]:
    """All contenders of one world."""
    return ours(world) | hamming(world) | faiss_floats(world) | floats(world, world.narrow) | floats(world, world.wide)


def products(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """left · rightᵀ by torch."""
    return torch.mm(torch.from_numpy(left), torch.from_numpy(right).T).numpy()
