"""The user's own table in a file: CSV with a header line, plain or gzipped, or Parquet; read by pandas, with located errors (ours)."""

from __future__ import annotations

import csv
import gzip
import io
import os
import stat
import zlib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import pandas as pd

from recq_lib.data.ids import Place
from recq_lib.data.own_table import check_columns
from recq_lib.errors import ConfigError, DataError
from recq_lib.io.memory import check_memory

_COPIES = 3  # bytes, text and cells of a table are in memory at once


def read_table(path: Path | str, columns: Sequence[str], separator: str = ",") -> tuple[pd.DataFrame, Place, bool]:
    """(frame, where its rows stand, whether its cells are text) of a table file; the content, not the name, tells the kind.

    columns : those needed; others are left out of a CSV file's frame, whose cells are all text as it stands in the file
    separator : one character between the fields of CSV

    Raises `DataError` with `file:line` for a missing or doubled column, a row of the wrong length, improper CSV, text that is not
    UTF-8 or holds NUL, a file that cannot be read, a device, more than fits into memory, and for Parquet when no package that reads
    it is installed.
    """
    if not (isinstance(separator, str) and len(separator) == 1 and separator not in '"\r\n\0'):
        raise DataError(f"{path}: separator is {separator!r}, but must be one character, not a quote or a line end")
    content = _content(path)
    if content[:4] == b"PAR1":
        return _parquet(path, content), Place(str(path)), False
    text = _decoded(path, content)
    header = _header(path, text, separator)
    if not header:
        raise DataError(f"{path}: is empty; a header line with {', '.join(columns)} is needed")
    check_columns(header, columns, f"{path}:1")
    try:
        # without a header pandas takes the width from line 1; other readings accept rows that are too long
        frame = pd.read_csv(io.BytesIO(content), sep=separator, header=None, dtype=str, na_filter=False, engine="c")
    except ValueError as error:  # pandas' parser errors are of this kind
        _check_rows(path, text, separator, len(header))
        why = " ".join(str(error).split())
        raise DataError(f"{path}: is not proper CSV ({why}); check the quotes and the separator {separator!r}") from error
    # pandas fills short rows with empty cells and takes any quote: where either may have happened, look closely
    if '"' in text or (frame[len(header) - 1] == "").any():
        _check_rows(path, text, separator, len(header))
    frame = frame.iloc[1:, [header.index(name) for name in columns]].reset_index(drop=True)
    return frame.set_axis(list(columns), axis=1), Place(str(path), lambda row: _line_of(path, text, separator, row)), True


# ---- parts ----------------------------------------------------------------------------------------------------------------


def _content(path: Path | str) -> bytes:
    try:
        facts = os.stat(path)
        if stat.S_ISBLK(facts.st_mode) or stat.S_ISCHR(facts.st_mode):  # a pipe ends, a device need not
            raise DataError(f"{path}: is a device, not a file; name a file or a pipe")
        _check_memory(path, facts.st_size)
        content = Path(path).read_bytes()
        return _unpacked(path, content) if content[:2] == b"\x1f\x8b" else content
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"{path}: is a damaged gzip file ({error}); make it again") from error
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error


def _unpacked(path: Path | str, content: bytes) -> bytes:
    """The text of a gzip file, piece by piece: a small file may stand for more than there is memory."""
    pieces, size = [], 0
    with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
        while piece := stream.read(1 << 24):
            pieces.append(piece)
            size += len(piece)
            _check_memory(path, size)
    return b"".join(pieces)


def _check_memory(path: Path | str, size: int) -> None:
    try:
        check_memory(f"{path}: a table of {size:,} bytes and more", _COPIES * size, "cut it into parts, or leave columns out")
    except ConfigError as error:
        raise DataError(str(error)) from None


def _parquet(path: Path | str, content: bytes) -> pd.DataFrame:
    try:
        return pd.read_parquet(io.BytesIO(content))
    except ImportError as error:
        raise DataError(f"{path}: is a Parquet file, which needs the package pyarrow; install it, or save the table as CSV") from error
    except Exception as error:  # damage surfaces as several types of the reading package
        raise DataError(f"{path}: is not a readable Parquet file ({' '.join(str(error).split())[:100]}); make it again") from error


def _decoded(path: Path | str, content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: is not UTF-8 text (byte {error.object[error.start]:#04x} found); convert it") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(f"{path}:{line}: holds a NUL character, so it is not UTF-8 text or its ids are damaged; convert or clean it")
    return text


def _rows(path: Path | str, text: str, separator: str) -> Iterator[tuple[int, list[str]]]:
    """(last line number, cells) of each row that is not blank, header included."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
    try:
        for row in reader:
            if row and not (len(row) == 1 and not row[0].strip(" \t")):
                yield reader.line_num, row
    except csv.Error as error:
        line = max(reader.line_num, 1)
        raise DataError(f"{path}:{line}: is not proper CSV ({error}); check the quotes and the separator {separator!r}") from error


def _header(path: Path | str, text: str, separator: str) -> list[str]:
    _, row = next(_rows(path, text, separator), (1, []))
    return [name.strip() for name in row]


def _check_rows(path: Path | str, text: str, separator: str, width: int) -> None:
    for line, row in _rows(path, text, separator):
        if len(row) != width:
            raise DataError(f"{path}:{line}: has {len(row)} fields, the header has {width}; correct or drop the line")


def _line_of(path: Path | str, text: str, separator: str, row: int) -> int:
    """Line on which the row stands, header not counted as a row; only asked for in errors."""
    return next(islice(_rows(path, text, separator), row + 1, None))[0]
