"""What is known about a public dataset: its card, its files, and how a file or a copy is recognised.

Every hash of the cards was recorded by the project when the data were first converted; what is not known is None and the remaining
checks decide. `content_sha256` is the hash of the sorted pairs of one split (`Interactions.content_hash`), so it holds for any
container: text, tensor or npz.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from recq_lib.errors import DataError

OTHER_COPY = "use the version described in its card, or fetch it again"


@dataclass(frozen=True)
class RemoteFile:
    """A file on a server, or a member of an archive (then `urls` is empty and `filename` is its path in the archive).

    Attributes
    ----------
    filename : name in the download folder
    urls : mirrors in the order they are tried
    split : "train", "val" or "test" for a file that holds pairs, "" for an archive
    size : bytes; sha256, md5 : hex digests; git_blob : id printed by `git hash-object FILE`; None where unknown
    members : for a zip archive, the files to take out of it
    """

    filename: str
    urls: tuple[str, ...] = ()
    split: str = ""
    size: int | None = None
    sha256: str | None = None
    git_blob: str | None = None
    md5: str | None = None
    members: tuple[RemoteFile, ...] = ()


@dataclass(frozen=True, eq=False)
class DatasetCard:
    """What is known about one dataset; counts are interactions per split, checked against every copy that is loaded."""

    name: str
    title: str
    n_users: int
    n_items: int
    n_train: int
    n_val: int
    n_test: int
    licence: str
    citation: str
    homepage: str
    reader: str  # "lightgcn", "lightgcn-repeats", "movielens", "weighted" or "tensor": see loading.py
    files: tuple[RemoteFile, ...]
    npz_names: tuple[str, ...]  # file names accepted in RECQ_DATA_DIR
    content_sha256: Mapping[str, str] = field(default_factory=dict)  # split -> hash; a missing split is unknown
    cleaned: bool = False  # pairs of train are taken out of test: no published number was measured on what is left
    notes: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "content_sha256", MappingProxyType(dict(self.content_sha256)))

    @property
    def n_interactions(self) -> int:
        return self.n_train + self.n_val + self.n_test

    @property
    def counts(self) -> dict[str, int]:
        return {"train": self.n_train, "val": self.n_val, "test": self.n_test}


def check_sizes(card: DatasetCard, found: Mapping[str, int], where: str) -> None:
    """Raise `DataError` naming `where` and the first of `found` ("n_users", "n_items", or pairs of a split) that is not the card's."""
    for what, expected in {"n_users": card.n_users, "n_items": card.n_items, **card.counts}.items():
        if found.get(what, expected) != expected:
            shown = f"number of {what} pairs" if what in card.counts else what
            raise DataError(f"{where}: {shown} is {found[what]}, but {card.name} has {expected}; {OTHER_COPY}")


def verify_file(path: Path, file: RemoteFile) -> list[str]:
    """Check size, SHA-256, git blob id and MD5, whichever are known; return the names of the checks that were made.

    Raises `DataError` naming the file, the check, the value found and the value expected.
    """
    try:
        found = _digests(path)
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror or error}); put the file there or fetch it again") from error
    made = []
    for check, value in found.items():
        expected = getattr(file, check)
        if expected is None:
            continue
        if value != expected:
            raise DataError(f"{path}: {check} is {value}, but must be {expected}; the file is damaged or another version, fetch it again")
        made.append(check)
    return made


def _digests(path: Path) -> dict[str, str | int]:
    size = Path(path).stat().st_size
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    blob = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    with open(path, "rb") as stream:
        while chunk := stream.read(1 << 20):
            for digest in (sha256, md5, blob):
                digest.update(chunk)
    return {"size": size, "sha256": sha256.hexdigest(), "git_blob": blob.hexdigest(), "md5": md5.hexdigest()}
