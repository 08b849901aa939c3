"""Parquet files of somebody else's, as JSON lines."""

from __future__ import annotations

import os
from pathlib import Path

from duckdb import DuckDBPyConnection
from duckdb import Error as DuckDBError

from logviews.embedded.sqltext import quote, text
from logviews.intake.files import Beginning, IngestError, LogFile, copy, opened

_Tree = dict[str, "str | _Tree"]


def parquet_to_lines(connection: DuckDBPyConnection, file: LogFile, target: Path) -> Beginning:
    """Writes a Parquet file as JSON lines, in its order. Timestamps become RFC 3339, with `Z` where they have a zone.

    Gives the length and hash of the file.

    Raises:
        IngestError: when the file cannot be read, or has a column of bytes.
    """
    source = f"read_parquet({text(str(file.path))})"
    try:
        tree = _tree(connection, file, source)
        rows = f"SELECT CAST({_json_object(tree)} AS VARCHAR) AS line FROM {source}"
        connection.execute("SET preserve_insertion_order = true")
        connection.execute(
            f"COPY ({rows}) TO {text(str(target))} (FORMAT csv, HEADER false, QUOTE '', ESCAPE '', DELIMITER E'\x01')"
        )
        connection.execute("SET preserve_insertion_order = false")
    except DuckDBError as error:
        raise IngestError(f"{file.name}: the Parquet file cannot be read: {str(error).splitlines()[0]}") from error
    with opened(file) as stream:
        return copy(stream, Path(os.devnull))


def _tree(connection: DuckDBPyConnection, file: LogFile, source: str) -> _Tree:
    """The columns' SQL as the nested fields that their dotted names mean."""
    tree: _Tree = {}
    for name, type_, *_ in connection.execute(f"DESCRIBE SELECT * FROM {source}").fetchall():
        node = tree
        *parents, last = str(name).split(".")
        for segment in parents:
            child = node.setdefault(segment, {})
            if isinstance(child, str):
                raise IngestError(f"{file.name}: {segment!r} cannot be a column beside columns inside it")
            node = child
        if last in node:
            raise IngestError(f"{file.name}: {last!r} cannot be a column beside columns inside it")
        node[last] = _value(file.name, quote(str(name)), str(type_))
    return tree


def _value(path: str, column: str, type_: str) -> str:
    if type_ == "TIMESTAMP WITH TIME ZONE":
        return f"strftime({column} AT TIME ZONE 'UTC', '%Y-%m-%dT%H:%M:%S.%fZ')"
    if type_ == "TIMESTAMP_NS":  # a cast to microseconds would round
        return f"strftime({column}, '%Y-%m-%dT%H:%M:%S.%n')"
    if type_ in ("TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS"):
        return f"strftime(CAST({column} AS TIMESTAMP), '%Y-%m-%dT%H:%M:%S.%f')"
    if "TIMESTAMP" in type_:
        raise IngestError(f"{path}: column {column} holds times inside {type_}; give them a column of their own")
    if "BLOB" in type_:
        raise IngestError(f"{path}: column {column} holds bytes, not text")
    return column


def _json_object(tree: _Tree) -> str:
    members = (f"{text(key)}, {node if isinstance(node, str) else _json_object(node)}" for key, node in tree.items())
    return f"json_object({', '.join(members)})"
