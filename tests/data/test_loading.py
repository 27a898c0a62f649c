"""`load`: the order of the sources, the checks against the card, and what happens when nothing is there."""

from __future__ import annotations

import hashlib
import http.server
import io
import threading
import tracemalloc
import zipfile
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest
import torch
from helpers import write_lightgcn

from recq_lib import data as api
from recq_lib.data import Interactions, RemoteFile, loading
from recq_lib.data.containers import read_npz, write_npz
from recq_lib.errors import ConfigError, DataError, DownloadError

TRAIN = (np.array([0, 0, 1, 2]), np.array([1, 2, 0, 3]))
TEST = (np.array([0, 1]), np.array([0, 3]))
DATA = Interactions.from_pairs(TRAIN, TEST, n_users=3, n_items=5, name="ml1m")


def blob(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()


@pytest.fixture
def places(tmp_path, monkeypatch):
    """A toy under the name ml1m, with empty folders for RECQ_DATA_DIR and the cache, and addresses that lead nowhere."""
    for variable in ("RECQ_OFFLINE", "RECQ_PROGRESS", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    for folder, variable in (("given", "RECQ_DATA_DIR"), ("cache", "RECQ_CACHE_DIR")):
        (tmp_path / folder).mkdir()
        monkeypatch.setenv(variable, str(tmp_path / folder))
    (tmp_path / "served").mkdir()
    files = []
    for split, pairs in (("train", TRAIN), ("test", TEST)):
        path = tmp_path / "served" / f"{split}.txt"
        write_lightgcn(path, pairs)
        files.append(RemoteFile(path.name, (f"http://127.0.0.1:9/{path.name}",), split, git_blob=blob(path.read_bytes())))
    set_card(monkeypatch, files=tuple(files))
    return tmp_path


def set_card(monkeypatch, **changes) -> None:
    card = replace(
        loading.CATALOGUE["ml1m"], n_users=3, n_items=5, n_train=4, n_test=2,
        content_sha256={split: DATA.content_hash(split) for split in ("train", "test")}, **changes,
    )  # fmt: skip
    monkeypatch.setattr(loading, "CATALOGUE", MappingProxyType({**loading.CATALOGUE, "ml1m": card}))


@pytest.fixture
def served(places, monkeypatch):
    """The same with a server behind the addresses; yields (folder, list of requests)."""
    asked = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *args):
            super().__init__(*args, directory=str(places / "served"))

        def log_message(self, *_):
            asked.append(self.path)

    httpd = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    url = f"http://127.0.0.1:{httpd.server_port}/"
    card = loading.CATALOGUE["ml1m"]
    set_card(monkeypatch, files=tuple(replace(file, urls=(url + file.filename,)) for file in card.files))
    yield places, asked, url
    httpd.shutdown()
    httpd.server_close()
    thread.join(5)


# ---- order of the sources ---------------------------------------------------------------------------------------------------


def test_download_then_cache_then_data_dir(served):
    folder, asked, _ = served
    first = api.load("ml1m")
    assert first.source == "download" and first.fingerprint == DATA.fingerprint and first.name == "ml1m" and len(asked) == 2
    second = api.load("ml1m")
    assert second.source == "cache" and second.fingerprint == DATA.fingerprint and len(asked) == 2
    assert api.available()["ml1m"] == "cache"
    write_npz(folder / "given" / "ml1m.npz", DATA)
    third = api.load("ml1m")
    assert third.source == "RECQ_DATA_DIR" and third.fingerprint == DATA.fingerprint and len(asked) == 2
    assert api.available()["ml1m"] == "RECQ_DATA_DIR"
    left = sorted(str(path.relative_to(folder / "cache")) for path in (folder / "cache").rglob("*") if path.is_file())
    assert left == ["downloads/ml1m/test.txt", "downloads/ml1m/train.txt", "npz/ml1m.npz"]


def test_a_damaged_cache_is_made_again(served):
    folder, asked, _ = served
    path = api.fetch("ml1m")
    for content in (b"no npz", b""):
        path.write_bytes(content)
        assert api.load("ml1m").source == "download"
        assert read_npz(path).fingerprint == DATA.fingerprint
    other = Interactions.from_pairs(TRAIN, ([0, 1], [0, 4]), n_users=3, n_items=5)
    write_npz(path, other)
    assert api.load("ml1m").fingerprint == DATA.fingerprint and len(asked) == 2


def test_fetch_uses_the_cache_unless_forced(served):
    folder, asked, _ = served
    path = api.fetch("ml1m")
    stamp = path.stat().st_mtime_ns
    assert api.fetch("ml1m") == path and path.stat().st_mtime_ns == stamp
    api.fetch("ml1m", force=True)
    assert path.stat().st_mtime_ns > stamp


def test_files_placed_by_hand_are_enough_without_network(places, monkeypatch):
    monkeypatch.setenv("RECQ_OFFLINE", "1")
    with pytest.raises(DownloadError, match="by hand at ") as caught:
        api.load("ml1m")
    target = places / "cache" / "downloads" / "ml1m"
    assert str(target / "train.txt") in str(caught.value)
    target.mkdir(parents=True)
    for name in ("train.txt", "test.txt"):
        (target / name).write_bytes((places / "served" / name).read_bytes())
    assert api.available()["ml1m"] == "downloads"
    assert api.load("ml1m").fingerprint == DATA.fingerprint


@pytest.mark.parametrize("kind", ["tensor", "weighted", "movielens zip"])
def test_every_kind_of_public_file_becomes_the_same_data(served, monkeypatch, kind):
    folder, _, url = served
    files, names = [], {"tensor": "pt", "weighted": "w.txt", "movielens zip": "base"}
    for split, (users, items) in (("train", TRAIN), ("test", TEST)):
        path = folder / "served" / f"{split}.{names[kind]}"
        if kind == "tensor":
            torch.save(torch.from_numpy(np.stack([users, items])), path)
        else:
            path.write_text("".join(f"{user + 1}\t{item + 1}\t4\t881250949\n"[: -11 if kind == "weighted" else None].rstrip() + "\n"
                                    for user, item in zip(users, items, strict=True)))  # fmt: skip
        files.append(RemoteFile(path.name, (url + path.name,), split, git_blob=blob(path.read_bytes())))
    if kind == "movielens zip":
        with zipfile.ZipFile(folder / "served" / "all.zip", "w") as bundle:
            for file in files:
                bundle.write(folder / "served" / file.filename, f"ml/{file.filename}")
        members = tuple(replace(file, filename=f"ml/{file.filename}", urls=()) for file in files)
        md5 = hashlib.md5((folder / "served" / "all.zip").read_bytes()).hexdigest()
        files = [RemoteFile("all.zip", (url + "all.zip",), md5=md5, members=members)]
    set_card(monkeypatch, files=tuple(files), reader=kind.split()[0])
    assert api.load("ml1m").fingerprint == DATA.fingerprint


def test_files_with_repeats_and_train_pairs_in_test_are_cleaned(served, monkeypatch):
    """As Pinterest's: what is converted is as clean as other data, and only where the card says so."""
    folder, _, url = served
    train, test = (list(zip(*pairs, strict=True)) for pairs in (TRAIN, TEST))
    text = {
        "train": "".join(f"{user} {item} {item}\n" for user, item in train),
        "test": "".join(f"{user} {item}\n" for user, item in [*test, *train, *test]),
    }
    files = []
    for split, lines in text.items():
        path = folder / "served" / f"raw_{split}.txt"
        path.write_text(lines)
        files.append(RemoteFile(path.name, (url + path.name,), split, git_blob=blob(path.read_bytes())))
    set_card(monkeypatch, files=tuple(files), reader="lightgcn-repeats", cleaned=True)
    assert api.load("ml1m").source == "download" and api.load("ml1m").source == "cache"
    assert api.load("ml1m").fingerprint == DATA.fingerprint
    set_card(monkeypatch, files=tuple(files), reader="lightgcn-repeats", cleaned=False)
    with pytest.raises(DataError, match="both train and test"):
        api.fetch("ml1m", force=True)
    set_card(monkeypatch, files=tuple(files), reader="lightgcn", cleaned=True)
    with pytest.raises(DataError, match="holds the pair"):
        api.fetch("ml1m", force=True)


# ---- checks against the card ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("train", "sizes", "words"),
    [
        (([0, 0, 1, 2], [1, 2, 0, 4]), (3, 5), "content hash of train is"),
        (([0, 0, 1], [1, 2, 0]), (3, 5), "number of train pairs is 3, but ml1m has 4"),
        (TRAIN, (4, 5), "n_users is 4, but ml1m has 3"),
        (TRAIN, (3, 6), "n_items is 6, but ml1m has 5"),
    ],
)
def test_a_copy_that_differs_from_the_card_is_refused_in_every_profile(places, train, sizes, words):
    path = places / "given" / "ml1m.npz"
    write_npz(path, Interactions.from_pairs(train, TEST, n_users=sizes[0], n_items=sizes[1]))
    for profile in loading.PROFILES:
        with pytest.raises(DataError, match=words) as caught:
            api.load("ml1m", profile=profile)
        assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def declaring(path, length: int) -> None:
    """An npz of a few hundred bytes whose train arrays declare `length` pairs."""
    content = io.BytesIO()
    np.lib.format.write_array_header_1_0(content, {"descr": "<i4", "fortran_order": False, "shape": (length,)})
    with zipfile.ZipFile(path, "w") as bundle:
        for key in ("train_user", "train_item", "test_user", "test_item"):
            bundle.writestr(f"{key}.npy", content.getvalue())
        for key, size in (("n_users", 3), ("n_items", 5)):
            with bundle.open(f"{key}.npy", "w") as member:
                np.lib.format.write_array(member, np.array(size))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("nodes", "n_users is 2147483647, but ml1m has 3"),
        ("pairs", "number of train pairs is 8589934592, but ml1m has 4"),
    ],
)
def test_declared_sizes_are_held_against_the_card_before_anything_is_allocated(places, kind, words):
    path = places / "given" / "ml1m.npz"
    if kind == "nodes":
        arrays = {"train_user": TRAIN[0], "train_item": TRAIN[1], "test_user": TEST[0], "test_item": TEST[1]}
        np.savez(path, n_users=2**31 - 1, n_items=5, **arrays)
    else:
        declaring(path, 2**33)
    assert path.stat().st_size < 3000
    tracemalloc.start()
    try:
        with pytest.raises(DataError, match=words):
            api.load("ml1m")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2e6  # 16 GiB for the row pointers, 32 GiB for the pairs


def test_verify_reports_every_copy(served):
    folder, _, _ = served
    assert api.verify("ml1m") == {}
    api.fetch("ml1m")
    given = folder / "given" / "ml1m.npz"
    write_npz(given, Interactions.from_pairs(TRAIN, ([0, 1], [0, 4]), n_users=3, n_items=5))
    (folder / "cache" / "downloads" / "ml1m" / "test.txt").write_text("0 4\n")
    report = {path.removeprefix(str(folder)): verdict for path, verdict in api.verify("ml1m").items()}
    assert report["/given/ml1m.npz"].startswith("wrong: ") and "content hash of test" in report["/given/ml1m.npz"]
    assert report["/cache/npz/ml1m.npz"] == "ok (test, train)"
    assert report["/cache/downloads/ml1m/train.txt"] == "ok (git_blob)"
    assert report["/cache/downloads/ml1m/test.txt"].startswith("wrong: ") and len(report) == 4


# ---- nothing there ----------------------------------------------------------------------------------------------------------


def test_paper_never_falls_back_and_the_others_say_so(places):
    with pytest.raises(DownloadError, match="ml1m: train.txt could not be fetched: .*no connection"):
        api.load("ml1m")
    quick = api.load("ml1m", profile="quick")
    assert quick.source == "synthetic" and quick.name == f"synthetic-{loading.QUICK_STAND_IN}"
    assert quick.notes.startswith("synthetic stand-in: ml1m is neither in RECQ_DATA_DIR nor in the cache")
    assert str(places) not in quick.notes and "http" not in quick.notes


def test_a_damaged_cache_that_cannot_be_replaced_is_called_damaged(places):
    path = places / "cache" / "npz" / "ml1m.npz"
    path.parent.mkdir()
    path.write_bytes(b"no npz")
    with pytest.raises(DownloadError, match="could not be fetched: .*; the copy in the cache is damaged"):
        api.load("ml1m")
    notes = api.load("ml1m", profile="quick").notes
    assert " is not in RECQ_DATA_DIR, its copy in the cache is damaged, and was not downloaded; " in notes
    assert "nor in the cache" not in notes and str(places) not in notes


def test_smoke_never_uses_the_network(served):
    _, asked, _ = served
    smoke = api.load("ml1m", profile="smoke")
    assert smoke.name == "synthetic-smoke" and asked == []
    assert api.load("ml1m", profile="smoke", offline=False).source == "download"
    assert api.load("ml1m", profile="smoke").source == "cache"


def test_a_cache_that_cannot_be_written_to_gives_data_or_one_clear_error(served, monkeypatch):
    folder, _, _ = served
    blocked = folder / "blocked"
    blocked.write_text("a file where the cache should be")
    monkeypatch.setenv("RECQ_CACHE_DIR", str(blocked))
    with pytest.raises(DownloadError, match="cannot be written .*set RECQ_CACHE_DIR"):
        api.load("ml1m")
    monkeypatch.setenv("RECQ_CACHE_DIR", str(folder / "cache"))
    (folder / "cache" / "npz").write_text("a file where the converted copies should be")
    data = api.load("ml1m")
    assert data.fingerprint == DATA.fingerprint and "not cached: " in data.notes


def test_names_profiles_and_folders_are_checked(places, monkeypatch):
    with pytest.raises(ConfigError, match=f"must be one of {', '.join(api.CATALOGUE)}.*did you mean 'gowalla'"):
        api.load("gowala")
    with pytest.raises(ConfigError, match="profile is 'fast'"):
        api.load("ml1m", profile="fast")
    with pytest.raises(ConfigError, match="is generated and has no files"):
        api.fetch("synthetic")
    monkeypatch.setenv("RECQ_DATA_DIR", str(places / "nowhere"))
    with pytest.raises(ConfigError, match="RECQ_DATA_DIR is .*nowhere'"):
        api.load("ml1m")
    assert "ml1m" not in api.available()


# ---- synthetic and the user's own -------------------------------------------------------------------------------------------


def test_synthetic_names():
    assert api.load("synthetic").fingerprint == api.load("synthetic-smoke").fingerprint
    assert api.load("synthetic", seed=1).fingerprint != api.load("synthetic").fingerprint
    tiny, sized = api.load("synthetic-tiny"), api.load("synthetic-3000")
    assert (tiny.n_users, tiny.name, tiny.source) == (60, "synthetic-tiny", "synthetic")
    assert sized.n_train + sized.val.nnz + sized.test.nnz == 3000 and sized.name == "synthetic-3000"
    with pytest.raises(ConfigError, match="n_interactions is 10"):
        api.load("synthetic-10")


def test_the_users_own_table(tmp_path):
    path = tmp_path / "mine.csv"
    rows = [f"u{user},i{(user * 7 + step) % 20}" for user in range(30) for step in range(10)]
    path.write_text("who,what\n" + "\n".join([*rows, rows[0]]) + "\n")
    data = api.load_csv(path, "who", "what", seed=2, duplicates="drop")
    assert (data.name, data.source, data.n_users, data.n_items) == ("mine", "file", 30, 20)
    assert "1 of 301 rows left out as repeats" in data.notes and "per-user split 0.8/0.1/0.1, seed 2" in data.notes
    users, items = (np.concatenate([data.pairs(split)[side] for split in ("train", "val", "test")]) for side in (0, 1))
    assert {f"{data.user_ids[user]},{data.item_ids[item]}" for user, item in zip(users, items, strict=True)} == set(rows)
    assert [data.split(split).nnz for split in ("train", "val", "test")] == [240, 30, 30]
