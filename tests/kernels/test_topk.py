"""Selection from rows of scores: a stable sort in the order of ties, whatever the tiles; masks; what is no score is refused."""

from __future__ import annotations

import numba
import numpy as np
import pytest
import scipy.sparse as sp
from code_oracle import naive_best
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError
from recq_lib.kernels import topk

FEW_VALUES = st.sampled_from([-np.inf, -1.5, -0.0, 0.0, 0.5, 2.0])  # with ties


def in_tiles(scores, width):
    """`Tiles` of the rows of `scores`; every tile lies where the last one lay."""

    def tiles(users):
        buffer = np.empty(users.size * min(width, scores.shape[1]), np.float32)
        for first in range(0, scores.shape[1], width):
            part = scores[users, first : first + width]
            tile = buffer[: part.size].reshape(part.shape)
            tile[:] = part
            yield tile

    return tiles


def best(scores, k, masks=(), *, users=None, width=10**9, seed=0, **options):
    users = np.arange(len(scores), dtype=np.int32) if users is None else users
    return topk.best(in_tiles(scores, width), users, k, masks, scores.shape[1], seed, **options)


def assert_best(scores, k, banned=None, *, seed=0, **options):
    order = np.random.default_rng(seed).permutation(scores.shape[1])
    masks = () if banned is None else [sp.csr_matrix(banned)]
    wanted = naive_best(scores, k, order, None if banned is None else [set(np.flatnonzero(row).tolist()) for row in banned])
    for one, other in zip(best(scores, k, masks, seed=seed, **options), wanted, strict=True):
        np.testing.assert_array_equal(one, other)


class TestOrder:
    def test_it_is_the_seeded_permutation_and_cannot_be_changed(self):
        for n, seed in ((1, 0), (2, 3), (1000, 0), (70_001, 5)):
            order, place = topk.tie_order(n, seed), topk.tie_positions(n, np.int64(seed))
            np.testing.assert_array_equal(order, np.random.default_rng(seed).permutation(n))
            np.testing.assert_array_equal(place[order], np.arange(n))
            np.testing.assert_array_equal(topk.positions(order), place)
            for part in (order, place):
                assert part.dtype == np.int32
                with pytest.raises(ValueError, match="read-only"):
                    part[:] = 0

    @pytest.mark.parametrize("seed", [-1, 0.5, True, None, "0"])
    def test_the_seed_is_a_whole_number(self, seed):
        with pytest.raises(ConfigError, match="tie_seed is .* whole number"):
            topk.tie_order(5, seed)


class TestBest:
    @given(
        scores=st.lists(FEW_VALUES | st.floats(-3, 3, width=32), min_size=1, max_size=200),
        k=st.integers(1, 210),
        tile=st.integers(1, 200),
        seed=st.integers(0, 3),
    )
    def test_top_of_tiles_equals_stable_sort(self, scores, k, tile, seed):
        assert_best(np.array(scores, np.float32)[None, :], k, width=tile, seed=seed)

    @given(st.integers(0, 9), st.integers(1, 300), st.integers(1, 40), st.integers(1, 300), st.floats(0, 1), st.integers(0, 2**32 - 1))
    def test_masked_items_are_left_out_of_any_tiling(self, n_users, n_items, k, tile, density, seed):
        rng = np.random.default_rng(seed)
        scores = rng.integers(-3, 4, (n_users, n_items)).astype(np.float32)
        assert_best(scores, k, rng.random((n_users, n_items)) < density, width=tile, seed=seed % 5)

    @given(st.lists(st.integers(0, 11), unique=True), st.integers(1, 12))
    def test_masks_hit_their_items(self, items, tile):
        mask = sp.csr_matrix((np.ones(len(items)), (np.zeros(len(items), int), items)), shape=(1, 12))
        found, scores = best(np.zeros((1, 12), np.float32), 12, [mask], width=tile)
        left = [item for item in np.random.default_rng(0).permutation(12).tolist() if item not in items]
        assert found[0].tolist() == left + [-1] * len(items) and np.isneginf(scores[0, len(left) :]).all()

    @pytest.mark.parametrize("n_items", [*range(1, 5), 63, 64, 65, 127, 128, 129, 191, 192, 193, 1000])
    @pytest.mark.parametrize("n_users", [0, 1, 3, 4, 9])
    def test_sizes_around_groups(self, rng, n_items, n_users):
        """Below four users one thread works, from four on all do."""
        for k in (1, n_items, n_items + 2):
            assert_best(rng.integers(0, 4, (n_users, n_items)).astype(np.float32), k)

    @pytest.mark.parametrize("slope", [1, -1, 0])
    def test_rising_falling_and_equal_scores(self, slope):
        scores = np.tile(slope * np.arange(1500, dtype=np.float32), (5, 1))
        for width in (64, 700, 1500):
            assert_best(scores, 40, width=width)

    def test_users_come_in_blocks_in_any_order_and_more_than_once(self, rng):
        scores, seen = rng.integers(0, 9, (20, 90)).astype(np.float32), sp.random(20, 90, 0.3, format="csr", random_state=0)
        users = np.array([7, 0, 19, 7, 3], np.int32)
        whole = best(scores, 8, [seen])
        for block in (1, 2, 5, 512):
            for got, wanted in zip(best(scores, 8, [seen], users=users, block=block, width=33), whole, strict=True):
                np.testing.assert_array_equal(got, wanted[users])

    def test_several_masks_add_up(self, rng):
        scores, banned = rng.normal(size=(6, 50)).astype(np.float32), rng.random((2, 6, 50)) < 0.4
        got = best(scores, 9, [sp.csr_matrix(mask) for mask in banned])
        for one, other in zip(got, best(scores, 9, [sp.csr_matrix(banned.any(axis=0))]), strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.skipif(numba.config.NUMBA_NUM_THREADS < 2, reason="needs two threads: NUMBA_NUM_THREADS is 1")
    def test_number_of_threads_does_not_matter(self, rng):
        scores, before, results = rng.integers(0, 50, (40, 3000)).astype(np.float32), numba.get_num_threads(), []
        try:
            for n_threads in (1, 2):
                numba.set_num_threads(n_threads)
                results.append(best(scores, 30, width=1000))
        finally:
            numba.set_num_threads(before)
        for one, other in zip(*results, strict=True):
            np.testing.assert_array_equal(one, other)

    @pytest.mark.parametrize("kind", ["float64", "fortran", "every other column", "read-only"])
    def test_tiles_of_any_type_and_order_are_read_right(self, rng, kind):
        scores = rng.integers(-9, 9, (6, 150)).astype(np.float32)
        given_as = {
            "float64": scores.astype(np.float64),
            "fortran": np.asfortranarray(scores),
            "every other column": np.repeat(scores, 2, axis=1)[:, ::2],
            "read-only": scores.copy(),
        }[kind]
        given_as.setflags(write=False)
        got = topk.best(lambda users: iter([given_as]), np.arange(6, dtype=np.int32), 9, (), 150, 0)
        for one, other in zip(got, best(scores, 9), strict=True):
            np.testing.assert_array_equal(one, other)

    def test_tiles_without_items_and_an_empty_catalogue(self):
        empty, users = np.empty((2, 0), np.float32), np.arange(2, dtype=np.int32)
        row = np.array([[1.0, 2.0, 3.0]] * 2, np.float32)
        items, _ = topk.best(lambda users: iter([empty, row, empty]), users, 2, (), 3, 0)
        assert items.tolist() == [[2, 1]] * 2
        items, scores = topk.best(lambda users: iter([empty]), users, 1, (), 0, 0)
        assert items.tolist() == [[-1]] * 2 and np.isneginf(scores).all()

    @pytest.mark.parametrize(
        "widths, rows, text",
        [
            ((20,), 2, "hold 20 items, but must hold 25"),
            ((), 2, "hold 0 items, but must hold 25"),
            ((20, 6), 2, r"shape \(2, 6\) at item 20, but must have 2 rows and 5 columns"),
            ((25,), 1, r"shape \(1, 25\) at item 0, but must have 2 rows"),
            ((25,), 3, r"shape \(3, 25\) at item 0"),
        ],
    )
    def test_tiles_that_do_not_fit_are_refused(self, widths, rows, text):
        def tiles(users):
            return (np.zeros((rows, width), np.float32) for width in widths)

        with pytest.raises(ConfigError, match=text):
            topk.best(tiles, np.arange(2, dtype=np.int32), 3, (), 25, 0)
        with pytest.raises(ConfigError, match=r"shape \(25,\)"):
            topk.best(lambda users: iter([np.zeros(25)]), np.arange(2, dtype=np.int32), 3, (), 25, 0)


class TestNoScores:
    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    @pytest.mark.parametrize("n_users", [1, 5])
    def test_nan_and_infinity_are_found_wherever_they_stand(self, rng, bad, n_users):
        for n_items, width in ((1, 1), (64, 64), (65, 65), (200, 200), (200, 70)):
            for place in {0, n_items - 1, n_items // 2}:
                scores = rng.normal(size=(n_users, n_items)).astype(np.float32)
                scores[n_users - 1, place] = bad
                users = np.arange(n_users, dtype=np.int32)
                for finite in (True, False):
                    with pytest.raises(topk.NotFinite, match=f"scores of user {n_users - 1} hold NaN or exceed float32"):
                        best(scores, 1, users=users, width=width, finite=finite)

    def test_minus_infinity_rules_an_item_out_unless_scores_must_be_finite(self, rng):
        for n_items, place in ((70, 0), (70, 63), (70, 64), (70, 69), (128, 127), (1, 0)):
            scores = rng.normal(size=(2, n_items)).astype(np.float32)
            scores[1, place] = -np.inf
            assert_best(scores, n_items)
            with pytest.raises(topk.NotFinite, match="scores of user 1"):
                best(scores, 1, finite=True)
            scores[1, place] = -3e38
            assert_best(scores, n_items, finite=True)

    def test_the_user_is_named_by_number(self):
        scores = np.zeros((30, 5), np.float32)
        scores[17, 2] = np.nan
        with pytest.raises(topk.NotFinite, match="user 17"):
            best(scores, 2, users=np.array([3, 17, 4], np.int32), block=2)
        best(scores, 2, users=np.array([3, 4], np.int32))  # nobody asked for user 17


class TestExcluded:
    @pytest.mark.parametrize("index", [np.int32, np.int64])
    def test_unsorted_and_repeated_items_of_users_in_any_order(self, index):
        """Read-only arrays too, as data sets keep them."""
        indptr, indices = np.array([0, 4, 4, 7], index), np.array([5, 1, 5, 3, 2, 0, 4], index)
        matrix = sp.csr_matrix((np.ones(7), indices, indptr), shape=(3, 6))
        matrix.indptr, matrix.indices = indptr, indices
        for part in (indptr, indices):
            part.setflags(write=False)
        start, numbers = topk.excluded([matrix, matrix], np.array([2, 1, 0, 2], np.int32), 6)
        assert start.tolist() == [0, 6, 6, 14, 20]
        assert numbers.tolist() == [0, 0, 2, 2, 4, 4] + [1, 1, 3, 3, 5, 5, 5, 5] + [0, 0, 2, 2, 4, 4]
        place = np.array([3, 4, 5, 0, 1, 2], np.int32)
        _, numbers = topk.excluded([matrix], np.array([0, 2], np.int32), 6, place)
        assert numbers.tolist() == [0, 2, 2, 4] + [1, 3, 5]

    def test_nothing_is_excluded_without_masks_users_or_entries(self):
        for masks, users in (((), [0, 1]), ([sp.csr_matrix((3, 6))], [0, 2]), ([sp.csr_matrix(np.ones((3, 6)))], [])):
            start, numbers = topk.excluded(masks, np.array(users, np.int32), 6)
            assert start.tolist() == [0] * (len(users) + 1) and numbers.size == 0

    def test_stored_zeros_count(self):
        matrix = sp.csr_matrix((np.zeros(2), [1, 4], [0, 2]), shape=(1, 6))
        assert topk.excluded([matrix], np.array([0], np.int32), 6)[1].tolist() == [1, 4]

    @pytest.mark.parametrize(
        "indptr, indices",
        [([0, 1, 2], [0, 6]), ([0, 1, 2], [-1, 5]), ([0, 2, 1], [0, 1]), ([0, 0, 9], [0, 1]), ([0, 0, 2], [7, 2**31 - 1])],
    )
    def test_matrices_that_scipy_did_not_check_are_refused(self, indptr, indices):
        """Items counted from 1, for one: the last of them would be looked up behind the end of a table."""
        matrix = sp.csr_matrix((2, 6))
        matrix.indptr, matrix.indices = np.array(indptr, np.int32), np.array(indices, np.int32)
        for place_of in (None, np.arange(6, dtype=np.int32)):
            with pytest.raises(ConfigError, match="must store items from 0 to 5"):
                topk.excluded([matrix], np.array([1, 0], np.int32), 6, place_of)


@given(st.integers(1, 5000))
def test_scattered_steps_visit_every_group_once(n):
    step = topk.scattered_step(n)
    assert {k * step % n for k in range(n)} == set(range(n))
