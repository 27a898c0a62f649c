"""Full ranking on an accelerator with the same order of ties as on the CPU.

`torch.topk` leaves the order of ties open. Here score and position are packed into one int64 whose order is "higher score
first, lower position first", so the result is unique and reproducible.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

_BLOCK_BYTES = 2**30


def rank_on_device(
    user_vectors: torch.Tensor, item_vectors: torch.Tensor, users: np.ndarray, k: int, masks: Sequence, position_to_item: np.ndarray
) -> np.ndarray:
    """As `evaluation.rank`, for vectors on any torch device."""
    device, n_items = item_vectors.device, position_to_item.size
    order = torch.tensor(position_to_item, dtype=torch.int64, device=device)
    items = item_vectors.float()[order].t().contiguous()
    position_of = torch.empty(n_items, dtype=torch.int64, device=device)
    position_of[order] = torch.arange(n_items, device=device)
    rows = max(1, _BLOCK_BYTES // (8 * n_items))
    top = []
    for start in range(0, users.size, rows):
        part = users[start : start + rows]
        scores = user_vectors[torch.from_numpy(part).long().to(device)].float() @ items
        for matrix in masks:
            local = matrix[part]
            row = np.repeat(np.arange(part.size), np.diff(local.indptr))
            scores[torch.from_numpy(row).to(device), position_of[torch.from_numpy(local.indices).long().to(device)]] = -torch.inf
        keys = torch.topk(pack(scores), k, dim=1).values
        found = order[unpack_position(keys)]
        top.append(torch.where(unpack_score_is_finite(keys), found, -1).to(torch.int32).cpu())
    return torch.cat(top).numpy()


def pack(scores: torch.Tensor) -> torch.Tensor:
    """int64 keys: the float32's order-preserving integer in the high half, the reversed position in the low half."""
    bits = (scores + 0.0).view(torch.int32).to(torch.int64)  # adding 0 turns -0.0 into 0.0, which must tie with it
    ordered = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    return (ordered << 32) | (0x7FFFFFFF - torch.arange(scores.shape[1], device=scores.device))


def unpack_position(keys: torch.Tensor) -> torch.Tensor:
    return 0x7FFFFFFF - (keys & 0x7FFFFFFF)


def unpack_score_is_finite(keys: torch.Tensor) -> torch.Tensor:
    minus_infinity = torch.tensor(-torch.inf).view(torch.int32).to(torch.int64) ^ 0x7FFFFFFF
    return (keys >> 32) > minus_infinity.to(keys.device)
