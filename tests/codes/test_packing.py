import numpy as np
import pytest
import torch
from helpers import naive_ranking

from recq_lib.codes.codes import Codes
from recq_lib.codes.packing import pack
from recq_lib.errors import ConfigError


def vectors(n=40, dim=48, seed=0, heavy=False):
    rng = np.random.default_rng(seed)
    x = rng.standard_t(3, size=(n, dim)) if heavy else rng.normal(size=(n, dim))
    return x * rng.uniform(0.01, 10, size=(n, 1))


def errors(x, codes):
    """‖v - s·c‖² / ‖v‖² of every row."""
    return np.square(codes.vectors() - x).sum(axis=1) / np.square(x).sum(axis=1)


def test_one_bit_is_sign_and_mean_absolute_value():
    x = vectors()
    codes = pack(x[:15], x[15:])
    assert (codes.bits, codes.n_segments, codes.dim, codes.n_users, codes.n_items) == (1, 1, 48, 15, 25)
    for row, v, s in zip(codes.values()[0], x, codes.scales[0], strict=True):
        assert row.tolist() == [1 if value >= 0 else -1 for value in v]
        assert s == pytest.approx(sum(abs(value) for value in v) / 48, rel=1e-6)
    assert codes.n_bytes() == 40 * (8 + 4)


@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("bits", range(1, 9))
def test_the_scale_is_the_least_squares_optimum(bits, heavy):
    x = vectors(heavy=heavy)
    codes = pack(x[:20], x[20:], bits)
    for c, v, s in zip(codes.values()[0].astype(np.float64), x, codes.scales[0], strict=True):
        assert s == pytest.approx(np.linalg.lstsq(c[:, None], v, rcond=None)[0][0], rel=1e-6)


@pytest.mark.parametrize("heavy", [False, True])
def test_the_error_falls_with_every_bit_of_every_row(heavy):
    x = vectors(heavy=heavy)
    by_bits = np.stack([errors(x, pack(x[:20], x[20:], bits)) for bits in range(1, 9)])
    assert (np.diff(by_bits, axis=0) < 0).all()
    if not heavy:
        np.testing.assert_allclose(by_bits[[0, 1, 3]].mean(axis=1), [0.36, 0.115, 0.0085], rtol=0.1)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_clip_range_is_better_than_the_whole_row_and_close_to_the_best(bits):
    """Against ranges from 5 % to 130 % of the largest entry on a fine grid, with codes by hand."""
    x, top = vectors(n=12, seed=3), 2**bits - 1
    got, whole, best = errors(x, pack(x[:6], x[6:], bits)), [], []
    for v in x:
        left = []
        for share in (1.0, *np.linspace(0.05, 1.3, 251)):
            c = np.clip(2 * np.floor(v * top / (share * np.abs(v).max()) / 2) + 1, -top, top)
            left.append(1 - (v @ c) ** 2 / (c @ c) / (v @ v))
        whole.append(left[0])
        best.append(min(left))
    assert (got <= np.array(whole) * (1 + 1e-5)).all() and (got <= 1.5 * np.array(best)).all()
    assert np.mean(got) <= 1.25 * np.mean(best)  # the finest of 252 ranges also picks up luck
    if bits <= 3:
        assert np.mean(got) < 0.9 * np.mean(whole)


def test_eight_bits_reproduce_the_vectors():
    """Levels over the whole row are 2·max|v|/255 apart, so no row's root mean square error exceeds max|v|/255."""
    x = np.concatenate([vectors(), vectors(heavy=True, seed=1), vectors(n=3, dim=48) ** 3])
    back = pack(x[:20], x[20:], 8).vectors()
    assert (np.sqrt(np.square(back - x).mean(axis=1)) <= np.abs(x).max(axis=1) / 255 * (1 + 1e-6)).all()


@pytest.mark.parametrize("bits", [1, 2, 8])
def test_zero_and_constant_rows(bits):
    x = np.array([[0.0] * 5, [-0.0] * 5, [2.5] * 5, [-1e-3] * 5, [3.0, -3.0, 3.0, 3.0, -3.0], [1e30] * 5])
    codes = pack(x[:3], x[3:], bits)
    np.testing.assert_allclose(codes.vectors(), x, rtol=1e-6)
    assert (codes.scales[0, :2] == 0).all() and (codes.values()[0, :2] > 0).all()
    assert (codes.search([0], k=2)[1][0] == 0).all()


@pytest.mark.parametrize("bits", [1, 3])
def test_torch_numpy_and_types_give_the_same_codes(bits):
    x = np.round(vectors() * 4) / 4  # exact in every type
    expected = pack(x[:15], x[15:], bits)
    half = torch.from_numpy(x).to(torch.bfloat16)
    for users, items in (
        (x[:15].astype(np.float32), x[15:].astype(np.float32)),
        (torch.from_numpy(x[:15]).requires_grad_(), torch.from_numpy(x[15:])),
        (x[:15].tolist(), x[15:]),
        (np.asfortranarray(x)[:15], x[15:]),
    ):
        assert pack(users, items, bits) == expected
    assert pack(half[:15], half[15:], bits) == pack(half[:15].float(), half[15:].float(), bits)
    assert pack(np.array([[1, 2]]), np.array([[3, -4]]), bits) == pack(np.array([[1.0, 2.0]]), np.array([[3.0, -4.0]]), bits)


def test_many_rows_are_packed_as_few(monkeypatch):
    x = vectors()
    whole = pack(x[:15], x[15:], 4)
    monkeypatch.setattr("recq_lib.codes.packing._ROWS_BYTES", 3 * 48 * 8)
    assert pack(x[:15], x[15:], 4) == whole
    for u in range(0, 15, 7):
        assert np.array_equal(pack(x[u : u + 1], x[15:16], 4).planes[0, 0], whole.planes[0, u])


def test_sides_may_be_empty():
    codes = pack(np.zeros((0, 4)), np.ones((2, 4)), 2)
    assert (codes.n_users, codes.n_items) == (0, 2) and isinstance(codes, Codes)


@pytest.mark.parametrize("bits", [6, 8])
def test_search_in_many_bits_finds_what_the_floats_find(bits):
    x = vectors(n=300, dim=64, seed=5) / 10
    exact, codes = x[:20] @ x[20:].T, pack(x[:20], x[20:], bits)
    ids, _ = codes.search(np.arange(20), k=10)
    place = np.arange(280)
    agree = np.mean([len(set(found) & set(naive_ranking(row, set(), 10, place))) / 10 for found, row in zip(ids, exact, strict=True)])
    assert agree >= (0.97 if bits == 8 else 0.93)


def test_unusable_input_is_named():
    x = np.ones((3, 4))
    for users, items, bits, text in (
        (x, x[:, :3], 1, "user vectors have width 4, item vectors 3"),
        (x[0], x, 1, r"user vectors have shape \(4,\), but must be \[n, d\]"),
        (x, x[:, :0], 1, r"item vectors have shape \(3, 0\)"),
        (x, x * np.nan, 1, "item vectors hold NaN or infinity"),
        (x * np.inf, x, 8, "user vectors hold NaN or infinity"),
        (x > 0, x, 1, "user vectors are bool"),
        (x.astype(str), x, 1, "user vectors are <U"),
        (x * 1e200, x, 2, "scales hold NaN or infinity"),
        (x, x, 0, "bits is 0, but must be a whole number from 1 to 8"),
        (x, x, 9, "bits is 9"),
        (x, x, True, "bits is True"),
        (x, x, 2.0, "bits is 2.0"),
        (np.ones((1, 33_026)), np.ones((1, 33_026)), 8, "33026 columns of 8 bits"),
    ):
        with pytest.raises(ConfigError, match=text):
            pack(users, items, bits)
