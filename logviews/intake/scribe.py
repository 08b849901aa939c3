"""Writing parts: checked lines as Parquet, with time, customer, id, the raw line, and a column for each used field.

The checks are those of `strict`, in SQL. At the first line that does not hold, the writing fails as a whole; which line
it was is found out by reading the lines again in Python, because DuckDB's line numbers cannot be relied on.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from duckdb import DuckDBPyConnection

from config.models import EmbeddedStore, FieldType
from logviews import messages
from logviews.embedded import engine, extract, kindsql
from logviews.embedded.sqltext import quote, text
from logviews.intake import strict
from logviews.intake.strict import LineRules
from logviews.messages import MAX_LINE_BYTES
from logviews.times import from_milliseconds, unquoted_sql

# An eighth of DuckDB's default: the raw lines of a group are held and compressed at once, per thread, and while they
# fit in the processor's cache that takes a quarter less time; smaller ones would make counting slower.
_ROWS_PER_GROUP: Final = 16_384
_COMPRESSION: Final = "COMPRESSION zstd, COMPRESSION_LEVEL 1"


@dataclass(frozen=True, slots=True)
class Described:
    """What a part holds; its kinds of value by field."""

    rows: int
    min_time: datetime
    max_time: datetime
    kinds: dict[str, int]


class Scribe:
    """Writes checked lines as Parquet: time, customer, id, the raw line, and a column for each used field."""

    def __init__(
        self, connection: DuckDBPyConnection, store: EmbeddedStore, used: tuple[str, ...], rules: LineRules
    ) -> None:
        self._connection = connection
        self._rules = rules
        self._used = used
        self._verbatim = [store.fields.customer, *([store.fields.id] if store.fields.id else [])]
        own = [store.fields.time, *self._verbatim]
        self.fields: tuple[str, ...] = tuple(dict.fromkeys([*own, *used, *store.types]))

    def register(self) -> None:
        """Gives the connection what the SQL below calls."""
        extract.register(self._connection, self.fields)
        engine.add_function(self._connection, "of_type", _of_type, ["VARCHAR", "VARCHAR"], "BOOLEAN")
        engine.add_function(self._connection, "only_text", _only_text, ["VARCHAR"], "VARCHAR")
        engine.add_function(self._connection, "exact_time", self._rules.time.exact_milliseconds, ["VARCHAR"], "BIGINT")

    def write(self, select: str, target: Path) -> None:
        """Writes the rows of a SELECT as a part."""
        self._connection.execute(
            f"COPY ({select}) TO {text(str(target))} (FORMAT parquet, {_COMPRESSION}, ROW_GROUP_SIZE {_ROWS_PER_GROUP})"
        )

    def write_lines(self, lines: Path, target: Path) -> None:
        """Writes a part from lines, its rows in any order; raises duckdb.Error at the first bad line."""
        self.write(self._select(lines), target)

    def write_in_order(self, lines: Path, target: Path) -> None:
        """The same with its rows in the order of the lines, which takes longer."""
        self._connection.execute("SET preserve_insertion_order = true")
        self.write_lines(lines, target)
        self._connection.execute("SET preserve_insertion_order = false")

    def _select(self, lines: Path) -> str:
        objects = (
            f"SELECT CAST(json AS VARCHAR) AS line FROM read_json_objects({text(str(lines))}, "
            f"format = 'newline_delimited', compression = 'uncompressed', maximum_object_size = {MAX_LINE_BYTES})"
        )
        columns = ", ".join(f"{self._value(field)} AS {quote(extract.column(field))}" for field in self._used)
        id_ = _plain_text(self._value(self._rules.id_field)) if self._rules.id_field else "NULL"
        return f"""
            SELECT make_timestamp_ms(ms) AS time, customer, CAST(id AS VARCHAR) AS id,
                {columns + "," if columns else ""} line
            FROM (SELECT *, {self._rules.time.sql(self._value(self._rules.time_field), "exact_time")} AS ms,
                    {_customer_sql(self._value(self._rules.customer_field))} AS customer, {id_} AS id
                  FROM ({extract.values_sql("line", objects, self.fields, verbatim=self._verbatim)}))
            WHERE CASE WHEN {" OR ".join(self._faults())} THEN error('bad line') ELSE true END"""

    def _value(self, field: str) -> str:
        return f"v[{self.fields.index(field) + 1}]"

    def _faults(self) -> Iterator[str]:
        yield f"strlen(line) > {MAX_LINE_BYTES}"
        yield "v IS NULL"
        yield "CASE WHEN starts_with(line, '{') THEN false ELSE NOT starts_with(ltrim(line), '{') END"
        yield "ms IS NULL"
        yield f"coalesce(starts_with({self._value(self._rules.customer_field)}, '{{'), false)"
        if self._rules.id_field:
            yield "id IS NULL OR id = ''"
            yield f"substr({self._value(self._rules.id_field)}, 1, 1) IN ('[', '{{')"
        for field, type_ in self._rules.types.items():
            value = self._value(field)
            quick = _QUICK_TYPE.get(type_, "false").format(value=value)
            yield f"CASE WHEN {value} IS NULL OR {quick} THEN false ELSE NOT of_type({value}, {text(type_)}) END"

    def describe(self, part: Path) -> Described:
        """The rows, times and kinds of a part that was written."""
        source = f"read_parquet({text(str(part))})"
        found = self._connection.execute(
            f"SELECT count(*), epoch_ms(min(time)), epoch_ms(max(time)) FROM {source}"
        ).fetchall()
        [(rows, first, last)] = found
        return Described(
            rows,
            from_milliseconds(first),
            from_milliseconds(last),
            kindsql.of_columns(self._connection, source, self._used),
        )


# What is certainly of a declared type, told by cheap SQL; everything else is asked of `strict.is_of_type`.
_QUICK_TYPE: Final = {
    "string": "starts_with({value}, '\"')",
    "integer": "regexp_full_match({value}, '-?[0-9]{{1,18}}')",
    "boolean": "{value} IN ('true', 'false')",
    "ip": "regexp_full_match({value}, '\"(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])(?:\\.|\"$)){{4}}')",
}


def _of_type(column: str, type_: FieldType) -> bool:
    message = messages.parse('{"v":' + column + "}")
    if messages.has_object(message, "v"):
        return False
    return all(strict.is_of_type(value, type_) for value in messages.values(message, "v"))


def _plain_text(value: str) -> str:
    return f"CASE WHEN starts_with({value}, '\"') THEN {unquoted_sql(value)} ELSE {value} END"


def _customer_sql(value: str) -> str:
    """SQL for the raw customer value; NULL (unattributed) when there is none, an empty one, or several."""
    return f"nullif(CASE WHEN starts_with({value}, '[') THEN only_text({value}) ELSE {_plain_text(value)} END, '')"


def _only_text(column: str) -> str | None:
    """The one text that all values of a column text are, None when they differ."""
    texts = {messages.raw_text(value) for value in messages.values(messages.parse('{"v":' + column + "}"), "v")}
    return texts.pop() if len(texts) == 1 else None
