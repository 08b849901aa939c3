"""Unused filters: tallies that no view of the configuration asks for any more go, after a while and bit by bit."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Final

from ledger import watermarks
from ledger.database import Database
from ledger.watermarks import Watermark

UNUSED_FOR: Final = timedelta(days=7)
"""How long tallies stay after they were used last: a change that is taken back within a week costs no backfill."""

_AT_ONCE: Final = timedelta(days=1)


def drop_unused(
    database: Database, used: Collection[str], at: datetime, may_go_on: Callable[[], bool]
) -> list[Watermark]:
    """Removes filters that are not among the `used` hashes and were last counted long ago; gives what they were.

    A day's buckets go in one transaction, the oldest first, so nobody waits long for the ledger.
    """
    with database.connect() as connection:
        known = watermarks.load_all(connection)
    gone = []
    for mark in known:
        if mark.hash in used or at - mark.counted_at <= UNUSED_FOR:
            continue
        until = mark.since
        while until < mark.counted_to and may_go_on():
            until += _AT_ONCE
            with database.begin() as connection:
                watermarks.shorten(connection, mark.id, until)
        if until >= mark.counted_to:
            with database.begin() as connection:
                watermarks.drop(connection, mark.id)
            gone.append(mark)
    return gone
