import dataclasses

import numba
import numpy as np
import pytest
import torch
from helpers import random_interactions

from recq_lib.config import protocol
from recq_lib.graph.adjacency import Graph
from recq_lib.kernels import propagation
from recq_lib.parts.encoders import LightGCN, NoPropagation
from recq_lib.parts.model import Recommender
from recq_lib.parts.readouts import LastLayer, MeanPool
from recq_lib.parts.tables import FullTable, SharedTable
from recq_lib.sharing.sharing import Sharing
from recq_lib.training.bpr_step import BprStep
from recq_lib.training.steps import AutogradStep
from recq_lib.training.trainer import Trainer

CONFIG = protocol("baco", dim=16, batch_size=40, epochs=3, ks=(5,), select_metric="recall@5")


@pytest.fixture(scope="module")
def data():
    return random_interactions(seed=3)


def table_of(kind, data, dim=16):
    generator, rng = torch.Generator().manual_seed(1), np.random.default_rng(7)
    if kind == "full":
        return FullTable(data.n_nodes, dim, 0.5, generator=generator)
    users = np.stack([rng.integers(6, size=data.n_users), rng.integers(-1, 6, size=data.n_users)], axis=1)
    combine = "sum" if kind == "sum" else "mean"
    return SharedTable(Sharing(users, rng.integers(5, size=data.n_items), 6, 5, combine), dim, 0.5, generator=generator)


def model_of(kind, data, dim=16):
    return Recommender(Graph.from_interactions(data), table_of(kind, data, dim), LightGCN(2), MeanPool())


def batch_of(data, size=50, seed=0):
    """Repeated users and items; a negative may be the positive."""
    rng = np.random.default_rng(seed)
    draws = (rng.integers(data.n_users, size=size), *(rng.integers(data.n_items, size=size) for _ in range(2)))
    return tuple(torch.from_numpy(draw) for draw in draws)


@pytest.mark.parametrize("kind", ["full", "mean", "sum"])
@pytest.mark.parametrize("l2", [0.0, 0.3])
@pytest.mark.parametrize("dim", [3, 8, 64, 80])
def test_loss_and_gradient_are_those_of_autograd(data, kind, l2, dim):
    model, batch = model_of(kind, data, dim).double(), batch_of(data)
    trainer = Trainer(model, data, dataclasses.replace(CONFIG, l2=l2))
    expected = trainer.loss(*batch)
    gradient = torch.autograd.grad(expected, model.table.weight)[0]
    step = BprStep(model, l2)
    for _ in range(2):  # nothing may be left over from a step before
        assert step(*batch) == pytest.approx(expected.item(), rel=1e-12)
        torch.testing.assert_close(model.table.weight.grad, gradient, atol=1e-13, rtol=1e-10)
    assert step(*batch_of(data, 7, seed=1)) == pytest.approx(trainer.loss(*batch_of(data, 7, seed=1)).item(), rel=1e-12)


def test_extreme_scores_keep_a_finite_loss_and_gradient(data):
    model, batch = model_of("full", data), batch_of(data)
    with torch.no_grad():
        model.table.weight.mul_(1e4)
    loss = BprStep(model, 0.0)(*batch)
    assert loss == pytest.approx(Trainer(model, data, CONFIG).loss(*batch).item(), rel=1e-5)
    assert np.isfinite(loss) and model.table.weight.grad.isfinite().all()


@pytest.mark.parametrize("kind", ["full", "mean"])
def test_threads_do_not_change_a_bit(data, kind, monkeypatch):
    batch, results = batch_of(data), []
    before = numba.get_num_threads()
    for work, threads in ((10**12, 1), (0, 1), (0, min(2, numba.config.NUMBA_NUM_THREADS))):
        monkeypatch.setattr(propagation, "_SERIAL_WORK", work)
        numba.set_num_threads(threads)
        model = model_of(kind, data, 64)
        results.append((BprStep(model, 0.1)(*batch), model.table.weight.grad.clone()))
    numba.set_num_threads(before)
    for loss, gradient in results[1:]:
        assert loss == results[0][0] and torch.equal(gradient, results[0][1])


@pytest.mark.parametrize("kind", ["full", "mean"])
def test_training_with_it_ends_where_autograd_does(data, kind):
    tables = []
    for fused in (True, False):
        trainer = Trainer(model_of(kind, data), data, CONFIG)
        assert isinstance(trainer.step, BprStep)
        trainer.step = trainer.step if fused else AutogradStep(trainer)
        losses = [trainer.train_epoch() for _ in range(3)]
        tables.append((torch.tensor(losses), trainer.model.table.weight.detach()))
    torch.testing.assert_close(tables[0][0], tables[1][0], rtol=1e-5, atol=0)
    torch.testing.assert_close(tables[0][1], tables[1][1], rtol=0, atol=1e-5)


def test_other_models_are_left_to_autograd(data):
    graph, full = Graph.from_interactions(data), table_of("full", data)
    assert BprStep.fits(Recommender(graph, full, LightGCN(2), MeanPool()), CONFIG)
    others = [(LightGCN(3), MeanPool()), (LightGCN(1), MeanPool()), (NoPropagation(), MeanPool()), (LightGCN(2), LastLayer())]
    assert not any(BprStep.fits(Recommender(graph, full, *parts), CONFIG) for parts in others)
    assert not BprStep.fits(Recommender(graph, full, LightGCN(2), MeanPool(), torch.nn.Identity()), CONFIG)
    softmax = dataclasses.replace(CONFIG, loss="softmax")
    assert not BprStep.fits(Recommender(graph, full, LightGCN(2), MeanPool()), softmax)
