"""Which runs end still rising, from histories made by hand."""

import pytest

from recq_lib.companion.analysis import rising
from recq_lib.runs.records import RunRecord, RunSpec


def run(best, evaluated=(0, 4, 8), method="lightgcn", dataset="a", select_on="val"):
    """A run of ten epochs, evaluated in some of them, that kept `best`."""
    name = "recall@20" if select_on == "test" else "val_recall@20"
    history = [{"epoch": e, "loss": 1.0} | ({name: 0.1} if e in evaluated else {}) for e in range(10)]
    params = {"select_metric": "recall@20", "select_on": select_on}
    return RunRecord(RunSpec(method, dataset, 0, "smoke", params, "f"), {}, history=history, timings={"best_epoch": float(best)})


@pytest.mark.parametrize(("best", "expected"), [(0, False), (4, False), (8, True)])
def test_the_last_evaluation_decides_not_the_last_epoch(best, expected):
    assert rising.ends_rising(run(best)) is expected
    assert rising.ends_rising(run(best, select_on="test")) is expected
    assert not rising.ends_rising(run(best, evaluated=(0, 4, 9)))


def test_a_closed_form_never_rises():
    assert not rising.ends_rising(RunRecord(RunSpec("mostpop", "a", 0, "smoke", {}, "f"), {}))


def test_words_count_every_trained_run():
    runs = [run(8), run(4), run(8, method="baco"), run(0, dataset="b"), RunRecord(RunSpec("mostpop", "a", 0, "smoke", {}, "f"), {})]
    table = rising.rising_table(runs).set_index(["dataset", "method"])
    assert table.loc[("a", "LightGCN")].tolist() == [2, 1] and table["runs"].sum() == 4
    said = rising.rising_in_words(runs)
    assert said == f"2 of 4 trained runs end still rising ({rising.RULE}); LightGCN on a 1 of 2; BACO on a 1 of 1."
    assert rising.rising_in_words(runs[1:2]).startswith("0 of 1 trained runs") and ";" not in rising.rising_in_words(runs[1:2])
    assert rising.rising_in_words([]).startswith("0 of 0")
