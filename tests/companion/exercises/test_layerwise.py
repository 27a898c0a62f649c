import numpy as np
import pytest

from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import layerwise as exercises


def fails(check, *arguments):
    with pytest.raises(ExerciseFailed):
        check(*arguments)


def test_code_error():
    def right(v):
        alpha = sum(abs(x) for x in v) / len(v)
        return sum((x - (alpha if x >= 0 else -alpha)) ** 2 for x in v) / sum(x * x for x in v)

    exercises.check_code_error(right)
    for wrong in (None, lambda v: np.sqrt(right(v)), lambda v: right(v) / v.size, lambda: 0.0, lambda v: np.zeros(2)):
        fails(exercises.check_code_error, wrong)


def test_node_bytes():
    def right(codes, bits):
        words = bits // 64 + (bits % 64 > 0)
        return codes * words * 8 + codes * 4

    exercises.check_node_bytes(right)
    for wrong in (
        None,
        lambda codes, bits: codes * bits / 8 + 4 * codes,
        lambda codes, bits: right(codes, bits) - 4 * codes,
        lambda codes: 12,
    ):
        fails(exercises.check_node_bytes, wrong)


@pytest.mark.parametrize(("dim", "n_layers", "width"), [(64, 2, 256), (64, 1, 128), (256, 2, 832), (32, 2, 256)])
def test_equal_bytes_width(dim, n_layers, width):
    """(L+1)·(d/8 + 4) bytes in whole words of 8, less one scaler of 4: 36, 24, 108 and 36 bytes leave 4, 2, 13 and 4 words."""
    exercises.check_equal_bytes_width(width, dim, n_layers)
    for wrong in (None, (n_layers + 1) * dim if (n_layers + 1) * dim != width else width - 1, width + 64, width - 64, width - 0.5, "wide"):
        fails(exercises.check_equal_bytes_width, wrong, dim, n_layers)
