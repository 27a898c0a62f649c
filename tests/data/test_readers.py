"""Text, tensor and npz readers: round trips, located errors, and garbage that never gives anything but `DataError`."""

from __future__ import annotations

import io
import tracemalloc
import zipfile

import numpy as np
import pytest
import torch
from helpers import write_lightgcn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from recq_lib.data import Interactions, load_csv
from recq_lib.data.containers import read_npz, read_tensor, write_npz
from recq_lib.data.readers import read_lightgcn, read_movielens, read_weighted, to_interactions, without_earlier
from recq_lib.errors import ConfigError, DataError

PAIRS = st.sets(st.tuples(st.integers(0, 12), st.integers(0, 9)), min_size=2, max_size=60)
SAME_FOLDER = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def put(folder, text: str | bytes, name: str = "file.txt"):
    path = folder / name
    path.write_bytes(text.encode() if isinstance(text, str) else text)
    return path


def pair_set(part) -> set[tuple[int, int]]:
    return set(zip(part.users.tolist(), part.items.tolist(), strict=True))


# ---- LightGCN text ----------------------------------------------------------------------------------------------------------


@SAME_FOLDER
@given(PAIRS)
def test_text_interactions_npz_round_trip(tmp_path, pairs):
    order = sorted(pairs)
    halves = {"train": order[::2], "test": order[1::2]}
    parts = {}
    for split, chosen in halves.items():
        array = np.array(chosen)
        write_lightgcn(tmp_path / f"{split}.txt", (array[:, 0], array[:, 1]), n_users=13)
        parts[split] = read_lightgcn(tmp_path / f"{split}.txt")
        assert pair_set(parts[split]) == set(chosen) and parts[split].n_users == 13
    data = to_interactions(parts, name="round", n_items=10)
    write_npz(tmp_path / "round.npz", data)
    again = read_npz(tmp_path / "round.npz")
    assert again.name == "round" and again.fingerprint == data.fingerprint
    assert sorted(file.name for file in tmp_path.iterdir()) == ["round.npz", "test.txt", "train.txt"]


def test_lightgcn_accepts_crlf_blank_lines_and_users_without_items(tmp_path):
    part = read_lightgcn(put(tmp_path, "\ufeff0 3 1\r\n\r\n4\r\n2 0 \r\n"))
    assert pair_set(part) == {(0, 3), (0, 1), (2, 0)}
    assert (part.n_users, part.n_items) == (5, 4)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("0 1\n1 -2\n", 2, "item id is '-2'; ids must not be negative"),
        ("0 1\n-1 2\n", 2, "user id is '-1'"),
        ("0 1\n1 nan\n", 2, "'nan'; ids must be whole numbers"),
        ("0 1.0\n", 1, "'1.0'; ids must be whole"),
        ("0 1_0\n", 1, "'1_0'"),
        ("0 ١\n", 1, "'١'"),
        ("0 4000000000\n", 1, "at most 2147483646"),
        ("0 " + "9" * 5000, 1, "at most"),
        ("0 1\n\n0 2 2\n", 3, "pair (user 0, item 2) again"),
        ("0 1\n1 1\n0 1\n", 3, "pair (user 0, item 1) again"),
        ("0 1\nuser item\n", 2, "load_csv"),
    ],
)
def test_lightgcn_errors_name_file_line_and_rule(tmp_path, text, line, words):
    path = put(tmp_path, text)
    with pytest.raises(DataError) as caught:
        read_lightgcn(path)
    message = str(caught.value)
    assert message.startswith(f"{path}:{line}: ") and words in message and "\n" not in message and len(message) < 400


def test_repeats_are_dropped_where_a_file_is_known_to_have_them(tmp_path):
    """The first of each stays, in file order; sizes are those of the file."""
    path = put(tmp_path, "0 3 1 3\n4 0\n0 1 2\n4 0 0\n5\n")
    part = read_lightgcn(path, repeats="drop")
    assert list(zip(part.users.tolist(), part.items.tolist(), strict=True)) == [(0, 3), (0, 1), (4, 0), (0, 2)]
    assert (part.n_users, part.n_items) == (6, 4)
    with pytest.raises(DataError, match=":1: holds the pair"):
        read_lightgcn(path)
    with pytest.raises(DataError, match=":1: item id is '-1'"):
        read_lightgcn(put(tmp_path, "0 -1 -1\n"), repeats="drop")
    with pytest.raises(ConfigError, match="repeats is 'keep', but must be one of error, drop"):
        read_lightgcn(path, repeats="keep")


@SAME_FOLDER
@given(st.lists(st.tuples(st.sampled_from(["train", "val", "test"]), st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=60))
def test_a_pair_stays_in_the_first_split_that_has_it(tmp_path, entries):
    rows = {split: [(u, i) for name, u, i in entries if name == split] for split in ("test", "train", "val")}  # the order of the dict
    rows = {split: pairs for split, pairs in rows.items() if pairs}
    parts = {s: read_lightgcn(put(tmp_path, "".join(f"{u} {i}\n" for u, i in pairs)), repeats="drop") for s, pairs in rows.items()}
    kept, seen = without_earlier(parts), set()
    for split in ("train", "val", "test"):
        if split in rows:
            assert pair_set(kept[split]) == set(rows[split]) - seen and kept[split].users.size == len(pair_set(kept[split]))
            assert (kept[split].n_users, kept[split].n_items) == (parts[split].n_users, parts[split].n_items)
            seen |= set(rows[split])
    assert kept.keys() == parts.keys()


@pytest.mark.parametrize("text", ["", "\n \n", "0\n1\n"])
def test_a_file_without_pairs_is_refused(tmp_path, text):
    with pytest.raises(DataError, match="holds no interactions"):
        read_lightgcn(put(tmp_path, text))


@pytest.mark.parametrize("reader", [read_lightgcn, read_movielens, read_weighted, read_tensor, read_npz, load_csv])
def test_missing_files_and_folders_are_data_errors(tmp_path, reader):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(DataError, match="cannot be read"):
            reader(path)


@SAME_FOLDER
@given(st.sampled_from([read_lightgcn, read_movielens, read_weighted, load_csv]), st.lists(st.one_of(
    st.binary(max_size=20),
    st.lists(st.sampled_from(b'0 1 2 7 -1 nan 1e9 a :: 4.5 inf "'.split()), max_size=5).map(b" ".join),
    st.lists(st.sampled_from([b"1", b"2", b"3"]), min_size=3, max_size=4).map(b"::".join),
    st.lists(st.sampled_from([b"user", b"item", b"3", b""]), min_size=2, max_size=2).map(b",".join),
), max_size=6))  # fmt: skip
def test_garbage_lines_give_a_valid_result_or_a_data_error(tmp_path, reader, lines):
    path = put(tmp_path, b"\n".join(lines))
    try:
        result = reader(path)
    except DataError as error:
        assert str(path) in str(error) and "\n" not in str(error)
    else:
        data = result if reader is load_csv else to_interactions({"train": result}, name="garbage")
        assert sum(data.split(split).nnz for split in ("train", "val", "test")) > 0
        if reader is not load_csv:
            assert data.n_train == result.users.size


# ---- MovieLens and weighted lines -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("separator", ["\t", "::"])
def test_movielens_ids_start_at_one_and_ratings_can_be_cut(tmp_path, separator):
    rows = [("1", "3", "5", "881250949"), ("2", "1", "2", "881250950"), ("4", "2", "3", "881250951")]
    path = put(tmp_path, "\n".join(separator.join(row) for row in rows) + "\n")
    assert pair_set(read_movielens(path)) == {(0, 2), (1, 0), (3, 1)}
    liked = read_movielens(path, min_rating=3)
    assert pair_set(liked) == {(0, 2), (3, 1)} and liked.n_users == 4


@pytest.mark.parametrize(
    ("reader", "text", "words"),
    [
        (read_movielens, "1\t2\n", "has 2 fields"),
        (read_movielens, "0\t2\t5\t1\n", "start at 1"),
        (read_weighted, "1 2\n", "has 2 fields"),
        (read_weighted, "1 2 nan\n", "weight is 'nan'; it must be a finite number"),
        (read_weighted, "1 0 3\n", "item id is 0"),
        (read_weighted, "1 2 3\n1 2 4\n", ":2: holds the pair"),
    ],
)
def test_column_errors(tmp_path, reader, text, words):
    with pytest.raises(DataError, match=words):
        reader(put(tmp_path, text))


def test_movielens_rating_must_be_finite_when_it_is_used(tmp_path):
    with pytest.raises(DataError, match="rating is 'NaN'"):
        read_movielens(put(tmp_path, "1\t2\tNaN\t1\n"), min_rating=1)


def test_weighted_lines_drop_the_weight(tmp_path):
    assert pair_set(read_weighted(put(tmp_path, "1\t2\t13883\n3\t1\t1\n"))) == {(0, 1), (2, 0)}


# ---- tensors and npz --------------------------------------------------------------------------------------------------------


def test_tensor_round_trip_and_rules(tmp_path):
    path = tmp_path / "train.pt"
    torch.save(torch.tensor([[2, 0], [1, 5]]), path)
    part = read_tensor(path)
    assert pair_set(part) == {(2, 1), (0, 5)} and (part.n_users, part.n_items) == (3, 6)
    for value, words in (
        (torch.zeros(2, 3), "float32"),
        (torch.zeros(3, 2, dtype=torch.int64), r"\(3, 2\)"),
        (torch.zeros(2, 0, dtype=torch.int64), "no interactions"),
        (torch.tensor([[0, -1], [1, 1]]), "user id in column 1 is -1"),
        ({"a": torch.zeros(1)}, "holds a dict"),
    ):
        torch.save(value, path)
        with pytest.raises(DataError, match=words):
            read_tensor(path)


class Evil:
    def __reduce__(self):
        return (print, ("code in a data file was run",))


def test_tensor_files_run_no_code(tmp_path, capsys):
    path = tmp_path / "evil.pt"
    torch.save(Evil(), path)
    with pytest.raises(DataError, match="not a plain torch tensor file"):
        read_tensor(path)
    assert "was run" not in capsys.readouterr().out


def npz_arrays(**changes) -> dict:
    arrays = {
        "n_users": np.int32(3), "n_items": np.int32(4),
        "train_user": np.array([0, 1], np.int32), "train_item": np.array([0, 3], np.int32),
        "test_user": np.array([2], np.int32), "test_item": np.array([1], np.int32), **changes,
    }  # fmt: skip
    return {key: value for key, value in arrays.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"train_item": None}, "array train_item is missing"),
        ({"val_user": np.array([0], np.int32)}, "only one of val_user and val_item"),
        ({"train_item": np.array([0.0, 3.0])}, "train_item has dtype float64"),
        ({"train_item": np.array([0, 4], np.int32)}, "item id 4 occurs, but n_items is 4"),
        ({"train_user": np.array([0, -1], np.int32)}, "position 1 is -1"),
        ({"train_user": np.array([[0, 1]], np.int32)}, r"shape \(1, 2\)"),
        ({"n_users": np.array([3, 3], np.int32)}, r"n_users has shape \(2,\)"),
        ({"n_items": np.int32(0)}, "n_items is 0"),
        ({"test_user": np.array([0], np.int32), "test_item": np.array([0], np.int32)}, "both train and test"),
        ({"train_user": np.array([0, None], object)}, "not a readable npz"),
    ],
)
def test_npz_rules_name_the_file_and_the_array(tmp_path, changes, words):
    path = tmp_path / "bad.npz"
    np.savez(path, **npz_arrays(**changes), allow_pickle=True)
    with pytest.raises(DataError, match=words) as caught:
        read_npz(path)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_npz_keeps_the_validation_split(tmp_path):
    path = tmp_path / "with_val.npz"
    np.savez(path, **npz_arrays(val_user=np.array([1]), val_item=np.array([0])))
    data = read_npz(path, name="given")
    assert data.name == "given" and data.pairs("val")[0].tolist() == [1] and data.pairs("val")[1].tolist() == [0]


@SAME_FOLDER
@given(st.one_of(st.binary(max_size=200), st.tuples(st.integers(0, 2000), st.integers(0, 255))))
def test_damaged_binary_files_give_a_valid_result_or_a_data_error(tmp_path, damage):
    data = Interactions.from_pairs(([0, 1, 2], [1, 0, 2]), ([0], [0]))
    write_npz(tmp_path / "a.npz", data)
    torch.save(torch.tensor([[0, 1], [1, 0]]), tmp_path / "a.pt")
    for name, reader in (("a.npz", read_npz), ("a.pt", read_tensor)):
        path = tmp_path / name
        content = bytearray(path.read_bytes())
        if isinstance(damage, bytes):
            content = damage
        else:
            content[damage[0] % len(content)] = damage[1]
        path.write_bytes(content)
        try:
            result = reader(path)
        except DataError as error:
            assert str(path) in str(error)
        else:
            assert (result.n_train if reader is read_npz else result.users.size) > 0


def test_write_npz_that_fails_leaves_nothing(tmp_path):
    blocked = put(tmp_path, "a file, not a folder", "blocked")
    with pytest.raises(DataError, match="cannot be written"):
        write_npz(blocked / "x.npz", Interactions.from_pairs(([0], [0])))
    assert [file.name for file in tmp_path.iterdir()] == ["blocked"]


def test_to_interactions_needs_train(tmp_path):
    part = read_lightgcn(put(tmp_path, "0 1\n"))
    with pytest.raises(DataError, match="a train file is needed"):
        to_interactions({"test": part}, name="x")


def with_header(path, key: str, shape: tuple[int, ...]) -> None:
    """Rewrite one array of an npz so that its header declares another shape than it holds."""
    with zipfile.ZipFile(path) as old:
        members = {name: old.read(name) for name in old.namelist()}
    stream = io.BytesIO(members[f"{key}.npy"])
    np.lib.format.read_magic(stream)
    np.lib.format.read_array_header_1_0(stream)
    content, header = stream.read(), io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<i4", "fortran_order": False, "shape": shape})
    members[f"{key}.npy"] = header.getvalue() + content
    with zipfile.ZipFile(path, "w") as new:
        for name, member in members.items():
            new.writestr(name, member)


@pytest.mark.parametrize("key", ["train_user", "test_item"])
@pytest.mark.parametrize("length", [0, 1, 3, 2**31, 2**40])
def test_arrays_hold_what_their_headers_declare(tmp_path, key, length):
    path = tmp_path / "file.npz"
    np.savez(path, **npz_arrays())
    honest = length == npz_arrays()[key].size
    with_header(path, key, (length,))
    tracemalloc.start()
    try:
        if honest:
            assert read_npz(path).n_users == 3
        else:
            with pytest.raises(DataError, match=rf"array {key} is declared as \({length},\) of int32, but holds"):
                read_npz(path)
        assert tracemalloc.get_traced_memory()[1] < 5e6
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("key", ["n_users", "n_items"])
def test_sizes_far_beyond_the_ids_are_refused_before_they_are_allocated(tmp_path, key):
    path = tmp_path / "file.npz"
    for size, good in ((5, True), (900, True), (2**31 - 1, False)):
        np.savez(path, **npz_arrays(**{key: np.int64(size)}))
        tracemalloc.start()
        try:
            if good:
                assert getattr(read_npz(path), key) == size
            else:
                with pytest.raises(DataError, match=rf"{key} is 2,147,483,647, but the largest id is [23]; the file is damaged"):
                    read_npz(path)
            assert tracemalloc.get_traced_memory()[1] < 5e6
        finally:
            tracemalloc.stop()
