"""`load_csv`: ids of any text and back, located errors, gzip and Parquet through the same door."""

from __future__ import annotations

import csv
import gzip
import io
import os
import re
import threading

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recq_lib.data import Interactions, load_csv
from recq_lib.errors import ConfigError, DataError
from recq_lib.io import memory

SAME_FOLDER = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
ALL = (1.0, 0.0, 0.0)  # everything is train
MISSING = ("na", "n/a", "#n/a", "<na>", "nan", "-nan", "nat", "null", "none")  # in any case of letters
NAMES = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=6).map(str.strip).filter(
    lambda text: text and text.lower() not in MISSING and not text.startswith(("-", "\ufeff"))
)  # fmt: skip


def put(folder, text: str | bytes, name: str = "file.csv"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def numbers(data: Interactions) -> set[tuple[int, int]]:
    return set(zip(*(side.tolist() for side in data.pairs("train")), strict=True))


@SAME_FOLDER
@given(st.sets(st.tuples(NAMES, NAMES), min_size=1, max_size=20))
def test_csv_maps_any_ids_and_back(tmp_path, pairs):
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["when", "who", "what"])
    writer.writerows([("2020", *pair) for pair in pairs])
    data = load_csv(put(tmp_path, text.getvalue()), user="who", item="what", fractions=ALL)
    assert {(data.user_ids[user], data.item_ids[item]) for user, item in numbers(data)} == pairs
    for side, ids, count in ((0, data.user_ids, data.n_users), (1, data.item_ids, data.n_items)):
        assert sorted(ids) == sorted({pair[side] for pair in pairs}) and ids.dtype == object and len(ids) == count
    np.testing.assert_array_equal(data.user_numbers(data.user_ids.tolist()), np.arange(data.n_users))
    np.testing.assert_array_equal(data.item_numbers(data.item_ids), np.arange(data.n_items))


def test_csv_numbers_whole_number_ids_by_value_and_says_so(tmp_path):
    data = load_csv(put(tmp_path, "user,item\n10,b\n9,a\n100,b\n"), fractions=ALL)
    assert data.user_ids.tolist() == ["9", "10", "100"] and data.item_ids.tolist() == ["a", "b"]
    assert numbers(data) == {(1, 1), (0, 0), (2, 1)}
    assert data.notes.split("; ")[0] == "user ids 9 … 100 are numbered 0 … 2"
    zeros = load_csv(put(tmp_path, "user,item\n7,b\n007,a\n07,b\n10,a\n1" + "0" * 6000 + ",a\n"), fractions=ALL)
    assert [key[:5] for key in zeros.user_ids] == ["007", "07", "7", "10", "10000"]
    plain = load_csv(put(tmp_path, "user,item\n1,b\n0,b\n"), fractions=ALL)
    assert "numbered" not in plain.notes


def test_csv_ratings_and_repeats(tmp_path):
    path = put(tmp_path, "user;item;stars\na;x;5\na;x;4\nb;y;1\nb;x;4\n")
    data = load_csv(path, rating="stars", min_rating=3, separator=";", duplicates="drop", fractions=ALL)
    assert numbers(data) == {(0, 0), (1, 0)}
    assert data.notes.split("; ")[:2] == ["1 of 4 rows left out, rated below 3", "1 of 4 rows left out as repeats"]


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "is empty; a header line"),
        ("user,item\n", {}, "holds no interactions"),
        ("who,item\na,b\n", {}, ":1: there is no column 'user'"),
        ("user,item\na,b\na\n", {}, ":3: has 1 fields, the header has 2"),
        ("user,item,note\na,b,\n\nc,d\n", {}, ":4: has 2 fields, the header has 3"),
        ("user,item\na,b,c\nd,e,f\n", {}, ":2: has 3 fields, the header has 2"),
        ("user,item\na,b,\nd,e,\n", {}, ":2: has 3 fields, the header has 2"),
        ("user,item\na,\n", {}, ":2: item is ''"),
        ("user,item\nNaN,b\n", {}, ":2: user is 'NaN'"),
        ('user,item\n"a\nb",x\nb,NA\n', {}, ":4: item is 'NA'"),
        ("user,item\na,b\n-3,b\n", {}, ":3: user is '-3'; negative ids"),
        ("user,item\na,b\na,-1.0\n", {}, ":3: item is '-1.0'; negative ids"),
        ("user,item\na,b\na,b\n", {}, ":3: the pair .* was on line 2"),
        ("user,item\nb,b\na,b\nc,b\nc,b\n a , b\n", {}, ":5: the pair .*'c'.* was on line 4 already .2 repeats in all"),
        ("user,item,r\na,b,nan\n", {"rating": "r"}, ":2: r is 'nan'; ratings must be finite"),
        ("user,item,r\na,b,1\na,c,1_0\n", {"rating": "r"}, ":3: r is '1_0'; ratings must be finite"),
        ("user,item,r\na,b,1\n", {"rating": "r", "min_rating": 3}, "holds no interactions .1 of 1 rows left out"),
        ("user,item\na,b\n", {"min_rating": 2}, "no rating column"),
        ("user,item,t\na,b,1\na,c,soon\n", {"time": "t"}, ":3: t is 'soon'; times must be"),
        ("user,item,t\na,b,2020-01-01\na,c,7\n", {"time": "t"}, ":3: t is '7'; times must be"),
        ("user,item,user\na,b,c\n", {}, "2 columns are called 'user'"),
        ('user,item\na,"b\n', {}, "not proper CSV"),
        ('user,item\na,b\na,"b"c\n', {}, ":3: is not proper CSV"),
        (b"user,item\na,\xff\n", {}, "not UTF-8"),
        ("user,item\na,b\n".encode("utf-16"), {}, "not UTF-8"),
        ("user,item\na,b\n".encode("utf-16-le"), {}, ":1: holds a NUL"),
        ("user,item\na,b\na\0,b\n", {}, ":3: holds a NUL"),
        ("user,item\na,b\n", {"separator": ",,"}, "one character"),
        (b"\x1f\x8b\x08\x00damaged", {}, "damaged gzip"),
        (b"PAR1damagedPAR1", {}, "Parquet"),
    ],
)
def test_csv_errors_say_what_and_where(tmp_path, text, options, words):
    path = put(tmp_path, text)
    with pytest.raises(DataError, match=words) as caught:
        load_csv(path, **options)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_csv_refuses_wrong_options(tmp_path):
    path = put(tmp_path, "user,item\na,b\n")
    with pytest.raises(ConfigError, match="duplicates is 'keep'"):
        load_csv(path, duplicates="keep")
    with pytest.raises(ConfigError, match="'user' is named for two purposes"):
        load_csv(path, item="user")
    with pytest.raises(ConfigError, match="split is 'time', but no column of times"):
        load_csv(path, split="time")


@pytest.mark.parametrize("spelling", [*MISSING, "", " "])
def test_csv_spellings_of_a_missing_id_are_refused_unless_they_are_ids(tmp_path, spelling):
    for cell in (spelling, spelling.upper()):
        path = put(tmp_path, f"user,item\na,b\n{cell},c\n")
        with pytest.raises(DataError, match=":3: user is .*; every row needs an id"):
            load_csv(path)
        if cell.strip():
            assert load_csv(path, missing=(), fractions=ALL).user_numbers([cell]).size == 1
        else:
            with pytest.raises(DataError, match="every row needs an id"):
                load_csv(path, missing=())


def test_csv_times_may_be_numbers_or_dates(tmp_path):
    rows = [(f"u{k % 3}", f"i{k}", k) for k in range(20)]
    shares = {"fractions": (0.5, 0.25, 0.25), "time": "when"}
    stamps = [f"{1_700_000_000_000_000_000 + k}" for k in range(20)]  # nanoseconds: float64 cannot tell them apart
    dates = [f"2024-03-{k + 1:02}T12:00:00Z" for k in range(20)]
    for times in (stamps, dates, [f"{k / 8}" for k in range(20)]):
        lines = [f"{user},{item},{times[k]}" for user, item, k in rows]
        data = load_csv(put(tmp_path, "\n".join(["user,item,when", *reversed(lines)])), **shares)
        for split, chosen in (("train", range(10)), ("val", range(10, 15)), ("test", range(15, 20))):
            assert sorted(data.item_ids[data.split(split).indices]) == sorted(f"i{k}" for k in chosen)
    assert "val from 1.25, test from 1.875" in data.notes


def test_gzip_and_byte_order_mark_through_the_same_door(tmp_path):
    text = "\ufeffuser,item\r\na,x\r\n\r\nb,y\r\n"
    plain = load_csv(put(tmp_path, text), fractions=ALL)
    packed = load_csv(put(tmp_path, gzip.compress(text.encode()), "mine.csv.gz"), fractions=ALL)
    assert packed.fingerprint == plain.fingerprint and packed.user_ids.tolist() == ["a", "b"] and packed.name == "mine"
    with pytest.raises(DataError, match=":4: the pair"):
        load_csv(put(tmp_path, gzip.compress(b"user,item\na,x\nb,x\na,x\n"), "mine.csv.gz"))


def test_parquet_through_the_same_door(tmp_path):
    pytest.importorskip("pyarrow")
    path = tmp_path / "mine.parquet"
    pd.DataFrame({"user": [30, 10], "item": ["None", "b"], "more": [1.0, 2.0]}).to_parquet(path)
    data = load_csv(path, fractions=ALL)
    assert data.user_ids.tolist() == [10, 30] and data.item_ids.tolist() == ["None", "b"] and numbers(data) == {(0, 1), (1, 0)}
    with pytest.raises(DataError, match="mine.parquet: there is no column 'who'"):
        load_csv(path, user="who")


def test_columns_beyond_a_long_list_are_not_all_named(tmp_path):
    header = ",".join(f"c{k}" for k in range(1000))
    with pytest.raises(DataError, match="there is no column 'user'") as caught:
        load_csv(put(tmp_path, f"{header}\n"))
    assert len(str(caught.value)) < 400


# ---- what would not end or not fit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["/dev/null", "/dev/zero", "/dev/full"])
def test_a_device_is_no_table(device):
    if not os.path.exists(device):
        pytest.skip(f"this system has no {device}")
    with pytest.raises(DataError, match="is a device, not a file"):
        load_csv(device)


def test_a_table_from_a_pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(target=lambda: (tmp_path / "pipe").write_text("user,item\na,b\n"))
    writer.start()
    data = load_csv(tmp_path / "pipe", fractions=ALL)
    writer.join()
    assert data.user_ids.tolist() == ["a"]


def test_tables_larger_than_memory_are_refused_before_they_are_read(tmp_path, monkeypatch):
    text = "user,item\n" + "".join(f"u{k},i\n" for k in range(300_000))
    plain, packed = put(tmp_path, text), put(tmp_path, gzip.compress(text.encode() * 20), "file.csv.gz")
    assert packed.stat().st_size < 20e6 < 20 * len(text)
    monkeypatch.setattr(memory, "limit_bytes", lambda: 3.0 * len(text) - 1)
    with pytest.raises(DataError, match=r"file.csv: a table of [\d,]+ bytes and more needs at least .* GB .*; cut it into parts"):
        load_csv(plain, fractions=ALL)
    monkeypatch.setattr(memory, "limit_bytes", lambda: 60e6)
    with pytest.raises(DataError, match=r"file.csv.gz: a table of [\d,]+ bytes and more needs"):
        load_csv(packed, fractions=ALL)
    assert load_csv(plain, fractions=ALL).n_users == 300_000


NEGATIVE = ("-1", "-1.0", "-1.", "-.5", "-1e3", "-2E+05", "-0", " -1 ")
HONEST = ("-", "--1", "-a", "1-2", "−1", "-1x", "e-3", "1e3")


@pytest.mark.parametrize("text", [*NEGATIVE, *HONEST])
def test_what_reads_as_a_negative_number_is_no_id(tmp_path, text):
    path = put(tmp_path, f"user,item\n{text},b\nother,c\n")
    if text in HONEST:
        assert text in load_csv(path, fractions=ALL).user_ids.tolist()
    else:
        with pytest.raises(DataError, match="negative ids usually stand for missing ones"):
            load_csv(path, fractions=ALL)


@SAME_FOLDER
@given(st.text(st.characters(codec="utf-8", exclude_characters='\r\n\0",')), st.booleans())
def test_one_rule_says_what_is_missing(tmp_path, text, upper):
    """A cell is an id as it stands, or refused by the documented rule: blank, a spelling of missing, a negative number."""
    cell = text.upper() if upper else text
    path = put(tmp_path, f"user,item\n{cell},b\nzz zz,c\n")
    refused = cell.strip().lower() in ("", *MISSING) or re.fullmatch(r"-([0-9]+\.?[0-9]*|\.[0-9]+)(e[+-]?[0-9]+)?", cell.strip().lower())
    if cell.startswith("\ufeff") or cell.strip() == "zz zz" or any(digit.isdigit() and not digit.isascii() for digit in cell):
        return
    if refused:
        with pytest.raises(DataError):
            load_csv(path, fractions=ALL)
    else:
        assert set(load_csv(path, fractions=ALL).user_ids) == {cell.strip(), "zz zz"}
