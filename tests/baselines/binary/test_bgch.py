import math

import numpy as np
import pytest
import torch
from helpers import dense_normalised, random_interactions

from recq_lib.baselines.binary.bgch import DispersedLightGCN, NoisyViews, ProjectedSign
from recq_lib.config import TrainConfig
from recq_lib.graph.adjacency import Graph
from recq_lib.runs.registry import build
from recq_lib.training.trainer import Trainer


@pytest.fixture(scope="module")
def data():
    return random_interactions(seed=6)


def test_projected_codes_by_hand():
    layers = torch.randn(3, 5, 8, generator=torch.Generator().manual_seed(0))
    readout = ProjectedSign(8, skip=1, generator=torch.Generator().manual_seed(1))
    expected = []
    for layer in layers[1:]:
        x = layer @ readout.projection
        expected.append(torch.where(x >= 0, 1.0, -1.0) * x.abs().mean(1, keepdim=True))
    torch.testing.assert_close(readout(layers), torch.cat(expected, dim=1))
    assert readout.n_bytes(10, 8, 2) == 10 * 2 * (8 + 4)


def test_the_projection_is_fixed_but_saved():
    readout = ProjectedSign(8, generator=torch.Generator().manual_seed(1))
    assert not list(readout.parameters()) and "projection" in readout.state_dict()


@pytest.mark.parametrize("training", [True, False])
def test_dispersion_takes_the_leading_direction_out_of_each_side(data, training):
    """v by hand from the same random starts; its share of a side's table shrinks by the rate, the rest stays."""
    table = torch.randn(data.n_nodes, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(2))
    encoder = DispersedLightGCN(1, rate=0.25).train(training)
    torch.manual_seed(5)
    layers = encoder(table, Graph.from_interactions(data))
    generator = torch.Generator().manual_seed(5 if training else 0)
    for side in (slice(0, data.n_users), slice(data.n_users, None)):
        if not training:
            generator.manual_seed(0)  # evaluation draws the same starts for both sides
        e, out = table[side].numpy(), layers[0][side].numpy()
        starts = torch.randn(6, 2, dtype=torch.float64, generator=generator).numpy().T
        found = [np.linalg.matrix_power(e.T @ e, 2) @ start for start in starts]
        v = sum(start / np.linalg.norm(start) for start in found)
        v /= np.linalg.norm(v)
        np.testing.assert_allclose(out @ v, 0.75 * (e @ v), rtol=1e-9, atol=1e-12)
        np.testing.assert_allclose(out - np.outer(out @ v, v), e - np.outer(e @ v, v), atol=1e-12)
    matrix = torch.from_numpy(dense_normalised(data))
    torch.testing.assert_close(layers[1], matrix @ layers[0])


def test_evaluation_repeats_while_training_draws_anew(data):
    encoder, graph = DispersedLightGCN(1), Graph.from_interactions(data)
    table = torch.randn(data.n_nodes, 6, generator=torch.Generator().manual_seed(0))
    encoder.eval()
    assert torch.equal(encoder(table, graph), encoder(table, graph))
    encoder.train()
    assert not torch.equal(encoder(table, graph), encoder(table, graph))


def test_contrast_equals_the_definition():
    views = NoisyViews(temperature=0.5)
    generator = torch.Generator().manual_seed(0)
    first, second = (torch.randn(6, 4, dtype=torch.float64, generator=generator) for _ in range(2))
    a, b = ((x / x.norm(dim=1, keepdim=True)).numpy() for x in (first, second))
    total = 0.0
    for i in range(6):
        similarities = [math.exp(float(a[i] @ b[j]) / 0.5) for j in range(6)]
        total -= math.log(similarities[i] / sum(similarities)) / 6
    assert float(views._contrast(first, second)) == pytest.approx(total)


def test_noise_has_the_size_epsilon_the_sign_of_the_vector_and_spares_layer_0():
    layers = torch.randn(3, 50, 16, generator=torch.Generator().manual_seed(0))
    noise = NoisyViews(epsilon=0.1)._noisy(layers) - layers
    assert torch.equal(noise[0], torch.zeros(50, 16))
    np.testing.assert_allclose(noise[1:].norm(dim=2), 0.1, rtol=1e-4)
    assert (noise[1:] * layers[1:] >= 0).all()


def test_views_enter_the_loss(data):
    config = TrainConfig(dim=8, n_layers=2)
    model = build("bgch-plus", data, config)
    trainer = Trainer(model, data, config)
    batch = (torch.tensor([0, 1, 2]), torch.tensor([3, 4, 5]), torch.tensor([6, 7, 8]))
    torch.manual_seed(0)
    with_views = float(trainer.loss(*batch).detach())
    views, model.auxiliary = model.auxiliary, None
    without = float(trainer.loss(*batch).detach())
    model.auxiliary = views
    # four contrasts over 3 users and 6 items: each is positive and at most about log(count) + 2/τ
    assert 0 < with_views - without <= 0.02 * 2 * (math.log(3) + math.log(6) + 2 * 2 / 0.2)


def test_the_contrast_takes_a_sample_of_distinct_nodes():
    nodes = torch.arange(100, 400)
    some = NoisyViews(sample=50)._some(nodes)
    assert some.numel() == 50 and some.unique().numel() == 50 and set(some.tolist()) <= set(nodes.tolist())
    assert sorted(NoisyViews()._some(nodes).tolist()) == nodes.tolist()
