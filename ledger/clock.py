"""The clock: the one place of the program that asks what time it is."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from config import values
from config.errors import UsageError

_EXAMPLES: Final = "2026-10-25T09:00:00+02:00 or 2026-10-25T07:00:00Z"


def cut(moment: datetime) -> datetime:
    """The same instant in UTC, cut (never rounded up) to milliseconds, which is what the ledger keeps.

    Raises:
        ValueError: for a naive datetime, which is no instant.
    """
    if moment.tzinfo is None:
        raise ValueError("a naive datetime is no instant")
    moment = moment.astimezone(UTC)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def now() -> datetime:
    """The present instant, in UTC, cut to milliseconds."""
    return cut(datetime.now(UTC))


def parse_instant(text: str) -> datetime:
    """The UTC instant that an RFC 3339 text with an offset means, cut to milliseconds.

    Raises:
        UsageError: for anything else; a time without an offset is told what it lacks.
    """
    moment = values.instant(text.strip())
    if moment is not None:
        return moment
    try:
        naive = datetime.fromisoformat(text.strip()).tzinfo is None
    except ValueError:
        naive = False
    if naive:
        raise UsageError(f"{text!r} has no offset, so it means no single instant; write {_EXAMPLES}")
    raise UsageError(f"{text!r} is no time; write one with an offset, such as {_EXAMPLES}")
