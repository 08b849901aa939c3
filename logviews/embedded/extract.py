"""From raw lines to columns: SQL that takes the values of many fields out of a line in one pass, exactly.

DuckDB's `json_extract` reads plain nested paths fast, but knows no literal dotted keys and no objects inside arrays,
accepts NaN and trailing commas, and cuts long numbers to a double. A line in which any of that could matter is
recognised by cheap tests on its text and read by `logviews.messages` instead, through a function that DuckDB calls.

A column holds the JSON text of the field's value: a scalar, or a flat array without nulls when there are several; NULL
when there is none. A value that is an object keeps its text, so that its kind is noticed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from typing import Final

from duckdb import DuckDBPyConnection

from logviews import messages
from logviews.embedded import engine
from logviews.embedded.sqltext import text

_PLAIN_SEGMENT: Final = re.compile(r"[A-Za-z0-9_@ :$-]+")
# Any of these in a line means that DuckDB could read it differently: a lax constant or a number of more than 15 digits,
# a trailing comma, an escape that could hide a key of letters, digits, `-` or `.`. Several expressions that each start
# with a literal, because RE2 searches those ten times as fast as one that starts with a choice.
# A double keeps every number of up to 15 digits; longer ones are read from their text.
_LONG_FRACTIONS: Final = [rf"[0-9]{{{whole}}}\.[0-9]{{{16 - whole}}}" for whole in range(1, 16)]
_LONG: Final = "|".join(["[0-9]{18}", *_LONG_FRACTIONS, r"[0-9]{16,17}\."])
# -0, because DuckDB reads it as 0
_VALUE: Final = rf"\s*(?:-0\s*[,}}\]]|-?(?:(?i:nan|inf(?:inity)?)\s*[,}}\]]|{_LONG}))"
# so many opening brackets that the line may be nested too deeply for Python
_DEEP: Final = rf"^[^\[{{]*(?:[\[{{][^\[{{]*){{{messages.MAX_DEPTH + 1}}}"
_LAX: Final = (
    r":" + _VALUE,
    r"\[" + _VALUE,
    rf",(?:\s*[}}\]]|{_VALUE})",
    r"\\u00(?:[456][0-9a-fA-F]|[37][0-9aA]|2[dDeE])",
)
# arrays that are not flat, hold null, or have fewer than two elements
_UNUSUAL: Final = r"^\[.*[\[{]|null|^\[\]$|^\[[^,]*\]$"


def column(field: str) -> str:
    """The name of the Parquet column that holds a field's values."""
    return "=" + field


def is_plain(field: str) -> bool:
    """Whether DuckDB can be asked for the field by its path at all."""
    return all(_PLAIN_SEGMENT.fullmatch(segment) for segment in field.split("."))


def exact_values(line: str, fields: Sequence[str]) -> list[str | None]:
    """The column texts of a line's fields, read in Python."""
    message = messages.parse(line)
    return [_column_text(message, field) for field in fields]


def _column_text(message: messages.Message, field: str) -> str | None:
    if messages.has_object(message, field):
        return "{}"
    found = [messages.text_of(value) for value in messages.values(message, field)]
    if len(found) > 1:
        return "[" + ",".join(found) + "]"
    return found[0] if found else None


def register(connection: DuckDBPyConnection, fields: Sequence[str], name: str = "exact_values") -> None:
    """Gives a connection the function `exact_values(line)` for these fields; a bad line gives NULL."""
    engine.add_function(connection, name, _guarded(tuple(fields)), ["VARCHAR"], "VARCHAR[]")


def _guarded(fields: tuple[str, ...]) -> Callable[[str], list[str | None] | None]:
    def read(line: str) -> list[str | None] | None:
        try:
            return exact_values(line, fields)
        except messages.BadLine:
            return None

    return read


def values_sql(
    line: str, source: str, fields: Sequence[str], exact: str = "exact_values", verbatim: Sequence[str] = ()
) -> str:
    """SELECT of everything in `source` plus `v`: the list of the fields' column texts, NULL for a bad line.

    `line` is the name of the VARCHAR column with the raw line. One pass over the line for all fields, a few regular
    expressions, and Python only for the few lines that need it. Numbers in `verbatim` fields keep their spelling, which
    DuckDB would change (1.50 to 1.5); that is for numbers used as text, such as an id.
    """
    plain = [field for field in fields if is_plain(field)]
    if len(plain) < len(fields):  # an exotic field name: read every line exactly
        return f"SELECT *, {exact}({line}) AS v FROM ({source})"
    paths = ", ".join(text("$" + "".join(f'."{segment}"' for segment in field.split("."))) for field in fields)
    doubts = [f"regexp_matches({line}, {text(pattern)})" for pattern in (*_LAX, *_dotted_keys(fields))]
    doubts.append(_only_where(f"strlen({line}) > {2 * messages.MAX_DEPTH}", f"regexp_matches({line}, {text(_DEEP)})"))
    used_as_text = [f"found[{fields.index(field) + 1}]" for field in verbatim]
    doubts += [rf"coalesce(regexp_matches({value}, '^(?:\[|-?[0-9]+[.eE])'), false)" for value in used_as_text]
    for index, field in enumerate(fields, 1):
        value = f"found[{index}]"
        # NULL where the plain path leads nowhere: then the last key, if it stands in the line at all, may be reached
        # through an array of objects or a dotted key
        last = text(json.dumps(field.rsplit(".", 1)[-1], ensure_ascii=False))
        doubts.append(_only_where(f"{value} IS NULL", f"contains({line}, {last})"))
        doubts.append(_only_where(f"starts_with({value}, '[')", f"regexp_matches({value}, {text(_UNUSUAL)})"))
    nulls = "list_transform(found, lambda x: CASE WHEN x = 'null' THEN NULL ELSE x END)"
    return f"""
        SELECT * EXCLUDE (found), CASE WHEN {" OR ".join(doubts)} THEN {exact}({line})
                WHEN list_contains(found, 'null') THEN {nulls} ELSE found END AS v
        FROM (SELECT *, CAST(json_extract({line}, [{paths}]) AS VARCHAR[]) AS found FROM ({source}))"""


def _only_where(condition: str, costly: str) -> str:
    """SQL for `condition AND costly` that works out the second only where the first holds; DuckDB's AND does both."""
    return f"CASE WHEN {condition} THEN {costly} ELSE false END"


def _dotted_keys(fields: Sequence[str]) -> list[str]:
    """A pattern for literal keys that could be a stretch of one of the fields, such as `"http.request"`."""
    later = {segment for field in fields for segment in field.split(".")[1:]}
    return [r"\.(?:" + "|".join(map(re.escape, sorted(later))) + r')(?:\.[^"]*)?"\s*:'] if later else []
