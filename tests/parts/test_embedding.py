"""`SharedEmbedding` against picking rows and against `SharedTable`, in every precision; states and files with their rows."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.errors import ConfigError, RecordError
from recq_lib.parts.embedding import SharedEmbedding
from recq_lib.parts.tables import SharedTable
from recq_lib.sharing.found import Found
from recq_lib.sharing.sharing import Sharing


def some_rows(seed: int = 0, combine: str = "mean", columns: tuple[int, int] = (2, 1)) -> Sharing:
    rng = np.random.default_rng(seed)
    sides = []
    for n, n_rows, m in ((30, 7, columns[0]), (20, 5, columns[1])):
        more = rng.integers(-1, n_rows, (n, m - 1))
        sides.append(np.concatenate([rng.integers(0, n_rows, (n, 1)), more], axis=1))
    return Sharing(*sides, 7, 5, combine)


def pair(rows: Sharing, dtype=torch.float32) -> tuple[SharedEmbedding, SharedTable]:
    """An embedding and the training table of the same rows and weights."""
    emb = SharedEmbedding(rows, 6, generator=torch.Generator().manual_seed(1))
    table = SharedTable(rows, 6, generator=torch.Generator().manual_seed(1))
    assert torch.equal(emb.weight, table.weight)
    return emb.to(dtype), table.to(dtype)


# ---- vectors and gradients -------------------------------------------------------------------------------------------------------


@given(st.integers(0, 99), st.sampled_from(["mean", "sum"]), st.sampled_from([(1, 1), (2, 1), (2, 2)]), st.booleans())
def test_vectors_and_gradient_are_those_of_the_training_table(seed, combine, columns, double):
    emb, table = pair(some_rows(seed, combine, columns), torch.float64 if double else torch.float32)
    users, items = (torch.from_numpy(np.random.default_rng(seed).integers(0, n, (4, 3))) for n in (30, 20))
    whole = table()
    got, expected = torch.stack([emb.users(users), emb.items(items)]), torch.stack([whole[users], whole[30 + items]])
    assert got.shape == (2, 4, 3, 6) and torch.equal(got, expected)
    incoming = torch.randn(got.shape, dtype=got.dtype, generator=torch.Generator().manual_seed(seed))
    (ours,), (theirs,) = (torch.autograd.grad((x * incoming).sum(), part.weight) for x, part in ((got, emb), (expected, table)))
    torch.testing.assert_close(ours, theirs)


def test_three_rows_of_a_node_are_averaged():
    emb, table = pair(some_rows(3, columns=(3, 1)), torch.float64)
    everyone = torch.arange(30)
    expected = [emb.weight[[r for r in row if r >= 0]].mean(dim=0) for row in emb.rows.users.tolist()]
    torch.testing.assert_close(emb.users(everyone), torch.stack(expected), rtol=1e-7, atol=1e-7)
    torch.testing.assert_close(emb.users(everyone), table()[:30], rtol=1e-7, atol=1e-7)  # shares are float32 in both


def test_gradient_by_finite_differences():
    emb, _ = pair(some_rows(2), torch.float64)
    ids = torch.tensor([0, 5, 5, 29])
    assert torch.autograd.gradcheck(lambda w: torch.func.functional_call(emb, {"weight": w}, (ids, ids % 20)), (emb.weight,))


def test_any_shape_of_ids():
    emb, table = pair(some_rows())
    for ids in (torch.tensor(3), torch.empty(0, dtype=torch.long), torch.tensor([[[1], [2]]]), torch.tensor([4, 4], dtype=torch.int32)):
        assert torch.equal(emb.users(ids), table()[:30][ids]) and emb.items(ids).shape == (*ids.shape, 6)
    users, items = emb(torch.tensor([1]), torch.tensor([2, 3]))
    assert torch.equal(users, emb.users(torch.tensor([1]))) and torch.equal(items, emb.items(torch.tensor([2, 3])))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision(dtype):
    rows = some_rows(columns=(3, 2))
    emb, ids = SharedEmbedding(rows, 8).to(dtype), torch.arange(20)
    expected = [emb.weight.double()[[7 + r for r in row if r >= 0]].mean(dim=0) for row in rows.items.tolist()]
    got = emb.items(ids)
    assert got.dtype == dtype and emb.n_bytes() == 2 * 8 * 12 + 4 * (50 + rows.n_extra)
    torch.testing.assert_close(got.double(), torch.stack(expected), rtol=2e-2, atol=2e-2)
    got.sum().backward()
    assert emb.weight.grad.dtype == dtype and emb.weight.grad.isfinite().all()


def test_it_learns_in_a_model_of_its_own():
    emb = SharedEmbedding(some_rows(), 6, 0.1, generator=torch.Generator().manual_seed(0))
    model = torch.nn.ModuleDict({"emb": emb, "out": torch.nn.Linear(6, 1)})
    users, items, target = torch.arange(20), torch.arange(20), torch.linspace(-1, 1, 20)
    optimizer, losses = torch.optim.Adam(model.parameters(), lr=0.05), []
    for _ in range(100):
        u, v = model["emb"](users, items)
        loss = (model["out"](u * v).squeeze() - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


# ---- sizes and checks ------------------------------------------------------------------------------------------------------------


def test_sizes_by_hand():
    emb = SharedEmbedding(Sharing([[0, 1], [1, -1], [1, 0]], [0, 0], 2, 1), 64)
    assert (emb.n_users, emb.n_items, emb.dim, emb.weight.shape) == (3, 2, 64, (3, 64))
    assert emb.n_parameters == 64 * 3 + 2 and emb.n_bytes() == 4 * 64 * 3 + 4 * 7
    assert emb.double().n_bytes() == 8 * 64 * 3 + 4 * 7
    wide = SharedEmbedding(some_rows(), 2000, 0.5, generator=torch.Generator().manual_seed(0))
    assert float(wide.weight.detach().std()) == pytest.approx(0.5, rel=0.02)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda emb: emb.users(torch.tensor([0, 30])), "user id 30 is not among the 30 users"),
        (lambda emb: emb.users(torch.tensor([-1, 3])), "user id -1 is not among"),
        (lambda emb: emb.items(torch.tensor(20)), "item id 20 is not among the 20 items"),
        (lambda emb: emb.items(torch.tensor([0.0])), "item ids are torch.float32"),
        (lambda emb: emb.users([0, 1]), "user ids are list"),
        (lambda emb: emb.users(torch.tensor([True])), "user ids are torch.bool"),
        (lambda emb: SharedEmbedding(emb.rows, 0), "at least one column"),
        (lambda emb: SharedEmbedding(emb.rows, 4, -1.0), "init std is -1.0"),
        (lambda emb: SharedEmbedding(emb.rows, 8.0), "dim .* is 8.0"),
        (lambda emb: SharedEmbedding(emb.rows, "8"), "dim .* is '8'"),
        (lambda emb: SharedEmbedding(np.zeros(3), 8), "rows is a ndarray, but must be a Sharing"),
    ],
)
def test_misuse_is_refused(call, message):
    with pytest.raises(ConfigError, match=message):
        call(SharedEmbedding(some_rows(), 4))


def test_the_check_can_be_left_out():
    emb = SharedEmbedding(some_rows(), 4)
    with pytest.raises(IndexError):  # torch's own, from looking the row up
        emb.users(torch.tensor([30]), check=False)
    assert torch.equal(emb.users(torch.tensor([29]), check=False), emb.users(torch.tensor([29]), check=True))


# ---- states and files ------------------------------------------------------------------------------------------------------------


def test_a_state_brings_its_rows():
    first, second = SharedEmbedding(some_rows(1), 6), SharedEmbedding(some_rows(2), 6)
    assert first.rows != second.rows
    second.load_state_dict(first.state_dict())
    assert second.rows == first.rows and set(first.state_dict()) == {"weight", "user_rows", "item_rows"}
    ids = torch.arange(20)
    assert torch.equal(second.users(ids), first.users(ids)) and second.n_parameters == first.n_parameters
    twin = copy.deepcopy(first)
    assert torch.equal(twin.items(ids), first.items(ids))
    wrong = first.state_dict() | {"user_rows": torch.full((30, 2), 7, dtype=torch.int32)}
    with pytest.raises(ConfigError, match="rows of users go from 7 to 7"):
        second.load_state_dict(wrong)


def test_own_ids_stay_when_a_state_brings_other_rows():
    ids = np.arange(30) + 100
    emb = SharedEmbedding(dataclasses.replace(some_rows(1), user_ids=ids, found=Found("baco")), 6)
    emb.load_state_dict(SharedEmbedding(some_rows(2), 6).state_dict())
    assert emb.rows == some_rows(2) and emb.rows.user_ids.tolist() == ids.tolist() and emb.rows.found.method == ""


@pytest.mark.parametrize("name, value", [
    ("weight", torch.zeros(12, 5)), ("user_rows", torch.zeros(31, 2, dtype=torch.int32)), ("item_rows", torch.full((20, 1), 5)),
])  # fmt: skip
def test_a_state_that_does_not_fit_changes_nothing(name, value):
    model = torch.nn.ModuleDict({"emb": SharedEmbedding(some_rows(1), 6)})
    before = {key: tensor.clone() for key, tensor in model.state_dict().items()}
    state = {f"emb.{key}": tensor for key, tensor in SharedEmbedding(some_rows(2), 6).state_dict().items()} | {f"emb.{name}": value}
    words = "rows of items go from 5 to 5" if name == "item_rows" else rf"emb.{name} of the state has shape \({value.shape[0]}, "
    with pytest.raises(ConfigError, match=words):
        model.load_state_dict(state)
    assert all(torch.equal(before[key], tensor) for key, tensor in model.state_dict().items()) and model["emb"].rows == some_rows(1)


def test_reading_leaves_the_random_state_alone(tmp_path):
    path = SharedEmbedding(some_rows(), 6).save(tmp_path / "emb")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    SharedEmbedding.load(path)
    assert torch.equal(torch.rand(3), expected)


FOUND = Found("baco", "mine", {"gamma": 0.5}, 1.0, sweeps=((7, 5),), labels=np.arange(50, dtype=np.int32))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("ids", [None, np.array([f"ü{n}" for n in range(30)], object), np.arange(30) + 2**40])
def test_a_file_comes_back_with_its_rows(tmp_path, dtype, ids):
    rows = dataclasses.replace(some_rows(combine="sum"), found=FOUND, user_ids=ids)
    emb = SharedEmbedding(rows, 6).to(dtype)
    again = SharedEmbedding.load(emb.save(tmp_path / "new" / "emb.safetensors"))
    assert again.rows == rows and torch.equal(again.weight, emb.weight) and again.weight.dtype == dtype and again.weight.requires_grad
    assert again.rows.found.settings == {"gamma": 0.5} and again.rows.found.labels.tolist() == list(range(50))
    assert again.rows.user_ids is None if ids is None else again.rows.user_ids.tolist() == ids.tolist()
    assert torch.equal(again.users(torch.arange(30)), emb.users(torch.arange(30)))
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["emb.safetensors"]


def test_damaged_and_foreign_files_are_refused(tmp_path):
    path, rng = tmp_path / "emb.safetensors", np.random.default_rng(0)
    emb = SharedEmbedding(some_rows(), 6)
    content = emb.save(path).read_bytes()
    for _ in range(150):
        changed = bytearray(content)
        changed[int(rng.integers(len(content)))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(changed[: int(rng.integers(len(content)))] if rng.random() < 0.2 else changed))
        with pytest.raises(RecordError) as caught:
            SharedEmbedding.load(path)
        assert "\n" not in str(caught.value) and "emb.safetensors" in str(caught.value)
    with pytest.raises(RecordError, match="does not exist"):
        SharedEmbedding.load(tmp_path / "none")
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2, 2)}, path)
    with pytest.raises(RecordError, match="holds no recq.embedding"):
        SharedEmbedding.load(path)
