"""`load(name)`: one call from a dataset's name to checked `Interactions`, wherever a copy is to be had.

Order: `RECQ_DATA_DIR`, the cache, the public download, and for the profiles `smoke` and `quick` the synthetic generator. Every copy
of real data is held against its card: sizes, counts per split and content hashes.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from functools import partial
from pathlib import Path

from recq_lib.config import PROFILES
from recq_lib.data import readers
from recq_lib.data.cards import OTHER_COPY, DatasetCard, check_sizes, verify_file
from recq_lib.data.catalogue import CATALOGUE
from recq_lib.data.containers import read_npz, read_tensor, write_npz
from recq_lib.data.download import extract_members, fetch_file, is_offline
from recq_lib.data.holdouts import EIGHTY_TEN_TEN, Fractions, split_kind
from recq_lib.data.ids import MISSING_SPELLINGS
from recq_lib.data.interactions import Interactions
from recq_lib.data.own_table import number_table
from recq_lib.data.splits import random_split
from recq_lib.data.synthetic import generate, scaled
from recq_lib.data.table_files import read_table
from recq_lib.errors import ConfigError, DataError, DownloadError, one_of
from recq_lib.io import paths

SYNTHETIC = ("synthetic", "synthetic-smoke", "synthetic-tiny")
QUICK_STAND_IN = 50_000  # interactions of the synthetic stand-in of the quick profile: half an ml100k
_READERS = {
    "lightgcn": readers.read_lightgcn,
    "lightgcn-repeats": partial(readers.read_lightgcn, repeats="drop"),
    "movielens": readers.read_movielens,
    "weighted": readers.read_weighted,
    "tensor": read_tensor,
}

RESPLIT = "-resplit"


def load(name: str, *, profile: str = "paper", seed: int = 0, offline: bool | None = None) -> Interactions:
    """The dataset `name`, or "synthetic" (= "synthetic-smoke"), "synthetic-tiny", "synthetic-<n>" with n interactions.

    "<name>-resplit" merges the splits of a dataset and draws 80/10/10 of all interactions at random, with seed 0 (BACO's protocol).

    `data.source` says where it came from and `data.notes` what to know about it. `profile` "quick" and "smoke" fall back to synthetic
    data, named so, with the reason in the notes; "paper" never does. `offline=None` follows `RECQ_OFFLINE`, and smoke never uses the
    network. `seed` is that of the generator; real data do not depend on it.
    Raises `ConfigError` for an unknown name or profile, `DataError` for a copy that differs from its card, `DownloadError` when there
    is no copy.

    >>> from recq_lib.data import load
    >>> load("synthetic-tiny")
    Interactions('synthetic-tiny': 60 users × 40 items; train 419, val 61, test 120; from synthetic)
    >>> load("synthetic-3000", seed=1).n_users
    150
    >>> load("gowala")
    Traceback (most recent call last):
    ...
    recq_lib.errors.ConfigError: dataset is 'gowala', but must be one of ml100k, lastfm, ml1m, beauty, gowalla, yelp2018, pinterest, \
amazon-book, synthetic, synthetic-smoke, synthetic-tiny; did you mean 'gowalla'?
    """
    one_of("profile", profile, PROFILES)
    if name in SYNTHETIC or re.fullmatch(r"synthetic-\d+", str(name)):
        return _synthetic(name, seed)
    if name.endswith(RESPLIT):
        whole = load(name.removesuffix(RESPLIT), profile=profile, seed=seed, offline=offline)
        stand_in = whole.source == "synthetic"
        return whole if stand_in else random_split(whole, seed=0, name=name)
    card = card_of(name)
    if (path := _in_data_dir(card)) is not None:
        return _checked(card, path, "RECQ_DATA_DIR")
    try:
        return _from_cache_or_network(card, _offline(offline, profile))
    except DownloadError:
        if profile == "paper":
            raise
        stand_in = _synthetic("synthetic-smoke" if profile == "smoke" else f"synthetic-{QUICK_STAND_IN}", seed)
        # no paths and no addresses here: notes are printed in notebooks that are committed
        damaged = "is not in RECQ_DATA_DIR, its copy in the cache is damaged,"
        places = damaged if cached_path(card).is_file() else "is neither in RECQ_DATA_DIR nor in the cache"
        why = f"{name} {places} and was not downloaded; `fetch({name!r})` says why"
        return stand_in.described(notes=f"synthetic stand-in: {why}; {stand_in.notes}")


def fetch(name: str, *, force: bool = False, offline: bool | None = None) -> Path:
    """Make sure the converted copy of `name` is in the cache and return its path; `force` downloads even if it is.

    Raises as `load`.
    """
    card = card_of(name)
    path = cached_path(card)
    if force or _good_cache(card) is None:
        _download_and_convert(card, is_offline() if offline is None else offline)
    return path


def verify(name: str) -> dict[str, str]:
    """Check every local copy of `name`: {path: "ok (…)" or what is wrong}; empty when there is none."""
    card = card_of(name)
    report = {}
    for path in (_in_data_dir(card), cached_path(card)):
        if path is not None and path.exists():
            report[str(path)] = _verdict(lambda path=path: sorted(_hash_checks(card, _checked(card, path, "verify"))))
    for file in card.files:
        path = downloads_folder(card) / file.filename
        if path.exists():
            report[str(path)] = _verdict(lambda path=path, file=file: verify_file(path, file))
    return report


def available() -> dict[str, str]:
    """Datasets that can be had without network → where ("RECQ_DATA_DIR", "cache", "downloads", "synthetic"); nothing is read."""
    places = {}
    for card in CATALOGUE.values():
        if paths.data_dir() is not None and paths.data_dir().is_dir() and _in_data_dir(card) is not None:
            places[card.name] = "RECQ_DATA_DIR"
        elif cached_path(card).is_file():
            places[card.name] = "cache"
        elif all((downloads_folder(card) / file.filename).is_file() for file in card.files):
            places[card.name] = "downloads"
    return {**places, "synthetic": "synthetic"}


def load_csv(
    path: Path | str,
    user: str = "user",
    item: str = "item",
    *,
    time: str | None = None,
    rating: str | None = None,
    min_rating: float | None = None,
    separator: str = ",",
    missing: Collection[str] = MISSING_SPELLINGS,
    split: str | None = None,
    fractions: Fractions = EIGHTY_TEN_TEN,
    seed: int = 0,
    duplicates: str = "error",
    name: str | None = None,
) -> Interactions:
    """The user's own table, as `Interactions.from_pandas` makes it: CSV with a header line, plain or gzipped, or Parquet.

    Parameters
    ----------
    path : UTF-8 text or Parquet (with the package pyarrow); the content decides which, not the name
    user, item, time, rating : columns, others are ignored. Cells of CSV are text: "7", "07" and "007" are three ids, blanks around
        a cell are not part of it
    separator : one character between the fields of CSV
    missing : cells of CSV, in any case of letters, that stand for no id; pass () where "NA" or "None" is an id. Blank cells and
        negative numbers are never ids. Parquet has types, so there the rule of `from_pandas` holds
    min_rating, split, fractions, seed, duplicates : as for `from_pandas`
    name : default: the file's name without its ending

    Raises `DataError` with `file:line`, the column, the value and the rule; `ConfigError` for a wrong option.
    """
    split = split_kind(split, time is not None, str(path))
    columns = [column for column in (user, item, time, rating) if column is not None]
    frame, place, is_text = read_table(path, columns, separator)
    options = {"time": time, "rating": rating, "min_rating": min_rating, "duplicates": duplicates}
    table = number_table(frame, user, item, **options, place=place, spellings=missing if is_text else None)
    name = name or Path(path).name.split(".")[0]
    return Interactions.from_table(table, split=split, fractions=fractions, seed=seed, name=name, source="file")


# ---- places ---------------------------------------------------------------------------------------------------------------


def card_of(name: str) -> DatasetCard:
    """The card of `name`; `ConfigError` lists the names there are."""
    return CATALOGUE[one_of("dataset", name, (*CATALOGUE, *SYNTHETIC))] if name not in SYNTHETIC else _no_card(name)


def downloads_folder(card: DatasetCard) -> Path:
    """Where the public files go, and where they can be placed by hand."""
    return paths.cache_dir() / "downloads" / card.name


def cached_path(card: DatasetCard) -> Path:
    """The converted copy."""
    return paths.cache_dir() / "npz" / f"{card.name}.npz"


def _no_card(name: str) -> DatasetCard:
    raise ConfigError(f"dataset is {name!r}, which is generated and has no files; use load({name!r})")


def _in_data_dir(card: DatasetCard) -> Path | None:
    folder = paths.data_dir()
    if folder is None:
        return None
    if not folder.is_dir():
        raise ConfigError(f"RECQ_DATA_DIR is {str(folder)!r}, which is not a folder; correct or unset it")
    return next((folder / file for file in card.npz_names if (folder / file).is_file()), None)


def _offline(offline: bool | None, profile: str) -> bool:
    return (is_offline() or profile == "smoke") if offline is None else offline


# ---- making and checking ----------------------------------------------------------------------------------------------------


def _synthetic(name: str, seed: int) -> Interactions:
    size = re.fullmatch(r"synthetic-(\d+)", name)
    if size:
        return generate(scaled(int(size[1]), seed=seed), name=name)
    return generate(name.removeprefix("synthetic-") if "-" in name else "smoke", seed=seed)


def _from_cache_or_network(card: DatasetCard, offline: bool) -> Interactions:
    cached = _good_cache(card)
    if cached is not None:
        return cached
    try:
        return _download_and_convert(card, offline)
    except DownloadError as error:
        if not cached_path(card).is_file():
            raise
        raise DownloadError(f"{error}; the copy in the cache is damaged and of no use ({cached_path(card)})") from error


def _good_cache(card: DatasetCard) -> Interactions | None:
    """The cached copy, or None when there is none or it is damaged: it is ours to make again."""
    path = cached_path(card)
    if not path.is_file():
        return None
    try:
        return _checked(card, path, "cache")
    except DataError:
        return None


def _download_and_convert(card: DatasetCard, offline: bool) -> Interactions:
    folder = downloads_folder(card)
    files = {}
    for file in card.files:
        path = fetch_file(card.name, file, folder, offline=offline)
        files.update(extract_members(card.name, path, file, folder) if file.members else {file.split: path})
    parts = {split: _READERS[card.reader](path) for split, path in files.items()}
    if card.cleaned:
        parts = readers.without_earlier(parts)
    data = readers.to_interactions(
        parts, name=card.name, n_users=card.n_users, n_items=card.n_items, source="download", notes=card.notes
    )
    check_against_card(card, data, str(folder))
    try:
        write_npz(cached_path(card), data)
    except DataError as error:  # the data are good; only the next load will be slower
        return data.described(notes=f"{data.notes}; not cached: {error}".removeprefix("; "))
    return data


def _checked(card: DatasetCard, path: Path, source: str) -> Interactions:
    data = read_npz(path, source=source, card=card)
    check_against_card(card, data, str(path))
    return data


def check_against_card(card: DatasetCard, data: Interactions, where: str) -> None:
    """Raise `DataError` naming `where` and the first difference in sizes, counts or content hashes."""
    sizes = {"n_users": data.n_users, "n_items": data.n_items} | {split: data.split(split).nnz for split in card.counts}
    check_sizes(card, sizes, where)
    for split, (found, expected) in _hash_checks(card, data).items():
        if found != expected:
            raise DataError(f"{where}: content hash of {split} is {found}, but {card.name} has {expected}; {OTHER_COPY}")


def _hash_checks(card: DatasetCard, data: Interactions) -> dict[str, tuple[str, str]]:
    return {split: (data.content_hash(split), expected) for split, expected in card.content_sha256.items()}


def _verdict(check: Callable[[], list[str]]) -> str:
    try:
        made = check()
    except DataError as error:
        return f"wrong: {error}"
    return f"ok ({', '.join(made)})" if made else "ok (counts only)"
