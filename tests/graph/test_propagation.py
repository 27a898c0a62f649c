import numpy as np
import pytest
import scipy.sparse as sp
import torch
from helpers import dense_normalised, random_interactions

from recq_lib.graph.adjacency import Graph
from recq_lib.graph.propagation import CpuPropagation, SharedRows, propagate
from recq_lib.parts.encoders import LightGCN
from recq_lib.parts.model import Recommender
from recq_lib.parts.readouts import MeanPool
from recq_lib.parts.tables import SharedTable
from recq_lib.sharing.sharing import Sharing

ROWS = torch.tensor([0, 3, 4, 41, 44, 69])


@pytest.fixture(scope="module")
def data():
    return random_interactions(seed=3)


@pytest.fixture(scope="module")
def graph(data):
    return Graph.from_interactions(data)


def shares_of(n, n_rows, seed, several=True):
    """Every node takes one or two of `n_rows` rows, with any weights."""
    rng = np.random.default_rng(seed)
    dense = np.zeros((n, n_rows))
    dense[np.arange(n), rng.integers(n_rows, size=n)] = rng.standard_normal(n)
    if several:
        dense[np.arange(0, n, 2), rng.integers(n_rows, size=(n + 1) // 2)] += 0.5
    return dense


@pytest.mark.parametrize("n_layers", [2, 3, 4])
@pytest.mark.parametrize("several", [True, False])
def test_merged_layers_equal_dense_products(data, graph, n_layers, several):
    shares = shares_of(graph.n_nodes, 9, seed=n_layers, several=several)
    codebook = np.random.default_rng(1).standard_normal((9, 5))
    expected, matrix = [shares @ codebook], dense_normalised(data)
    for _ in range(n_layers):
        expected.append(matrix @ expected[-1])
    source = SharedRows(graph, sp.csr_matrix(shares.astype(np.float32)))
    got = CpuPropagation.apply(torch.from_numpy(codebook), source, n_layers, ROWS).numpy()
    np.testing.assert_allclose(got, np.stack(expected)[:, ROWS.numpy()], atol=1e-7)  # the shares are kept in float32
    single = CpuPropagation.apply(torch.from_numpy(codebook).float(), source, n_layers, ROWS).numpy()
    np.testing.assert_allclose(single, got, atol=1e-5)


@pytest.mark.parametrize("n_layers", [2, 3, 4])
@pytest.mark.parametrize("rows", [ROWS, torch.arange(70)])
def test_merged_gradient_by_finite_differences(graph, n_layers, rows):
    source = SharedRows(graph, sp.csr_matrix(shares_of(graph.n_nodes, 9, seed=5)))
    codebook = torch.randn(9, 2, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(2))
    weight = torch.randn(n_layers + 1, rows.numel(), 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3))

    def loss(rows_of_codebook):
        return (weight * CpuPropagation.apply(rows_of_codebook, source, n_layers, rows).sin()).sum()

    assert torch.autograd.gradcheck(loss, (codebook,), atol=1e-7)


def test_merging_brings_something_where_neighbours_share_rows(graph):
    n = graph.n_nodes
    one = sp.csr_matrix((np.ones(n), (np.arange(n), np.arange(n) >= graph.n_users)), shape=(n, 2))
    assert SharedRows(graph, one).worth_it
    two = sp.csr_matrix((np.ones(2 * n), (np.repeat(np.arange(n), 2), np.arange(2 * n))), shape=(n, 2 * n))  # nobody shares anything
    assert not SharedRows(graph, two).worth_it


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_a_model_of_shared_rows_gives_one_result_on_both_ways(data, graph, n_layers):
    rng = np.random.default_rng(7)
    users = np.stack([rng.integers(6, size=data.n_users), rng.integers(-1, 6, size=data.n_users)], axis=1)
    table = SharedTable(Sharing(users, rng.integers(5, size=data.n_items), 6, 5), 8, generator=torch.Generator().manual_seed(1))
    model = Recommender(graph, table, LightGCN(n_layers), MeanPool())
    merged, written = model(ROWS), MeanPool()(propagate(table(), graph, n_layers, ROWS))
    torch.testing.assert_close(merged, written, atol=1e-6, rtol=1e-5)
    gradients = [torch.autograd.grad(z.cos().sum(), table.weight)[0] for z in (merged, written)]
    torch.testing.assert_close(*gradients, atol=1e-6, rtol=1e-5)
    assert (table.source(graph) is not None) and table.source(graph) is table.source(graph)
