"""`Index`: answers as `Codes` give them, in own ids, from memory and from a mapped file; files that are not whole are refused."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from helpers import naive_ranking, random_interactions
from index_samples import put_together, random_codes, random_seen, small_index, taken_apart, with_checksum

import recq_lib as recq
from recq_lib.codes.index import Index
from recq_lib.codes.packing import pack
from recq_lib.errors import ConfigError, DataError, RecordError
from recq_lib.evaluation.ranking import evaluate
from recq_lib.evaluation.search import search


def same_lists(found, expected):
    for part, other in zip(found, expected, strict=True):
        for a, b in zip(part, other, strict=True):
            np.testing.assert_array_equal(a, b)


class TestAnswers:
    @pytest.mark.parametrize("bits", range(1, 9))
    def test_search_is_that_of_codes(self, bits, tmp_path):
        """With factors, and without any, where scores are whole numbers with many ties; for a few users and for many."""
        for scaled, dim in ((True, 70), (False, 5)):
            codes = random_codes(bits, 3, 480, dim, 300, scaled)
            seen = random_seen(300, 180)
            index = Index.of(codes, seen=seen, tie_seed=7)
            for one in (index, Index.load(index.save(tmp_path / "x"))):
                for users in ([5], [0, 299, 5, 5], np.arange(300)):
                    for mask in (None, seen):
                        same_lists(one.search(users, 12, mask), codes.search(users, 12, mask, tie_seed=7))

    def test_recommend_is_a_naive_sort_without_what_is_seen(self):
        codes, seen = random_codes(2, n_nodes=76, n_users=6), random_seen(6, 70)
        z = codes.vectors().astype(np.float64)
        scores, place_of = z[:6] @ z[6:].T, np.argsort(np.random.default_rng(0).permutation(70))
        users, items = ["u" + str(n) for n in range(6)], [f"i{n * 11 % 70}" for n in range(70)]
        index = Index.of(codes, user_ids=users, item_ids=items, seen=seen)
        for also_seen in (False, True):
            found, values = index.recommend(reversed(users), k=15, seen=also_seen)
            for u, its, its_scores in zip(range(5, -1, -1), found, values, strict=True):
                expected = naive_ranking(scores[u], set() if also_seen else set(seen[u].indices), 15, place_of)
                assert its.tolist() == [items[number] for number in expected]
                np.testing.assert_allclose(its_scores, scores[u, expected], rtol=1e-4, atol=1e-4)
        assert index.recommend(["u5"])[0][0].size == index.recommend(["u5"])[1][0].size == 0  # has seen everything

    @pytest.mark.parametrize("text", [True, False])
    def test_own_ids_in_and_out(self, text, tmp_path):
        index = small_index(text)
        for one in (index, Index.load(index.save(tmp_path / "x"))):
            users, items = one.user_ids.tolist(), one.item_ids.tolist()
            assert users == small_index(text).user_ids.tolist() and len(set(items)) == 70
            by_number = one.search(range(6), 9, one.interactions())
            expected = [[items[number] for number in row] for row in by_number[0]]
            forms = (list, np.array, pd.Series, iter, lambda ids: np.array(ids, object), lambda ids: [np.array(ids)[n] for n in range(6)])
            for form in forms:  # the last: numpy's own types
                found, scores = one.recommend(form(users), k=9)
                assert [row.tolist() for row in found] == expected
                same_lists([scores], [by_number[1]])
            assert one.recommend([str(name) for name in users], k=9)[0][3].tolist() == expected[3]
            assert one.recommend([]) == ([], [])
            with pytest.raises(DataError, match="user 'nobody' is not among the 6 users, such as"):
                one.recommend([users[0], "nobody"])

    def test_without_ids_numbers_are_the_ids(self):
        codes = random_codes(n_nodes=76, n_users=6)
        for ids in ({}, {"user_ids": range(6), "item_ids": np.arange(70)}):
            index = Index.of(codes, **ids)
            assert index.user_ids is index.item_ids is None and "with ids" not in repr(index)
            same_lists(index.recommend([3, "0", np.uint8(5)], k=4), codes.search([3, 0, 5], 4))
            for user in (6, -1, "6", "x", 2.0, True, None):
                with pytest.raises(DataError, match="is not among the 6 users, whole numbers below 6; correct or drop it"):
                    index.recommend([0, user])
        assert Index.of(codes, item_ids=[*range(69), 70]).recommend([0], k=70)[0][0].max() == 70  # one side alone has ids

    def test_an_index_without_seen_leaves_nothing_out(self):
        index = Index.of(random_codes())
        same_lists(index.recommend([4], k=30), index.search([4], 30))
        with pytest.raises(ConfigError, match="does not hold what its users have already; make it with Index.of"):
            index.interactions()

    def test_bad_requests_are_named(self):
        index = small_index()
        for k in (0, -1, 2.0, True, None):
            with pytest.raises(ConfigError, match="k is .*, but must be a whole number of at least 1"):
                index.recommend(["ann"], k=k)
        with pytest.raises(ConfigError, match="user ids are 'ann', but must be a list"):
            index.recommend("ann")
        with pytest.raises(ConfigError, match="user 6 is unknown; numbers go from 0 to 5"):
            index.search([6])
        assert index.recommend(["ann"], k=1000, seen=True)[0][0].size == 70

    def test_evaluation_is_that_of_codes(self, tmp_path):
        data = random_interactions(n_users=60, n_items=90, n_pairs=1200, test=300, seed=3)
        for bits, tie_seed in ((1, 0), (4, 5)):
            codes = random_codes(bits, n_nodes=150, dim=9, n_users=60, scaled=False)
            index = Index.load(Index.of(codes, tie_seed=tie_seed).save(tmp_path / "x"))
            a, b = (evaluate(scorer, data, ks=(5, 20), tie_seed=tie_seed) for scorer in (index, codes))
            assert a.values == b.values and a.values["recall@20"] > 0
            np.testing.assert_array_equal(a.top, b.top)
            same_lists(search(index, [3, 1], 7, tie_seed=tie_seed), codes.search([3, 1], 7, tie_seed=tie_seed))
        with pytest.raises(ConfigError, match=r"tie_seed is 0, but this index was made with 5; make one with Index.of\(…, tie_seed=…\)"):
            evaluate(index, data)
        with pytest.raises(ConfigError, match="Index has 90 items, but random has 91"):
            evaluate(index, random_interactions(n_users=60, n_items=91))

    @pytest.mark.parametrize("tie_seed", [0, 5])
    def test_the_table_of_recommend(self, tie_seed):
        whole = small_index()
        index = Index.of(random_codes(n_nodes=76, n_users=6), user_ids=whole.user_ids, item_ids=whole.item_ids, seen=whole.interactions(),
                         tie_seed=tie_seed)  # fmt: skip
        table = recq.recommend(index, ["bob", "zoë"], k=4)
        items, scores = index.recommend(["bob", "zoë"], k=4)
        assert table["user"].tolist() == ["bob"] * 4 + ["zoë"] * 4 and table["rank"].tolist() == [1, 2, 3, 4] * 2
        assert table["item"].tolist() == [*items[0], *items[1]] and table["score"].tolist() == [*scores[0], *scores[1]]
        assert len(recq.recommend(index, k=70, seen=True)) == 6 * 70
        bare = Index.of(random_codes(n_nodes=76, n_users=6))
        assert len(recq.recommend(bare, [0], k=70, exclude=random_seen(6, 70, 0.0))) == 70
        with pytest.raises(ConfigError, match="Index does not tell what its users have already; pass exclude"):
            recq.recommend(bare, [0])


class TestMaking:
    def test_what_it_says_and_weighs(self):
        assert repr(small_index()) == "Index(1 bit, 2 segments of 70 columns, 6 users, 70 items, with ids)"
        index = Index.of(random_codes(2, n_segments=1, n_nodes=134, dim=64, n_users=6, seed=1), seen=random_seen(6, 128))
        assert repr(index) == "Index(2 bits, 1 segment of 64 columns, 6 users, 128 items)"
        # two words of 64 bits and a factor for each; the order of ties for items
        assert index.n_bytes() == {"codes": 6 * 20 + 128 * 24, "names": 0, "seen": 8 * 7 + 4 * random_seen(6, 128).nnz}

    def test_what_does_not_fit_is_refused(self):
        codes = random_codes()
        for settings, text in (
            ({"user_ids": range(19)}, "user_ids are 19, but the codes hold 20 users; give one id for each"),
            ({"item_ids": ["a"] * 30}, "item id 'a' comes twice"),
            ({"item_ids": [1.5] * 30}, "item id 1.5 is a float"),
            ({"seen": sp.csr_matrix((20, 31))}, r"seen is \(20, 31\), but must be a sparse matrix \[users, items\] = \(20, 30\)"),
            ({"seen": np.zeros((20, 30))}, "seen is "),
            ({"seen": [1, 2]}, "seen is list"),
            ({"tie_seed": -1}, "tie_seed is -1"),
        ):
            with pytest.raises(ConfigError, match=text):
                Index.of(codes, **settings)
        for n_users in (0, 50):
            with pytest.raises(ConfigError, match="an index needs at least one of each"):
                Index.of(random_codes(n_users=n_users))
        large = pack(np.full((1, 4), 1e19), np.full((1, 4), 1e19), bits=1)
        with pytest.raises(ConfigError, match="can exceed float32"):
            Index.of(large)

    @pytest.mark.parametrize("form", [sp.csr_matrix, sp.csr_array, sp.coo_matrix, sp.csc_array])
    def test_seen_in_any_form(self, form):
        codes, seen = random_codes(), random_seen(20, 30)
        index = Index.of(codes, seen=form(seen))
        same_lists(index.recommend(range(20), k=30), codes.search(range(20), 30, seen))
        assert (index.interactions() != seen).nnz == 0


READER = """
import json, sys
from recq_lib.codes.index import Index
index = Index.load(sys.argv[1])
items, scores = index.recommend(index.user_ids, k=5)
loaded = sorted({"torch", "pandas", "sklearn", "fastapi"} & set(sys.modules))
print(json.dumps({"items": [row.tolist() for row in items], "scores": [row.tolist() for row in scores], "loaded": loaded}))
"""


class TestFile:
    @pytest.mark.parametrize("text", [True, False])
    def test_equal_indexes_give_equal_files_of_the_size_they_tell(self, text, tmp_path):
        index = small_index(text, bits=3)
        path = index.save(tmp_path / "new" / "x.index")
        content = path.read_bytes()
        loaded = Index.load(path)
        assert loaded.save(tmp_path / "again").read_bytes() == content == small_index(text, bits=3).save(str(path)).read_bytes()
        assert content.startswith(b"recq index\n") and loaded.n_bytes().keys() == index.n_bytes().keys()
        assert 0 < len(content) - sum(loaded.n_bytes().values()) < 4096 and repr(loaded) == repr(index)
        assert [file.name for file in path.parent.iterdir()] == ["x.index"]

    def test_arrays_stay_in_the_file_and_cannot_be_changed(self, tmp_path):
        index = Index.load(small_index().save(tmp_path / "x"))
        for values in (index.planes, index.items.words, index.order, index.user_names.values, index.seen.indices):
            link = values
            while not isinstance(link, np.memmap):
                link = link.base
            assert link.filename == str(tmp_path / "x") or link.mode == "r"
            with pytest.raises(ValueError, match="read-only"):
                values[...] = 0
        before = index.recommend(["ann"])
        Index.of(random_codes(seed=9)).save(tmp_path / "x")  # another takes its place; the old one is still there for who has it
        same_lists(index.recommend(["ann"]), before)

    def test_two_processes_answer_from_one_file_without_torch(self, tmp_path):
        index = small_index()
        path = index.save(tmp_path / "x")
        command = [sys.executable, "-c", READER, str(path)]
        readers = [subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(2)]
        items, scores = index.recommend(index.user_ids, k=5)
        for reader in readers:
            out, err = reader.communicate(timeout=300)
            assert reader.returncode == 0, err
            answer = json.loads(out)
            assert answer["items"] == [row.tolist() for row in items] and answer["scores"] == [row.tolist() for row in scores]
            assert answer["loaded"] == []

    @pytest.mark.parametrize("failing", ["fsync", "replace"])
    def test_a_full_disk_leaves_the_old_file_alone(self, failing, tmp_path, monkeypatch):
        path = small_index().save(tmp_path / "x")
        before = path.read_bytes()

        def fails(*_):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, failing, fails)
        with pytest.raises(OSError, match="No space left"):
            small_index(False).save(path)
        with pytest.raises(OSError, match="No space left"):
            small_index(False).save(tmp_path / "y")
        assert path.read_bytes() == before and [file.name for file in tmp_path.iterdir()] == ["x"]


def check_refused(path, content, text):
    path.write_bytes(content)
    with pytest.raises(RecordError, match=text) as caught:
        Index.load(path)
    assert "\n" not in str(caught.value) and str(path) in str(caught.value) and len(str(caught.value)) < 400 + len(str(path))


class TestRefused:
    def test_missing_foreign_cut_and_newer_files(self, tmp_path, monkeypatch):
        path = small_index().save(tmp_path / "x")
        good = path.read_bytes()
        fields, arrays = taken_apart(good)
        assert put_together(fields, arrays) == good  # so what is changed below is all that is wrong
        for end in [*range(0, 200, 7), len(good) // 2, len(good) - 1]:
            check_refused(path, good[:end], "is damaged|is not an index file")
        check_refused(path, good + b"\0", "bytes, but tells of")
        for content in (b"", b"\x93NUMPY", b"recq codes\n" + good[11:], random_codes().save(tmp_path / "c").read_bytes()):
            check_refused(path, content, "is not an index file, or its first line is damaged; write one with Index.save or `recq export`")
        check_refused(path, put_together(fields | {"format": 2}, arrays), "has format 2, this version reads 1; update recq")
        for missing in (tmp_path / "absent", tmp_path):
            with pytest.raises(RecordError, match="index file .* does not exist; write it with Index.save or `recq export`"):
                Index.load(missing)

        def denied(*_, **__):
            raise PermissionError(errno.EACCES, "Permission denied", str(path))

        monkeypatch.setattr("builtins.open", denied)
        with pytest.raises(RecordError, match=r"cannot be read \(Permission denied\); check the path"):
            Index.load(path)

    def test_hostile_headers(self, tmp_path):
        nines, start = b"9" * 4000, b'{"format": 1, "arrays": '
        for header in (
            b"[1]", b"1", b"", b"{", b"[" * 100_000, b'{"a":' * 50_000, b"\xff\xfe", b'{"format": ' + b"9" * 5000 + b"}", b"null",
            b'{"format": 1}', start + b'{"a\\nb": 1}}', start + b'{"a": ["<u8", [' + nines + b"," + nines + b"], 0]}}",
            start + b'{"a": ["<u8", [' + b"9," * 400_000 + b"1], 0]}}", start + b'{"planes": ["<u8", [1e99], 0]}}',
            start + b'{"planes": ["<u8", [274877906944], 0]}}',
        ):  # fmt: skip
            check_refused(tmp_path / "x", with_checksum(header, b"\0" * 64), "is damaged")

    def test_numbers_that_do_not_fit(self, tmp_path):
        fields, arrays = taken_apart(small_index().save(tmp_path / "x").read_bytes())
        for name in ("bits", "dim", "n_items", "tie_seed", "format"):
            for value in (0, -1, 9, 10**12, 10**4000, "1", True, 1.0, None, [], {}):
                if name != "tie_seed" or type(value) is not int or value < 0:  # any order may come from any seed
                    check_refused(tmp_path / "x", put_together(fields | {name: value}, arrays), "is damaged|has format")

    def test_what_is_missing(self, tmp_path):
        fields, arrays = taken_apart(small_index().save(tmp_path / "x").read_bytes())
        for name in fields:
            check_refused(tmp_path / "x", put_together({key: value for key, value in fields.items() if key != name}, arrays), "is damaged")
        for name in ("planes", "words", "item_factors", "factors", "order", "seen_items"):
            rest = {key: values for key, values in arrays.items() if key != name}
            check_refused(tmp_path / "x", put_together(fields, rest), f"is damaged .it does not tell '{name}'")

    def test_arrays_that_do_not_fit(self, tmp_path):
        fields, arrays = taken_apart(small_index().save(tmp_path / "x").read_bytes())

        def changed(name, place, value):
            values = arrays[name].copy()
            values[place] = value
            return {name: values}

        order, starts, last = arrays["order"], arrays["seen_starts"], int(arrays["seen_starts"][-1])
        wraps = np.array([0, 2**63 - 1, -2, last, last, last, last])
        hostile = [
            changed("order", 0, 70), changed("order", 0, -1), changed("order", 0, order[1]), {"order": order.astype(np.int64)},
            {"order": order[:-1]}, {"order": order.reshape(7, 10)},
            changed("factors", (0, 0), np.nan), changed("factors", (1, 5), np.inf), changed("item_factors", (0, 0, 0), np.nan),
            changed("item_factors", (1, 1, 63), -np.inf), changed("factors", (0, 0), 1e38), {"factors": arrays["factors"][:1]},
            {"factors": arrays["factors"].reshape(-1)}, {"factors": arrays["factors"][:, :0]}, {"factors": np.zeros((2, 0), np.float32)},
            {"planes": arrays["planes"][:, :5]}, {"planes": arrays["planes"][..., :1]}, {"planes": arrays["planes"].view(np.int64)},
            {"words": arrays["words"][:1]}, {"words": arrays["words"].view(np.int32)}, {"words": arrays["words"][..., ::2].copy()},
            {"item_factors": arrays["item_factors"][..., :32].copy()}, {"words": arrays["words"][:, :, :3].copy()},
            changed("seen_items", 0, 70), changed("seen_items", -1, -1), {"seen_items": arrays["seen_items"][:-1]},
            {"seen_items": arrays["seen_items"].reshape(1, -1)}, {"seen_items": arrays["seen_items"].astype(np.int64)},
            changed("seen_starts", 1, last + 1), changed("seen_starts", 1, -1), changed("seen_starts", 0, 1),
            changed("seen_starts", -1, last - 1), changed("seen_starts", slice(2, 4), [last, 0]), {"seen_starts": wraps},
            {"seen_starts": starts[:-1]},
            {"seen_starts": starts.astype(np.int32)}, {"seen_starts": starts.astype(np.uint64)},
            changed("user_name_ends", 0, 99), changed("item_name_ends", -1, 2**62), {"user_name_ends": arrays["user_name_ends"][:-1]},
            changed("user_names", 0, 255), changed("item_name_order", 0, 70), changed("item_name_order", 0, -1),
        ]  # fmt: skip
        for change in hostile:
            check_refused(tmp_path / "x", put_together(fields, arrays | change), "is damaged")
        (tmp_path / "x").write_bytes(put_together(fields, arrays))
        assert Index.load(tmp_path / "x").recommend(["bob"])[0][0].size == 10

    def test_more_than_the_kernels_can_count(self, tmp_path):
        fields, arrays = taken_apart(Index.of(random_codes(8, 1, 3, 64, 1, scaled=False)).save(tmp_path / "x").read_bytes())
        wide = 34_000  # 34,000 · 255² > 2^31
        arrays |= {"planes": np.zeros((1, 1, 8, -(-wide // 64)), np.uint64), "words": np.zeros((1, 1, -(-wide // 4) + 1, 64), np.uint32)}
        check_refused(tmp_path / "x", put_together(fields | {"dim": wide}, arrays), "is damaged .it tells of .* columns of 8 bits")

    def test_arrays_that_cannot_be_mapped(self, tmp_path):
        """Narrow numbers before wide ones, and a header that is not filled up, would put numbers where no processor likes them."""
        fields, arrays = taken_apart(small_index().save(tmp_path / "x").read_bytes())
        narrow, plan, end = sorted(arrays.items(), key=lambda part: part[1].itemsize), {}, 0
        for name, values in narrow:
            plan[name], end = [values.dtype.str, list(values.shape), end], end + values.nbytes
        header, body = json.dumps({**fields, "arrays": plan}).encode(), b"".join(values.tobytes() for _, values in narrow)
        check_refused(tmp_path / "x", with_checksum(header, body), "no usable type, shape and place")
        first, _, header, body = put_together(fields, arrays).split(b"\n", 3)
        loose = header.rstrip() + b"\n" + body
        assert (len(first) + 1 + 65 + len(header.rstrip()) + 1) % 64
        check_refused(tmp_path / "x", first + b"\n" + hashlib.sha256(loose).hexdigest().encode() + b"\n" + loose, "no multiple of 64")
