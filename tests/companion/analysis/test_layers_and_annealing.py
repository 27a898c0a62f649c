"""Runs of the studies "layerwise" and "annealing" as tables and in words, from records made by hand."""

import numpy as np
import pandas as pd
import pytest

from recq_lib.companion.analysis import layers_and_annealing as tables
from recq_lib.companion.analysis.paired import means, recalls
from recq_lib.papers.l2q_gcn import LayerwiseSign
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord, RunSpec

USERS = 40


def record(method, seed=0, value=0.2, stored=0, hits=None, **params):
    base = {"dim": 64, "n_layers": 2, "epochs": 10}
    return RunRecord(
        spec=RunSpec(method, "tiny", seed, "smoke", base | {name.replace("__", "."): v for name, v in params.items()}, "f"),
        metrics={"recall@20": value},
        per_user={"users": np.arange(USERS), "n_test": np.full(USERS, 4), "hits@20": np.zeros(USERS, int) if hits is None else hits},
        n_bytes={"parameters": 100 * 4 * params.get("dim", 64), "stored": stored},
    )


def coded(layers, dim=64, depth=2, scaler="alpha", weighted=True, **kwargs):
    stored = LayerwiseSign(layers=layers, scaler=scaler).n_bytes(100, dim, depth)
    options = {"option__layers": layers, "option__scaler": scaler, "option__weighted": weighted}
    return record("l2q-gcn", stored=stored, dim=dim, n_layers=depth, **options, **kwargs)


def test_layerwise_table_counts_bits_and_bytes_per_node():
    runs = [coded("all"), coded("mean", 192), coded("last", 64, scaler="constant"), coded("all", weighted=False), coded("all", depth=1)]
    table = tables.layerwise_table([*runs, record("lightgcn", stored=100 * 4 * 192)])
    assert table["bits"].tolist() == [192, 192, 64, 192, 128, 32 * 192]
    assert table["bytes"].tolist() == [36, 28, 8, 36, 24, 768]
    names = ["every layer 3×64", "mean of layers 192", "last layer 64, no α", "every layer 3×64, no w_l", "every layer 2×64, L = 1"]
    assert table["name"].tolist() == [*names, "full precision"]


def annealed(schedule, warm, end=0.1, relaxation="tanh", **kwargs):
    options = {"schedule": schedule, "warm_start": warm, "end": end, "relaxation": relaxation, "teacher_epochs": 0}
    return record("l2q-gcn-anl", **{f"option__{name}": value for name, value in options.items()}, **kwargs)


def test_annealing_table_names_the_path_and_counts_the_teachers_epochs():
    hard = record("l2q-gcn", option__warm_start=True, option__teacher_epochs=7)
    runs = [annealed("linear", True), annealed("exponential", False, 0.05), annealed("linear", False, 0.0, "mix"), hard, record("lightgcn")]
    table = tables.annealing_table(runs)
    names = ["linear, warm start", "exponential to 0.05, from scratch", "mix, from scratch", "hard codes, warm start", "full precision"]
    assert table["name"].tolist() == names
    assert table["epochs"].tolist() == [20, 10, 10, 17, 10]
    assert table["path"].tolist() == ["linear", "exponential", "mix", "hard codes", "full precision"]


def test_rivals_have_equal_bits_or_equal_bytes_without_padding():
    runs = [coded("all"), coded("mean"), coded("mean", 192), coded("last", 192), coded("mean", 256), coded("mean", 192, scaler="constant")]
    runs += [coded("all", 32), coded("mean", 96), coded("mean", 192, depth=1), coded("all", weighted=False), record("lightgcn")]
    found = tables.rivals(tables.layerwise_table(runs))
    wide = [("every layer 3×64", name) for name in ("mean of layers 192", "last layer 192", "mean of layers 256")]  # 36 bytes, as 256 bits
    assert found == [*wide, ("every layer 3×32", "mean of layers 96")]


def test_means_and_recalls_gather_seeds(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))
    hits = np.arange(USERS) % 5
    runs = [coded("all", seed=1, value=0.3, hits=hits), coded("all", seed=0, value=0.2), coded("mean", value=0.5, hits=4 - hits)]
    for run in runs:
        results.save(run)
    table = tables.layerwise_table(runs)
    assert means(table).to_dict() == pytest.approx({"every layer 3×64": 0.25, "mean of layers 64": 0.5})
    found = recalls(table)
    np.testing.assert_array_equal(found["every layer 3×64"], [np.zeros(USERS), hits / 4])
    np.testing.assert_array_equal(found["mean of layers 64"], [1 - hits / 4])


def judged(*rows):
    return pd.DataFrame(rows, columns=["a", "b", "difference", "verdict"])


def test_layers_or_bits_follows_the_verdicts():
    better, worse, same = (("all", "x", 1.0, "a better"), ("all", "y", -1.0, "b better"), ("all", "z", 0.1, "no difference shown"))
    assert "is better than x: it is not only the bits" in tables.layers_or_bits(judged(better))
    assert "worse than y (and better than x): this speaks against" in tables.layers_or_bits(judged(better, worse, same))
    assert "not shown to differ from z (and better than x):" in tables.layers_or_bits(judged(better, same))
    assert "not shown to differ from z:" in tables.layers_or_bits(judged(same))
    assert "nothing can be said" in tables.layers_or_bits(judged())


def test_advice_keeps_to_hard_codes_unless_another_way_is_shown_better():
    def ways(*rows):
        return pd.DataFrame(
            [("warm" if len(row) == 3 else row[3], *row[:3], "1/3") for row in rows], columns=["b", *"a difference verdict seeds".split()]
        )

    same, worse = ("cold", -0.12, "no difference shown"), ("cold", -1.0, "b better")
    tie, win, larger = ("linear", 0.2, "unclear"), ("cosine", 0.5, "a better"), ("mix", 0.9, "a better")
    other = ("linear", 5.0, "a better", "cosine")  # not against the plain way: no say
    said = tables.advice(ways(tie, worse, other), "warm", "cold")
    assert said.startswith(
        "Use hard codes: of the 2 other ways none is shown better than warm, and 1 are shown worse. The warm start is shown"
    )
    said = tables.advice(ways(tie, same), "warm", "cold")
    assert "and 0 are shown worse" in said and "The warm start is not shown better" in said and "(-0.12 points" in said and "1/3" in said
    assert "warm start" not in tables.advice(ways(tie), "warm", "cold")
    assert tables.advice(ways(win, larger, worse), "warm", "cold") == "Use mix: shown better than warm, by 0.90 points."
    assert "Nothing is recorded" in tables.advice(ways(other), "warm", "cold")
