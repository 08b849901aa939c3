"""The log stores: their folders, the logs they read, their parts, how fresh those are, and what views count of them."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from config.load import Loaded
from config.models import EmbeddedStore
from config.roster import RosterCustomer
from ledger import parts
from ledger.database import Database
from ledger.periods import period_containing
from ledger.records import Period
from logviews.fields import fixed_reading, read_as
from logviews.intake.sightings import look
from logviews.readings import Integrity, ViewCount, count_view
from logviews.store import StoreUnavailable
from tallywatch import compose
from tallywatch.doctor.finding import Check, Finding, ago, failed, ok, warning
from tallywatch.doctor.machine import folder

_SHOWN: Final = 3
_LET: Final = "let the user of the service read there, such as by the group of the logs"


def places(loaded: Loaded) -> Iterator[Finding]:
    """For each embedded store whether its folder can be written, and its logs can be read."""
    for name, store in loaded.config.embedded_stores.items():
        yield folder(Check.FOLDER, f"store {name}", store.folder)
        for pattern in store.read:
            yield logs(f"store {name}", pattern, store.folder)


def contents(loaded: Loaded, database: Database, at: datetime) -> Iterator[Finding]:
    """For each embedded store whether its parts are there, and how new its messages are.

    Raises:
        LedgerError: when the ledger cannot be read.
    """
    for name, store in loaded.config.embedded_stores.items():
        whole = _parts(name, store, database)
        yield whole
        if whole.state == "ok":
            yield freshness(loaded, database, name, at)


def views(loaded: Loaded, database: Database, at: datetime, without: Collection[str] = ()) -> Iterator[Finding]:
    """For each view whether its present billing month can be counted, what is nobody's, and whose the last day is.

    Costs two counts a view. Views of the stores `without` are left out: why they cannot be counted is said already.

    Raises:
        LedgerError: when the ledger cannot be read.
    """

    def present(customer: RosterCustomer) -> Period:
        return period_containing("billing month", at, customer.zone, customer.billing_day)

    zone = loaded.config.settings.zone
    last_day = Period(at - timedelta(days=1), at, zone)
    for name, view in loaded.config.views.items():
        if view.store in without:
            continue
        try:
            store = compose.store(loaded, database, view.store)
            found = count_view(store, name, view, loaded.roster, present, at, default_zone=zone)
            recent = count_view(store, name, view, loaded.roster, lambda _: last_day, at, default_zone=zone)
        except StoreUnavailable as error:
            yield failed(
                Check.VIEW, name, f"cannot be counted: {error}", "mend that: nobody is told and nothing closed"
            )
        else:
            yield counted(name, found.integrity)
            yield whose(name, recent)


def counted(name: str, figures: Integrity) -> Finding:
    """What a view's count of the present month says of the view."""
    told = f"{figures.total:,} messages this month"
    if not figures.total:
        remedy = "if there should be some, look at its filter: tallywatch count and --from, --to of a busy hour"
        return warning(Check.VIEW, name, "no message of this month matches", remedy)
    nobody = [
        f"{number:,} are {word}"
        for word, number in (
            ("unattributed (no customer, or several)", figures.unattributed),
            ("unknown (of customers who are not on the roster)", figures.unknown),
        )
        if number
    ]
    if nobody:
        remedy = f"nobody is charged for these: see tallywatch count {name}, and add customers or aliases"
        return warning(Check.VIEW, name, f"{told}, of which {' and '.join(nobody)}", remedy)
    return ok(Check.VIEW, name, f"{told}, each of a known customer")


def whose(name: str, found: ViewCount) -> Finding:
    """How many messages a view finds in the last day, and which customers have most of them."""
    used = sorted(((-reading.messages, id_) for id_, reading in found.readings.items() if reading.messages))
    if not used:
        return ok(Check.VIEW, name, "no message of a selected customer in the last day")
    named = ", ".join(f"{id_} {-number:,}" for number, id_ in used[:_SHOWN])
    more = f" and {len(used) - _SHOWN:,} more" if len(used) > _SHOWN else ""
    total = -sum(number for number, _ in used)
    return ok(Check.VIEW, name, f"{total:,} messages in the last day, of {named}{more}")


def logs(about: str, pattern: Path, own: Path) -> Finding:
    """Whether there is something to pick up, and it may be read."""
    seen = look([pattern], own)
    found = [one.path for one in seen.files]
    if seen.hidden:
        return failed(Check.LOGS, about, next(iter(seen.hidden.values())), _LET)
    if not found:
        remedy = "if there should be some, correct read:, or the permissions of the folders above"
        return warning(Check.LOGS, about, f"no file matches {pattern}", remedy)
    closed = [path for path in found if not os.access(path, os.R_OK)]
    if closed:
        named = ", ".join(map(str, closed[:_SHOWN])) + (", …" if len(closed) > _SHOWN else "")
        return failed(Check.LOGS, about, f"{len(closed):,} of {len(found):,} files may not be read: {named}", _LET)
    files = "1 file matches" if len(found) == 1 else f"{len(found):,} files match"
    return ok(Check.LOGS, about, f"{files} {pattern} and may be read")


def _parts(name: str, store: EmbeddedStore, database: Database) -> Finding:
    about = f"store {name}"
    with database.connect() as connection:
        known = [part for role in parts.ROLES for part in parts.of_store(connection, name, role)]
    missing = [part.path for part in known if not (store.folder / part.path).is_file()]
    if missing:
        named = ", ".join(missing[:_SHOWN]) + (", …" if len(missing) > _SHOWN else "")
        found = f"{len(missing):,} of {len(known):,} parts are missing in {store.folder}: {named}"
        return failed(Check.PARTS, about, found, "restore them from a backup; until then nothing of theirs is counted")
    differing = next((part for part in known if part.read_as != read_as(store)), None)
    if differing is not None:
        found = fixed_reading(name, differing.read_as, read_as(store))
        return failed(Check.PARTS, about, found, "restore what the store said, or begin a new store")
    rows = sum(part.rows for part in known if part.role == "messages")
    many = "1 part is" if len(known) == 1 else f"{len(known):,} parts are"
    return ok(Check.PARTS, about, f"{many} there, with {rows:,} messages")


def freshness(loaded: Loaded, database: Database, name: str, at: datetime) -> Finding:
    """How new a store's messages are, and how long the newest took to arrive where that is known."""
    about = f"store {name}"
    try:
        fresh = compose.store(loaded, database, name).freshness(at)
    except StoreUnavailable as error:
        return failed(Check.FRESHNESS, about, str(error), "mend that: the store cannot be counted")
    if fresh.newest is None:
        return warning(
            Check.FRESHNESS, about, "there are no messages yet", "point read: at logs, or: tallywatch ingest"
        )
    took = "" if fresh.ingested is None else f"; last taken in at {ago(fresh.ingested, at)}"
    told = f"the newest message is of {ago(fresh.newest, at)}{took}"
    if fresh.stale:
        remedy = "see why no messages arrive: the program that writes the log, and what brings it here"
        return warning(Check.FRESHNESS, about, f"{told}, which is stale", remedy)
    return ok(Check.FRESHNESS, about, told)
