"""The sharing methods by name: sizes, options, and models that are what their parts say."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from recq_lib.config import TrainConfig, protocol
from recq_lib.data.synthetic import SyntheticConfig, generate
from recq_lib.errors import ConfigError
from recq_lib.papers.baco.clustering import cluster
from recq_lib.runs.registry import METHODS, build, method, resolve, sharer
from recq_lib.sharing.louvain import rows_of
from recq_lib.training.trainer import Trainer

FREE = {"infomap", "bimlpa", "brim"}
NAMES = """baco graphhash doublegraphhash random-hash frequency-hash double-hash hybrid-hash lsh-hash lp ebmd scc sbc itcc leiden infomap
    bimlpa brim cce legcf""".split()
SHARED = [METHODS[name] for name in NAMES]  # a method that is added later brings its own test
SIZED = [m.name for m in SHARED if "ratio" in m.options]


@pytest.fixture(scope="module")
def data():
    return generate(SyntheticConfig(n_users=120, n_items=80, n_interactions=1500, seed=3))


def config(name: str, **options) -> TrainConfig:
    if "ratio" in method(name).options:
        options = {"ratio": 0.3} | options
    return resolve(name, protocol("baco", dim=8, batch_size=256, epochs=2, options=options))


def test_baco_and_its_eighteen_baselines_are_registered():
    assert {m.family for m in SHARED} == {"shared rows"} and len(set(NAMES)) == 19
    assert {m.name for m in SHARED if m.share is None} == {"cce", "legcf"}


@pytest.mark.parametrize("name", [m.name for m in SHARED])
def test_every_method_trains_on_fewer_rows_than_nodes(data, name):
    model = build(name, data, config(name))
    before = model.table().detach().clone()
    assert before.shape == (data.n_nodes, 8) and torch.isfinite(before).all()
    trainer = Trainer(model, data, config(name))
    trainer.step_epoch()
    trainer.step_epoch()  # CCE and LEGCF find their rows before the second
    assert np.isfinite(trainer.history[-1]["loss"]) and not torch.equal(before, model.table().detach())
    rows = sum(p.shape[0] for p in model.table.parameters())
    assert rows < data.n_nodes


@pytest.mark.parametrize("name", [name for name in SIZED if name not in ("ebmd", "lsh-hash", "itcc", "lp", "leiden", "doublegraphhash")])
def test_a_ratio_sets_the_rows_of_both_sides_together(data, name):
    table = build(name, data, config(name)).table
    rows = sum(p.shape[0] for p in table.parameters())
    wanted = 0.3 * data.n_nodes
    if name == "baco":
        assert table.n_parameters == pytest.approx(8 * wanted, rel=0.05)
    else:
        assert rows == pytest.approx(wanted, rel=0.12)  # some graphs' communities come in jumps


def test_without_a_ratio_the_size_is_that_of_louvain_at_resolution_200(data):
    from sknetwork.clustering import Louvain

    found = Louvain(resolution=200, modularity="dugue", shuffle_nodes=False).fit(data.train, force_bipartite=True)
    expected = len(set(found.labels_row_)), len(set(found.labels_col_))
    assert rows_of(data) == expected
    sharing = sharer("random-hash")(data, resolve("random-hash", protocol("baco")))
    assert (sharing.n_user_rows, sharing.n_item_rows) == expected
    with pytest.raises(ConfigError, match="ratio is 1.5"):
        rows_of(data, 1.5)


def test_bacos_sharing_is_its_clustering(data):
    clustering = cluster(data, 0.5, seed=7)
    found = sharer("baco")(data, config("baco", gamma=0.5, cluster_seed=7))
    assert np.array_equal(found.users, clustering.users) and np.array_equal(found.items, clustering.items)
    assert found.users.shape == (120, 2) and found.found.gamma == 0.5 and found.found.settings["seed"] == 7
    assert found.n_parameters(8) == clustering.n_parameters(8)
    alone = sharer("baco")(data, config("baco", gamma=0.5, cluster_seed=7, scu=False))
    assert alone.n_extra == 0


def test_hashes_are_drawn_with_the_seed_and_clusterings_are_not(data):
    def rows(name, seed):
        return sharer(name)(data, resolve(name, protocol("baco", seed=seed, options={"ratio": 0.3}))).users

    assert not np.array_equal(rows("random-hash", 0), rows("random-hash", 1))
    assert np.array_equal(rows("scc", 0), rows("scc", 1))


def test_fair_double_hashing_stays_within_the_budget(data):
    over, fair = (sharer("double-hash")(data, config("double-hash", fair=fair)).n_parameters(8) for fair in (False, True))
    budget = 8 * sum(rows_of(data, 0.3))
    assert over == budget + data.n_nodes and budget - 16 <= fair <= budget


def test_methods_without_an_assignment_are_refused(data):
    with pytest.raises(ConfigError, match="sharing method is 'cce'"):
        sharer("cce")
