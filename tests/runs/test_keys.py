"""Every committed record is found by the same look-up for ever: `pinned_keys.json` holds file names and what each study found.

The pins were written before the library was rearranged. Records of later studies may be added to `results/`; they need no pin.
"""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest

from recq_lib.companion.studies import study as studies
from recq_lib.config import OPTION, TrainConfig
from recq_lib.io import paths
from recq_lib.runs import keys, registry
from recq_lib.runs import store as results
from recq_lib.runs.records import RunSpec
from recq_lib.runs.run import Plan, identity_of

PINS = json.loads((Path(__file__).parent / "pinned_keys.json").read_text())
FILES = [(folder, key) for folder, keys_of in PINS["files"].items() for key in keys_of.split()]


@pytest.fixture(scope="module")
def records():
    return {record.spec.key: record for record in results.find(paths.project_root() / "results", arrays=False)}


def plan_of(spec: RunSpec) -> Plan:
    """The plan that asks for a record again: from its settings alone, with whatever was added since at its default."""
    if registry.method(spec.method).kind == "closed_form":
        return Plan(spec.method, spec.dataset, spec.profile, TrainConfig(ks=tuple(spec.params["ks"])))
    return Plan(spec.method, spec.dataset, spec.profile, TrainConfig.from_params(dict(spec.params), spec.seed))


def test_654_records_are_pinned():
    assert len(FILES) == 654 == len({key for _, key in FILES})


def test_pinned_records_lie_where_they_lay(records):
    found = {(f"{record.spec.dataset}/{record.spec.method}", key) for key, record in records.items()}
    assert set(FILES) - found == set()


def test_the_plan_of_every_record_asks_for_its_key(records):
    """The way a run goes: configuration → resolved options → parameters → key."""
    for _, key in FILES:
        spec = records[key].spec
        seed, params = identity_of(plan_of(spec))
        assert RunSpec(spec.method, spec.dataset, seed, spec.profile, params, spec.data_fingerprint).key == key


@pytest.mark.parametrize("study, profile", [tuple(name.split()) for name in PINS["studies"]])
def test_every_study_finds_its_records(study, profile):
    found = [record.spec.key for record in studies.recorded(study, profile)]
    assert set(PINS["studies"][f"{study} {profile}"].split()) <= set(found)


# ---- settings added later -------------------------------------------------------------------------------------------------------

# every setting that keys leave out at its default, with that default: "" for training settings, else by method, of those with records.
# A default in this table may never change: records that do not name the setting were made with it. Add new settings here; change none.
LEFT_OUT: dict[str, dict[str, object]] = {
    "": {"loss": "bpr", "temperature": 0.1, "lr_decay": "none", "start": "normal"},
    "baco": {"ties": "last"},
}


def left_out() -> dict[str, dict[str, object]]:
    fields = {f.name: f.default for f in dataclasses.fields(TrainConfig) if f.name not in (*keys.SETTINGS, "seed", "options")}
    found = {"": fields} if fields else {}
    for name, spelled_out in keys.OPTIONS.items():
        new = {option: value for option, value in registry.method(name).options.items() if option not in spelled_out}
        found |= {name: new} if new else {}
    return found


def test_defaults_that_keys_leave_out_are_frozen():
    assert left_out() == LEFT_OUT


@dataclasses.dataclass(frozen=True)
class LaterConfig(TrainConfig):
    """A training setting that did not exist when the records were made."""

    margin: float = 0.2
    views: tuple[int, ...] = (1, 2)


def test_a_training_setting_added_later_changes_no_key_at_its_default(records):
    for key in [key for _, key in FILES[::20]]:
        spec = records[key].spec
        plan = plan_of(spec)
        if registry.method(spec.method).kind != "closed_form":
            assert with_later(plan, spec) == spec and spec.key == key
            assert with_later(plan, spec, margin=0.3).params == dict(spec.params) | {"margin": 0.3}
            assert with_later(plan, spec, margin=1) != with_later(plan, spec, margin=1.0)
            assert with_later(plan, spec, views=(2, 1)).params["views"] == (2, 1)


def with_later(plan: Plan, spec: RunSpec, **later) -> RunSpec:
    settings = {f.name: getattr(plan.config, f.name) for f in dataclasses.fields(TrainConfig)}
    return dataclasses.replace(spec, params=identity_of(dataclasses.replace(plan, config=LaterConfig(**settings, **later)))[1])


def test_a_method_option_added_later_changes_no_key_at_its_default(records, monkeypatch):
    by_method = {folder.split("/")[1]: key for folder, key in FILES}
    for name, key in by_method.items():
        method = registry.method(name)
        if method.kind == "closed_form":
            continue
        monkeypatch.setitem(registry.METHODS, name, dataclasses.replace(method, options=dict(method.options) | {"later": 0.5}))
        spec = records[key].spec
        plan = plan_of(spec)
        assert dataclasses.replace(spec, params=identity_of(plan)[1]).key == key

        changed = dataclasses.replace(plan, config=dataclasses.replace(plan.config, options=dict(plan.config.options) | {"later": 1.5}))
        assert identity_of(changed)[1] == dict(identity_of(plan)[1]) | {f"{OPTION}later": 1.5}


def test_a_closed_form_is_told_apart_by_its_own_options_only(monkeypatch):
    toy = dataclasses.replace(registry.method("ease"), name="toy", options={"alpha": 1.0})
    monkeypatch.setitem(registry.METHODS, "toy", toy)

    def identity(**settings):
        return identity_of(Plan("toy", "beauty", "paper", TrainConfig(ks=(5, 10), **settings)))

    assert identity() == identity(options={"alpha": 1.0}) == identity(lr=0.5, seed=3) == (0, {"ks": [5, 10]})
    assert identity(options={"alpha": -1.0}) == (0, {"ks": [5, 10], f"{OPTION}alpha": -1.0})
    for name in ("mostpop", "itemknn", "ease", "gfcf"):
        assert identity_of(Plan(name, "beauty", "paper", TrainConfig(dim=8, ks=(5,)))) == (0, {"ks": [5]})


def test_a_new_method_spells_out_nothing_but_what_is_set(monkeypatch):
    toy = dataclasses.replace(registry.method("lightgcn"), name="toy", options={"width": 4})
    monkeypatch.setitem(registry.METHODS, "toy", toy)
    assert f"{OPTION}width" not in identity_of(Plan("toy", "beauty", "paper"))[1]
    assert identity_of(Plan("toy", "beauty", "paper", TrainConfig(options={"width": 5})))[1][f"{OPTION}width"] == 5
