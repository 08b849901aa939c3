"""The stores in Elasticsearch: whether they answer, what is allowed, and what their mappings would change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from config.load import Loaded
from ledger.database import Database
from logviews.elastic import inspection
from logviews.elastic.session import Session
from logviews.fields import fields_of_view
from logviews.store import StoreUnavailable
from tallywatch.connections import CONNECTIONS
from tallywatch.doctor.clocks import compare
from tallywatch.doctor.finding import Check, Finding, failed, ok, warning
from tallywatch.doctor.stores import freshness

_MOST: Final = 10
_READ: Final = f"give its role {' and '.join(inspection.NEEDED)} on the store's indices; nothing more is needed"


def examine(loaded: Loaded, database: Database, now: Callable[[], datetime]) -> Iterator[Finding]:
    """Every finding about every store in Elasticsearch. What one that does not answer would tell is left out."""
    for name, settings in loaded.config.elasticsearch_stores.items():
        try:
            yield from _of(loaded, database, CONNECTIONS.of(name, settings).session, now)
        except StoreUnavailable as error:
            yield failed(Check.CLUSTER, f"store {name}", str(error), "mend that: until then nothing of it is counted")


def _of(loaded: Loaded, database: Database, session: Session, now: Callable[[], datetime]) -> Iterator[Finding]:
    about, time = f"store {session.name}", session.store.fields.time
    missing = inspection.lacking(session)
    if missing:
        yield failed(Check.PRIVILEGES, about, f"the user lacks {' and '.join(missing)}", _READ)
        return
    number, untimed = inspection.messages(session)
    version = inspection.version(session)
    which = "of a version that it does not tell" if version is None else version
    yield ok(Check.CLUSTER, about, f"Elasticsearch {which} answers, with {number:,} messages")
    if missing is not None:
        yield ok(Check.PRIVILEGES, about, f"the user has {' and '.join(inspection.NEEDED)}")
    yield from _mappings(loaded, session)
    if untimed:
        found = f"{untimed:,} messages have no {time}, so no period has them"
        yield warning(Check.MAPPING, about, found, "find out what writes them; correct fields.time, or the messages")
    theirs = inspection.server_time(session)
    if theirs is not None:
        yield compare(f"the cluster of {about}", now(), theirs)
    yield freshness(loaded, database, session.name, now())


def _mappings(loaded: Loaded, session: Session) -> Iterator[Finding]:
    about, settings = f"store {session.name}", session.store
    used = {settings.fields.time, settings.fields.customer, *settings.types}
    for view in loaded.config.views.values():
        if view.store == session.name:
            used.update(fields_of_view(view))
    found = list(inspection.sloppy(session, sorted(used)))
    for one in found[:_MOST]:
        remedy = f"{one.remedy}, and reindex; until then a message may count as what it is not"
        yield warning(Check.MAPPING, about, f"index {one.index}: {one.field} {one.how}", remedy)
    if len(found) > _MOST:
        yield warning(Check.MAPPING, about, f"and {len(found) - _MOST:,} more such fields", "mend those first")
    if not found:
        yield ok(
            Check.MAPPING, about, f"its mappings take the {len(used):,} fields that are used as messages have them"
        )
