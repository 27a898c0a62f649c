"""Inner products of one vector with every row of a table, for the CPU: a single user's scores by floats (ours).

A BLAS product with one row rounds some rows of the table otherwise than the rest, so that equal items would not tie; here all rows take one
path. It takes as long: the table comes from memory once.
"""

from __future__ import annotations

import numba
import numpy as np
from numba import prange

from recq_lib.errors import ConfigError
from recq_lib.kernels.compiled import compiled, read_only

AT_ONCE = 4  # rows; fewer do not keep memory busy


def dots(vector: np.ndarray, rows: np.ndarray, out: np.ndarray) -> None:
    """Fill `out` [I] with the inner products of `vector` [d] and `rows` [I, d], all float32, I at least 4.

    Raises `ConfigError` for other shapes and types.
    """
    given = vector, rows, out
    fits = vector.ndim == out.ndim == 1 and rows.shape == (out.size, vector.size) and len(rows) >= AT_ONCE
    if not fits or any(values.dtype != np.float32 for values in given):
        told = ", ".join(f"{values.dtype} of shape {values.shape}" for values in given)
        raise ConfigError(f"vector, rows and out are {told}, but must be float32 [d], [I, d] and [I] with I at least {AT_ONCE}")
    share = -(-len(rows) // (AT_ONCE * numba.get_num_threads())) * AT_ONCE
    _dots(read_only(vector), read_only(rows), out, share)


@compiled(parallel=True, fastmath={"reassoc", "contract"})
def _dots(vector, rows, out, share):
    n = rows.shape[0]
    for part in prange((n + share - 1) // share):
        for first in range(part * share, min((part + 1) * share, n), 4):
            i = min(first, n - 4)  # the last rows again with some before, on the same path
            a, b, c, d = rows[i], rows[i + 1], rows[i + 2], rows[i + 3]
            of_a = of_b = of_c = of_d = np.float32(0)
            for k in range(vector.size):
                of_a += vector[k] * a[k]
                of_b += vector[k] * b[k]
                of_c += vector[k] * c[k]
                of_d += vector[k] * d[k]
            out[i], out[i + 1], out[i + 2], out[i + 3] = of_a, of_b, of_c, of_d
