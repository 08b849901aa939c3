"""Guards: triggers by which the database itself refuses to change what must not change.

A table is append-only, or its rows stay and only their status changes. Migrations put the guards up; table and column
names are constants of theirs, never input.
"""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection, text

_POSTGRESQL_REFUSAL = """
CREATE OR REPLACE FUNCTION tallywatch_refuse() RETURNS trigger LANGUAGE plpgsql AS
$$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0] USING ERRCODE = 'integrity_constraint_violation'; END $$
"""


def append_only(connection: Connection, table: str) -> None:
    """From now on no row of the table changes or goes."""
    _put_up(connection, table, "update", "UPDATE", f"{table} is append-only")
    _put_up(connection, table, "delete", "DELETE", f"{table} is append-only")
    _keep_whole(connection, table, f"{table} is append-only")


def status_only(connection: Connection, table: str, columns: tuple[str, ...]) -> None:
    """From now on no row of the table goes, and these columns keep their values."""
    _put_up(connection, table, "update", f"UPDATE OF {', '.join(columns)}", f"only the status of a {table} changes")
    _put_up(connection, table, "delete", "DELETE", f"a {table} is never deleted")
    _keep_whole(connection, table, f"a {table} is never deleted")


def take_down(connection: Connection, table: str) -> None:
    """Removes a table's guards, for a migration that changes the table and puts them up again."""
    for name in _names(connection, table):
        on = f" ON {table}" if connection.dialect.name == "postgresql" else ""
        connection.execute(text(f"DROP TRIGGER {name}{on}"))


def _names(connection: Connection, table: str) -> Iterator[str]:
    yield f"{table}_no_update"
    yield f"{table}_no_delete"
    if connection.dialect.name == "postgresql":
        yield f"{table}_no_truncate"


def _put_up(connection: Connection, table: str, name: str, occasion: str, reason: str) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text(_POSTGRESQL_REFUSAL))
        # a column list compares nothing, so what is written again unchanged is refused too, as in SQLite
        action = f"FOR EACH ROW EXECUTE FUNCTION tallywatch_refuse('{reason}')"
    else:
        action = f"BEGIN SELECT RAISE(ABORT, '{reason}'); END"
    connection.execute(text(f"CREATE TRIGGER {table}_no_{name} BEFORE {occasion} ON {table} {action}"))


def _keep_whole(connection: Connection, table: str, reason: str) -> None:
    """TRUNCATE, which SQLite does not have, asks no trigger that is for each row."""
    if connection.dialect.name == "postgresql":
        connection.execute(
            text(
                f"CREATE TRIGGER {table}_no_truncate BEFORE TRUNCATE ON {table} "
                f"EXECUTE FUNCTION tallywatch_refuse('{reason}')"
            )
        )
