import dataclasses
import sys

import numpy as np
import pytest
import torch
from helpers import check_resumed_run, random_interactions

from recq_lib.baselines.sharing.cce import CCETable
from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError, RecordError
from recq_lib.graph.adjacency import Graph
from recq_lib.parts.encoders import LightGCN
from recq_lib.parts.model import Recommender
from recq_lib.parts.readouts import MeanPool
from recq_lib.training.trainer import Trainer, fit

CONFIG = TrainConfig(dim=8, n_layers=1, batch_size=64, epochs=5, eval_every=2, patience=0, ks=(5,), select_metric="recall@5", lr=0.02)


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=60, n_items=40, n_pairs=600, val=60, test=80, seed=2)


def model_of(data, seed=0):
    table = CCETable(data.n_users, data.n_items, 12, 9, 8, chunks=2, seed=seed)
    return Recommender(Graph.from_interactions(data), table, LightGCN(1), MeanPool())


def codebooks(table, weight):
    """[(T0, T1) of the users, (T0, T1) of the items]"""
    out, start = [], 0
    for _, rows in table.sizes:
        out.append((weight[start : start + rows], weight[start + rows : start + 2 * rows]))
        start += 2 * rows
    return out


def naive_table(table, weight):
    """Node by node and chunk by chunk, from the definition; differentiable in `weight`."""
    (n_users, _), _ = table.sizes
    books, width, vectors = codebooks(table, weight), table.dim // table.chunks, []
    for node in range(table.h0.shape[0]):
        first, second = books[0 if node < n_users else 1]
        chunks = []
        for k in range(table.chunks):
            part = slice(k * width, (k + 1) * width)
            chunks.append(first[int(table.h0[node, k]), part] + second[int(table.h1[node, k]), part])
        vectors.append(torch.cat(chunks))
    return torch.stack(vectors)


# ---- the table ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("chunks", "clustered"), [(1, False), (2, False), (4, False), (8, False), (4, True)])
def test_table_and_gradient_equal_picking_chunks(chunks, clustered):
    table = CCETable(11, 7, 6, 5, 8, chunks=chunks, seed=chunks).double()
    if clustered:
        table.cluster()
    weight = table.weight.detach().clone().requires_grad_()
    torch.testing.assert_close(table(), naive_table(table, weight))
    incoming = torch.randn(18, 8, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    (got,) = torch.autograd.grad((table() * incoming).sum(), table.weight)
    (expected,) = torch.autograd.grad((naive_table(table, weight) * incoming).sum(), weight)
    torch.testing.assert_close(got, expected)


def test_counts_by_hand():
    table = CCETable(11, 7, 6, 5, 8)  # codebooks of 3 and 2 rows
    assert table().shape == (18, 8) and table.dim == 8
    assert table.n_parameters == 8 * (2 * 3 + 2 * 2)
    assert table.n_bytes() == 4 * 80 + 4 * 18 * 2 * 4


def test_hash_values_fill_all_rows_of_their_side():
    table = CCETable(3000, 2000, 12, 8, 8, seed=3)
    for h in (table.h0, table.h1):
        for side, rows in ((h[:3000], 6), (h[3000:], 4)):
            counts = torch.bincount(side.flatten(), minlength=rows)
            assert counts.numel() == rows
            expected = side.numel() / rows
            assert ((counts - expected).abs() < 5 * expected**0.5).all()
    agree = (table.h0[:3000] == table.h1[:3000]).float().mean()
    assert float(agree) == pytest.approx(1 / 6, abs=0.02)  # two functions, not one


def test_start_is_the_authors_or_the_protocols():
    uniform = CCETable(50, 50, 100, 100, 64).weight.detach()
    assert float(uniform.abs().max()) <= 1 / 8 and float(uniform.var()) == pytest.approx(1 / 64 / 3, rel=0.05)
    normal = CCETable(500, 500, 200, 200, 64, std=2.0)
    assert float(normal().detach().var()) == pytest.approx(4.0, rel=0.05)
    assert float(normal.weight.detach().abs().max()) > 1 / 8


def test_seed_and_generator_decide():
    a, b, c = (CCETable(20, 20, 8, 8, 8, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(a(), b()) and not torch.equal(a(), c())
    d = CCETable(20, 20, 8, 8, 8, seed=1, generator=torch.Generator().manual_seed(9))
    assert torch.equal(a.h0, d.h0) and not torch.equal(a.weight, d.weight)


# ---- clustering ---------------------------------------------------------------------------------------------------------------


def grouped_table():
    """30 users whose first chunks lie around three points (so does every other chunk), 4 rows per codebook."""
    table = CCETable(30, 6, 6, 4, 8, chunks=2, seed=5)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for node in range(30):
            table.h0[node] = node % 3
        books = codebooks(table, table.weight)
        books[0][0].copy_(torch.tensor([[5.0] * 8, [-5.0] * 8, [0.0, 9.0] * 4]))
        books[0][1].copy_(torch.from_numpy(rng.normal(0, 0.01, (3, 8))).float())
    table.load_state_dict(table.state_dict())
    return table


def test_clusters_are_found_and_centroids_are_their_means():
    table = grouped_table()
    before = table().detach()
    table.cluster()
    (first, _), _ = codebooks(table, table.weight.detach())
    for k in range(2):
        groups = table.h0[:30, k]
        assert len(groups.unique()) == 3
        for start in range(3):
            assert len(groups[start::3].unique()) == 1  # nodes 0, 3, 6, … were alike
        for row in range(3):
            mean = before[:30][groups == row, 4 * k : 4 * k + 4].mean(dim=0)
            torch.testing.assert_close(first[row, 4 * k : 4 * k + 4], mean, atol=1e-5, rtol=0)


def test_second_codebook_holds_mean_residuals_and_lowers_the_error():
    table = CCETable(200, 80, 40, 20, 8, chunks=2, seed=1)
    before, old_h1 = table().detach().clone(), table.h1.clone()
    table.cluster()
    assert not torch.equal(table.h1, old_h1)
    books, start = codebooks(table, table.weight.detach()), 0
    for (n, rows), (first, second) in zip(table.sizes, books, strict=True):
        for k in range(2):
            part = slice(4 * k, 4 * k + 4)
            x = before[start : start + n, part]
            residual = x - first[table.h0[start : start + n, k], part]
            assert (residual**2).sum() < ((x - x.mean(dim=0)) ** 2).sum()  # centroids explain something
            for row in range(rows):
                members = table.h1[start : start + n, k] == row
                expected = residual[members].mean(dim=0) if members.any() else torch.zeros(4)
                torch.testing.assert_close(second[row, part], expected, atol=1e-6, rtol=0)
            left = residual - second[table.h1[start : start + n, k], part]
            assert (left**2).sum() <= (residual**2).sum() * (1 + 1e-6)
            distance = torch.cdist(x, first[:, part])
            assert (distance.gather(1, table.h0[start : start + n, k : k + 1]).squeeze() <= distance.min(dim=1).values + 1e-5).all()
        start += n


def test_a_row_that_no_node_hashes_to_stays_finite():
    table = CCETable(3, 3, 6, 6, 4, chunks=2, seed=0)  # 3 nodes, 3 rows: some rows stay empty in one chunk or other
    table.cluster()
    assert table.weight.isfinite().all()
    assert any(len(table.h1[:3, k].unique()) < 3 for k in range(2))


def test_clusters_once_before_the_second_epoch(data):
    trainer, seen = Trainer(model_of(data), data, CONFIG), []
    for _ in range(4):
        trainer.step_epoch()
        seen.append(trainer.model.table.h0.clone())
    assert not torch.equal(seen[0], seen[1])
    assert torch.equal(seen[1], seen[2]) and torch.equal(seen[2], seen[3])


# ---- training and checkpoints -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("killed_after", [1, 2, 4])
def test_resumed_run_is_bit_identical(data, tmp_path, killed_after):
    check_resumed_run(lambda: model_of(data), data, CONFIG, tmp_path / "run.pt", killed_after)


def test_loading_a_state_restores_its_assignment(data):
    model, other = model_of(data, seed=1), model_of(data, seed=2)
    model.table.cluster()
    other.load_state_dict(model.state_dict())
    assert torch.equal(model.table(), other.table())
    torch.testing.assert_close(other.table(), naive_table(other.table, other.table.weight))


def test_best_epoch_before_clustering_gets_its_own_assignment_back(data):
    """At a hopeless learning rate the first epoch may stay the best; its parameters belong to its hash functions."""
    kept = {}

    def keep(trainer):
        kept[trainer.epoch - 1] = [part.clone() for part in trainer.model.embeddings()]

    model = model_of(data)
    result = fit(model, data, dataclasses.replace(CONFIG, eval_every=1, lr=5.0), on_epoch=keep)
    for got, expected in zip(model.embeddings(), kept[result.best_epoch], strict=True):
        assert torch.equal(got, expected)


def test_training_learns(data):
    result = fit(model_of(data), data, dataclasses.replace(CONFIG, epochs=15))
    losses = [entry["loss"] for entry in result.history]
    assert losses[-1] < 0.9 * losses[0]


def test_checkpoint_of_another_table_is_refused(data, tmp_path):
    path = tmp_path / "run.pt"
    fit(model_of(data, seed=1), data, CONFIG, checkpoint=path)
    with pytest.raises(RecordError, match="another run"):
        fit(model_of(data, seed=2), data, CONFIG, checkpoint=path)


def test_impossible_tables_are_refused():
    for sizes, text in (
        ((9, 9, 4, 4, 6), "multiple of the number of chunks, 4"),
        ((9, 9, 4, 4, 0), "dim is 0"),
        ((9, 9, 1, 4, 8), "n_user_rows is 1"),
        ((9, 9, 4, 20, 8), "n_item_rows is 20.* 2 to 18 for 9 nodes"),
    ):
        with pytest.raises(ConfigError, match=text):
            CCETable(*sizes)
    with pytest.raises(ConfigError, match="init std is -1"):
        CCETable(9, 9, 4, 4, 8, std=-1)
    with pytest.raises(ConfigError, match="redo is 0"):
        CCETable(9, 9, 4, 4, 8, redo=0)


def test_missing_scikit_learn_is_said_before_the_training(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn", None)
    with pytest.raises(ConfigError, match=r"CCE needs the package sklearn, .* pip install 'recq\[baselines\]'"):
        CCETable(20, 20, 8, 8, 8)
