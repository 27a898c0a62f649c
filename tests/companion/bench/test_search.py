"""The benchmark of search: contenders answer the same question, rows and bars say what was measured."""

from __future__ import annotations

import json
import sys

import numba
import numpy as np
import pytest
import torch
from helpers import random_interactions

from recq_lib.codes.packing import pack
from recq_lib.companion.bench import run as bench
from recq_lib.companion.bench import search, search_size
from recq_lib.companion.bench import search_contenders as made
from recq_lib.companion.bench.search_bars import bars
from recq_lib.companion.bench.search_contenders import World, threads
from recq_lib.companion.bench.search_quality import quality
from recq_lib.companion.bench.timing import latencies
from recq_lib.evaluation.ranking import evaluate


@pytest.fixture(scope="module")
def data():
    return random_interactions(n_users=70, n_items=300, n_pairs=1500, test=300, seed=2)


@pytest.fixture(scope="module")
def rows(data):
    """All parts in a size of seconds."""
    found = search.times(data, 1, sizes=(300, 500), queries=4) + search.everyone(data, 1) + search.bits(data, 1, queries=2)
    return found + search.growth(data, 1, sizes=(200,), queries=2)


class TestContenders:
    def test_the_wide_vectors_are_those_of_the_codes(self):
        world = World(40, 90, dim=64)
        np.testing.assert_array_equal(torch.cat(world.wide).numpy(), world.codes.vectors())
        assert 0.45 < (world.codes.values() > 0).mean() < 0.55 and world.codes.scales.std() > 0.2

    def test_all_answer_with_the_best_items(self):
        """Exact contenders on codes agree with ours, those on vectors with torch; coded vectors find most of it."""
        world, users = World(30, 700, dim=64), np.arange(30, dtype=np.int32)
        answers = {name: one.answer(users) for name, one in made.everyone(world).items()}
        ours = np.stack(answers["recq"][0])
        for found in (answers["recq rank, 192 floats"], answers["torch mm + topk, 192 floats"].indices.numpy()):
            assert np.mean([np.isin(a, b).mean() for a, b in zip(found, ours)]) > 0.99  # floats round otherwise where scores nearly tie
        scores = answers["recq, scores alone"]  # in the order of ties
        np.testing.assert_array_equal(np.take_along_axis(scores, world.index.place_of[ours], axis=1), np.stack(answers["recq"][1]))
        narrow = np.sort(answers["torch mm + topk, 64 floats"].indices.numpy(), axis=1)
        for name in ("recq rank, 64 floats", "FAISS flat, 64 floats"):
            found = answers[name][1] if name.startswith("FAISS") else answers[name]
            np.testing.assert_array_equal(np.sort(found, axis=1), narrow)
        for name in ("FAISS int8, 64 bytes", "FAISS RaBitQ FastScan, 64 bits", "FAISS PQ FastScan, 16 × 4 bits"):
            least = 0.9 if "int8" in name else 0.2  # by chance 0.05
            assert np.mean([np.isin(a, b).mean() for a, b in zip(answers[name][1], narrow)]) > least
        distances = answers["FAISS binary flat, 192 bits"][0]
        if "usearch b1, 192 bits" in answers:
            np.testing.assert_array_equal(answers["usearch b1, 192 bits"].distances, distances)

    def test_bytes_are_those_of_the_items_codes(self):
        kept = {name: one.n_bytes / 640 for name, one in made.everyone(World(10, 640)).items()}
        assert kept["recq"] == 96 + 12 + 4  # bits, three factors, place in the order of ties
        assert kept["FAISS binary flat, 768 bits"] == 96 and kept["torch mm + topk, 256 floats"] == 1024
        assert kept["FAISS PQ FastScan, 64 × 4 bits"] == 32 and kept["FAISS int8, 256 bytes"] == 256

    def test_threads_are_set_alike_and_restored(self):
        before = numba.get_num_threads(), torch.get_num_threads()
        with threads(1) as n:
            assert n == numba.get_num_threads() == torch.get_num_threads() == 1
        assert (numba.get_num_threads(), torch.get_num_threads()) == before


def test_latencies_number_the_queries_and_stop_at_the_limit(monkeypatch):
    clock, asked = [0.0], {"fast": [], "slow": []}
    monkeypatch.setattr("recq_lib.companion.bench.timing.time.perf_counter", lambda: clock[0])

    def call(name, seconds):
        def answer(query):
            asked[name].append(query)
            clock[0] += seconds

        return answer

    found = latencies({"fast": call("fast", 0.1), "slow": call("slow", 1.0)}, 6, limit=5.0, rounds=2)
    assert asked["fast"] == [0, 1, 0, 1, 2, 3, 4, 5] and found["fast"] == pytest.approx([0.1] * 6)
    assert found["slow"] == pytest.approx([1.0] * 4)
    assert len(latencies({"slow": call("slow", 1.0)}, 6, rounds=2)["slow"]) == 6


class TestRows:
    def test_every_contender_at_every_size(self, rows):
        names = set(made.everyone(World(2, 300)))
        for items in (300, 500):
            for at_once in (1, 64):
                here = [row for row in rows if (row["part"], row.get("items"), row.get("at_once")) == ("search", items, at_once)]
                assert {row["contender"] for row in here} == names
                assert all(0 < row["low"] <= row["median"] <= row["high"] <= row["p95"] * (1 + 1e-9) for row in here if row["repeats"] > 3)

    def test_rankings_are_those_of_float_scores(self, rows, data, monkeypatch):
        assert next(row for row in rows if row["part"] == "search rankings")["users_that_differ"] == 0
        wrong = search.by_floats

        def one_wrong(world, users):
            found = wrong(world, users)
            found[3] = found[3][::-1]
            return found

        monkeypatch.setattr(search, "by_floats", one_wrong)
        assert search.everyone(data, 1)[-1]["users_that_differ"] == 1

    def test_printed_with_their_bars(self, rows):
        text = bench.as_text({"dataset": "x", "provenance": {"device_name": "cpu", "threads": 1}, "rows": rows})
        assert "at once" in text and "float scores" in text and "torch on 768 floats over ours" in text


def test_bars_compare_medians():
    def row(contender, median, at_once=64, items=1_000_000, part="search"):
        return {"part": part, "contender": contender, "median": median, "items": items, "at_once": at_once}

    rows = [row("recq", 1.0), row("recq, scores alone", 0.9), row("torch mm + topk, 768 floats", 11.9)]
    rows += [row("FAISS RaBitQ FastScan, 256 bits", 2.0), row("FAISS PQ FastScan, 64 × 4 bits", 0.4)]
    rows += [row("recq", 1.0, 1), row("FAISS flat, 256 floats", 10.0, 1), row("FAISS RaBitQ FastScan, 256 bits", 0.3, 1)]
    rows += [{"part": "search file", "contender": "codes file", "items": 5, "smaller": 9.5}, {"part": "search memory", "times": 1.2}]
    found = {bar["bar"]: (bar["asked"], bar["measured"], bar["met"]) for bar in bars(rows)}
    at = "1,000,000 items, "
    assert found == {
        f"{at}64 users: top 20 over scores alone": ("≤ 1.25", pytest.approx(1 / 0.9), True),
        f"{at}64 users: torch on 768 floats over ours": ("≥ 12", 11.9, False),
        f"{at}64 users: RaBitQ FastScan over ours, per bit": ("≥ 5", pytest.approx(6.0), True),
        f"{at}64 users: PQ FastScan over ours, per byte": ("≥ 1.5", pytest.approx(1.35), False),
        f"{at}1 user: FAISS flat over ours": ("≥ 10", 10.0, True),
        f"{at}1 user: RaBitQ FastScan over ours, per bit": ("≥ 1", pytest.approx(0.9), False),
        "5 items: codes file smaller than 256 floats a node": ("≥ 9", 9.5, True),
        "memory of evaluate over codes and lists": ("≤ 1.1", 1.2, False),
    }
    assert bars([]) == []


class TestSize:
    def test_files_and_their_start(self, data):
        rows = search_size.size(data, 1, n_items=2000)
        files = {(row["contender"], row["items"]): row for row in rows if row["part"] == "search file"}
        assert files["codes file", 300]["bytes"] - 370 * 108 in range(1, 1024)  # and a header
        assert files["codes file", 2000]["smaller"] == pytest.approx(1024 / 108, rel=0.01)
        starts = {row["contender"]: row["median"] for row in rows if row["part"] == "search start"}
        assert 0 < starts["load an index"] < starts["start to first answer"]

    @pytest.mark.slow
    @pytest.mark.skipif(sys.platform != "linux", reason="a process's peak memory can be set back on Linux alone")
    def test_memory_is_counted(self, data):
        (row,) = search_size.memory(data, 1, n_users=400, n_items=3000)
        assert row["codes_mb"] == pytest.approx(3400 * 108 / 2**20) and row["lists_mb"] == pytest.approx(400 * 20 * 5 / 2**20, rel=0.1)
        assert row["more_mb"] > row["lists_mb"] and row["times"] > 1
        json.dumps(row)


class TestQuality:
    def test_one_model_in_many_codes(self, data):
        rng = np.random.default_rng(0)
        users, items = rng.normal(size=(data.n_users, 16)), rng.normal(size=(data.n_items, 16))
        users += 0.5 * (data.train + data.test) @ items / 3  # so that there is something to find
        rows = quality(users, items, data, codes={"mine": pack(users, items, bits=5)}, times=False)
        by_name = {row["method"]: row for row in rows}
        assert [row["bytes"] for row in rows] == sorted((row["bytes"] for row in rows), reverse=True)
        exact = evaluate((users, items), data, ks=(20,)).values["recall@20"]
        assert by_name["floats"]["recall@20"] == exact > 0.1 and by_name["floats"]["bytes"] == 64
        assert by_name["FAISS int8"]["bytes"] == 16 and abs(by_name["FAISS int8"]["recall@20"] - exact) < 0.03
        assert by_name["recq, 8 bits"]["recall@20"] == pytest.approx(exact, abs=0.03)
        assert by_name["mine"]["recall@20"] == evaluate(pack(users, items, bits=5), data, ks=(20,)).values["recall@20"]
        assert by_name["recq, 1 bit"]["bytes"] == 12 and by_name["FAISS PQ FastScan, 8 × 4 bits"]["bytes"] == 4
        assert by_name["recq, 1 bit"]["recall@20"] < exact
        assert np.isnan([row["milliseconds"] for row in rows]).all()

    def test_times_come_with_it(self, data):
        rng = np.random.default_rng(0)
        rows = quality(rng.normal(size=(70, 8)), rng.normal(size=(300, 8)), data)
        assert all(row["milliseconds"] > 0 for row in rows)
