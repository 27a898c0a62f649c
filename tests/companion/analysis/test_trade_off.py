"""HQ-GNN's Recall by bits beside the time of so many bits, on records and rows made by hand."""

import dataclasses
import math

import pytest
from helpers import baco_record

from recq_lib.companion.analysis import trade_off
from recq_lib.companion.analysis.kept import title_of
from recq_lib.companion.studies import bits

FLOATS = "torch mm + topk, 256 floats"


def row(contender, milliseconds):
    return {"part": "search bits", "contender": contender, "median": milliseconds / 1e3, "at_once": 64}


def run_of(method, recall, seed=0, epochs=30, **options):
    record = baco_record("lightgcn", seed=seed)
    params = {**record.spec.params, "dim": 64, "epochs": epochs, **{f"option.{name}": value for name, value in options.items()}}
    spec = dataclasses.replace(record.spec, method=method, dataset="lastfm", seed=seed, params=params)
    return dataclasses.replace(record, spec=spec, metrics={"recall@50": recall})


def test_trade_off_joins_records_of_the_right_runs_with_the_times_of_their_bits():
    hq = {"estimator": "gste", "encoder": "lightgcn", "refresh": 1} | bits.start(2)
    records = [
        run_of("lightgcn", 0.30, epochs=60), run_of("lightgcn", 0.40, epochs=90), run_of("lightgcn", 0.42, seed=1, epochs=90),
        run_of("hq-gnn", 0.36, **hq), run_of("hq-gnn", 0.38, seed=1, **hq), run_of("hq-gnn", 0.99, **hq | {"estimator": "ste"}),
        run_of("hq-gnn", 0.99, **hq | {"bounds": "fixed"}), run_of("hq-gnn", 0.99, **hq | {"encoder": "ngcf"}),
        run_of("hq-gnn", 0.99, **hq | {"refresh": 5}), run_of("ptq-bits", 0.33, bits=2, encoder="lightgcn"),
    ]  # fmt: skip
    took = {"recq": 1, "recq, 2 bits": 2, "recq rank, 64 floats": 20, FLOATS: 30}
    rows = [row(name, ms) for name, ms in took.items()]
    table = trade_off.trade_off(records, rows).set_index(["method", "bits"])
    full, codes, plain = (table.loc[key] for key in ((title_of("lightgcn"), 0), (title_of("hq-gnn"), 2), (title_of("ptq-bits"), 2)))
    assert (full["recall@50"], full["seeds"], full["milliseconds"]) == (pytest.approx(0.41), 2, pytest.approx(20))
    assert (codes["recall@50"], codes["seeds"], codes["milliseconds"]) == (pytest.approx(0.37), 2, pytest.approx(2))
    assert plain["recall@50"] == pytest.approx(0.33)
    missing = table.loc[(title_of("hq-gnn"), 8)]
    assert missing["seeds"] == 0 and math.isnan(missing["recall@50"]) and math.isnan(missing["milliseconds"])
    assert trade_off.not_run(table.reset_index()) == [
        "gowalla: HQ-GNN, study bits-large",
        f"lastfm: {title_of('hq-gnn')} of 1, 3, 4, 8 bits", f"lastfm: {title_of('ptq-bits')} of 1, 3, 4, 8 bits",
    ]  # fmt: skip
    assert trade_off.trade_off([], rows).empty
