import numpy as np
import pytest
import torch
from helpers import dense_normalised, random_interactions

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.graph.adjacency import Graph
from recq_lib.graph.propagation import _DevicePropagation, propagate


@pytest.fixture(scope="module")
def data():
    return random_interactions(seed=3)


@pytest.fixture(scope="module")
def graph(data):
    return Graph.from_interactions(data)


def dense_layers(data, x, n_layers):
    matrix, layers = dense_normalised(data), [x]
    for _ in range(n_layers):
        layers.append(matrix @ layers[-1])
    return np.stack(layers)


def test_matrix_equals_dense_definition(data, graph):
    np.testing.assert_allclose(graph.to_scipy().toarray(), dense_normalised(data), atol=1e-7)
    np.testing.assert_allclose(graph.matrix().to_dense().numpy(), dense_normalised(data), atol=1e-7)
    assert graph.n_edges == data.n_train and graph.n_nodes == data.n_nodes


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("dim", [1, 7, 64])
def test_layers_equal_dense_products(data, graph, n_layers, dim):
    x = np.random.default_rng(dim).standard_normal((graph.n_nodes, dim))
    expected = dense_layers(data, x, n_layers)
    got = propagate(torch.from_numpy(x), graph, n_layers).numpy()
    np.testing.assert_allclose(got, expected, atol=1e-12)
    single = propagate(torch.from_numpy(x).float(), graph, n_layers).numpy()
    np.testing.assert_allclose(single, expected, atol=1e-5)


@pytest.mark.parametrize("n_layers", [0, 1, 2, 3, 4])
def test_rows_equal_full_result(graph, n_layers):
    x = torch.randn(graph.n_nodes, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    rows = torch.tensor([0, 3, 4, 41, 69])
    torch.testing.assert_close(propagate(x, graph, n_layers, rows), propagate(x, graph, n_layers)[:, rows], atol=1e-13, rtol=0)


@pytest.mark.parametrize("n_layers", [1, 2, 3, 4])
@pytest.mark.parametrize("rows", [None, [0, 2, 44, 45, 69]])
@pytest.mark.parametrize("rule", ["cpu", "device"])
def test_gradient_by_finite_differences(graph, n_layers, rows, rule):
    x = torch.randn(graph.n_nodes, 2, dtype=torch.float64, requires_grad=True, generator=torch.Generator().manual_seed(2))
    rows = None if rows is None else torch.tensor(rows)
    weight = torch.randn(n_layers + 1, graph.n_nodes if rows is None else rows.numel(), 2, dtype=torch.float64)

    def loss(table):
        layers = propagate(table, graph, n_layers, rows) if rule == "cpu" else _DevicePropagation.apply(table, graph, n_layers, rows)
        return (weight * layers.sin()).sum()

    assert torch.autograd.gradcheck(loss, (x,), atol=1e-7)


def test_gradient_survives_a_second_step(graph):
    """Scratch buffers are reused between steps; a gradient handed out earlier must not change."""
    x = torch.randn(graph.n_nodes, 4, requires_grad=True, generator=torch.Generator().manual_seed(3))
    rows = torch.arange(0, graph.n_nodes, 3)
    for n_layers in (1, 2, 3):
        first = torch.autograd.grad(propagate(x, graph, n_layers, rows).square().sum(), x)[0]
        kept = first.clone()
        torch.autograd.grad(propagate(2 * x, graph, n_layers, rows).square().sum(), x)
        assert torch.equal(first, kept)


def test_forward_layers_are_not_shared_buffers(graph):
    x = torch.randn(graph.n_nodes, 4, generator=torch.Generator().manual_seed(4))
    rows = torch.arange(10)
    first = propagate(x, graph, 3, rows)
    kept = first.clone()
    propagate(-x, graph, 3, rows)
    assert torch.equal(first, kept)


def test_equals_pyg_lgconv(data, graph):
    from torch_geometric.nn import LGConv

    users, items = data.pairs("train")
    edge = torch.from_numpy(np.stack([users, items + data.n_users]).astype(np.int64))
    x = torch.randn(graph.n_nodes, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    conv, current = LGConv(), x
    for layer in propagate(x, graph, 3)[1:]:
        current = conv(current, torch.cat([edge, edge.flip(0)], dim=1))
        torch.testing.assert_close(layer, current, atol=1e-12, rtol=0)


def test_isolated_nodes_have_empty_layers():
    data = Interactions.from_pairs((np.array([0, 1]), np.array([0, 0])), n_users=3, n_items=4)
    layers = propagate(torch.ones(7, 2), Graph.from_interactions(data), 2)
    assert layers[1:, [2, 4, 5, 6]].abs().sum() == 0
    assert layers[0].eq(1).all()


def test_wrong_sizes_are_refused(graph):
    with pytest.raises(ConfigError, match=r"3 rows, but the graph has"):
        propagate(torch.ones(3, 2), graph, 1)
    with pytest.raises(ConfigError, match="n_layers is -1"):
        propagate(torch.ones(graph.n_nodes, 2), graph, -1)
    with pytest.raises(ConfigError, match="float32 or float64"):
        propagate(torch.ones(graph.n_nodes, 2, dtype=torch.float16), graph, 1)
