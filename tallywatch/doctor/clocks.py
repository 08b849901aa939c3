"""Our clock against those of the servers that we talk to anyway."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Final

from ledger.checkup import server_time
from ledger.database import Database
from notifiers.probe import Probe
from tallywatch.doctor.finding import Check, Finding, length, ok, warning

TOLERANCE: Final = timedelta(seconds=5)
"""How far clocks may be apart. A greeting of a mail server tells whole seconds, and has been on its way."""


def clock(now: Callable[[], datetime], database: Database | None, server: Probe | None) -> Iterator[Finding]:
    """How far our clock is from the database server's and the mail server's, where they tell.

    Raises:
        LedgerError: when the database cannot be asked.
    """
    compared = False
    if database is not None and (theirs := server_time(database)) is not None:
        compared = True
        yield compare("the database's server", now(), theirs)
    if server is not None and server.time is not None:
        compared = True
        yield compare("the mail server", now(), server.time)
    if not compared:
        yield ok(Check.CLOCK, "", "not compared: no server that is asked here tells the time")


def compare(whose: str, ours: datetime, theirs: datetime) -> Finding:
    """Whether two clocks agree."""
    apart = abs(ours - theirs)
    if apart <= TOLERANCE:
        return ok(Check.CLOCK, "", f"agrees with that of {whose}")
    way = "ahead of" if ours > theirs else "behind"
    found = f"ours is {length(apart)} {way} that of {whose}"
    return warning(Check.CLOCK, "", found, "let both be set by NTP: days and months end by this clock")
