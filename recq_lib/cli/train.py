"""`recq train`: one run, from a protocol and the settings that differ from it."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import tyro

from recq_lib.cli.flags import Method, Settings, check_folders, deadline_after
from recq_lib.cli.main import UNFINISHED, parsed
from recq_lib.config import PROFILES, PROTOCOLS, TrainConfig
from recq_lib.errors import ConfigError, one_of
from recq_lib.io.output import output_file, show
from recq_lib.io.progress import shown_as
from recq_lib.parts.model import Recommender
from recq_lib.runs import run as runs
from recq_lib.runs.records import RunRecord
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
    protocol: str | None = None  # lightgcn, ngcf, baco, l2q, l2q-authors or fast; default: baco for beauty, else lightgcn
    layers: int | None = None  # the same as --n-layers
    set: Settings = ()  # an option of the method, or any setting below
    profile: str | None = None  # stored in the record: smoke, quick or paper; default: smoke for synthetic data, else paper
    device: str | None = None  # cpu, cuda, cuda:1; default: cuda where there is one
    force: bool = False  # run again even if a record exists
    no_save: bool = False  # neither read nor write records or checkpoints
    allow_dirty: bool = False  # record profile paper though no commit holds this code (RECQ_ALLOW_DIRTY=1); the record says so
    seconds: float | None = None  # stop training at the first epoch that ends later; the same command goes on (exit status 75)
    output: Annotated[Path | None, tyro.conf.arg(metavar="FILE.safetensors")] = None  # write the trained model, e.g. for `recq export`
    json: bool = False  # print JSON
    given: tyro.conf.Fixed[frozenset[str]] = frozenset()  # settings whose own flags are in the call; not a flag

    @classmethod
    def parse(cls, arguments: list[str]) -> Train:
        start, _ = parsed(Start, "recq train", arguments, return_unknown_args=True, add_help=False)
        default = cls(method=tyro.MISSING, dataset=tyro.MISSING, config=start.config())
        flags = {text.partition("=")[0].lstrip("-").replace("-", "_") for text in arguments if text.startswith("--")}
        return dataclasses.replace(parsed(cls, "recq train", arguments, default=default), given=frozenset(flags & {*_KINDS, "layers"}))

    def run(self) -> int | None:
        target, deadline = output_file(self.output), deadline_after(self.seconds)
        if deadline is not None and self.no_save:
            raise ConfigError("--seconds leaves a checkpoint to go on from, but --no-save writes none; drop one of them")
        usual = "smoke" if self.dataset.startswith("synthetic") else "paper"
        profile = one_of("profile", self.profile or usual, PROFILES)
        plan = runs.Plan(method(self.method).name, self.dataset, profile, self.resolved())
        if target is not None and plan.entry.kind != "trained":
            raise ConfigError(f"{plan.method} is solved, not trained, and no file keeps it; leave --output out, or choose a trained method")
        self._say_what_does_not_count()
        device = usable_device(self.device)
        if self.no_save:
            record, model = runs.executed(plan, device=device, resume=False, on_epoch=_tell)
        else:
            check_folders()
            options = {"deadline": deadline, "allow_dirty": self.allow_dirty or None}  # without the flag the variable decides
            try:
                keep = {"force": self.force, "keep_model": target is not None}
                record = runs.run(plan, device=device, on_epoch=_tell, on_found=_tell_found, **keep, **options)
                model = None if target is None else _kept(plan, record, device=device, **options)
            except runs.RunPaused as pause:
                print(f"stopped after {self.seconds:g} s: {pause}", file=sys.stderr)
                return UNFINISHED
        if target is not None:
            model.save(target)
        show(_summary(record), _told(record), as_json=self.json)
        return None

    def resolved(self) -> TrainConfig:
        """The configuration with `--layers` and `--set`.

        Raises `ConfigError` for unknown names, values of the wrong type, and a setting that is given in two ways.
        """
        changes: dict[str, Any] = {} if self.layers is None else {"n_layers": self.layers}
        if self.layers is not None and "n_layers" in self.given:
            raise ConfigError("--layers and --n-layers are one setting; give one of them")
        own, options = method(self.method).options, {}
        for text in self.set:
            name, value = assignment(text)
            if name in own:
                options[name] = converted(name, type(own[name]), value)
                continue
            one_of("hyper-parameter", name, (*_KINDS, *own))
            if name in self.given or name in changes:
                raise ConfigError(f"{name} is given twice, the last time by --set {text}; give it once")
            changes[name] = converted(name, _KINDS[name], value)
        return dataclasses.replace(self.config, **changes, options=options)

    def _say_what_does_not_count(self) -> None:
        """A note on the settings of training in the call, where nothing is trained."""
        named = self.given | {text.partition("=")[0] for text in self.set} & {*_KINDS}
        idle = sorted(named - {"ks", "select_on"})  # selecting on "val" takes interactions out of train
        if idle and method(self.method).kind == "closed_form":
            flags = ", ".join(f"--{name.replace('_', '-')}" for name in idle)
            print(f"note: {self.method} is solved, not trained: {flags} changes nothing", file=sys.stderr)


_KINDS = {name: kind for name, kind in get_type_hints(TrainConfig).items() if name != "options"}
_WORDS = {bool: "true or false", int: "a whole number", float: "a number"}


def assignment(text: str) -> tuple[str, str]:
    """(name, value) of --set NAME=VALUE. Raises `ConfigError` for a text without "="."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ConfigError(f"--set is {text!r}, but must be NAME=VALUE")
    return name, value


def converted(name: str, kind: Any, value: str) -> Any:
    """`value` as the type of the setting `name`: bool, int, float, str or a tuple of them, separated by commas.

    Raises `ConfigError` for a value of another type.
    """
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.lower()]
        if kind in (int, float, str):
            return kind(value)
        item = int if "int" in str(kind) else str
        return tuple(item(part) for part in value.split(",") if part)
    except (ValueError, KeyError):
        rule = _WORDS.get(kind, "whole numbers separated by commas")  # of the other kinds only these can be wrong
        raise ConfigError(f"{name} is {value!r}, but must be {rule}") from None


def _summary(record: RunRecord) -> dict[str, Any]:
    return {
        "key": record.spec.key, "method": record.spec.method, "dataset": record.spec.dataset, "seed": record.spec.seed,
        "source": record.provenance["data_source"], "metrics": record.metrics, "bytes": record.n_bytes, "timings": record.timings,
        "table": {name: record.provenance[name] for name in ("asked_parameters", "table_parameters") if name in record.provenance},
    }  # fmt: skip


def _told(record: RunRecord) -> str:
    spec = record.spec
    lines = [f"{name:<28} {100 * value:8.3f} %" for name, value in record.metrics.items()]
    sizes = ", ".join(f"{part} {size / 1e6:,.3f} MB" for part, size in record.n_bytes.items())
    if "epochs" in record.timings:  # closed forms have none
        best, last = int(record.timings["best_epoch"]), int(record.timings["epochs"]) - 1
        fixed = spec.params["select_on"] == "none"
        kept = "the last is kept, nothing was evaluated before" if fixed else "the best of those evaluated is kept"
        lines.append(f"epochs: {'' if fixed else f'best {best}, '}last {last}; {kept}")
    asked, delivered = (record.provenance.get(name) for name in ("asked_parameters", "table_parameters"))
    if asked:
        lines.append(f"table: {delivered:,} parameters for {asked:,} asked for ({delivered / asked - 1:+.1%})")
    return "\n".join([f"{spec.method} on {spec.dataset}, seed {spec.seed} (record {spec.key})", *lines, f"bytes: {sizes}"])


def _kept(plan: runs.Plan, record: RunRecord, **options: Any) -> Recommender:
    """The model of a recorded run; it is trained once more where only its results were kept."""
    if not runs.model_of(record.spec).exists():
        print("its parameters were not kept; trained once more for --output", file=sys.stderr)
    return runs.trained(plan, on_epoch=_tell, **options)


def _tell_found(record: RunRecord) -> None:
    print("recorded before, not run again (--force runs it once more)", file=sys.stderr)


def _tell(trainer: Trainer) -> None:
    """A status line that is rewritten after each epoch where a person watches; in a log, a line for each evaluation."""
    entry, config = trainer.history[-1], trainer.config
    shown = shown_as()
    if shown == "bar":
        start, end = "\r", "\n" if trainer.finished else ""
    elif shown == "lines" and entry["epoch"] % config.eval_every == 0:
        start, end = "", "\n"
    else:
        return
    text = f"epoch {entry['epoch']} of at most {config.epochs}  loss {entry['loss']:.4f}  "
    if config.select_on != "none":
        text += f"best {config.select_metric} {100 * trainer.best_value:.2f} % at epoch {trainer.best_epoch}  "
    print(start + text, end=end, file=sys.stderr, flush=True)
