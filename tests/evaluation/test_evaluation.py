import numpy as np
import pytest
import torch
from helpers import naive_ranking, random_interactions

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.evaluation import scorers
from recq_lib.evaluation.ranking import evaluate, rank
from recq_lib.evaluation.ranking_device import rank_on_device
from recq_lib.kernels import topk


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=50, n_items=40, n_pairs=500, val=50, test=120, seed=7)


def vectors(data, dim=6, seed=0, codes=False):
    generator = torch.Generator().manual_seed(seed)
    users, items = (torch.randn(n, dim, generator=generator) for n in (data.n_users, data.n_items))
    return (users.sign(), items.sign()) if codes else (users, items)


def expected_top(data, pair, k, masks, tie_seed=0):
    position_of = np.empty(data.n_items, int)
    position_of[np.random.default_rng(tie_seed).permutation(data.n_items)] = np.arange(data.n_items)
    scores = (pair[0].double() @ pair[1].double().t()).numpy()
    users = np.flatnonzero(np.diff(data.test.indptr))
    banned = [{i for name in masks for i in data.split(name)[u].indices} for u in users]
    return np.array([naive_ranking(scores[u], b, k, position_of) for u, b in zip(users, banned, strict=True)])


@pytest.mark.parametrize("codes", [False, True])
@pytest.mark.parametrize("masks", [("train", "val"), ("train",), ()])
def test_ranking_equals_full_sort(data, codes, masks):
    pair = vectors(data, codes=codes)
    got = evaluate(pair, data, ks=(1, 5, 10), mask=masks)
    np.testing.assert_array_equal(got.top, expected_top(data, pair, 10, masks))


def test_tiles_do_not_change_the_ranking(data, monkeypatch):
    pair = vectors(data, codes=True)
    whole = evaluate(pair, data, ks=(10,)).top
    for least, n_tiles in ((9, 5), (40, 1), (1, 40)):
        monkeypatch.setattr(scorers, "_LEAST_ITEMS", least)
        monkeypatch.setattr(scorers, "_TILE_SCORES", 1)
        widths = [tile.shape[1] for tile in scorers._DotRanker(*pair).tiles(np.arange(50))]
        assert len(widths) == n_tiles and sum(widths) == 40 and max(widths) == least
        np.testing.assert_array_equal(evaluate(pair, data, ks=(10,)).top, whole)
    for block in (1, 7, 50):
        best = topk.best(scorers._DotRanker(*pair).tiles, np.arange(50), 10, [data.train, data.val], 40, 0, block=block)
        np.testing.assert_array_equal(best[0][np.diff(data.test.indptr) > 0], whole)


def test_ties_follow_the_seed(data):
    pair = vectors(data, dim=3, codes=True)
    for seed in (1, 2):
        np.testing.assert_array_equal(
            evaluate(pair, data, ks=(10,), tie_seed=seed).top, expected_top(data, pair, 10, ("train", "val"), seed)
        )
    assert not np.array_equal(evaluate(pair, data, ks=(10,), tie_seed=1).top, evaluate(pair, data, ks=(10,), tie_seed=2).top)


@pytest.mark.parametrize("codes", [False, True])
def test_device_ranking_equals_cpu_ranking(data, codes):
    pair, users = vectors(data, codes=codes), np.arange(data.n_users, dtype=np.int32)
    order = np.random.default_rng(0).permutation(data.n_items).astype(np.int32)
    np.testing.assert_array_equal(
        rank(pair, users, data.n_items, 7, [data.train]), rank_on_device(*pair, users, 7, [data.train], order)
    )  # fmt: skip


def test_block_scorer_equals_vectors(data):
    users, items = vectors(data)

    class Scorer:
        def score_block(self, block):
            return (users[torch.from_numpy(block).long()] @ items.t()).numpy()

    a, b = evaluate(Scorer(), data, ks=(10,)), evaluate((users, items), data, ks=(10,))
    np.testing.assert_array_equal(a.top, b.top)


def test_a_scorer_may_rank_by_itself(data):
    """`best` is asked for all users at once, with the splits that are masked and the seed of ties."""
    users, items = vectors(data, codes=True)
    scores = (users @ items.t()).numpy()

    class Ranker:
        def best(self, numbers, k, masks, tie_seed):
            position_of = np.empty(40, int)
            position_of[np.random.default_rng(tie_seed).permutation(40)] = np.arange(40)
            rows = [naive_ranking(scores[u], {i for mask in masks for i in mask[u].indices}, k, position_of) for u in numbers]
            return np.array(rows, np.int32), np.take_along_axis(scores[numbers], np.array(rows), axis=1)

    for seed in (0, 1):
        a, b = (evaluate(model, data, ks=(10,), tie_seed=seed) for model in (Ranker(), (users, items)))
        np.testing.assert_array_equal(a.top, b.top)


@pytest.mark.parametrize("n_users", [1, 2, 64])
def test_equal_items_keep_the_seeded_order(n_users):
    """Items of one vector score the same wherever they stand: no product rounds the last columns otherwise than the rest."""
    generator = torch.Generator().manual_seed(n_users)
    for n_items in [*range(1, 141), *(64 * n + more for n in (3, 8, 15, 16, 17, 32) for more in (-1, 0, 1)), 2099, 2100]:
        dim = n_items % 70 + 1
        users, item = torch.randn(n_users, dim, generator=generator), torch.randn(1, dim, generator=generator)
        for seed in (0, 1):
            top = rank((users, item.repeat(n_items, 1)), np.arange(n_users), n_items, n_items, [], tie_seed=seed)
            order = np.random.default_rng(seed).permutation(n_items)
            np.testing.assert_array_equal(top, np.tile(order, (n_users, 1)), err_msg=f"{n_items} items of {dim} columns")


@pytest.mark.filterwarnings("error")
def test_device_ranking_takes_orders_that_cannot_be_written_to(data):
    pair, order = vectors(data), topk.tie_order(data.n_items, 0)
    got = rank_on_device(*pair, np.arange(50), 7, [data.train], order)
    np.testing.assert_array_equal(got, rank(pair, np.arange(50), data.n_items, 7, [data.train]))


def test_metrics_equal_pyg(data):
    from torch_geometric.metrics import LinkPredNDCG, LinkPredPrecision, LinkPredRecall

    pair = vectors(data, seed=4)
    got = evaluate(pair, data, ks=(10,))
    users, items = data.pairs("test")
    place = {u: k for k, u in enumerate(got.users.tolist())}
    label = torch.tensor([[place[u] for u in users.tolist()], items.tolist()])
    for name, oracle in (("recall", LinkPredRecall(10)), ("precision", LinkPredPrecision(10)), ("ndcg", LinkPredNDCG(10))):
        oracle.update(torch.from_numpy(got.top.astype(np.int64)), label)
        assert got.values[f"{name}@10"] == pytest.approx(float(oracle.compute()), abs=1e-6)


def test_perfect_and_worst_models(data):
    relevant = data.test.toarray()
    perfect = evaluate((torch.eye(data.n_users), torch.from_numpy(relevant.T.copy())), data, ks=(data.n_items,), mask=())
    assert perfect.values[f"recall@{data.n_items}"] == 1
    assert perfect.values[f"ndcg@{data.n_items}"] == pytest.approx(1)
    worst = evaluate((torch.eye(data.n_users), torch.from_numpy(-relevant.T.copy())), data, ks=(5,), mask=())
    assert worst.values["recall@5"] == 0 and worst.values["ndcg@5"] == 0


def test_per_user_values_average_to_the_mean(data):
    got = evaluate(vectors(data), data, ks=(3, 10))
    for name in ("recall@3", "ndcg@10", "recall_min@10", "ndcg_authors@3"):
        assert got.per_user(name).mean() == pytest.approx(got.values[name])
    counts = got.hit_counts((3, 10))
    np.testing.assert_array_equal(counts["hits@10"] / counts["n_test"], got.per_user("recall@10"))


def test_exhausted_catalogue_is_padded():
    data = Interactions.from_pairs((np.array([0, 0, 0]), np.array([0, 1, 2])), (np.array([0]), np.array([3])), n_users=1, n_items=4)
    got = evaluate((torch.ones(1, 2), torch.ones(4, 2)), data, ks=(4,))
    assert got.top.tolist() == [[3, -1, -1, -1]]
    assert got.values["recall@4"] == 1 and got.values["precision@4"] == 0.25
    order = np.random.default_rng(0).permutation(4).astype(np.int32)
    assert rank_on_device(torch.ones(1, 2), torch.ones(4, 2), np.array([0]), 4, [data.train], order).tolist() == [[3, -1, -1, -1]]


def test_bad_requests_are_refused(data):
    pair = vectors(data)
    for ks, text in (((0,), "K is 0"), ((data.n_items + 1,), f"K is {data.n_items + 1}"), ((), "ks is empty")):
        with pytest.raises(ConfigError, match=text):
            evaluate(pair, data, ks=ks)
    with pytest.raises(ConfigError, match="NaN or infinity"):
        evaluate((pair[0] * torch.nan, pair[1]), data)
    with pytest.raises(ConfigError, match=r"\(50, 6\) and \(40, 5\).* of one width"):
        evaluate((pair[0], pair[1][:, :5]), data)
    with pytest.raises(ConfigError, match="split 'test' is empty"):
        evaluate(pair, Interactions.from_pairs(data.pairs("train"), n_users=50, n_items=40))
