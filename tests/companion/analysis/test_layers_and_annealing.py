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
    unweighted = [("every layer 3×64, no w_l", name) for _, name in wide]
    assert found == [*wide, ("every layer 3×32", "mean of layers 96"), *unweighted]


def test_codes_of_every_layer_without_a_rival_of_equal_bytes_are_named():
    """3 × 64 bits and scalers are 36 bytes, as 256 bits and one scaler; 192 bits are 28."""
    table = tables.layerwise_table([coded("all"), coded("mean", 192), record("lightgcn")])
    assert tables.unmatched(table) == ["every layer 3×64"]
    assert tables.unmatched(tables.layerwise_table([coded("all"), coded("mean", 256)])) == []
    assert tables.unmatched(tables.layerwise_table([coded("all"), coded("mean", 256, depth=1)])) == ["every layer 3×64"]


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
    better, worse, same = (("all", "x", 1.0, "better"), ("all", "y", -1.0, "worse"), ("all", "z", 0.1, "undecided"))
    equal = ("all", "w", 0.0, "equivalent")
    said = tables.layers_or_bits(judged(better))
    assert "better 1 (x +1.00)" in said and said.endswith("it is not only the bits.")
    said = tables.layers_or_bits(judged(better, worse, same))
    assert "better 1 (x +1.00); worse 1 (y -1.00)" in said and said.endswith("this speaks against layer-wise codes.")
    said = tables.layers_or_bits(judged(better, same, equal))
    assert "better 1 (x +1.00)" in said and "undecided 1 (z +0.10)" in said and "do not decide" in said
    assert "do not decide" in tables.layers_or_bits(judged(same))
    assert tables.layers_or_bits(judged(better, equal)).endswith("bits explain what layers would.")
    assert "nothing can be said" in tables.layers_or_bits(judged())


def test_advice_keeps_to_hard_codes_unless_another_way_is_better():
    def ways(*rows):
        return pd.DataFrame(
            [("warm" if len(row) == 3 else row[3], *row[:3], "1/3") for row in rows], columns=["b", *"a difference verdict seeds".split()]
        )

    same, worse = ("cold", -0.12, "undecided"), ("cold", -1.0, "worse")
    tie, win, larger = ("linear", 0.2, "equivalent"), ("cosine", 0.5, "better"), ("mix", 0.9, "better")
    other = ("linear", 5.0, "better", "cosine")  # not against the plain way: no say
    said = tables.advice(ways(tie, worse, other), "warm", "cold")
    assert said.startswith("Use hard codes: none of the 2 other ways is better than warm; they are better 0; worse 1 (cold -1.00); equ")
    assert "equivalent 1 (linear +0.20)" in said and "The warm start pays (-1.00 points without it" in said
    said = tables.advice(ways(tie, same), "warm", "cold")
    assert "worse 0" in said and "The warm start is not decided to pay" in said and "(-0.12 points" in said and "1/3" in said
    assert "makes no difference" in tables.advice(ways(("cold", 0.0, "equivalent")), "warm", "cold")
    assert "warm start" not in tables.advice(ways(tie), "warm", "cold")
    said = tables.advice(ways(win, larger, worse), "warm", "cold")
    assert said.startswith("Use mix: better than warm, by 0.90 points.") and "better 2 (cosine +0.50, mix +0.90); worse 1" in said
    assert "Nothing is recorded" in tables.advice(ways(other), "warm", "cold")
