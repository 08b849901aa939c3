"""What is noted of a file that is followed, and whether it is worth a look now."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from ledger.following import Followed, State
from logviews.intake.sightings import Sighting

QUIET: Final = timedelta(seconds=60)
"""How long a file has to stay as it is until a last line without its end is whole, and what is not readable is told."""


def seen_now(one: Sighting, row: Followed | None, at: datetime, state: State) -> Followed:
    """A file as it is now; what is known of it stays."""
    since = row.since if row is not None and unchanged(one, row) else at
    if row is None or row.state == "copy":  # what it was a copy of is another file's
        return Followed(one.file, str(one.path), None, 0, 0, one.size, one.changed_ns, since, state)
    return replace(row, path=str(one.path), size=one.size, changed_ns=one.changed_ns, since=since, state=state)


def unchanged(one: Sighting, row: Followed) -> bool:
    """Whether a file is as it was at the last look."""
    return (row.size, row.changed_ns) == (one.size, one.changed_ns)


def worth_a_look(one: Sighting, row: Followed | None, at: datetime) -> bool:
    """Whether a file may have something new, or is called something else."""
    if row is None or row.path != str(one.path):
        return True
    if row.state == "denied":
        return os.access(one.path, os.R_OK)
    if row.state == "refused":  # one that goes on growing behind a bad line is not read again at each look
        return not unchanged(one, row) and at - row.since >= QUIET
    if not unchanged(one, row):
        return True
    waiting = row.state == "waiting" or (row.state == "cut" and row.bytes < row.size)
    return row.state in ("new", "more") or (waiting and at - row.since >= QUIET)
