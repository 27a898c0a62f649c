"""Studies as data: every plan can be built, no run is asked for twice, and comparisons differ in what they compare only."""

from __future__ import annotations

import dataclasses
import itertools
from collections import defaultdict

import pytest

from recq_lib.companion.studies import sharing as studies_sharing
from recq_lib.companion.studies.study import STUDIES, plans, run_study
from recq_lib.config import PROFILES
from recq_lib.data import CATALOGUE
from recq_lib.data.loading import RESPLIT
from recq_lib.io.canonical import canonical_json
from recq_lib.runs import registry
from recq_lib.runs.run import identity_of

ALL = list(itertools.product(STUDIES, PROFILES))


@pytest.mark.parametrize("study, profile", ALL)
def test_every_plan_names_a_known_dataset_and_known_options(study, profile):
    for plan in plans(study, profile):
        assert plan.profile == profile
        assert plan.dataset.startswith("synthetic") or plan.dataset.removesuffix(RESPLIT) in CATALOGUE
        registry.resolve(plan.method, plan.config)  # raises on an unknown option or a wrong type


CLAIMING = ["bits", "hessian", "sharing", "sharing-laptop", "sharing-large", "weighting", "weighting-orders", "weighting-orders-large"]
CLAIMING += ["binary", "layerwise", "annealing", "layers-large", "layerwise-large", "anneal-large", "bits-large", "sharing-recipe"]


@pytest.mark.parametrize("study", CLAIMING)
def test_claims_rest_on_at_least_three_seeds(study):
    seeds = defaultdict(set)
    for plan in plans(study, "paper"):
        if registry.method(plan.method).kind != "closed_form":
            _, params = identity_of(plan)
            seeds[plan.method, plan.dataset, canonical_json(dict(params))].add(plan.config.seed)
    assert seeds and min(len(found) for found in seeds.values()) >= 3


def test_small_profiles_use_small_data():
    for study, profile in ALL:
        allowed = {"smoke": {"synthetic-smoke"}, "quick": {"lastfm"}}.get(profile)
        assert allowed is None or {plan.dataset for plan in plans(study, profile)} <= allowed


def test_both_estimators_meet_in_every_setting_of_the_hessian_study():
    found = defaultdict(set)
    for plan in plans("hessian", "paper"):
        if plan.method != "hq-gnn":
            continue
        seed, params = identity_of(plan)
        if params["option.refresh"] == 1 and params["option.trace"] == "closed":
            rest = {name: value for name, value in params.items() if name != "option.estimator"}
            found[plan.dataset, seed, canonical_json(rest)].add(params["option.estimator"])
    assert found and all(estimators == {"ste", "gste"} for estimators in found.values())


def test_table_8_is_asked_for_in_full():
    asked = {plan.method for plan in plans("sharing", "paper") if plan.dataset == "beauty"}
    assert asked == {"lightgcn", "baco", *studies_sharing.BASELINES} and len(studies_sharing.BASELINES) == 18
    without = [plan for plan in plans("sharing", "paper") if plan.config.options.get("scu") is False]
    assert {plan.dataset for plan in without} == {"beauty"}


def test_the_unstopped_runs_are_those_of_table_8_but_for_the_stop():
    stopped = {p.config.seed: p.config for p in plans("sharing", "paper") if p.dataset == "beauty" and p.method == "lightgcn"}
    for plan in plans("sharing-unstopped", "paper"):
        assert plan.method == "lightgcn" and plan.config.patience == 0 and stopped[plan.config.seed].patience == 5
        assert dataclasses.replace(plan.config, patience=5) == stopped[plan.config.seed]


def test_the_ablation_compares_variants_at_one_size():
    sizes = {p.config.options["ratio"] for p in plans("weighting", "paper") if p.method == "baco" and "user_weight" in p.config.options}
    assert sizes == {studies_sharing.SIZE}


CROSSED = {"weighting-orders": ("lastfm", 16), "weighting-orders-large": ("gowalla-resplit", 5)}


@pytest.mark.parametrize("study", CROSSED)
def test_orders_of_visits_are_crossed_with_seeds(study):
    """Every setting has each of five orders with each of three seeds, and the orders come one after the other."""
    dataset, n_settings = CROSSED[study]
    asked, settings = plans(study, "paper"), defaultdict(set)
    for plan in asked:
        seed, params = identity_of(plan)
        rest = {name: value for name, value in params.items() if name != "option.cluster_seed"}
        settings[canonical_json(rest)].add((params["option.cluster_seed"], seed))
        assert (plan.method, plan.dataset, params["option.ratio"]) == ("baco", dataset, studies_sharing.SIZE)
    assert len(settings) == n_settings
    assert all(found == set(itertools.product((2025, 2026, 2027, 2028, 2029), (0, 1, 2))) for found in settings.values())
    orders = [plan.config.options["cluster_seed"] for plan in asked]
    assert orders == sorted(orders)


def test_the_first_of_the_orders_is_that_of_the_ablation():
    """So its runs are found, not repeated."""
    def asked(study):
        return {canonical_json([plan.config.seed, dict(identity_of(plan)[1])]) for plan in plans(study, "paper") if plan.method == "baco"}

    crossed, usual = asked("weighting-orders"), asked("weighting")
    assert len(crossed & usual) == 16 * 3 and len(usual - crossed) == 3 * 3  # the other three sizes


@pytest.mark.slow
def test_a_teacher_is_trained_once_in_a_study(monkeypatch, tmp_path):
    from recq_lib.runs import run as runs

    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))  # a record of an earlier run would leave nothing to train
    trained = []
    monkeypatch.setattr(runs, "fit", lambda *args, fit=runs.fit, **options: trained.append(args[2].options) or fit(*args, **options))
    some = [p for p in plans("bits", "smoke") if p.config.seed == 0 and p.method in ("lightgcn", "hq-gnn")][:3]
    assert [p.method for p in some] == ["lightgcn", "hq-gnn", "hq-gnn"]
    monkeypatch.setitem(STUDIES, "some", lambda profile: some)
    assert run_study("some", "smoke", report=lambda line: None).failures == 0
    assert len(trained) == 3
