"""What stands for characters that an encoding lacks."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from recq_lib.io.plain import HANDLER, plain, register

register()


@pytest.mark.parametrize(("text", "typed"), [
    ("γ = 2 ± 1", "gamma = 2 +- 1"), ("3 × 4 ≤ 12", "3 x 4 <= 12"), ("λΣ", "lambdaSigma"), ("L²Q-GCN, 10⁻¹⁶, Bᵀ", "L^2Q-GCN, 10^-16, B^T"),
    ("café", "cafe"), ("a → b", "a -> b"),
    ("中", "\\u4e2d"), ("\udc80", "\\udc80"), ("B̃", "B"), ("Â", "A"), ("plain text ~", "plain text ~"),
])  # fmt: skip
def test_what_is_typed(text, typed):
    assert plain(text) == typed


@given(st.text(st.characters()))
def test_any_text_can_be_written_anywhere(text):
    for encoding in ("ascii", "cp1252", "latin-1", "utf-8"):
        back = text.encode(encoding, HANDLER).decode(encoding)
        assert plain(back) == plain(text) if encoding == "ascii" else len(back) >= 0
    assert plain(text).isascii() and text.encode("ascii", HANDLER).decode() == plain(text)


def test_an_encoding_keeps_what_it_has():
    assert "γ × é".encode("cp1252", HANDLER) == b"gamma \xd7 \xe9" and "γ".encode("utf-8", HANDLER).decode() == "γ"
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors=HANDLER)
    print("±γ", file=stream, flush=True)
    assert stream.buffer.getvalue() == b"+-gamma\n"


def test_no_sign_of_the_library_is_shown_as_an_escape():
    signs = {sign for path in (Path(__file__).parents[2] / "recq_lib").rglob("*.py") for sign in path.read_text(encoding="utf-8")}
    assert len(signs) > 100 and [sign for sign in sorted(signs) if "\\" in plain(sign) and sign != "\\"] == []
