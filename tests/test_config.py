import json

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
