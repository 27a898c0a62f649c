"""What a `Book` writes and shows carries its name, profile and source, or those of the call."""

from __future__ import annotations

import dataclasses
import json

import matplotlib.pyplot as plt
import pandas as pd
import pytest
from helpers import baco_record

from recq_lib.companion import figure_store
from recq_lib.companion.book import Book
from recq_lib.errors import ConfigError

BOOK = Book("02_lightgcn", "smoke", "synthetic")


@pytest.fixture
def shown(monkeypatch):
    calls = []
    monkeypatch.setattr(plt, "show", lambda: calls.append(plt.gcf()))
    return calls


def test_show_stamps_saves_and_shows(tmp_path, monkeypatch, shown):
    monkeypatch.setenv("RECQ_FIGURES_DIR", str(tmp_path))
    fig, _ = plt.subplots()
    BOOK.show(fig, "line")
    assert shown == [fig] and [text.get_text() for text in fig.texts] == ["smoke · synthetic"]
    BOOK.at("paper", "beauty (records)").show(plt.figure(), "other")
    BOOK.show(plt.figure(), "third", source="toy graph")
    entries = figure_store.read_manifest(tmp_path)
    where = {key: (entry["profile"], entry["source"]) for key, entry in entries.items()}
    assert where == {
        "02_lightgcn/line": ("smoke", "synthetic"),
        "02_lightgcn/other": ("paper", "beauty (records)"),
        "02_lightgcn/third": ("smoke", "toy graph"),
    }
    assert all((tmp_path / f"{key}.png").exists() for key in where)


def test_table_says_where_it_came_from(capsys):
    frame = pd.DataFrame({"method": ["a"], "recall": [0.12345]})
    BOOK.table(frame, "Accuracy", digits=1)
    BOOK.at("quick", "lastfm").table(frame, "Accuracy", source="lastfm, 2 seeds", index=True)
    first, second = capsys.readouterr().out.split("Accuracy")[1:]
    assert first.startswith(" · smoke · synthetic\n") and "0.1" in first and "0.12" not in first
    assert second.startswith(" · quick · lastfm, 2 seeds\n") and "0.123" in second and "0  " in second


def test_a_table_may_say_that_its_rows_name_their_protocols_but_records_say_more(capsys):
    frame = pd.DataFrame({"a": [1]})
    BOOK.at("paper", "records", protocol="each row's own protocol").table(frame, "Claimed")
    BOOK.at("paper", "records", [baco_record("baco")], protocol="each row's own protocol").table(frame, "Claimed")
    first, second = capsys.readouterr().out.split("Claimed · ")[1:]
    assert first.startswith("each row's own protocol · records\n") and second.startswith("BACO's protocol · records\n")


def test_records_are_named_by_their_protocol(tmp_path, monkeypatch, capsys, shown):
    monkeypatch.setenv("RECQ_FIGURES_DIR", str(tmp_path))
    clean = [baco_record("baco"), baco_record("baco", seed=1)]
    dirty = [dataclasses.replace(record, provenance={"dirty": True}) for record in clean[:1]]
    shelf = BOOK.at("paper", "beauty, 2 of 2 runs recorded", [*dirty, clean[1]])
    shelf.table(pd.DataFrame({"a": [1]}), "Accuracy")
    stamp = "BACO's protocol; 1 of 2 runs from uncommitted code · beauty, 2 of 2 runs recorded"
    assert f"Accuracy · {stamp}\n" in capsys.readouterr().out
    fig = plt.figure()
    shelf.show(fig, "line")
    assert fig.texts[0].get_text() == stamp
    assert figure_store.read_manifest(tmp_path)["02_lightgcn/line"]["protocol"] == stamp.partition(" · ")[0]
    assert BOOK.at("paper", "beauty", clean).protocol == "BACO's protocol" and BOOK.at("paper", "beauty").protocol == ""


def test_results_are_those_of_the_notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("RECQ_OUT_DIR", str(tmp_path))
    BOOK.results({"recall@20": 0.25}, {"recall@20": 0.01}, seed=3)
    document = json.loads((tmp_path / "smoke" / "02_lightgcn.json").read_text())
    assert (document["source"], document["seed"], document["values"], document["tolerances"]) == (
        "synthetic", 3, {"recall@20": 0.25}, {"recall@20": 0.01},
    )  # fmt: skip


def test_an_unknown_profile_or_an_empty_source_is_refused(shown):
    with pytest.raises(ConfigError, match="did you mean 'paper'"):
        BOOK.at("papr", "beauty").show(plt.figure(), "line")
    with pytest.raises(ConfigError, match="source of table"):
        Book("02_lightgcn", "smoke", " ").table(pd.DataFrame(), "Accuracy")
    assert shown == []
