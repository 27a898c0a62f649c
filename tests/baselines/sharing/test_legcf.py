import copy
import dataclasses
import sys

import numpy as np
import pytest
import torch
from helpers import check_resumed_run, dense_normalised, random_interactions
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recq_lib.baselines.sharing.legcf import ComposedTable, ExtendedGraph, ExtendedLightGCN, metis_assignment
from recq_lib.config import TrainConfig
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.model import Recommender
from recq_lib.parts.readouts import MeanPool
from recq_lib.training.trainer import Trainer, fit

CONFIG = TrainConfig(dim=8, n_layers=2, batch_size=64, epochs=4, eval_every=2, patience=0, ks=(5,), select_metric="recall@5", lr=0.02)
C = 12


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=40, n_items=30, n_pairs=400, val=40, test=60, seed=2)


def random_assignment(n, c=C, t=2, seed=0):
    """Distinct rows and positive weights per node, without METIS."""
    rng = np.random.default_rng(seed)
    rows = np.array([rng.choice(c, t, replace=False) for _ in range(n)])
    return rows, rng.random((n, t)).astype(np.float32) + np.float32(0.1)


def model_of(data, seed=0, **options):
    rows, weights = random_assignment(data.n_nodes, seed=seed)
    table = ComposedTable(rows, weights, C, 8, generator=torch.Generator().manual_seed(seed), **options)
    return Recommender(Graph.from_interactions(data), table, ExtendedLightGCN(2, table), MeanPool())


def dense_assignment(table):
    out = np.zeros((table.rows.shape[0], table.weight.shape[0]))
    for node, (rows, shares) in enumerate(zip(table.rows.tolist(), table.shares.tolist(), strict=True)):
        for row, share in zip(rows, shares, strict=True):
            out[node, row] += share
    return out


def dense_layers(data, table, weight, n_layers=2):
    """All layers of nodes and codebook rows by dense matrices in float64, from the equations; `weight` may require a gradient."""
    s = dense_assignment(table)
    n, c = s.shape
    block = np.zeros((n + c, n + c))
    block[:n, :n], block[:n, n:], block[n:, :n] = dense_normalised(data), s, s.T
    degree = block.sum(axis=1)
    root = np.array([d**-0.5 if d > 0 else 0.0 for d in degree])
    m = torch.from_numpy(root[:, None] * block * root[None, :])
    layers = [torch.cat([torch.tanh(torch.from_numpy(s) @ weight), weight])]
    for _ in range(n_layers):
        layers.append(m @ layers[-1])
    return torch.stack(layers)


# ---- the start ----------------------------------------------------------------------------------------------------------------


def two_communities():
    """Two complete 8×8 blocks, joined by one interaction, and one user and item without any."""
    pairs = [(u + 8 * b, i + 8 * b) for b in (0, 1) for u in range(8) for i in range(8)] + [(0, 15)]
    return Interactions.from_pairs(tuple(np.array(pairs).T), n_users=17, n_items=17, name="two")


def test_metis_anchors_communities():
    pytest.importorskip("pymetis")
    rows, weights = metis_assignment(two_communities(), 2, seed=1)
    assert rows.shape == weights.shape == (34, 2)
    for block in (0, 1):
        members = [*range(8 * block, 8 * block + 8), *range(17 + 8 * block, 17 + 8 * block + 8)]
        assert len(set(rows[members, 0])) == 1
    assert rows[0, 0] != rows[8, 0]
    np.testing.assert_array_equal(rows[:, 1], 1 - rows[:, 0])  # the only other row
    np.testing.assert_allclose(weights, np.tile([0.9, 0.1], (34, 1)), rtol=1e-6)


def test_metis_keeps_neighbours_together(data):
    """Far more interactions inside parts than a random assignment to parts of the same sizes has."""
    pytest.importorskip("pymetis")
    parts = metis_assignment(data, 6, seed=0)[0][:, 0]
    users, items = data.pairs("train")

    def inside(labels):
        return int((labels[users] == labels[data.n_users + items]).sum())

    shuffled = [inside(np.random.default_rng(seed).permutation(parts)) for seed in range(50)]
    assert inside(parts) > max(shuffled)


@given(st.integers(2, 20), st.integers(1, 5), st.floats(0.05, 1.0), st.integers(0, 3))
def test_start_has_distinct_rows_and_weights_of_sum_one(n_rows, composition, anchor, seed):
    pytest.importorskip("pymetis")
    composition = min(composition, n_rows)
    small = random_interactions(n_users=15, n_items=12, n_pairs=70, test=10, seed=1)
    rows, weights = metis_assignment(small, n_rows, composition=composition, anchor=anchor, seed=seed)
    assert rows.shape == (27, composition) and 0 <= rows.min() and rows.max() < n_rows
    assert all(len(set(row)) == composition for row in rows.tolist())
    np.testing.assert_allclose(weights.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(weights[:, 0], anchor if composition > 1 else 1, rtol=1e-6)


def test_other_rows_are_drawn_evenly_and_follow_the_seed():
    pytest.importorskip("pymetis")
    wide = Interactions.from_pairs((np.arange(3000), np.arange(3000)), n_users=3000, n_items=3000)
    first, again, other = (metis_assignment(wide, 5, composition=3, seed=seed)[0] for seed in (1, 1, 2))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    for column in (1, 2):
        shift = (first[:, column] - first[:, 0]) % 5  # 1 to 4, never the own part
        assert stats.chisquare(np.bincount(shift, minlength=5)[1:]).pvalue > 1e-3 and (shift != 0).all()


def test_one_row_needs_no_metis(data, monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)
    rows, weights = metis_assignment(data, 1, composition=1)
    assert (rows == 0).all() and (weights == 1).all()
    with pytest.raises(ConfigError, match=r"needs the package pymetis, .* pip install 'recq\[baselines\]'"):
        metis_assignment(data, 2)


# ---- the table ----------------------------------------------------------------------------------------------------------------


def test_table_and_gradient_equal_the_definition():
    rows, weights = random_assignment(9, c=5, t=3)
    table = ComposedTable(rows, weights, 5, 4).double()
    weight = table.weight.detach().clone().requires_grad_()
    expected = torch.stack([torch.tanh(sum(float(weights[x, j]) * weight[rows[x, j]] for j in range(3))) for x in range(9)])
    torch.testing.assert_close(table(), expected)
    incoming = torch.randn(9, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (got,) = torch.autograd.grad((table() * incoming).sum(), table.weight)
    torch.testing.assert_close(got, torch.autograd.grad((expected * incoming).sum(), weight)[0])


def test_counts_by_hand():
    table = ComposedTable(*random_assignment(9, c=5, t=2), 5, 64)
    assert table.dim == 64 and table().shape == (9, 64)
    assert table.n_parameters == 5 * 64 + 9
    assert table.n_bytes() == 4 * 5 * 64 + 4 * 9 * 2 + 4 * 9 * 2


# ---- the encoder --------------------------------------------------------------------------------------------------------------


def test_layers_equal_dense_equations_at_all_nodes_and_at_some(data):
    model = model_of(data)
    expected = dense_layers(data, model.table, model.table.weight.detach().double())
    torch.testing.assert_close(model.layers().detach().double(), expected[:, :70], atol=1e-5, rtol=1e-4)
    rows = torch.tensor([0, 3, 39, 40, 69])
    torch.testing.assert_close(model.layers(rows).detach().double(), expected[:, rows], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rows", [None, torch.tensor([1, 5, 60])])
def test_gradient_reaches_the_codebook_through_table_and_propagation(data, rows):
    model = model_of(data).double()
    weight = model.table.weight.detach().clone().requires_grad_()
    layers = dense_layers(data, model.table, weight)[:, :70]
    layers = layers if rows is None else layers[:, rows]
    incoming = torch.randn(layers.shape, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (expected,) = torch.autograd.grad((layers * incoming).sum(), weight)
    (got,) = torch.autograd.grad((model.layers(rows) * incoming).sum(), model.table.weight)
    torch.testing.assert_close(got, expected, atol=1e-6, rtol=1e-5)


def test_rows_and_nodes_without_edges_stay_zero_after_layer_zero():
    data = Interactions.from_pairs((np.array([0]), np.array([0])), n_users=2, n_items=1)
    table = ComposedTable(np.array([[0], [1], [0]]), np.array([[1.0], [0.0], [1.0]]), 3, 4)
    graph = ExtendedGraph.of(Graph.from_interactions(data), table.assignment)
    dense = graph.to_scipy().toarray()
    # user 0 and item 0 have one neighbour each and a row: degrees 2; row 0 has two nodes; user 1 has weight 0, row 2 nobody
    expected = np.zeros((6, 6))
    expected[0, 2] = expected[0, 3] = expected[2, 3] = 0.5
    np.testing.assert_allclose(dense, expected + expected.T, atol=1e-7)
    assert table().isfinite().all()


def test_encoder_adds_no_parameters_and_survives_copies(data):
    model = model_of(data)
    assert list(dict(model.named_parameters())) == ["table.weight"]
    assert set(model.state_dict()) == {"table.weight", "table.rows", "table.shares"}
    twin = copy.deepcopy(model)
    with torch.no_grad():
        twin.table.weight.mul_(2)
    expected = dense_layers(data, twin.table, twin.table.weight.detach().double())[:, :70]
    torch.testing.assert_close(twin.layers().detach().double(), expected, atol=1e-5, rtol=1e-4)


# ---- the update ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("rescale", [False, True])
@pytest.mark.parametrize("n_rows", [5, 30])
def test_update_takes_the_largest_entries_of_the_least_squares_solution(n_rows, rescale, monkeypatch):
    monkeypatch.setattr("recq_lib.baselines.sharing.legcf._BLOCK", 7 * n_rows)  # several blocks, the last one smaller
    rng = np.random.default_rng(1)
    table = ComposedTable(*random_assignment(25, c=n_rows), n_rows, 8, rescale=rescale)
    nodes, codebook = rng.normal(size=(25, 8)), rng.normal(size=(n_rows, 8))
    old = table.assignment
    table.renew(torch.from_numpy(nodes), torch.from_numpy(codebook))
    solution = np.linalg.lstsq(codebook.T, nodes.T, rcond=None)[0].T  # x·codebook ≈ node, of least norm
    for x, rows, shares in zip(solution, table.rows.tolist(), table.shares.tolist(), strict=True):
        expected = sorted(range(n_rows), key=lambda row: -x[row])[:2]
        values = np.maximum(x[expected], 0)
        assert rows == expected
        np.testing.assert_allclose(shares, values / values.sum() if rescale else values, rtol=1e-4, atol=1e-6)
    assert table.assignment is not old
    np.testing.assert_allclose(table.assignment.toarray(), dense_assignment(table), atol=1e-7)


def test_a_node_without_positive_entries_keeps_its_assignment():
    table = ComposedTable(np.array([[0, 1], [1, 0]]), np.array([[0.7, 0.3], [0.6, 0.4]]), 2, 2)
    table.renew(torch.tensor([[-1.0, -2.0], [2.0, -3.0]]), torch.eye(2))
    assert table.rows.tolist() == [[0, 1], [0, 1]]
    np.testing.assert_allclose(table.shares, [[0.7, 0.3], [1.0, 0.0]], rtol=1e-6)


def test_assignment_is_renewed_once_from_propagated_means(data):
    trainer, seen = Trainer(model_of(data), data, CONFIG), []
    table = trainer.model.table
    trainer.step_epoch()
    seen.append(table.rows.clone())
    means = dense_layers(data, table, table.weight.detach().double()).mean(dim=0).numpy()
    solution = np.linalg.lstsq(means[70:].T, means[:70].T, rcond=None)[0].T
    for _ in range(3):
        trainer.step_epoch()
        seen.append(table.rows.clone())
    start = torch.from_numpy(random_assignment(70)[0])
    assert torch.equal(seen[0], start) and not torch.equal(seen[1], start)
    assert torch.equal(seen[1], seen[2]) and torch.equal(seen[1], seen[3])
    expected = np.argsort(-solution, axis=1)[:, :2]
    assert (seen[1].numpy() == expected).mean() > 0.97  # near ties may turn in float32


def test_encoder_of_another_table_is_refused(data):
    model = model_of(data)
    other = Recommender(model.graph, model_of(data, seed=1).table, model.encoder, MeanPool())
    with pytest.raises(ConfigError, match="another table"):
        Trainer(other, data, CONFIG).train_epoch()


# ---- training and checkpoints -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed_after", [1, 2, 3])
def test_resumed_run_is_bit_identical(data, tmp_path, killed_after):
    check_resumed_run(lambda: model_of(data), data, CONFIG, tmp_path / "run.pt", killed_after)


def test_training_learns(data):
    config = dataclasses.replace(CONFIG, epochs=20, lr=0.05)
    losses = [entry["loss"] for entry in fit(model_of(data), data, config).history]
    assert losses[-1] < 0.9 * losses[1]  # the first epoch with the renewed assignment


def test_bad_sizes_are_refused(data):
    for n_rows, options, text in (
        (0, {}, "n_rows is 0"), (71, {}, "1 to 70"), (3, {"composition": 4}, "composition is 4"), (3, {"anchor": 0}, "anchor weight is 0"),
        (3, {"seed": -1}, "seed is -1"),
    ):  # fmt: skip
        with pytest.raises(ConfigError, match=text):
            metis_assignment(data, n_rows, **options)
    rows, weights = random_assignment(9, c=5)
    first = weights[:, :1]
    for wrong, text in (((rows, weights, 3, 4), "row numbers"), ((rows, first, 5, 4), "both be"), ((rows, -weights, 5, 4), "0 or more")):
        with pytest.raises(ConfigError, match=text):
            ComposedTable(*wrong)
    table = ComposedTable(rows, weights, 5, 4)
    with pytest.raises(ConfigError, match="0 layers"):
        ExtendedLightGCN(0, table)
