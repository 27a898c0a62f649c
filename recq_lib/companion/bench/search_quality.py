"""One trained model, many codes: Recall@20, bytes an item, and milliseconds, of our codes beside FAISS's of the same vectors.

Nobody is trained for its code here: every method gets the same user and item vectors, keeps items in its own way, and ranks all items. What
FAISS cannot leave out (a user's training items) is asked for in excess and dropped. Codes that a method was trained for (L²Q-GCN, HQ-GNN)
can stand in the same table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from recq_lib.codes.codes import Codes, as_array
from recq_lib.codes.exchange import HammingFirst
from recq_lib.codes.index import Index
from recq_lib.codes.packing import pack
from recq_lib.codes.rotation import rotated
from recq_lib.companion.bench.search_contenders import threads
from recq_lib.companion.bench.timing import Timing, latencies
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import evaluate, rank
from recq_lib.io.optional import optional
from recq_lib.kernels import topk

K, BITS, CANDIDATES = 20, (1, 2, 3, 4, 8), 200
_THREADS, _AT_ONCE, _REPEATS, _LIMIT = 2, 64, 5, 4.0
_BLOCK = 256  # users that FAISS answers at once, those with like histories


def quality(
    users: Any, items: Any, data: Interactions, *, codes: Mapping[str, Codes] | None = None, times: bool = True
) -> list[dict[str, Any]]:
    """Rows {"method", "bytes" an item, "recall@20", "milliseconds" for 64 users without exclusion (median)}, by falling bytes.

    Parameters
    ----------
    users, items : trained vectors [U, d] and [I, d], numpy or torch
    data : what they were trained on; Recall@20 is of its test split, training and validation items left out
    codes : more rows: name → codes of the same data, such as those of a model that was trained with its quantizer
    times : measure them too; else `milliseconds` is nan

    Bytes are those of a code with its scales, without what all items share (PQ's centroids). Raises `ConfigError` where FAISS is missing.
    """
    with threads(_THREADS):
        return _quality(users, items, data, dict(codes or {}), times)


def _quality(users: Any, items: Any, data: Interactions, codes: dict[str, Codes], times: bool) -> list[dict[str, Any]]:
    pair = tuple(np.ascontiguousarray(as_array(side), dtype=np.float32) for side in (users, items))
    turned = rotated(*pair)
    packed = {f"recq, {_bits(b)}": pack(*turned, bits=b) for b in BITS}
    packed |= {f"recq, {_bits(b)}, not rotated": pack(*pair, bits=b) for b in BITS} | codes
    rows = [{"method": "floats", "bytes": 4.0 * pair[1].shape[1], "recall@20": _recall(pair, data)}]
    answers: dict[str, Callable[[np.ndarray], Any]] = {"floats": lambda numbers: rank(pair, numbers, data.n_items, K, [])}
    for name, made in packed.items():
        rows.append({"method": name, "bytes": made.n_bytes() / made.n_nodes, "recall@20": _recall(made, data)})
        index = Index.of(made)
        answers[name] = lambda numbers, index=index: index.search(numbers, K)
    first = HammingFirst.of(packed["recq, 1 bit"])
    for n in (K, CANDIDATES):
        name = "1 bit, Hamming distance alone" if n == K else f"1 bit, {n} by Hamming distance, ranked by scores"
        ranker = _Hamming(first, n)
        rows.append({"method": name, "bytes": first.codes.n_bytes() / first.codes.n_nodes, "recall@20": _recall(ranker, data)})
        answers[name] = lambda numbers, ranker=ranker: ranker.near(numbers)
    for name, index in _faiss(pair[1]).items():
        rows.append({"method": name, "bytes": float(index.sa_code_size()), "recall@20": _recall(_Searched(index, pair[0]), data)})
        answers[name] = lambda numbers, index=index: index.search(pair[0][numbers], K)
    took = _milliseconds(answers, data.n_users) if times else {}
    rows = [row | {"milliseconds": took.get(row["method"], float("nan"))} for row in rows]
    return sorted(rows, key=lambda row: -row["bytes"])


def _bits(b: int) -> str:
    return f"{b} bit{'' if b == 1 else 's'}"


def _recall(scorer: Any, data: Interactions) -> float:
    return evaluate(scorer, data, ks=(K,)).values[f"recall@{K}"]


def _milliseconds(answers: Mapping[str, Callable[[np.ndarray], Any]], n_users: int) -> dict[str, float]:
    def call(answer):
        return lambda q: answer((np.arange(q * _AT_ONCE, (q + 1) * _AT_ONCE) % n_users).astype(np.int32))

    seconds = latencies({name: call(answer) for name, answer in answers.items()}, 4 * _REPEATS, _LIMIT, _REPEATS)
    return {name: 1e3 * Timing.of(values).median for name, values in seconds.items()}


# ---- FAISS ----------------------------------------------------------------------------------------------------------------------


def _faiss(items: np.ndarray) -> dict[str, Any]:
    """FAISS's flat codes of `items` [I, d], inner products: 8 bits a number, PQ of two to eight numbers a code, RaBitQ of 1 to 8 bits."""
    faiss = optional("faiss", "search", "the comparison of codes")
    d, found = items.shape[1], {}
    recipes = {"FAISS int8": "SQ8"}
    recipes |= {f"FAISS PQ FastScan, {m} × 4 bits": f"PQ{m}x4fs" for m in (d // 8, d // 4, d // 2, d) if m and d % m == 0}
    recipes |= {f"FAISS PQ, {m} × 8 bits": f"PQ{m}x8" for m in (d // 8, d // 4, d // 2) if m and d % m == 0 and len(items) >= 256}
    recipes |= {f"FAISS RaBitQ, {_bits(b)}": f"RaBitQ{'' if b == 1 else b}" for b in BITS}
    recipes["FAISS RaBitQ FastScan, 1 bit"] = "RaBitQfs"
    for name, recipe in recipes.items():
        index = faiss.index_factory(d, recipe, faiss.METRIC_INNER_PRODUCT)
        if hasattr(index, "pq"):
            index.pq.cp.min_points_per_centroid = 1  # small catalogues are no reason for a warning
        if hasattr(index, "do_polysemous_training"):
            index.do_polysemous_training = False  # orders centroids for a Hamming filter that is not used here, which takes minutes
        index.train(items)
        index.add(items)
        found[name] = index
    return found


class _Searched:
    """A FAISS index as something that `evaluate` ranks: asked for so many items that `k` are left without the masked ones."""

    def __init__(self, index: Any, users: np.ndarray) -> None:
        self.index, self.vectors, self.n_users, self.n_items = index, users, len(users), index.ntotal

    def near(self, users: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        return self.index.search(self.vectors[users], k)

    def best(self, users: np.ndarray, k: int, masks: Sequence[sp.csr_matrix], tie_seed: int) -> tuple[np.ndarray, np.ndarray]:
        """As `kernels.topk.best`, but equal scores stand in FAISS's order."""
        items, scores = np.full((users.size, k), -1, np.int32), np.full((users.size, k), -np.inf, np.float32)
        histories = np.diff(topk.excluded(masks, users, self.n_items)[0])
        by_history = np.argsort(histories, kind="stable")
        for begin in range(0, users.size, _BLOCK):
            rows = by_history[begin : begin + _BLOCK]
            values, found = self.near(users[rows], min(self.n_items, k + int(histories[rows].max())))
            start, taken = topk.excluded(masks, users[rows], self.n_items)
            for r, row in enumerate(rows):
                left = np.flatnonzero((found[r] >= 0) & ~np.isin(found[r], taken[start[r] : start[r + 1]]))[:k]
                items[row, : left.size], scores[row, : left.size] = found[r][left], values[r][left]
        return items, scores


class _Hamming:
    """`HammingFirst` with a number of candidates as something that `evaluate` ranks; with K candidates by distance alone."""

    def __init__(self, first: HammingFirst, candidates: int) -> None:
        if candidates < K:
            raise ConfigError(f"candidates is {candidates}, but must be at least {K}")
        self.first, self.candidates = first, candidates
        self.n_users, self.n_items = first.codes.n_users, first.codes.n_items

    def near(self, users: np.ndarray) -> Any:
        return self.first.search(users, K, candidates=min(self.candidates, self.n_items))

    def best(self, users: np.ndarray, k: int, masks: Sequence[sp.csr_matrix], tie_seed: int) -> tuple[np.ndarray, np.ndarray]:
        known = sum(masks[1:], masks[0]).tocsr() if len(masks) else None
        found, scores = self.first.search(users, k, known, candidates=max(k, min(self.candidates, self.n_items)))
        items, values = np.full((users.size, k), -1, np.int32), np.full((users.size, k), -np.inf, np.float32)
        for r, (ids, of_ids) in enumerate(zip(found, scores, strict=True)):
            items[r, : ids.size], values[r, : ids.size] = ids, of_ids
        return items, values
