"""The due table: what the service does next, and when. It may be lost: it is computed anew from the configuration."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import Connection, select

from ledger.tables import due
from ledger.upsert import upsert

_COLUMNS: Final = ("at", "rule", "failures", "detail")


@dataclass(frozen=True, slots=True)
class Due:
    """One thing to do: `rule` is the schedule as text, `failures` how often in a row it failed, `detail` how last."""

    name: str
    at: datetime
    rule: str
    failures: int = 0
    detail: str = ""


def load(connection: Connection) -> dict[str, Due]:
    """Everything that is due some time, by name."""
    rows = connection.execute(select(due))
    return {row.name: Due(row.name, row.at, row.rule, row.failures, row.detail) for row in rows}


def put(connection: Connection, item: Due) -> None:
    """Writes an entry in the place of the one of its name."""
    row = {"name": item.name, **{name: getattr(item, name) for name in _COLUMNS}}
    connection.execute(upsert(connection, due, _COLUMNS), row)


def remove(connection: Connection, name: str) -> None:
    """Removes an entry: it is done for good."""
    connection.execute(due.delete().where(due.c.name == name))


def keep_only(connection: Connection, names: Collection[str]) -> None:
    """Removes what is not among these names: it is no longer in the configuration."""
    gone = [name for name in connection.execute(select(due.c.name)).scalars() if name not in names]
    if gone:
        connection.execute(due.delete().where(due.c.name.in_(gone)))
