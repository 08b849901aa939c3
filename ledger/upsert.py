"""Upsert: a row in the place of the one with its key, in the words of whichever database it is."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql, sqlite


def upsert(connection: Connection, table: Table, changed: Sequence[str]) -> sqlite.Insert | postgresql.Insert:
    """An INSERT that, where the primary key is there already, replaces these columns of the row instead."""
    keys = list(table.primary_key.columns)
    if connection.dialect.name == "postgresql":
        there = postgresql.insert(table)
        return there.on_conflict_do_update(index_elements=keys, set_={name: there.excluded[name] for name in changed})
    here = sqlite.insert(table)
    return here.on_conflict_do_update(index_elements=keys, set_={name: here.excluded[name] for name in changed})
