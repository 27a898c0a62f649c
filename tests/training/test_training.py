import dataclasses
import json
import os
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers import check_resumed_run, dense_normalised, random_interactions

from recq_lib.config import TrainConfig, protocol
from recq_lib.errors import ConfigError, RecordError, RecqError
from recq_lib.parts.model import Recommender
from recq_lib.parts.tables import SharedTable
from recq_lib.runs.registry import build
from recq_lib.sharing.sharing import Sharing
from recq_lib.training import checkpoint as checkpoints
from recq_lib.training.trainer import Trainer, final_evaluation, fit

CONFIG = TrainConfig(dim=8, n_layers=2, batch_size=32, epochs=6, eval_every=2, patience=0, ks=(5, 10), select_metric="recall@5")


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=40, n_items=30, n_pairs=400, val=40, test=80, seed=2)


def reference_training(data, config, n_layers, n_steps):
    """Plain dense torch: full propagation each step, gather, BPR, L2, torch's ordinary Adam."""
    model = build("lightgcn" if n_layers else "mf", data, config)
    table = model.table.weight.detach().clone().requires_grad_()
    matrix = torch.from_numpy(dense_normalised(data)).float()
    optimizer = torch.optim.Adam([table], lr=config.lr, weight_decay=config.weight_decay, foreach=False)
    weights = [(layer + 1) / (n_layers + 1) for layer in range(n_layers + 1)]
    sampler, losses = Trainer(model, data, config).sampler, []
    batches = [b for epoch in range(50) for b in sampler.epoch(epoch).batches(config.batch_size)]
    for users, positives, negatives in batches[:n_steps]:
        layers = [table]
        for _ in range(n_layers):
            layers.append(matrix @ layers[-1])
        if config.readout == "concat" and n_layers:
            z = torch.cat([w * layer for w, layer in zip(weights, layers, strict=True)], dim=1)
        else:
            z = sum(layers) / len(layers)
        u, p, n = z[users], z[positives + data.n_users], z[negatives + data.n_users]
        loss = -torch.log(torch.sigmoid((u * p).sum(1) - (u * n).sum(1))).mean()
        rows = torch.cat([table[users], table[positives + data.n_users], table[negatives + data.n_users]])
        loss = loss + config.l2 * 0.5 * (rows**2).sum() / users.numel()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return table.detach(), losses


@pytest.mark.parametrize("readout", ["mean", "concat"])
@pytest.mark.parametrize("n_layers", [0, 1, 2, 3])
def test_twenty_steps_equal_plain_torch(data, readout, n_layers):
    config = dataclasses.replace(CONFIG, readout=readout, n_layers=n_layers, l2=1e-2, weight_decay=1e-4, init_std=1.0)
    model = build("lightgcn" if n_layers else "mf", data, config)
    trainer, steps = Trainer(model, data, config), 0
    while steps < 20:
        for batch in trainer.sampler.epoch(trainer.epoch).batches(config.batch_size):
            if steps == 20:
                break
            loss = trainer.loss(*batch)
            trainer.optimizer.zero_grad()
            loss.backward()
            trainer.optimizer.step()
            steps += 1
        trainer.epoch += 1
    expected, losses = reference_training(data, config, n_layers, 20)
    error = (model.table.weight - expected).norm() / expected.norm()
    assert error < 1e-5
    assert float(loss.detach()) == pytest.approx(losses[-1], rel=1e-4)


def test_training_learns(data):
    config = dataclasses.replace(CONFIG, lr=0.02, epochs=20)
    result = fit(build("lightgcn", data, config), data, config)
    losses = [entry["loss"] for entry in result.history]
    assert losses[-1] < 0.7 * losses[0]


def test_training_does_not_mind_a_caller_without_gradients(data):
    with torch.no_grad():
        result = fit(build("lightgcn", data, CONFIG), data, CONFIG)
    assert result.history[-1]["loss"] < result.history[0]["loss"]


def test_same_seed_same_bits_and_other_seed_other_bits(data):
    def train(seed):
        config = dataclasses.replace(CONFIG, seed=seed, epochs=3)
        model = build("lightgcn", data, config)
        fit(model, data, config)
        return model.table.weight.detach()

    assert torch.equal(train(1), train(1))
    assert not torch.equal(train(1), train(2))


@pytest.mark.parametrize("killed_after", [1, 2, 5])
def test_resumed_run_is_bit_identical(data, tmp_path, killed_after):
    check_resumed_run(lambda: build("lightgcn", data, CONFIG), data, CONFIG, tmp_path / "run.pt", killed_after)


def test_checkpoint_of_another_run_is_refused(data, tmp_path):
    path = tmp_path / "run.pt"
    fit(build("lightgcn", data, CONFIG), data, CONFIG, checkpoint=path)
    other = dataclasses.replace(CONFIG, lr=0.5)
    with pytest.raises(RecordError, match="another run"):
        fit(build("lightgcn", data, other), data, other, checkpoint=path)


def test_checkpoint_of_another_method_is_refused(data, tmp_path):
    path = tmp_path / "run.pt"
    fit(build("mf", data, CONFIG), data, CONFIG, checkpoint=path)
    with pytest.raises(RecordError, match="another run"):
        fit(build("lightgcn", data, CONFIG), data, CONFIG, checkpoint=path)


_TWO_THREADS = """
import hashlib, torch
from helpers import random_interactions
from recq_lib.config import TrainConfig
from recq_lib.runs.registry import build
from recq_lib.training.trainer import Trainer
torch.set_num_threads(2)
data = random_interactions(n_users=300, n_items=60, n_pairs=9000, val=500, test=500)
config = TrainConfig(dim=64, n_layers=2, batch_size=4096, l2=1e-3)
trainer = Trainer(build("lightgcn", data, config), data, config)
for _ in range(6):
    trainer.train_epoch()
    trainer.epoch += 1
print(hashlib.sha256(trainer.model.table.weight.detach().numpy().tobytes()).hexdigest())
"""


@pytest.mark.slow
def test_two_threads_repeat_bit_for_bit():
    """In processes of their own: the test run itself is limited to one thread. Batches repeat items many times over."""
    environment = {**os.environ, "OMP_NUM_THREADS": "2", "NUMBA_NUM_THREADS": "2", "PYTHONPATH": str(Path(__file__).parents[1])}
    command = [sys.executable, "-W", "ignore", "-c", _TWO_THREADS]
    first, second = (subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout for _ in range(2))
    assert len(first.strip()) == 64 and first == second


def test_impossible_evaluations_are_refused_before_training(data):
    calls = []
    for changes, text in (({"ks": (5, 10**5)}, "K is 100000"), ({"select_metric": "recall@31"}, "K is 31")):
        config = dataclasses.replace(CONFIG, **changes)
        with pytest.raises(ConfigError, match=text):
            fit(build("lightgcn", data, config), data, config, on_epoch=calls.append)
    assert not calls


def test_damaged_checkpoint_is_refused(tmp_path):
    path = tmp_path / "run.pt"
    path.write_bytes(b"not a checkpoint")
    with pytest.raises(RecordError, match="delete it to start the run anew"):
        checkpoints.load(path)


def test_a_flipped_bit_in_a_checkpoint_is_found(data, tmp_path):
    """Whichever of 60 bits it is: refused, moved aside, and the run begun anew ends as one that was never interrupted."""
    path = tmp_path / "run.pt"
    trainer = Trainer(build("lightgcn", data, CONFIG), data, CONFIG)
    trainer.step_epoch()
    trainer.save(path)
    whole = path.read_bytes()
    for at in np.linspace(0, len(whole) - 1, 60).astype(int):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << (at % 8)]) + whole[at + 1 :])
        with pytest.raises(RecordError, match="cannot be read"):
            checkpoints.load(path)
    with pytest.warns(UserWarning, match=r"run\.pt was damaged .* made anew"):
        result = fit(build("lightgcn", data, CONFIG), data, CONFIG, checkpoint=path)
    assert not result.resumed and result.history == fit(build("lightgcn", data, CONFIG), data, CONFIG).history
    assert (tmp_path / "run.pt.damaged").exists()


def test_a_kept_model_of_the_first_format_is_read_and_its_checksums_are(tmp_path):
    path, tensors = tmp_path / "old.pt", {"a": torch.arange(1000.0)}
    torch.save({"tensors": tensors, "meta": json.dumps({"format": 1, "key": "k"})}, path)
    found = checkpoints.load(path)
    assert torch.equal(found.tensors["a"], tensors["a"]) and found.meta["key"] == "k"
    whole = path.read_bytes()
    at = whole.index(tensors["a"].numpy().tobytes()) + 1234
    path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1 :])
    with pytest.raises(RecordError, match="cannot be read .*checksum of old.data.0 is wrong"):
        checkpoints.load(path)


@pytest.mark.parametrize("inside", [False, True], ids=["between epochs", "in an epoch"])
def test_an_interruption_keeps_the_last_whole_epoch(data, tmp_path, inside, monkeypatch):
    path, seen = tmp_path / "run.pt", []

    def interrupt(trainer):
        seen.append(trainer.epoch)
        if not inside and trainer.epoch == 3:
            raise KeyboardInterrupt

    class Interrupted(Trainer):
        def train_batch(self, *batch):
            if inside and self.epoch == 3:
                raise KeyboardInterrupt
            return super().train_batch(*batch)

    monkeypatch.setattr("recq_lib.training.trainer.Trainer", Interrupted)
    with pytest.raises(KeyboardInterrupt):
        fit(build("lightgcn", data, CONFIG), data, CONFIG, checkpoint=path, on_epoch=interrupt)
    monkeypatch.undo()
    assert seen == [1, 2, 3] and checkpoints.load(path).meta["epoch"] == 3
    resumed, whole = build("lightgcn", data, CONFIG), build("lightgcn", data, CONFIG)
    assert fit(resumed, data, CONFIG, checkpoint=path).history == fit(whole, data, CONFIG).history
    assert torch.equal(resumed.table(), whole.table())


def test_a_checkpoint_of_a_model_that_only_prints_the_same_is_refused(data, tmp_path):
    """Two tables of shared rows of one size: what tells them apart is which node takes which row."""
    path = tmp_path / "run.pt"

    def model_of(shift):
        base = build("lightgcn", data, CONFIG)
        users = (np.arange(data.n_users) + shift) % 5
        table = SharedTable(Sharing(users, np.arange(data.n_items) % 4, 5, 4), CONFIG.dim, generator=torch.Generator().manual_seed(0))
        return Recommender(base.graph, table, base.encoder, base.readout)

    assert repr(model_of(0).table) == repr(model_of(1).table)
    fit(model_of(0), data, CONFIG, checkpoint=path)
    assert fit(model_of(0), data, CONFIG, checkpoint=path).resumed
    with pytest.raises(RecordError, match="another run"):
        fit(model_of(1), data, CONFIG, checkpoint=path)


def test_checkpoint_is_replaced_whole(tmp_path):
    path = tmp_path / "run.pt"
    checkpoints.save(path, {"a": torch.ones(2)}, {"epoch": 1})
    with pytest.raises(TypeError):
        checkpoints.save(path, {"a": torch.zeros(2)}, {"epoch": object()})
    assert checkpoints.load(path).meta["epoch"] == 1
    assert [p.name for p in tmp_path.iterdir()] == ["run.pt"]


def test_best_epoch_is_kept(data):
    config = dataclasses.replace(CONFIG, epochs=9, eval_every=1, lr=0.05)
    model = build("lightgcn", data, config)
    seen = {}
    result = fit(model, data, config, on_epoch=lambda t: seen.update({t.epoch - 1: t.model.table.weight.detach().clone()}))
    values = [entry["val_recall@5"] for entry in result.history]
    assert result.best_epoch == int(np.argmax(values)) and result.best_value == max(values)
    assert torch.equal(model.table.weight, seen[result.best_epoch])


def test_early_stopping_counts_evaluations_without_improvement(data):
    config = dataclasses.replace(CONFIG, epochs=200, eval_every=2, patience=3, lr=0.05)
    result = fit(build("lightgcn", data, config), data, config)
    assert result.stopped_early
    assert len(result.history) == result.best_epoch + 1 + 2 * 3


def test_test_split_is_never_read_without_the_authors_protocol(data):
    from recq_lib.data.interactions import Interactions

    blind = Interactions.from_pairs(data.pairs("train"), None, data.pairs("val"), n_users=data.n_users, n_items=data.n_items)
    a, b = build("lightgcn", data, CONFIG), build("lightgcn", blind, CONFIG)
    fit(a, data, CONFIG)
    fit(b, blind, CONFIG)
    assert torch.equal(a.table.weight, b.table.weight)


def test_authors_protocol_records_test_curves(data):
    config = dataclasses.replace(protocol("l2q-authors"), dim=4, epochs=2, ks=(5, 20), batch_size=64)
    result = fit(build("lightgcn", data, config), data, config)
    assert {"recall@20", "ndcg_authors@5", "loss"} <= set(result.history[0])


def test_missing_validation_is_refused():
    data = random_interactions(seed=1)
    with pytest.raises(ConfigError, match="no validation split"):
        fit(build("lightgcn", data, CONFIG), data, CONFIG)


def test_divergence_is_an_error(data):
    config = dataclasses.replace(CONFIG, lr=1e30)
    with pytest.raises(RecqError, match="lower the learning rate"):
        fit(build("lightgcn", data, config), data, config)


def test_final_evaluation_masks_train_and_val(data):
    model = build("lightgcn", data, CONFIG)
    top = final_evaluation(model, data, CONFIG)
    for user, items in zip(top.users, top.top, strict=True):
        known = set(data.train[user].indices) | set(data.val[user].indices)
        assert not known & set(items.tolist())


def test_a_model_of_other_training_interactions_is_refused(data):
    other_sizes = random_interactions(n_users=41, n_items=30, n_pairs=400, val=40, test=80, seed=2)
    fewer = random_interactions(n_users=40, n_items=30, n_pairs=399, val=40, test=80, seed=2)
    same_sizes = random_interactions(n_users=40, n_items=30, n_pairs=400, val=40, test=80, seed=3)
    model = build("lightgcn", data, CONFIG)
    for other, text in (
        (other_sizes, "built on 40 users, 30 items and 280 training interactions, but random has 41 users"),
        (fewer, "280 training interactions, but random has 40 users, 30 items and 279 training interactions"),
        (same_sizes, "built on other training interactions than those of random"),
    ):
        for call in (fit, Trainer):
            with pytest.raises(ConfigError, match=text):
                call(model, other, CONFIG)


def test_what_cannot_be_trained_is_named(data):
    for call in (fit, Trainer):
        with pytest.raises(ConfigError, match="model is of type MostPop, .* nothing to train"):
            call(build("mostpop", data), data, CONFIG)
        with pytest.raises(ConfigError, match="data is of type Recommender, but must be Interactions"):
            call(build("mf", data, CONFIG), build("mf", data, CONFIG), CONFIG)
    with pytest.raises(ConfigError, match="device is 'banana', which PyTorch does not know"):
        fit(build("mf", data, CONFIG), data, CONFIG, device="banana")


def test_a_warning_says_when_only_epoch_0_is_evaluated(data):
    def trained(**changes):
        config = dataclasses.replace(CONFIG, **changes)
        return fit(build("mf", data, config), data, config)

    with pytest.warns(UserWarning, match="epochs is 3 and eval_every 3: only epoch 0 is evaluated.*eval_every to at most 2"):
        assert trained(epochs=3, eval_every=3).best_epoch == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        trained(epochs=3, eval_every=2)
        trained(epochs=1, eval_every=10)


def test_a_checkpoint_may_be_named_by_text(data, tmp_path):
    fit(build("mf", data, CONFIG), data, CONFIG, checkpoint=str(tmp_path / "run.pt"))
    assert fit(build("mf", data, CONFIG), data, CONFIG, checkpoint=str(tmp_path / "run.pt")).resumed
