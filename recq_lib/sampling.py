"""Triples (user, positive, negative) for one epoch: three published conventions, one counter-based generator.

A draw is a hash of (seed, epoch, position, purpose), so an epoch's triples do not depend on the device, the number of
threads or what was drawn before; resuming needs the epoch number alone. Negatives are exact: with r uniform over the items
a user has *not* consumed, the r-th of them is found by one binary search, without rejection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, DataError, one_of

CONVENTIONS = ("per_interaction", "per_user", "uniform_user")
NEGATIVES = ("unobserved", "uniform")
_USER, _POSITIVE, _NEGATIVE = 0, 1, 2


@dataclass(frozen=True)
class Triples:
    """int64 tensors of one length: user ids, item ids of positives, item ids of negatives."""

    users: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor

    def __len__(self) -> int:
        return self.users.numel()

    def batches(self, size: int):
        """Consecutive batches; the last may be smaller."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            yield self.users[part], self.positives[part], self.negatives[part]


class TripleSampler:
    """Draws an epoch at a time.

    Parameters
    ----------
    convention :
        "per_interaction": every training pair once, shuffled (BACO, GraphHash);
        "per_user": floor(T/U) triples for every user with training items (BiGeaR, so L²Q-GCN);
        "uniform_user": T draws of a uniform user, then a uniform positive (LightGCN-PyTorch)
    negatives : "unobserved" (not in the user's training items) or "uniform" (any item; BACO)
    """

    def __init__(
        self, data: Interactions, *, convention: str, negatives: str = "unobserved", seed: int = 0, device: str | torch.device = "cpu"
    ) -> None:
        self.convention = one_of("sampling convention", convention, CONVENTIONS)
        self.negatives = one_of("negatives", negatives, NEGATIVES)
        if not 0 <= seed < 2**31:
            raise ConfigError(f"seed is {seed}, but must lie in [0, 2^31)")
        self.seed, self.device = seed, torch.device(device)
        self.n_items, self.n_train = data.n_items, data.n_train
        degree = np.diff(data.train.indptr).astype(np.int64)
        full = np.flatnonzero(degree == data.n_items)
        if negatives == "unobserved" and full.size:
            raise DataError(
                f"{data.name}: user {full[0]} has consumed all {data.n_items} items, so no negative exists; "
                "drop such users or choose negatives='uniform'"
            )
        users, items = data.pairs("train")
        # item minus its rank counts the unconsumed items before it; with the user in the high digits one sorted array serves all users
        rank = np.arange(items.size, dtype=np.int64) - data.train.indptr[users]
        gaps = users.astype(np.int64) * (data.n_items + 1) + items - rank
        start, active = data.train.indptr[:-1].astype(np.int64), np.flatnonzero(degree)
        arrays = (users.astype(np.int64), items.astype(np.int64), gaps, degree, start, active)
        tensors = (torch.from_numpy(np.ascontiguousarray(array)).to(self.device) for array in arrays)
        self._users, self._items, self._gaps, self._degree, self._start, self._active = tensors

    @property
    def n_triples(self) -> int:
        if self.convention == "per_user":
            return self._active.numel() * self._per_user
        return self.n_train

    @property
    def _per_user(self) -> int:
        # the official code divides by all users of the id space; at least one triple each keeps tiny data usable
        return max(1, self.n_train // self._degree.numel())

    def epoch(self, number: int) -> Triples:
        """The triples of epoch `number` (0-based), in training order."""
        users, positives = self._positives(number)
        return Triples(users, positives, self._draw_negatives(users, number))

    def _positives(self, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        order = self._order(epoch)
        if self.convention == "per_interaction":
            return self._users[order], self._items[order]
        if self.convention == "per_user":
            users = self._active[order % self._active.numel()]
        else:
            users = self._active[self._uniform(epoch, _USER, self._active.numel())]
        offset = self._uniform(epoch, _POSITIVE, self._degree[users])
        return users, self._items[self._start[users] + offset]

    def _order(self, epoch: int) -> torch.Tensor:
        if self.convention == "uniform_user":
            return torch.empty(0, dtype=torch.int64)
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.n_triples, generator=generator).to(self.device)  # drawn on the CPU: one order on all devices

    def _draw_negatives(self, users: torch.Tensor, epoch: int) -> torch.Tensor:
        if self.negatives == "uniform":
            return self._uniform(epoch, _NEGATIVE, self.n_items)
        rank = self._uniform(epoch, _NEGATIVE, self.n_items - self._degree[users])
        before = torch.searchsorted(self._gaps, users * (self.n_items + 1) + rank, right=True) - self._start[users]
        return rank + before

    def _uniform(self, epoch: int, purpose: int, below: int | torch.Tensor) -> torch.Tensor:
        """Integers in [0, below), one per triple; 31 random bits, so the bias is under below/2^31."""
        position = torch.arange(self.n_triples, dtype=torch.int64, device=self.device)
        key = _mix(torch.tensor(self.seed * 4 + purpose, dtype=torch.int64)) ^ _mix(torch.tensor(epoch + 2**40, dtype=torch.int64))
        return (_shift(_mix(position + key.to(self.device)), 33) * below) >> 31


def _shift(x: torch.Tensor, bits: int) -> torch.Tensor:
    """Logical right shift; torch shifts signed integers arithmetically."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: torch.Tensor) -> torch.Tensor:
    """SplitMix64's finaliser (Steele et al., OOPSLA 2014) on int64 with wrap-around: every input bit moves every output bit."""
    x = x * _signed(0x9E3779B97F4A7C15)
    x = (x ^ _shift(x, 30)) * _signed(0xBF58476D1CE4E5B9)
    x = (x ^ _shift(x, 27)) * _signed(0x94D049BB133111EB)
    return x ^ _shift(x, 31)


def _signed(x: int) -> int:
    return x - (1 << 64)
