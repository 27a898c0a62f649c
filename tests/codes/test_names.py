"""Own ids: numbers from ids and back, as a dictionary gives them; what is no id is refused, what is unknown is named."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.codes.names import Names, listed
from recq_lib.errors import ConfigError, DataError

KINDS = {
    "numbers in order": [0, 1, 2, 3],
    "numbers in no order": [900, -5, 0, 77],
    "numbers of 64 bits": [2**63 - 1, -(2**63), 2**31, -(2**31) - 1, 0],
    "text in no order": ["tea", "rye", "oil", "", "a"],
    "text of all planes": ["zoë", "李雷", "🦊", "e\u0301", "é", "nul\0", "two\nlines", " "],
    "digits": ["10", "9", "007", "7"],
}


def back(names: Names, n: int) -> Names:
    return Names.from_arrays(names.arrays("user"), "user", n)


@pytest.mark.parametrize("ids", KINDS.values(), ids=KINDS)
def test_numbers_from_ids_and_back(ids):
    names = Names.of(ids, "user")
    for each in (names, back(names, len(ids))):
        assert len(each) == len(ids) and [each[number] for number in range(len(ids))] == ids
        taken = each.take(np.array([2, 0, 2]))
        assert taken.tolist() == [ids[2], ids[0], ids[2]] and taken.dtype == (np.int64 if isinstance(ids[0], int) else object)
        wanted = [*reversed(ids), ids[1]]
        numbers = each.numbers(wanted, "user")
        assert numbers.dtype == np.int32 and numbers.tolist() == [ids.index(name) for name in wanted]


@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=5), min_size=1, max_size=40, unique=True))
def test_any_text(ids):
    names = Names.from_arrays(Names.of(ids, "item").arrays("item"), "item", len(ids))
    assert names.take(np.arange(len(ids))).tolist() == ids
    assert names.numbers(ids, "item").tolist() == list(range(len(ids)))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=40, unique=True))
def test_any_whole_numbers(ids):
    names = back(Names.of(ids, "user"), len(ids))
    assert names.take(np.arange(len(ids))).tolist() == ids
    assert names.numbers(ids, "user").tolist() == list(range(len(ids)))


def test_ids_may_come_in_any_form():
    for form in (list, tuple, np.array, pd.Series, pd.Index, iter, lambda ids: np.array(ids, object)):
        assert Names.of(form(["b", "a"]), "user").take(np.arange(2)).tolist() == ["b", "a"]
        assert Names.of(["a", "b"], "user").numbers(form(["b", "a"]), "user").tolist() == [1, 0]
        assert Names.of(form([7, 5]), "user").take(np.arange(2)).tolist() == [7, 5]
        assert Names.of([5, 7], "user").numbers(form([7, 5]), "user").tolist() == [1, 0]
    assert Names.of(torch.tensor([7, 5]), "user").take(np.arange(2)).tolist() == [7, 5]
    assert Names.of(np.array([7, 5], np.uint8), "user").numbers([np.int16(5), np.str_("7")], "user").tolist() == [1, 0]
    assert Names.of(["7", "5"], "user").numbers([np.uint8(5), 7], "user").tolist() == [1, 0]


def test_a_file_keeps_what_it_needs_and_no_more():
    assert set(Names.of([3, 5, 9], "user").arrays("user")) == {"user_names"}
    assert Names.of([3, 5, 9], "user").arrays("user")["user_names"].dtype == np.int32
    assert Names.of([3, 5, 2**40], "user").arrays("user")["user_names"].dtype == np.int64
    assert set(Names.of([5, 3], "user").arrays("user")) == {"user_names", "user_name_order"}
    assert set(Names.of(["b", "a"], "item").arrays("item")) == {"item_names", "item_name_ends", "item_name_order"}
    assert Names.from_arrays({"item_names": np.arange(3)}, "user", 3) is None


@pytest.mark.parametrize(("ids", "text"), [
    ([1, 2, 1], "user id 1 comes twice"), (["a", "b", "a"], "user id 'a' comes twice"),
    ([1, "a"], "user id 1 is a int, but ids must all be whole numbers or all be text"), ([1.0, 2.0], "user id 1.0 is a float"),
    ([True, False], "is a bool"), ([True, 2], "is a bool"), ([None, "a"], "is a NoneType"), ([b"a"], "is a bytes"),
    ([("a", 1)], "is a tuple"), (np.array(["2026-01-01"], "datetime64[ns]"), "is a datetime64"), ([2**63], "beyond 64 bits"),
    (np.array([2**63], np.uint64), "beyond 64 bits"), (["a\ud800"], "half a surrogate pair"),
    ("abc", "user ids are 'abc', but must be a list"), (5, "user ids are 5"), (np.zeros((2, 2), int), r"of shape \(2, 2\)"),
])  # fmt: skip
def test_what_is_no_id_is_refused(ids, text):
    with pytest.raises(ConfigError, match=text):
        Names.of(ids, "user")


@pytest.mark.parametrize("known", [[5, 3, 9], ["5", "3", "x"]])
@pytest.mark.parametrize("name", [4, "4", -5, "05", " 5", "5 ", "5_0", "٥", "", 5.0, True, None, b"5", ("5",), "9" * 5000, 2**70, "\udcff"])
def test_unknown_ids_are_named(known, name):
    with pytest.raises(DataError, match="item .* is not among the 3 items, such as '?5'?; correct or drop it"):
        Names.of(known, "item").numbers([3, name], "item")


def test_one_id_alone_is_no_list():
    with pytest.raises(ConfigError, match="user ids are 'ann', but must be a list of ids"):
        Names.of(["ann", "bob"], "user").numbers("ann", "user")
    assert listed(iter([np.int64(3), "a"]), "user") == [3, "a"] and Names.of(["a"], "user").numbers([], "user").shape == (0,)


def test_ids_that_are_the_numbers_are_known_as_such():
    assert Names.of(range(5), "user").are_numbers()
    assert not any(Names.of(ids, "user").are_numbers() for ids in ([1, 0], [1, 2], ["0", "1"]))


TEXT = {"user_names": np.frombuffer("aüb".encode(), np.uint8), "user_name_ends": np.array([1, 3, 4])}
NUMBERS = {"user_names": np.array([3, 5, 4], np.int32), "user_name_order": np.array([0, 2, 1], np.int32)}


@pytest.mark.parametrize(("whole", "change"), [
    (TEXT, {"user_name_ends": np.array([1, 3])}), (TEXT, {"user_name_ends": np.array([1, 3, 5])}),
    (TEXT, {"user_name_ends": np.array([1, 3, 3])}), (TEXT, {"user_name_ends": np.array([3, 1, 4])}),
    (TEXT, {"user_name_ends": np.array([-1, 3, 4])}), (TEXT, {"user_name_ends": np.array([2, 3, 4])}),  # within ü
    (TEXT, {"user_name_ends": np.array([2**63 - 1, -2, 4])}),  # the differences wrap around
    (TEXT, {"user_name_ends": np.array([1, 3, 4], np.uint64)}), (TEXT, {"user_name_ends": np.array([1, 3, 4], np.int32)}),
    (TEXT, {"user_names": np.frombuffer(b"a\xff\xffb", np.uint8)}), (TEXT, {"user_names": np.frombuffer(b"\x80a\xc3\xbc", np.uint8)}),
    (TEXT, {"user_names": np.arange(4)}), (TEXT, {"user_name_order": np.array([0, 1, 3], np.int32)}),
    (TEXT, {"user_name_order": np.array([0, 1], np.int32)}), (TEXT, {"user_name_order": np.array([0, 1, -1], np.int32)}),
    (TEXT, {"user_name_order": np.array([0.0, 1.0, 2.0], np.float32)}), (TEXT, {"user_name_order": np.arange(3)}),
    (NUMBERS, {"user_name_order": np.array([0, 1, 2], np.int32)}), (NUMBERS, {"user_names": np.array([3, 3, 3], np.int32)}),
    (NUMBERS, {"user_names": np.array([3, 5], np.int32)}), (NUMBERS, {"user_names": np.array([3.0, 5.0, 4.0], np.float32)}),
    (NUMBERS, {"user_names": np.array([[3, 5, 4]], np.int32)}), (NUMBERS, {"user_names": np.array([3, 5, 4], np.uint64)}),
])  # fmt: skip
def test_arrays_that_do_not_fit_are_refused(whole, change):
    assert len(Names.from_arrays(whole, "user", 3)) == 3
    with pytest.raises(ValueError, match="its user names do not fit 3 users|utf-8"):
        Names.from_arrays(whole | change, "user", 3)


def test_text_in_a_wrong_order_is_never_mistaken():
    names = Names.from_arrays(TEXT | {"user_name_order": np.array([2, 1, 0], np.int32)}, "user", 3)
    for name in ("a", "ü", "b"):
        try:
            assert names[int(names.numbers([name], "user")[0])] == name
        except DataError:
            pass
