"""The command `compress`: parser and output; `compress.py` does the work."""

from __future__ import annotations

import argparse
from pathlib import Path


def add_command(commands, json_flag) -> None:
    """The sub-command `compress`."""
    parser = commands.add_parser(
        "compress", help="share embedding rows: rows per side, parameters, seconds; optionally the rows themselves"
    )
    parser.add_argument("method", metavar="METHOD", help="baco, graphhash, random-hash, …; a wrong name lists them all")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--dataset", help="a dataset of the catalogue; its train split is compressed")
    source.add_argument("--csv", type=Path, metavar="FILE", help="your own table with a header line; all its rows are compressed")
    parser.add_argument("--user", default="user", help="with --csv: column of user ids")
    parser.add_argument("--item", default="item", help="with --csv: column of item ids")
    parser.add_argument("--gamma", type=float, help="BACO's balance; without it γ is searched for the budget")
    parser.add_argument(
        "--budget", type=float, metavar="R", help="share of a full table (≤ 1) or number of parameters; default: GraphHash's"
    )
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0, help="of hash functions")
    parser.add_argument("--no-scu", action="store_true", help="BACO without second rows for users")
    parser.add_argument("--output", type=Path, metavar="FILE.npz", help="write the rows of every user and item")
    json_flag(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> None:
    """What the sub-command does."""
    from recq_lib.cli.main import show
    from recq_lib.runs.compress import compress

    data, ids = _read(options)
    extra = {} if options.gamma is None else {"gamma": options.gamma}
    extra |= {"scu": False} if options.no_scu else {}
    found = compress(options.method, data, budget=options.budget, dim=options.dim, seed=options.seed, **extra)
    if options.output is not None:
        found.save(options.output, ids)
    sizes, gamma = found.summary(), "" if found.gamma is None else f", γ = {found.gamma:.4g}"
    show(
        options,
        sizes,
        f"{found.method} on {found.dataset}{gamma}: {sizes['user_rows']:,} user rows and {sizes['item_rows']:,} item rows of {found.dim}, "
        f"{sizes['extra_indices']:,} further indices\n"
        f"{found.parameters:,} parameters, {found.ratio:.2%} of a full table; {found.table_bytes / 1e6:.2f} MB with all indices "
        f"instead of {found.full_bytes / 1e6:.2f} MB; {found.seconds:.2f} s",
    )


def _read(options: argparse.Namespace):
    """(data, ids of users and items in the user's file or None)"""
    import numpy as np

    from recq_lib.data import load, load_csv

    if options.csv is None:
        return load(options.dataset), None
    data = load_csv(options.csv, options.user, options.item, fractions=(1.0, 0.0, 0.0), duplicates="drop")
    return data, (data.user_ids.astype(np.str_), data.item_ids.astype(np.str_))
