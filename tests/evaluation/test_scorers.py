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
from recq_lib.runs.recommend import recommend


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


class Ranker:
    """A scorer that ranks by itself; it keeps what it was asked."""

    def __init__(self, n_users=None, n_items=None):
        self.n_users, self.n_items = n_users, n_items

    def best(self, users, k, masks, tie_seed):
        self.asked = users.tolist(), k, [mask.shape for mask in masks], tie_seed
        return np.tile(np.arange(k, dtype=np.int32), (users.size, 1)), np.zeros((users.size, k), np.float32)


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


def test_a_scorer_that_ranks_by_itself_is_asked_what_was_checked(data):
    scorer = Ranker(30, 25)
    ids, _ = search(scorer, [3, np.int64(4), 3], k=3, exclude=data.train, tie_seed=7)
    assert scorer.asked == ([3, 4, 3], 3, [(30, 25)], 7) and [row.tolist() for row in ids] == [[0, 1, 2]] * 3
    search(scorer, [0], k=1000)
    assert scorer.asked == ([0], 25, [], 0)
    with pytest.raises(ConfigError, match="user 30 is unknown"):
        search(scorer, [30])
    with pytest.raises(ConfigError, match="Ranker has 25 items, but n_items says 24"):
        search(scorer, [0], n_items=24)
    with pytest.raises(ConfigError, match="Ranker does not tell the size of the catalogue"):
        search(Ranker(), [0])
    search(Ranker(), [10**6], k=2, n_items=25)  # nothing tells of users


def test_a_model_may_have_a_best_that_is_no_method(data, pair):
    """Such as the best value so far."""
    model = Foreign(*pair)
    model.best = 0.25
    np.testing.assert_array_equal(evaluate(model, data).top, evaluate(pair, data).top)


@pytest.mark.parametrize("shape", [(29, 25), (30, 24), (25,), (30, 25, 1), ()])
def test_blocks_of_scores_of_another_shape_are_refused(shape):
    class Wrong(Bare):
        def score_block(self, users):
            return self.scores

    with pytest.raises(ConfigError, match=r"Wrong.score_block gives scores of shape .*, but must give \[users, items\] = \(30, 25\)"):
        search(Wrong(np.zeros(shape)), range(30), k=3, n_items=25)


@pytest.mark.parametrize(
    "users, items, text",
    [
        ((30, 4), (25, 5), r"\(30, 4\) and \(25, 5\), but must be \[users, d\] and \[items, d\]"),
        ((4,), (25, 4), r"\(4,\) and \(25, 4\)"),
        ((30, 4), (25, 4, 1), r"\(30, 4\) and \(25, 4, 1\)"),
        ((), (), r"\(\) and \(\)"),
    ],
)
def test_vectors_of_other_shapes_are_named(users, items, text):
    for call in (lambda pair: search(pair, [0]), lambda pair: rank(pair, np.array([0]), 25, 3, [])):
        with pytest.raises(ConfigError, match=f"user and item vectors have shapes {text}"):
            call((np.zeros(users), np.zeros(items)))


@pytest.mark.filterwarnings("error")
def test_vectors_may_come_in_any_form(data, pair):
    """Parameters that are trained, numpy in any order and kind, lists; users as lists too."""
    narrow = [part.astype(np.float32) for part in pair]
    wanted, fixed = evaluate(narrow, data).top, [part.copy() for part in narrow]
    for part in fixed:
        part.setflags(write=False)
    users, lists = np.flatnonzero(np.diff(data.test.indptr)), [part.tolist() for part in pair]
    every_other = [np.repeat(part, 2, axis=1)[:, ::2] for part in narrow]
    transposed = [torch.from_numpy(np.ascontiguousarray(part.T)).t() for part in narrow]
    parameters = [torch.nn.Parameter(torch.from_numpy(part)) for part in narrow]
    for form in (parameters, pair, lists, fixed, every_other, [np.asfortranarray(part) for part in narrow], transposed):
        np.testing.assert_array_equal(evaluate(tuple(form), data).top, wanted)
        for wanted_users in (users, users.tolist(), tuple(users.tolist()), torch.from_numpy(users)):
            masks = [data.train]
            np.testing.assert_array_equal(rank(tuple(form), wanted_users, 25, 20, masks), wanted)
        alone = [search(tuple(form), [user], k=20, exclude=data.train)[0][0] for user in users]
        np.testing.assert_array_equal([np.pad(row, (0, 20 - row.size), constant_values=-1) for row in alone], wanted)


def test_a_catalogue_without_items_gives_nothing():
    assert [row.size for row in search((np.ones((2, 3)), np.ones((0, 3))), [0, 1], k=3)[0]] == [0, 0]
    assert [row.size for row in search((np.ones((2, 3)), np.ones((0, 3))), [1], k=3)[0]] == [0]
    assert search((np.ones((0, 3)), np.ones((5, 3))), [], k=3) == ([], [])
    ids, scores = search((np.ones((2, 0)), np.ones((5, 0))), [0, 1], k=9)
    assert [row.tolist() for row in ids] == [np.random.default_rng(0).permutation(5).tolist()] * 2 and not np.any(scores)


@pytest.mark.parametrize("k", [0, -1, 2.0, True])
def test_lists_have_one_item_at_least(data, pair, k):
    for scorer in all_kinds(data, pair):
        with pytest.raises(ConfigError, match=f"k is {k}, but must be a whole number of at least 1"):
            rank(scorer, np.arange(3), 25, k, [])


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


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("users", [[7], [7, 3], list(range(30))])
def test_what_is_not_finite_stops_every_ranking(data, side, bad, users):
    """Positive vectors: minus infinity makes scores of minus infinity, which do not rule an item out."""
    rng = np.random.default_rng(0)
    broken = [rng.uniform(0.1, 1, (n, 4)) for n in (30, 25)]
    broken[side][7, 2] = bad
    for call in (
        lambda: search(tuple(broken), users, k=3),
        lambda: search(tuple(broken), users, k=3, exclude=data.train),
        lambda: rank(Foreign(*broken), np.array(users), 25, 3, []),
        lambda: recommend(tuple(broken), users, k=3, seen=True),
    ):
        with pytest.raises(ConfigError, match="vectors hold NaN or infinity in row 7; if a model made them, training has diverged"):
            call()


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("users", [[0], [0, 1], [1, 0, 1, 0, 1]])
def test_products_beyond_float32_stop_every_ranking(sign, users):
    vectors = np.full((2, 4), 1e20), sign * np.linspace(1, 2, 70)[:, None] * np.full((70, 4), 1e20)
    for call in (lambda: search(vectors, users, k=3), lambda: rank(vectors, np.array(users), 70, 3, [])):
        with pytest.raises(ConfigError, match="can exceed float32 .*divide them by a constant, or, if a model made"):
            call()


def test_a_score_of_minus_infinity_rules_out_but_others_do_not(data):
    scores = np.arange(70.0)[None].repeat(2, axis=0)
    scores[1, [69, 3]] = -np.inf
    assert [row.tolist() for row in search(Bare(scores), [0, 1], k=2, n_items=70)[0]] == [[69, 68], [68, 67]]
    assert [row.size for row in search(Bare(scores), [0, 1], k=70, n_items=70)[0]] == [70, 68]
    for bad in (np.nan, np.inf):
        scores[1, 69] = bad
        for users in ([1], [0, 1], [0, 0, 0, 0, 1]):
            with pytest.raises(ConfigError, match="hold NaN or exceed float32"):
                search(Bare(scores), users, k=2, n_items=70)


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
