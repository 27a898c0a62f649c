"""Codes, indexes and their files for several tests: made at random, taken apart and put together again without the library."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np
import scipy.sparse as sp

from recq_lib.codes.codes import Codes
from recq_lib.codes.index import Index


def random_codes(bits=1, n_segments=2, n_nodes=50, dim=70, n_users=20, scaled=True, seed=0) -> Codes:
    rng = np.random.default_rng(seed)
    levels = 2 * rng.integers(0, 2**bits, (n_segments, n_nodes, dim)) - (2**bits - 1)
    scales = rng.uniform(0.5, 1.5, (n_segments, n_nodes)) if scaled else None
    return Codes.from_levels(levels, bits, scales, np.arange(1, n_segments + 1) / n_segments if scaled else None, n_users=n_users)


def random_seen(n_users, n_items, share=0.3, seed=0) -> sp.csr_matrix:
    """Each pair with this chance; the last user has seen everything, the first nothing."""
    chances = np.full((n_users, 1), share)
    chances[0], chances[-1] = 0, 1
    return sp.csr_matrix((np.random.default_rng(seed).random((n_users, n_items)) < chances).astype(np.float32))


def small_index(text=True, **settings) -> Index:
    """Index of 6 users and 70 items with own ids, text or whole numbers beyond 32 bits, and what users have seen."""
    codes = random_codes(n_nodes=76, n_users=6, **settings)
    if text:
        users, items = ["zoë", "ann", "", "李雷", "bob", "ann "], [f"item-{n * 11 % 70:02}ü" for n in range(70)]
    else:
        users, items = [5 * 10**12, 3, -(2**63), 2**63 - 1, 7, 0], (np.arange(70)[::-1] * 1000).tolist()
    return Index.of(codes, user_ids=users, item_ids=items, seen=random_seen(6, 70))


def taken_apart(content: bytes) -> tuple[dict, dict[str, np.ndarray]]:
    """(fields, arrays) of a file, by its line ends and what its header tells."""
    _, _, header, body = content.split(b"\n", 3)
    fields = json.loads(header)
    plan = fields.pop("arrays")
    arrays = {
        name: np.frombuffer(body, dtype, int(np.prod(shape)), place).reshape(shape).copy() for name, (dtype, shape, place) in plan.items()
    }
    return fields, arrays


def with_checksum(header: bytes, body: bytes, kind: bytes = b"recq index") -> bytes:
    """A file with a right checksum around this header, filled up to a multiple of 64 bytes, and these arrays."""
    filled = header + b" " * (-(len(kind) + 1 + 65 + len(header) + 1) % 64) + b"\n" + body
    return kind + b"\n" + hashlib.sha256(filled).hexdigest().encode() + b"\n" + filled


def put_together(fields: Mapping, arrays: Mapping[str, np.ndarray], kind: bytes = b"recq index") -> bytes:
    """A file of these fields and arrays, widest numbers first, with a right checksum."""
    ordered = dict(sorted(arrays.items(), key=lambda part: -part[1].itemsize))
    plan, end = {}, 0
    for name, values in ordered.items():
        plan[name] = [values.dtype.str, list(values.shape), end]
        end += values.nbytes
    return with_checksum(json.dumps({**fields, "arrays": plan}).encode(), b"".join(values.tobytes() for values in ordered.values()), kind)
