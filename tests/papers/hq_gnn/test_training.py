import dataclasses

import pytest
import torch
from helpers import random_interactions

from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import evaluate
from recq_lib.papers.hq_gnn.quantizer import UniformQuantizer
from recq_lib.papers.hq_gnn.trace import bpr_trace
from recq_lib.papers.hq_gnn.training import HessianAware, post_training
from recq_lib.runs.registry import build
from recq_lib.training import checkpoint as checkpoints
from recq_lib.training.steps import AutogradStep
from recq_lib.training.trainer import Trainer, fit

CONFIG = TrainConfig(
    dim=8, n_layers=2, batch_size=64, epochs=5, eval_every=1, patience=0, ks=(5,), select_metric="recall@5", options={"bits": 2}
)


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=40, n_items=30, n_pairs=400, val=40, test=80, seed=2)


def config(**options):
    return dataclasses.replace(CONFIG, options={"bits": 2} | options)


def trained(data, **options):
    settings = config(**options)
    model = build("hq-gnn", data, settings)
    return model, fit(model, data, settings)


def test_delta_is_trace_over_gradient_of_the_epochs_first_batches(data):
    settings = config()
    trainer = Trainer(build("hq-gnn", data, settings), data, settings)
    trainer.step_epoch()
    readout = trainer.model.readout
    assert float(readout.users[0].delta) == 0.0  # the first epoch is plain STE
    trainer.model.train()
    q = readout.vectors(trainer.model.layers()).detach()
    expected = []
    for _, batch in zip(range(3), trainer.sampler.epoch(1).batches(64)):
        users, positives, negatives = batch[0], batch[1] + data.n_users, batch[2] + data.n_users
        leaf = q.clone().requires_grad_()
        scores = (leaf[users] * (leaf[positives] - leaf[negatives])).sum(1)
        (gradient,) = torch.autograd.grad(-torch.log(torch.sigmoid(scores)).mean(), leaf)
        traces = bpr_trace(q[users], q[positives], q[negatives])
        expected.append([float(t / g.abs().sum()) for t, g in zip(traces, (gradient[: data.n_users], gradient[data.n_users :]))])
    readout.prepare(trainer)
    for quantizers, column in ((readout.users, 0), (readout.items, 1)):
        assert float(quantizers[0].delta) == pytest.approx(sum(row[column] for row in expected) / 3, rel=1e-4)


def test_ste_never_has_a_delta_and_gste_trains_differently(data):
    ste, first = trained(data, estimator="ste", bounds="fixed")
    gste, second = trained(data, estimator="gste", bounds="fixed")
    assert all(entry["users_delta"] == 0 for entry in first.history)
    assert [entry["users_delta"] > 0 for entry in second.history] == [False] + [True] * 4
    assert first.history[0]["loss"] == second.history[0]["loss"] and first.history[2]["loss"] != second.history[2]["loss"]


def test_refresh_interval_and_warm_start(data):
    _, result = trained(data, warm=2, refresh=2)
    assert ["users_delta" in entry for entry in result.history] == [False, False, True, True, True]
    assert [entry.get("users_delta", 0.0) > 0 for entry in result.history] == [False] * 4 + [True]


def test_warm_epochs_are_full_precision(data):
    settings = config(warm=2)
    quantized = Trainer(build("hq-gnn", data, settings), data, settings)
    full = Trainer(build("lightgcn", data, CONFIG_FULL), data, CONFIG_FULL)
    full.step = AutogradStep(full)  # same mathematics in another order of sums; here every bit is compared
    for trainer in (quantized, full):
        trainer.train_epoch()
    assert torch.equal(quantized.model.table.weight, full.model.table.weight)


CONFIG_FULL = dataclasses.replace(CONFIG, options={})


@pytest.mark.parametrize("bits", [1, 2, 4])
def test_the_exported_integers_rank_as_the_model_does(data, bits):
    model, _ = trained(data, bits=bits)
    floats, integers = evaluate(model, data, ks=(5,)), evaluate(model.codes(), data, ks=(5,))
    assert (floats.top == integers.top).all()


def test_resumed_run_is_bit_identical(data, tmp_path):
    class Killed(Exception):
        pass

    def kill(trainer):
        if trainer.epoch == 3:
            trainer.save(path)
            raise Killed

    settings, path = config(trace="hutchinson", samples=3), tmp_path / "run.pt"
    whole = build("hq-gnn", data, settings)
    fit(whole, data, settings)
    part = build("hq-gnn", data, settings)
    with pytest.raises(Killed):
        fit(part, data, settings, checkpoint=path, on_epoch=kill)
    assert checkpoints.load(path).meta["epoch"] == 3
    again = build("hq-gnn", data, settings)
    fit(again, data, settings, checkpoint=path)
    for name, tensor in whole.state_dict().items():
        assert torch.equal(tensor, again.state_dict()[name]), name


def test_scales_learn_more_slowly_and_without_decay(data):
    settings = dataclasses.replace(config(scale_lr=0.01), weight_decay=0.1)
    trainer = Trainer(build("hq-gnn", data, settings), data, settings)
    first, second = trainer.optimizer.param_groups
    assert (first["lr"], first["weight_decay"]) == (settings.lr, 0.1)
    assert (second["lr"], second["weight_decay"]) == (pytest.approx(settings.lr * 0.01), 0.0)
    assert len(second["params"]) == 4 and len(first["params"]) == 1


def test_ngcf_trains_with_a_quantizer_per_block(data):
    model, result = trained(data, encoder="ngcf")
    assert len(model.readout.users) == 3 and {"users_0_delta", "items_2_beta"} <= set(result.history[-1])
    assert model.embeddings()[0].shape == (data.n_users, 24)


def test_post_training_scales_fit_the_tables(data):
    model = build("lightgcn", data, CONFIG_FULL)
    quantizer = post_training(model, HessianAware(data.n_users, data.n_items, 2))
    x = model.layers().mean(0)[: data.n_users].detach()
    assert float(quantizer.users[0].beta.detach()) == pytest.approx(3 * float(x.std(correction=0)), rel=1e-5)
    assert isinstance(quantizer.items[0], UniformQuantizer) and bool(quantizer.items[0].initialised)


def test_unusable_settings_are_refused(data):
    cases = {"refresh": (0, "refresh is 0"), "estimator": ("ewgs", "estimator"), "encoder": ("gat", "encoder"), "bits": (9, "bits is 9")}
    for name, (value, text) in cases.items():
        with pytest.raises(ConfigError, match=text):
            build("hq-gnn", data, config(**{name: value}))
