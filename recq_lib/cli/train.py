"""`recq train`: one run, from a protocol and the settings that differ from it."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import tyro

from recq_lib.cli.flags import Method, Settings
from recq_lib.cli.main import parsed
from recq_lib.config import PROTOCOLS, TrainConfig
from recq_lib.errors import ConfigError, one_of
from recq_lib.io.output import show
from recq_lib.io.progress import interactive
from recq_lib.io.switches import switch
from recq_lib.runs import run as runs
from recq_lib.runs.records import PROFILES, RunRecord
from recq_lib.runs.registry import method
from recq_lib.training.device import usable_device
from recq_lib.training.trainer import Trainer


@dataclass(frozen=True)
class Start:
    """What decides the defaults of all the other flags."""

    dataset: str = ""
    protocol: str | None = None

    def config(self) -> TrainConfig:
        name = self.protocol or ("baco" if self.dataset == "beauty" else "lightgcn")
        return PROTOCOLS[one_of("protocol", name, tuple(PROTOCOLS))]


@dataclass(frozen=True)
class Train:
    """Train or solve one method and print its test metrics; a run that is recorded is shown, not repeated."""

    method: Method  # lightgcn, l2q-gcn, hq-gnn, …; a wrong name lists them all
    dataset: str  # of the catalogue, or synthetic-smoke, synthetic-tiny, synthetic-<number of interactions>
    config: Annotated[TrainConfig, tyro.conf.arg(name="")]
    protocol: str | None = None  # lightgcn, ngcf, baco, l2q or l2q-authors; default: baco for beauty, else lightgcn
    layers: int | None = None  # the same as --n-layers
    set: Settings = ()  # an option of the method, or any setting above
    profile: str = "paper"  # stored in the record: smoke, quick or paper
    device: str | None = None  # cpu, cuda, cuda:1; default: cuda where there is one
    force: bool = False  # run again even if a record exists
    no_save: bool = False  # neither read nor write records or checkpoints
    json: bool = False  # print JSON

    @classmethod
    def parse(cls, arguments: list[str]) -> Train:
        start, _ = parsed(Start, "recq train", arguments, return_unknown_args=True, add_help=False)
        default = cls(method=tyro.MISSING, dataset=tyro.MISSING, config=start.config())
        return parsed(cls, "recq train", arguments, default=default)

    def run(self) -> None:
        one_of("profile", self.profile, PROFILES)
        plan = runs.Plan(method(self.method).name, self.dataset, self.profile, self.resolved())
        device = usable_device(self.device)
        if self.no_save:
            record = runs.execute(plan, device=device, resume=False, on_epoch=_tell)
        else:
            record = runs.run(plan, device=device, force=self.force, on_epoch=_tell)
        show(_summary(record), _told(record), as_json=self.json)

    def resolved(self) -> TrainConfig:
        """The configuration with `--layers` and `--set`. Raises `ConfigError` for unknown names and values of the wrong type."""
        changes: dict[str, Any] = {} if self.layers is None else {"n_layers": self.layers}
        own, options = method(self.method).options, {}
        kinds = {name: kind for name, kind in get_type_hints(TrainConfig).items() if name != "options"}
        for text in self.set:
            name, equals, value = text.partition("=")
            if not equals:
                raise ConfigError(f"--set is {text!r}, but must be NAME=VALUE")
            if name in own:
                options[name] = converted(name, type(own[name]), value)
            else:
                one_of("hyper-parameter", name, (*kinds, *own))
                changes[name] = converted(name, kinds[name], value)
        return dataclasses.replace(self.config, **changes, options=options)


def converted(name: str, kind: Any, value: str) -> Any:
    """`value` as the type of the setting `name`: bool, int, float, str or a tuple of them, separated by commas."""
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.lower()]
        if kind in (int, float, str):
            return kind(value)
        item = int if "int" in str(kind) else str
        return tuple(item(part) for part in value.split(",") if part)
    except (ValueError, KeyError):
        raise ConfigError(f"{name} is {value!r}, but must be of type {getattr(kind, '__name__', kind)}") from None


def _summary(record: RunRecord) -> dict[str, Any]:
    return {
        "key": record.spec.key, "method": record.spec.method, "dataset": record.spec.dataset, "seed": record.spec.seed,
        "source": record.provenance["data_source"], "metrics": record.metrics, "bytes": record.n_bytes, "timings": record.timings,
    }  # fmt: skip


def _told(record: RunRecord) -> str:
    spec = record.spec
    lines = [f"{name:<28} {100 * value:8.3f} %" for name, value in record.metrics.items()]
    sizes = ", ".join(f"{part} {size / 1e6:,.3f} MB" for part, size in record.n_bytes.items())
    if "epochs" in record.timings:  # closed forms have none
        best, last = int(record.timings["best_epoch"]), int(record.timings["epochs"]) - 1
        lines.append(f"epochs: best {best}, last {last}; the best of those evaluated is kept")
    return "\n".join([f"{spec.method} on {spec.dataset}, seed {spec.seed} (record {spec.key})", *lines, f"bytes: {sizes}"])


def _tell(trainer: Trainer) -> None:
    """A status line that is rewritten after each epoch where a person watches; in a log, a line for each evaluation."""
    entry, config = trainer.history[-1], trainer.config
    if interactive():
        start, end = "\r", "\n" if trainer.finished else ""
    elif switch("RECQ_PROGRESS") is None and entry["epoch"] % config.eval_every == 0:
        start, end = "", "\n"
    else:
        return
    best = f"best {config.select_metric} {100 * trainer.best_value:.2f} % at epoch {trainer.best_epoch}"
    text = f"epoch {entry['epoch']} of at most {config.epochs}  loss {entry['loss']:.4f}  {best}  "
    print(start + text, end=end, file=sys.stderr, flush=True)
