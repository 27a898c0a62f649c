"""Triples (user, positive, negative) for one epoch: three published conventions, one counter-based generator.

A draw is a hash of (seed, epoch, position, purpose), so an epoch's triples do not depend on the device, the number of
threads or what was drawn before; resuming needs the epoch number alone. Negatives are exact: with r uniform over the items
a user has *not* consumed, the r-th of them is found by one binary search, without rejection.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from recq_lib.config import CONVENTIONS, NEGATIVES
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, DataError, one_of
from recq_lib.kernels import sampling as kernel

_USER, _POSITIVE, _NEGATIVE = 0, 1, 2


@dataclass(frozen=True)
class Triples:
    """int64 tensors of one length: user ids, item ids of positives, item ids of negatives (None: taken from each batch's positives)."""

    users: torch.Tensor
    positives: torch.Tensor
    negatives: torch.Tensor | None

    def __len__(self) -> int:
        return self.users.numel()

    def batches(self, size: int):
        """Consecutive batches; the last may be smaller."""
        for start in range(0, len(self), size):
            part = slice(start, start + size)
            positives = self.positives[part]
            yield self.users[part], positives, positives.roll(1) if self.negatives is None else self.negatives[part]


class TripleSampler:
    """Draws an epoch at a time.

    Parameters
    ----------
    convention :
        "per_interaction": every training pair once, shuffled (BACO, GraphHash);
        "per_user": floor(T/U) triples for every user with training items (BiGeaR, so L²Q-GCN);
        "uniform_user": T draws of a uniform user, then a uniform positive (LightGCN-PyTorch)
    negatives : "unobserved" (not in the user's training items), "uniform" (any item; BACO), or "in_batch" (the positive of the
        triple before in the batch, so that a batch brings no further nodes: for losses that compare with all its items)
    device : where the triples are drawn and left; the values do not depend on it
    """

    def __init__(
        self, data: Interactions, *, convention: str, negatives: str = "unobserved", seed: int = 0, device: str | torch.device = "cpu"
    ) -> None:
        self.convention = one_of("sampling convention", convention, CONVENTIONS)
        self.negatives = one_of("negatives", negatives, NEGATIVES)
        if not 0 <= seed < 2**31:
            raise ConfigError(f"seed is {seed}, but must lie in [0, 2^31)")
        self.seed, self.device = seed, torch.device(device)
        self.n_items, self.n_train, self.n_users = data.n_items, data.n_train, data.n_users
        degree = np.diff(data.train.indptr)
        full = np.flatnonzero(degree == data.n_items)
        if negatives == "unobserved" and full.size:
            raise DataError(
                f"{data.name}: user {full[0]} has consumed all {data.n_items} items, so no negative exists; "
                "drop such users or choose negatives='uniform'"
            )
        users, items = data.pairs("train")
        arrays = (users, items, data.train.indptr, np.flatnonzero(degree))
        # copies: the interactions are read-only, and torch only takes writable memory
        self._users, self._items, self._indptr, self._active = (torch.from_numpy(a.astype(np.int64)).to(self.device) for a in arrays)
        self._draw = _KernelDraws(self) if self.device.type == "cpu" else _TorchDraws(self)

    @property
    def n_triples(self) -> int:
        if self.convention == "per_user":
            # the official code divides by all users of the id space; at least one triple each keeps tiny data usable
            return self._active.numel() * max(1, self.n_train // self.n_users)
        return self.n_train

    def item_shares(self) -> np.ndarray:
        """[I] float64: the probability that a triple's positive is item i; 0 for items without interactions.

        Counts of interactions where each comes once an epoch. Where every user comes as often as every other, the item has
        1/d_u of each of its users' triples, d_u the user's interactions.
        """
        items = self._items.cpu().numpy()
        if self.convention == "per_interaction":
            return np.bincount(items, minlength=self.n_items) / max(self.n_train, 1)
        degree = np.diff(self._indptr.cpu().numpy())
        return np.bincount(items, 1 / degree[self._users.cpu().numpy()], minlength=self.n_items) / max(self._active.numel(), 1)

    def epoch(self, number: int) -> Triples:
        """The triples of epoch `number` (0-based), in training order."""
        users, positives = self._positives(number)
        if self.negatives == "in_batch":
            return Triples(users, positives, None)
        if self.negatives == "uniform":
            return Triples(users, positives, self._draw.items(self._key(number, _NEGATIVE), self.n_triples))
        return Triples(users, positives, self._draw.unobserved(self._key(number, _NEGATIVE), users))

    def _positives(self, epoch: int) -> tuple[torch.Tensor, torch.Tensor]:
        if self.convention == "per_interaction":
            order = self._order(epoch)
            return self._users[order], self._items[order]
        if self.convention == "per_user":
            users = self._active[self._order(epoch) % self._active.numel()]
        else:
            users = self._draw.users(self._key(epoch, _USER), self.n_triples)
        return users, self._draw.positives(self._key(epoch, _POSITIVE), users)

    def _order(self, epoch: int) -> torch.Tensor:
        generator = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        return torch.randperm(self.n_triples, generator=generator).to(self.device)  # drawn on the CPU: one order on all devices

    def _key(self, epoch: int, purpose: int) -> int:
        """Start of the counter for one stream of one epoch, a signed 64-bit integer."""
        mixed = _mix(torch.tensor([self.seed * 4 + purpose, epoch + 2**40]))
        return int(mixed[0] ^ mixed[1])


class _KernelDraws:
    """One pass in numba; see `kernels/sampling.py`."""

    def __init__(self, sampler: TripleSampler) -> None:
        # int32 halves the memory that the searches touch
        self.items_of, self.indptr = (t.to(torch.int32).numpy() for t in (sampler._items, sampler._indptr))
        self.active = sampler._active.numpy()
        self.n_items = sampler.n_items

    def users(self, key: int, n: int) -> torch.Tensor:
        return self._fill("draw_users", n, key, self.active)

    def positives(self, key: int, users: torch.Tensor) -> torch.Tensor:
        return self._fill("draw_positives", users.numel(), key, users.numpy(), self.indptr, self.items_of)

    def unobserved(self, key: int, users: torch.Tensor) -> torch.Tensor:
        return self._fill("draw_unobserved", users.numel(), key, users.numpy(), self.indptr, self.items_of, self.n_items)

    def items(self, key: int, n: int) -> torch.Tensor:
        return self._fill("draw_uniform", n, key, self.n_items)

    @staticmethod
    def _fill(name: str, n: int, key: int, *arguments) -> torch.Tensor:
        out = torch.empty(n, dtype=torch.int64)
        getattr(kernel, name)(np.uint64(key % 2**64), *arguments, out.numpy())
        return out


class _TorchDraws:
    """The same values by torch operations, on any device; torch has no unsigned 64-bit arithmetic, so signed integers wrap around."""

    def __init__(self, sampler: TripleSampler) -> None:
        self.items_of, self.active, self.n_items = sampler._items, sampler._active, sampler.n_items
        self.start, self.degree = sampler._indptr[:-1], sampler._indptr.diff()
        # item minus its rank counts the unobserved items before it; with the user in the high digits one sorted array serves all users
        rank = torch.arange(self.items_of.numel(), device=sampler.device) - self.start[sampler._users]
        self.gaps = sampler._users * (self.n_items + 1) + self.items_of - rank

    def users(self, key: int, n: int) -> torch.Tensor:
        return self.active[self._uniform(key, n, self.active.numel())]

    def positives(self, key: int, users: torch.Tensor) -> torch.Tensor:
        return self.items_of[self.start[users] + self._uniform(key, users.numel(), self.degree[users])]

    def unobserved(self, key: int, users: torch.Tensor) -> torch.Tensor:
        rank = self._uniform(key, users.numel(), self.n_items - self.degree[users])
        return rank + torch.searchsorted(self.gaps, users * (self.n_items + 1) + rank, right=True) - self.start[users]

    def items(self, key: int, n: int) -> torch.Tensor:
        return self._uniform(key, n, self.n_items)

    def _uniform(self, key: int, n: int, below: int | torch.Tensor) -> torch.Tensor:
        """Integers in [0, below) from 31 random bits each, so the bias is under below/2^31."""
        position = torch.arange(n, dtype=torch.int64, device=self.items_of.device)
        return (_shift(_mix(position + key), 33) * below) >> 31


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
