"""Upsert: a row in the place of the one with its key, in the words of whichever database it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import ARRAY, Connection, Table, bindparam, func, select
from sqlalchemy.dialects import sqlite

if TYPE_CHECKING:
    from sqlalchemy.dialects import postgresql


def upsert(connection: Connection, table: Table, changed: Sequence[str]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that, where the primary key is there already, replaces these columns of the row instead."""
    keys = list(table.primary_key.columns)
    if connection.dialect.name == "postgresql":
        from sqlalchemy.dialects import postgresql  # noqa: PLC0415 (slow; only who has such a database needs it)

        there = postgresql.insert(table)
        return there.on_conflict_do_update(index_elements=keys, set_={name: there.excluded[name] for name in changed})
    here = sqlite.insert(table)
    return here.on_conflict_do_update(index_elements=keys, set_={name: here.excluded[name] for name in changed})


def upsert_many(
    connection: Connection, table: Table, changed: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Upserts many rows that all have the same columns: 100,000 of them in about a second.

    PostgreSQL is sent whole columns, because it answers each row that it is sent.
    """
    if not rows:
        return
    statement = upsert(connection, table, changed)
    if isinstance(statement, sqlite.Insert):
        connection.execute(statement, list(rows))
        return
    names = list(rows[0])
    columns = [func.unnest(bindparam(name, type_=ARRAY(table.c[name].type))) for name in names]
    connection.execute(
        statement.from_select(names, select(*columns)), {name: [row[name] for row in rows] for name in names}
    )
