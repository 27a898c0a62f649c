"""Every kind of scorer in one form: sizes are held against the data, and vectors that cannot be ranked are named with their cause."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import random_interactions

from recq_lib.baselines.simple import EASE, GFCF, ItemKNN, MostPop
from recq_lib.codes.packing import pack
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import evaluate, rank
from recq_lib.evaluation.search import search


class Bare:
    """A scorer that tells nothing but scores."""

    def __init__(self, scores):
        self.scores = scores

    def score_block(self, users):
        return self.scores[users]


class Foreign:
    """A model of someone else: vectors and no sizes."""

    def __init__(self, users, items):
        self.pair = torch.as_tensor(users), torch.as_tensor(items)

    def embeddings(self):
        return self.pair


class Tiles:
    """Scores in tiles of the widths given, whatever was asked for."""

    def __init__(self, *widths, rows=None):
        self.widths, self.rows = widths, rows

    def tiles(self, order):
        return lambda users: (np.zeros((users.size if self.rows is None else self.rows, width), np.float32) for width in self.widths)


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=30, n_items=25, n_pairs=260, test=60, seed=4)


@pytest.fixture(scope="module")
def pair(data):
    rng = np.random.default_rng(0)
    return rng.normal(size=(data.n_users, 4)), rng.normal(size=(data.n_items, 4))


def all_kinds(data, pair):
    return [*(kind(data) for kind in (MostPop, ItemKNN, EASE, GFCF)), pair, list(pair), Foreign(*pair), pack(*pair)]


def test_unknown_users_are_named_by_every_scorer_that_tells_its_sizes(data, pair):
    for scorer in all_kinds(data, pair):
        for user in (data.n_users, 10**6, 2 * 10**9):
            with pytest.raises(ConfigError, match=f"user {user} is unknown; numbers go from 0 to 29"):
                search(scorer, [user], exclude=data.train)
        assert [row.size for row in search(scorer, [29], k=3)[0]] == [3]


def test_users_of_a_bare_scorer_are_those_of_exclude(data):
    scorer = Bare(np.ones((30, 25)))
    for user in (30, 2 * 10**9):
        with pytest.raises(ConfigError, match=f"user {user} is unknown; numbers go from 0 to 29"):
            search(scorer, [user], n_items=25, exclude=data.train)
        with pytest.raises(ConfigError, match=f"user {user} is unknown"):
            rank(scorer, np.array([user]), 25, 3, [data.train])
    with pytest.raises(ConfigError, match=r"exclude has shape \(30, 25\), but must be .* \(30, 26\)"):
        search(scorer, [0], n_items=26, exclude=data.train)
    with pytest.raises(ConfigError, match="exclude has shape"):
        rank(scorer, np.arange(3), 25, 3, [data.train, sp.csr_matrix((2, 25))])


def test_a_scorer_of_other_sizes_than_the_data_is_refused(data, pair):
    more_users = random_interactions(n_users=31, n_items=25, n_pairs=260, test=60)
    more_items = random_interactions(n_users=30, n_items=26, n_pairs=260, test=60)
    for scorer in all_kinds(data, pair):
        with pytest.raises(ConfigError, match="has 30 users, but random has 31"):
            evaluate(scorer, more_users)
        with pytest.raises(ConfigError, match="has 25 items, but random has 26"):
            evaluate(scorer, more_items)
        with pytest.raises(ConfigError, match="has 25 items, but .* 24"):
            rank(scorer, np.arange(3), 24, 5, [])
        with pytest.raises(ConfigError, match="has 25 items, but n_items says 24"):
            search(scorer, [0], n_items=24)
    with pytest.raises(ConfigError, match=r"Bare.score_block gives scores of shape \(\d+, 25\), but must give .*26"):
        evaluate(Bare(np.ones((30, 25))), more_items)


@pytest.mark.parametrize(
    "tiles, text",
    [
        (Tiles(20), "hold 20 items, but must hold 25"),
        (Tiles(20, 6), r"shape \(2, 6\) at position 20, but must have 2 rows and 5 columns"),
        (Tiles(25, rows=1), r"shape \(1, 25\) at position 0, but must have 2 rows"),
    ],
)
def test_tiles_that_do_not_fit_are_refused(tiles, text):
    with pytest.raises(ConfigError, match=text):
        search(tiles, [0, 1], k=3, n_items=25)


def test_what_is_no_scorer_is_named(data, pair):
    for scorer, text in (
        ((*pair, 3), "scorer is a tuple of 3"),
        ([pair[0]], "scorer is a list of 1"),
        (data, "scorer is of type Interactions"),
        (None, "scorer is of type NoneType"),
        (("text", pair[1]), "user vectors are of type str"),
        (([["a"]], pair[1]), "user vectors are of type list, but must be a table of numbers"),
        ((pair[0] + 1j, pair[1]), "must be real numbers"),
    ):
        with pytest.raises(ConfigError, match=text):
            search(scorer, [0])
    with pytest.raises(ConfigError, match=r"data is of type MostPop, .*evaluate\(scorer, data\)"):
        evaluate(data, MostPop(data))


def test_a_list_of_two_is_a_pair(data, pair):
    np.testing.assert_array_equal(evaluate(list(pair), data).top, evaluate(pair, data).top)
    ids = search([pair[0].tolist(), pair[1].tolist()], [3], k=4)[0]
    assert ids[0].tolist() == np.argsort(-(pair[0][3] @ pair[1].T))[:4].tolist()


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_the_row_that_is_not_finite_is_named(data, pair, side, bad):
    broken = [part.copy() for part in pair]
    broken[side][7, 2] = bad
    for scorer in (tuple(broken), Foreign(*broken)):
        with pytest.raises(ConfigError, match="vectors hold NaN or infinity in row 7; if a model made them, training has diverged"):
            evaluate(scorer, data)
    with pytest.raises(ConfigError, match="hold NaN or infinity in row 7; if a model made them"):
        pack(*broken)


def test_values_beyond_float32_are_refused_not_dropped(pair):
    users = pair[0].copy()
    users[5] *= 1e200
    with pytest.raises(ConfigError, match="user vectors hold values in row 5 that float32 cannot hold"):
        search((users, pair[1]), [5])
    with pytest.raises(ConfigError, match="scores of users 0…0 hold NaN or exceed float32"):
        search(Bare(np.array([[1e200, 1.0]])), [0], n_items=2)
    ids, _ = search(Bare(np.array([[-np.inf, 1.0]])), [0], n_items=2)  # minus infinity rules an item out
    assert ids[0].tolist() == [1]


def test_products_beyond_float32_are_refused_and_those_within_are_ranked():
    """Norms of at most 5 on both sides: scores reach 25·scale², and 3.25e38 is within float32 (3.40e38), 3.5e38 is not."""
    users, items = np.array([[3.0, 4.0], [1.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 1.0], [-4.0, 3.0]])
    for scale, fits in ((1e18 * np.sqrt(13), True), (1e18 * np.sqrt(14), False)):
        vectors = users * scale, items * scale
        if fits:
            ids, scores = search(vectors, [0], k=3)
            assert ids[0].tolist() == [0, 1, 2] and np.isfinite(scores[0]).all()
        else:
            with pytest.raises(ConfigError, match="can exceed float32 .*divide them by a constant, or, if a model made"):
                search(vectors, [0])


@pytest.mark.parametrize(
    "ks, text", [(20, "ks is 20"), ("20", "ks is '20'"), (("a",), "K is 'a'"), ((20.7,), "K is 20.7"), ((True,), "K is True")]
)
def test_cutoffs_are_whole_numbers(data, pair, ks, text):
    with pytest.raises(ConfigError, match=text):
        evaluate(pair, data, ks=ks)


@pytest.mark.parametrize("seed", [-1, 0.5, True, None])
def test_the_seed_of_ties_is_a_whole_number(data, pair, seed):
    for call in (lambda: evaluate(pair, data, tie_seed=seed), lambda: search(pair, [0], tie_seed=seed)):
        with pytest.raises(ConfigError, match=f"tie_seed is {seed}, but must be a whole number"):
            call()
