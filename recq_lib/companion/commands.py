"""Commands of the companion: `recq study`, `report`, `bench` and `notebooks`; the library's command line loads them by name."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from recq_lib.cli.flags import Name, check_folders, deadline_after
from recq_lib.cli.main import UNFINISHED
from recq_lib.errors import one_of
from recq_lib.io.files import write_atomically
from recq_lib.io.optional import optional
from recq_lib.io.output import output_file, show


@dataclass(frozen=True)
class Study:
    """Run a named grid; recorded runs are skipped, interrupted ones resume."""

    name: Name  # baselines, depth, …; a wrong name lists them all
    profile: str = "quick"  # smoke, quick or paper
    jobs: int = 1  # processes side by side
    device: str | None = None  # cpu, cuda, cuda:1; default: cuda where there is one
    dataset: str | None = None  # only the runs on this dataset
    seconds: float | None = None  # begin no run later and stop what trains at its next epoch; the same call goes on (exit status 75)
    allow_dirty: bool = False  # record profile paper though no commit holds this code (RECQ_ALLOW_DIRTY=1); records say so

    def run(self) -> int:
        deadline = deadline_after(self.seconds)  # what the imports take counts
        from recq_lib.companion.studies.study import plans, run_study
        from recq_lib.training.device import usable_device

        planned = plans(self.name, self.profile)
        there = tuple(sorted({plan.dataset for plan in planned}))
        if self.dataset is not None:
            one_of(f"dataset of study {self.name!r} in profile {self.profile!r}", self.dataset, there)
        check_folders()
        chosen = (self.dataset,) if self.dataset is not None else there
        outcome = run_study(
            self.name, self.profile, jobs=self.jobs, device=usable_device(self.device), only=lambda plan: plan.dataset in chosen,
            deadline=deadline, allow_dirty=self.allow_dirty or None,
        )  # fmt: skip
        if outcome.left:
            of = sum(plan.dataset in chosen for plan in planned)
            begun = f" ({outcome.begun} of them begun)" if outcome.begun else ""
            print(f"stopped after {self.seconds:g} s: {outcome.left} of {of} runs left{begun}; go on with: {self._again()}")
        return 1 if outcome.failures else UNFINISHED if outcome.left else 0

    def _again(self) -> str:
        """The call that goes on: the same one."""
        given = {"profile": self.profile, "jobs": self.jobs, "device": self.device, "dataset": self.dataset, "seconds": f"{self.seconds:g}"}
        default = {"jobs": 1, "device": None, "dataset": None}
        flags = [f"--{name} {value}" for name, value in given.items() if name not in default or value != default[name]]
        return " ".join(["recq study", self.name, *flags, *(["--allow-dirty"] if self.allow_dirty else [])])


@dataclass(frozen=True)
class Report:
    """Published | ours | difference, and every claim of the papers with what the records say, of the profile "paper"."""

    dataset: str | None = None  # only records of this dataset
    method: str | None = None  # only records of this method
    json: bool = False  # print JSON

    def run(self) -> None:
        from recq_lib.companion.analysis.claims import claims_table, in_short, markdown, plain
        from recq_lib.companion.analysis.verdict import in_words
        from recq_lib.companion.report import against_published
        from recq_lib.runs.store import find

        records = find(profile="paper", arrays=False)
        for name in ("dataset", "method"):
            wanted, recorded = getattr(self, name), sorted({getattr(record.spec, name) for record in records})
            if wanted is not None and recorded:
                one_of(f"recorded {name}", wanted, recorded)
                records = [record for record in records if getattr(record.spec, name) == wanted]
        table = against_published(records)
        rows = [{name: None if value != value else value for name, value in row.items()} for row in table.to_dict(orient="records")]
        lines = [table.to_string(index=False) if rows else "no records yet; run a study first"]
        if not self.json and self.dataset is None and self.method is None:  # a claim is about methods and data together
            claims = claims_table()
            lines += ["", f"Claims of the papers, and what the records say. {in_words()}", "", plain(claims)]
            lines += ["", "In short:", "", markdown(in_short(claims))]
        show(rows, "\n".join(lines), as_json=self.json)  # JSON has no nan


@dataclass(frozen=True)
class Bench:
    """This library beside what a user would pick instead, in one run."""

    only: Annotated[tuple[str, ...], tyro.conf.arg(metavar="PART …")] = ()  # some parts only; a wrong name lists them all
    dataset: str = "gowalla"  # of the catalogue, or synthetic-<number of interactions>
    repeats: int = 5  # timings of each part
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE.json")] = None  # also write the JSON to this file
    json: bool = False  # print JSON

    def run(self) -> None:
        from recq_lib.companion.bench.run import as_text, run_benchmarks

        target = output_file(self.output)
        outcome = run_benchmarks(self.dataset, only=self.only or None, repeats=self.repeats)
        if target is not None:
            write_atomically(target, (json.dumps(outcome, indent=1) + "\n").encode())
        show(outcome, as_text(outcome), as_json=self.json)


@dataclass(frozen=True)
class Notebooks:
    """Run, check or refresh the notebooks; the runner reads the arguments itself."""

    arguments: tuple[str, ...]

    @classmethod
    def parse(cls, arguments: list[str]) -> Notebooks:
        return cls(tuple(arguments))

    def run(self) -> int:
        runner = optional("recq_lib.companion.runner", "notebooks", "recq notebooks")
        if not self.arguments:
            print(runner.usage(_PROGRAM), file=sys.stderr)
            return 2
        return runner.main(list(self.arguments), _PROGRAM)


_PROGRAM = "recq notebooks"
