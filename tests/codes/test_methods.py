"""Every method of the registry that stores codes packs into one file of the size it states, and scores as its vectors do."""

import functools

import numpy as np
import pytest
import torch
from helpers import random_interactions

from recq_lib.codes.codes import Codes
from recq_lib.config import TrainConfig
from recq_lib.errors import ConfigError
from recq_lib.evaluation.ranking import evaluate
from recq_lib.runs import registry

TRAINED = [name for name, method in registry.METHODS.items() if method.kind != "closed_form"]
# settings that change what is stored; a method without an entry is tested as it is by default
VARIANTS = {
    "l2q-gcn": [{"layers": layers, "scaler": scaler} for layers in ("all", "last", "mean") for scaler in ("alpha", "constant")],
    "ptq-sign": [{}, {"weighted": False}],
    "hq-gnn": [{"bits": bits, "encoder": encoder} for bits in (1, 2, 5, 8) for encoder in ("lightgcn", "ngcf")],
    "ptq-bits": [{"bits": bits} for bits in (1, 4)] + [{"bits": 3, "encoder": "ngcf"}],
    "lsh": [{}, {"bits": 65}, {"bits": 7}],
}


@functools.cache
def data():
    return random_interactions(n_users=40, n_items=30, n_pairs=400, seed=9)


def built(name, **options):
    """The untrained model, its teacher (if it has one) untrained too: codes and sizes do not depend on training."""
    if "ratio" in registry.method(name).options:
        options = {"ratio": 0.4, **options}
    config = registry.resolve(name, TrainConfig(dim=20, n_layers=2, options=options))
    return _build(name, config)


def _build(name, config):
    found = registry.teacher_of(name, config)
    return registry.build(name, data(), config, None if found is None else _build(*found))


@pytest.mark.parametrize("name", TRAINED)
def test_a_method_packs_into_a_file_of_the_bytes_it_states_or_says_why_not(name, tmp_path):
    for options in VARIANTS.get(name, [{}]):
        model = built(name, **options)
        stored, (users, items) = model.n_bytes()["stored"], model.embeddings()
        model.train()
        try:
            codes = model.codes()
        except ConfigError as error:  # which methods may not end here says the next test
            assert "stores floats and no codes" in str(error) or "no codes to pack" in str(error)
            assert stored == 4 * (users.numel() + items.numel())
            continue
        assert model.training and model.readout.training
        content = codes.save(tmp_path / name).read_bytes()
        header = len(content) - len(content.split(b"\n", 3)[3])
        assert stored == len(content) - header == codes.n_bytes(), options
        assert Codes.load(tmp_path / name) == codes
        z, expected = torch.from_numpy(codes.vectors()).double(), users.double() @ items.double().T
        close = {"rtol": 1e-5, "atol": 1e-5 * float(expected.abs().max())}
        torch.testing.assert_close(z[: data().n_users] @ z[data().n_users :].T, expected, **close)
        scores = torch.from_numpy(codes.scores(np.arange(data().n_users))).double()
        torch.testing.assert_close(scores, expected, **close)
        assert 0 < evaluate(codes, data(), ks=(5,)).values["recall@5"] < 1


CODED = [name for name in TRAINED if registry.METHODS[name].family in ("one bit", "b bits") and name != "hashgnn-soft"]


@pytest.mark.parametrize("name", CODED)
def test_binary_and_low_bit_methods_have_codes(name):
    codes = built(name).codes()
    assert codes.bits == 1 and codes.n_bytes() < 4 * data().n_nodes * 20


def test_soft_codes_are_refused_with_the_reason():
    with pytest.raises(ConfigError, match="mixture of codes and floats"):
        built("hashgnn-soft").codes()
