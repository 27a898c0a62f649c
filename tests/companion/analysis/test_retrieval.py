"""What is concluded from the rows of the benchmark of search, on rows made by hand."""

import json
import math

from recq_lib.companion.analysis import retrieval
from recq_lib.io import paths

FLOATS, PQ = "torch mm + topk, 256 floats", "FAISS PQ FastScan, 64 × 4 bits"


def row(contender, milliseconds, at_once=64, part="search", items=1000, size=100, **more):
    seconds = milliseconds / 1e3
    return {"part": part, "contender": contender, "median": seconds, "low": seconds, "high": seconds, "p95": 2 * seconds,
            "at_once": at_once, "items": items, "bytes": size * items, **more}  # fmt: skip


def race(pq):
    return [row("recq", 8), row("recq, scores alone", 4), row(FLOATS, 40, size=1024), row(PQ, pq, size=25)]


def test_families_of_all_contenders():
    names = {
        "recq": "our codes", "recq, 4 bits": "our codes", "recq, scores alone": "our scores", "recq rank, 64 floats": "floats",
        FLOATS: "floats",
        "FAISS flat, 256 floats": "floats", "floats": "floats", "FAISS int8": "int8", "usearch b1, 768 bits": "bits alone",
        "FAISS binary flat, 768 bits": "bits alone", "1 bit, Hamming distance alone": "bits alone", PQ: "PQ",
        "FAISS RaBitQ FastScan, 256 bits": "RaBitQ", "bits alone: Hamming distance": "bits alone", "PQ, 8 bits": "PQ",
        "recq codes": "our codes",
    }  # fmt: skip
    assert {name: retrieval.family(name) for name in names} == names


def test_where_another_wins_stands_first_with_its_lead_in_time_and_bytes():
    lost, won = retrieval.answer(race(pq=2))
    assert lost == (
        f"64 users at once, 1,000 items: {PQ} is first with 2.0 ms; our codes take 8.0 ms, 4.0 times as long, over 4.0 times the bytes."
    )
    assert won == "64 users at once, 1,000 items: torch takes 5.0 times as long on 256 floats as our codes."
    ahead = retrieval.answer(race(pq=16))[0]
    assert ahead == "64 users at once, 1,000 items: our codes are first with 8.0 ms, ahead of FAISS PQ FastScan, 64 × 4 bits (16.0 ms)."
    assert retrieval.race_title(race(pq=2), 1000, 64) == "64 users: PQ is 4.0× faster than our codes"
    assert retrieval.race_title(race(pq=16), 1000, 64) == "64 users: our codes are 2.0× faster than PQ"


def test_recall_of_floats_is_told_before_what_codes_win():
    values = {"floats": (0.2, 256), "recq, 4 bits": (0.19, 36), "recq, 1 bit": (0.1, 12), "recq, 1 bit, not rotated": (0.05, 12)}
    values |= {"FAISS PQ, 8 × 8 bits": (0.15, 8), "FAISS PQ, 64 × 8 bits": (0.3, 64)}
    quality = [{"method": name, "recall@20": value, "bytes": size} for name, (value, size) in values.items()]
    told = retrieval.answer(race(pq=16), quality)
    assert told[0] == "Recall@20 of the same vectors: of what floats reach (20.0 %), rounding afterwards keeps 4 bits 95 %, 1 bit 50 %."
    assert told[1:3] == [
        "Codes that are no larger rank better than our 1 bit (PQ, 8 × 8 bits: 15.0 % in 8 bytes, ours 10.0 % in 12 bytes).",
        "No code of at most as many bytes ranks better than ours of 4 bits.",
    ]


def test_nothing_is_told_of_what_was_not_measured():
    assert retrieval.answer([]) == [] and retrieval.most_items([]) == 0
    assert retrieval.times_table([], 1000).empty and retrieval.files_table([]).empty and retrieval.everyone_table([]).empty
    assert retrieval.growth_title([], 64) == "64 users"


def test_tables_hold_the_rows_in_the_units_of_their_columns():
    table = retrieval.times_table([*race(pq=2), row("recq", 0.5, at_once=1)], 1000)
    assert table["contender"].tolist() == [PQ, "recq, scores alone", "recq codes, 3 × 256 bits", FLOATS]
    ours = table.iloc[2]
    assert (ours["bytes an item"], ours["MB"], ours["1 user, ms"], ours["95 % "], ours["users/s"]) == (100, "0.1", 0.5, 16, 8000)
    assert math.isnan(table.iloc[0]["1 user, ms"])
    assert retrieval.growth_title([row("recq", t, part="search growth", items=n) for n, t in ((10, 1), (1000, 50))], 64) == (
        "64 users: 100× the items take 50× the time"
    )


def test_seconds_are_shown_in_their_size():
    assert [retrieval.shown(value) for value in (1.524, 0.0586, 0.0001)] == ["1.52 s", "58.6 ms", "0.10 ms"]


def test_files_at_hand_are_read(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "project_root", lambda: tmp_path)
    assert retrieval.recorded_search() is None and retrieval.recorded_quality() is None
    (tmp_path / "benchmarks").mkdir()
    outcome = {"dataset": "gowalla", "provenance": {"device_name": "a processor", "threads": 2}, "rows": []}
    for name in ("search", "search-quality-lastfm"):
        (tmp_path / f"benchmarks/{name}.json").write_text(json.dumps(outcome))
    assert retrieval.recorded_search() == retrieval.recorded_quality() == outcome
    assert retrieval.source(outcome) == "random codes and vectors, gowalla's size and others, a processor, 2 threads"
