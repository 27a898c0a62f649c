"""What a terminal without a character prints in its place: `gamma` for γ, `x` for ×, `+-` for ±. One codec error handler for all output."""

from __future__ import annotations

import codecs
import unicodedata

HANDLER = "recq-plain"  # the name to give as `errors`

_SIGNS = {
    "·": "*", "×": "x", "±": "+-", "−": "-", "–": "-", "—": "-", "≤": "<=", "≥": ">=", "≠": "!=", "≈": "~", "∝": "~", "→": "->", "←": "<-",
    "…": "...", "‖": "||", "√": "sqrt ", "∈": " in ", "∞": "inf", "½": "1/2", "∩": " and ", "⊙": " o ", "⌈": "ceil(", "⌉": ")",
    "‘": "'", "’": "'", "“": '"', "”": '"', "─": "-", "━": "-", "│": "|", "┃": "|", "╭": "+", "╮": "+", "╰": "+", "╯": "+", "►": ">",
}  # fmt: skip


def plain(text: str) -> str:
    """`text` in ASCII: signs as they are typed, Greek letters by name, accents dropped, all else as an escape such as \\u4e2d.

    >>> plain("γ = 2 ± 1, 3 × 4, Σ…")
    'gamma = 2 +- 1, 3 x 4, Sigma...'
    """
    raised = [unicodedata.decomposition(character).startswith("<super>") for character in text]
    powers = ("^" if up and not before else "" for up, before in zip(raised, [False, *raised]))
    return "".join(power + (character if character.isascii() else _typed(character)) for power, character in zip(powers, text))


def register() -> None:
    """Make `HANDLER` known to Python's codecs; it leaves what an encoding has, and replaces the rest as `plain` does."""
    codecs.register_error(HANDLER, _handle)


def _handle(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return plain(error.object[error.start : error.end]), error.end


def _typed(character: str) -> str:
    if character in _SIGNS:
        return _SIGNS[character]
    case, _, letter = unicodedata.name(character, "").removeprefix("GREEK ").partition(" LETTER ")
    if letter and case in ("SMALL", "CAPITAL") and "GREEK" in unicodedata.name(character):
        name = "lambda" if letter == "LAMDA" else letter.split()[0].lower()
        return name.capitalize() if case == "CAPITAL" else name
    if unicodedata.combining(character):
        return ""
    simple = unicodedata.normalize("NFKD", character).replace("−", "-").encode("ascii", "ignore").decode()
    return simple or character.encode("ascii", "backslashreplace").decode()
