"""Each id once per store: telling new messages from those that were there before.

The first message with an id wins. Another one with the same content is a duplicate, one with other content a conflict.
Both are kept aside as evidence, so that a count can say how many of them its filter would have matched.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from ledger.parts import ROLES, Role
from logviews.embedded import engine
from logviews.embedded.sqltext import text
from logviews.messages import content

_NAMED_CONFLICTS: Final = 10


@dataclass(frozen=True, slots=True)
class Separated:
    """The Parquet files to register, and how many messages they hold."""

    files: tuple[tuple[Role, Path], ...]
    new: int
    duplicates: int
    conflicts: int
    conflicting_ids: tuple[str, ...]  # at most ten


def separate(
    connection: DuckDBPyConnection,
    registered: Sequence[Path],
    part: Path,
    has_ids: bool,
    write: Callable[[str, Path], None],
    in_order: Callable[[], None],
) -> Separated:
    """Splits a freshly written part into what is new and what was there before.

    Args:
        connection: where to work; it gets temporary tables.
        registered: the store's parts so far; their id columns are read once.
        part: the new part, its rows in any order.
        has_ids: whether messages have ids; without, every line counts.
        write: writes the rows of a SELECT as a part.
        in_order: writes the part again with its rows in the order of the file, for when it matters which came first.
    """
    rows = engine.number(connection, f"SELECT count(*) FROM {_parquet([part])}")
    if not rows:
        return Separated((), 0, 0, 0, ())
    whole = Separated((("messages", part),), rows, 0, 0, ())
    if not has_ids or not _find_suspects(connection, registered, part):
        return whole
    _judge(connection, registered, part)
    if engine.number(connection, "SELECT count(*) FROM judged WHERE n > 1 AND NOT known AND digest <> first_digest"):
        in_order()
        _judge(connection, registered, part)
    duplicates = engine.number(connection, "SELECT count(*) FROM judged WHERE known OR n > 1")
    if not duplicates:
        return whole
    conflicts = _conflicts(connection, registered, part)
    files: list[tuple[Role, Path]] = []
    numbered = f"SELECT * FROM read_parquet({text(str(part))}, file_row_number = true)"
    again = "SELECT r FROM judged WHERE known OR n > 1"
    for role in ROLES:
        if role == "messages" and rows == duplicates:
            continue
        condition = f"{'NOT ' if role == 'messages' else ''}IN ({again})"
        target = part.with_name(f"{role}.parquet")
        write(f"SELECT * EXCLUDE (file_row_number) FROM ({numbered}) WHERE file_row_number {condition}", target)
        files.append((role, target))
    return Separated(tuple(files), rows - duplicates, duplicates, len(conflicts), tuple(conflicts[:_NAMED_CONFLICTS]))


def _find_suspects(connection: DuckDBPyConnection, registered: Sequence[Path], part: Path) -> int:
    """Hashes of ids that may not be new. Hashes, because three million ids as text would not fit in memory."""
    mine = _parquet([part])
    connection.execute(
        f"CREATE OR REPLACE TEMP TABLE suspect AS SELECT hash(id) AS h FROM {mine} GROUP BY h HAVING count(*) > 1"
    )
    if registered:
        connection.execute(
            f"INSERT INTO suspect SELECT DISTINCT hash(id) FROM {_parquet(registered)} "
            f"WHERE hash(id) IN (SELECT hash(id) FROM {mine})"
        )
    return engine.number(connection, "SELECT count(*) FROM suspect")


def _judge(connection: DuckDBPyConnection, registered: Sequence[Path], part: Path) -> None:
    theirs = (
        f"SELECT id, md5(line) AS digest FROM {_parquet(registered)} WHERE hash(id) IN (SELECT h FROM suspect)"
        if registered
        else "SELECT '' AS id, '' AS digest WHERE false"
    )
    connection.execute(f"""
        CREATE OR REPLACE TEMP TABLE judged AS
        SELECT r, mine.id AS id, mine.digest AS digest, theirs.id IS NOT NULL AS known,
            row_number() OVER w AS n, first_value(r) OVER w AS first_r,
            coalesce(theirs.digest, first_value(mine.digest) OVER w) AS first_digest
        FROM (SELECT file_row_number AS r, id, md5(line) AS digest
              FROM read_parquet({text(str(part))}, file_row_number = true)
              WHERE hash(id) IN (SELECT h FROM suspect)) mine
        LEFT JOIN ({theirs}) theirs ON mine.id = theirs.id
        WINDOW w AS (PARTITION BY mine.id ORDER BY r)""")


def _conflicts(connection: DuckDBPyConnection, registered: Sequence[Path], part: Path) -> list[str]:
    """The ids of messages whose content differs from the first with that id, one entry a message."""
    mine = f"(SELECT file_row_number AS r, line FROM read_parquet({text(str(part))}, file_row_number = true))"
    differing = "(SELECT * FROM judged WHERE (known OR n > 1) AND digest <> first_digest)"
    queries = [
        f"SELECT j.id, a.line, b.line FROM {differing} j JOIN {mine} a ON a.r = j.r "
        f"JOIN {mine} b ON b.r = j.first_r WHERE NOT j.known ORDER BY j.r"
    ]
    if registered:
        queries.append(
            f"SELECT j.id, a.line, b.line FROM {differing} j JOIN {mine} a ON a.r = j.r "
            f"JOIN (SELECT id, line FROM {_parquet(registered)} WHERE hash(id) IN (SELECT h FROM suspect)) b "
            "ON b.id = j.id "
            "WHERE j.known ORDER BY j.r"
        )
    found: list[str] = []
    for query in queries:
        cursor = connection.execute(query)
        while rows := cursor.fetchmany(1000):
            found += [id_ for id_, line, first in rows if content(line) != content(first)]
    return found


def _parquet(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(text(str(path)) for path in paths)}], union_by_name = true)"
