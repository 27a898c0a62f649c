"""Progress that never dirties a notebook: a bar when someone watches, one line per step on request, else nothing.

A kernel's output is never a terminal, so one environment variable decides. `RECQ_PROGRESS=1` shows bars, `RECQ_PROGRESS=0`
(exported by the runner and the tests) hides them. Unset means: a bar in a terminal or a live notebook, nothing elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from recq_lib.io.switches import switch

Item = TypeVar("Item")


def shown_as() -> str:
    """How progress is shown: "bar", "lines" for a log (nobody watches, and nobody has said that it is not wanted), or "nothing".

    The one reader of `RECQ_PROGRESS`, at each call. Raises `ConfigError` for a value that is neither on nor off.
    """
    wanted = switch("RECQ_PROGRESS")
    if wanted is None:
        return "bar" if sys.stderr.isatty() or _in_kernel() else "lines"
    return "bar" if wanted else "nothing"


def interactive() -> bool:
    """True when bars are wanted, see `shown_as`."""
    return shown_as() == "bar"


def _in_kernel() -> bool:
    if "IPython" not in sys.modules:
        return False
    shell = sys.modules["IPython"].get_ipython()
    return shell is not None and hasattr(shell, "kernel")


def progress(
    items: Iterable[Item],
    *,
    total: int | None = None,
    label: str = "",
    verbose: bool = False,
    note: Callable[[], str] | None = None,
) -> Iterator[Item]:
    """Iterate over `items`, showing how far it is.

    items : anything iterable; total : its length when it has none
    label : what is counted, e.g. "epoch"
    verbose : when there is no bar, print one line after each item
    note : called after each item; its text (e.g. "loss 0.31") goes on the bar or the line
    """
    if interactive():
        from tqdm.auto import tqdm

        with tqdm(items, total=total, desc=label or None, leave=False, dynamic_ncols=True) as bar:
            for item in bar:
                yield item
                if note is not None:
                    bar.set_postfix_str(note(), refresh=False)
        return
    count = total if total is not None else (len(items) if hasattr(items, "__len__") else None)
    for index, item in enumerate(items, start=1):
        yield item
        if verbose:
            of = f"/{count}" if count is not None else ""
            text = f"  {note()}" if note is not None else ""
            print(f"{label or 'step'} {index}{of}{text}")
