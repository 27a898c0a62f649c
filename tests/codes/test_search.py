import tracemalloc

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import naive_ranking, random_interactions
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.codes import search as module
from recq_lib.codes.codes import Codes
from recq_lib.codes.search import Passing, Resident
from recq_lib.data.interactions import Interactions
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

    def test_factors_beyond_float32_are_refused_though_scores_would_fit(self):
        for scales in ([[1e19, 1e-38]], [[1e-38, 1e19]], [[1e19, 0.0]]):
            codes = Codes.from_signs(np.ones((1, 2, 4)), scales, [1e20], n_users=1)
            with pytest.raises(ConfigError, match="can exceed float32"):
                codes.scores([0])


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

    def test_users_may_come_twice_and_in_any_order(self):
        codes = random_codes(2, n_nodes=200, n_users=40, scaled=False)
        seen = sp.random(40, 160, 0.2, format="csr", random_state=0)
        whole = codes.search(np.arange(40), k=9, exclude=seen)
        for users in ([7, 0, 39, 7], [5] * 100, list(range(39, -1, -1)) * 2):
            for got, wanted in zip(codes.search(users, k=9, exclude=seen), whole, strict=True):
                np.testing.assert_array_equal(got, [wanted[u] for u in users])

    def test_what_is_excluded_may_be_stored_in_any_way(self):
        """Indices of 64 bits, unsorted and twice, in arrays that cannot be written to."""
        codes = random_codes(2, n_nodes=104, n_users=4)
        indptr, indices = np.array([0, 3, 3, 5, 6]), np.array([70, 2, 70, 99, 0, 5])
        plain = sp.csr_matrix((np.ones(6), indices, indptr), shape=(4, 100))
        odd = plain.copy()
        odd.indptr, odd.indices = indptr, indices
        for part in (indptr, indices):
            part.setflags(write=False)
        plain.sum_duplicates()
        for users in ([0, 1, 2, 3], [3, 0]):
            for got, wanted in zip(codes.search(users, 100, odd), codes.search(users, 100, plain), strict=True):
                assert all(map(np.array_equal, got, wanted))
        assert codes.search([0], 100, odd)[0][0].size == 98

    def test_a_matrix_whose_items_are_counted_from_1_is_refused(self):
        codes = random_codes()
        beyond = sp.csr_matrix((np.ones(1), [30], [0, 1] + [1] * 19), shape=(20, 30))  # SciPy does not look
        for call in (lambda: codes.search([0], exclude=beyond), lambda: codes.best(np.zeros(300, np.int32), 5, [beyond], 0)):
            with pytest.raises(ConfigError, match="must store items from 0 to 29"):
                call()
        assert codes.search([1], exclude=beyond)[0][0].size == 20  # another user's row is not read

    @pytest.mark.parametrize("n_items", [1, 2, 63, 64, 65, 127, 128, 129, 500])
    def test_catalogues_around_groups(self, n_items):
        codes = random_codes(1, 1, 5 + n_items, 7, 5, scaled=False)
        scores, place = float_scores(codes)[0], position_of(n_items)
        for users in ([0], range(5)):
            ids, _ = codes.search(users, k=n_items + 1)
            np.testing.assert_array_equal(ids, [naive_ranking(scores[u], set(), n_items, place) for u in users])

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
            for call in (lambda k: codes.search([0], k=k), lambda k: rank(codes, np.array([0]), 30, k, [])):
                with pytest.raises(ConfigError, match="k is .*, but must be a whole number of at least 1"):
                    call(k)
        for seed in (-1, True, 0.0, None):
            for call in (lambda seed: codes.search([0], tie_seed=seed), lambda seed: rank(codes, np.array([0]), 30, 3, [], tie_seed=seed)):
                codes.search([0], tie_seed=1)  # laid out for 1, which True is not
                with pytest.raises(ConfigError, match="tie_seed is .*, but must be a whole number"):
                    call(seed)
        with pytest.raises(ConfigError, match=r"exclude has shape \(20, 29\), but must be \[users, items\] = \(20, 30\)"):
            codes.search([0], exclude=sp.csr_matrix((20, 29)))
        with pytest.raises(ConfigError, match="exclude is of type ndarray, but must be a sparse matrix"):
            codes.search([0], exclude=np.zeros((20, 30)))


class TestParts:
    """Many users are ranked while items pass, laid out part by part."""

    @pytest.mark.parametrize("bits", [1, 4, 8])
    def test_parts_hold_all_items_once_in_the_order_of_ties(self, bits, monkeypatch):
        codes, order = random_codes(bits, 2, 340, 65, 40), np.random.default_rng(0).permutation(300).astype(np.int32)
        of_a_node = codes.planes[:, :1].nbytes
        for size, step in ((0, 64), (of_a_node, 64), (64 * of_a_node, 64), (129 * of_a_node, 128), (10**9, 10**9)):
            monkeypatch.setattr(module, "_PART_BYTES", size)
            parts = list(Passing(codes, order).parts())
            assert [first for first, _ in parts] == list(range(0, 300, step))
            assert [items.n_items for _, items in parts] == [min(step, 300 - first) for first, _ in parts]
            (whole,) = [items for _, items in Resident(codes, order).parts()]
            for name in ("words", "factors"):
                np.testing.assert_array_equal(np.concatenate([getattr(items, name) for _, items in parts]), getattr(whole, name))

    @pytest.mark.parametrize("scaled", [True, False])
    @pytest.mark.parametrize("bits", [1, 3, 4, 7])
    def test_parts_and_blocks_do_not_change_the_result(self, bits, scaled, monkeypatch):
        codes, users = random_codes(bits, 2, 340, 20, 40, scaled, weights=scaled), np.arange(300, dtype=np.int32) % 40
        seen = sp.random(40, 300, 0.2, format="csr", random_state=0)
        scores, banned = codes.scores(range(40)), [set(row.indices.tolist()) for row in seen]
        wanted = [naive_ranking(scores[u], banned[u], 30, position_of(300, 5)) for u in users]
        for bytes_of_a_part, block in ((0, 7), (20_000, 64), (1 << 21, 2048)):
            monkeypatch.setattr(module, "_PART_BYTES", bytes_of_a_part)
            monkeypatch.setattr(module, "_USERS", block)
            items, found = codes.best(users, 30, [seen], 5)
            np.testing.assert_array_equal(items, wanted)
            np.testing.assert_array_equal(found, np.take_along_axis(scores[users], items, axis=1))
        assert not {5} & set(codes._laid_out)  # nothing was laid out to be kept
        few = codes.best(users[:3], 30, [seen], 5)[0]
        np.testing.assert_array_equal(few, wanted[:3])
        np.testing.assert_array_equal(codes.best(users, 30, [seen], 5)[0], wanted)  # now from what was kept

    def test_rows_of_scores_are_those_of_the_parts(self, monkeypatch):
        codes, order = random_codes(2, 2, 240, 65, 40), np.random.default_rng(3).permutation(200).astype(np.int32)
        monkeypatch.setattr(module, "_PART_BYTES", 0)
        np.testing.assert_array_equal(module.rows_of_scores(Passing(codes, order), [3, 0]), codes.scores([3, 0]))

    def test_evaluating_takes_little_more_memory_than_the_codes(self):
        """Besides the codes: one part laid out, with what it is made of; the order of ties; the lists. No rows of scores (60 MB)."""
        n_users, n_items, k = 300, 50_000, 20
        rng = np.random.default_rng(0)
        planes = rng.integers(0, 2**63, (2, n_users + n_items, 4, 4), dtype=np.int64).astype(np.uint64)
        codes = Codes(planes, None, np.ones(2, np.float32), 256, n_users)
        test = np.arange(n_users), rng.integers(0, n_items, n_users)
        data = Interactions.from_pairs((test[0], (test[1] + 1) % n_items), test, n_users=n_users, n_items=n_items)
        evaluate(codes, data, ks=(k,), tie_seed=1)  # compiled
        tracemalloc.start()
        try:
            evaluate(codes, data, ks=(k,))
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        # a part: words and a little more than once again for rows and factors; ties: 3 numbers of 32 bits an item, and one of 64 while
        # coverage is counted; lists: items, scores and hits, and 64-bit copies of them while hits are looked up and metrics are made
        constant = 2 * module._PART_BYTES + 20 * n_items + 100 * n_users * k
        assert peak <= 0.1 * codes.n_bytes() + constant < 0.6 * codes.n_bytes()


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
            Passing(codes, np.arange(31, dtype=np.int32))
