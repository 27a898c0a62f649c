import math

import numpy as np
import pytest
import torch
from helpers import random_interactions

from recq_lib.baselines.binary.bigear import InferenceDistillation, top_lists
from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.runs.registry import build, teacher_of
from recq_lib.training.trainer import Trainer

CONFIG = TrainConfig(dim=8, n_layers=2, readout="concat", seed=4, epochs=3, ks=(5,))


@pytest.fixture(scope="module")
def data():
    return random_interactions(seed=5)


@pytest.fixture(scope="module")
def teacher(data):
    return build("lightgcn", data, CONFIG)


def test_lists_hold_the_best_items_of_every_layer_with_training_items(data, teacher):
    lists = top_lists(teacher, 6)
    for layer, table in enumerate(teacher.layers().detach().numpy().astype(np.float64)):
        scores = table[: data.n_users] @ table[data.n_users :].T
        for u in range(data.n_users):
            got, cut = scores[u, lists[layer, u].numpy()], np.sort(scores[u])[::-1][:6]
            np.testing.assert_allclose(got, cut, atol=1e-6)


def test_lists_are_cut_at_the_catalogue_and_never_empty(data, teacher):
    assert top_lists(teacher, 10**6).shape == (3, data.n_users, data.n_items)
    with pytest.raises(ConfigError, match="lists of 0 items"):
        top_lists(teacher, 0)


def naive(lists, vectors, users, n_users, decay):
    """The paper's triple sum over the whole table."""
    n_layers, _, length = lists.shape
    segments = vectors.reshape(vectors.shape[0], n_layers, -1)
    total = 0.0
    for layer in range(n_layers):
        for u in users:
            for k in range(length):
                score = segments[u, layer] @ segments[n_users + lists[layer, u, k], layer]
                total += math.exp(-decay * (k + 1)) * math.log1p(math.exp(-score)) / length / len(users) / n_layers
    return total


def test_distillation_equals_the_triple_sum_repeats_counted(data, teacher):
    student = build("bigear", data, CONFIG, teacher)
    student.auxiliary = InferenceDistillation(top_lists(teacher, 7), weight=1.0, decay=0.3)
    trainer = Trainer(student, data, CONFIG)
    users = torch.tensor([3, 3, 0, 7, 3])
    batch = trainer.encode(users, torch.tensor([0, 1, 2, 3, 4]), torch.tensor([5, 6, 7, 8, 9]))
    vectors = torch.cat(student.embeddings()).numpy().astype(np.float64)
    expected = naive(student.auxiliary.lists.numpy(), vectors, users.tolist(), data.n_users, 0.3)
    assert float(student.auxiliary(student, batch).detach()) == pytest.approx(expected, rel=1e-5)


def test_a_silent_student_pays_at_most_the_sum_of_the_weights(data, teacher):
    """All scores 0 cost log 2 each, so a layer starts at Σω·log 2/R; with R = 100 that is 0.066 (notes on the official code)."""
    omega = InferenceDistillation(torch.zeros(1, 1, 100, dtype=torch.int32)).omega
    assert float(omega.sum()) * 100 == pytest.approx(9.508, abs=1e-3)
    assert float(omega.sum()) * math.log(2) == pytest.approx(0.066, abs=1e-3)


def test_the_student_starts_as_the_teachers_signs(data, teacher):
    student = build("bigear", data, CONFIG, teacher)
    assert torch.equal(student.table.weight, teacher.table.weight)
    assert student.table.weight.data_ptr() != teacher.table.weight.data_ptr()
    layers = teacher.layers().detach()
    alpha = layers.abs().mean(2, keepdim=True)
    expected = torch.where(layers >= 0, alpha, -alpha) * torch.tensor([1 / 3, 2 / 3, 1])[:, None, None]
    torch.testing.assert_close(torch.cat(student.embeddings()), expected.transpose(0, 1).reshape(data.n_nodes, -1))


def test_one_step_moves_listed_items_outside_the_batch(data, teacher):
    student = build("bigear", data, CONFIG, teacher)
    trainer = Trainer(student, data, CONFIG)
    users, items = torch.tensor([1]), torch.tensor([0])
    trainer.loss(users, items, torch.tensor([1])).backward()
    listed = torch.unique(student.auxiliary.lists[:, 1]).long() + data.n_users
    assert (student.table.weight.grad[listed].abs().sum(1) > 0).all()


def test_the_teacher_is_the_full_precision_model_of_the_same_configuration():
    name, config = teacher_of("bigear", TrainConfig(dim=16, seed=9, epochs=50, options={"teacher_epochs": 7, "teacher_lr": 0.5}))
    assert (config.dim, config.seed, config.epochs, config.lr, config.readout, dict(config.options)) == (16, 9, 7, 0.5, "concat", {})
    assert name == "lightgcn"
    _, same = teacher_of("bigear", TrainConfig(epochs=50, lr=0.25))
    assert (same.epochs, same.lr) == (50, 0.25)
    assert teacher_of("l2q-gcn", TrainConfig()) is None
    assert teacher_of("l2q-gcn", TrainConfig(options={"warm_start": True})) is not None


def test_misuse_is_refused(data, teacher):
    with pytest.raises(ConfigError, match="starts from a trained model"):
        build("bigear", data, CONFIG)
    with pytest.raises(ConfigError, match="must be \\[layers, users, items\\]"):
        InferenceDistillation(torch.zeros(3, 4))
