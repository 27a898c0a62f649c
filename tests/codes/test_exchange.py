"""Plain arrays and FAISS: what goes out scores as what stayed, and comes back as it was."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from recq_lib.codes.codes import Codes
from recq_lib.codes.exchange import HammingFirst, binary_rows, from_arrays, to_arrays, to_codes, to_faiss
from recq_lib.codes.index import Index
from recq_lib.codes.packing import pack
from recq_lib.errors import ConfigError
from recq_lib.io import optional as imports


def random_codes(bits, dim, n_users=7, n_items=131, n_segments=2, seed=0, few_scales=False):
    rng = np.random.default_rng(seed)
    levels = 2 * rng.integers(0, 2**bits, (n_segments, n_users + n_items, dim)) - (2**bits - 1)
    scales = rng.choice([0.5, 1.0], levels.shape[:2]) if few_scales else rng.uniform(0.5, 1.5, levels.shape[:2])
    return Codes.from_levels(levels, bits, scales, [1.0, 0.5, 2.0][:n_segments], n_users=n_users)


def scores_of(arrays):
    """The formula of `to_arrays` in float64."""
    products = np.einsum("sud,sid->sui", arrays["user_levels"].astype(np.float64), arrays["item_levels"].astype(np.float64))
    factors = arrays["user_factors"].astype(np.float64)[:, :, None] * arrays["item_factors"].astype(np.float64)[:, None]
    return (factors * products).sum(axis=0)


class TestArrays:
    @pytest.mark.parametrize("bits", range(1, 9))
    @pytest.mark.parametrize("dim", [1, 63, 70, 128])
    def test_score_by_the_formula_and_come_back(self, bits, dim):
        codes = random_codes(bits, dim)
        arrays = to_arrays(codes)
        assert arrays["item_levels"].dtype == (np.int16 if bits == 8 else np.int8)
        np.testing.assert_array_equal(np.concatenate([arrays["user_levels"], arrays["item_levels"]], axis=1), codes.values())
        expected = scores_of(arrays)
        np.testing.assert_allclose(codes.scores(np.arange(7)), expected, atol=2e-6 * np.abs(expected).max())
        back = from_arrays(arrays)
        assert back.bits == bits and (back.planes == codes.planes).all() and (back.factors() == codes.factors()).all()
        np.testing.assert_array_equal(back.scores(np.arange(7)), codes.scores(np.arange(7)))

    @pytest.mark.parametrize("bits", range(1, 9))
    @pytest.mark.parametrize("dim", [1, 9, 64, 70])
    def test_an_index_gives_back_the_codes_it_was_made_from(self, bits, dim):
        codes = random_codes(bits, dim, n_items=65)
        again = to_codes(Index.of(codes, tie_seed=3))
        assert (again.planes == codes.planes).all() and (again.factors() == codes.factors()).all()
        assert (again.dim, again.n_users) == (codes.dim, codes.n_users)

    def test_an_index_gives_its_ids_and_numpy_keeps_all_without_pickle(self, tmp_path):
        codes = random_codes(2, 20, n_users=2, n_items=3)
        index = Index.of(codes, user_ids=[10, 4], item_ids=["tea", "rye", "öl"])
        np.savez(tmp_path / "arrays.npz", **to_arrays(index))
        with np.load(tmp_path / "arrays.npz", allow_pickle=False) as arrays:
            assert arrays["user_ids"].tolist() == [10, 4] and arrays["item_ids"].tolist() == ["tea", "rye", "öl"]
            again = Index.of(from_arrays(arrays), user_ids=arrays["user_ids"], item_ids=arrays["item_ids"])
        (before, scores), (after, same) = index.recommend([4, 10], k=2), again.recommend([4, 10], k=2)
        assert [a.tolist() for a in after] == [b.tolist() for b in before] and np.array_equal(scores, same)
        assert "user_ids" not in to_arrays(codes)

    def test_vectors_of_any_origin_come_in(self):
        """float64, float16, integers, nested lists and Fortran order: pack, Index.of, and the answers of the packed vectors."""
        rng = np.random.default_rng(1)
        users, items = rng.integers(-9, 9, (4, 33)), rng.integers(-9, 9, (50, 33))
        wanted = Index.of(pack(users, items, bits=4)).search([0, 1, 2, 3], 5)[0]
        for change in (np.float64, np.float16, np.asfortranarray, lambda x: x[:, ::-1][:, ::-1], lambda x: x.tolist()):
            found = Index.of(pack(change(users), change(items), bits=4)).search([0, 1, 2, 3], 5)[0]
            assert np.array_equal(found, wanted)

    def test_what_does_not_fit_is_refused(self):
        arrays = to_arrays(random_codes(1, 10))
        with pytest.raises(ConfigError, match="lack item_factors, bits"):
            from_arrays({name: values for name, values in arrays.items() if name not in ("item_factors", "bits")})
        with pytest.raises(ConfigError, match="one width"):
            from_arrays(arrays | {"item_levels": arrays["item_levels"][:, :, :9]})
        with pytest.raises(ConfigError, match="user_factors have shape"):
            from_arrays(arrays | {"user_factors": arrays["user_factors"][:1]})
        with pytest.raises(ConfigError, match="scales are float32 of shape"):
            from_arrays(arrays | {"item_factors": arrays["item_factors"][:, :5]})
        with pytest.raises(ConfigError, match="odd integers from -1 to 1"):
            from_arrays(arrays | {"item_levels": 0 * arrays["item_levels"]})


class TestFaiss:
    def test_distances_are_the_differing_signs(self):
        codes = random_codes(1, 70)
        index, signs = to_faiss(codes), codes.values()
        distances, items = index.search(binary_rows(codes, np.arange(7)), 131)
        assert index.d == 2 * 72 and index.ntotal == 131
        expected = (signs[:, :7, None] != signs[:, None, 7:]).sum(axis=(0, 3))
        np.testing.assert_array_equal(distances, np.take_along_axis(expected, items, axis=1))

    @pytest.mark.parametrize("few_scales", [True, False])  # with few scales many scores are equal
    @pytest.mark.parametrize("dim", [3, 64])
    def test_with_all_items_as_candidates_the_ranking_is_the_exact_one(self, dim, few_scales):
        codes = random_codes(1, dim, few_scales=few_scales)
        taken = sp.random(7, 131, 0.2, "csr", random_state=0)
        for exclude in (None, taken):
            wanted = codes.search(np.arange(7), 30, exclude, tie_seed=5)
            found = HammingFirst.of(codes, tie_seed=5).search(np.arange(7), 30, exclude, candidates=131)
            assert np.array_equal(found[0], wanted[0]) and np.array_equal(found[1], wanted[1])

    def test_few_candidates_are_the_nearest_and_stand_by_their_scores(self):
        codes = random_codes(1, 64, n_segments=3)
        signs, taken = codes.values(), sp.random(7, 131, 0.3, "csr", random_state=1)
        distances = (signs[:, :7, None] != signs[:, None, 7:]).sum(axis=(0, 3)).astype(float)
        distances[taken.nonzero()] = np.inf
        all_scores = codes.scores(np.arange(7))
        for user, (items, scores) in enumerate(zip(*HammingFirst.of(codes).search(np.arange(7), 10, taken, candidates=10))):
            assert len(items) == 10 and sorted(distances[user, items]) == sorted(distances[user])[:10]
            assert (np.diff(scores) <= 0).all() and np.array_equal(scores, all_scores[user, items])

    def test_more_candidates_find_more_of_the_exact_list(self):
        codes = random_codes(1, 64, n_users=40, n_items=2000)
        exact = codes.search(np.arange(40), 20)[0]
        search, found = HammingFirst.of(codes), []
        for candidates in (20, 100, 2000):
            lists = search.search(np.arange(40), 20, candidates=candidates)[0]
            found.append(np.mean([np.isin(a, b).mean() for a, b in zip(exact, lists)]))
        assert found[0] < found[1] < found[2] == 1.0

    def test_users_for_whom_nothing_is_left_get_empty_lists(self):
        codes = random_codes(1, 8, n_items=3)
        everything = sp.csr_matrix(np.array([[1, 1, 1]] + [[0, 1, 0]] * 6))
        items, scores = HammingFirst.of(codes).search([0, 1, 0], 3, everything, candidates=3)
        assert [len(found) for found in items] == [len(found) for found in scores] == [0, 2, 0]

    def test_bad_requests_are_refused(self):
        with pytest.raises(ConfigError, match="codes have 2 bits"):
            to_faiss(random_codes(2, 8))
        with pytest.raises(ConfigError, match="candidates"):
            HammingFirst.of(random_codes(1, 8)).search([0], 20, candidates=19)
        with pytest.raises(ConfigError, match="user 7 is unknown"):
            HammingFirst.of(random_codes(1, 8)).search([7])

    def test_without_faiss_the_extra_is_named(self, monkeypatch):
        def missing(name):
            raise ModuleNotFoundError(name=name)

        monkeypatch.setattr(imports.importlib, "import_module", missing)
        with pytest.raises(ConfigError, match=r"recq\[search\]"):
            to_faiss(random_codes(1, 8))
