"""Command line for the notebooks: `python -m recq_lib.companion.runner [run|facts|refresh|student|lint] …`; `run_all.sh` calls it.

run      execute every notebook at a profile into out/<profile>/, print the end table (the default);
         with --publish also renew figures/
facts    compare the tagged facts of the committed copies with a fresh execution (nbval)
refresh  re-execute the committed copies in place with their default parameters
student  write the student versions to build/student
lint     check the committed copies against the rules

Exit status: 0 all good, 1 something failed, 2 the call itself is wrong.
"""

from __future__ import annotations

import argparse
import ast
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NoReturn

from recq_lib.companion import figure_store
from recq_lib.companion.notebook_tools import sources
from recq_lib.errors import ConfigError, RecqError
from recq_lib.io import paths

_PROGRAM = "python -m recq_lib.companion.runner"


def usage(program: str = _PROGRAM) -> str:
    """The commands, as `--help` shows them."""
    return _parser(program).format_help()


def main(arguments: list[str] | None = None, program: str = _PROGRAM) -> int:
    """Run one command and return its exit status; `program` is how it was called."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    if not given or given[0] not in _COMMANDS and given[0] not in ("-h", "--help"):
        given.insert(0, "run")
    try:
        options = _parser(program).parse_args(given)
        folder = paths.notebooks_dir() if options.notebooks is None else Path(options.notebooks).resolve()
        chosen = sources.select(sources.find(folder), options.only)
        return _COMMANDS[options.command](chosen, options)
    except RecqError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


class _Parser(argparse.ArgumentParser):
    """Says what is wrong with a call in one line, as everything else of ours."""

    def error(self, message: str) -> NoReturn:
        raise ConfigError(f"{message.removeprefix('argument ')} (see --help)")


def _parser(program: str) -> argparse.ArgumentParser:
    parser = _Parser(prog=program, description="Run, refresh and check the notebooks.")
    commands = parser.add_subparsers(dest="command", required=True)
    shared = argparse.ArgumentParser(add_help=False)
    shared.add_argument("--notebooks", metavar="FOLDER", help="folder of the notebooks (default: notebooks/)")

    run = commands.add_parser("run", parents=[shared], help="execute the notebooks into out/<profile>/")
    run.add_argument("--profile", default="quick", choices=figure_store.PROFILES)
    run.add_argument("--only", nargs="+", default=[], metavar="NAME", help="number or name, e.g. 03 05")
    run.add_argument("--jobs", type=_positive, metavar="N", help="notebooks at a time; default: a core each, in the paper profile one")
    run.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="set a notebook parameter (repeatable)")
    run.add_argument("--force", action="store_true", help="run also what is up to date")

    run.add_argument("--publish", action="store_true", help="renew figures/ too; real data and larger profiles stay")

    facts = commands.add_parser("facts", parents=[shared], help="compare the tagged facts with a fresh execution")
    facts.add_argument("only", nargs="*", metavar="NAME", help="number or name; all when none is given")
    facts.add_argument("--jobs", type=_positive, default=1, metavar="N", help="notebooks at a time")

    for name, text in (("refresh", "re-execute the committed copies"), ("student", "build student versions"), ("lint", "check the rules")):
        command = commands.add_parser(name, parents=[shared], help=text)
        command.add_argument("only", nargs="*", metavar="NAME", help="number or name; all when none is given")
        if name == "refresh":
            command.add_argument("--stale", action="store_true", help="only those that are out of date")
            command.add_argument("--jobs", type=_positive, default=1, metavar="N", help="notebooks at a time")
    run.add_argument("--resume", action="store_true", help="accepted and needless: every run continues where the last one stopped")
    return parser


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} must be a positive integer")
    return int(text)


def _parameters(pairs: list[str]) -> dict[str, Any]:
    answer = {}
    for pair in pairs:
        name, equals, value = pair.partition("=")
        if not equals or not name.isidentifier():
            raise ConfigError(f"--param {pair!r} must be NAME=VALUE, e.g. --param epochs=5")
        if name == "profile":
            raise ConfigError("--param profile=… is not allowed; use --profile")
        try:
            answer[name] = ast.literal_eval(value)
        except (ValueError, SyntaxError):
            answer[name] = value
    return answer


def _run(notebooks: list[Path], options: argparse.Namespace) -> int:
    from recq_lib.companion.notebook_tools import batch
    from recq_lib.companion.notebook_tools.end_table import report

    if not notebooks:
        raise ConfigError("there are no notebooks to run; notebooks/*.ipynb is empty")
    signal.signal(signal.SIGTERM, _stop)
    try:
        rows = batch.run_all(
            notebooks,
            profile=options.profile,
            params=_parameters(options.param),
            jobs=options.jobs or default_jobs(options.profile),
            force=options.force,
            publish=options.publish,
            say=lambda text: print(text, flush=True),
        )
    except KeyboardInterrupt:
        print("interrupted; what had ended before is kept", file=sys.stderr)
        return 130
    print()
    print(report(rows, options.profile, publish=options.publish))
    return 0 if all(row.good for row in rows) else 1


def default_jobs(profile: str) -> int:
    """Small data do not fill two cores, so notebooks share them; paper-scale training takes all cores for one notebook."""
    from recq_lib.companion.notebook import thread_count

    return 1 if profile == "paper" else min(4, thread_count())


def _stop(*_: object) -> NoReturn:
    raise KeyboardInterrupt


def _facts(notebooks: list[Path], options: argparse.Namespace) -> int:
    from recq_lib.companion.notebook_tools.facts import check_facts

    if not notebooks:
        raise ConfigError("there are no notebooks to check; notebooks/*.ipynb is empty")
    return 0 if check_facts(notebooks, options.jobs) == 0 else 1


def _refresh(notebooks: list[Path], options: argparse.Namespace) -> int:
    from recq_lib.companion.notebook_tools.freshness import stale_reasons
    from recq_lib.companion.notebook_tools.lint import lint
    from recq_lib.companion.notebook_tools.refresh import refresh

    fresh = [path for path in notebooks if options.stale and not stale_reasons(sources.read(path))]
    for path in fresh:
        print(f"{path.stem}: fresh")
    todo, failed = [path for path in notebooks if path not in fresh], 0
    with ThreadPoolExecutor(options.jobs) as pool:  # each runs in a process of its own
        for path, problem in zip(todo, pool.map(refresh, todo), strict=True):
            if problem:
                failed += 1
                print(f"{path.stem}: FAILED {problem}; the source is unchanged, the executed copy is in build/refresh/")
                continue
            print(f"{path.stem}: refreshed", flush=True)
            for found in lint(sources.read(path)):
                print(f"  {found}")
    return 1 if failed else 0


def _student(notebooks: list[Path], options: argparse.Namespace) -> int:
    from recq_lib.companion.notebook_tools.student import build

    for path in notebooks:
        build(path)
        print(f"{path.stem}: build/student/{path.name}")
    return 0


def _lint(notebooks: list[Path], options: argparse.Namespace) -> int:
    from recq_lib.companion.notebook_tools.freshness import stale_reasons
    from recq_lib.companion.notebook_tools.lint import lint

    bad = 0
    for path in notebooks:
        notebook = sources.read(path)
        found = [str(problem) for problem in lint(notebook)] + [f"notebook: {reason} [fresh]" for reason in stale_reasons(notebook)]
        bad += bool(found)
        for text in found:
            print(f"{path.name}: {text}")
    print(f"{len(notebooks) - bad} of {len(notebooks)} notebooks keep every rule")
    return 1 if bad else 0


_COMMANDS = {"run": _run, "facts": _facts, "refresh": _refresh, "student": _student, "lint": _lint}


if __name__ == "__main__":
    sys.exit(main())
