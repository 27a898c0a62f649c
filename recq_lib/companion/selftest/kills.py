"""Runs that are killed again and again must end as those that were not: no record or model lost, none different, nothing left over."""

from __future__ import annotations

import random
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from recq_lib.companion.selftest import outcomes
from recq_lib.companion.selftest.children import Ended, Stop, command, warm
from recq_lib.errors import RecqError

SMALL = "--dataset synthetic-tiny --profile smoke --dim 8 --epochs 6 --eval-every 2 --batch-size 128 --ks 5 10 --select-metric recall@5"
TRAIN = (["lightgcn"], ["baco", "--set", "ratio=0.4"], ["hashnet"])
TEACHER = (["ptq-sign"], ["bigear"])
STUDY = ["study", "selftest", "--profile", "smoke", "--jobs", "2"]
_GENTLE = (signal.SIGINT, signal.SIGTERM)


@dataclass
class Kills:
    """Counts of one kind of run. `untidy`: ended well, but files are left; `noisy`: a traceback was printed; `orphans`: processes left."""

    runs: int = 0
    kills: int = 0
    lost: int = 0
    different: int = 0
    untidy: int = 0
    noisy: int = 0
    orphans: int = 0


def scenarios() -> dict[str, tuple[list[list[str]], bool]]:
    """Name → (commands to choose from, whether they repeat a run that is recorded)."""
    train = [["train", *method, *SMALL.split()] for method in TRAIN]
    taught = [["train", *method, *SMALL.split()] for method in TEACHER]
    return {
        "training": (train, False),
        "runs with a teacher": (taught, False),
        "forced repeats": ([[*call, "--force"] for call in train + taught], True),
        "study, 2 jobs": ([STUDY], False),
    }


def attack(name: str, kills: int, seed: int = 0) -> Kills:
    """Kill runs of one scenario `kills` times in all, each up to three times before it may end."""
    rng, counts = random.Random(f"{name} {seed}"), Kills()
    commands, repeated = scenarios()[name]
    whole = {}
    if name != "study, 2 jobs":
        for call in commands:
            warm(call)
    with tempfile.TemporaryDirectory(prefix="recq-selftest-") as place:
        root = Path(place)
        while counts.kills < kills:
            call = rng.choice(commands)
            known = " ".join(call)
            if known not in whole:
                folder = root / f"whole{len(whole)}"
                whole[known] = folder, _undisturbed(call, folder)
            folder, usual = whole[known]
            _one_run(call, root / "run", folder if repeated else None, _stops(rng, usual, kills - counts.kills, call is STUDY), counts)
            _compare(root / "run", folder, counts)
            shutil.rmtree(root / "run")
    return counts


def _undisturbed(call: list[str], folder: Path) -> Ended:
    ended = command(call, folder)
    if ended.status != 0:
        raise RecqError(f"recq {' '.join(call)} fails, so there is nothing to attack: {ended.text}")
    return ended


def _stops(rng: random.Random, usual: Ended, most: int, study: bool) -> Iterator[Stop]:
    """Half of the kills before a call of the file system, the others at a moment; a fifth by a signal that lets the process say goodbye.

    In a study half of the kills are of a worker.
    """
    for _ in range(min(rng.randint(1, 3), most)):
        moment = rng.uniform(0.0, usual.seconds)
        if study and rng.random() < 0.5:
            yield Stop(seconds=moment, worker=True)
        elif rng.random() < 0.2:
            yield Stop(seconds=moment, signal=rng.choice(_GENTLE))
        elif rng.random() < 0.5 and usual.calls > 1 and not study:
            yield Stop(call=rng.randint(1, usual.calls))
        else:
            yield Stop(seconds=moment)


def _one_run(call: list[str], folder: Path, before: Path | None, stops: Iterator[Stop], counts: Kills) -> None:
    counts.runs += 1
    if before is not None:
        shutil.copytree(before, folder)
    for stop in stops:
        ended = command(call, folder, stop)
        counts.kills += 1
        _listen(ended, counts)
        counts.lost += stop.worker and ended.status != 0  # it costs time and nothing else
        counts.orphans += ended.orphans
        if before is not None and outcomes.records(folder) != outcomes.records(before):
            counts.lost += 1
    ended = command(call, folder)
    _listen(ended, counts)
    if ended.status != 0:
        counts.lost += 1


def _listen(ended: Ended, counts: Kills) -> None:
    if ended.traceback:
        counts.noisy += 1
        print(f"a traceback (status {ended.status}):\n{ended.text}", file=sys.stderr)


def _compare(folder: Path, whole: Path, counts: Kills) -> None:
    found, expected = outcomes.records(folder), outcomes.records(whole)
    if found is None or found.keys() != expected.keys():
        counts.lost += 1
    elif found != expected or outcomes.models(folder) != outcomes.models(whole):
        counts.different += 1
    if left := outcomes.left_over(folder):
        counts.untidy += 1
        print(f"files left: {', '.join(left)}", file=sys.stderr)
