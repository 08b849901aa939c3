"""Columns that a part was not written with: taken out of its raw lines once, and kept beside it.

The raw line is the truth; such a file is a cache that can be deleted at any time. It repeats time, customer and id, so
that a count reads one file a part and never joins. Several processes, of different configurations even, may need
columns of the same part at once: each writes a file of its own, the first one that is complete is kept and never
replaced, and what another process could be reading is left alone.
"""

from __future__ import annotations

import glob
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from uuid import uuid4

from duckdb import DuckDBPyConnection

from logviews.embedded import extract
from logviews.embedded.sqltext import quote, text
from logviews.store import StoreUnavailable

KEEP_SECONDS: Final = 86_400
"""A file of other columns of a part is removed when it has not been used for so long, and a new one is made."""


def ensure_columns(connection: DuckDBPyConnection, part: Path, target: Path, fields: Sequence[str]) -> Path:
    """The file with these fields' columns of a part, made if it is not there yet; one pass over the part's lines.

    Raises:
        StoreUnavailable: when it cannot be written.
    """
    if target.is_file():
        with suppress(OSError):  # somebody else's folder: then its owner's use counts
            target.touch()
        return target
    beside = target.with_name(f"{target.name}.{os.getpid()}-{uuid4().hex[:12]}.partial")
    try:
        target.parent.mkdir(exist_ok=True)
        try:
            _write(connection, part, beside, fields)
            _keep_first(beside, target)
        finally:
            beside.unlink(missing_ok=True)
        _remove_unused(part, target)
    except OSError as error:
        raise StoreUnavailable(f"{target.parent}: columns of a part cannot be kept there: {error.strerror}") from error
    return target


def _write(connection: DuckDBPyConnection, part: Path, target: Path, fields: Sequence[str]) -> None:
    register_name = f"exact_values_{target.name.replace('-', '_').replace('.', '_')}"
    extract.register(connection, fields, register_name)
    lines = f"SELECT time, customer, id, line FROM read_parquet({text(str(part))})"
    values = extract.values_sql("line", lines, fields, register_name)
    columns = ", ".join(f"v[{index}] AS {quote(extract.column(field))}" for index, field in enumerate(fields, 1))
    connection.execute(
        f"COPY (SELECT time, customer, id, {columns} FROM ({values})) TO {text(str(target))} "
        "(FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1)"
    )


def _keep_first(written: Path, target: Path) -> None:
    """Gives a complete file its name, unless a file has it: a reader may be between its footer and its pages."""
    try:
        os.link(written, target)
    except FileExistsError:
        return
    except OSError:  # a file system without hard links
        written.replace(target)


def _remove_unused(part: Path, made: Path) -> None:
    """Removes the part's files with other columns, and what a crash left half written, when long out of use."""
    now = made.stat().st_mtime
    token = "[0-9a-f]" * 16
    for name in (f"{glob.escape(part.stem)}-{token}.parquet", f"{glob.escape(part.stem)}-{token}.parquet.*.partial"):
        for other in made.parent.glob(name):
            with suppress(FileNotFoundError):  # another process does the same
                if now - other.stat().st_mtime > KEEP_SECONDS:
                    other.unlink()
