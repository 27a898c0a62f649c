"""The cards: complete, consistent, and true of the files that are at hand."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess

import numpy as np
import pytest

from recq_lib.data import CATALOGUE, RemoteFile, load
from recq_lib.data.cards import verify_file
from recq_lib.errors import DataError
from recq_lib.io import paths

HEX = {"sha256": 64, "git_blob": 40, "md5": 32}
CARDS = list(CATALOGUE.values())


def all_files(card):
    return [entry for file in card.files for entry in (file, *file.members)]


def test_the_catalogue_has_the_eight_datasets_under_their_own_names():
    assert list(CATALOGUE) == ["ml100k", "lastfm", "ml1m", "beauty", "gowalla", "yelp2018", "pinterest", "amazon-book"]
    assert all(name == card.name for name, card in CATALOGUE.items())
    with pytest.raises(TypeError):
        CATALOGUE["ml100k"] = None
    with pytest.raises(TypeError):
        CATALOGUE["ml100k"].content_sha256["train"] = "0"


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_card_can_be_used(card):
    assert all((card.title, card.licence, card.citation, card.homepage.startswith("https://")))
    assert 0 < card.n_test and card.n_train + card.n_test + card.n_val == card.n_interactions <= card.n_users * card.n_items
    splits = {split for split, count in card.counts.items() if count}
    assert {entry.split for entry in all_files(card)} - {""} == splits
    assert set(card.content_sha256) in (splits, set())
    assert all(re.fullmatch(r"[a-z0-9_-]+\.npz", name) for name in card.npz_names)
    for entry in all_files(card):
        assert bool(entry.split) != bool(entry.members)
        assert entry.git_blob or entry.sha256 or entry.md5, "a file that nothing can check"
        for check, length in HEX.items():
            assert getattr(entry, check) is None or re.fullmatch(rf"[0-9a-f]{{{length}}}", getattr(entry, check))
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in card.content_sha256.values())


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_every_address_is_https_and_pinned_to_a_commit(card):
    for file in card.files:
        assert file.urls and len(set(file.urls)) == len(file.urls)
        for url in file.urls:
            if url.startswith("https://raw.githubusercontent.com/"):
                assert re.fullmatch(r"https://raw\.githubusercontent\.com/[\w-]+/[\w.-]+/[0-9a-f]{40}/[\w./-]+", url)
                assert url.endswith("/" + file.filename)
            else:
                assert url.startswith("https://files.grouplens.org/datasets/movielens/")


def test_verify_file_makes_every_check_that_is_known(tmp_path):
    path = tmp_path / "a.txt"
    content = b"0 1 2\n"
    path.write_bytes(content)
    known = {
        "size": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "git_blob": hashlib.sha1(b"blob 6\0" + content).hexdigest(),
        "md5": hashlib.md5(content).hexdigest(),
    }
    assert verify_file(path, RemoteFile("a.txt", **known)) == list(known)
    assert verify_file(path, RemoteFile("a.txt", git_blob=known["git_blob"])) == ["git_blob"]
    for check, wrong in (("size", 5), ("sha256", "0" * 64), ("git_blob", "0" * 40), ("md5", "0" * 32)):
        with pytest.raises(DataError, match=f"{re.escape(str(path))}: {check} is {known[check]}, but must be {wrong}"):
            verify_file(path, RemoteFile("a.txt", **{**known, check: wrong}))
    with pytest.raises(DataError, match="cannot be read"):
        verify_file(tmp_path / "absent", RemoteFile("absent"))


def test_git_blob_ids_are_gits(tmp_path):
    path = tmp_path / "a.txt"
    path.write_bytes(bytes(range(256)) * 9)
    try:
        blob = subprocess.run(["git", "hash-object", "--no-filters", str(path)], capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("git is not installed")
    assert verify_file(path, RemoteFile("a.txt", git_blob=blob)) == ["git_blob"]


def test_pinterest_is_gdes_cleaned(real_dataset):
    """Counts, and the cold start that its card tells of, recounted from the file."""
    with np.load(real_dataset("pinterest")) as arrays:
        train, test = (set(zip(arrays[f"{s}_user"].tolist(), arrays[f"{s}_item"].tolist(), strict=True)) for s in ("train", "test"))
    data, card = load("pinterest", offline=True), CATALOGUE["pinterest"]
    assert (len(train), len(test)) == (790_006, 210_148) == (data.n_train, data.test.nnz) and not train & test
    assert len({item for _, item in test} - {item for _, item in train}) == 40 and "40 test items never occur in train" in card.notes
    assert {user for user, _ in test} <= {user for user, _ in train}
    assert card.cleaned and "not comparable with published numbers" in data.notes and "no licence text was found" in card.licence


def test_only_pinterest_is_cleaned():
    assert {card.name for card in CARDS if card.cleaned} == {"pinterest"}
    assert {card.name for card in CARDS if card.reader == "lightgcn-repeats"} == {"pinterest"}


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_real_data_agree_with_the_card(card):
    folder = paths.data_dir()
    if folder is None:
        pytest.skip("RECQ_DATA_DIR is not set: no real data to check")
    if not any((folder / name).is_file() for name in card.npz_names):
        pytest.skip(f"none of {', '.join(card.npz_names)} is in RECQ_DATA_DIR")
    data = load(card.name, offline=True)
    assert data.source == "RECQ_DATA_DIR" and os.path.isdir(folder)
    assert (data.n_users, data.n_items) == (card.n_users, card.n_items)
    for split, count in card.counts.items():
        users, items = data.pairs(split)
        assert users.size == count
        if split in card.content_sha256:
            digest = hashlib.sha256(users.astype("<i4").tobytes() + items.astype("<i4").tobytes()).hexdigest()
            assert digest == card.content_sha256[split]
