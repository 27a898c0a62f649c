import numpy as np
import pytest

from recq_lib.codes.codes import Codes
from recq_lib.companion.checks import ExerciseFailed
from recq_lib.companion.exercises import l2q_gcn as exercises


def fails(check, *answers_and_rest):
    with pytest.raises(ExerciseFailed):
        check(*answers_and_rest)


def test_bitwise_score_is_the_inner_product_of_the_decoded_vectors():
    rng = np.random.default_rng(2)
    values, scales = rng.standard_normal((3, 7, 8)), rng.uniform(0.5, 1.5, (3, 7)).astype(np.float32)
    weights = np.array([1, 2, 3], np.float32) / 3
    codes = Codes.from_signs(values, scales, weights, n_users=4)
    right = 0.0
    for layer in range(3):
        agree = sum(1 if (values[layer, 1, k] >= 0) == (values[layer, 4 + 2, k] >= 0) else -1 for k in range(8))
        right += weights[layer] ** 2 * scales[layer, 1] * scales[layer, 6] * agree
    exercises.check_bitwise_score(right, codes, 1, 2)
    exercises.check_bitwise_score(round(float(right), 4), codes, 1, 2)
    for wrong in (None, right + 0.01, -right, "much", [right, right]):
        fails(exercises.check_bitwise_score, wrong, codes, 1, 2)
    fails(exercises.check_bitwise_score, right, codes, 1, 1)


def test_scaler_passes_the_least_squares_solution_only():
    def by_least_squares(v):
        signs = np.sign(v)
        return np.array([np.linalg.lstsq(s[:, None], row, rcond=None)[0][0] for s, row in zip(signs, v, strict=True)])

    exercises.check_scaler(by_least_squares)
    wrong = (
        None,
        lambda v: np.sqrt((v**2).mean(axis=1)),
        lambda v: np.abs(v).max(axis=1),
        lambda v: np.median(np.abs(v), axis=1),
        lambda v: 1.01 * by_least_squares(v),
        lambda v: np.abs(v).mean(),
        lambda v: np.abs(v).mean(axis=1, keepdims=True),
        lambda v: 1 / 0,
    )
    for answer in wrong:
        fails(exercises.check_scaler, answer)


def test_scaler_failure_names_a_better_one():
    with pytest.raises(ExerciseFailed, match=r"on row \d the scaler .* has one"):
        exercises.check_scaler(lambda v: np.zeros(len(v)))


def test_stored_bytes_counts_words_and_scalers():
    def by_counting(n, d, n_layers):
        words = 0
        while 64 * words < d:
            words += 1
        return sum(8 * words + 4 for _ in range(n_layers + 1)) * n

    exercises.check_stored_bytes(by_counting)
    assert by_counting(1, 256, 2) == 108
    wrong = (
        None,
        lambda n, d, n_layers: n * (n_layers + 1) * (d // 8 + 4),
        lambda n, d, n_layers: n * (n_layers + 1) * 8 * -(-d // 64),
        lambda n, d, n_layers: n * n_layers * (8 * -(-d // 64) + 4),
        lambda n, d: 0,
        lambda n, d, n_layers: None,
    )
    for answer in wrong:
        fails(exercises.check_stored_bytes, answer)
