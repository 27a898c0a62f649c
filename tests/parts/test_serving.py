"""Models answering from codebook and assignment, and by propagating then: as their vectors written out, in float64."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers import dense_normalised, random_interactions

from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.evaluation import propagated
from recq_lib.evaluation.ranking import evaluate
from recq_lib.evaluation.search import search
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.embedding import SharedEmbedding
from recq_lib.parts.encoders import LightGCN, NoPropagation
from recq_lib.parts.model import Recommender
from recq_lib.parts.readouts import Concat, LastLayer, MeanPool
from recq_lib.parts.serving import propagated_rows, shared_vectors
from recq_lib.parts.tables import FullTable, SharedTable
from recq_lib.runs.recommend import recommend
from recq_lib.runs.registry import build
from recq_lib.sharing.sharing import Sharing


@pytest.fixture(scope="module")
def data():
    """40 users, 30 items, some of them without interactions."""
    return random_interactions(n_pairs=200, seed=9)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(1)
    users = np.stack([rng.integers(0, 9, 40), rng.integers(-9, 9, 40).clip(-1)], axis=1)
    return Sharing(users, rng.integers(0, 6, 30), 9, 6)


def model_of(data, table, encoder, readout) -> Recommender:
    return Recommender(Graph.from_interactions(data), table, encoder, readout)


def final_vectors(data, model, pooling) -> np.ndarray:
    """z [n, d] = Σ_l a_l Â^l S E, dense and in float64."""
    layer = model.table().detach().double().numpy()
    total = pooling[0] * layer
    for weight in pooling[1:]:
        layer = dense_normalised(data) @ layer
        total = total + weight * layer
    return total


# ---- without propagation ------------------------------------------------------------------------------------------------------


def test_a_model_without_propagation_answers_from_its_rows(data, rows):
    model = model_of(data, SharedTable(rows, 8), NoPropagation(), MeanPool())
    shared = shared_vectors(model)
    for found, expected in zip(shared.vectors(), model.embeddings(), strict=True):
        np.testing.assert_array_equal(found, expected.numpy())
    z = final_vectors(data, model, [1.0])
    scores, all_users = z[:40] @ z[40:].T, range(40)
    ids, values = search(shared, all_users, 30)
    for user in all_users:
        np.testing.assert_allclose(values[user], np.sort(scores[user])[::-1], atol=1e-5)
        np.testing.assert_allclose(scores[user, ids[user]], values[user], atol=1e-5)


def test_an_embedding_of_ones_own_answers_too(rows):
    embedding = SharedEmbedding(rows, 5).half()
    users, items = shared_vectors(embedding).vectors()
    full = SharedEmbedding(rows, 5)
    full.weight.data = embedding.weight.data.float()
    np.testing.assert_array_equal(users, full.users(torch.arange(40)).detach().numpy())
    np.testing.assert_array_equal(items, full.items(torch.arange(30)).detach().numpy())


def test_why_rows_are_not_shared_is_told(data, rows):
    for table, encoder, readout, text in (
        (SharedTable(rows, 8), LightGCN(2), MeanPool(), "LightGCN of 2 layers: after propagation every node has a vector of its own"),
        (FullTable(70, 8), NoPropagation(), MeanPool(), "FullTable, but must be a SharedTable"),
        (SharedTable(rows, 8), NoPropagation(), Concat(), "Concat, which is no weighted sum of layers"),
    ):
        with pytest.raises(ConfigError, match=text):
            shared_vectors(model_of(data, table, encoder, readout))


# ---- after propagation --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("readout", [MeanPool, LastLayer])
def test_scores_and_vectors_are_those_of_the_dense_model(data, rows, n_layers, readout):
    model = model_of(data, SharedTable(rows, 8), LightGCN(n_layers) if n_layers else NoPropagation(), readout())
    served, z = propagated_rows(model), final_vectors(data, model, readout().pooling(n_layers))
    for found, expected in zip(served.embeddings(), (z[:40], z[40:]), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-6)
    for users in ([3], [0, 39, 7, 7], list(range(40))):
        np.testing.assert_allclose(served.scores(np.array(users, np.int32)), z[users] @ z[40:].T, atol=1e-5)


@pytest.mark.parametrize("method", ["lightgcn", "baco"])
def test_rankings_are_those_of_the_model(data, method, monkeypatch):
    """By numbers per node, in several blocks, and for so many users that vectors are propagated once."""
    options = {"gamma": 1.0} if method == "baco" else {}
    model = build(method, data, TrainConfig(dim=64, n_layers=2, init_std=1.0, options=options))
    served, users = propagated_rows(model), np.arange(40)
    monkeypatch.setattr(propagated, "_COLUMNS", 7)
    monkeypatch.setattr(served, "embeddings", lambda: pytest.fail("40 users are fewer than 64 columns"))
    z_users, z_items = (side.double().numpy() for side in model.embeddings())
    ids, values = search(served, users, 10, data.train)
    for user in users:
        scores = z_users[user] @ z_items.T
        scores[data.train[user].indices] = -np.inf
        np.testing.assert_allclose(values[user], np.sort(scores)[::-1][: len(values[user])], atol=1e-5)
        np.testing.assert_allclose(scores[ids[user]], values[user], atol=1e-5)
    monkeypatch.undo()
    many = search(served, np.tile(users, 2), 10, data.train)
    for one, other in zip(many[1], [*values, *values], strict=True):
        np.testing.assert_allclose(one, other, atol=1e-5)


def test_evaluate_and_recommend_take_it(data):
    model = build("baco", data, TrainConfig(dim=64, n_layers=2, init_std=1.0, options={"gamma": 1.0}))
    served = propagated_rows(model)
    assert evaluate(served, data).values == pytest.approx(evaluate(model, data).values)
    assert (served.interactions() != data.train).nnz == 0
    pairs = ((table["user"].tolist(), table["item"].tolist()) for table in (recommend(served, k=3), recommend(model, k=3)))
    assert next(pairs) == next(pairs)


def test_bytes_are_those_of_codebook_assignment_and_graph(data, rows):
    served = propagated_rows(model_of(data, SharedTable(rows, 8), LightGCN(2), MeanPool()))
    n_indices = sum(len(set(node[node >= 0].tolist())) for side in (rows.users, rows.items) for node in side)
    assert served.n_bytes() == {
        "codebook": 4 * 8 * 15, "assignment": 8 * n_indices + 4 * 71, "graph": 4 * 71 + 4 * 2 * data.train.nnz + 4 * 70
    }  # fmt: skip


def test_what_is_not_linear_is_refused(data, rows):
    with pytest.raises(ConfigError, match="readout is Concat, which is no weighted sum of layers"):
        propagated_rows(model_of(data, SharedTable(rows, 8), LightGCN(2), Concat()))
    with pytest.raises(ConfigError, match="encoder is .*, but must be linear"):
        propagated_rows(build("hq-gnn", data, TrainConfig(dim=8, n_layers=2, options={"encoder": "ngcf"})))
    model = model_of(data, SharedTable(rows, 8), LightGCN(2), MeanPool())
    with pytest.raises(ConfigError, match=r"shares have shape \(70, 15\), but must be \[nodes, rows\] = \(70, 14\)"):
        propagated.PropagatedRows(model.graph, rows.matrix(), np.ones((14, 8)), [0.5, 0.5])
