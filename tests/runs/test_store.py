"""Specs, keys, records on disk: what goes in comes out exactly, whole, and from the right file."""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import io
import json
import os
import pickle
import threading
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from recq_lib.errors import ConfigError, RecordError
from recq_lib.runs import store as results
from recq_lib.runs.store import RunRecord, RunSpec

FINGERPRINT = "ab" * 32


def make_spec(**changes) -> RunSpec:
    fields = {"method": "lightgcn", "dataset": "beauty", "seed": 0, "profile": "paper", "params": {"dim": 64, "lr": 1e-3}}
    return RunSpec(**{**fields, "data_fingerprint": FINGERPRINT, **changes})


def make_record(spec: RunSpec | None = None, n: int = 7, **changes) -> RunRecord:
    rng = np.random.default_rng(n)
    per_user = {"users": np.arange(n, dtype=np.int32) * 300, "n_test": rng.integers(1, 9, n, dtype=np.uint16)}
    per_user |= {"hits@20": rng.integers(0, 2, n, dtype=np.uint16), "file": rng.random(n, dtype=np.float32)}
    fields = {
        "metrics": {"recall@20": 0.1 + 0.2, "ndcg@20": 1 / 3},
        "per_user": per_user,
        "history": [{"epoch": 0, "loss": 0.6931471805599453, "val": None}, {"epoch": 1, "loss": 1e-300, "val": 0.25}],
        "n_bytes": {"codes": 10**12, "scales": 28},
        "timings": {"train_seconds": 12.5},
        "provenance": {"commit": "uncommitted", "versions": {"numpy": "2"}, "dirty": None},
    }
    return RunRecord(spec=spec or make_spec(), **{**fields, **changes})


def same(a: RunRecord, b: RunRecord) -> bool:
    parts = ("spec", "metrics", "history", "n_bytes", "timings", "provenance")
    arrays = a.per_user.keys() == b.per_user.keys()
    arrays = arrays and all(np.array_equal(a.per_user[n], b.per_user[n]) and a.per_user[n].dtype == b.per_user[n].dtype for n in a.per_user)
    return arrays and all(getattr(a, part) == getattr(b, part) for part in parts)


scalars = st.one_of(st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False), st.text())
names = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.-]{0,8}", fullmatch=True)
params = st.dictionaries(names, scalars | st.lists(scalars, max_size=3), max_size=5)


class TestRunSpec:
    def test_key_by_hand(self):
        text = '{"data_fingerprint":"f","dataset":"d","method":"m","params":{"a":[1,0.1,null],"b":true},"profile":"smoke","seed":3}'
        spec = RunSpec("m", "d", 3, "smoke", {"b": True, "a": [1, 0.1, None]}, "f")
        assert spec.canonical == text
        assert spec.key == hashlib.sha256(text.encode()).hexdigest()[:16]

    @given(params, st.randoms(use_true_random=False))
    def test_order_of_params_does_not_matter(self, values, random):
        names = list(values)
        random.shuffle(names)
        one, other = make_spec(params=values), make_spec(params={name: values[name] for name in names})
        assert one == other and one.key == other.key and hash(one) == hash(other)

    @given(params)
    def test_round_trip_through_json_is_exact(self, values):
        spec = make_spec(params=values)
        back = RunSpec(**json.loads(spec.canonical))
        assert back == spec and back.key == spec.key
        for name, value in spec.params.items():
            assert repr(back.params[name]) == repr(value)

    @given(params, params)
    def test_keys_differ_exactly_when_params_do(self, one, other):
        def typed(values):
            normal = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
            return {n: repr(v).replace("-0.0", "0.0") if not isinstance(v, str) else v for n, v in normal.items()}

        texts = [value for values in (one, other) for value in values.values()]
        if not any("-0.0" in repr(value) for value in texts):  # −0.0 is tested below
            kinds = [{n: type(v) is str for n, v in values.items()} for values in (one, other)]
            equal = typed(one) == typed(other) and kinds[0] == kinds[1]
            assert (make_spec(params=one).key == make_spec(params=other).key) == equal

    @pytest.mark.parametrize(
        "field,value", [("seed", 1), ("method", "mf"), ("dataset", "gowalla"), ("profile", "quick"), ("data_fingerprint", "x")]
    )
    def test_every_field_counts(self, field, value):
        assert make_spec(**{field: value}).key != make_spec().key

    def test_types_count(self):
        keys = {make_spec(params={"x": value}).key for value in (1, 1.0, True, "1", [1])}
        assert len(keys) == 5
        assert make_spec(params={"x": 1}) != make_spec(params={"x": 1.0})

    def test_forms_that_mean_the_same(self):
        assert make_spec(params={"x": -0.0}) == make_spec(params={"x": 0.0})
        assert make_spec(params={"x": [1, 2]}) == make_spec(params={"x": (1, 2)})
        assert make_spec(params={"x": np.int64(4), "y": np.float64(0.1)}) == make_spec(params={"x": 4, "y": 0.1})
        assert make_spec(seed=np.int64(5)) == make_spec(seed=5)

    def test_cannot_be_changed(self):
        given_params = {"ks": [10, 20]}
        spec = make_spec(params=given_params)
        key = spec.key
        given_params["ks"].append(50)
        given_params["new"] = 1
        assert spec.key == key
        for change in (lambda: spec.params.update(a=1), lambda: spec.params.pop("ks"), lambda: spec.params.__setitem__("a", 1)):
            with pytest.raises(TypeError, match="cannot be changed"):
                change()
        with pytest.raises(dataclasses.FrozenInstanceError):
            spec.seed = 2

    def test_travels_between_processes(self):
        spec = make_spec(params={"ks": [1, 2]})
        assert pickle.loads(pickle.dumps(spec)) == spec
        assert copy.deepcopy(spec) == spec
        assert dataclasses.replace(spec, seed=9).key == make_spec(params={"ks": [1, 2]}, seed=9).key

    @pytest.mark.parametrize(
        "changes,message",
        [
            ({"method": "../evil"}, "method is '../evil'"),
            ({"dataset": ""}, "dataset is ''"),
            ({"dataset": "a/b"}, "dataset is 'a/b'"),
            ({"seed": -1}, "seed is -1"),
            ({"seed": True}, "seed is True"),
            ({"seed": 1.0}, "seed is 1.0"),
            ({"profile": "papr"}, "did you mean 'paper'"),
            ({"data_fingerprint": ""}, "data_fingerprint is ''"),
            ({"params": [("a", 1)]}, "params is list"),
            ({"params": {"lr": float("nan")}}, "lr is nan"),
            ({"params": {"ks": [1, float("inf")]}}, r"ks\[1\] is inf"),
            ({"params": {"x": np.float32(0.1)}}, "float32"),
            ({"params": {"x": {"y": 1}}}, "dict"),
            ({"params": {"x": [[1]]}}, r"x\[0\]"),
            ({"params": {"x": np.arange(3)}}, "ndarray"),
            ({"params": {"a b": 1}}, "parameter name 'a b'"),
            ({"params": {3: 1}}, "parameter name 3"),
        ],
    )
    def test_refuses(self, changes, message):
        with pytest.raises(ConfigError, match=message) as error:
            make_spec(**changes)
        assert "\n" not in str(error.value)


class TestRunRecord:
    @pytest.mark.parametrize(
        "changes,message",
        [
            ({"metrics": {"recall@20": float("nan")}}, r"metrics\['recall@20'\] is nan"),
            ({"metrics": {"recall@20": "0.1"}}, "must be a number"),
            ({"metrics": {"seed": 0.1}}, "'seed' has the name of a spec field"),
            ({"n_bytes": {"codes": 1.5}}, "must be an integer"),
            ({"history": [{"loss": 1.0}, {"loss": float("inf")}]}, r"history\[1\]\['loss'\] is inf"),
            ({"provenance": {"device": object()}}, "provenance"),
            ({"per_user": {"a": np.zeros(3), "b": np.zeros(4)}}, "one entry per test user"),
            ({"per_user": {"a": np.zeros((3, 2))}}, "flat array"),
            ({"per_user": {"a": np.array(["x"])}}, "flat array"),
            ({"per_user": {"a": np.array([np.nan])}}, "nan or inf"),
            ({"per_user": {"a": np.array([2**63], np.uint64)}}, "int64"),
            ({"per_user": {"../a": np.zeros(3)}}, "array name"),
        ],
    )
    def test_refuses(self, changes, message):
        with pytest.raises(RecordError, match=message):
            make_record(**changes)

    def test_numpy_numbers_become_pythons(self):
        history = [{"loss": np.float64(2), "n": np.int32(3)}]
        record = make_record(metrics={"a": np.float32(0.1)}, history=history, n_bytes={"x": np.int64(4)})
        assert record.metrics["a"] == float(np.float32(0.1)) and type(record.metrics["a"]) is float
        assert type(record.history[0]["n"]) is int and type(record.n_bytes["x"]) is int

    def test_differences_of_stored_counts_do_not_wrap(self):
        record = make_record(per_user={"hits@20": np.array([0, 3], np.uint16)})
        assert (record.per_user["hits@20"] - 5).tolist() == [-5, -2]


class TestSaveAndLoad:
    def test_round_trip(self, tmp_path):
        record = make_record()
        path = results.save(record, tmp_path)
        assert path == tmp_path / "records" / "beauty" / "lightgcn" / f"{record.spec.key}.json"
        assert results.exists(record.spec, tmp_path) and not results.exists(make_spec(seed=1), tmp_path)
        assert same(results.load(record.spec.key, tmp_path), record)
        assert same(results.load(record.spec, tmp_path), record)

    def test_default_folder(self, tmp_path, monkeypatch):
        monkeypatch.setenv("RECQ_RESULTS_DIR", str(tmp_path / "elsewhere"))
        path = results.save(make_record())
        assert path.is_relative_to(tmp_path / "elsewhere") and results.exists(make_spec())

    @given(st.dictionaries(st.text(min_size=1), st.floats(allow_nan=False, allow_infinity=False), max_size=6), params)
    def test_floats_and_names_survive_exactly(self, tmp_path_factory, metrics, values):
        metrics = {f"m{name}": value for name, value in metrics.items()}
        root = tmp_path_factory.mktemp("records")
        record = make_record(make_spec(params=values), metrics=metrics, history=[metrics], timings=metrics)
        results.save(record, root)
        back = results.load(record.spec, root)
        assert same(back, record)
        assert [v.hex() for v in back.metrics.values()] == [v.hex() for v in metrics.values()]

    @given(st.lists(st.integers(-(2**63), 2**63 - 1), max_size=20))
    def test_integers_survive_in_the_narrowest_dtype(self, tmp_path_factory, values):
        root = tmp_path_factory.mktemp("records")
        path = results.save(make_record(per_user={"x": np.array(values, np.int64)}), root)
        assert results.load(make_spec(), root).per_user["x"].tolist() == values
        stored = np.load(path.with_suffix(".npz"), allow_pickle=False)["x"]
        assert stored.tolist() == values
        names = [t for t in ("u1", "i1", "u2", "i2", "u4", "i4") if all(np.iinfo(t).min <= v <= np.iinfo(t).max for v in values)]
        assert stored.dtype.itemsize == (np.dtype(names[0]).itemsize if names else 8)

    def test_floats_and_booleans_keep_their_dtype(self, tmp_path):
        arrays = {"a": np.array([0.1, 2], np.float32), "b": np.array([True, False]), "c": np.array([1 / 3, 5e-324])}
        results.save(make_record(per_user=arrays), tmp_path)
        back = results.load(make_spec(), tmp_path).per_user
        assert {name: values.dtype for name, values in back.items()} == {"a": np.float32, "b": np.bool_, "c": np.float64}
        assert all(np.array_equal(back[name], arrays[name]) for name in arrays)

    def test_equal_records_give_equal_files(self, tmp_path):
        first = results.save(make_record(), tmp_path / "a")
        second = results.save(make_record(), tmp_path / "b")
        assert first.read_bytes() == second.read_bytes()
        assert first.with_suffix(".npz").read_bytes() == second.with_suffix(".npz").read_bytes()

    def test_without_arrays(self, tmp_path):
        record = make_record(per_user={})
        path = results.save(record, tmp_path)
        assert not path.with_suffix(".npz").exists()
        assert same(results.load(record.spec, tmp_path), record)
        results.save(make_record(), tmp_path)
        assert results.load(record.spec, tmp_path, arrays=False).per_user == {}

    def test_saving_again_replaces(self, tmp_path):
        results.save(make_record(n=7), tmp_path)
        newer = make_record(n=9, metrics={"recall@20": 0.9})
        path = results.save(newer, tmp_path)
        assert same(results.load(newer.spec, tmp_path), newer)
        assert sorted(file.name for file in path.parent.iterdir()) == [f"{newer.spec.key}.json", f"{newer.spec.key}.npz"]

    def test_unknown_key(self, tmp_path):
        for key in ("0" * 16, "short", "*", "../../../etc"):
            with pytest.raises(RecordError, match="no file"):
                results.load(key, tmp_path)


class TestCompleteness:
    @pytest.mark.parametrize("before", [False, True], ids=["first", "again"])
    @pytest.mark.parametrize("good", range(4))
    def test_a_full_disk_leaves_the_old_record_or_the_new_one(self, tmp_path, monkeypatch, before, good):
        """The disk is full from a replacement on: the first that fails is number `good`."""
        old, new = make_record(n=5), make_record(n=9, metrics={"recall@20": 0.5})
        if before:
            results.save(old, tmp_path)
        rename, calls = os.replace, []

        def full(source, target):
            calls.append(target)
            if len(calls) > good:
                raise OSError("disk full")
            rename(source, target)

        monkeypatch.setattr(os, "replace", full)
        if good < 3:
            with pytest.raises(OSError, match="disk full"):
                results.save(new, tmp_path)
        else:
            results.save(new, tmp_path)
        monkeypatch.undo()
        found = results.find(tmp_path)
        expected = [new] if good >= 2 else [old] * before  # the second replacement is that of the JSON
        assert len(found) == len(expected) and all(same(a, b) for a, b in zip(found, expected, strict=True))
        assert not list(tmp_path.rglob("*.tmp"))
        results.save(new, tmp_path)
        assert same(results.load(new.spec, tmp_path), new)
        assert sorted(path.suffix for path in tmp_path.rglob("*.*")) == [".json", ".npz"]

    def test_what_a_killed_writer_has_begun_is_finished_by_who_looks_the_record_up(self, tmp_path, monkeypatch):
        new, rename = make_record(n=9), os.replace

        def killed(source, target):
            if str(target).endswith(".npz"):
                raise SystemExit
            rename(source, target)

        results.save(make_record(n=5), tmp_path)
        monkeypatch.setattr(os, "replace", killed)
        with pytest.raises(SystemExit):
            results.save(new, tmp_path)
        monkeypatch.undo()
        assert len(list(tmp_path.rglob("*.new"))) == 1 and same(results.load(new.spec, tmp_path), new)
        assert same(results.load_or_set_aside(new.spec, tmp_path), new)
        assert not list(tmp_path.rglob("*.new")) and same(results.load(new.spec, tmp_path), new)

    def test_readers_see_whole_records_only(self, tmp_path):
        """Two writers replace one record again and again, with other arrays each time; a reader gets a whole one or none."""
        versions = [make_record(n=n, metrics={"n": float(n)}) for n in (50, 60, 70, 80)]
        results.save(versions[0], tmp_path)
        problems, seen, writers = [], 0, []

        def write(mine):
            for turn in range(25):
                results.save(mine[turn % 2], tmp_path)

        writers = [threading.Thread(target=write, args=(versions[i::2],)) for i in range(2)]
        for writer in writers:
            writer.start()
        while any(writer.is_alive() for writer in writers):
            for record in results.find(tmp_path):
                seen += 1
                if not any(same(record, version) for version in versions):
                    problems.append(record.metrics)
        for writer in writers:
            writer.join()
        assert not problems and seen > 0
        assert any(same(results.load(make_spec(), tmp_path), version) for version in versions)


class TestDamage:
    @pytest.fixture
    def path(self, tmp_path):
        return results.save(make_record(), tmp_path)

    def refused(self, path, match):
        root = path.parents[3]
        for read in (lambda: results.load(path.stem, root), lambda: results.find(root)):
            with pytest.raises(RecordError, match=match) as error:
                read()
            assert "\n" not in str(error.value) and "run again" in str(error.value)

    def test_truncated_json(self, path):
        path.write_bytes(path.read_bytes()[:-40])
        self.refused(path, "not readable as JSON")

    def test_other_json(self, path):
        path.write_text("[]")
        self.refused(path, "not a record of format 1")

    def test_changed_spec(self, path):
        path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
        self.refused(path, f"its spec belongs to beauty/lightgcn/{make_spec(seed=1).key}")

    def test_moved_file(self, path):
        target = path.parent.parent / "mf" / path.name
        target.parent.mkdir()
        os.replace(path.with_suffix(".npz"), target.with_suffix(".npz"))
        os.replace(path, target)
        self.refused(target, "belongs to beauty/lightgcn")

    @pytest.mark.parametrize("part", ["metrics", "history", "per_user", "key", "spec"])
    def test_missing_part(self, path, part):
        content = json.loads(path.read_text())
        del content[part]
        path.write_text(json.dumps(content))
        self.refused(path, f"'{part}' is missing")

    def test_nan_typed_in(self, path):
        path.write_text(path.read_text().replace('"ndcg@20": 0.3333333333333333', '"ndcg@20": NaN'))
        self.refused(path, "nan")

    def test_spec_of_the_wrong_kind(self, path):
        content = json.loads(path.read_text())
        content["spec"]["profile"] = "huge"
        path.write_text(json.dumps(content))
        self.refused(path, "its spec is not usable")

    def test_arrays_missing(self, path):
        path.with_suffix(".npz").unlink()
        self.refused(path, "arrays cannot be read")

    @pytest.mark.parametrize("content", [b"", b"PK\x03\x04 not a zip", b"\x93NUMPY"])
    def test_arrays_garbled(self, path, content):
        path.with_suffix(".npz").write_bytes(content)
        self.refused(path, "arrays cannot be read")

    def test_any_flipped_byte_of_the_arrays_is_noticed_or_harmless(self, path):
        npz, record = path.with_suffix(".npz"), make_record()
        whole = npz.read_bytes()
        noticed = 0
        for position in range(0, len(whole), 7):
            npz.write_bytes(whole[:position] + bytes([whole[position] ^ 0x55]) + whole[position + 1 :])
            try:
                assert same(results.load(record.spec, path.parents[3]), record)
            except RecordError:
                noticed += 1
        assert noticed > 20

    def test_arrays_of_another_run(self, path):
        other = results.save(make_record(make_spec(seed=1), n=8), path.parents[3])
        path.with_suffix(".npz").write_bytes(other.with_suffix(".npz").read_bytes())
        with pytest.raises(RecordError, match="not the one this record was saved with"):
            results.load(path.stem, path.parents[3])

    def test_pickled_arrays_are_not_opened(self, path, tmp_path):
        class Trap:
            def __reduce__(self):
                return (open, (str(tmp_path / "opened"), "w"))

        arrays = dict.fromkeys(make_record().per_user, np.array([Trap()], dtype=object))
        content = {f"{name}.npy": value for name, value in arrays.items()}
        with zipfile.ZipFile(path.with_suffix(".npz"), "w") as archive:
            for name, value in content.items():
                buffer = io.BytesIO()
                np.lib.format.write_array(buffer, value, allow_pickle=True)
                archive.writestr(name, buffer.getvalue())
        self.refused(path, "arrays cannot be read")
        assert not (tmp_path / "opened").exists()


class TestFind:
    @pytest.fixture
    def root(self, tmp_path):
        for method in ("mf", "lightgcn"):
            for seed in (1, 0):
                for dim in (64, 256):
                    results.save(make_record(make_spec(method=method, seed=seed, params={"dim": dim, "ks": [10, 20]})), tmp_path)
        results.save(make_record(make_spec(profile="smoke", dataset="toy", params={"dim": 64.0})), tmp_path)
        return tmp_path

    def test_all_in_a_stable_order(self, root):
        found = [(r.spec.dataset, r.spec.method, r.spec.params["dim"], r.spec.seed) for r in results.find(root)]
        expected = [("beauty", m, d, s) for m in ("lightgcn", "mf") for d in (256, 64) for s in (0, 1)]
        assert found == [*expected, ("toy", "lightgcn", 64.0, 0)]

    @pytest.mark.parametrize(
        "filters,count",
        [
            ({"method": "mf"}, 4),
            ({"method": ["mf", "lightgcn"]}, 9),
            ({"dataset": "toy"}, 1),
            ({"profile": "paper", "seed": 1}, 4),
            ({"seed": {0}}, 5),
            ({"params": {"dim": 64}}, 4),
            ({"params": {"dim": 64.0}}, 1),
            ({"params": {"ks": (10, 20)}, "method": "mf", "seed": 0}, 2),
            ({"params": {"absent": None}}, 0),
            ({"params": None}, 9),
            ({"dataset": "nowhere"}, 0),
            ({"data_fingerprint": FINGERPRINT}, 9),
        ],
    )
    def test_filters(self, root, filters, count):
        assert len(results.find(root, **filters)) == count

    def test_refuses_unknown_filters(self, root):
        with pytest.raises(ConfigError, match="did you mean 'dataset'"):
            results.find(root, datasets="toy")
        with pytest.raises(ConfigError, match="profile is 'papr'"):
            results.find(root, profile="papr")

    def test_empty_folder(self, tmp_path):
        assert results.find(tmp_path / "none") == []


class TestTables:
    def test_frame(self):
        a = make_record(make_spec(params={"dim": 64, "ks": [10]}))
        b = make_record(make_spec(seed=1, params={"gamma": 0.5}), metrics={"recall@50": 0.5}, n_bytes={}, timings={})
        table = results.frame([a, b])
        first = ["key", "method", "dataset", "seed", "profile", "data_fingerprint", "param.dim", "param.ks", "param.gamma"]
        assert list(table.columns) == [*first, "recall@20", "ndcg@20", "bytes.codes", "bytes.scales", "timing.train_seconds", "recall@50"]
        assert table["key"].tolist() == [a.spec.key, b.spec.key]
        assert table["param.dim"].tolist() == [64, None] and type(table["param.dim"][0]) is int
        assert table.loc[0, "recall@20"] == 0.1 + 0.2 and np.isnan(table.loc[1, "recall@20"])
        assert table["seed"].tolist() == [0, 1] and table["recall@50"].dtype == np.float64

    def test_frame_of_nothing_has_columns(self):
        assert list(results.frame([]).columns) == ["key", "method", "dataset", "seed", "profile", "data_fingerprint"]

    def test_best_available(self):
        def make(profile, seed, **params):
            return make_record(make_spec(profile=profile, seed=seed, params=params))

        paper = [make("paper", seed, dim=64) for seed in (0, 1)]
        quick = [make("quick", seed, dim=64) for seed in range(3)]
        other = make("smoke", 0, dim=32)
        kept = results.best_available([quick[0], paper[1], other, quick[1], paper[0], quick[2]])
        assert [(r.spec.profile, r.spec.seed) for r in kept] == [("paper", 1), ("smoke", 0), ("paper", 0)]
        assert len(results.best_available([*quick, other])) == 4
        smaller = make("quick", 0, dim=64, epochs=5)
        larger = make("paper", 0, dim=64, epochs=1000)
        assert len(results.best_available([smaller, larger])) == 2
        assert [r.spec.profile for r in results.best_available([smaller, larger], same=["dim"])] == ["paper"]

    def test_summarise(self):
        values = [0.30, 0.32, 0.37]
        records = [make_record(make_spec(seed=s, data_fingerprint=f"split{s}"), metrics={"recall@20": v}) for s, v in enumerate(values)]
        found = results.summarise(reversed(records), "recall@20")
        half = stats.t.ppf(0.975, 2) * np.std(values, ddof=1) / np.sqrt(3)
        assert (found.mean, found.low, found.high) == pytest.approx((0.33, 0.33 - half, 0.33 + half))
        assert found.n == 3
        assert np.isnan(results.summarise(records[:1], "recall@20").low)

    def test_summarise_refuses_to_mix(self):
        base = make_record()
        for other, message in (
            (make_record(make_spec(seed=1, params={"dim": 32})), "more than the seed"),
            (make_record(make_spec(seed=1, profile="quick")), "more than the seed"),
            (make_record(make_spec(data_fingerprint="x")), "same seed 0"),
        ):
            with pytest.raises(RecordError, match=message):
                results.summarise([base, other], "recall@20")
        with pytest.raises(RecordError, match="no metric 'recall@99'"):
            results.summarise([base], "recall@99")
        with pytest.raises(RecordError, match="no records"):
            results.summarise([], "recall@20")

    def test_per_user_matrix(self):
        users, n_test = np.array([3, 5]), np.array([4, 2])
        records = [
            make_record(make_spec(seed=s), per_user={"users": users, "n_test": n_test, "hits@20": np.array(hits)})
            for s, hits in enumerate(([1, 2], [3, 0]))
        ]
        assert results.per_user_matrix(records, "hits@20", divide_by="n_test").tolist() == [[0.25, 1.0], [0.75, 0.0]]
        assert results.per_user_matrix(records, "hits@20").dtype == np.float64
        with pytest.raises(RecordError, match="no per-user array 'hits@50'"):
            results.per_user_matrix(records, "hits@50")
        moved = make_record(make_spec(seed=2), per_user={"users": users + 1, "n_test": n_test, "hits@20": n_test})
        with pytest.raises(RecordError, match="different test users"):
            results.per_user_matrix([*records, moved], "hits@20")
