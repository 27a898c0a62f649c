"""Own ids as bytes: whatever can be an id comes back equal, value and type; what cannot be written is refused by name."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.data.id_bytes import decode_ids, encode_ids
from recq_lib.errors import ConfigError

INTEGERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", ">i4", ">u8")
UNITS = ("Y", "M", "D", "h", "s", "ms", "us", "ns", "25s")


@given(st.lists(st.text(max_size=30), unique=True), st.booleans())
def test_text_of_any_kind_comes_back(texts, as_array):
    again = decode_ids(encode_ids("ids", np.array([*texts, None], object)[:-1] if as_array else texts))
    assert again.dtype == object and again.tolist() == texts


@pytest.mark.parametrize("texts", [["a", "a\0"], ["\0", ""], ["x", "y" * 100_000], ["\ud800", "ü"], []])
def test_text_that_fixed_widths_lose(texts):
    content = encode_ids("ids", texts)
    assert content.dtype == np.uint8 and decode_ids(content).tolist() == texts
    assert content.size < 100_000 + 100  # one long id does not make the others long


@pytest.mark.parametrize("dtype", INTEGERS)
def test_whole_numbers_keep_value_and_type(dtype):
    limits = np.iinfo(np.dtype(dtype))
    ids = np.array([limits.min, 3, limits.max], dtype)
    again = decode_ids(encode_ids("ids", ids))
    assert again.dtype == ids.dtype.newbyteorder("=") and again.tolist() == [limits.min, 3, limits.max]


@pytest.mark.parametrize("unit", UNITS)
def test_dates_keep_their_unit(unit):
    ids = np.array([-3, 0, 10**4], np.int64).view(f"M8[{unit}]")
    again = decode_ids(encode_ids("ids", ids))
    assert again.dtype == ids.dtype and (again == ids).all()


def test_columns_of_pandas():
    frame = pd.DataFrame({"text": pd.array(["a", "b"], "string"), "day": pd.to_datetime(["2020-01-01", "2020-01-02"])})
    assert decode_ids(encode_ids("ids", frame["text"])).tolist() == ["a", "b"]
    assert (decode_ids(encode_ids("ids", frame["day"])) == frame["day"].to_numpy()).all()


@pytest.mark.parametrize(
    "ids, words",
    [
        (np.array([True, False]), "ids has dtype bool"),
        ([True, False], "dtype bool"),
        ([1.5, 2.5], "dtype float64"),
        ([(1, 2), (3, 4)], "dtype object of tuple"),
        (["a", 1], "dtype object"),
        (np.zeros((2, 2), int), "pass a flat list of ids"),
        ("ab", "pass a flat list of ids"),
        ([[1], [2]], "pass a flat list of ids|of list"),
        ([3, 3], "holds 3 twice"),
    ],
)
def test_what_is_no_id_is_refused(ids, words):
    with pytest.raises(ConfigError, match=words) as caught:
        encode_ids("ids", ids)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        b"", b"[", b"[]", b"3", b"{}", b"\xff", b"[" * 100_000,
        *(json.dumps(facts).encode() for facts in (
            {"kind": "text", "values": [1]}, {"kind": "text", "values": "ab"}, {"kind": "number", "values": [1]},
            {"kind": "number", "dtype": "float64", "values": [1]}, {"kind": "number", "dtype": "uint8", "values": [300]},
            {"kind": "number", "dtype": "int64", "values": [True]}, {"kind": "date", "dtype": "int64", "values": [1]},
            {"kind": "date", "dtype": "O", "values": [1]}, {"kind": "other", "values": []}, {"kind": ["text"], "values": []},
        )),
    ],
)  # fmt: skip
def test_other_bytes_are_refused(content):
    with pytest.raises(ValueError):
        decode_ids(np.frombuffer(content, np.uint8))
