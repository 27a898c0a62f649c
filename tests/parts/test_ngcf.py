import numpy as np
import pytest
import torch
from helpers import dense_normalised, random_interactions

from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.model import Recommender
from recq_lib.parts.ngcf import NGCF, SideBySide
from recq_lib.parts.tables import FullTable


@pytest.fixture(scope="module")
def data():
    return random_interactions(seed=8)


@pytest.fixture(scope="module")
def graph(data):
    return Graph.from_interactions(data)


def encoder(n_layers=2, dim=4, seed=0, **options):
    return NGCF(n_layers, dim, generator=torch.Generator().manual_seed(seed), **options).double()


def table(n, dim=4, seed=1):
    return torch.randn(n, dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def with_self_loops(data):
    """(D + I)^-1 (A + I), float64, from pairs."""
    n = data.n_users + data.n_items
    adjacency = np.eye(n)
    for user, item in zip(*data.pairs("train"), strict=True):
        adjacency[user, data.n_users + item] = adjacency[data.n_users + item, user] = 1.0
    return adjacency / adjacency.sum(axis=1, keepdims=True)


def leaky(value, slope):
    return value if value > 0 else slope * value


def naive_layers(matrix, x, model, slope):
    """Node by node, column by column."""
    ego, layers = x.numpy().copy(), [x.numpy()]
    w1, w2, b1, b2 = (p.detach().numpy() for p in (model.sum_weight, model.product_weight, model.sum_bias, model.product_bias))
    n, d = ego.shape
    for layer in range(model.n_layers):
        side = matrix @ ego
        new = np.zeros((n, d))
        for node in range(n):
            for k in range(d):
                total = sum(side[node, m] * w1[layer, m, k] for m in range(d)) + b1[layer, k]
                product = sum(ego[node, m] * side[node, m] * w2[layer, m, k] for m in range(d)) + b2[layer, k]
                new[node, k] = leaky(total, slope) + leaky(product, slope)
        ego = new
        layers.append(ego / np.sqrt((ego**2).sum(axis=1, keepdims=True)))
    return np.stack(layers)


@pytest.mark.parametrize("adjacency", ["symmetric", "self_loops"])
@pytest.mark.parametrize(("n_layers", "slope"), [(1, 0.2), (3, 0.2), (2, 0.01)])
def test_layers_equal_a_dense_loop(data, graph, adjacency, n_layers, slope):
    model, x = encoder(n_layers, adjacency=adjacency, slope=slope).eval(), table(graph.n_nodes)
    matrix = dense_normalised(data) if adjacency == "symmetric" else with_self_loops(data)
    expected = naive_layers(matrix, x, model, slope)
    np.testing.assert_allclose(model(x, graph).detach().numpy(), expected, atol=1e-11)
    single = model.float()(x.float(), graph).detach().numpy()
    np.testing.assert_allclose(single, expected, atol=1e-4)


@pytest.mark.parametrize("adjacency", ["symmetric", "self_loops"])
@pytest.mark.parametrize("n_layers", [1, 3])
def test_some_rows_equal_the_full_result_with_its_gradients(graph, adjacency, n_layers):
    rows = torch.tensor([0, 3, 4, 41, 69])
    weight = torch.randn(n_layers + 1, 5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    results = []
    for whole in (True, False):
        model, x = encoder(n_layers, adjacency=adjacency, dropout=0.0), table(graph.n_nodes).requires_grad_()
        out = model(x, graph)[:, rows] if whole else model(x, graph, rows)
        (out * weight).sum().backward()
        results.append((out.detach(), x.grad, *(p.grad for p in model.parameters())))
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("adjacency", ["symmetric", "self_loops"])
def test_gradient_by_finite_differences(adjacency):
    graph = Graph.from_interactions(random_interactions(4, 3, 8, seed=1, test=0))
    model, x = encoder(2, 3, adjacency=adjacency).eval(), table(7, 3).requires_grad_()
    names, values = zip(*((name, p.detach().clone().requires_grad_()) for name, p in model.named_parameters()))

    def forward(x, *parameters):
        return torch.func.functional_call(model, dict(zip(names, parameters)), (x, graph))

    assert torch.autograd.gradcheck(forward, (x, *values))


def test_dropout_works_in_training_only_and_before_normalisation(graph):
    model, x = encoder(1, 16, dropout=0.5), table(graph.n_nodes, 16)
    torch.manual_seed(0)
    first = model.train()(x, graph)
    second = model(x, graph)
    assert not torch.equal(first, second)
    torch.manual_seed(0)
    assert torch.equal(model(x, graph), first)
    torch.testing.assert_close(first[1].norm(dim=1), torch.ones(graph.n_nodes, dtype=torch.float64))  # dropped, then normalised
    assert float((first[1] == 0).double().mean()) == pytest.approx(0.5, abs=0.05)
    assert torch.equal(first[0], x)  # the table is not dropped
    model.eval()
    assert torch.equal(model(x, graph), model(x, graph)) and (model(x, graph)[1] != 0).all()
    no_dropout = encoder(1, 16, dropout=0.0).train()
    assert torch.equal(no_dropout(x, graph), model(x, graph))


def test_start_is_xavier_and_follows_the_generator():
    model, again, other = encoder(2, 64), encoder(2, 64), encoder(2, 64, seed=1)
    for a, b in zip(model.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(model.sum_weight, other.sum_weight) and not torch.equal(model.sum_weight, model.product_weight)
    for weight in (model.sum_weight, model.product_weight):
        bound = np.sqrt(6 / 128)
        assert float(weight.detach().abs().max()) <= bound
        assert float(weight.detach().std()) == pytest.approx(bound / np.sqrt(3), rel=0.05)
    for bias in (model.sum_bias, model.product_bias):
        assert 0.5 * np.sqrt(6 / 65) < float(bias.detach().abs().max()) <= np.sqrt(6 / 65)


def test_nodes_without_interactions_and_zero_rows_stay_finite():
    data = Interactions.from_pairs((np.array([0, 1]), np.array([0, 1])), n_users=3, n_items=4)
    graph = Graph.from_interactions(data)
    for adjacency in ("symmetric", "self_loops"):
        model, x = encoder(3, adjacency=adjacency), torch.zeros(7, 4, dtype=torch.float64, requires_grad=True)
        with torch.no_grad():
            model.sum_bias.zero_()
            model.product_bias.zero_()
        out = model(x, graph)
        out.sum().backward()
        assert torch.isfinite(out).all() and torch.isfinite(x.grad).all()
        assert all(torch.isfinite(p.grad).all() for p in model.parameters())


def test_side_by_side_in_a_model(data, graph):
    layers = torch.arange(12, dtype=torch.float64).reshape(3, 2, 2)
    assert torch.equal(SideBySide()(layers), torch.cat(list(layers), dim=1))
    generator = torch.Generator().manual_seed(3)
    model = Recommender(graph, FullTable(graph.n_nodes, 4, generator=generator), NGCF(2, 4, generator=generator), SideBySide())
    users, items = model.embeddings()
    assert users.shape == (data.n_users, 12) and items.shape == (data.n_items, 12)
    assert model.n_bytes()["stored"] == 4 * 12 * graph.n_nodes


def test_bad_settings_are_refused(graph):
    with pytest.raises(ConfigError, match="0 layers of width 4"):
        NGCF(0, 4)
    with pytest.raises(ConfigError, match="dropout is 1"):
        NGCF(1, 4, dropout=1)
    with pytest.raises(ConfigError, match="did you mean 'symmetric'"):
        NGCF(1, 4, adjacency="symetric")
    with pytest.raises(ConfigError, match="width 5, but NGCF was built for 4"):
        encoder()(table(graph.n_nodes, 5), graph)
