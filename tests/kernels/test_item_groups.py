"""Codes as the scoring kernel reads them: every word is read back by itself, and what the kernel could not read is refused."""

from __future__ import annotations

import numpy as np
import pytest
from code_oracle import random_side

from recq_lib.errors import ConfigError
from recq_lib.kernels.item_groups import Form, _lay_items, _lay_users, group_items, lay_users

DIMS = (1, 7, 8, 9, 63, 64, 65, 130)


def unsigned_of(words: np.ndarray, form: Form) -> np.ndarray:
    """q [n, d] from the words of items [n, item_words] of one segment; the last word, of sums, is not looked at."""
    q = np.zeros((len(words), form.dim), np.int64)
    for k in range(form.dim):
        if form.bits <= 3:
            for m in range(form.bits):
                q[:, k] |= (words[:, 2 * m * form.n_words + k // 32].astype(np.int64) >> (k % 32) & 1) << m
        elif form.bits == 4:
            byte = words[:, k // 8].astype(np.int64) >> (8 * (k % 4)) & 255
            q[:, k] = byte >> 4 if k % 8 >= 4 else byte & 15
        else:
            q[:, k] = words[:, k // 4].astype(np.int64) >> (8 * (k % 4)) & 255
    return q


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("dim", DIMS)
def test_items_are_read_back(rng, bits, dim):
    item, rows = random_side(rng, 2, 90, dim, bits), rng.permutation(90)[:70]
    items = group_items(item.planes, item.factors[:, rows], dim, rows)
    form, top = items.form, 2**bits - 1
    assert form == Form(bits, dim, -(-dim // 64)) and items.n_items == 70 and form.largest == dim * top**2
    assert items.words.shape == (2, 2, form.item_words, 64) and items.words.dtype == np.uint32
    side_by_side = items.words.transpose(1, 0, 3, 2).reshape(2, 128, -1)  # a row per item
    for s in range(2):
        q = unsigned_of(side_by_side[s, :70], form)
        np.testing.assert_array_equal(2 * q - top, item.levels[s, rows])
        if bits >= 4:
            np.testing.assert_array_equal(side_by_side[s, :70, -1], 2 * q.sum(axis=1))
    assert not side_by_side[:, 70:].any()
    factors = items.factors.transpose(1, 0, 2).reshape(2, 128)
    np.testing.assert_array_equal(factors[:, :70], item.factors[:, rows])
    assert not factors[:, 70:].any()


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("dim", DIMS)
def test_users_are_read_back(rng, bits, dim):
    user, rows = random_side(rng, 2, 9, dim, bits), np.array([3, 0, 8, 3])
    users = lay_users(user.planes, user.factors[:, rows], dim, rows)
    assert users.words.shape == (4, 2, users.form.user_words) and users.words.dtype == np.uint32
    np.testing.assert_array_equal(users.factors, user.factors[:, rows].T)
    for s in range(2):
        words = users.words[:, s]
        if bits <= 3:
            np.testing.assert_array_equal(2 * unsigned_of(words, users.form) - (2**bits - 1), user.levels[s, rows])
            continue
        signed = np.ascontiguousarray(words[:, :-1]).astype("<u4").view(np.int8).astype(np.int64)  # t = (c - 1)/2
        np.testing.assert_array_equal(2 * signed[:, :dim] + 1, user.levels[s, rows])
        assert not signed[:, dim:].any()
        np.testing.assert_array_equal(words[:, -1].view(np.int32), -(2**bits - 1) * user.levels[s, rows].sum(axis=1))


def test_up_to_four_bits_take_no_more_room_than_they_have_and_wider_codes_a_byte():
    for bits in range(1, 9):
        form = Form(bits, 256, 4)
        assert 4 * form.item_words == 256 // 8 * (bits if bits <= 4 else 8) + (4 if bits >= 4 else 0)


@pytest.mark.parametrize("n", [0, 1, 63, 64, 65, 128, 129])
def test_groups_at_the_multiples_of_64(rng, n):
    item = random_side(rng, 1, n, 5)
    items = group_items(item.planes, item.factors, 5)
    assert items.words.shape[0] == items.factors.shape[0] == -(-n // 64) and items.n_items == n
    assert lay_users(item.planes, item.factors, 5).words.shape[0] == n


def test_one_compilation_reads_arrays_of_any_order_and_kind(rng):
    """Read-only or not, rows of a table or every other row: the kernels see one type."""
    item = random_side(rng, 2, 80, 70, 2)
    expected = group_items(item.planes, item.factors, 70), lay_users(item.planes, item.factors, 70)
    before = len(_lay_items.signatures), len(_lay_users.signatures)
    fixed = [part.copy() for part in item[1:]]
    wide = [np.repeat(part, 2, axis=1) for part in item[1:]]
    for part in fixed:
        part.setflags(write=False)
    sides = [fixed, [part[:, ::2] for part in wide], [np.asfortranarray(part) for part in item[1:]]]
    for planes, factors in sides:
        for rows in (None, np.arange(80, dtype=np.int32), np.arange(80).tolist(), np.arange(160)[::2] // 2):
            for got, wanted in zip((lay(planes, factors, 70, rows) for lay in (group_items, lay_users)), expected, strict=True):
                np.testing.assert_array_equal(got.words, wanted.words)
                np.testing.assert_array_equal(got.factors, wanted.factors)
                assert got.factors.flags.c_contiguous
    assert (len(_lay_items.signatures), len(_lay_users.signatures)) == before


@pytest.mark.parametrize("lay, side", [(group_items, "item"), (lay_users, "user")])
def test_wrong_arguments_are_named(rng, lay, side):
    _, planes, factors = random_side(rng, 2, 5, 70)
    for (its, its_factors, dim, rows), text in (
        ((planes.view(np.int64), factors, 70, None), f"{side} planes are int64"),
        ((planes.astype(">u8"), factors, 70, None), f"{side} planes are >u8"),
        ((planes[0], factors, 70, None), rf"{side} planes are uint64 of shape \(5, 1, 2\)"),
        ((planes[:, :, :0], factors, 70, None), rf"{side} planes are uint64 of shape \(2, 5, 0, 2\)"),
        ((planes[:0], factors, 70, None), rf"{side} planes are uint64 of shape \(0, 5, 1, 2\)"),
        ((planes.repeat(9, axis=2), factors, 70, None), r"of shape \(2, 5, 9, 2\), but .* b at most 8"),
        ((planes, factors.astype(np.float64), 70, None), f"{side} factors are float64"),
        ((planes, factors[:, :4], 70, None), rf"{side} factors are float32 of shape \(2, 4\)"),
        ((planes, factors, 70, [0, 1]), rf"{side} factors are float32 of shape \(2, 5\), but must be float32 of shape \(2, 2\)"),
        ((planes, factors, 64, None), "dim is 64, but codes of 2 words hold 65 to 128"),
        ((planes, factors, 129, None), "dim is 129"),
        ((planes, factors[:, :1], 70, [5]), f"{side} rows are int64 .* from 0 to 4"),
        ((planes, factors[:, :1], 70, [-1]), f"{side} rows are"),
        ((planes, factors[:, :1], 70, [0.5]), f"{side} rows are float64"),
        ((planes, factors[:, :1], 70, [True]), f"{side} rows are bool"),
        ((planes, factors[:, :1], 70, [[0]]), rf"{side} rows are int64 of shape \(1, 1\)"),
    ):
        with pytest.raises(ConfigError, match=text):
            lay(its, its_factors, dim, rows)
    with pytest.raises(ConfigError, match="33026 columns of 8 bits give scores beyond 32-bit"):
        lay(np.zeros((1, 1, 8, 517), np.uint64), np.ones((1, 1), np.float32), 33_026)
