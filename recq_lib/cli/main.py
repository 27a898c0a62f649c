"""Command line, thin: every command calls one library function and prints text, or JSON with `--json`.

python -m recq_lib data list|fetch NAME|verify NAME|stats NAME
python -m recq_lib train METHOD --dataset NAME [--protocol P] [--seed S] [--set name=value …] [--json]
python -m recq_lib compress METHOD --dataset NAME|--csv FILE [--gamma G | --budget R] [--output FILE.npz] [--json]
python -m recq_lib study NAME --profile P [--jobs N]
python -m recq_lib report                       published | ours | difference
python -m recq_lib bench [--only step epoch evaluation] [--json]
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from typing import Any, get_type_hints

from recq_lib.cli.compress import add_command as add_compress
from recq_lib.config import PROTOCOLS, TrainConfig, protocol
from recq_lib.errors import ConfigError, RecqError, one_of


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors of ours become one line on stderr and exit code 1, wrong usage exit code 2."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options) or 0
    except RecqError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # a reader such as `head` has seen enough
        sys.stderr.close()
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m recq_lib", description="Small and fast recommender embeddings, reproduced.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    data = commands.add_parser("data", help="list, fetch, verify or describe datasets")
    actions = data.add_subparsers(required=True, metavar="ACTION")
    for name, needs_name, help_text in (
        ("list", False, "the catalogue: sizes, licence, whether it is at hand"),
        ("fetch", True, "download and convert, hashes checked"),
        ("verify", True, "check the copy at hand against the catalogue's hashes"),
        ("stats", True, "sizes, density, tails"),
    ):
        action = actions.add_parser(name, help=help_text)
        if needs_name:
            action.add_argument("name", metavar="NAME")
        _json_flag(action)
        action.set_defaults(run=globals()[f"_data_{name}"])

    train = commands.add_parser("train", help="train or solve one method and print its test metrics")
    train.add_argument("method", metavar="METHOD")
    train.add_argument("--dataset", required=True)
    train.add_argument("--protocol", help=f"one of {', '.join(PROTOCOLS)}; default: baco for beauty, else lightgcn")
    train.add_argument("--profile", default="paper", help="stored in the record (smoke, quick or paper)")
    train.add_argument("--device", help="cpu, cuda, …; default: cuda where there is one")
    for name, short in (("dim", int), ("layers", int), ("epochs", int), ("batch-size", int), ("lr", float), ("seed", int)):
        train.add_argument(f"--{name}", type=short)
    train.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", help="any other hyper-parameter, or an option of the method"
    )
    train.add_argument("--force", action="store_true", help="run again even if a record exists")
    train.add_argument("--no-save", action="store_true", help="neither read nor write records or checkpoints")
    _json_flag(train)
    train.set_defaults(run=_train)

    add_compress(commands, _json_flag)

    study = commands.add_parser("study", help="run a named grid; recorded runs are skipped, interrupted ones resume")
    study.add_argument("name", metavar="NAME")
    study.add_argument("--profile", default="quick")
    study.add_argument("--jobs", type=int, default=1)
    study.add_argument("--device")
    study.add_argument("--dataset", help="only the runs on this dataset")
    study.set_defaults(run=_study)

    report = commands.add_parser("report", help="published | ours | difference, from the records")
    _json_flag(report)
    report.set_defaults(run=_report)

    bench = commands.add_parser("bench", help="this library beside what a user would pick instead, in one run")
    bench.add_argument("--only", nargs="+", default=None, metavar="PART")
    bench.add_argument("--dataset", default="gowalla")
    bench.add_argument("--repeats", type=int, default=5)
    bench.add_argument("--output", help="also write the JSON to this file")
    _json_flag(bench)
    bench.set_defaults(run=_bench)
    return parser


def _json_flag(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON")


# ---- data -------------------------------------------------------------------------------------------------------------------


def _data_list(options: argparse.Namespace) -> None:
    from recq_lib.data import CATALOGUE, available

    at_hand = available()
    cards = [
        {
            "name": c.name,
            "users": c.n_users,
            "items": c.n_items,
            "train": c.n_train,
            "val": c.n_val,
            "test": c.n_test,
            "at_hand": c.name in at_hand,
        }
        for c in CATALOGUE.values()
    ]
    lines = [
        f"{c['name']:<12} {c['users']:>8,} users {c['items']:>8,} items {c['train']:>10,} train  {'at hand' if c['at_hand'] else '-'}"
        for c in cards
    ]
    show(options, cards, "\n".join(lines))


def _data_fetch(options: argparse.Namespace) -> None:
    from recq_lib.data import fetch

    path = fetch(options.name)
    show(options, {"name": options.name, "path": str(path)}, f"{options.name} lies at {path}")


def _data_verify(options: argparse.Namespace) -> int:
    from recq_lib.data import verify

    copies = verify(options.name)
    text = "\n".join(f"{path}: {verdict}" for path, verdict in copies.items())
    show(options, copies, text or f"no copy of {options.name} at hand; fetch it with: python -m recq_lib data fetch {options.name}")
    return 0 if copies and all(verdict.startswith("ok") for verdict in copies.values()) else 1


def _data_stats(options: argparse.Namespace) -> None:
    from recq_lib.data import load

    stats = load(options.name).stats()
    show(
        options,
        stats,
        "\n".join(f"{name:<22} {value:,.4g}" if isinstance(value, float) else f"{name:<22} {value}" for name, value in stats.items()),
    )


# ---- runs -------------------------------------------------------------------------------------------------------------------


def _train(options: argparse.Namespace) -> None:
    from recq_lib.companion.report import quoted
    from recq_lib.runs.records import PROFILES
    from recq_lib.runs.registry import method
    from recq_lib.runs.run import Plan, execute, run

    method(options.method)
    one_of("profile", options.profile, PROFILES)
    plan = Plan(options.method, options.dataset, options.profile, config_from(options))
    if options.no_save:
        record = execute(plan, device=options.device, resume=False, on_epoch=_tell)
    else:
        record = run(plan, device=options.device, force=options.force, on_epoch=_tell)
    summary = {
        "key": record.spec.key, "method": record.spec.method, "dataset": record.spec.dataset, "seed": record.spec.seed,
        "source": record.provenance["data_source"], "metrics": record.metrics, "bytes": record.n_bytes, "timings": record.timings,
    }  # fmt: skip
    beside = {name: number for name, number in quoted(record).items() if number is not None}
    summary["published"] = beside  # in %, for runs that follow the published protocol in every parameter
    lines = [
        f"{name:<28} {100 * value:8.3f} %" + (f"   published {beside[name]:.3f} %" if name in beside else "")
        for name, value in record.metrics.items()
    ]
    show(options, summary, "\n".join([f"{plan.method} on {plan.dataset}, seed {plan.config.seed} (record {record.spec.key})", *lines]))


def _tell(trainer) -> None:
    """One status line that is rewritten after each epoch; silent unless a person watches."""
    from recq_lib.io.progress import interactive

    if interactive():
        entry = trainer.history[-1]
        end = "\n" if trainer.finished else ""
        best = f"best {trainer.config.select_metric} {100 * trainer.best_value:.2f} % at epoch {trainer.best_epoch}"
        print(
            f"\repoch {entry['epoch']} of at most {trainer.config.epochs}  loss {entry['loss']:.4f}  {best}  ",
            end=end,
            file=sys.stderr,
            flush=True,
        )


def config_from(options: argparse.Namespace) -> TrainConfig:
    """The configuration a `train` command line asks for. Raises `ConfigError` for unknown names and values of the wrong type."""
    from recq_lib.runs.registry import method

    named = {"dim": options.dim, "n_layers": options.layers, "epochs": options.epochs, "batch_size": options.batch_size, "lr": options.lr}
    changes: dict[str, Any] = {name: value for name, value in {**named, "seed": options.seed}.items() if value is not None}
    for text in options.set:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set is {text!r}, but must be NAME=VALUE")
        own = method(options.method).options
        if name in own:
            changes.setdefault("options", {})[name] = _converted(name, type(own[name]), value)
        else:
            changes[name] = _typed(name, value)
    return protocol(options.protocol or ("baco" if options.dataset == "beauty" else "lightgcn"), **changes)


def _typed(name: str, value: str) -> Any:
    """Read `value` as the type of the field; unknown names are left to `protocol`, which knows the close ones."""
    return _converted(name, get_type_hints(TrainConfig).get(name, str), value)


def _converted(name: str, kind: Any, value: str) -> Any:
    try:
        if kind is bool:
            return {"true": True, "false": False}[value.lower()]
        if kind in (int, float, str):
            return kind(value)
        item = int if "int" in str(kind) else str
        return tuple(item(part) for part in value.split(",") if part)
    except (ValueError, KeyError):
        raise ConfigError(f"{name} is {value!r}, but must be of type {getattr(kind, '__name__', kind)}") from None


def _study(options: argparse.Namespace) -> int:
    from recq_lib.companion.studies.study import run_study

    only = None if options.dataset is None else (lambda plan: plan.dataset == options.dataset)
    failures = run_study(options.name, options.profile, jobs=options.jobs, device=options.device, only=only)
    return 1 if failures else 0


def _report(options: argparse.Namespace) -> None:
    from recq_lib.companion.report import against_published

    table = against_published()
    rows = [
        {name: None if value != value else value for name, value in row.items()} for row in table.to_dict(orient="records")
    ]  # JSON has no nan
    show(options, rows, table.to_string(index=False) if len(table) else "no records yet; run a study first")


def _bench(options: argparse.Namespace) -> None:
    from recq_lib.companion.bench.run import as_text, run_benchmarks

    outcome = run_benchmarks(options.dataset, only=options.only, repeats=options.repeats)
    if options.output:
        from pathlib import Path

        Path(options.output).write_text(json.dumps(outcome, indent=1) + "\n")
    show(options, outcome, as_text(outcome))


def show(options: argparse.Namespace, value: Any, text: str) -> None:
    """Print `text`, or `value` as JSON with `--json`."""
    if options.json:
        print(json.dumps(value, indent=1, default=lambda x: dataclasses.asdict(x) if dataclasses.is_dataclass(x) else str(x)))
    else:
        print(text)
