"""`recq compress`: share embedding rows of a dataset or of the user's own table."""

from __future__ import annotations

import sys
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Any

import tyro

from recq_lib.cli.flags import Method, NpzFile, Settings
from recq_lib.cli.train import assignment, converted
from recq_lib.data import load, load_csv
from recq_lib.data.interactions import Interactions
from recq_lib.errors import ConfigError, one_of
from recq_lib.io.output import output_file, show
from recq_lib.runs.registry import method
from recq_lib.runs.share import TOLERANCE, share

_OF_CSV = ("user", "item", "rating", "min_rating", "separator")
_OneSource = tyro.conf.create_mutex_group(required=True, title="source")


@dataclass(frozen=True)
class Compress:
    """Share embedding rows: rows per side, parameters, seconds; optionally the rows themselves."""

    method: Method  # baco, graphhash, random-hash, …; a wrong name lists them all
    dataset: Annotated[str | None, _OneSource] = None  # a dataset of the catalogue; its train split is compressed
    csv: Annotated[Path | None, _OneSource] = None  # your own table with a header line (CSV, gzipped or not, or Parquet); all rows are used
    user: str = "user"  # with --csv: column of user ids
    item: str = "item"  # with --csv: column of item ids
    rating: str | None = None  # with --csv: column of ratings, for --min-rating
    min_rating: float | None = None  # with --csv: leave out rows below this rating
    separator: str = ","  # with --csv: the character between fields
    gamma: float | None = None  # BACO's balance; without it γ is searched for the budget
    budget: float | None = None  # share of a full table (≤ 1) or number of parameters; default: GraphHash's
    tolerance: float = TOLERANCE  # by what share of a budget the size may miss it
    dim: int = 64  # numbers a row
    seed: int = 0  # of hash functions
    no_scu: bool = False  # BACO without second rows for users
    set: Settings = ()  # an option of the method: ties=official, cluster_seed=7, …; a wrong name lists them all
    output: NpzFile = None  # write the rows of every user and item
    json: bool = False  # print JSON

    def run(self) -> None:
        target = output_file(self.output)
        data = self._read()
        if data.source == "file" and data.notes:  # what was left out, how own ids are numbered
            print(f"note: {data.notes}", file=sys.stderr)
        extra = {} if self.gamma is None else {"gamma": self.gamma}
        extra |= {"scu": False} if self.no_scu else {}
        rows = share(data, self.method, budget=self.budget, tolerance=self.tolerance, dim=self.dim, seed=self.seed, **self._options(extra))
        if target is not None:
            rows.save(target)
        sizes = rows.summary(self.dim)
        show(sizes, _told(sizes), as_json=self.json)

    def _options(self, of_flags: dict[str, Any]) -> dict[str, Any]:
        """Those of flags and of --set. Raises `ConfigError` for unknown names, values of another type, and one that is given twice."""
        known, options = method(self.method).options, dict(of_flags)
        for name, value in map(assignment, self.set):
            if name in options:
                raise ConfigError(f"{name} is given twice, the last time by --set {name}={value}; give it once")
            options[name] = converted(name, type(known[one_of(f"option of {self.method!r}", name, tuple(known))]), value)
        return options

    def _read(self) -> Interactions:
        if self.csv is None:
            given = [field.name for field in fields(self) if field.name in _OF_CSV and getattr(self, field.name) != field.default]
            if given:
                raise ConfigError(f"--{given[0].replace('_', '-')} belongs to --csv; a dataset of the catalogue needs none, leave it out")
            return load(self.dataset)
        if self.min_rating is not None and self.rating is None:
            raise ConfigError(f"--min-rating is {self.min_rating:g}, but no column of ratings is named; add --rating COLUMN")
        columns = {"rating": self.rating, "min_rating": self.min_rating, "separator": self.separator}
        return load_csv(self.csv, self.user, self.item, **columns, fractions=(1.0, 0.0, 0.0), duplicates="drop")


def _told(sizes: dict[str, Any]) -> str:
    gamma = "" if sizes["gamma"] is None else f", γ = {sizes['gamma']:.4g}"
    asked = "" if sizes["asked"] is None else f" for {sizes['asked']:,} asked for ({sizes['parameters'] / sizes['asked'] - 1:+.1%})"
    return (
        f"{sizes['method']} on {sizes['dataset']}{gamma}: {sizes['user_rows']:,} user rows and {sizes['item_rows']:,} item rows "
        f"of {sizes['dim']}, {sizes['extra_indices']:,} further indices\n"
        f"{sizes['parameters']:,} parameters{asked}, {sizes['ratio']:.2%} of a full table; "
        f"{sizes['table_bytes'] / 1e6:.2f} MB with all indices instead of {sizes['full_bytes'] / 1e6:.2f} MB; {sizes['seconds']:.2f} s"
    )
