"""The ledger's tables, as SQLAlchemy Core. Modes: A append-only, R replaced (derivable), S only its status changes.

Append-only is enforced by triggers (see the first migration). Large numbers, money and quantities are text, so that no
database rounds them.
"""

from __future__ import annotations

from typing import Final

from ledger.tables.base import NAMING, Instant, Serial, metadata
from ledger.tables.installation import audit, definition, installation
from ledger.tables.logs import content, followed, listed, merged, part, part_field, problem, source, stretch
from ledger.tables.statements import file, line, statement
from ledger.tables.tallies import bucket, quantity, tally, watermark
from ledger.tables.watching import (
    delivery,
    due,
    evaluation,
    hold,
    judged,
    notice,
    notice_key,
    standing,
    suppression,
    transition,
)

__all__ = [
    "APPEND_ONLY",
    "NAMING",
    "Instant",
    "Serial",
    "audit",
    "bucket",
    "content",
    "definition",
    "delivery",
    "due",
    "evaluation",
    "file",
    "followed",
    "hold",
    "installation",
    "judged",
    "line",
    "listed",
    "merged",
    "metadata",
    "notice",
    "notice_key",
    "part",
    "part_field",
    "problem",
    "quantity",
    "source",
    "standing",
    "statement",
    "stretch",
    "suppression",
    "tally",
    "transition",
    "watermark",
]

APPEND_ONLY: Final = (
    "installation",
    "definition",
    "part",
    "source",
    "content",
    "stretch",
    "merged",
    "evaluation",
    "transition",
    "notice",
    "notice_key",
    "statement",
    "line",
    "audit",
)
