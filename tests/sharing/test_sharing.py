"""`Sharing`: the table it makes against picking rows, counts by hand, equality, and files written and damaged."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.data.id_bytes import decode_ids, encode_ids
from recq_lib.errors import ConfigError, DataError, RecordError
from recq_lib.io.files import npz_bytes
from recq_lib.parts.tables import SharedTable
from recq_lib.sharing.found import Found
from recq_lib.sharing.sharing import Sharing


def naive_table(sharing, weight):
    """Row by row, from the definition."""
    rows = []
    for side, offset in ((sharing.users, 0), (sharing.items, sharing.n_user_rows)):
        for row in side:
            picked = [weight[offset + r] for r in row if r >= 0]
            rows.append(np.sum(picked, axis=0) / (len(picked) if sharing.combine == "mean" else 1))
    return np.array(rows)


@st.composite
def sharings(draw):
    k_u, k_i = draw(st.integers(1, 5)), draw(st.integers(1, 4))

    def side(n_rows):
        first = st.integers(0, n_rows - 1)
        return draw(st.lists(st.tuples(first, st.integers(-1, n_rows - 1)), min_size=1, max_size=9))

    return Sharing(np.array(side(k_u)), np.array(side(k_i)), k_u, k_i, draw(st.sampled_from(["mean", "sum"])))


EXAMPLE = Sharing(np.array([[0, 1], [1, -1], [1, 0]]), np.array([0, 0]), 2, 1)


# ---- the table -----------------------------------------------------------------------------------------------------------------


@given(sharings())
def test_table_and_gradient_equal_picking_rows(sharing):
    table = SharedTable(sharing, 3, generator=torch.Generator().manual_seed(0)).double()
    weight = table.weight.detach().numpy()
    np.testing.assert_allclose(table().detach(), naive_table(sharing, weight), rtol=1e-6)
    incoming = torch.randn(sharing.n_nodes, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    (grad,) = torch.autograd.grad((table() * incoming).sum(), table.weight)
    step = 1e-3  # the table is linear in its rows, so a finite difference is exact
    for k in range(sharing.n_rows):
        moved = weight.copy()
        moved[k, 0] += step
        expected = ((naive_table(sharing, moved) - naive_table(sharing, weight)) * incoming.numpy()).sum() / step
        assert float(grad[k, 0]) == pytest.approx(expected, rel=1e-5, abs=1e-7)


@given(sharings())
def test_shares_of_arrays_and_of_tensors_agree_with_the_definition(sharing):
    for rows in (sharing.users, sharing.items):
        counts = (rows >= 0).sum(axis=1)
        for shares in (sharing.shares(rows), sharing.shares(torch.tensor(rows)).numpy()):
            for node, row in enumerate(rows):
                one = 1 / counts[node] if sharing.combine == "mean" else 1.0
                np.testing.assert_array_equal(shares[node], np.where(row >= 0, one, 0).astype(shares.dtype))


def test_counts_by_hand():
    sharing = EXAMPLE
    assert (sharing.n_users, sharing.n_items, sharing.n_rows, sharing.n_nodes, sharing.n_extra) == (3, 2, 3, 5, 2)
    assert sharing.n_parameters(64) == sharing.n_parameters() == 64 * 3 + 2
    assert sharing.ratio(64) == sharing.ratio() == (64 * 3 + 2) / (64 * 5)
    assert sharing.n_bytes(64) == sharing.n_bytes() == 4 * 64 * 3 + 4 * 7
    assert sharing.n_bytes(64, itemsize=2) == 2 * 64 * 3 + 4 * 7
    assert SharedTable(sharing, 64).n_parameters == 194
    assert repr(sharing) == "Sharing(3 users on 2 rows, 2 items on 1 row, 2 further indices, mean)"


def test_one_row_per_node_is_the_full_table():
    table = SharedTable(Sharing(np.arange(4), np.arange(3), 4, 3), 5)
    assert torch.equal(table(), table.weight)


def test_nodes_of_one_row_move_together():
    table = SharedTable(Sharing(np.array([0, 0, 1]), np.array([0]), 2, 1), 4)
    table()[0].sum().backward()
    assert torch.equal(table.weight.grad[0], torch.ones(4)) and table.weight.grad[1:].abs().sum() == 0
    assert torch.equal(table()[0], table()[1])


def test_bad_rows_are_refused():
    for users in ([[-1, 0]], [[2, -1]], [[0, -2]]):
        with pytest.raises(ConfigError, match="rows of users"):
            Sharing(np.array(users), np.array([0]), 2, 1)
    with pytest.raises(ConfigError, match="combine"):
        Sharing(np.array([0]), np.array([0]), 1, 1, "concat")
    with pytest.raises(ConfigError, match="rows of items have dtype float64"):
        Sharing(np.array([0]), np.array([0.5]), 1, 1)
    with pytest.raises(ConfigError, match="n_item_rows is 1.0"):
        Sharing(np.array([0]), np.array([0]), 1, 1.0)
    with pytest.raises(ConfigError, match="user_ids has 2 ids for 1 users"):
        Sharing(np.array([0]), np.array([0]), 1, 1, user_ids=["a", "b"])
    with pytest.raises(ConfigError, match="at least one column"):
        SharedTable(Sharing(np.array([0]), np.array([0]), 1, 1), 0)


def test_equal_rows_are_equal_however_they_were_found():
    assert dataclasses.replace(EXAMPLE, found=Found("baco"), item_ids=["a", "b"]) == EXAMPLE
    changes = ({"n_user_rows": 3}, {"combine": "sum"}, {"items": np.array([[0, -1], [0, -1]])}, {"users": EXAMPLE.users[:, ::-1].clip(0)})
    for change in changes:
        assert dataclasses.replace(EXAMPLE, **change) != EXAMPLE
    assert EXAMPLE != "rows"


def test_the_arrays_are_the_sharings_own():
    users, ids = np.array([[0, 1], [1, -1], [1, 0]]), np.array([7, 8, 9])
    rows = Sharing(users, [0, 0], 2, 1, user_ids=ids)
    users[0, 0], ids[0] = 1, 0
    assert rows == EXAMPLE and rows.user_ids.tolist() == [7, 8, 9]
    for values in (rows.users, rows.items, rows.user_ids):
        with pytest.raises(ValueError, match="read-only"):
            values[0] = 0
    again = dataclasses.replace(rows, found=Found("baco"))
    assert np.shares_memory(again.users, rows.users)  # nobody can change them, so there is no second copy


def test_numbers_of_own_ids():
    rows = dataclasses.replace(EXAMPLE, user_ids=["x", "a", "m"], found=Found(dataset="mine"))
    assert rows.user_numbers(["m", "x", "m"]).tolist() == [2, 0, 2] and rows.item_numbers([1]).tolist() == [1]
    with pytest.raises(DataError, match="mine: user 'q' is not among the 3 users"):
        rows.user_numbers(["q"])
    with pytest.raises(ConfigError, match="user_ids holds 'a' twice"):
        dataclasses.replace(EXAMPLE, user_ids=["a", "b", "a"])
    with pytest.raises(ConfigError, match="user_ids is a ndarray"):
        dataclasses.replace(EXAMPLE, user_ids=np.zeros((3, 1)))


# ---- files ---------------------------------------------------------------------------------------------------------------------


FOUND = Found(
    "baco", "mine", {"gamma": 0.5, "scu": True, "seed": np.int64(7), "rows": None}, 1.5, ((0.25, 10), (0.5, 12)), (1.0, 2.5),
    ((3, 2), (2, 1)), np.array([0, 1, 1, 0, 2], np.int32),
)  # fmt: skip


@pytest.mark.parametrize(
    "ids", [(None, None), (["ann", "bob", "Ünal"], None), (np.array([7, 8, 2**62]), np.array(["2020-01-01", "2020-01-02"], "M8[D]"))]
)
def test_a_file_comes_back_equal_with_all_that_was_known(tmp_path, ids):
    rows = dataclasses.replace(EXAMPLE, found=FOUND, user_ids=ids[0], item_ids=ids[1])
    again = Sharing.load(rows.save(str(tmp_path / "rows.npz")), n_users=3, n_items=2)
    assert again == rows and again.users.dtype == np.int64
    for name in ("method", "dataset", "settings", "seconds", "tried", "objective", "sweeps", "gamma"):
        assert getattr(again.found, name) == getattr(FOUND, name)
    assert again.found.labels.tolist() == FOUND.labels.tolist() and again.found.labels.dtype == np.int32
    for name, own in zip(("user_ids", "item_ids"), ids, strict=True):
        assert getattr(again, name) is None if own is None else list(getattr(again, name)) == list(own)
    assert [path.name for path in tmp_path.iterdir()] == ["rows.npz"]  # no temporary file is left


def test_the_arrays_of_a_file_have_readable_names(tmp_path):
    path = EXAMPLE.save(tmp_path / "rows.npz", (np.array(["a", "b", "c"]), np.array([4, 5])))
    with np.load(path) as saved:
        assert set(saved) == {"user_rows", "item_rows", "sizes", "combine", "found", "user_ids", "item_ids"}
        assert saved["user_rows"].tolist() == [[0, 1], [1, -1], [1, 0]] and saved["item_rows"].dtype == np.int32
        assert saved["sizes"].tolist() == [2, 1] and str(saved["combine"]) == "mean"
        assert json.loads(saved["user_ids"].tobytes()) == {"kind": "text", "values": ["a", "b", "c"]}
        assert decode_ids(saved["item_ids"]).tolist() == [4, 5]
        assert json.loads(str(saved["found"]))["tried"] == []


def test_a_file_without_the_search_is_read(tmp_path):
    """As the command wrote it before there was `found`."""
    arrays = {"user_rows": np.array([[0, 1]], np.int32), "item_rows": np.array([[0]], np.int32), "sizes": np.array([2, 1])}
    path = tmp_path / "rows.npz"
    path.write_bytes(npz_bytes(arrays | {"combine": np.array("sum")}))
    assert Sharing.load(path) == Sharing([[0, 1]], [0], 2, 1, "sum")


def one_line(caught) -> str:
    text = str(caught.value)
    assert "\n" not in text and "rows.npz" in text
    return text


@pytest.mark.parametrize(
    "change, message",
    [
        ({"sizes": None}, "array 'sizes' is missing"),
        ({"user_rows": np.array([[0, 5]])}, "rows of users go from 0 to 5"),
        ({"user_rows": np.array([[0.5]])}, "dtype float64"),
        ({"combine": np.array("max")}, "combine is 'max'"),
        ({"sizes": np.array([1, 2, 3])}, "too many values"),
        ({"found": np.array("{")}, "holds no rows"),
        ({"found": np.array("[]")}, "holds no rows"),
        ({"found": np.array("[" * 100_000 + "]" * 100_000)}, "holds no rows"),
        ({"found": np.array(3)}, "holds no rows"),
        ({"user_ids": encode_ids("user_ids", ["a"])}, "user_ids has 1 ids for 3 users"),
        ({"user_ids": np.array(["a", "b", "c"])}, "ids are <U1"),
        ({"user_ids": np.frombuffer(b"[1]", np.uint8)}, "bytes of ids are damaged"),
    ],
)
def test_a_foreign_file_is_refused(tmp_path, change, message):
    path = tmp_path / "rows.npz"
    arrays = {name: values for name, values in (EXAMPLE.arrays() | change).items() if values is not None}
    path.write_bytes(npz_bytes(arrays))
    with pytest.raises(RecordError, match=message) as caught:
        Sharing.load(path)
    one_line(caught)


def test_rows_of_other_data_and_missing_files_are_refused(tmp_path):
    path = EXAMPLE.save(tmp_path / "rows.npz")
    with pytest.raises(RecordError, match="has n_users = 3, but the data have 4"):
        Sharing.load(path, n_users=4)
    with pytest.raises(RecordError, match="has n_items = 2, but the data have 3"):
        Sharing.load(path, n_users=3, n_items=3)
    with pytest.raises(RecordError, match="cannot be read"):
        Sharing.load(tmp_path / "no" / "rows.npz")
    with pytest.raises(ConfigError, match="user_ids has dtype object of tuple, which cannot be written"):
        dataclasses.replace(EXAMPLE, user_ids=[(1, 2), (2, 3), (3, 4)]).save(path)
    assert Sharing.load(path) == EXAMPLE  # what cannot be written leaves the old file


def damaged(content: bytes, rng: np.random.Generator) -> bytes:
    """Cut off, with bytes changed, without some, or with others in between."""
    kind, place = rng.integers(4), int(rng.integers(len(content)))
    if kind == 0:
        return content[:place]
    if kind == 1:
        changed = bytearray(content)
        for at in rng.integers(len(content), size=int(rng.integers(1, 4))):
            changed[at] ^= int(rng.integers(1, 256))
        return bytes(changed)
    if kind == 2:
        return content[:place] + content[place + int(rng.integers(1, 9)) :]
    return content[:place] + rng.bytes(int(rng.integers(1, 9))) + content[place:]


def test_whatever_the_damage_a_file_is_refused_or_reads_the_same(tmp_path):
    rng, path = np.random.default_rng(0), tmp_path / "rows.npz"
    rows = dataclasses.replace(EXAMPLE, found=FOUND, user_ids=["ann", "bob", "eve"])
    content, refused, kinds = rows.save(path).read_bytes(), 0, set()
    for _ in range(1500):
        path.write_bytes(damaged(content, rng))
        try:
            assert Sharing.load(path) == rows
        except RecordError as error:
            refused += 1
            kinds.add(str(error).split("(")[1].split(":")[0])
            assert "\n" not in str(error)
    assert refused > 1000
    assert {"BadZipFile", "error", "NotImplementedError"} <= kinds  # "error" is zlib's
