"""The heartbeat: a sign of life for somebody else's watchdog, sent only while what matters works.

A URL is fetched every so often, as long as every monitor's last evaluation was good, none is overdue, no other job
fails again and again, and nothing has waited in the outbox for long. When it stops, whoever watches the URL
(healthchecks.io, Uptime Kuma, …) raises the alarm that this program cannot raise itself.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Final

import structlog

from config.load import Loaded
from ledger import deliveries, due, standings
from ledger.database import Database
from ledger.due import Due
from tallywatch.service.jobs import Job, every

OVERDUE_AFTER: Final = timedelta(minutes=5)
"""How late an evaluation may be; one that takes long is late by as much."""

OLD_AFTER: Final = timedelta(minutes=30)
"""How long a notice may wait in the outbox before the heartbeat stops."""

_TIMEOUT_SECONDS: Final = 10.0
_NAME: Final = "heartbeat"
log = structlog.get_logger("tallywatch.service.heartbeat")


def beating(loaded: Loaded, database: Database) -> Iterator[Job]:
    """The job that sends the heartbeat, where one is configured."""
    heartbeat = loaded.config.settings.heartbeat
    if heartbeat is None:
        return
    rule, first, following = every(heartbeat.every)

    def run(at: datetime) -> str | None:
        reason = ailment(loaded, database, at)
        if reason is None:
            return _beat(heartbeat.url.get_secret_value())
        log.warning("no heartbeat", reason=reason)
        return None  # it is not the heartbeat that fails

    yield Job(_NAME, rule, first, following, run, tells_itself=True)


def ailment(loaded: Loaded, database: Database, at: datetime) -> str | None:
    """Why there is no heartbeat now; None while all is well."""
    with database.connect() as connection:
        entries = due.load(connection)
        outcomes = {
            name: found[0].outcome if (found := standings.evaluations(connection, name, limit=1)) else None
            for name in loaded.config.monitors
        }
        waiting = deliveries.oldest_waiting(connection, at)
    for entry in entries.values():
        if entry.failures > 1 and entry.name != _NAME:
            return f"{entry.name} failed {entry.failures} times in a row: {entry.detail}"
    for name, outcome in outcomes.items():
        if (reason := _ailment_of(name, outcome, entries, at)) is not None:
            return reason
    if waiting is not None and at - waiting > OLD_AFTER:
        return f"a notice has waited in the outbox since {waiting.isoformat(timespec='seconds')}"
    return None


def _ailment_of(name: str, outcome: str | None, entries: Mapping[str, Due], at: datetime) -> str | None:
    entry = entries.get(f"evaluate {name}")
    if entry is not None and entry.failures:
        return f"monitor {name} could not be evaluated: {entry.detail}"
    if outcome is None and entry is not None and entry.at > at:
        return None  # its first evaluation waits for its hours
    if outcome == "unavailable":
        return f"monitor {name} could not be evaluated"
    if outcome is None or entry is None or at - entry.at > OVERDUE_AFTER:
        return f"monitor {name} has not been evaluated when it was due"
    return None


def _beat(url: str) -> str | None:
    request = urllib.request.Request(url, headers={"User-Agent": "tallywatch"})  # noqa: S310 (https or http, as configured)
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310 (as above)
            answer.read(1)
    except (OSError, ValueError) as error:
        reason = error.reason if isinstance(error, urllib.error.URLError) else error
        return f"the heartbeat could not be sent: {reason}"  # without the URL, which is often the only secret of it
    return None
