"""Every claim of the three abstracts beside what the records say of it: reproduced, contradicted, undecided or untested (ours).

The claims lie in `published_tables/claims.csv`, in our words with the paper's number and place, each with what would measure it.
`claim_measures` reads the records; here is the table. A claim that a method is better, or passes a bar, is
*reproduced* where the rule of `verdict` says better, *contradicted* where it says worse or, for "better", equivalent, else *undecided*;
*untested* where nothing is recorded that measures it. Words hold for the data and protocol of their row alone: the papers' data,
settings and lengths are others in most rows.
"""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from recq_lib.companion import published
from recq_lib.companion.analysis.claim_findings import WORDS, Recorded
from recq_lib.companion.analysis.claim_measures import MEASURES

COLUMNS = ("paper", "claim", "where", "measured", "number", "95 %: users; seeds", "dataset", "protocol", "seeds", "verdict", "place")


# ---- the table ---------------------------------------------------------------------------------------------------------------


def claims_table(papers: Iterable[str] | None = None, ids: Iterable[str] | None = None) -> pd.DataFrame:
    """Claims of the `papers` (all of them, BiGeaR's included), or those of the `ids`, with what the records say; columns `COLUMNS`.

    One row per claim and finding: a claim that was measured on several data or in several ways has several rows.
    """
    recorded, rows = Recorded(), []
    for claim in published.claim_rows():
        wanted = (papers is None or claim["paper"] in set(papers)) and (ids is None or claim["id"] in set(ids))
        for found in MEASURES[claim["id"]](recorded) if wanted else ():
            place = (claim["paper"], claim["claim"], claim["provenance"], found.measured, found.number, found.interval)
            rows.append((*place, found.dataset, found.protocol, found.seeds, found.verdict, found.place or found.dataset))
    return pd.DataFrame(rows, columns=COLUMNS)


def in_short(table: pd.DataFrame) -> pd.DataFrame:
    """One row per claim of `claims_table`: paper, claim, verdict ("reproduced (beauty); undecided (lastfm)"), in the table's order."""
    rows = [(paper, claim, _where(part)) for (paper, claim), part in table.groupby(["paper", "claim"], sort=False)]
    return pd.DataFrame(rows, columns=["paper", "claim", "verdict"])


def _where(part: pd.DataFrame) -> str:
    told = []
    for said in WORDS:
        places = list(dict.fromkeys(place for place in part.loc[part["verdict"] == said, "place"] if place))
        if (part["verdict"] == said).any():
            told.append(f"{said} ({'; '.join(places)})" if places else said)
    return "; ".join(told)


def markdown(table: pd.DataFrame) -> str:
    """A table of text columns in Markdown, for a README."""
    lines = [list(table.columns), ["---"] * table.shape[1], *table.astype(str).to_numpy().tolist()]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def plain(table: pd.DataFrame) -> str:
    """`claims_table` as lines for a terminal: each claim, and below it what was found."""
    lines = []
    for (paper, claim, where), part in table.groupby(["paper", "claim", "where"], sort=False):
        lines.append(f"{paper}: {claim} ({where})")
        for row in part.to_dict("records"):
            seeds = f"{row['seeds']} seed{'' if row['seeds'] == '1' else 's'}" if row["seeds"] else ""
            facts = [row["number"], row["95 %: users; seeds"], row["dataset"], row["protocol"], seeds]
            lines.append(f"    {row['verdict']}: {row['measured']}" + "".join(f" · {fact}" for fact in facts if fact))
    return "\n".join(lines)
