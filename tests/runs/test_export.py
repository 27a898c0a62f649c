"""`index_of`: a model's codes, ids and interactions, found again in the index."""

from __future__ import annotations

import doctest

import numpy as np
import pytest
from helpers import random_interactions

import recq_lib as recq
from recq_lib.errors import ConfigError
from recq_lib.runs import export
from recq_lib.runs.export import index_of


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=40, n_items=70, n_pairs=600)


@pytest.mark.parametrize(("method", "options"), [("l2q-gcn", {}), ("hq-gnn", {"bits": 2})])
def test_a_model_of_codes(data, method, options, tmp_path):
    model = recq.build(method, data, recq.TrainConfig(dim=8, n_layers=2, options=options))
    index = recq.Index.load(index_of(model, tie_seed=4).save(tmp_path / "x"))
    codes = model.codes()
    for found, expected in zip(index.search(range(40), 9), codes.search(range(40), 9, tie_seed=4), strict=True):
        np.testing.assert_array_equal(np.array(found), np.array(expected))
    assert (index.interactions() != data.train).nnz == 0 and index.tie_seed == 4
    assert index_of(model, seen=False).seen is None
    with pytest.raises(ConfigError, match="bits is 4, but readout is .* has codes of its own; leave bits out"):
        index_of(model, bits=4)


def test_a_model_of_floats(data):
    model = recq.build("lightgcn", data, recq.TrainConfig(dim=8, n_layers=1, init_std=1.0))
    index, expected = index_of(model, bits=3), recq.pack(*model.embeddings(), bits=3).search([5], 9)
    assert index.items.form.bits == 3 and index.search([5], 9)[0][0].tolist() == expected[0][0].tolist()
    with pytest.raises(ConfigError, match="readout is MeanPool, which stores floats; say with how many bits"):
        index_of(model)
    with pytest.raises(ConfigError, match="bits is 9"):
        index_of(model, bits=9)


def test_a_scorer_without_vectors_is_refused(data):
    with pytest.raises(ConfigError, match="MostPop is no model of vectors"):
        index_of(recq.build("mostpop", data), bits=1)


def test_the_example_runs():
    assert doctest.testmod(export).failed == 0 and doctest.testmod(export).attempted == 4
