import doctest
import importlib
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recq_lib.codes.codes import Codes
from recq_lib.codes.packing import pack
from recq_lib.codes.planes import stored_bytes, top_level
from recq_lib.errors import ConfigError
from recq_lib.io.frozen import fixed
from recq_lib.papers.l2q_gcn import LayerwiseSign


@pytest.mark.parametrize("module", ["codes", "packing"])
def test_the_examples_in_the_docstrings_run(module):
    result = doctest.testmod(importlib.import_module(f"recq_lib.codes.{module}"))
    assert result.attempted >= 6 and result.failed == 0


class TestSigns:
    @given(st.integers(1, 4), st.integers(0, 5), st.integers(1, 140), st.integers(0, 2**32 - 1))
    def test_values_are_the_signs(self, n_segments, n_nodes, dim, seed):
        x = np.random.default_rng(seed).normal(size=(n_segments, n_nodes, dim))
        codes = Codes.from_signs(x, n_users=n_nodes)
        assert codes.planes.shape == (n_segments, n_nodes, 1, -(-dim // 64)) and codes.bits == 1
        np.testing.assert_array_equal(codes.values(), np.where(x >= 0, 1, -1))

    @given(st.integers(0, 199), st.integers(200, 300))
    def test_bit_k_of_word_w_is_column_64w_plus_k(self, column, dim):
        x = np.full((1, 1, dim), -1.0)
        x[0, 0, column] = 1.0
        words = Codes.from_signs(x, n_users=0).planes[0, 0, 0]
        assert [int(word) for word in words] == [1 << (column % 64) if w == column // 64 else 0 for w in range(words.size)]

    @given(arrays(np.float32, (2, 3, 5), elements=st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 2.0, -2.0, np.inf, -np.inf])))
    def test_zero_of_either_sign_is_plus_one(self, x):
        np.testing.assert_array_equal(Codes.from_signs(x, n_users=1).values(), np.where(x < 0, -1, 1))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int8])
    def test_torch_and_numpy_give_the_same_codes(self, dtype):
        x = torch.randint(-3, 4, (2, 6, 70), generator=torch.Generator().manual_seed(0)).to(dtype)
        scales = torch.rand(2, 6)
        a = Codes.from_signs(x.requires_grad_() if dtype.is_floating_point else x, scales, torch.tensor([0.5, 1.0]), n_users=2)
        b = Codes.from_signs(x.detach().double().numpy(), scales.numpy(), [0.5, 1.0], n_users=2)
        for name in ("planes", "scales", "weights"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            assert getattr(a, name).dtype == getattr(b, name).dtype
        assert a == b

    def test_vectors_are_weight_times_scale_times_sign_side_by_side(self):
        x = np.array([[[1.0, -2.0], [0.5, 0.5]], [[-1.0, 1.0], [3.0, -3.0]]])
        codes = Codes.from_signs(x, [[2.0, 3.0], [5.0, 7.0]], [0.5, 1.0], n_users=1)
        np.testing.assert_array_equal(codes.vectors(), [[1.0, -1.0, -5.0, 5.0], [1.5, 1.5, 7.0, -7.0]])
        plain = Codes.from_signs(x, weights=[0.5, 1.0], n_users=1)
        np.testing.assert_array_equal(plain.vectors(), [[0.5, -0.5, -1.0, 1.0], [0.5, 0.5, 1.0, -1.0]])
        assert codes.vectors().dtype == np.float32

    @pytest.mark.parametrize("scaler", ["alpha", "constant"])
    def test_vectors_equal_the_readout_that_was_trained(self, scaler):
        layers = torch.randn(3, 9, 70, generator=torch.Generator().manual_seed(1))
        readout = LayerwiseSign(scaler=scaler)
        codes = readout.codes(layers, n_users=4)
        np.testing.assert_allclose(codes.vectors(), readout(layers).numpy(), rtol=3e-7)
        assert codes.n_bytes() == readout.n_bytes(9, 70, 2)

    def test_unusable_input_is_named(self):
        x = np.ones((2, 4, 3), np.float32)
        nan = x.copy()
        nan[1, 2, 0] = np.nan
        good = {"values": x, "n_users": 2}
        for change, text in (
            ({"values": x[0]}, r"shape \(4, 3\), but must be \[S, N, d\]"),
            ({"values": x[:, :, :0]}, r"\(2, 4, 0\)"),
            ({"values": x > 0}, "are bool"),
            ({"values": x.astype(np.uint8)}, "are uint8"),
            ({"values": nan}, "hold NaN"),
            ({"scales": np.ones(4)}, r"scales are float32 of shape \(4,\), but must be float32 of shape \(2, 4\)"),
            ({"scales": np.full((2, 4), np.inf)}, "scales hold NaN or infinity"),
            ({"scales": np.full((2, 4), 1e39)}, "scales hold NaN or infinity"),
            ({"weights": np.ones(3)}, "weights are"),
            ({"weights": [1.0, np.nan]}, "weights hold NaN or infinity"),
            ({"n_users": 5}, "n_users is 5, but must be a whole number from 0 to 4"),
            ({"n_users": -1}, "n_users is -1"),
        ):
            with pytest.raises(ConfigError, match=text):
                Codes.from_signs(**good | change)


class TestLevels:
    @given(st.integers(1, 8), st.integers(1, 3), st.integers(0, 5), st.integers(1, 140), st.integers(0, 2**32 - 1))
    def test_values_come_back(self, bits, n_segments, n_nodes, dim, seed):
        levels = 2 * np.random.default_rng(seed).integers(0, 2**bits, (n_segments, n_nodes, dim)) - (2**bits - 1)
        codes = Codes.from_levels(levels, bits, n_users=n_nodes)
        assert codes.planes.shape == (n_segments, n_nodes, bits, -(-dim // 64)) and codes.bits == bits
        assert codes.values().dtype == np.int16
        np.testing.assert_array_equal(codes.values(), levels)

    @pytest.mark.parametrize("bits", [1, 2, 8])
    def test_planes_hold_the_bits_of_the_codes(self, bits):
        """Each column back from its planes, lowest first, bit by bit; columns behind the last are 0."""
        levels = 2 * np.random.default_rng(1).integers(0, 2**bits, (1, 3, 70)) - (2**bits - 1)
        planes = Codes.from_levels(levels, bits, n_users=1).planes[0]
        for n in range(3):
            numbers = [sum((int(planes[n, m, k // 64]) >> (k % 64) & 1) << m for m in range(bits)) for k in range(128)]
            assert [2 * q - (2**bits - 1) for q in numbers[:70]] == levels[0, n].tolist() and not any(numbers[70:])

    @pytest.mark.parametrize("bits", range(1, 9))
    def test_a_code_is_the_weighted_sum_of_its_planes_read_as_signs(self, bits):
        """The identity that the kernel rests on: c = Σ_m 2^m·s^(m)."""
        levels = 2 * np.random.default_rng(bits).integers(0, 2**bits, (1, 4, 90)) - (2**bits - 1)
        planes = Codes.from_levels(levels, bits, n_users=1).planes
        signs = [Codes(planes[:, :, m : m + 1].copy(), None, np.ones(1, np.float32), 90, 1).values() for m in range(bits)]
        np.testing.assert_array_equal(sum(2**m * s.astype(int) for m, s in enumerate(signs)), levels)

    @pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int64])
    def test_one_bit_levels_are_the_codes_of_their_signs(self, dtype):
        levels = (2 * np.random.default_rng(0).integers(0, 2, (2, 5, 70)) - 1).astype(dtype)
        assert Codes.from_levels(levels, 1, n_users=2) == Codes.from_signs(levels, n_users=2)
        assert Codes.from_levels(torch.from_numpy(levels), 1, n_users=2) == Codes.from_signs(levels.astype(float), n_users=2)

    def test_bad_codes_are_refused(self):
        levels = (2 * np.random.default_rng(0).integers(0, 4, (1, 13, 64)) - 3).astype(np.int16)
        for broken, message in (
            (levels * 2, "odd integers from -3 to 3"),
            (levels + np.int16(4), "odd integers"),
            (levels - np.int16(4), "odd integers"),
            (levels * np.int16(0), "odd integers"),
            (levels.astype(np.float32), "codes are float32, but must be signed integers"),
            (levels.astype(np.uint8), "signed integers"),
            (levels > 0, "signed integers"),
            (levels[0], r"shape \(13, 64\), but must be \[S, N, d\]"),
            (levels[:, :, :0], "shape"),
        ):
            with pytest.raises(ConfigError, match=message):
                Codes.from_levels(broken, 2, n_users=1)
        for bits in (0, 9, True, 2.0):
            with pytest.raises(ConfigError, match="whole number from 1 to 8"):
                Codes.from_levels(levels, bits, n_users=1)
        with pytest.raises(ConfigError, match="33026 columns of 8 bits give scores beyond 32-bit"):
            Codes.from_levels(np.ones((1, 1, 33_026), np.int16), 8, n_users=1)
        assert [top_level(bits) for bits in range(1, 9)] == [1, 3, 7, 15, 31, 63, 127, 255]


class TestWhole:
    def test_parts_that_do_not_fit_are_refused(self):
        planes, weights = np.zeros((1, 2, 1, 2), np.uint64), np.ones(1, np.float32)
        Codes(planes, None, weights, 65, 1)
        for arguments, text in (
            ((planes, None, weights, 64, 1), "for dim 64"),
            ((planes, None, weights, 129, 1), "for dim 129"),
            ((planes.view(np.int64), None, weights, 65, 1), "planes are int64"),
            ((planes[0], None, weights, 65, 1), r"shape \(2, 1, 2\)"),
            ((planes[:, :, :, :0], None, weights, 0, 1), "dim is 0"),
            ((planes[:, :, :0], None, weights, 65, 1), "bits is 0"),
            ((planes.repeat(9, axis=2), None, weights, 65, 1), "bits is 9"),
            ((planes + np.uint64(2), None, weights, 65, 1), "behind column 65"),
            ((planes, None, weights.astype(np.float64), 65, 1), "weights are float64"),
        ):
            with pytest.raises(ConfigError, match=text):
                Codes(*arguments)

    @pytest.mark.parametrize("part", ["planes", "scales", "weights", "n_users", "dim", "no scales"])
    def test_equal_means_equal_in_every_part(self, part):
        def make(change=None):
            x, scales, weights = np.full((1, 3, 65), -1.0), np.ones((1, 3)), np.ones(1)
            if change == "planes":
                x[0, 2, 64] = 1.0
            if change == "scales":
                scales[0, 1] = 2.0
            if change == "weights":
                weights[0] = 2.0
            x = x[:, :, :64] if change == "dim" else x
            return Codes.from_signs(x, None if change == "no scales" else scales, weights, n_users=2 if change == "n_users" else 1)

        assert make() == make() and make(part) == make(part)
        assert make() != make(part) and make() != "codes"

    def test_the_arrays_are_its_own(self):
        planes, scales, weights = np.ones((1, 2, 1, 1), np.uint64), np.ones((1, 2), np.float32), np.ones(1, np.float32)
        codes = Codes(planes, scales, weights, np.int64(3), np.int64(1))
        planes[:], scales[:], weights[:] = 0, 0, 0
        assert codes.factors().tolist() == [[1, 1]] and codes.values()[0].tolist() == [[1, -1, -1]] * 2
        assert type(codes.n_users) is int and type(codes.dim) is int
        with pytest.raises(ValueError, match="read-only"):
            codes.planes[:] = 0

    def test_planes_that_were_made_here_are_not_copied(self, monkeypatch, tmp_path):
        from recq_lib.codes import codes as module

        taken = []
        monkeypatch.setattr(module, "fixed", lambda values: taken.append((values, fixed(values))) or taken[-1][1])
        codes = pack(np.ones((2, 70)), np.ones((3, 70)), bits=np.int64(4))
        Codes.load(codes.save(tmp_path / "codes"))
        Codes.from_signs(np.ones((1, 2, 3)), n_users=1)
        planes = [(given, kept) for given, kept in taken if given.dtype == np.uint64]
        assert len(planes) == 3 and all(given is kept for given, kept in planes)

    def test_type_hints_resolve_without_torch(self):
        program = """
import sys, typing
from recq_lib.codes.codes import Codes
from recq_lib.codes.packing import pack
for function in (pack, Codes.from_signs, Codes.from_levels, Codes.search, Codes.best, Codes):
    assert typing.get_type_hints(function), function
assert "torch" not in sys.modules
"""
        subprocess.run([sys.executable, "-c", program], check=True)

    def test_it_says_what_it_is(self):
        codes = Codes.from_levels(np.ones((3, 7, 70), int), 4, np.ones((3, 7)), n_users=1)
        assert repr(codes) == "Codes(4 bits, 3 segments of 70 columns, 1 user, 6 items, scaled, 1,428 bytes)"

    @pytest.mark.parametrize("scaled", [True, False])
    @pytest.mark.parametrize(("bits", "n_segments", "dim"), [(1, 1, 64), (1, 3, 65), (2, 1, 1), (5, 2, 128), (8, 3, 200)])
    def test_bytes_are_words_of_planes_and_scales(self, bits, n_segments, dim, scaled):
        levels = np.ones((n_segments, 11, dim), int)
        codes = Codes.from_levels(levels, bits, np.ones((n_segments, 11)) if scaled else None, n_users=4)
        expected = 11 * n_segments * (8 * bits * ((dim + 63) // 64) + (4 if scaled else 0))
        assert codes.n_bytes() == stored_bytes(11, dim, bits=bits, n_segments=n_segments, scaled=scaled) == expected

    def test_bytes_of_ml1m_are_those_of_the_closed_form(self):
        """9,992 nodes, d = 256, L = 2: (L+1)·(d + 32) bits per node are 1.079 MB, 9.48 times less than float32 vectors of d."""
        codes = Codes(np.zeros((3, 9992, 1, 4), np.uint64), np.zeros((3, 9992), np.float32), np.ones(3, np.float32), 256, 6040)
        assert codes.n_bytes() == 9992 * 3 * (256 + 32) // 8 == 1_079_136
        assert 9992 * 256 * 4 / codes.n_bytes() == pytest.approx(9.48, abs=0.005)
