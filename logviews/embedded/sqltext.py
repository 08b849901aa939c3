"""SQL text from Python values, for the places where DuckDB takes no parameter: COPY, JSON paths, lambdas, patterns."""

from __future__ import annotations


def quote(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A SQL string literal."""
    return "'" + value.replace("'", "''") + "'"
