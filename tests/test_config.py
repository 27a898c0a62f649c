import copy
import dataclasses
import json
import pickle

import numpy as np
import pytest

from recq_lib.config import PROTOCOLS, TrainConfig, protocol
from recq_lib.errors import ConfigError


@pytest.mark.parametrize("name", sorted(PROTOCOLS))
def test_params_round_trip_through_json(name):
    config = protocol(name, seed=3)
    assert TrainConfig.from_params(json.loads(json.dumps(config.params())), seed=3) == config


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"dim": 0}, "dim is 0"),
        ({"lr": 0.0}, "lr is 0.0"),
        ({"lr": float("nan")}, "lr is nan"),
        ({"l2": -1.0}, "l2 is -1.0"),
        ({"ks": ()}, "ks is ()"),
        ({"sampling": "per_usr"}, "did you mean 'per_user'"),
        ({"select_metric": "recall"}, "must be like 'recall@20'"),
        ({"select_on": "train"}, "must be one of val, test"),
        ({"dim": 2.5}, "dim is 2.5, but must be a whole number"),
        ({"epochs": float("nan")}, "epochs is nan, but must be a whole number"),
        ({"mask_at_selection": "train"}, "must be a tuple of split names"),
        ({"mask_at_selection": ("tst",)}, "must be a tuple of split names"),
        ({"ks": (1.5,)}, "a cutoff in ks is 1.5"),
        ({"ks": 20}, "ks is 20, but must be a tuple"),
        ({"ks": (0, 5)}, "a cutoff in ks is 0"),
        ({"lr": float("inf")}, "lr is inf"),
        ({"lr": "a"}, "lr is 'a'"),
        ({"seed": 2**63}, "must be below 2**63"),
        ({"select_metric": None}, "select_metric is None"),
        ({"select_metric": "recall@0"}, "select_metric is 'recall@0'"),
        ({"mask_at_selection": None}, "mask_at_selection is None"),
        ({"options": None}, "options is None"),
        ({"options": {1: 2}}, "options is {1: 2}"),
        ({"loss": "softmax", "batch_size": 1}, "batch_size is 1, but loss 'softmax' compares the items of a batch"),
        ({"learning_rate": 1.0}, "hyper-parameter is 'learning_rate'"),
    ],
)
def test_unusable_values_are_refused(changes, text):
    with pytest.raises(ConfigError) as error:
        protocol("lightgcn", **changes)
    assert text in str(error.value)


def test_protocols_say_what_the_papers_say():
    baco, l2q = protocol("baco"), protocol("l2q-authors")
    assert (baco.dim, baco.n_layers, baco.batch_size, baco.lr, baco.weight_decay, baco.init_std) == (64, 2, 1024, 1e-3, 1e-8, 1.0)
    assert (baco.sampling, baco.negatives, baco.eval_every * baco.patience) == ("per_interaction", "uniform", 50)
    assert (l2q.dim, l2q.n_layers, l2q.batch_size, l2q.lr, l2q.l2, l2q.init_std) == (256, 2, 2048, 1e-3, 1e-4, 0.1)
    assert (l2q.sampling, l2q.readout, l2q.select_on, max(l2q.ks)) == ("per_user", "concat", "test", 100)


def test_numbers_of_numpy_become_pythons_own():
    config = TrainConfig(dim=np.int64(8), seed=np.uint32(5), ks=np.array([20, 10]), lr=np.float64(0.01), l2=0)
    assert config == TrainConfig(dim=8, seed=5, ks=(10, 20), lr=0.01, l2=0)
    assert all(type(value) in (int, float, str, tuple) for name, value in vars(config).items() if name != "options")
    assert json.dumps(config.params()) == json.dumps(TrainConfig(dim=8, ks=(10, 20), lr=0.01, l2=0).params())
    assert type(config.l2) is int  # as given: the keys of records tell 0 and 0.0 apart


def test_options_cannot_be_changed_in_place():
    given = {"gamma": 1.0}
    config = protocol("baco", options=given)
    given["gamma"] = 2.0
    for settings in (config, PROTOCOLS["baco"]):
        with pytest.raises(TypeError, match="cannot be changed"):
            settings.options["gamma"] = 3.0
    assert config.options == {"gamma": 1.0} and protocol("baco").options == {}
    for twin in (pickle.loads(pickle.dumps(config)), copy.deepcopy(config), TrainConfig(**dataclasses.asdict(config))):
        assert twin == config and hash(twin) == hash(config)
    assert dataclasses.replace(config, options=config.options | {"gamma": 4.0}).options == {"gamma": 4.0}
