"""Text that came from outside, made harmless for a header and a line of a mail; and lines broken where they may be."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Mapping
from typing import Any, Final

LONGEST: Final = 200
PROSE: Final = 2_000
"""Sentences about the program itself, such as why a file is refused, may be so long."""
LINE: Final = 72
JOIN: Final = "\x1f"
"""Stands for a space at which a line must not be broken; `one_line` takes it out of whatever comes from outside."""

# characters that turn the direction of the text around them: one in a name would turn the figures beside it
_BIDI: Final = dict.fromkeys([0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)])
_SPACE: Final = re.compile(r"\s+")


def one_line(text: str, longest: int = LONGEST) -> str:
    """The text on one line: control characters become spaces, lone surrogates U+FFFD; a long one is cut."""
    if text.isascii() and text.isprintable() and len(text) <= longest and "  " not in text:
        return text.strip()  # nearly always, and ten times as fast
    text = text.translate(_BIDI)
    text = "".join(_harmless(character) for character in text)
    text = _SPACE.sub(" ", text).strip()
    return text if len(text) <= longest else text[: longest - 1].rstrip() + "…"


def _harmless(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    return "\ufffd" if category == "Cs" else character


def cleaned(document: Any, longest: int = LONGEST) -> Any:
    """A JSON document with every string of it on one line, at most so long."""
    if isinstance(document, str):
        return one_line(document, longest)
    if isinstance(document, Mapping):
        return {key: cleaned(value, longest) for key, value in document.items()}
    return [cleaned(item, longest) for item in document] if isinstance(document, list | tuple) else document


def joined(text: str) -> str:
    """The text marked so that `wrapped` keeps it on one line."""
    return text.replace(" ", JOIN)


def unmarked(text: str) -> str:
    """The text without the marks of `joined`."""
    return text.replace(JOIN, " ")


def wrapped(text: str) -> str:
    """Every line broken at spaces to `LINE` columns where possible, continued under its own beginning.

    A line that starts with `- ` continues under its text. Words are never broken.
    """
    lines: list[str] = []
    for line in text.strip().splitlines():
        if len(line) <= LINE and "\t" not in line and line == line.rstrip():
            lines.append(line)
            continue
        bare = line.strip()
        hanging = " " * (len(line) - len(line.lstrip()) + (2 if bare.startswith("- ") else 0))
        lines += textwrap.wrap(
            line, LINE, subsequent_indent=hanging, break_long_words=False, break_on_hyphens=False
        ) or [""]
    return unmarked("\n".join(lines)) + "\n"


def slug(text: str, longest: int = 40) -> str:
    """A part of a file name that is safe everywhere: a-z, 0-9 and single hyphens; `customer` where nothing is left."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-")[:longest].rstrip("-") or "customer"
