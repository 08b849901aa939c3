"""DuckDB as the embedded store uses it: one short-lived connection per task, bounded in memory, quiet on stdout."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import duckdb
from duckdb import DuckDBPyConnection
from duckdb.func import SPECIAL

from logviews.store import StoreUnavailable

MEMORY_LIMIT: Final = "400MB"
_INTERRUPTED_FUNCTION: Final = (
    "Invalid Input Error: Python exception occurred while executing the UDF: KeyboardInterrupt"
)


def add_function(
    opened: DuckDBPyConnection, name: str, function: Callable[..., Any], parameters: Sequence[str], returns: str
) -> None:
    """Gives a connection a function of ours; it sees NULL as None, or never, as the caller's SQL has it.

    Close the connection before the interpreter ends: the binding prints warnings about functions that still live then.
    """
    types: list[Any] = [duckdb.sqltype(parameter) for parameter in parameters]  # the stubs want a union, invariantly
    opened.create_function(name, function, types, duckdb.sqltype(returns), null_handling=SPECIAL)


@contextmanager
def connection(spill: Path | None = None, memory_limit: str = MEMORY_LIMIT) -> Iterator[DuckDBPyConnection]:
    """A connection of its own, closed at the end. `spill` is a folder for what does not fit in memory."""
    opened = duckdb.connect(
        config={
            "memory_limit": memory_limit,
            "preserve_insertion_order": "false",
            "autoinstall_known_extensions": "false",
            "temp_directory": str(spill) if spill else "",
        }
    )
    try:
        # its progress bar goes to stdout, among the results
        opened.execute("SET enable_progress_bar = false; SET TimeZone = 'UTC'")
        yield opened
    finally:
        opened.close()


def is_disk_full(error: duckdb.Error) -> bool:
    """Whether an error of DuckDB says that the disk is full."""
    said = str(error)
    return "No space left" in said or f"errno {errno.ENOSPC}" in said or "File too large" in said


def is_interrupt(error: duckdb.Error) -> bool:
    """Whether Ctrl-C came while the engine worked, or while it called a function of ours."""
    return isinstance(error, duckdb.InterruptException) or str(error).startswith(_INTERRUPTED_FUNCTION)


def unavailable(store: str, error: duckdb.Error) -> StoreUnavailable:
    """An error of DuckDB while counting, as a sentence."""
    return StoreUnavailable(f"store {store} cannot be read: {str(error).splitlines()[0]}")


def row(opened: DuckDBPyConnection, sql: str, parameters: dict[str, object] | None = None) -> tuple[object, ...]:
    """The only row of a query. It is fetched to the end: a connection with an unfinished result takes no other work."""
    rows: list[tuple[object, ...]] = opened.execute(sql, parameters or {}).fetchall()
    if len(rows) != 1:
        raise AssertionError(f"one row was expected, not {len(rows)}")
    return rows[0]


def number(opened: DuckDBPyConnection, sql: str, parameters: dict[str, object] | None = None) -> int:
    """The only value of a query, which is an integer."""
    found = row(opened, sql, parameters)[0]
    if not isinstance(found, int):
        raise TypeError(f"an integer was expected, not {found!r}")
    return found
