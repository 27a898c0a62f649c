"""What is said of the fast recipe's records."""

import dataclasses
import json
import math

import pytest
from helpers import baco_record

from recq_lib.companion.analysis import recipe
from recq_lib.config import protocol
from recq_lib.io import paths

POINTS = [{"epoch": 1, "seconds": 2.0, "recall@20": 0.1}]


def outcome(name):
    rows = [{"part": "time to quality", "contender": side, "curve": POINTS} for side in ("fast recipe", "BPR")]
    return {"dataset": name, "provenance": {"device_name": "a processor", "threads": 2}, "rows": [*rows, {"part": "growth"}]}


def test_recorded_times_are_those_of_the_files_at_hand(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    assert recipe.recorded_times() == {}
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks/recipe-gowalla.json").write_text(json.dumps(outcome("gowalla")))
    found = recipe.recorded_times()
    assert list(found) == ["gowalla"] and recipe.curves_of(found["gowalla"]) == {"fast recipe": POINTS, "BPR": POINTS}
    assert recipe.machines(found.values()) == "a processor, 2 threads"
    commands = recipe.how_to_record(found)
    assert len(commands) == 3 and not any("gowalla" in command for command in commands)
    assert "--dataset yelp2018 --output benchmarks/recipe-yelp2018.json" in commands[1]


def run_of(dataset, seed, recall):
    record = baco_record("lightgcn", seed=seed, config=protocol("fast", select_on="none"))
    spec = dataclasses.replace(record.spec, dataset=dataset, seed=seed)
    return dataclasses.replace(record, spec=spec, metrics={"recall@20": recall, "ndcg@20": recall / 2})


def test_levels_have_means_an_interval_over_seeds_and_what_is_published():
    records = [run_of("gowalla", seed, recall) for seed, recall in enumerate((0.18, 0.19, 0.17))] + [run_of("pinterest", 0, 0.15)]
    gowalla, pinterest = recipe.levels(records).to_dict("records")
    assert (gowalla["dataset"], gowalla["seeds"], gowalla["Recall@20"]) == ("gowalla", 3, pytest.approx(18))
    # t of two degrees of freedom at 97.5 % times the standard error of 17, 18, 19
    assert gowalla["±"] == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6) and gowalla["NDCG@20"] == pytest.approx(9)
    assert gowalla["published Recall@20, BPR"] == 18.24  # README of LightGCN-PyTorch
    assert math.isnan(pinterest["±"]) and math.isnan(pinterest["published Recall@20, BPR"])  # one seed; a cleaned dataset


def test_levels_as_text_have_two_digits_and_a_dash_for_what_is_unknown():
    text = recipe.levels_in_text([run_of("gowalla", 0, 0.18), run_of("gowalla", 1, 0.19), run_of("pinterest", 0, 0.15)])
    # two seeds: t of one degree of freedom times half their distance
    assert text.to_numpy().tolist() == [
        ["gowalla", 2, "10", "18.50", f"{12.706205 * 0.5:.2f}", "9.25", "18.24"],
        ["pinterest", 1, "10", "15.00", "–", "7.50", "–"],
    ]
