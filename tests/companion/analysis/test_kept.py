"""What codes keep of full precision, from records made by hand."""

import numpy as np
import pytest
from scipy import stats

from recq_lib.companion.analysis.kept import against_full, compared, kept_rows, kept_table, label, title_of
from recq_lib.runs import store as results
from recq_lib.runs.records import RunRecord, RunSpec

METRICS = ("recall@50", "ndcg@50")


def record(method, seed=0, *, dataset="a", recall=0.2, ndcg=0.1, stored=100, encoder=None, bits=None, epochs=40):
    params = {"dim": 64, "epochs": epochs}
    params |= {"option.bits": bits} if bits else {}
    params |= {"option.encoder": encoder} if encoder else {}
    return RunRecord(
        spec=RunSpec(method, dataset, seed, "smoke", params, "f"),
        metrics={"recall@50": recall, "ndcg@50": ndcg},
        n_bytes={"parameters": 1000, "stored": stored},
    )


def records():
    out = [record("lightgcn", s, recall=0.4 + 0.1 * s, stored=4000) for s in (0, 1)] + [record("ngcf", 0, recall=0.5, stored=16000)]
    out += [record("hq-gnn", s, recall=0.36, stored=200, encoder="lightgcn", bits=1) for s in (0, 1, 2)]
    out += [record("ptq-bits", 0, recall=0.2, ndcg=0.05, stored=200, encoder="lightgcn", bits=1)]
    out += [record("hq-gnn", 0, recall=0.45, stored=900, encoder="ngcf", bits=1), record("hq-gnn", 0, dataset="b", encoder="ngcf", bits=1)]
    return out


def test_kept_rows_divide_by_the_same_encoder_and_seed():
    ours, rounded, other = kept_rows(records(), METRICS)
    assert ours["recall@50"] == pytest.approx([0.9, 0.72])  # seed 2 has no full-precision run, nor has dataset b
    assert (ours["stored"], ours["full"], ours["bits"], ours["encoder"]) == (200, 4000, 1, "lightgcn")
    assert (rounded["method"], rounded["recall@50"], rounded["ndcg@50"]) == ("ptq-bits", pytest.approx([0.5]), pytest.approx([0.5]))
    assert (other["encoder"], other["full"], other["recall@50"]) == ("ngcf", 16000, pytest.approx([0.9]))
    assert kept_rows(records()[:3], METRICS) == []


def test_kept_rows_divide_by_the_longest_run_in_full_precision():
    longer = [record("lightgcn", 0, recall=0.72, stored=4000, epochs=60)]
    for found in (longer + records(), records() + longer):
        assert kept_rows(found, METRICS)[0]["recall@50"] == pytest.approx([0.5, 0.72])


def record_of_width(method, seed=0, *, dim=64, dataset="a", recall=0.2, ndcg=0.1, stored=100, parameters=1000):
    return RunRecord(
        spec=RunSpec(method, dataset, seed, "smoke", {"dim": dim}, "f"),
        metrics={"recall@20": recall, "ndcg@20": ndcg},
        n_bytes={"parameters": parameters, "stored": stored},
    )


def test_kept_rows_divide_by_the_same_width_and_seed():
    records = [record_of_width("lightgcn", s, recall=0.2 + 0.1 * s, ndcg=0.1, parameters=1024) for s in (0, 1)]
    records += [record_of_width("lightgcn", 0, dim=256, recall=0.5, parameters=4096)]
    records += [record_of_width("l2q-gcn-anl", s, recall=0.18, ndcg=0.08, stored=108) for s in (0, 1, 2)]  # seed 2 has no reference
    records += [record_of_width("l2q-gcn-anl", 0, dim=256, recall=0.4, stored=432), record_of_width("bigear", 0, dataset="b")]
    narrow, wide = kept_rows(records, ("recall@20", "ndcg@20"))
    assert narrow["recall@20"] == pytest.approx([0.9, 0.6]) and narrow["ndcg@20"] == pytest.approx([0.8, 0.8])
    assert narrow["smaller"] == pytest.approx(1024 / 108) and label(narrow) == "a, d = 64: L²Q-GCN-anl (ours)"
    assert (wide["dim"], wide["recall@20"]) == (256, pytest.approx([0.8]))


def test_kept_table_shows_means_and_the_interval_over_seeds():
    table = kept_table(kept_rows(records(), METRICS), *METRICS)
    first = table.iloc[0]
    assert first[["dataset", "encoder", "method", "bits", "seeds"]].tolist() == ["a", "LightGCN", "HQ-GNN", 1, 2]
    assert first["Recall kept, %"] == pytest.approx(81) and first["times smaller"] == 1000 / 200
    assert first["±"] == pytest.approx(12.706205 * 9, rel=1e-6)  # Student's t with one degree of freedom; half the range is 9
    assert kept_table([], *METRICS).empty


def test_full_precision_has_one_name_whatever_the_encoder():
    assert [title_of(name) for name in ("lightgcn", "ngcf", "hq-gnn", "nobody")] == ["full precision", "full precision", "HQ-GNN", "nobody"]


# ---- tests -------------------------------------------------------------------------------------------------------------------


def with_users(method, seed, hits, **kwargs):
    made = record(method, seed, **kwargs)
    made.per_user.update({"users": np.arange(40), "n_test": np.full(40, 8), "hits@50": hits, "hits@20": hits})
    return made


@pytest.fixture
def saved(tmp_path, monkeypatch, rng):
    """Full precision with a short and a long run, HQ-GNN with two seeds, quantized without training with one."""
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))
    hits = {name: rng.integers(low, low + 3, (2, 40)) for name, low in (("short", 6), ("long", 4), ("ours", 2), ("ptq", 0))}
    runs = [with_users("lightgcn", s, hits["short"][s], epochs=40) for s in (0, 1)]
    runs += [with_users("lightgcn", s, hits["long"][s], epochs=60) for s in (0, 1)]
    runs += [with_users("hq-gnn", s, hits["ours"][s], encoder="lightgcn", bits=2) for s in (0, 1)]
    runs += [with_users("ptq-bits", 1, hits["ptq"][1], bits=2), with_users("hq-gnn", 0, hits["ptq"][0], encoder="ngcf", bits=1)]
    for run in runs:
        results.save(run)
    return runs, hits


def test_codes_are_tested_against_the_longest_run_on_the_seeds_both_have(saved):
    runs, hits = saved
    tests = against_full(runs, "a").set_index("b")
    assert list(tests.index) == ["post-training quantization, b = 2", "full precision"] and set(tests["a"]) == {"HQ-GNN, b = 2"}
    rounded, full = (hits["ours"][1] - hits["ptq"][1]) / 8, (hits["ours"] - hits["long"]).mean(axis=0) / 8
    assert tests["difference"].tolist() == pytest.approx([100 * rounded.mean(), 100 * full.mean()])
    raw = [stats.wilcoxon(difference).pvalue for difference in (rounded, full)]
    assert tests["p_holm"].min() == pytest.approx(2 * min(raw)) and tests["seeds"].tolist() == ["1/1", "0/2"]
    assert against_full(runs, "elsewhere").empty
    assert against_full(runs, "a", "ngcf").empty  # no NGCF in full precision is recorded


def test_a_setting_chosen_after_a_look_at_test_has_no_verdict(tmp_path, monkeypatch):
    """Beauty at 2 bits: the rows stay in the table, their verdict is withdrawn; at 1 bit it is given."""
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path))
    runs = [with_users("lightgcn", s, np.full(40, 2), epochs=60, dataset="beauty") for s in range(3)]
    runs += [with_users("hq-gnn", s, np.arange(40) % 3 + 4, encoder="lightgcn", bits=b, dataset="beauty") for s in range(3) for b in (1, 2)]
    for run in runs:
        results.save(run)
    found = against_full(runs, "beauty").set_index("a")["verdict"]
    assert found.to_dict() == {"HQ-GNN, b = 1": "better", "HQ-GNN, b = 2": "withdrawn"}


def test_compared_names_methods_by_title(saved):
    runs, hits = saved
    third = [with_users("lightgcn", 2, hits["long"][0], epochs=60, stored=9000)]
    third += [with_users("hq-gnn", 2, hits["ours"][0], encoder="lightgcn", bits=2)]
    for run in third:
        results.save(run)
    chosen = runs[2:6] + third
    pairs = [("lightgcn", "hq-gnn"), ("lightgcn", "bigear")]
    table = compared(chosen, pairs)
    assert table[["a", "b", "verdict"]].to_numpy().tolist() == [["full precision", "HQ-GNN", "full precision better"]]
    assert table[["kB a", "kB b"]].iloc[0].tolist() == [9.0, chosen[-1].n_bytes["stored"] / 1000]  # sizes are said, whatever they are
    assert compared(runs[2:6], pairs)["verdict"].tolist() == ["undecided"]  # two seeds
