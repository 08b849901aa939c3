"""Which kinds of value a part holds, found out in SQL; kept per part and field."""

from __future__ import annotations

from collections.abc import Sequence

from duckdb import DuckDBPyConnection

from logviews.embedded import extract
from logviews.embedded.sqltext import quote
from logviews.kinds import ARRAY, BOOLEAN, FRACTION, LONG, NUMBER, OBJECT, STRING


def kind_sql(text: str) -> str:
    """SQL for the kind bits of a scalar's JSON text; `text` is a SQL expression, its NULL gives NULL."""
    significant = rf"regexp_replace({text}, '^-?[0.]*|[eE].*|\.', '', 'g')"
    integer = rf"regexp_full_match({text}, '-?\d+')"
    beyond = f"({integer} AND TRY_CAST({text} AS BIGINT) IS NULL)"
    return f"""CASE WHEN {text} IS NULL THEN NULL ELSE CASE substr({text}, 1, 1)
        WHEN '"' THEN {STRING} WHEN '{{' THEN {OBJECT} WHEN '[' THEN {ARRAY}
        WHEN 't' THEN {BOOLEAN} WHEN 'f' THEN {BOOLEAN}
        ELSE {NUMBER}
            | CASE WHEN length({text}) > 17 AND (length({significant}) > 17 OR {beyond}) THEN {LONG} ELSE 0 END
            | CASE WHEN regexp_matches({text}, '[.eE]') THEN {FRACTION} ELSE 0 END
        END END"""


def of_columns(connection: DuckDBPyConnection, source: str, fields: Sequence[str]) -> dict[str, int]:
    """The kinds of value in each field's column, over everything in `source`."""
    if not fields:
        return {}
    bits = ", ".join(f"bit_or({kind_sql(quote(extract.column(field)))})" for field in fields)
    row = connection.execute(f"SELECT {bits} FROM {source}").fetchall()[0]
    found = {field: int(value or 0) for field, value in zip(fields, row, strict=True)}
    for field, value in found.items():
        if value & ARRAY:
            column = quote(extract.column(field))
            elements = (
                f"SELECT CAST(unnest(json_extract({column}, '$[*]')) AS VARCHAR) AS e FROM {source} "
                f"WHERE starts_with({column}, '[')"
            )
            inner = connection.execute(f"SELECT bit_or({kind_sql('e')}) FROM ({elements})").fetchall()[0]
            found[field] = value | int(inner[0] or 0)
    return found
