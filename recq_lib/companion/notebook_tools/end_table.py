"""What became of each notebook of a run, and the table that says so."""

from __future__ import annotations

from dataclasses import dataclass, field

UP_TO_DATE = "up to date"
OK = "ok"


@dataclass
class Row:
    """One line of the end table. `figures`: drawn by the notebook; `published` and `kept`: what `--publish` did with them."""

    notebook: str
    source: str = "–"
    seconds: float = 0.0
    peak_mb: float | None = None
    status: str = "not run"
    figures: list[str] = field(default_factory=list)
    published: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)

    @property
    def good(self) -> bool:
        """Did it end well?"""
        return self.status in (OK, UP_TO_DATE)


def report(rows: list[Row], profile: str, *, publish: bool = False) -> str:
    """The end table: notebook, data source, seconds, peak memory, status; then what became of the figures."""
    head = ("notebook", "data source", "seconds", "peak MB", "status")
    body = [
        (row.notebook, row.source, f"{row.seconds:.1f}", "–" if row.peak_mb is None else f"{row.peak_mb:.0f}", _cut(row.status))
        for row in rows
    ]
    widths = [max(len(line[column]) for line in [head, *body]) for column in range(len(head))]
    lines = [f"profile {profile}", _line(head, widths), "  ".join("-" * width for width in widths)]
    lines += [_line(cells, widths) for cells in body]
    bad = [row for row in rows if not row.good]
    lines += ["", f"{len(rows) - len(bad)} of {len(rows)} notebooks good, {_figures(rows, profile, publish)}"]
    for row in bad:
        lines.append(f"{row.notebook}: see out/{profile}/{row.notebook}.ipynb and out/{profile}/logs/{row.notebook}.log")
    return "\n".join(lines)


def _figures(rows: list[Row], profile: str, publish: bool) -> str:
    drawn = sum(len(row.figures) for row in rows if row.good)
    if not publish:
        return f"{drawn} figures in out/{profile}/figures/ (figures/ is renewed by --publish)"
    published, kept = sum(len(row.published) for row in rows), sum(len(row.kept) for row in rows)
    return f"{drawn} figures, {published} published, {kept} kept from real data or a higher profile"


def _cut(text: str, width: int = 100) -> str:
    return text if len(text) <= width else text[: width - 1] + "…"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    aligned = [cell.rjust(width) if column in (2, 3) else cell.ljust(width) for column, (cell, width) in enumerate(zip(cells, widths))]
    return "  ".join(aligned).rstrip()
