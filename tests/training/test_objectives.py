import dataclasses
import math

import numpy as np
import pytest
import torch
from helpers import check_resumed_run, random_interactions

from recq_lib.config import CONVENTIONS, TrainConfig, protocol
from recq_lib.errors import ConfigError
from recq_lib.runs.registry import METHODS, build, teacher_of
from recq_lib.training.objectives import Bpr, SampledSoftmax, log_weights, objective_of, scaled, softmax_by_autograd, softmax_of_pairs
from recq_lib.training.sampling import TripleSampler
from recq_lib.training.trainer import Trainer, fit

CONFIG = TrainConfig(
    dim=8, n_layers=2, batch_size=32, epochs=3, eval_every=1, patience=0, lr=0.01, ks=(5,), select_metric="recall@5",
    sampling="per_interaction", negatives="in_batch", loss="softmax", temperature=0.2, lr_decay="linear", start="spectral",
)  # fmt: skip


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=40, n_items=30, n_pairs=400, val=40, test=80, seed=2)


def pairs_of(seed, n_pairs=37, n_users=9, n_items=11):
    rng = np.random.default_rng(seed)
    row, column = (torch.from_numpy(np.concatenate([np.arange(n), rng.integers(n, size=n_pairs - n)])) for n in (n_users, n_items))
    users, items = (torch.from_numpy(rng.normal(size=(n, 5)) * 2) for n in (n_users, n_items))
    return users.requires_grad_(), items.requires_grad_(), torch.from_numpy(rng.normal(size=n_items)), row, column


def naive_softmax(users, items, log_weight, row, column):
    """The formula, a pair and a candidate at a time."""
    users, items = users.detach(), items.detach()
    total = 0.0
    for u, p in zip(row.tolist(), column.tolist()):
        scores = [float(users[u] @ items[c]) for c in range(items.shape[0])]
        terms = [math.exp(s + (0.0 if c == p else float(log_weight[c]))) for c, s in enumerate(scores)]
        total += math.log(math.fsum(terms)) - scores[p]
    return total / row.numel()


@pytest.mark.parametrize("seed", range(5))
def test_softmax_equals_the_formula_and_its_gradient_autograds(seed):
    arguments = pairs_of(seed)
    for loss in (softmax_of_pairs, softmax_by_autograd):
        assert float(loss(*arguments).detach()) == pytest.approx(naive_softmax(*arguments), rel=1e-12)
    ours, reference = (torch.autograd.grad(3 * loss(*arguments), arguments[:2]) for loss in (softmax_of_pairs, softmax_by_autograd))
    for a, b in zip(ours, reference, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-13)


def test_gradient_agrees_with_finite_differences():
    users, items, *rest = pairs_of(7)
    assert torch.autograd.gradcheck(lambda u, i: softmax_of_pairs(u, i, *rest), (users, items))
    assert torch.autograd.gradcheck(lambda u, i: softmax_of_pairs(*scaled(u, i, 0.3), *rest), (users, items))


def test_large_scores_neither_overflow_nor_lose_the_positive():
    users = torch.tensor([[1.0, 0.0]], requires_grad=True)
    items = torch.tensor([[200.0, 0.0], [190.0, 0.0], [-500.0, 0.0]], requires_grad=True)
    zero = torch.zeros(3)
    loss = softmax_of_pairs(users, items, zero, torch.tensor([0, 0]), torch.tensor([0, 2]))
    assert float(loss.detach()) == pytest.approx((math.log1p(math.exp(-10)) + 700) / 2, rel=1e-6)
    loss.backward()
    assert torch.isfinite(users.grad).all() and torch.isfinite(items.grad).all()


def test_weights_make_the_sum_over_a_batch_unbiased():
    # items drawn with the shares given, B at a time: the mean of Σ_{c in batch} w_c·x_c is B/I times the sum over the catalogue
    share, size, rng = np.array([0.5, 0.3, 0.15, 0.05]), 6, np.random.default_rng(0)
    x, weights = np.array([1.0, 2.0, 4.0, 8.0]), np.exp(log_weights(share, size))
    sums = [(weights * x)[np.unique(rng.choice(4, size=size, p=share))].sum() for _ in range(20_000)]
    error = np.std(sums) / math.sqrt(len(sums))
    assert abs(np.mean(sums) - size / 4 * x.sum()) < 4 * error
    assert log_weights(np.array([1.0, 0.0]), 8)[1] == 0  # an item that never occurs


@pytest.mark.parametrize("convention", CONVENTIONS)
def test_weights_hold_for_every_way_of_drawing(data, convention):
    """Over many drawn batches, the weighted sum over a batch's items is B/I times the one over the items that can be drawn."""
    size, sampler = 8, TripleSampler(data, convention=convention, seed=1)
    weights = objective_of(sampler, dataclasses.replace(CONFIG, batch_size=size, sampling=convention)).log_weights.exp().numpy()
    x = np.random.default_rng(0).random(data.n_items)
    batches = [batch[1].numpy() for epoch in range(300) for batch in sampler.epoch(epoch).batches(size) if batch[1].numel() == size]
    sums = [(weights * x)[np.unique(batch)].sum() for batch in batches]
    expected = size / data.n_items * x[sampler.item_shares() > 0].sum()
    # batches of an epoch without repeats are not quite independent draws: a per cent beside the error of the mean
    assert abs(np.mean(sums) - expected) < 4 * np.std(sums) / math.sqrt(len(sums)) + 0.01 * expected


def test_weights_of_interactions_stay_as_they_were(data):
    """To the last bit: records were made with them."""
    share = np.bincount(data.train.indices, minlength=data.n_items) / data.n_train
    ours = Trainer(build("lightgcn", data, CONFIG), data, CONFIG).objective.log_weights
    assert np.array_equal(ours.numpy(), log_weights(share, 32))


def test_the_objective_reads_a_batch_as_the_formula_does(data):
    trainer = Trainer(build("lightgcn", data, CONFIG).double(), data, CONFIG)
    users, positives, negatives = next(iter(trainer.sampler.epoch(0).batches(32)))
    batch = trainer.encode(users, positives, negatives)
    z = trainer.model(None).detach()
    present = torch.unique(positives)
    z_items = z[present + data.n_users]
    length = math.sqrt(float(z_items.square().sum(1).mean()))
    share = np.bincount(data.train.indices, minlength=data.n_items) / data.n_train
    total = 0.0
    for u, p in zip(users.tolist(), positives.tolist()):
        scores = z_items @ z[u] / (float(z[u].norm()) * length * 0.2)
        weight = [32 / data.n_items / (1 - (1 - share[c]) ** 32) if c != p else 1.0 for c in present.tolist()]
        own = float(scores[present.tolist().index(p)])
        total += math.log(sum(w * math.exp(float(s)) for w, s in zip(weight, scores))) - own
    assert float(trainer.objective(batch).detach()) == pytest.approx(total / users.numel(), rel=1e-9)


def test_the_unit_of_vectors_does_not_matter(data):
    trainer = Trainer(build("lightgcn", data, CONFIG).double(), data, CONFIG)
    batch = trainer.encode(*next(iter(trainer.sampler.epoch(0).batches(32))))
    larger = dataclasses.replace(batch, vectors=batch.vectors * 50)
    assert trainer.objective(larger).item() == pytest.approx(trainer.objective(batch).item(), rel=1e-12)


def test_the_configuration_names_the_objective(data):
    sampler = TripleSampler(data, convention="per_interaction")
    assert isinstance(objective_of(sampler, protocol("lightgcn")), Bpr)
    assert isinstance(objective_of(sampler, CONFIG), SampledSoftmax)
    for changes, rule in (({"loss": "hinge"}, "bpr, softmax"), ({"temperature": 0}, "must be positive"), ({"start": "warm"}, "spectral")):
        with pytest.raises(ConfigError, match=rule):
            dataclasses.replace(CONFIG, **changes)


def test_negatives_of_the_batch_are_the_positives_of_the_triple_before(data):
    trainer = Trainer(build("lightgcn", data, CONFIG), data, CONFIG)
    for _, positives, negatives in trainer.sampler.epoch(3).batches(32):
        assert negatives.tolist() == [positives[k - 1].item() for k in range(positives.numel())]


def test_the_learning_rate_falls_to_nothing_on_a_line(data):
    trainer, seen = Trainer(build("lightgcn", data, CONFIG), data, CONFIG), []
    step = trainer.optimizer.step
    trainer.optimizer.step = lambda: (seen.append(trainer.optimizer.param_groups[0]["lr"]), step())
    for _ in range(3):
        trainer.step_epoch()
    n = 3 * math.ceil(data.n_train / 32)
    assert seen == pytest.approx([0.01 * (n - k) / n for k in range(n)])


def test_a_fixed_length_evaluates_nothing_and_keeps_the_last_epoch(data):
    config = dataclasses.replace(CONFIG, select_on="none")
    model = build("lightgcn", data, config)
    trainer = Trainer(build("lightgcn", data, config), data, config)
    for _ in range(3):
        trainer.step_epoch()
    result = fit(model, data, config)
    assert result.best_epoch == 2 and all(set(entry) == {"epoch", "loss"} for entry in result.history)
    assert torch.equal(model.table.weight, trainer.model.table.weight)


def test_a_fixed_length_copies_its_state_once_and_resumes(data, tmp_path, monkeypatch):
    config, copies = dataclasses.replace(CONFIG, select_on="none"), []
    monkeypatch.setattr(
        Trainer, "_parameters", lambda trainer, copy=Trainer._parameters: copies.append(trainer.epoch) or copy(trainer)
    )
    fit(build("lightgcn", data, config), data, config)
    assert copies == [config.epochs - 1]
    check_resumed_run(lambda: build("lightgcn", data, config), data, config, tmp_path / "run.pt", 1)


def test_a_stopped_run_goes_on_as_if_it_had_not_been(data, tmp_path):
    check_resumed_run(lambda: build("l2q-gcn", data, CONFIG), data, CONFIG, tmp_path / "run.pt", 1)


TRAINED = sorted(name for name, entry in METHODS.items() if entry.kind == "trained")


@pytest.mark.parametrize("name", TRAINED)
def test_every_method_learns_under_the_recipe(data, name):
    options = {"ratio": 0.4} if "ratio" in METHODS[name].options else {}
    config, teacher = dataclasses.replace(CONFIG, epochs=4, lr=0.02, options=options), None
    if teacher_of(name, config) is not None:
        teacher_name, teacher_config = teacher_of(name, config)
        teacher = build(teacher_name, data, teacher_config)
    losses = {}
    for lr in (0.02, 1e-9):  # beside a model that stays where it began, since codes that harden raise the loss of both
        model = build(name, data, config, teacher)
        result = fit(model, data, dataclasses.replace(config, lr=lr, select_on="none"))
        losses[lr] = result.history[-1]["loss"]
    assert math.isfinite(losses[0.02]) and losses[0.02] < losses[1e-9] - 0.01
