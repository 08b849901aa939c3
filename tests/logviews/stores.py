"""An embedded store on a real ledger, for the tests of counting."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from config.models import EmbeddedStore
from ledger.database import Database, open_database
from logviews import messages, reference
from logviews.embedded.store import Embedded
from logviews.intake import strict
from logviews.intake.ingest import Ingest, IngestReport
from logviews.reference import Event

AT = datetime(2026, 11, 1, tzinfo=UTC)
_NUMBERS = itertools.count(1)


def open_ledger(folder: Path) -> Database:
    """A fresh ledger in a folder."""
    return open_database(f"sqlite:///{folder}/ledger.db", simulation=False, now=AT)


@dataclass(frozen=True)
class Loaded:
    """A store with messages in it, and the same messages in plain Python."""

    store: Embedded
    events: list[Event]
    reports: list[IngestReport]


def settings(folder: Path, **changes: Any) -> EmbeddedStore:
    """A store's configuration: time, customer and id are fields of these names."""
    return EmbeddedStore.model_validate(
        {"type": "embedded", "folder": folder, "fields": {"time": "time", "customer": "customer", "id": "id"}} | changes
    )


def load(
    database: Database,
    folder: Path,
    lines: Iterable[str | Mapping[str, Any]],
    *,
    fields: Sequence[str] = (),
    files: int = 1,
    **changes: Any,
) -> Loaded:
    """Takes lines into a store of their own, spread over some files."""
    name = f"store{next(_NUMBERS)}"
    chosen = settings(folder / name, **changes)
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    taking = Ingest(name, chosen, tuple(fields), database)
    reports = []
    for number in range(files):
        path = folder / f"{name}-{number}.jsonl"
        path.write_text("".join(text + "\n" for text in texts[number::files]), encoding="utf-8")
        reports.append(taking.take(path, AT))
    rules = strict.rules_of(chosen)
    in_order = [text for number in range(files) for text in texts[number::files]]
    return Loaded(Embedded(name, chosen, tuple(fields), database), events_of(in_order, rules), reports)


def events_of(lines: Iterable[str], rules: strict.LineRules) -> list[Event]:
    """The messages of lines by the definition; each id once, the first wins."""
    found: dict[object, Event] = {}
    for number, line in enumerate(lines):
        message = rules.check(line)
        customers = {messages.raw_text(value) for value in messages.values(message, rules.customer_field)}
        ids = messages.values(message, rules.id_field) if rules.id_field else []
        event = Event(
            rules.time.read(messages.values(message, rules.time_field)[0]),
            customers.pop() or None if len(customers) == 1 else None,
            messages.raw_text(ids[0]) if ids else "",
            message,
        )
        found.setdefault(event.id if ids else number, event)
    return list(found.values())


def tallies(found: Iterable[Any]) -> dict[object, object]:
    """Tallies by subject and bucket, for comparison without order."""
    return {
        (tally.subject, tally.start): (tally.quantity, tally.messages, tally.values, tally.newest, tally.newest_id)
        for tally in found
    }


def expected(loaded: Loaded, query: Any) -> dict[object, object]:
    """What plain Python counts."""
    return tallies(reference.count(loaded.events, query, loaded.store.store.types))
