"""Kept clusterings: found once, told apart by what they follow from, and replaced when their file is damaged."""

from __future__ import annotations

import importlib.util
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from recq_lib.config import protocol
from recq_lib.data.synthetic import SyntheticConfig, generate
from recq_lib.parts.building import sharing_method
from recq_lib.runs import registry
from recq_lib.sharing import store as sharing_store
from recq_lib.sharing.sharing import Sharing

OPTIONS = {"ratio": 0.3, "cluster_seed": 7}


@pytest.fixture(scope="module")
def data():
    return generate(SyntheticConfig(n_users=60, n_items=40, n_interactions=500, seed=1))


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_CHECKPOINTS_DIR", str(tmp_path))


def some_sharing(seed: int = 0) -> Sharing:
    rng = np.random.default_rng(seed)
    users = np.stack([rng.integers(0, 9, 60), rng.integers(-1, 9, 60)], axis=1)
    return Sharing(users, rng.integers(0, 5, 40), 9, 5, combine="sum")


def same(a: Sharing, b: Sharing) -> bool:
    sizes = (a.n_user_rows, a.n_item_rows, a.combine) == (b.n_user_rows, b.n_item_rows, b.combine)
    return sizes and np.array_equal(a.users, b.users) and np.array_equal(a.items, b.items)


def never() -> Sharing:
    raise AssertionError("found a second time")


def test_a_clustering_is_found_once(data):
    first = sharing_store.kept(some_sharing, data, "baco", 8, OPTIONS)
    again = sharing_store.kept(never, data, "baco", 8, dict(reversed(OPTIONS.items())))
    assert same(first, some_sharing()) and same(again, first)
    assert again.users.dtype == again.items.dtype == np.int64


def test_whatever_a_clustering_follows_from_makes_another_file(data):
    other = generate(SyntheticConfig(n_users=60, n_items=40, n_interactions=500, seed=2))
    calls = [
        (data, "baco", 8, OPTIONS), (other, "baco", 8, OPTIONS), (data, "lp", 8, OPTIONS), (data, "baco", 16, OPTIONS),
        (data, "baco", 8, OPTIONS | {"cluster_seed": 8}), (data, "baco", 8, OPTIONS | {"scu": False}),
    ]  # fmt: skip
    assert len({sharing_store.path_of(*call) for call in calls}) == len(calls)


def test_another_version_of_the_code_makes_another_file(data, monkeypatch):
    before = sharing_store.path_of(data, "baco", 8, OPTIONS)
    monkeypatch.setattr(sharing_store, "_computed_by", lambda: "another")
    assert sharing_store.path_of(data, "baco", 8, OPTIONS) != before


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut off", b"not an archive"])
def test_a_damaged_file_is_replaced(data, content):
    path = sharing_store.path_of(data, "baco", 8, OPTIONS, some_sharing)
    path.parent.mkdir()
    path.write_bytes(content)
    assert same(sharing_store.kept(some_sharing, data, "baco", 8, OPTIONS), some_sharing())
    assert same(sharing_store.kept(never, data, "baco", 8, OPTIONS), some_sharing())


@pytest.mark.parametrize("name", ["baco", "lp", "scc", "leiden"])
def test_seeds_of_a_study_share_one_clustering(data, name, monkeypatch):
    configs = [registry.resolve(name, protocol("baco", dim=8, seed=seed, options={"ratio": 0.3})) for seed in (0, 1)]
    entry, calls = registry.method(name), []

    def counted(data, config):
        calls.append(config.seed)
        return entry.share(data, config)

    monkeypatch.setitem(registry.METHODS, name, sharing_method(name, entry.title, counted, entry.options))
    first, second = (registry.build(name, data, config) for config in configs)
    assert calls == [0]
    assert same(first.table.sharing, second.table.sharing) and not first.table.weight.equal(second.table.weight)


def test_rows_drawn_with_the_seed_are_not_kept(data, tmp_path):
    drawn = [registry.build("random-hash", data, registry.resolve("random-hash", protocol("baco", dim=8, seed=s))) for s in (0, 1)]
    assert not same(*(model.table.sharing for model in drawn)) and not (tmp_path / "sharings").exists()


def test_whatever_the_damage_rows_are_found_again(data):
    rng, rows, found = np.random.default_rng(1), some_sharing(), []

    def again() -> Sharing:
        found.append(1)
        return rows

    path = sharing_store.path_of(data, "baco", 8, OPTIONS, again)

    sharing_store.kept(again, data, "baco", 8, OPTIONS)
    content = path.read_bytes()
    for _ in range(200):
        changed = bytearray(content[: int(rng.integers(1, len(content) + 1))] if rng.random() < 0.3 else content)
        for at in rng.integers(len(changed), size=3):
            changed[at] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(changed))
        assert same(sharing_store.kept(again, data, "baco", 8, OPTIONS), rows)
    assert len(found) > 150


def test_rows_of_another_number_of_users_are_found_again(data):
    path = sharing_store.path_of(data, "baco", 8, OPTIONS, some_sharing)
    path.parent.mkdir()
    Sharing(np.zeros(59, int), np.zeros(40, int), 1, 1).save(path)
    assert same(sharing_store.kept(some_sharing, data, "baco", 8, OPTIONS), some_sharing())


TOY = """
from recq_lib.sharing.sharing import Sharing

CALLS = []

def ROWS(data, config):
    CALLS.append(1)
    return Sharing([{row}] * data.n_users, [0] * data.n_items, 2, 1)
"""


def toy(folder: Path, row: int):
    """The module of a method that gives every user row `row`."""
    path = folder / "toy_method.py"
    path.write_text(TOY.format(row=row))
    spec = importlib.util.spec_from_file_location(f"toy_method_{row}", path)
    module = importlib.util.module_from_spec(spec)
    exec(compile(path.read_text(), str(path), "exec"), module.__dict__)  # not by its loader, which keeps what it compiled
    return module


def test_a_method_of_ones_own_is_found_anew_when_its_file_changes(data, tmp_path):
    for row in (0, 1):
        module, config = toy(tmp_path, row), protocol("baco", options={"cluster_seed": 1})
        method = sharing_method("toy", "Toy", module.ROWS, {"cluster_seed": 1})
        models = [method.build(data, config, None) for _ in range(2)]
        assert [model.table.sharing.users.max() for model in models] == [row, row] and len(module.CALLS) == 1
    assert len(list((tmp_path / "sharings").iterdir())) == 2


def test_functions_inside_others_count_and_those_without_a_file_are_asked_every_time(data, tmp_path):
    first, second = toy(tmp_path, 0).ROWS, toy(tmp_path, 1).ROWS  # the file is that of the second by now
    path = sharing_store.path_of(data, "toy", 8, {}, partial(some_sharing, first))
    assert path not in (sharing_store.path_of(data, "toy", 8, {}, find) for find in (None, some_sharing))
    assert path == sharing_store.path_of(data, "toy", 8, {}, partial(some_sharing, second))
    scope = {"rows": some_sharing(), "calls": []}
    exec("def find():\n    calls.append(1)\n    return rows", scope)
    for _ in range(2):
        assert same(sharing_store.kept(scope["find"], data, "toy", 8, {}), some_sharing())
    assert len(scope["calls"]) == 2


def test_rows_that_cannot_be_kept_are_given_back(data, tmp_path):
    (tmp_path / "sharings").write_text("a file where the folder should be")
    with pytest.warns(UserWarning, match="the rows of baco on .* cannot be kept"):
        assert same(sharing_store.kept(some_sharing, data, "baco", 8, OPTIONS), some_sharing())
