"""README quotes tables as the committed records give them."""

from pathlib import Path

import pytest

from recq_lib.companion import studies
from recq_lib.companion.analysis.claims import claims_table, in_short, markdown
from recq_lib.companion.analysis.recipe import levels_in_text

ROOT = Path(__file__).resolve().parents[3]
TABLES = {"claims": lambda: in_short(claims_table()), "recipe": lambda: levels_in_text(studies.recorded("recipe", "paper"))}


@pytest.mark.slow
@pytest.mark.parametrize("name", TABLES)
def test_readme_quotes_what_is_recorded(name, monkeypatch):
    monkeypatch.setenv("RECQ_RESULTS_DIR", str(ROOT / "results"))
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    quoted = text.partition(f"<!-- {name} -->\n")[2].partition(f"\n<!-- /{name} -->")[0]
    assert quoted and quoted == markdown(TABLES[name]()), f"renew README's table {name!r}"
