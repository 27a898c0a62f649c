import dataclasses

import numpy as np
import pytest
import torch
from helpers import dense_normalised, random_interactions

from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.parts.encoders import LightGCN
from recq_lib.parts.readouts import Concat, LastLayer, MeanPool
from recq_lib.parts.tables import FullTable
from recq_lib.runs.registry import METHODS, build, method


@pytest.fixture(scope="module")
def data():
    return random_interactions(seed=9)


def test_readouts_by_hand():
    layers = torch.arange(12, dtype=torch.float64).reshape(3, 2, 2)
    torch.testing.assert_close(MeanPool()(layers), (layers[0] + layers[1] + layers[2]) / 3)
    torch.testing.assert_close(LastLayer()(layers), layers[2])
    torch.testing.assert_close(Concat()(layers), torch.cat([layers[0] / 3, layers[1] * 2 / 3, layers[2]], dim=1))


@pytest.mark.parametrize("readout", ["mean", "concat", "last"])
def test_embeddings_equal_dense_model(data, readout):
    model = build("lightgcn", data, TrainConfig(dim=4, n_layers=2, readout=readout))
    layers = [model.table.weight.detach().double().numpy()]
    for _ in range(2):
        layers.append(dense_normalised(data) @ layers[-1])
    expected = {"mean": sum(layers) / 3, "last": layers[2], "concat": np.hstack([layers[0] / 3, layers[1] * 2 / 3, layers[2]])}[readout]
    users, items = model.embeddings()
    np.testing.assert_allclose(torch.cat([users, items]).numpy(), expected, atol=1e-6)
    rows = torch.tensor([1, 5, 60])
    np.testing.assert_allclose(model(rows).detach().numpy(), expected[rows], atol=1e-6)
    width = 12 if readout == "concat" else 4
    assert model.n_bytes() == {"parameters": 70 * 4 * 4, "table": 70 * 4 * 4, "stored": 70 * width * 4}


def test_mf_is_the_table(data):
    model = build("mf", data, TrainConfig(dim=4))
    users, items = model.embeddings()
    assert torch.equal(torch.cat([users, items]), model.table.weight)


def test_table_follows_seed_and_std(data):
    a, b = (build("mf", data, TrainConfig(dim=64, init_std=0.1, seed=s)).table.weight for s in (1, 2))
    assert not torch.equal(a, b)
    assert torch.equal(a, build("mf", data, TrainConfig(dim=64, init_std=0.1, seed=1)).table.weight)
    assert float(a.detach().std()) == pytest.approx(0.1, rel=0.05)


def test_every_method_ranks(data):
    from recq_lib.evaluation.ranking import evaluate

    config = TrainConfig(dim=4, n_layers=1)
    teacher = build("lightgcn", data, config)
    for name in METHODS:
        options = {"ratio": 0.4} if "ratio" in method(name).options else {}
        model = build(name, data, dataclasses.replace(config, options=options), teacher)
        top = evaluate(model, data, ks=(5,)).top
        assert top.shape[1] == 5 and (top >= 0).all()
        assert method(name).kind in ("trained", "derived", "closed_form")


@pytest.mark.parametrize("training", [True, False])
def test_codes_are_those_of_evaluation_and_the_mode_is_kept(data, training):
    """HashNet trains with tanh values and GumbelRec with noise; what is packed is the sign of the mean layer."""
    for name in ("hashnet", "gumbelrec"):
        model = build(name, data, TrainConfig(dim=6, n_layers=2)).train(training)
        mean = model.layers().detach().mean(dim=0).numpy()
        codes = model.codes()
        np.testing.assert_array_equal(codes.values()[0], np.where(mean >= 0, 1, -1))
        assert codes.n_users == data.n_users and model.training == model.readout.training == training


@pytest.mark.parametrize(("name", "readout"), [("lightgcn", "MeanPool"), ("ngcf", "SideBySide")])
def test_a_readout_that_stores_floats_has_no_codes(data, name, readout):
    with pytest.raises(ConfigError, match=f"readout is {readout}, which stores floats and no codes; pack its embeddings with"):
        build(name, data, TrainConfig(dim=4, n_layers=1)).codes()


def test_the_mode_is_kept_when_packing_fails(data):
    model = build("l2q-gcn", data, TrainConfig(dim=4, n_layers=1))
    with torch.no_grad():
        model.table.weight[0, 0] = torch.nan
    with pytest.raises(ConfigError, match="training has diverged"):
        model.codes()
    assert model.training


def test_the_mode_is_kept_when_reading_vectors_out_fails(data):
    model = build("l2q-gcn", data, TrainConfig(dim=4, n_layers=1))
    with torch.no_grad():
        model.table.weight[0, 0] = torch.nan
    for training in (True, False):
        model.train(training)
        with pytest.raises(ConfigError, match="training has diverged"):
            model.embeddings()
        assert all(part.training == training for part in model.modules())


@pytest.mark.parametrize("readout", ["mean", "concat", "last"])
def test_a_readout_says_how_wide_its_vectors_are(data, readout):
    """Of every method: the columns that `embeddings` really has."""
    config = TrainConfig(dim=8, n_layers=2, readout=readout)
    teacher, seen = build("lightgcn", data, dataclasses.replace(config, readout="concat")), 0
    for name in METHODS:
        options = {"ratio": 0.4} if "ratio" in method(name).options else {"bits": 5} if name == "lsh" else {}
        model = build(name, data, dataclasses.replace(config, options=options), teacher)
        if hasattr(model, "readout"):
            seen += 1
            assert model.readout.width(8, model.encoder.n_layers) == model.embeddings()[0].shape[1], name
    assert seen > 20


def test_bad_parts_are_refused(data):
    with pytest.raises(ConfigError, match="did you mean 'lightgcn'"):
        build("lightgnc", data)
    with pytest.raises(ConfigError, match="at least 1"):
        LightGCN(0)
    with pytest.raises(ConfigError, match="0 × 4"):
        FullTable(0, 4)
    with pytest.raises(ConfigError, match="init std is -1"):
        FullTable(2, 4, -1)
