"""The seal: a statement's file as bytes, its name, and the hash that the ledger keeps of it."""

from __future__ import annotations

import csv
import hashlib
import io
from collections.abc import Iterable
from typing import Final

from exporters.layouts import layout_named
from ledger.statements import Line, SealedFile, StatementKey

FOLDER: Final = "exports"


def file_name(key: StatementKey) -> str:
    """`billing.csv`; `billing-day15.csv` for customers of another billing day than the first."""
    return f"{key.export}.csv" if key.billing_day == 1 else f"{key.export}-day{key.billing_day}.csv"


def file_path(key: StatementKey) -> str:
    """Where a statement's file belongs, from the configuration's folder on: `exports/2026-10/billing.csv`."""
    return f"{FOLDER}/{key.month}/{file_name(key)}"


def render(layout: str, lines: Iterable[Line]) -> bytes:
    """The lines as CSV of a layout: RFC 4180, UTF-8, CRLF, cells quoted only where they must be.

    The csv module quotes whatever holds a comma, a quote, CR or LF. 100,000 lines take well under a second.
    """
    chosen = layout_named(layout)
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n", quoting=csv.QUOTE_MINIMAL)
    writer.writerow(chosen.columns)
    writer.writerows(map(chosen.row, lines))
    return text.getvalue().encode("utf-8")


def seal_of(key: StatementKey, content: bytes) -> SealedFile:
    """What the ledger keeps of a statement's file."""
    return SealedFile(file_path(key), hashlib.sha256(content).hexdigest(), len(content))
