import dataclasses

import numpy as np
import pytest
import torch
from helpers import random_interactions

from recq_lib.config import TrainConfig
from recq_lib.parts.start import random_basis, spectral_rows
from recq_lib.parts.tables import FullTable, SharedTable
from recq_lib.runs.registry import build
from recq_lib.sharing.sharing import Sharing

CONFIG = TrainConfig(dim=6, n_layers=2, start="spectral", init_std=0.3)


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=40, n_items=30, n_pairs=500, seed=4)


def test_rows_are_those_of_a_dense_decomposition(data):
    dense = data.train.toarray().astype(np.float64)
    scale = [1 / np.sqrt(np.maximum(dense.sum(axis=axis), 1)) for axis in (1, 0)]
    u, s, vt = np.linalg.svd(scale[0][:, None] * dense * scale[1], full_matrices=False)
    expected = np.concatenate([u[:, :4], vt.T[:, :4]]) * np.sqrt(s[:4])
    expected /= np.maximum(np.linalg.norm(expected, axis=1, keepdims=True), 1e-9)
    got = spectral_rows(data.train, 4, seed=3).double().numpy()
    # signs of singular vectors are free: inner products of rows are not
    np.testing.assert_allclose(got @ got.T, expected @ expected.T, atol=1e-4)


def test_columns_beyond_the_rank_are_empty_and_nodes_without_interactions_stay_at_zero():
    data = random_interactions(n_users=12, n_items=5, n_pairs=30, test=5, seed=1)
    rows = spectral_rows(data.train, 9)
    assert rows.shape == (17, 9) and (rows[:, 5:] == 0).all() and torch.isfinite(rows).all()
    degree = np.concatenate([np.asarray(data.train.sum(axis=axis)).ravel() for axis in (1, 0)])
    empty = np.flatnonzero(degree == 0)
    assert (rows[empty] == 0).all()


def test_a_table_is_placed_and_scaled(data):
    weight = build("lightgcn", data, CONFIG).table.weight.detach()
    rows = spectral_rows(data.train, 6, seed=0)
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(weight, 0.3 * (rows / rows.std() + 0.1 * noise))
    other = build("lightgcn", data, dataclasses.replace(CONFIG, seed=1)).table.weight.detach()
    assert not torch.allclose(weight.abs(), other.abs(), atol=1e-3)  # seeds differ
    random = build("lightgcn", data, dataclasses.replace(CONFIG, start="normal")).table.weight.detach()
    assert torch.equal(random, build("lightgcn", data, TrainConfig(dim=6, n_layers=2, init_std=0.3)).table.weight.detach())


def test_a_random_basis_keeps_inner_products_and_evens_columns_out(data):
    basis = random_basis(6, seed=2)
    torch.testing.assert_close(basis @ basis.T, torch.eye(6), atol=1e-6, rtol=0)
    assert not torch.allclose(basis, random_basis(6, seed=3))
    weight = build("lightgcn", data, dataclasses.replace(CONFIG, start="rotated")).table.weight.detach()
    turned, rows = spectral_rows(data.train, 6, seed=0) @ random_basis(6, seed=0), spectral_rows(data.train, 6, seed=0)
    noise = torch.randn(rows.shape, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(weight, 0.3 * (turned / turned.std() + 0.1 * noise))
    torch.testing.assert_close(turned @ turned.T, rows @ rows.T, atol=1e-5, rtol=1e-5)


def test_random_bases_have_no_preferred_direction():
    """First entries of uniformly distributed orthogonal matrices: mean 0, mean square 1/dim; QR alone leaves a sign behind."""
    first = torch.stack([random_basis(5, seed=seed).diagonal() for seed in range(2000)])
    assert (first.mean(0).abs() < 4 / (5 * 2000) ** 0.5).all()
    assert first.square().mean(0).tolist() == pytest.approx([0.2] * 5, abs=0.03)


def test_shared_rows_begin_at_the_mean_of_their_nodes():
    sharing = Sharing(np.array([0, 1, 0]), np.array([1, 0, 1, 1]), 2, 2)
    vectors = torch.randn(7, 3, generator=torch.Generator().manual_seed(0))
    placed = SharedTable(sharing, 3).place(vectors)
    expected = torch.stack([vectors[[0, 2]].mean(0), vectors[1], vectors[4], vectors[[3, 5, 6]].mean(0)])
    torch.testing.assert_close(placed, expected)
    assert torch.equal(FullTable(7, 3).place(vectors), vectors)


def test_tables_without_constant_shares_keep_their_own_draw(data):
    for name in ("cce", "legcf"):
        models = [build(name, data, dataclasses.replace(CONFIG, dim=8, start=start)) for start in ("normal", "spectral")]
        assert torch.equal(*(model.table.weight.detach() for model in models))
