"""The demo's log files: one a UTC day, JSON lines, the older ones compressed as log rotation leaves them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import fields
from datetime import date
from pathlib import Path
from typing import Final

import duckdb
from duckdb import DuckDBPyConnection

from config.errors import TallywatchError
from tallywatch.demo.kinds import METHODS, PATHS, SERVICES
from tallywatch.demo.messages import Messages
from tallywatch.demo.month import log_days

_PLAIN_DAYS: Final = 3  # the newest are not compressed yet
_MEMORY: Final = "250MB"


class LogsError(TallywatchError):
    """A log file cannot be written."""


def file_name(day: date) -> str:
    """`2026-10-01.jsonl.zst`, or without the end for the newest days."""
    return f"{day}.jsonl" if day in log_days()[-_PLAIN_DAYS:] else f"{day}.jsonl.zst"


class Writer:
    """Writes files of messages; the same messages give the same bytes."""

    def __init__(self, connection: DuckDBPyConnection, callers: Sequence[str | None]) -> None:
        self._connection = connection
        self._select = f"SELECT {_line(callers)} AS line FROM messages"  # noqa: S608 (of our own constants, quoted by _text)

    def write(self, path: Path, messages: Messages) -> None:
        """Writes one file, whole or not at all; compressed if its name says so. 100,000 messages take 0.1 s.

        Raises:
            LogsError: with the reason in a sentence.
        """
        beside = path.with_name(f".{path.name}.part")
        compression = "zstd" if path.suffix == ".zst" else "none"
        columns = {field.name: getattr(messages, field.name) for field in fields(messages)}
        try:
            self._connection.register("messages", columns)
            self._connection.execute(
                f"COPY ({self._select}) TO {_text(str(beside))} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', "
                f"DELIMITER E'\\x01', COMPRESSION {compression})"
            )
            with beside.open("rb") as written:
                os.fsync(written.fileno())
            beside.replace(path)
        except duckdb.Error as error:
            raise LogsError(f"{path} cannot be written: {str(error).splitlines()[0]}") from error
        except OSError as error:
            raise LogsError(f"{path} cannot be written: {error.strerror or error}") from error
        finally:
            beside.unlink(missing_ok=True)


@contextmanager
def writer(callers: Sequence[str | None]) -> Iterator[Writer]:
    """A writer for messages whose callers these are."""
    connection = duckdb.connect(config={"memory_limit": _MEMORY, "autoinstall_known_extensions": "false"})
    try:
        connection.execute("SET enable_progress_bar = false")
        yield Writer(connection, callers)
    finally:
        connection.close()


def _line(callers: Sequence[str | None]) -> str:
    """SQL for a message's JSON text, with the names of the Elastic Common Schema."""
    customers = ["" if value is None else f',"customer":{{"id":{json.dumps(value)}}}' for value in callers]
    path = _chosen(PATHS, "path")
    number = f"CASE WHEN {path} LIKE '%/' THEN CAST(number AS VARCHAR) ELSE '' END"
    parts = (
        _text('{"@timestamp":"'),
        "strftime(make_timestamp_ms(time), '%Y-%m-%dT%H:%M:%S.%g')",
        _text('Z","event":{"id":"'),
        "printf('%010d', serial)",
        _text('"},"service":{"name":"'),
        _chosen(SERVICES, "service"),
        _text('"}'),
        _chosen(customers, "caller"),
        _text(',"http":{"request":{"method":"'),
        _chosen(METHODS, "method"),
        _text('"},"response":{"status_code":'),
        "status",
        _text(',"body":{"bytes":'),
        "size",
        _text('}}},"url":{"path":"'),
        path,
        number,
        _text('"}}'),
    )
    return " || ".join(parts)


def _chosen(texts: Sequence[str], index: str) -> str:
    """SQL for the text that an index chooses."""
    return f"[{', '.join(map(_text, texts))}][{index} + 1]"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
