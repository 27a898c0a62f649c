"""The large grids: what is compared has the same bytes, the same start and the same protocol, and choices stay on validation."""

from __future__ import annotations

import csv
import dataclasses
from collections import defaultdict

import pytest
from helpers import random_interactions

from recq_lib.companion.studies import campaign
from recq_lib.companion.studies.study import plans
from recq_lib.config import protocol
from recq_lib.io import paths
from recq_lib.runs import registry
from recq_lib.runs.run import identity_of

TESTED = ("layers-large", "layerwise-large", "anneal-large", "bits-large", "sharing-recipe")
CHOSEN = ("warm-validated", "sharing-validated")


def key(plan):
    return plan.method, plan.dataset, repr(identity_of(plan))


@pytest.mark.parametrize("study", TESTED + CHOSEN)
def test_all_is_the_fast_recipe_and_choices_are_on_validation(study):
    usual = protocol("fast")
    for plan in plans(study, "paper"):
        config = plan.config
        start = "spectral" if study.startswith("sharing") else "rotated"  # what is coded by coordinate begins in a random basis
        assert (config.loss, config.start, config.temperature) == ("softmax", start, usual.temperature) or study in CHOSEN
        assert (config.batch_size, config.sampling) == (usual.batch_size, usual.sampling)
        assert config.select_on == ("val" if study in CHOSEN else "none")
        assert study not in CHOSEN or config.seed == 0


@pytest.mark.parametrize("study", TESTED + CHOSEN)
def test_smaller_profiles_have_none(study):
    assert plans(study, "quick") == plans(study, "smoke") == [] != plans(study, "paper")


@pytest.mark.parametrize("study", TESTED + CHOSEN)
def test_what_a_run_starts_from_is_planned_before_it(study):
    """So a teacher is a run of its own, of the same protocol, and is trained once."""
    seen = set()
    for plan in plans(study, "paper"):
        assert plan.teacher is None or key(plan.teacher) in seen
        seen.add(key(plan))


@pytest.mark.parametrize(("dim", "n_bytes"), [(64, 36), (256, 108)])
def test_wide_codes_take_the_bytes_of_three(dim, n_bytes):
    """Three words of `dim` bits and three float32 scalers, against one wider word and one scaler; as the file counts them too."""
    wide = campaign.WIDE[dim]
    assert 3 * (dim // 8 + 4) == wide // 8 + 4 == n_bytes
    data = random_interactions()
    for layers, width in (("all", dim), ("mean", wide), ("last", wide)):
        config = dataclasses.replace(campaign.family(width), start="normal", options={"layers": layers})
        assert registry.build("l2q-gcn", data, config).n_bytes()["stored"] == n_bytes * data.n_nodes


def test_each_layerwise_code_has_its_rivals():
    asked = {(p.dataset, p.config.options["layers"], p.config.dim) for p in plans("layerwise-large", "paper")}
    for dataset, dim in ((dataset, dim) for dataset in ("ml1m", "gowalla") for dim in (64, 256)):
        assert {(dataset, layers, width) for layers in ("mean", "last") for width in (dim, campaign.WIDE[dim])} <= asked
        assert (dataset, "all", dim) in asked
    # the same runs as those from scratch in the study of the family
    scratch = {key(p) for p in plans("layers-large", "paper") if p.method == "l2q-gcn"}
    assert {key(p) for p in plans("layerwise-large", "paper") if p.config.options["layers"] == "all"} <= scratch


def test_students_of_a_dataset_start_from_one_teacher_and_train_alike():
    students = defaultdict(set)
    for plan in plans("layers-large", "paper"):
        if plan.teacher is not None and plan.entry.kind == "trained":
            students[plan.dataset, plan.config.dim, plan.config.seed].add((key(plan.teacher), plan.config.epochs, plan.config.lr))
    assert len(students) == 6 * 3 and all(len(found) == 1 for found in students.values())


def test_the_one_run_of_annealing_is_as_long_as_teacher_and_student():
    both = protocol("fast").epochs + campaign.STUDENT["epochs"]
    whole = [p for p in plans("anneal-large", "paper") if p.config.epochs == both]
    assert {p.method for p in whole} == {"lightgcn", "l2q-gcn", "l2q-gcn-anl"}
    assert not any(p.config.options.get("warm_start") for p in whole)


def test_both_estimators_meet_in_every_setting_of_bits():
    found = defaultdict(set)
    for plan in plans("bits-large", "paper"):
        if plan.method == "hq-gnn":
            seed, params = identity_of(plan)
            rest = {name: value for name, value in params.items() if name not in ("option.estimator", "option.refresh")}
            found[plan.dataset, seed, repr(rest)].add(params["option.estimator"])
    assert len(found) == 3 * 3 * 6 and all(estimators == {"ste", "gste"} for estimators in found.values())


def test_the_strongest_are_those_of_table_8():
    total = defaultdict(float)
    with open(paths.project_root() / "recq_lib/companion/published_tables/baco_table8.csv", newline="") as file:
        for row in csv.DictReader(file):
            if row["dataset"] in ("gowalla", "yelp2018") and (row["metric"], row["k"]) == ("recall_min", "10") and row["value"]:
                total[row["method"]] += float(row["value"])
    best = sorted(total.keys() - {"lightgcn", "baco"}, key=total.__getitem__)[-8:]
    ours = {registry.method(name).published.get("baco", name) for name in (*campaign.STRONGEST, *campaign.FURTHER)}
    assert ours == {*best, "random"}
    assert {p.method for p in plans("sharing-recipe", "paper")} == {"lightgcn", "baco", *campaign.STRONGEST, *campaign.FURTHER}
