"""A rotation of users and items before they are packed: inner products stay, and signs lose less.

A sign keeps as much of one column as of another, so all should carry alike; those of a model that starts from singular vectors do not.
Iterative quantization (Gong and Lazebnik, CVPR 2011) turns the axes so that rows lie near the corners of a cube: corners, and the rotation
that brings the rows nearest to them (the orthogonal Procrustes problem), in turn. Ours: each row's corner has its own scale, as in `pack`,
and rows are not centred, because inner products must stay. Search costs nothing more: both sides are turned once, before `pack`.
"""

from __future__ import annotations

import numpy as np

from recq_lib.codes.codes import Vectors, as_array
from recq_lib.errors import ConfigError, whole

_SWEEPS = 50
_LEARNED = 20_000  # rows of a side from which a rotation is learned


def rotated(users: Vectors, items: Vectors, *, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """(users [U, d], items [I, d]) times one orthogonal matrix, float32: for `pack`, above all with 1 and 2 bits.

    Raises `ConfigError` for vectors that are not two tables of one width, and for NaN or infinity.

    >>> import numpy as np
    >>> from recq_lib.codes.packing import pack
    >>> from recq_lib.codes.rotation import rotated
    >>> users, items = np.array([[2.0, 0.0], [0.0, 1.0]]), np.array([[3.0, 0.1], [0.1, 3.0]])
    >>> turned = rotated(users, items)
    >>> bool(np.allclose(turned[0] @ turned[1].T, users @ items.T, atol=1e-5))
    True
    >>> for pair in ((users, items), turned):  # products of user 0 by 1 bit; they are 6.0 and 0.2
    ...     print([f"{score:.1f}" for score in pack(*pair).search([0])[1][0]])
    ['3.1', '3.1']
    ['6.0', '0.0']
    """
    sides = [as_array(side) for side in (users, items)]
    if any(side.ndim != 2 or side.dtype.kind not in "fiu" for side in sides) or sides[0].shape[1] != sides[1].shape[1]:
        shapes = f"{sides[0].shape} and {sides[1].shape}"
        raise ConfigError(f"user and item vectors have shapes {shapes}, but must be tables of numbers [U, d] and [I, d]")
    for name, side in zip(("user", "item"), sides):
        if not np.isfinite(side).all():
            raise ConfigError(f"{name} vectors hold NaN or infinity; if a model made them, training has diverged")
    rng = np.random.default_rng(whole("seed", seed, 0))
    rotation = learn(np.concatenate([_sample(side, rng) for side in sides]), rng)
    return tuple((side @ rotation).astype(np.float32) for side in sides)


def learn(rows: np.ndarray, rng: np.random.Generator, sweeps: int = _SWEEPS) -> np.ndarray:
    """Orthogonal [d, d] that makes Σ ‖row·R - scale·sign(row·R)‖² small, scale = mean absolute value; from a random start."""
    rotation = np.linalg.qr(rng.normal(size=(rows.shape[1], rows.shape[1])))[0]
    for _ in range(sweeps):
        turned = rows @ rotation
        corners = np.where(turned >= 0, 1.0, -1.0) * np.abs(turned).mean(axis=1, keepdims=True)
        left, _, right = np.linalg.svd(rows.T @ corners)
        rotation = left @ right
    return rotation


def _sample(side: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Some rows as float64, in unit of the side's mean length, so that both sides count alike."""
    chosen = side if len(side) <= _LEARNED else side[rng.choice(len(side), _LEARNED, replace=False)]
    chosen = chosen.astype(np.float64)
    length = np.sqrt(np.square(chosen).sum(axis=1).mean()) if len(chosen) else 0.0
    return chosen / (length or 1.0)
