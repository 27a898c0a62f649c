"""Search in shared rows ranks as the vectors written out do, in float64 and by the rule of ties; files bring all of it back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
import scipy.sparse as sp
from helpers import naive_ranking, random_interactions

from recq_lib.codes import file
from recq_lib.codes.packing import pack
from recq_lib.codes.shared import VECTORS, SharedCodes, SharedVectors
from recq_lib.errors import ConfigError, RecordError
from recq_lib.evaluation.ranking import evaluate
from recq_lib.evaluation.search import search
from recq_lib.runs.recommend import recommend
from recq_lib.sharing.sharing import Sharing

N_USERS, N_ITEMS = 30, 90


def rows_of(rng, *, item_columns=1, combine="mean", **ids) -> Sharing:
    """Second rows for about half of the users; the last rows of either codebook are nobody's."""
    users = np.stack([rng.integers(0, 9, N_USERS), rng.integers(-9, 9, N_USERS).clip(-1)], axis=1)
    items = rng.integers(0, 11, (N_ITEMS, item_columns))
    return Sharing(users, items, 10, 12, combine, **ids)


def whole_weight(rng) -> np.ndarray:
    """Small even numbers: means and products are exact in float32, and different rows tie."""
    return 2.0 * rng.integers(-2, 3, (22, 4))


def written_out(rows: Sharing, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vectors by a loop over nodes, float64."""

    def side(nodes, codebook):
        vectors = []
        for node in nodes:
            own = [codebook[row] for row in node if row >= 0]
            vectors.append(sum(own) / (len(own) if rows.combine == "mean" else 1))
        return np.array(vectors)

    return side(rows.users, weight[: rows.n_user_rows]), side(rows.items, weight[rows.n_user_rows :])


@pytest.mark.parametrize(("item_columns", "combine"), [(1, "mean"), (1, "sum"), (2, "mean"), (2, "sum")])
def test_lists_are_those_of_a_sort_in_float64(rng, item_columns, combine):
    rows, weight = rows_of(rng, item_columns=item_columns, combine=combine), whole_weight(rng)
    shared, (users, items) = SharedVectors.of(rows, weight), written_out(rows, weight)
    scores, exclude = users @ items.T, sp.csr_matrix(rng.random((N_USERS, N_ITEMS)) < 0.3, dtype=np.float32)
    for vectors, expected in zip(shared.vectors(), (users, items), strict=True):
        np.testing.assert_array_equal(vectors, expected)
    for asked, k, tie_seed in ((range(N_USERS), 25, 0), ([7], 25, 3), ([4, 4, 2], 200, 1)):
        position_of = np.argsort(np.random.default_rng(tie_seed).permutation(N_ITEMS))
        found, values = search(shared, asked, k, exclude, tie_seed=tie_seed)
        for user, ids, worth in zip(asked, found, values, strict=True):
            wanted = naive_ranking(scores[user], set(exclude[user].indices), k, position_of)
            assert ids.tolist() == wanted and worth.tolist() == scores[user, wanted].tolist()
        again = shared.search(asked, k, exclude, tie_seed=tie_seed)
        assert all(map(np.array_equal, again[0], found)) and all(map(np.array_equal, again[1], values))


def test_items_of_one_row_tie_whatever_the_numbers(rng):
    rows, weight = rows_of(rng), rng.standard_normal((22, 33))
    users, items = written_out(rows, weight)
    ids, values = SharedVectors.of(rows, weight).search(range(N_USERS), N_ITEMS)
    position_of = np.argsort(np.random.default_rng(0).permutation(N_ITEMS))
    for user in range(N_USERS):
        of_rows = weight[10:] @ users[user]  # float64; random rows are far apart beside float32's rounding
        of_items = of_rows[rows.items[:, 0]]
        assert ids[user].tolist() == naive_ranking(of_items, set(), N_ITEMS, position_of)
        np.testing.assert_allclose(values[user], of_items[ids[user]], rtol=1e-5, atol=1e-5)
        assert np.unique(values[user]).size == np.unique(rows.items).size


def test_evaluate_and_recommend_take_it(rng):
    data = random_interactions(N_USERS, N_ITEMS, n_pairs=400, seed=3)
    user_ids, item_ids = [f"u{n}" for n in range(N_USERS)], list(range(500, 500 + N_ITEMS))
    rows, weight = rows_of(rng, user_ids=user_ids, item_ids=item_ids), whole_weight(rng)
    shared = SharedVectors.of(rows, weight)
    expected = evaluate(written_out(rows, weight), data, ks=(5, 20))
    found = evaluate(shared, data, ks=(5, 20))
    assert found.values == expected.values and np.array_equal(found.top, expected.top)
    table = recommend(shared, ["u7"], k=4, exclude=data.train)
    wanted = search(written_out(rows, weight), [7], 4, data.train)[0][0]
    assert table["item"].tolist() == (500 + wanted).tolist() and set(table["user"]) == {"u7"}


@pytest.mark.parametrize("bits", [1, 3])
def test_codes_of_rows(rng, bits):
    row_of = rng.integers(0, 11, N_ITEMS)
    codes = pack(rng.integers(-3, 4, (N_USERS, 70)).astype(np.float32), rng.integers(-3, 4, (12, 70)).astype(np.float32), bits=bits)
    shared, position_of = SharedCodes(codes, row_of), np.argsort(np.random.default_rng(0).permutation(N_ITEMS))
    scores = codes.scores(np.arange(N_USERS))
    for user, ids in enumerate(search(shared, range(N_USERS), 30)[0]):
        assert ids.tolist() == naive_ranking(scores[user, row_of], set(), 30, position_of)
    assert shared.n_bytes() == codes.n_bytes() + 4 * N_ITEMS
    for bad in (np.array([0, 12]), np.array([-1]), np.array([0.5]), np.empty(0, int)):
        with pytest.raises(ConfigError, match=r"row_of must be whole numbers \[items\] in \[0, 12\)"):
            SharedCodes(codes, bad)


def test_file_brings_all_of_it_back(rng, tmp_path):
    rows = rows_of(rng, user_ids=[f"u{n}" for n in range(N_USERS)], item_ids=list(range(500, 500 + N_ITEMS)))
    shared = SharedVectors.of(rows, whole_weight(rng))
    back = SharedVectors.load(shared.save(tmp_path / "some.rows"))
    assert repr(back) == repr(shared) and back.n_bytes() == shared.n_bytes()
    assert back.user_ids.tolist() == shared.user_ids.tolist() and back.item_ids.tolist() == list(range(500, 500 + N_ITEMS))
    assert all(map(np.array_equal, back.search(range(N_USERS), 9)[0], shared.search(range(N_USERS), 9)[0]))
    size = (tmp_path / "some.rows").stat().st_size
    assert 0 < size - sum(shared.n_bytes().values()) < 4096


def test_damaged_files_are_refused(rng, tmp_path):
    path = SharedVectors.of(rows_of(rng), whole_weight(rng)).save(tmp_path / "some.rows")
    content = path.read_bytes()
    for place in rng.integers(0, len(content), 100):
        path.write_bytes(content[:place] + bytes([content[place] ^ 1 << rng.integers(8)]) + content[place + 1 :])
        with pytest.raises(RecordError, match="some.rows"):
            SharedVectors.load(path)
        path.write_bytes(content[:place])
        with pytest.raises(RecordError, match="some.rows"):
            SharedVectors.load(path)


def test_a_file_with_a_right_checksum_whose_rows_do_not_fit_is_refused(rng, tmp_path):
    good = {
        "user_vectors": np.ones((2, 3), np.float32), "item_vectors": np.ones((2, 3), np.float32),
        "user_rows": np.array([[0, 1], [1, -1]], np.int32), "item_rows": np.array([0, 1, 1], np.int32),
    }  # fmt: skip
    changes = [
        {"item_rows": np.array([0, 2], np.int32)}, {"item_rows": np.array([0, -1], np.int32)}, {"item_rows": np.ones((2, 1), np.int32)},
        {"item_rows": np.empty(0, np.int32)}, {"user_rows": np.array([[-1, 0]], np.int32)}, {"user_rows": np.ones((2, 0), np.int32)},
        {"user_rows": np.array([0, 1], np.int32)}, {"user_vectors": np.ones((2, 4), np.float32)}, {"user_vectors": np.ones(3, np.float32)},
        {"item_vectors": np.full((2, 3), np.nan, np.float32)}, {"item_vectors": np.ones((2, 0), np.float32)},
        {"user_vectors": np.ones((2, 3), np.int32)}, dict.fromkeys(("user_vectors", "item_vectors"), np.full((2, 3), 1e30, np.float32)),
    ]  # fmt: skip
    path = tmp_path / "some.rows"
    for fields, arrays in [({"combine": "mean"}, good | change) for change in changes] + [({"combine": c}, good) for c in ("max", 1, [])]:
        file.write(VECTORS, path, fields, arrays)
        with pytest.raises(RecordError, match="shared-vectors file .* is damaged"):
            SharedVectors.load(path)
    file.write(VECTORS, path, {"combine": "sum"}, good)
    assert SharedVectors.load(path).n_items == 3


def test_what_does_not_fit_together_is_named(rng):
    rows = rows_of(rng)
    for weight, text in (
        (np.ones((21, 4)), r"weight has shape \(21, 4\), but must be \[rows, d\] for 22 rows"),
        (np.ones(22), "weight has shape"),
        (np.full((22, 4), np.nan), "user vectors hold NaN or infinity in row 0"),
        (np.full((22, 4), 1e30), "can exceed float32"),
    ):
        with pytest.raises(ConfigError, match=text):
            SharedVectors.of(rows, weight)
    with pytest.raises(ConfigError, match="0 users and 1 items"):
        SharedVectors.of(Sharing(np.empty((0, 1), int), [0], 1, 1), np.ones((2, 4)))


def test_searching_a_file_needs_no_torch(rng, tmp_path):
    path = SharedVectors.of(rows_of(rng), whole_weight(rng)).save(tmp_path / "some.rows")
    code = f"""
import sys
from recq_lib.codes.shared import SharedVectors
assert len(SharedVectors.load({str(path)!r}).search([0], 5)[0][0]) == 5
assert "torch" not in sys.modules and "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
