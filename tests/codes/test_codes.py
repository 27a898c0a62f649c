import json
import pickle
import zipfile

import numpy as np
import pytest
import torch
from helpers import random_interactions
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from recq_lib.codes.packed import BitCodes, BitScorer
from recq_lib.errors import ConfigError, RecordError
from recq_lib.evaluation.ranking import evaluate
from recq_lib.papers.l2q_gcn import LayerwiseSign

DIMS = (1, 63, 64, 65, 200, 256)


def random_codes(seed=0, n_segments=3, n_nodes=50, dim=70, n_users=20, scaled=True):
    """Vectors [S, N, d], and their codes with the scales and weights of L²Q-GCN (or without)."""
    x = np.random.default_rng(seed).normal(size=(n_segments, n_nodes, dim)).astype(np.float32)
    if not scaled:
        return x, BitCodes.pack(x, n_users=n_users)
    weights = np.arange(1, n_segments + 1) / n_segments
    return x, BitCodes.pack(x, np.abs(x).mean(axis=2), weights, n_users=n_users)


def float_scores(x, codes):
    """Sum over segments of w²·s_u·s_i·<sign, sign> by loops over segments in float64, and the sum of its absolute values."""
    total, size = 0.0, 0.0
    for s in range(x.shape[0]):
        factors = float(codes.weights[s]) * (np.ones(x.shape[1]) if codes.scales is None else codes.scales[s].astype(np.float64))
        signs = np.where(x[s] >= 0, 1, -1)
        part = signs[: codes.n_users] @ signs[codes.n_users :].T * np.outer(factors[: codes.n_users], factors[codes.n_users :])
        total, size = total + part, size + np.abs(part)
    return total, size


class TestPacking:
    @given(st.integers(1, 4), st.integers(0, 5), st.integers(1, 140), st.integers(0, 2**32 - 1))
    def test_unpacked_signs_are_the_signs(self, n_segments, n_nodes, dim, seed):
        x = np.random.default_rng(seed).normal(size=(n_segments, n_nodes, dim))
        codes = BitCodes.pack(x, n_users=n_nodes)
        assert codes.bits.shape == (n_segments, n_nodes, -(-dim // 64)) and codes.unpack().dtype == np.float32
        np.testing.assert_array_equal(codes.unpack(), np.where(x >= 0, 1, -1))

    @given(st.integers(0, 199), st.integers(200, 300))
    def test_bit_k_of_word_w_is_column_64w_plus_k(self, column, dim):
        x = np.full((1, 1, dim), -1.0)
        x[0, 0, column] = 1.0
        bits = BitCodes.pack(x, n_users=0).bits[0, 0]
        assert [int(word) for word in bits] == [1 << (column % 64) if w == column // 64 else 0 for w in range(bits.size)]

    @given(arrays(np.float32, (2, 3, 5), elements=st.sampled_from([0.0, -0.0, 1e-45, -1e-45, 2.0, -2.0, np.inf, -np.inf])))
    def test_zero_of_either_sign_is_plus_one(self, x):
        np.testing.assert_array_equal(BitCodes.pack(x, n_users=1).unpack(), np.where(x < 0, -1, 1))

    @pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16, torch.int8])
    def test_torch_and_numpy_give_the_same_codes(self, dtype):
        x = torch.randint(-3, 4, (2, 6, 70), generator=torch.Generator().manual_seed(0)).to(dtype)
        scales = torch.rand(2, 6)
        a = BitCodes.pack(x.requires_grad_() if dtype.is_floating_point else x, scales, torch.tensor([0.5, 1.0]), n_users=2)
        b = BitCodes.pack(x.detach().double().numpy(), scales.numpy(), [0.5, 1.0], n_users=2)
        for name in ("bits", "scales", "weights"):
            np.testing.assert_array_equal(getattr(a, name), getattr(b, name))
            assert getattr(a, name).dtype == getattr(b, name).dtype

    def test_vectors_are_weight_times_scale_times_sign_side_by_side(self):
        x = np.array([[[1.0, -2.0], [0.5, 0.5]], [[-1.0, 1.0], [3.0, -3.0]]])
        codes = BitCodes.pack(x, [[2.0, 3.0], [5.0, 7.0]], [0.5, 1.0], n_users=1)
        np.testing.assert_array_equal(codes.vectors(), [[1.0, -1.0, -5.0, 5.0], [1.5, 1.5, 7.0, -7.0]])
        plain = BitCodes.pack(x, weights=[0.5, 1.0], n_users=1)
        np.testing.assert_array_equal(plain.vectors(), [[0.5, -0.5, -1.0, 1.0], [0.5, 0.5, 1.0, -1.0]])

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
            ({"weights": np.ones(3)}, "weights are"),
            ({"weights": [1.0, np.nan]}, "weights hold NaN or infinity"),
            ({"n_users": 5}, "n_users is 5, but must lie between 0 and the number of nodes 4"),
            ({"n_users": -1}, "n_users is -1"),
        ):
            with pytest.raises(ConfigError, match=text):
                BitCodes.pack(**good | change)

    def test_parts_that_do_not_fit_are_refused(self):
        bits, weights = np.zeros((1, 2, 2), np.uint64), np.ones(1, np.float32)
        BitCodes(bits, None, weights, 65, 1)
        for arguments, text in (
            ((bits, None, weights, 64, 1), "for dim 64"),
            ((bits, None, weights, 129, 1), "for dim 129"),
            ((bits.view(np.int64), None, weights, 65, 1), "bits are int64"),
            ((bits[0], None, weights, 65, 1), r"shape \(2, 2\)"),
            ((bits[:, :, :0], None, weights, 0, 1), "for dim 0"),
            ((bits + np.uint64(2), None, weights, 65, 1), "behind column 65"),
            ((bits, None, weights.astype(np.float64), 65, 1), "weights are float64"),
        ):
            with pytest.raises(ConfigError, match=text):
                BitCodes(*arguments)


class TestFile:
    @pytest.mark.parametrize("scaled", [True, False])
    @pytest.mark.parametrize("dim", DIMS)
    def test_round_trip_and_size(self, tmp_path, dim, scaled):
        _, codes = random_codes(dim=dim, scaled=scaled)
        path = codes.save(tmp_path / "new" / "codes.npz")
        back = BitCodes.load(path)
        assert (back.dim, back.n_users) == (dim, 20)
        for name in ("bits", "weights") + (("scales",) if scaled else ()):
            np.testing.assert_array_equal(getattr(back, name), getattr(codes, name))
            assert getattr(back, name).dtype == getattr(codes, name).dtype
        assert scaled or back.scales is None
        per_segment = 8 * ((dim + 63) // 64) + (4 if scaled else 0)
        assert codes.n_bytes() == 3 * 50 * per_segment
        assert 0 < BitCodes.file_bytes(path) - codes.n_bytes() < 4096
        assert BitCodes.file_bytes(path) == len(path.read_bytes())

    def test_bytes_of_ml1m_are_those_of_the_closed_form(self):
        """9,992 nodes, d = 256, L = 2: (L+1)·(d + 32) bits per node are 1.079 MB, 9.48 times less than float32 vectors of d."""
        codes = BitCodes(np.zeros((3, 9992, 4), np.uint64), np.zeros((3, 9992), np.float32), np.ones(3, np.float32), 256, 6040)
        assert codes.n_bytes() == 9992 * 3 * (256 + 32) // 8 == 1_079_136
        assert 9992 * 256 * 4 / codes.n_bytes() == pytest.approx(9.48, abs=0.005)

    def test_equal_codes_give_equal_files_and_replace_old_ones(self, tmp_path):
        _, codes = random_codes()
        path = tmp_path / "codes.npz"
        path.write_bytes(b"old")
        first = codes.save(path).read_bytes()
        assert codes.save(str(tmp_path / "again.npz")).read_bytes() == first
        assert sorted(file.name for file in tmp_path.iterdir()) == ["again.npz", "codes.npz"]

    def test_numpy_sizes_can_be_stored(self, tmp_path):
        codes = BitCodes.pack(np.ones((1, 3, 2)), n_users=np.int64(2))
        assert BitCodes.load(codes.save(tmp_path / "c.npz")).n_users == 2

    def test_missing_file_is_named(self, tmp_path):
        for read in (BitCodes.load, BitCodes.file_bytes):
            with pytest.raises(RecordError, match="absent.npz does not exist"):
                read(tmp_path / "absent.npz")

    def test_every_kind_of_damage_is_found(self, tmp_path):
        _, codes = random_codes()
        path = codes.save(tmp_path / "codes.npz")
        good = path.read_bytes()
        middle = good.index(codes.bits.tobytes()) + 100
        for content in (b"", good[: len(good) // 2], b"\x93NUMPY" + good, good[:middle] + bytes([good[middle] ^ 1]) + good[middle + 1 :]):
            path.write_bytes(content)
            with pytest.raises(RecordError, match="codes.npz is damaged"):
                BitCodes.load(path)
        path.write_bytes(pickle.dumps({"bits": 1}))
        with pytest.raises(RecordError, match="is damaged"):
            BitCodes.load(path)

    def test_parts_that_do_not_fit_and_other_formats_are_refused(self, tmp_path):
        _, codes = random_codes(dim=70)
        path = codes.save(tmp_path / "codes.npz")
        with np.load(path) as stored:
            parts = {name: stored[name] for name in stored.files}
        header = json.loads(parts["header"].tobytes())

        def rewritten(change, **other):
            text = np.frombuffer(json.dumps(header | change).encode(), np.uint8)
            np.savez(path, **{n: v for n, v in (parts | {"header": text} | other).items() if v is not None})
            return path

        assert BitCodes.load(rewritten({})).dim == 70
        for change, other, text in (
            ({"format": 2}, {}, "has format 2, this version reads 1"),
            ({"dim": 64}, {}, "damaged .*for dim 64"),
            ({"dim": 66}, {}, "damaged .*behind column 66"),
            ({"dim": "70"}, {}, "damaged"),
            ({"n_users": 51}, {}, "damaged .*n_users is 51"),
            ({"weights": [1.0]}, {}, "damaged .*weights"),
            ({}, {"bits": None}, "damaged .*bits"),
            ({}, {"scales": parts["scales"][:, :9]}, "damaged .*scales"),
        ):
            with pytest.raises(RecordError, match=text):
                BitCodes.load(rewritten(change, **other))

    def test_arrays_lie_uncompressed(self, tmp_path):
        _, codes = random_codes()
        with zipfile.ZipFile(codes.save(tmp_path / "codes.npz")) as archive:
            assert {member.compress_type for member in archive.infolist()} == {zipfile.ZIP_STORED}


class TestScores:
    @pytest.mark.parametrize("scaled", [True, False])
    @pytest.mark.parametrize("n_segments", [1, 2, 3, 4])
    @pytest.mark.parametrize("dim", DIMS)
    def test_bits_score_like_floats(self, dim, n_segments, scaled):
        x, codes = random_codes(dim=dim, n_segments=n_segments, scaled=scaled)
        got = BitScorer(codes).score_block(np.arange(20, dtype=np.int32))
        expected, size = float_scores(x, codes)
        assert got.dtype == np.float32 and got.shape == (20, 30)
        assert (np.abs(got - expected) <= 1e-6 * size).all()

    def test_positive_sums_agree_to_1e_5_relative(self):
        """Nodes near a common vector: nothing cancels, and the error is relative to the score itself."""
        rng = np.random.default_rng(0)
        x = (rng.normal(size=(3, 1, 256)) + 0.3 * rng.normal(size=(3, 60, 256))).astype(np.float32)
        codes = BitCodes.pack(x, np.abs(x).mean(axis=2), [1 / 3, 2 / 3, 1], n_users=25)
        np.testing.assert_allclose(BitScorer(codes).score_block(np.arange(25)), float_scores(x, codes)[0], rtol=1e-5)

    def test_rows_with_scale_zero_score_zero_whatever_their_bits(self):
        x = np.random.default_rng(0).normal(size=(2, 12, 65)).astype(np.float32)
        x[:, [2, 9]] = [[[0.0]], [[-0.0]]]  # isolated: a user and an item
        codes = BitCodes.pack(x, np.abs(x).mean(axis=2), n_users=5)
        assert (codes.unpack()[:, [2, 9]] == 1).all() and (codes.vectors()[[2, 9]] == 0).all()
        got = BitScorer(codes).score_block(np.arange(5))
        assert (got[2] == 0).all() and (got[:, 4] == 0).all()
        assert (np.delete(np.delete(got, 2, 0), 4, 1) != 0).any()

    def test_users_may_come_in_any_order(self):
        _, codes = random_codes()
        scorer = BitScorer(codes)
        users = np.array([7, 0, 19, 7], np.int32)
        np.testing.assert_array_equal(scorer.score_block(users), scorer.score_block(np.arange(20))[users])

    def test_bytes_are_those_of_the_codes(self):
        _, codes = random_codes()
        assert BitScorer(codes).n_bytes() == {"parameters": 0, "stored": codes.n_bytes()}

    @pytest.mark.parametrize("n_users", [0, 50])
    def test_one_side_alone_cannot_be_scored(self, n_users):
        _, codes = random_codes(n_users=n_users)
        with pytest.raises(ConfigError, match="at least one of each"):
            BitScorer(codes)

    @pytest.mark.parametrize(("scaled", "dim"), [(True, 64), (True, 70), (False, 8)])
    def test_evaluation_gives_the_same_hits_as_float_vectors(self, scaled, dim):
        """Without scales scores are small integers, full of ties and exact in both; with scales there are no ties."""
        data = random_interactions(n_users=60, n_items=90, n_pairs=1200, test=300, seed=3)
        _, codes = random_codes(n_nodes=150, dim=dim, n_users=60, scaled=scaled, seed=5)
        vectors = torch.from_numpy(codes.vectors())
        a = evaluate(BitScorer(codes), data, ks=(5, 20))
        b = evaluate((vectors[:60], vectors[60:]), data, ks=(5, 20))
        np.testing.assert_array_equal(a.top, b.top)
        np.testing.assert_array_equal(a.hits, b.hits)
        assert a.values == b.values and a.values["recall@20"] > 0
