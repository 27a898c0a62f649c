"""Fetch one file into the cache: mirrors in order, checked before it gets its name, never a half file.

Failures are one `DownloadError` each, with the dataset, the URLs, the reason and the path where the file can be placed by hand.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
import time
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO
from urllib.parse import urlsplit

from recq_lib.data.cards import RemoteFile, verify_file
from recq_lib.errors import DataError, DownloadError
from recq_lib.io.progress import interactive
from recq_lib.io.switches import switch

CONNECT_TIMEOUT = 5.0  # seconds to reach a server; short, so that a machine without network is not held up
READ_TIMEOUT = 30.0  # seconds without a single byte
TOTAL_TIMEOUT = 1800.0  # seconds for one file: ends a server that trickles
MAX_BYTES = 256 << 20  # of a file whose size is unknown, and of all members taken from one archive; the largest known is 14 MB
_CHUNK = 1 << 14
_STALE = 24 * 3600.0  # seconds after which a temporary file of a killed process is removed


def is_offline() -> bool:
    """True when `RECQ_OFFLINE` is on (1, true, yes or on). Raises `ConfigError` for a value that is neither on nor off."""
    return switch("RECQ_OFFLINE") or False


def fetch_file(
    dataset: str,
    file: RemoteFile,
    folder: Path,
    *,
    offline: bool | None = None,
    connect_timeout: float = CONNECT_TIMEOUT,
    read_timeout: float = READ_TIMEOUT,
    total_timeout: float = TOTAL_TIMEOUT,
) -> Path:
    """Return the verified `folder/file.filename`, downloading it when it is absent or damaged.

    A file placed there by hand is used when it passes the checks. `offline` overrides `RECQ_OFFLINE`.
    Raises `DownloadError`; whatever happens, `folder` then holds no new file.
    """
    target = Path(folder) / file.filename
    problem = ""
    if os.path.exists(target):
        try:
            verify_file(target, file)
            return target
        except DataError as error:
            problem = f"; the file already there is not usable: {error}"
    if is_offline() if offline is None else offline:
        reason = "downloads are switched off (RECQ_OFFLINE=1, offline=True or the smoke profile)"
        raise _failure(dataset, file, target, f"{_urls(file)}: {reason}{problem}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _remove_stale(target)
    except OSError as error:
        raise _unwritable(dataset, file, target, error) from error
    reasons, unreachable = [], set()
    for url in file.urls:
        host = urlsplit(url).netloc
        if host in unreachable:  # a second time-out on the same host would only cost time
            reasons.append(f"{url}: not tried, the same server")
            continue
        try:
            _download(url, target, file, (connect_timeout, read_timeout), total_timeout)
            return target
        except _Refused as error:
            reasons.append(f"{url}: {error}")
            if error.unreachable:
                unreachable.add(host)
        except OSError as error:
            raise _unwritable(dataset, file, target, error) from error
    raise _failure(dataset, file, target, "; ".join(reasons) + problem)


def extract_members(dataset: str, archive: Path, file: RemoteFile, folder: Path, *, max_bytes: int = MAX_BYTES) -> dict[str, Path]:
    """Take `file.members` out of a zip into `folder` (flat, by base name), each verified; returns {split: path}.

    The whole archive is refused with a `DownloadError` if any entry is absolute, leaves the folder, or is a link, and when the
    members together unpack to more than `max_bytes`.
    """
    try:
        with zipfile.ZipFile(archive) as bundle:
            _refuse_unsafe(bundle)
            budget, paths = max_bytes, {}
            for member in file.members:
                target = Path(folder) / PurePosixPath(member.filename).name
                if not _already_there(target, member):
                    budget -= _extract_one(bundle, member, target, budget)
                paths[member.split] = target
            return paths
    except (zipfile.BadZipFile, zlib.error, DataError, KeyError, RuntimeError, ValueError, EOFError, OSError) as error:
        raise DownloadError(
            f"{dataset}: {archive} cannot be unpacked ({_why(error)}); delete it and fetch again, or place a good copy from {_urls(file)}"
        ) from error


# ---- one transfer ---------------------------------------------------------------------------------------------------------


class _Refused(Exception):
    """One URL did not give the file; `unreachable` when its host did not answer at all."""

    def __init__(self, reason: str, unreachable: bool = False) -> None:
        super().__init__(reason)
        self.unreachable = unreachable


class _Bounded:
    """Writes through to a file and stops a body that is too long or too slow."""

    def __init__(self, stream: BinaryIO, limit: int, seconds: float) -> None:
        self.stream, self.limit, self.seconds = stream, limit, seconds
        self.written, self.deadline = 0, time.monotonic() + seconds

    def write(self, chunk: bytes) -> int:
        self.written += len(chunk)
        if self.written > self.limit:
            raise _Refused(f"the body is longer than {self.limit} bytes")
        if time.monotonic() > self.deadline:
            raise _Refused(f"not complete after {self.seconds:g} s")
        return self.stream.write(chunk)

    def flush(self) -> None:
        self.stream.flush()


def _download(url: str, target: Path, file: RemoteFile, timeout: tuple[float, float], total_timeout: float) -> None:
    import pooch
    import requests

    # identity: a compressed body would hide the true length that a truncated transfer is recognised by
    fetch = pooch.HTTPDownloader(
        progressbar=interactive(), chunk_size=_CHUNK, timeout=timeout, headers={"Accept-Encoding": "identity"}
    )
    with _temporary(target) as part:
        try:
            with open(part, "xb") as stream:
                fetch(url, _Bounded(stream, file.size or MAX_BYTES, total_timeout), None)
                stream.flush()
                os.fsync(stream.fileno())
            verify_file(part, file)
        except DataError as error:
            raise _Refused(_mismatch(error, part)) from error
        except requests.RequestException as error:  # an OSError too, so it must be told apart from trouble with the disk
            raise _Refused(*_http_reason(error, timeout)) from error
        os.replace(part, target)


def _http_reason(error: Exception, timeout: tuple[float, float]) -> tuple[str, bool]:
    import requests

    text = f"{type(error).__name__}: {error}"
    if isinstance(error, requests.HTTPError) and error.response is not None:
        return f"HTTP {error.response.status_code} {error.response.reason}", False
    if isinstance(error, requests.ConnectTimeout):
        return f"no connection within {timeout[0]:g} s", True
    if isinstance(error, requests.ReadTimeout) or "Read timed out" in text:
        return f"no data for {timeout[1]:g} s", True
    if isinstance(error, requests.exceptions.ChunkedEncodingError) or "IncompleteRead" in text:
        return "the connection closed before the whole body had come", False
    if isinstance(error, requests.exceptions.SSLError):
        return "the server's certificate was not accepted", True
    if isinstance(error, requests.ConnectionError):
        return "no connection (no network, name not found, or refused)", True
    return " ".join(text.split())[:160], False


@contextlib.contextmanager
def _temporary(target: Path) -> Iterator[Path]:
    """A name beside the target, so that the final rename is atomic; removed on every way out."""
    part = target.parent / f".{target.name}.{os.getpid()}-{secrets.token_hex(4)}.part"
    try:
        yield part
    finally:
        with contextlib.suppress(NotADirectoryError):
            part.unlink(missing_ok=True)


def _remove_stale(target: Path) -> None:
    for part in target.parent.glob(f".{target.name}.*.part"):
        with contextlib.suppress(FileNotFoundError):  # another process may have finished in between
            if time.time() - part.stat().st_mtime > _STALE:
                part.unlink()


# ---- archives -------------------------------------------------------------------------------------------------------------


def _refuse_unsafe(bundle: zipfile.ZipFile) -> None:
    for info in bundle.infolist():
        # orig_filename: the name as stored, before zipfile cuts it at a NUL or rewrites separators
        path = PurePosixPath(info.orig_filename.replace("\\", "/"))
        drive = path.parts and path.parts[0].endswith(":")
        if path.is_absolute() or drive or ".." in path.parts or "\0" in info.orig_filename:
            raise DataError(f"entry {info.orig_filename!r} points outside the folder")
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise DataError(f"entry {info.orig_filename!r} is a link or a device")


def _already_there(target: Path, member: RemoteFile) -> bool:
    try:
        return bool(verify_file(target, member))  # without any known hash, an old file proves nothing
    except DataError:
        return False


def _extract_one(bundle: zipfile.ZipFile, member: RemoteFile, target: Path, budget: int) -> int:
    with _temporary(target) as part:
        copied = 0
        with bundle.open(member.filename) as source, open(part, "xb") as sink:
            while chunk := source.read(1 << 16):
                copied += len(chunk)
                if copied > budget:  # counted while unpacking: the size in the header may lie
                    raise DataError(f"its members unpack to more than {budget} bytes")
                sink.write(chunk)
        try:
            verify_file(part, member)
        except DataError as error:
            raise DataError(f"member {member.filename}: {_mismatch(error, part)}") from error
        os.replace(part, target)
    return copied


# ---- messages -------------------------------------------------------------------------------------------------------------


def _failure(dataset: str, file: RemoteFile, target: Path, reason: str) -> DownloadError:
    return DownloadError(
        f"{dataset}: {file.filename} could not be fetched: {reason}; to go on without this download, place the file by hand at {target}"
    )


def _unwritable(dataset: str, file: RemoteFile, target: Path, error: OSError) -> DownloadError:
    reason = f"{_urls(file)}: the cache folder cannot be written ({_why(error)}), set RECQ_CACHE_DIR to another"
    return _failure(dataset, file, target, reason)


def _urls(file: RemoteFile) -> str:
    return " or ".join(file.urls) or "any known address"


def _mismatch(error: DataError, part: Path) -> str:
    return str(error).replace(f"{part}: ", "").split(";")[0]


def _why(error: BaseException) -> str:
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return " ".join(text.split()) or type(error).__name__
