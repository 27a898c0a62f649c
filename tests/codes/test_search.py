import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import naive_ranking, random_interactions
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.codes import search as module
from recq_lib.codes.codes import Codes
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import evaluate, rank

DIMS = (1, 63, 64, 65, 200, 256)


def random_codes(bits=1, n_segments=3, n_nodes=50, dim=70, n_users=20, scaled=True, weights=True, seed=0):
    rng = np.random.default_rng(seed)
    levels = 2 * rng.integers(0, 2**bits, (n_segments, n_nodes, dim)) - (2**bits - 1)
    scales = rng.uniform(0.5, 1.5, (n_segments, n_nodes)) if scaled else None
    return Codes.from_levels(levels, bits, scales, np.arange(1, n_segments + 1) / n_segments if weights else None, n_users=n_users)


def float_scores(codes):
    """Inner products of the vectors by loops over nodes in float64, and the sums of their absolute values."""
    z, n = codes.vectors().astype(np.float64), codes.n_users
    scores, sizes = np.zeros((n, codes.n_items)), np.zeros((n, codes.n_items))
    for u in range(n):
        for i in range(codes.n_items):
            products = z[u] * z[n + i]
            scores[u, i], sizes[u, i] = products.sum(), np.abs(products).sum()
    return scores, sizes


def position_of(n_items, seed=0):
    place = np.empty(n_items, int)
    place[np.random.default_rng(seed).permutation(n_items)] = np.arange(n_items)
    return place


class TestScores:
    @pytest.mark.parametrize("scaled", [True, False])
    @pytest.mark.parametrize("n_segments", [1, 2, 3, 4])
    @pytest.mark.parametrize("dim", DIMS)
    def test_bits_score_like_floats(self, dim, n_segments, scaled):
        codes = random_codes(dim=dim, n_segments=n_segments, scaled=scaled)
        got = codes.scores(np.arange(20, dtype=np.int32))
        expected, size = float_scores(codes)
        assert got.dtype == np.float32 and got.shape == (20, 30)
        assert (np.abs(got - expected) <= 1e-6 * size).all()

    @given(st.integers(1, 8), st.integers(1, 3), st.integers(1, 140), st.booleans(), st.integers(0, 2**32 - 1))
    def test_any_codes_score_like_floats(self, bits, n_segments, dim, scaled, seed):
        codes = random_codes(bits, n_segments, 9, dim, 3, scaled, seed=seed)
        expected, size = float_scores(codes)
        assert (np.abs(codes.scores([0, 1, 2]) - expected) <= 1e-6 * size).all()

    @pytest.mark.parametrize("bits", range(1, 9))
    @pytest.mark.parametrize("dim", [1, 63, 64, 65, 130])
    def test_without_scales_scores_are_the_integers(self, bits, dim):
        codes = random_codes(bits, 1, 73, dim, 13, scaled=False, weights=False, seed=dim)
        levels, chosen = codes.values()[0].astype(np.int64), np.array([3, 0, 12, 3])
        np.testing.assert_array_equal(codes.scores(chosen), levels[chosen] @ levels[13:].T)

    def test_extreme_codes_do_not_overflow(self):
        levels = np.stack([np.full(256, 255), np.full(256, 255), np.full(256, -255)])[None]
        codes = Codes.from_levels(levels, 8, n_users=1)
        assert codes.scores([0]).tolist() == [[16646400.0, -16646400.0]]  # below 2^24

    def test_positive_sums_agree_to_1e_5_relative(self):
        """Nodes near a common vector: nothing cancels, and the error is relative to the score itself."""
        rng = np.random.default_rng(0)
        x = (rng.normal(size=(3, 1, 256)) + 0.3 * rng.normal(size=(3, 60, 256))).astype(np.float32)
        codes = Codes.from_signs(x, np.abs(x).mean(axis=2), [1 / 3, 2 / 3, 1], n_users=25)
        np.testing.assert_allclose(codes.scores(np.arange(25)), float_scores(codes)[0], rtol=1e-5)

    def test_rows_with_scale_zero_score_zero_whatever_their_bits(self):
        x = np.random.default_rng(0).normal(size=(2, 12, 65)).astype(np.float32)
        x[:, [2, 9]] = [[[0.0]], [[-0.0]]]  # isolated: a user and an item
        codes = Codes.from_signs(x, np.abs(x).mean(axis=2), n_users=5)
        assert (codes.values()[:, [2, 9]] == 1).all() and (codes.vectors()[[2, 9]] == 0).all()
        got = codes.scores(np.arange(5))
        assert (got[2] == 0).all() and (got[:, 4] == 0).all()
        assert (np.delete(np.delete(got, 2, 0), 4, 1) != 0).any()

    def test_users_may_come_in_any_order_and_form(self):
        codes = random_codes()
        users = np.array([7, 0, 19, 7], np.int32)
        whole = codes.scores(np.arange(20))
        for given_as in (users, users.tolist(), users.astype(np.uint64), torch.from_numpy(users)):
            np.testing.assert_array_equal(codes.scores(given_as), whole[users])
        assert codes.scores([]).shape == (0, 30)

    @pytest.mark.parametrize("n_users", [0, 50])
    def test_one_side_alone_cannot_be_scored(self, n_users):
        codes = random_codes(n_users=n_users)
        for call in (codes.scores, codes.search):
            with pytest.raises(ConfigError, match="at least one of each"):
                call([0])

    def test_scores_beyond_float32_are_refused(self):
        codes = Codes.from_signs(np.ones((1, 2, 64)), np.full((1, 2), 1e19), n_users=1)
        with pytest.raises(ConfigError, match="can exceed float32"):
            codes.scores([0])
        assert np.isfinite(Codes.from_signs(np.ones((1, 2, 64)), np.full((1, 2), 1e18), n_users=1).scores([0])).all()


class TestSearch:
    @pytest.mark.parametrize("scaled", [True, False])
    @pytest.mark.parametrize("n_segments", [1, 2, 3])
    @pytest.mark.parametrize("bits", range(1, 9))
    def test_ranking_is_that_of_the_float_vectors(self, bits, n_segments, scaled):
        """Without scales all sums are exact in both, so that ties are ties in both; 1 and 2 bits have many."""
        codes = random_codes(bits, n_segments, 213, 24, 13, scaled, weights=scaled, seed=bits)
        scores = float_scores(codes)[0]
        ids, found = codes.search(np.arange(13), k=50)
        for u in range(13):
            assert ids[u].tolist() == naive_ranking(scores[u], set(), 50, position_of(200))
            np.testing.assert_allclose(found[u], scores[u, ids[u]], rtol=1e-4, atol=1e-4)
        if bits == 1 and not scaled:
            assert any(np.unique(row).size < row.size for row in found)  # there were ties to break

    def test_ties_follow_the_seed(self):
        codes = random_codes(1, 1, 60, 8, 10, scaled=False)
        scores = float_scores(codes)[0]
        by_seed = {seed: codes.search(range(10), k=20, tie_seed=seed)[0] for seed in (0, 1, 0, 2)}
        for seed, ids in by_seed.items():
            expected = [naive_ranking(row, set(), 20, position_of(50, seed)) for row in scores]
            np.testing.assert_array_equal(ids, expected)
        assert not np.array_equal(by_seed[1], by_seed[2])
        np.testing.assert_array_equal(codes.search(range(10), k=20)[0], by_seed[0])

    @pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array, sp.coo_matrix, sp.csc_matrix])
    def test_excluded_items_are_left_out_and_fewer_are_said_as_fewer(self, form):
        codes = random_codes(2, n_nodes=32, n_users=4)
        rng = np.random.default_rng(0)
        seen = rng.random((4, 28)) < [[0.0], [0.5], [0.9], [1.0]]
        ids, scores = codes.search([0, 1, 2, 3, 1], k=20, exclude=form(seen.astype(np.float32)))
        values = float_scores(codes)[0]
        for found, row_scores, u in zip(ids, scores, [0, 1, 2, 3, 1], strict=True):
            expected = naive_ranking(values[u], set(np.flatnonzero(seen[u])), 20, position_of(28))
            assert found.tolist() == expected and row_scores.shape == found.shape
            assert (found >= 0).all() and np.isfinite(row_scores).all()
        assert [found.size for found in ids] == [20, min(20, (~seen[1]).sum()), (~seen[2]).sum(), 0, min(20, (~seen[1]).sum())]

    def test_more_than_the_catalogue_gives_the_catalogue(self):
        codes = random_codes(n_nodes=25)
        ids, _ = codes.search([4], k=1000)
        assert sorted(ids[0].tolist()) == list(range(5))
        assert codes.search([], k=3) == ([], [])
        assert [part[0].dtype for part in codes.search([0], k=np.int64(3))] == [np.int32, np.float32]

    def test_blocks_and_tiles_do_not_change_the_result(self, monkeypatch):
        codes = random_codes(3, 2, 340, 65, 40, scaled=False)
        seen = sp.random(40, 300, 0.2, format="csr", random_state=0)
        whole = codes.search(np.arange(40), k=30, exclude=seen)
        largest = []
        for users, scores, least in ((7, 1, 32), (40, 2000, 32), (1, 64, 64)):
            monkeypatch.setattr(module.topk, "USERS", users)
            monkeypatch.setattr(module, "_TILE_SCORES", scores)
            monkeypatch.setattr(module, "_LEAST_ITEMS", least)
            for one, other in zip(codes.search(np.arange(40), k=30, exclude=seen), whole, strict=True):
                for a, b in zip(one, other, strict=True):
                    np.testing.assert_array_equal(a, b)
            tiles = list(codes.tiles(np.arange(300, dtype=np.int32))(np.arange(users)))
            largest.append(max(tile.size for tile in tiles))
            assert len(tiles) > 1 and sum(tile.shape[1] for tile in tiles) == 300
        assert largest == [7 * 32, 40 * 32, 64]  # scores in memory at once

    def test_bad_requests_are_named(self):
        codes = random_codes()
        for users, text in (
            ([20], "user 20 is unknown; numbers go from 0 to 19"),
            ([3, -1], "user -1 is unknown"),
            ([0.0], r"users are float64 of shape \(1,\)"),
            ([True], "users are bool"),
            (3, r"of shape \(\)"),
            ([[0]], r"of shape \(1, 1\)"),
        ):
            for call in (codes.search, codes.scores):
                with pytest.raises(ConfigError, match=text):
                    call(users)
        for k in (0, -1, 2.0, True, None):
            with pytest.raises(ConfigError, match="k is .*, but must be a whole number of at least 1"):
                codes.search([0], k=k)
        with pytest.raises(ConfigError, match=r"exclude has shape \(20, 29\), but must be \[users, items\] = \(20, 30\)"):
            codes.search([0], exclude=sp.csr_matrix((20, 29)))
        with pytest.raises(ConfigError, match="exclude is of type ndarray, but must be a sparse matrix"):
            codes.search([0], exclude=np.zeros((20, 30)))


class TestEvaluation:
    @pytest.mark.parametrize(("bits", "scaled", "dim"), [(1, True, 64), (1, True, 70), (1, False, 8), (2, False, 5), (8, True, 20)])
    def test_evaluation_gives_the_same_hits_as_float_vectors(self, bits, scaled, dim):
        """Without scales scores are small integers, full of ties and exact in both; with scales there are no ties."""
        data = random_interactions(n_users=60, n_items=90, n_pairs=1200, test=300, seed=3)
        codes = random_codes(bits, n_nodes=150, dim=dim, n_users=60, scaled=scaled, weights=scaled, seed=5)
        vectors = torch.from_numpy(codes.vectors())
        a = evaluate(codes, data, ks=(5, 20))
        b = evaluate((vectors[:60], vectors[60:]), data, ks=(5, 20))
        np.testing.assert_array_equal(a.top, b.top)
        np.testing.assert_array_equal(a.hits, b.hits)
        assert a.values == b.values and a.values["recall@20"] > 0

    def test_search_and_rank_agree(self):
        data = random_interactions(n_users=40, n_items=70, n_pairs=600, seed=1)
        codes = random_codes(1, 1, 110, 6, 40, scaled=False)
        users = np.arange(40, dtype=np.int32)
        for tie_seed in (0, 3):
            ranked = rank(codes, users, 70, 9, [data.train], tie_seed=tie_seed)
            np.testing.assert_array_equal(codes.search(users, k=9, exclude=data.train, tie_seed=tie_seed)[0], ranked)

    def test_codes_of_other_data_are_refused(self):
        codes, data = random_codes(), random_interactions(n_users=20, n_items=31, n_pairs=300)
        with pytest.raises(ConfigError, match="Codes has 30 items, but random has 31"):
            evaluate(codes, data)
        data = random_interactions(n_users=60, n_items=30, n_pairs=900)
        with pytest.raises(ConfigError, match="Codes has 20 users, but random has 60"):
            evaluate(codes, data)
        with pytest.raises(ConfigError, match="user 20 is unknown; numbers go from 0 to 19"):
            rank(codes, np.arange(60), 30, 5, [])
        with pytest.raises(ConfigError, match="codes hold 30 items, but 31 are to be ranked"):
            codes.tiles(np.arange(31, dtype=np.int32))
