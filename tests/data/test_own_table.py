"""`Interactions.from_pandas`: ids there and back, nothing lost or invented, splits that cover, and no look into the future."""

from __future__ import annotations

import datetime
import tracemalloc

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.data import Interactions
from recq_lib.data.interactions import SPLITS
from recq_lib.data.splits import per_user_split, random_split, with_validation
from recq_lib.errors import ConfigError, DataError

TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=4).filter(lambda text: text.strip())
KINDS = {
    "text": TEXTS,
    "numbers": st.integers(0, 2**62),
    "dates": st.datetimes(datetime.datetime(2000, 1, 1), datetime.datetime(2030, 1, 1)),
    "objects": st.dates(),
    "few": st.integers(0, 5),
}
ALL = (1.0, 0.0, 0.0)


@st.composite
def tables(draw):
    """(distinct (user, item) → times of its rows in order, frame); ids of one kind per column, categories among them."""
    kinds = [draw(st.sampled_from(sorted(KINDS))) for _ in range(2)]
    rows = draw(st.lists(st.tuples(KINDS[kinds[0]], KINDS[kinds[1]], st.integers(0, 9)), min_size=2, max_size=40))
    frame = pd.DataFrame(rows, columns=["who", "what", "when"], index=draw(st.permutations(range(len(rows)))))
    for column, kind in zip(("who", "what"), kinds, strict=True):
        if kind in ("objects", "text"):
            frame[column] = frame[column].astype(object)
        if draw(st.booleans()):
            frame[column] = frame[column].astype("category")
    times: dict[tuple, list[int]] = {}
    for user, item, time in rows:
        times.setdefault((user, item), []).append(time)
    return times, frame


def own_pairs(data: Interactions, split: str) -> list[tuple]:
    users, items = data.pairs(split)
    own = (pd.Series(ids).tolist() for ids in (data.user_ids[users], data.item_ids[items]))
    return list(zip(*own, strict=True))


def union(data: Interactions) -> list[tuple]:
    return [pair for split in SPLITS for pair in own_pairs(data, split)]


@given(tables(), st.sampled_from(["time", "random"]))
def test_no_pair_is_lost_or_invented_and_ids_come_back(table, split):
    times, frame = table
    try:
        data = Interactions.from_pandas(frame, "who", "what", time="when", split=split, duplicates="drop")
    except ConfigError:  # a cut in time that leaves a split empty is refused
        assert split == "time"
        return
    assert sorted(union(data)) == sorted(times)  # a list without repeats: covered once, so the splits are disjoint
    for side, ids in enumerate((data.user_ids, data.item_ids)):
        assert pd.Series(ids).tolist() == sorted({pair[side] for pair in times})
        assert not ids.flags.writeable
    users, asked = sorted({user for user, _ in times}), [user for user, _ in times]
    assert data.user_numbers(pd.Series(asked)).tolist() == [users.index(user) for user in asked]
    repeats = len(frame) - len(times)
    assert (f"{repeats} of {len(frame)} rows left out as repeats" in data.notes) == (repeats > 0)


@given(tables(), st.sampled_from([(0.8, 0.1, 0.1), (0.5, 0.5, 0.0), (0.4, 0.2, 0.4)]))
def test_a_cut_in_time_never_trains_on_the_future(table, fractions):
    times, frame = table
    first = {pair: min(moments) for pair, moments in times.items()}
    sizes = np.unique(list(first.values()), return_counts=True)[1]
    wanted = np.cumsum(fractions) * len(first)
    try:
        data = Interactions.from_pandas(frame, "who", "what", time="when", fractions=fractions, duplicates="drop")
    except ConfigError as error:
        assert "no cut in time" in str(error) and sizes.max() > 0.4 * min(part for part in fractions if part) * len(first)
        return
    seen = {split: [first[pair] for pair in own_pairs(data, split)] for split in SPLITS}
    filled = [split for split in SPLITS if seen[split]]
    assert filled[0] == "train"
    for earlier, later in zip(filled, filled[1:], strict=False):
        assert max(seen[earlier]) < min(seen[later])
    cut = len(seen["train"])  # no boundary between moments is nearer to what was asked for
    assert all(abs(cut - wanted[0]) <= abs(end - wanted[0]) for end in np.cumsum(sizes))
    cold = {user for user, _ in union(data)} - {user for user, _ in own_pairs(data, "train")}
    assert f"{len(cold)} user{'s' if len(cold) != 1 else ''} and" in data.notes


@given(tables(), st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(table, random):
    _, frame = table
    order = list(range(len(frame)))
    random.shuffle(order)
    same = [Interactions.from_pandas(rows, "who", "what", duplicates="drop") for rows in (frame, frame.iloc[order])]
    assert same[0].fingerprint == same[1].fingerprint and same[0].user_ids.tolist() == same[1].user_ids.tolist()


def test_the_random_split_is_the_per_user_split_of_the_numbers():
    rng = np.random.default_rng(0)
    users, items = np.divmod(rng.choice(2000, 600, replace=False), 50)
    frame = pd.DataFrame({"user": users, "item": items, "time": rng.random(600)})
    data = Interactions.from_pandas(frame, seed=3)
    assert data.fingerprint == per_user_split((users, items), seed=3).fingerprint
    assert Interactions.from_pandas(frame, time="time", split="random", seed=3).fingerprint == data.fingerprint
    assert (data.name, data.source, data.notes) == ("table", "frame", "per-user split 0.8/0.1/0.1, seed 3")
    assert data.user_ids.tolist() == list(range(40))  # numbers in a row are their own ids, and nothing is announced


def test_later_splits_keep_the_own_ids():
    frame = pd.DataFrame({"user": list("aabbcc"), "item": [30, 10, 30, 20, 10, 20]})
    data = Interactions.from_pandas(frame, fractions=ALL)
    for other in (random_split(data, (0.5, 0.0, 0.5)), per_user_split(data, (0.5, 0.0, 0.5)), with_validation(data, 0.5)):
        assert sorted(union(other)) == sorted(zip(frame["user"], frame["item"], strict=True))
    assert data.notes.startswith("item ids 10 … 30 are numbered 0 … 2; ")


# ---- rules of ids -----------------------------------------------------------------------------------------------------------


def table(values, **more) -> pd.DataFrame:
    return pd.DataFrame({"user": pd.Series(values, **more), "item": np.arange(len(values))})


@pytest.mark.parametrize("missing", [None, np.nan, pd.NA, pd.NaT, "", " \t"])
@pytest.mark.parametrize("kind", [object, "category"])
def test_missing_ids_are_refused_in_every_type(missing, kind):
    with pytest.raises(DataError, match=r"^table: row 1 \(from 0\): user is .*; every row needs an id, drop the row$"):
        Interactions.from_pandas(table(["a", missing, "b"], dtype=object).astype({"user": kind}))


@pytest.mark.parametrize(
    "values", [[1.0, np.nan], pd.array([1, None], "Int64"), pd.to_datetime(["2020", None]), pd.array(["a", None], "string")]
)
def test_missing_ids_are_refused_in_columns_of_a_type(values):
    with pytest.raises(DataError, match=r"row 1 \(from 0\): user is .*; every row needs an id"):
        Interactions.from_pandas(table(values))


def test_text_in_a_frame_is_an_id_whatever_it_says():
    honest = ["None", "nan", "NA", "null", "-1", "a", "a ", " a"]
    data = Interactions.from_pandas(table(honest), fractions=ALL)
    assert data.user_ids.tolist() == sorted(honest)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ([1, -1], "user is -1; negative ids usually stand for missing ones"),
        ([1.0, -1.0], "user is -1.0; negative ids"),
        ([1.0, 1.5], "user is 1.5; numbers as ids must be whole"),
        ([1.0, np.inf], "user is inf; numbers as ids must be whole"),
        ([1.0, 2.0**53 + 2], "whole and below"),
        (["a", "b\0"], "user is 'b.*'; ids are text without NUL"),
        (["1", 1], "user is 1; the first id is text; make all ids of one kind"),
        ([1, True], "user is True; the first id is a number"),
        ([datetime.date(2020, 1, 1), "x"], "user is 'x'; the first id is date"),
    ],
)
@pytest.mark.parametrize("kind", ["as it is", "category"])
def test_ids_that_break_a_rule_name_row_column_and_value(values, words, kind):
    frame = table(values, dtype=object if len(set(map(type, values))) > 1 else None)
    if kind == "category":
        if values in ([1, True], ["1", 1]):
            pytest.skip("categories have an order of their own: pandas merges 1 with True, and puts 1 before '1'")
        frame["user"] = frame["user"].astype("category")
    with pytest.raises(DataError, match=words) as caught:
        Interactions.from_pandas(frame)
    assert str(caught.value).startswith("table: row 1 (from 0): ") and "\n" not in str(caught.value)


def test_half_a_surrogate_pair_is_refused():
    with pytest.raises(DataError, match=r"row 1 \(from 0\): user is '.ud800'; ids are text .* without half surrogate pairs"):
        Interactions.from_pandas(table(["a", "\ud800"], dtype=object))


def test_whole_floats_and_extension_types_are_plain_numbers():
    extension = (pd.array([3, 1], "Int64"), pd.array([3.0, 1.0], "Float64"), pd.Categorical([3, 1]))
    for values in ([3.0, 1.0], np.array([3, 1], np.uint8), *extension):
        data = Interactions.from_pandas(table(values), fractions=ALL)
        assert data.user_ids.tolist() == [1, 3] and data.user_ids.dtype == np.int64
        assert data.notes.startswith("user ids 1 … 3 are numbered 0 … 1; ")
    large = Interactions.from_pandas(table(np.array([2**63 + 5, 7], np.uint64)), fractions=ALL)
    assert large.user_ids.tolist() == [7, 2**63 + 5] and large.user_numbers([2**63 + 5]).tolist() == [1]


@pytest.mark.parametrize("dtype, bits", [("float16", 11), ("float32", 24), ("float64", 53), ("Float32", 24)])
def test_floats_are_ids_only_where_neighbours_differ(dtype, bits):
    """From 2^bits on n and n + 1 are one float, so two ids would have become one without a word."""
    good = Interactions.from_pandas(table(pd.array([2.0**bits - 1, 2.0**bits - 2], dtype)), fractions=ALL)
    assert good.user_ids.tolist() == [2**bits - 2, 2**bits - 1]
    if dtype == "float16":
        assert np.float16(2**bits + 1) == np.float16(2**bits)
    with pytest.raises(DataError, match=rf"must be whole and below 2\^{bits}"):
        Interactions.from_pandas(table(pd.array([1.0, 2.0**bits], dtype)))


def test_times_beyond_int64_keep_their_order():
    frame = table(["a", "b"]).assign(day=np.array([2**63 + 5, 3], np.uint64))
    data = Interactions.from_pandas(frame, time="day", fractions=(0.5, 0.5, 0))
    assert data.user_ids[data.train.nonzero()[0]].tolist() == ["b"] and f"val from {2**63 + 5}" in data.notes


def test_ids_that_cannot_be_ordered_or_compared_are_refused():
    with pytest.raises(DataError, match="have no order .*astype"):
        Interactions.from_pandas(table([int, float], dtype=object))
    with pytest.raises(DataError, match="user holds values that cannot be ids"):
        Interactions.from_pandas(table([[1], [2]]))


def test_one_long_id_among_many_costs_its_own_length():
    count, length = 20_000, 100_000
    frame = pd.DataFrame({"user": [f"u{k}" for k in range(count)] + ["x" * length], "item": 0})
    tracemalloc.start()
    try:
        data = Interactions.from_pandas(frame, fractions=ALL)
        assert data.user_numbers(["x" * length]).tolist() == [count]
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6  # a fixed-width array of text would take 8 GB


# ---- rules of tables --------------------------------------------------------------------------------------------------------

FRAME = pd.DataFrame({"user": list("aab"), "item": [1, 1, 2], "stars": [5, 3, 1], "day": ["2020-01-01", "2020-01-03", "2020-01-02"]})


@pytest.mark.parametrize(
    ("frame", "options", "error", "words"),
    [
        (FRAME, {}, DataError, r"table: row 1 \(from 0\): the pair \(user 'a', item 1\) was in row 0 already"),
        (FRAME, {"item": "user"}, ConfigError, "'user' is named for two purposes"),
        (FRAME, {"time": "item"}, ConfigError, "'item' is named for two purposes"),
        (FRAME, {"user": "who"}, DataError, r"there is no column 'who' \(columns: user, item, stars, day\)"),
        (FRAME.set_axis(["user", "item", "user", "day"], axis=1), {}, DataError, "2 columns are called 'user'"),
        (FRAME[:0], {}, DataError, "holds no interactions"),
        (FRAME.to_dict(), {}, DataError, "events is a dict; pass a pandas DataFrame"),
        (FRAME, {"duplicates": "keep"}, ConfigError, "duplicates is 'keep'"),
        (FRAME, {"split": "user"}, ConfigError, "split is 'user'"),
        (FRAME, {"split": "time", "duplicates": "drop"}, ConfigError, "no column of times"),
        (FRAME, {"min_rating": 3}, DataError, "no rating column"),
        (FRAME, {"rating": "stars", "min_rating": float("nan")}, DataError, "min_rating is nan"),
        (FRAME, {"rating": "stars", "min_rating": 6}, DataError, "holds no interactions .3 of 3 rows left out"),
        (FRAME, {"rating": "day"}, DataError, r"row 0 \(from 0\): day is '2020-01-01'; ratings must be finite"),
        (FRAME.assign(day=[1.0, np.inf, 2]), {"time": "day"}, DataError, r"row 1 \(from 0\): day is inf; times must be"),
        (FRAME.assign(day=["2020", "1 May", None]), {"time": "day"}, DataError, "day is '1 May'; times must be"),
        (FRAME.assign(day=pd.to_datetime([None, "2020-01-01", "2021-01-01"])), {"time": "day"}, DataError, r"row 0 \(from 0\): day is NaT"),
        (FRAME, {"duplicates": "drop", "fractions": (0.5, 0.1, 0.1)}, ConfigError, "fractions is"),
        (FRAME, {"duplicates": "drop", "seed": -1}, ConfigError, "seed is -1"),
    ],
)
def test_tables_that_break_a_rule(frame, options, error, words):
    with pytest.raises(error, match=words) as caught:
        Interactions.from_pandas(frame, **options)
    assert "\n" not in str(caught.value)


def test_of_repeats_the_earliest_is_kept_and_low_ratings_go_first():
    frame = pd.DataFrame({
        "user": ["a", "a", "a", "b", "c"], "item": ["x", "x", "y", "x", "x"],
        "stars": [5, 1, 4, 4, 1], "day": pd.to_datetime(["2020-01-05", "2020-01-01", "2020-01-02", "2020-01-03", "2020-01-01"], utc=True),
    })  # fmt: skip
    data = Interactions.from_pandas(frame, time="day", duplicates="drop", fractions=(0.4, 0.3, 0.3))
    assert {split: own_pairs(data, split) for split in SPLITS} == {
        "train": [("a", "x"), ("c", "x")], "val": [("a", "y")], "test": [("b", "x")]
    }  # fmt: skip
    liked = Interactions.from_pandas(frame, time="day", rating="stars", min_rating=3, fractions=(0.4, 0.3, 0.3))
    assert {split: own_pairs(liked, split) for split in SPLITS} == {"train": [("a", "y")], "val": [("b", "x")], "test": [("a", "x")]}
    assert liked.user_ids.tolist() == ["a", "b"]  # user c has no row left, so no number
    assert liked.notes == (
        "2 of 5 rows left out, rated below 3; split by time 0.4/0.3/0.3: val from 2020-01-03T00:00:00, test from 2020-01-05T00:00:00, "
        "1 user and 1 item of val and test are not in train"
    )


def test_one_moment_for_all_cannot_be_cut():
    with pytest.raises(ConfigError, match="no cut in time leaves pairs for test .1 different moments"):
        Interactions.from_pandas(pd.DataFrame({"user": range(10), "item": range(10), "day": 1}), time="day", fractions=(0.8, 0.0, 0.2))


# ---- the way back -----------------------------------------------------------------------------------------------------------


def test_own_ids_to_numbers_and_unknown_ids():
    data = Interactions.from_pandas(pd.DataFrame({"user": ["7", "07", "b"], "item": [5, 6, 7]}), fractions=ALL, name="shop")
    assert data.user_numbers(["b", "7", "b"]).tolist() == [2, 1, 2] and data.user_numbers(["b"]).dtype == np.int64
    for items in ([7, 5], (7, 5), np.array([7, 5]), pd.Series([7, 5]), np.array([7.0, 5.0]), pd.Categorical([7, 5])):
        assert data.item_numbers(items).tolist() == [2, 0]
    assert data.user_numbers([]).tolist() == []
    for side, unknown, words in (
        ("user", ["b", "zoe", "x"], "shop: user 'zoe' is not among the 3 users, such as '07' .2 of 3 are unknown."),
        ("user", [7], "user 7 is not among"),
        ("item", ["5"], "item '5' is not among"),
        ("item", [True], "item True is not among"),
        ("item", [5, None], "item nan is not among"),
        ("user", "b", "user ids are 'b'; pass a list"),
        ("item", 5, "item ids are 5; pass a list"),
    ):
        with pytest.raises(DataError, match=words):
            getattr(data, f"{side}_numbers")(unknown)


def test_without_own_ids_the_numbers_are_the_ids():
    data = Interactions.from_pairs(([0, 1], [0, 3]), name="plain")
    assert data.user_ids is None and data.item_ids is None
    assert data.item_numbers([3, 0, 1]).tolist() == [3, 0, 1]
    for wrong in ([4], [-1], ["a"], [0.5], [False]):
        with pytest.raises(DataError, match="plain: item .* is not among the 4 items, whole numbers below 4"):
            data.item_numbers(wrong)
