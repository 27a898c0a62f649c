"""Random bad command lines: each must end in one line, or in the usage, and never in a traceback."""

from __future__ import annotations

import contextlib
import io
import os
import random
import tempfile
import traceback
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from recq_lib.cli.main import main

OUTCOMES = ("usage", "refused", "accepted", "untidy", "traceback")

_TRAIN = "--dataset synthetic-tiny --epochs 1 --dim 4 --layers 1 --ks 5 --select-metric recall@5 --no-save".split()
_TRAINED = ("lightgcn", "mf", "baco", "ptq-sign", "hq-gnn", "mostpop", "ease", "lsh", "cce", "legcf")
_SHARED = ("baco", "random-hash", "sbc", "lp", "ebmd", "itcc", "lsh-hash")
_LINES = (
    [["train", name, *_TRAIN] for name in _TRAINED]
    + [["compress", name, "--dataset", "synthetic-tiny", "--budget", "0.3"] for name in _SHARED]
    + 3 * [["compress", "baco", "--csv", "table.csv", "--user", "u", "--item", "i", "--gamma", "1"]]
    + [["study", name, "--profile", "smoke", "--dataset", "nope"] for name in ("baselines", "depth")]  # never a whole study
    + [["report", "--dataset", "beauty"], ["data", "stats", "synthetic-tiny"], ["data", "verify", "ml1m"], ["data", "fetch", "ml1m"]]
    + [["bench", "--dataset", "synthetic-tiny", "--only", "nope", "--repeats", "0"]]  # refused for two reasons: never a whole benchmark
)
# values that the parser of flags takes as they are, and then whatever else a person or a script may write
_WHOLE = ("-1", "0", "7", "1000000", "1000000000", str(2**63), str(2**70), "-" + "9" * 40)
_NUMBER = (*_WHOLE, "nan", "inf", "-inf", "1e400", "1e20", "1e300", "1e-320", "0.5", "-0.1")
_TEXT = (
    "", " ", "x", "-", "²", "recall@²", "recall@", "@5", "recall@1000000", "None", "/", ".", "..", "nodir/x.npz", "/proc/x.npz", "file",
    "file/x", "\udcff", "\N{CJK UNIFIED IDEOGRAPH-4E2D}", "a" * 100_000, "line\nbreak", "synthetic-99999999999999999", "synthetic-1",
    "synthetic-²", "synthetic-tiny-resplit", "ml1m", "cuda:99", "cuda", "banana", "../../etc/passwd", "%s", "u", "\t", ",,",
)  # fmt: skip
_ANY = (*_NUMBER, *_TEXT, "1" * 5000, "\N{ARABIC-INDIC DIGIT THREE}", "--", "=", "a=b", "true", "{}", "[1]", "'; drop", "1,2,x")
_SETTINGS = (
    "options=x", "dim=1000000000", "n_layers=100000000", f"seed={2**70}", "select_metric=recall@²", "ks=", "ks=5,x", "ks=0", "ks=1000000",
    "mask_at_selection=tests", "ratio=-1", "ratio=1e-300", "ratio=nan", "ratio=2", "cluster_seed=-1", f"cluster_seed={2**80}", "sweeps=0",
    "sweeps=1000000000000", "ties=first", "gamma=nan", "tolerance=-1", "bits=0", "bits=1000000000000", "bits=x", "teacher_epochs=-1",
    "teacher_lr=-1", "teacher_lr=1e30", "init_std=1e38", "lr=1e20", "lr=0", "l2=-1", "l2=1e300", "temperature=0", "readout=", "start=x",
    "estimator=x", "trace=x", "schedule=x", "encoder=x", "loss=softmax", "negatives=in_batch", "lr_decay=x", "fair=maybe", "resolution=-1",
    "weight_decay=1e300", "batch_size=1000000000000000", "eval_every=100000000000000000000", "x", "=1", "user_weight=x", "samples=0",
)  # fmt: skip
_FLAGS: dict[str, dict[str, tuple[str, ...]]] = {
    "train": {
        "--layers": tuple(value for value in _WHOLE if value != "1000000"),  # which is possible, and takes minutes
        **dict.fromkeys(("--dim", "--seed", "--batch-size", "--patience", "--eval-every", "--ks"), _WHOLE),
        **dict.fromkeys(("--lr", "--l2", "--init-std", "--weight-decay", "--temperature", "--seconds"), _NUMBER),
        **dict.fromkeys(("--select-metric", "--device", "--profile", "--protocol", "--dataset", "--mask-at-selection"), _TEXT),
        **dict.fromkeys(("--select-on", "--sampling", "--negatives", "--loss", "--readout", "--start", "--lr-decay"), _TEXT),
    },
    "compress": {
        **dict.fromkeys(("--dim", "--seed"), _WHOLE), **dict.fromkeys(("--budget", "--gamma", "--tolerance", "--min-rating"), _NUMBER),
        **dict.fromkeys(("--output", "--csv", "--user", "--item", "--rating", "--separator", "--dataset"), _TEXT),
    },
    "study": {"--jobs": _WHOLE, "--seconds": _NUMBER, "--device": _TEXT},
    "report": {"--dataset": _TEXT, "--method": _TEXT},
    "bench": {"--only": _TEXT, "--repeats": _WHOLE, "--output": _TEXT, "--dataset": _TEXT},
    "data": {"--json": _TEXT, "--nothing": _TEXT},
}  # fmt: skip
_TABLES = (
    b"", b"\xff\xfe\x00", b"u,i\n", b"u,i\na\n", b"u,u\na,b\n", b"u,i\na,\0\n", b"u,i\nnan,1\n", b"u,i\n-1,2\n", b'u,i\n"a,b\n', b"PAR1 no",
    b"\x1f\x8b no", b"u,i\na,b\na,b\n", b"u;i\na;b\n", "u,i\n\N{SNOWMAN},é\n".encode("utf-16"), b"i,v\n1,2\n", b"u,i\na,b\nc,d,e\n",
)  # fmt: skip
_VARIABLES = (
    ("RECQ_RESULTS_DIR", "file"), ("RECQ_CHECKPOINTS_DIR", "file"), ("RECQ_CACHE_DIR", "file"), ("RECQ_DATA_DIR", "file"),
    ("RECQ_DATA_DIR", "nowhere"), ("RECQ_DATA_DIR", "data"), ("RECQ_CACHE_DIR", "/proc/nowhere"), ("RECQ_RESULTS_DIR", "/proc/nowhere"),
    ("RECQ_OFFLINE", "maybe"), ("RECQ_PROGRESS", "maybe"), ("RECQ_ALLOW_DIRTY", "maybe"), ("HOME", None),
    ("RECQ_CACHE_DIR", "~nobody-here/x"),
)  # fmt: skip


@dataclass
class Found:
    """counts : how many lines ended how, by name (`OUTCOMES`); bad : the lines that ended in a traceback or untidily, and what they said"""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[tuple[list[str], str]] = field(default_factory=list)


def bad_command_lines(trials: int, seed: int = 0) -> Found:
    """Run `trials` command lines, each a good one that was broken in one to three places, in this process and a folder of their own.

    Outcomes: "usage" (status 2), "refused" (status 1 and one line on stderr that begins with `error: `), "accepted" (what was broken did
    not matter, or is told as a result), "untidy" (any other status or text), "traceback" (an exception left the command).
    """
    found = Found(Counter(dict.fromkeys(OUTCOMES, 0)))
    for trial in range(trials):
        rng = random.Random(f"{seed} {trial}")  # a line does not depend on how many went before
        with tempfile.TemporaryDirectory() as folder, _within(Path(folder), rng):
            arguments = _broken(rng)
            outcome, text = _ended(arguments)
        found.counts[outcome] += 1
        if outcome in ("untidy", "traceback"):
            found.bad.append((arguments, text))
    return found


def _broken(rng: random.Random) -> list[str]:
    line = list(rng.choice(_LINES))
    for _ in range(rng.choice((1, 1, 1, 1, 2, 3))):
        line = rng.choice(_BREAKS)(line, rng)
    return line


def _ended(arguments: list[str]) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = main(arguments)
    except SystemExit as end:
        status = end.code
    except BaseException:
        return "traceback", traceback.format_exc()
    lines = err.getvalue().splitlines()
    if "Traceback" in err.getvalue():
        return "traceback", err.getvalue()
    if status == 2 and lines:
        return "usage", ""
    if status == 1 and (arguments[:2] == ["data", "verify"] or sum(line.startswith("error: ") for line in lines) == 1 == _untold(lines)):
        return "refused", ""
    return ("accepted", "") if status in (0, None) else ("untidy", f"status {status}\n{err.getvalue()}")


def _untold(lines: list[str]) -> int:
    """Lines that are neither warnings nor notes nor the progress of a run."""
    return sum(not line.startswith(("warning: ", "note: ", "epoch ")) for line in lines)


@contextlib.contextmanager
def _within(folder: Path, rng: random.Random) -> Iterator[None]:
    """Everything that a command may write lies in `folder`; one variable in six lines is wrong."""
    before, place = dict(os.environ), Path.cwd()
    (folder / "data").mkdir()
    (folder / "data" / "ml1m.npz").write_bytes(b"PK damaged")
    (folder / "file").write_text("not a folder")
    (folder / "table.csv").write_bytes(rng.choice(_TABLES) if rng.random() < 0.7 else b"u,i\na,x\nb,x\nb,y\n")
    os.environ.update({f"RECQ_{name}_DIR": str(folder / name.lower()) for name in ("RESULTS", "CHECKPOINTS", "CACHE", "FIGURES", "OUT")})
    os.environ.update(RECQ_OFFLINE="1", RECQ_PROGRESS="0")
    os.environ.pop("RECQ_DATA_DIR", None)
    if rng.random() < 1 / 6:
        name, value = rng.choice(_VARIABLES)
        os.environ.pop(name, None)
        os.environ |= {} if value is None else {name: value}
    os.chdir(folder)
    try:
        yield
    finally:
        os.chdir(place)
        os.environ.clear()
        os.environ.update(before)


# ---- ways to break a line -----------------------------------------------------------------------------------------------------


def _flag(line: list[str], rng: random.Random) -> list[str]:
    """A flag of the command with a value of its kind that it may not take; it replaces the flag where the line has it."""
    flags = _FLAGS.get(line[0], _FLAGS["data"])  # the name of the command may be broken too
    name = rng.choice(list(flags))
    value = rng.choice(flags[name] if rng.random() < 0.8 else _ANY)
    if name in line:
        return [*line[: line.index(name) + 1], value, *line[line.index(name) + 2 :]]
    return [*line, name, value]


def _setting(line: list[str], rng: random.Random) -> list[str]:
    return [*line, "--set", rng.choice(_SETTINGS)] if line[0] in ("train", "compress") else _flag(line, rng)


def _other_name(line: list[str], rng: random.Random) -> list[str]:
    place = 2 if line[0] == "data" else 1
    return [*line[:place], rng.choice(_TEXT), *line[place + 1 :]]


def _cut(line: list[str], rng: random.Random) -> list[str]:
    if line[0] == "study":
        return line[:2] + ["--profile"]
    if line[0] == "bench":
        return line[:-1]
    place = rng.randrange(1, len(line)) if len(line) > 1 else 1
    return line[:place] + line[place + 1 :]


def _doubled(line: list[str], rng: random.Random) -> list[str]:
    place = rng.randrange(len(line))
    return [*line[: place + 1], *line[place:]]


def _swapped(line: list[str], rng: random.Random) -> list[str]:
    first, second = rng.randrange(len(line)), rng.randrange(len(line))
    if line[0] == "study":
        return [*line, "extra"]
    line[first], line[second] = line[second], line[first]
    return line


_BREAKS = 7 * (_flag,) + 6 * (_setting,) + 3 * (_other_name,) + (_cut, _doubled, _swapped)
