"""`search`: the lists of a naive sort, for every kind of scorer; fewer where fewer are left; bad input is named."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import naive_ranking, random_interactions

from recq_lib.baselines.simple import MostPop
from recq_lib.codes.packing import pack
from recq_lib.errors import ConfigError
from recq_lib.evaluation.search import search


class Bare:
    """A scorer that tells nothing but scores."""

    def __init__(self, scores):
        self.scores = scores

    def score_block(self, users):
        return self.scores[users]


@pytest.fixture(scope="module")
def vectors():
    rng = np.random.default_rng(4)
    return rng.integers(-3, 4, (12, 5)).astype(np.float32), rng.integers(-3, 4, (70, 5)).astype(np.float32)  # with ties


def expected(scores: np.ndarray, users, k: int, banned: sp.csr_matrix | None = None, tie_seed: int = 0) -> list[list[int]]:
    position_of = np.argsort(np.random.default_rng(tie_seed).permutation(scores.shape[1]))
    known = [set() if banned is None else set(banned[u].indices.tolist()) for u in users]
    return [naive_ranking(scores[u], out, k, position_of) for u, out in zip(users, known, strict=True)]


@pytest.mark.parametrize("as_torch", [False, True])
@pytest.mark.parametrize("tie_seed", [0, 3])
def test_vectors(vectors, as_torch, tie_seed):
    users, items = (torch.nn.Parameter(torch.from_numpy(v)) for v in vectors) if as_torch else vectors
    scores, wanted = vectors[0] @ vectors[1].T, [3, 0, 3]
    ids, values = search((users, items), wanted, k=9, tie_seed=tie_seed)
    assert [row.tolist() for row in ids] == expected(scores, wanted, 9, tie_seed=tie_seed)
    for user, row, found in zip(wanted, ids, values, strict=True):
        assert found.tolist() == scores[user, row].tolist()


def test_codes_and_scorers(vectors):
    codes, data = pack(*vectors, bits=2), random_interactions(n_users=12, n_items=70, n_pairs=300, seed=1)
    z = codes.vectors().astype(np.float64)
    ids, _ = search(codes, range(12), k=6)
    assert [row.tolist() for row in ids] == expected((z[:12] @ z[12:].T).astype(np.float32), range(12), 6)
    popularity = np.asarray(data.train.sum(axis=0)).ravel()
    ids, _ = search(MostPop(data), [0, 1], k=4, n_items=70)
    assert [row.tolist() for row in ids] == expected(np.tile(popularity, (2, 1)), [0, 1], 4)


def test_what_is_excluded_is_left_out_and_lists_get_shorter(vectors):
    rng = np.random.default_rng(0)
    seen = sp.csr_matrix(rng.random((12, 70)) < np.linspace(0, 1, 12)[:, None])  # the last user has seen everything
    ids, scores = search(vectors, range(12), k=20, exclude=seen)
    assert [row.tolist() for row in ids] == expected(vectors[0] @ vectors[1].T, range(12), 20, seen)
    assert ids[11].size == scores[11].size == 0 and min(row.min() for row in ids[:11]) >= 0


def test_more_than_the_catalogue_gives_the_catalogue(vectors):
    assert [sorted(row.tolist()) for row in search(vectors, [5], k=1000)[0]] == [list(range(70))]
    assert search(vectors, [], k=3) == ([], [])


@pytest.mark.parametrize(
    "change, rule",
    [
        ({"k": 0}, "k is 0"),
        ({"k": True}, "k is True"),
        ({"users": [12]}, "user 12 is unknown; numbers go from 0 to 11"),
        ({"users": [-1]}, "user -1 is unknown"),
        ({"users": [[1]]}, "must be user numbers"),
        ({"users": [0.5]}, "must be user numbers"),
        ({"exclude": np.zeros((12, 70))}, "must be a sparse matrix"),
        ({"exclude": sp.csr_matrix((12, 71))}, r"exclude has shape \(12, 71\)"),
    ],
)
def test_bad_requests_are_named(vectors, change, rule):
    with pytest.raises(ConfigError, match=rule):
        search(**{"scorer": vectors, "users": [0], "k": 3} | change)


def test_bad_vectors_are_named(vectors):
    users, items = vectors
    with pytest.raises(ConfigError, match="of one width d"):
        search((users, items[:, :3]), [0])
    with pytest.raises(ConfigError, match="NaN or infinity"):
        search((users, np.full_like(items, np.nan)), [0])
    with pytest.raises(ConfigError, match="does not tell the size of the catalogue"):
        search(Bare(np.ones((3, 5))), [0])
