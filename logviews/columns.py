"""Columns that a part was not written with: taken out of its raw lines once, and kept beside it.

The raw line is the truth; such a file is a cache that can be deleted at any time. It repeats time, customer and id, so
that a count reads one file a part and never joins.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from duckdb import DuckDBPyConnection

from logviews import extract
from logviews.sqltext import quote, text


def ensure_columns(connection: DuckDBPyConnection, part: Path, target: Path, fields: Sequence[str]) -> Path:
    """The file with these fields' columns of a part, made if it is not there yet; one pass over the part's lines."""
    if target.is_file():
        return target
    target.parent.mkdir(exist_ok=True)
    register_name = f"exact_values_{target.stem.replace('-', '_')}"
    extract.register(connection, fields, register_name)
    lines = f"SELECT time, customer, id, line FROM read_parquet({text(str(part))})"
    values = extract.values_sql("line", lines, fields, register_name)
    columns = ", ".join(f"v[{index}] AS {quote(extract.column(field))}" for index, field in enumerate(fields, 1))
    beside = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        connection.execute(
            f"COPY (SELECT time, customer, id, {columns} FROM ({values})) TO {text(str(beside))} "
            "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
        )
        beside.replace(target)
    finally:
        beside.unlink(missing_ok=True)
    for older in target.parent.glob(f"{part.stem}-*.parquet"):
        if older != target:
            older.unlink(missing_ok=True)
    return target
