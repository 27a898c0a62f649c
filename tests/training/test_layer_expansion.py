import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import random_interactions

from recq_lib.graph.adjacency import Graph
from recq_lib.kernels.sampling import draw_uniform
from recq_lib.training import layer_expansion as expansion


@pytest.fixture(scope="module")
def graph():
    return Graph.from_interactions(random_interactions(seed=3))


def matrix(parts, n_columns):
    indptr, indices, values = parts
    return sp.csr_matrix((values, indices, indptr), shape=(indptr.size - 1, n_columns)).toarray()


def adjacency_of(graph):
    return sp.csr_matrix((graph.values_as(torch.float64), graph.indices, graph.indptr), shape=(graph.n_nodes, graph.n_nodes))


@pytest.mark.parametrize("read", [0.0, 0.02, 0.3, 1.0])
def test_its_parts_make_the_sum_of_two_layers(graph, read):
    adjacency, rng = adjacency_of(graph), np.random.default_rng(0)
    shares = sp.csr_matrix(
        (np.ones(graph.n_nodes), (np.arange(graph.n_nodes), rng.integers(9, size=graph.n_nodes))), shape=(graph.n_nodes, 9)
    )
    merged = (adjacency @ shares).tocsr()
    plan = expansion.expand(adjacency, merged, np.full(graph.n_nodes, read))
    n_kept = plan.kept[0].size - 1
    dense = adjacency.toarray()
    expected = dense @ shares.toarray() + dense @ dense @ shares.toarray()
    found = matrix(plan.near, n_kept) @ matrix(plan.kept, 9) + matrix(plan.far, 9)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-14)
    assert n_kept == 0 if read == 0 else n_kept < graph.n_nodes
    assert n_kept > 0 or read < 0.3  # what everybody reads is kept
    assert all(part[2].dtype == np.float32 for part in vars(plan.astype(np.float32)).values())


def test_a_node_is_kept_where_reading_it_costs_less(graph):
    """Beside the costs counted one by one: additions of all rows that read a node, or its own once and a little for every reader."""
    adjacency, terms = adjacency_of(graph), np.arange(graph.n_nodes) % 11
    read = np.linspace(0, 1, graph.n_nodes)
    reach = (adjacency + sp.identity(graph.n_nodes)).tocsr()
    found = expansion.worth_expanding(reach, terms, read)
    dense = reach.toarray() != 0
    for j in range(graph.n_nodes):
        met = sum(read[i] for i in range(graph.n_nodes) if dense[i, j])
        kept = (1 - np.exp(-met)) * (terms[j] + expansion._PER_NODE) + expansion._PER_EDGE * met
        assert found[j] == (met * terms[j] <= kept)
    assert found.any() and not found.all()


@pytest.mark.parametrize("room", [0, 1, 3])
def test_room_is_kept_and_goes_to_those_that_save_most_for_it(graph, monkeypatch, room):
    adjacency = adjacency_of(graph)
    reach = (adjacency + sp.identity(graph.n_nodes)).tocsr()
    terms, read = np.diff(adjacency.indptr), np.full(graph.n_nodes, 0.01)
    wanted = expansion.worth_expanding(reach, terms, read)
    monkeypatch.setattr(expansion, "_ROOM", room)
    found = expansion.worth_expanding(reach, terms, read)
    entries = (terms + 1) * terms
    assert wanted.all() and not (found & ~wanted).any()
    assert entries[found].sum() <= room * reach.nnz < entries.sum()
    plan = expansion.expand(adjacency, adjacency, read)
    assert plan.far[1].size <= room * reach.nnz and plan.kept[0].size - 1 == (~found).sum()
    met = 0.01 * (terms + 1)
    density = ((1 - np.exp(-met)) * (terms + expansion._PER_NODE) + expansion._PER_EDGE * met - met * terms) / np.maximum(entries, 1)
    assert not found.any() or density[found].min() >= density[~found].max() - 1e-12


def test_probability_of_being_read_is_the_share_of_batches(graph):
    data, size, n_batches = random_interactions(seed=3), 30, 4000
    users, items = data.pairs("train")
    rng, held = np.random.default_rng(1), np.zeros(data.n_nodes)
    for number in range(n_batches):
        drawn, negatives = rng.integers(users.size, size=size), np.empty(size, np.int64)
        draw_uniform(np.uint64(number * 1000), data.n_items, negatives)
        held[np.unique(np.concatenate([users[drawn], items[drawn] + data.n_users, negatives + data.n_users]))] += 1
    expected = expansion.read_probability(np.diff(graph.indptr), data.n_users, size)
    noise = np.sqrt(np.maximum(expected * (1 - expected), 1e-3) / n_batches)
    assert (np.abs(held / n_batches - expected) < 5 * noise).all()
