import math

import numpy as np
import pytest
import torch
from helpers import random_interactions
from torch.nn import functional as F

from recq_lib.baselines.binary.readouts import ContinuedTanh, GuidedHash, GumbelBits, LinkEntropy, RandomHyperplanes, UnitCodes
from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.parts.annealing import Schedule
from recq_lib.runs.registry import build, resolve
from recq_lib.runs.run import Plan, execute
from recq_lib.training.trainer import Trainer

LAYERS = torch.randn(3, 9, 16, generator=torch.Generator().manual_seed(0))
SCALE = math.sqrt(10 / 16)
CODES = torch.where(LAYERS.mean(0) >= 0, SCALE, -SCALE)
BINARY = ("hashnet", "hashrec", "gumbelrec", "hashgnn-hard", "hashgnn-soft", "bgch", "bgch-plus")


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize("readout", [UnitCodes(), ContinuedTanh(Schedule("root")), GumbelBits(Schedule("linear"))])
def test_at_test_time_all_give_the_scaled_signs_of_the_mean_layer(readout):
    torch.testing.assert_close(readout.eval()(LAYERS), CODES)


def test_the_tanh_follows_its_schedule():
    readout = ContinuedTanh(Schedule("doubling", start=1.0, end=1 / 8, hold=0.0, span=0.9)).train()
    for epoch, slope in ((0, 1), (3, 2), (6, 4), (9, 8)):
        readout.begin_epoch(epoch, 10)
        torch.testing.assert_close(readout(LAYERS), SCALE * torch.tanh(slope * LAYERS.mean(0)))


def test_hashrec_follows_cigars_slope():
    readout = ContinuedTanh(Schedule("root")).train()
    readout.begin_epoch(7, 100)
    torch.testing.assert_close(readout(LAYERS), SCALE * torch.tanh(math.sqrt(71) * LAYERS.mean(0)))


def test_gumbel_bits_are_hard_and_drawn_with_the_logistic_probability():
    readout = GumbelBits(Schedule("none", start=0.5), gain=3.0).train()
    x = torch.tensor([[-0.5, -0.1, 0.0, 0.2, 0.6]])
    torch.manual_seed(0)
    draws = torch.stack([readout(x[None])[0] for _ in range(4000)]) / math.sqrt(2)  # √(10/5)
    assert set(draws.unique().tolist()) <= {-1.0, 1.0} or torch.allclose(draws.abs(), torch.ones(()))
    rate = (draws > 0).double().mean(0)
    expected = 1 / (1 + np.exp(-3.0 * x[0].double().numpy()))
    np.testing.assert_allclose(rate, expected, atol=5 * 0.5 / math.sqrt(4000))


def test_gumbel_gradient_is_that_of_the_soft_bit():
    readout = GumbelBits(Schedule("none", start=0.7), gain=2.0).train()
    x = torch.randn(1, 6, 4, generator=generator(), requires_grad=True)
    torch.manual_seed(3)
    readout(x).sum().backward()
    torch.manual_seed(3)
    uniform = torch.rand(6, 4)
    logits = 2.0 * x.detach()[0] + torch.log(uniform / (1 - uniform))
    soft = torch.sigmoid(logits / 0.7)
    expected = math.sqrt(10 / 4) * 2 * soft * (1 - soft) / 0.7 * 2.0
    torch.testing.assert_close(x.grad[0], expected, rtol=1e-4, atol=1e-5)


def test_guidance_mixes_whole_rows_with_the_scheduled_probability():
    readout = GuidedHash(16, Schedule("linear", 0.0, 1.0, hold=0.0, span=1.0), generator=generator()).train()
    layers = torch.randn(2, 5000, 16, generator=generator(1))
    dense = torch.tanh(layers.mean(0) @ readout.weight + readout.bias)
    for epoch, probability in ((0, 0.0), (3, 0.3), (10, 1.0)):
        readout.begin_epoch(epoch, 10)
        z = readout(layers) / SCALE
        coded = torch.isclose(z.abs(), torch.ones(())).all(1)
        torch.testing.assert_close(z[~coded], dense[~coded])
        torch.testing.assert_close(z[coded], torch.where(dense[coded] >= 0, 1.0, -1.0))
        assert float(coded.double().mean()) == pytest.approx(probability, abs=0.03)


def test_hard_codes_are_bits_and_soft_ones_are_not_but_repeat():
    schedule = Schedule("none", start=0.5)
    hard, soft = (GuidedHash(16, schedule, soft=soft, generator=generator()).eval() for soft in (False, True))
    assert hard(LAYERS).abs().unique().numel() == 1
    assert soft(LAYERS).abs().unique().numel() > 2
    assert torch.equal(soft(LAYERS), soft(LAYERS))
    assert (hard.n_bytes(10, 16, 2), soft.n_bytes(10, 16, 2)) == (80, 640)


def test_guidance_probability_travels_with_the_parameters():
    first, second = (GuidedHash(16, Schedule("linear", 0.0, 1.0, hold=0.0, span=1.0), generator=generator()) for _ in range(2))
    first.begin_epoch(7, 10)
    second.load_state_dict(first.state_dict())
    assert float(second.probability) == pytest.approx(0.7)


@pytest.mark.parametrize("layer0", [False, True])
def test_link_entropy_equals_binary_cross_entropy(layer0):
    data = random_interactions(seed=1)
    config = TrainConfig(dim=6, n_layers=2)
    model = build("hashgnn-hard", data, config)
    trainer = Trainer(model, data, config)
    users, positives, negatives = torch.tensor([0, 3, 3]), torch.tensor([1, 2, 1]), torch.tensor([9, 8, 7])
    model.eval()
    batch = trainer.encode(users, positives, negatives)
    z = (model.layers()[0] if layer0 else torch.cat(model.embeddings())).detach()
    scores = torch.cat([(z[users] * z[items + data.n_users]).sum(1) for items in (positives, negatives)])
    target = torch.tensor([1.0] * 3 + [0.0] * 3)
    expected = 0.5 * 2 * F.binary_cross_entropy_with_logits(scores, target)
    torch.testing.assert_close(LinkEntropy(0.5, layer0=layer0)(model, batch).detach(), expected)


def test_hyperplane_codes_agree_as_often_as_the_angle_says():
    """P(bits agree) = 1 - angle/π (Charikar, 2002)."""
    bits, layers = 20_000, torch.randn(2, 6, 8, generator=generator(2))
    readout = RandomHyperplanes(16, bits, generator=generator())
    codes = torch.sign(readout(layers))
    x = torch.cat([layers[0] / 2, layers[1]], dim=1).double()
    x = F.normalize(x, dim=1)
    expected = 1 - torch.arccos((x @ x.T).clamp(-1, 1)) / math.pi
    agree = (codes[:, None] == codes[None]).double().mean(2)
    torch.testing.assert_close(agree, expected, atol=5 * 0.5 / math.sqrt(bits), rtol=0)
    assert readout.n_bytes(3, 8, 1) == 3 * 8 * math.ceil(bits / 64)
    with pytest.raises(ConfigError, match="0 bits"):
        RandomHyperplanes(4, 0)


@pytest.mark.parametrize("name", (*BINARY, "lsh", "ptq-sign", "l2q-gcn", "l2q-gcn-anl", "bigear"))
def test_every_method_trains_resumes_its_evaluation_and_counts_its_bytes(name, tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "results"))
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path / "checkpoints"))
    config = TrainConfig(dim=8, n_layers=2, epochs=2, eval_every=1, patience=0, batch_size=64, ks=(5,), select_metric="recall@5")
    plan = Plan(name, "synthetic-tiny", "smoke", config)
    first, second = execute(plan, resume=False), execute(plan, resume=False)
    assert first.metrics == second.metrics and 0 < first.metrics["recall@5"] < 1
    assert first.spec.params["option." + next(iter(resolve(name, config).options))] is not None
    assert 0 < first.n_bytes["stored"] <= first.n_bytes["parameters"] * 3


def test_options_are_checked_by_name_and_type():
    assert resolve("bigear", TrainConfig(options={"gamma": 2})).options["gamma"] == 2.0
    with pytest.raises(ConfigError, match="gama"):
        resolve("bigear", TrainConfig(options={"gama": 2.0}))
    with pytest.raises(ConfigError, match="must be of type int"):
        resolve("bigear", TrainConfig(options={"top": 10.5}))
    with pytest.raises(ConfigError, match="no options of its own"):
        resolve("lightgcn", TrainConfig(options={"top": 10}))
