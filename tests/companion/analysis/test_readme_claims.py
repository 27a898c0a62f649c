"""README quotes the table of claims as the committed records give it."""

from pathlib import Path

import pytest

from recq_lib.companion.analysis.claims import claims_table, in_short, markdown

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.slow
def test_readme_quotes_the_claims_as_they_are_judged(monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(ROOT / "results"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = text.partition("<!-- claims -->\n")[2].partition("\n<!-- /claims -->")[0]
    assert quoted == markdown(in_short(claims_table())), "renew README's table: recq report prints it under 'In short'"
