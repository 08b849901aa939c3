"""One question put to a set of part files: the SQL of a count, and its rows as tallies."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

from duckdb import DuckDBPyConnection

from config.filters import Compare, leaves
from config.models import FieldType
from ledger.records import UNATTRIBUTED, Subject, Tally, customer
from logviews import kinds
from logviews.addresses import normalised_address
from logviews.embedded import aggregation, engine, extract
from logviews.embedded.filtersql import FilterSql
from logviews.embedded.sqltext import quote, text
from logviews.store import CountQuery, StoreUnavailable
from logviews.times import TimeRule, from_milliseconds, milliseconds, stairs_sql

_QUARTER: Final = 15 * 60 * 1000
_FEW_EDGES: Final = 64
_PORTION: Final = 10_000


@dataclass(frozen=True, slots=True)
class Scan:
    """One question put to a set of files that have all the columns it needs."""

    connection: DuckDBPyConnection
    types: dict[str, FieldType]
    query: CountQuery
    paths: Sequence[Path]
    kinds: dict[str, int]
    _subjects: dict[str | None, Subject] = field(default_factory=dict)

    def tallies(self) -> Iterator[Tally]:
        """One tally a group.

        Raises:
            StoreUnavailable: when a field that is compared with a time holds something else.
        """
        self._refuse_no_times()
        bits = self._bits
        if self.query.field is None:
            yield from self._numbers()
        elif bits & kinds.ARRAY:  # several values a message: count messages and values apart
            numbers = {(row[0], row[1]): row[2] for row in self._rows(values=False)}
            rows = {(row[0], row[1]): row for row in self._rows(values=True)}
            for key, number in numbers.items():
                answer = aggregation.Answer(*rows[key][3:]) if key in rows else aggregation.NO_ANSWER
                yield self._tally(key, number, answer, bits)
        else:
            for subject, bucket, number, *answer_columns in self._rows(values=False):
                yield self._tally((subject, bucket), number, aggregation.Answer(*answer_columns), bits)

    def _numbers(self) -> Iterator[Tally]:
        """One tally a group of messages alone, which need no more than to be counted."""
        view, edges = self.query.view, self.query.edges
        for subject, bucket, number in self._rows(values=False):
            yield Tally(view, self._subject(subject), edges[bucket], number, number, number)

    def number(self) -> int:
        """How many messages match between the first and the last edge."""
        source, parameters = self._source()
        return engine.number(self.connection, f"SELECT count(*) FROM ({source})", parameters)

    def _tally(self, key: tuple[str | None, int], number: int, answer: aggregation.Answer, bits: int) -> Tally:
        return Tally(
            self.query.view,
            self._subject(key[0]),
            self.query.edges[key[1]],
            aggregation.quantity(self.query, answer, bits),
            number,
            answer.values,
            None if answer.newest is None else from_milliseconds(answer.newest),
            answer.newest_id or "",
        )

    def _subject(self, value: str | None) -> Subject:
        """One object for all groups of a customer value."""
        if value not in self._subjects:
            self._subjects[value] = UNATTRIBUTED if value is None else customer(value)
        return self._subjects[value]

    @property
    def _bits(self) -> int:
        return self.kinds.get(self.query.field, 0) if self.query.field else 0

    def _refuse_no_times(self) -> None:
        for leaf in leaves(self.query.where):
            if isinstance(leaf, Compare) and isinstance(leaf.bound, datetime):
                v = quote(extract.column(leaf.field))
                elements = (
                    f"CASE WHEN starts_with({v}, '[') THEN CAST(json_extract({v}, '$[*]') AS VARCHAR[]) ELSE [{v}] END"
                )
                strangers = self.connection.execute(
                    f"SELECT e FROM (SELECT unnest({elements}) AS e FROM {parquet(self.paths)} WHERE {v} IS NOT NULL) "
                    f"WHERE {TimeRule().sql('e')} IS NULL LIMIT 1"
                ).fetchall()
                if strangers:
                    raise StoreUnavailable(
                        f"view {self.query.view}: {leaf.field} holds {strangers[0][0]}, which is no time with an "
                        f"offset, so {leaf.operator} cannot compare it with one"
                    )

    def _rows(self, *, values: bool) -> Iterator[tuple[Any, ...]]:
        """Rows of subject, bucket, messages and, of a field, the aggregation's columns; `values` unfolds arrays.

        They come in portions, because customers times buckets can be millions of rows; the connection takes no other
        work before the last one.
        """
        query, bits = self.query, self._bits
        source, parameters = self._source()
        if values:
            unfolded = "CASE WHEN starts_with(v, '[') THEN CAST(json_extract(v, '$[*]') AS VARCHAR[]) ELSE [v] END"
            source = f"SELECT * REPLACE (unnest({unfolded}) AS v) FROM ({source}) WHERE v IS NOT NULL"
        if query.aggregation == "distinct" and query.field and self.types.get(query.field) == "ip":
            source, parameters = self._with_normal_addresses(source, parameters, query.field)
        if query.field is None:
            columns = ""
        elif bits & kinds.ARRAY and not values:
            columns = ", NULL, NULL, 0, NULL, NULL, NULL"
        else:
            columns = f", {aggregation.columns_sql(query, bits, self.types.get(query.field))}"
        answer = self.connection.execute(
            f"SELECT subject, bucket, count(*){columns} FROM ({source}) GROUP BY subject, bucket", parameters
        )
        while rows := answer.fetchmany(_PORTION):
            yield from rows

    def _source(self) -> tuple[str, dict[str, object]]:
        """SELECT of the matching messages: subject, bucket, time, id and the aggregated field's text `v`."""
        query = self.query
        compiler = FilterSql(self.types, self.kinds, self._distinct)
        condition = compiler.condition(query.where)
        value = quote(extract.column(query.field)) if query.field else "NULL"
        span = (
            f"time >= make_timestamp_ms({milliseconds(query.edges[0])}) "
            f"AND time < make_timestamp_ms({milliseconds(query.edges[-1])})"
        )
        parameters = compiler.parameters
        if query.members is None:
            source = (
                f"SELECT customer AS subject, {bucket_sql(query.edges)} AS bucket, time, id, {value} AS v "
                f"FROM {parquet(self.paths)} WHERE {span} AND {condition}"
            )
            return source, parameters
        parameters |= {
            "members": [member.value for member in query.members],
            "subjects": [member.subject for member in query.members],
            "starts": [milliseconds(member.start) for member in query.members],
            "ends": [milliseconds(member.end) for member in query.members],
        }
        members = (
            "SELECT unnest(CAST($members AS VARCHAR[])) AS value, unnest(CAST($subjects AS VARCHAR[])) AS subject, "
            "unnest(CAST($starts AS BIGINT[])) AS s, unnest(CAST($ends AS BIGINT[])) AS e"
        )
        source = (
            f"SELECT m.subject AS subject, 0 AS bucket, time, id, {value} AS v FROM {parquet(self.paths)} "
            f"JOIN ({members}) m ON customer = m.value AND epoch_ms(time) >= m.s AND epoch_ms(time) < m.e "
            f"WHERE {span} AND {condition}"
        )
        return source, parameters

    def _distinct(self, field: str) -> list[str]:
        column = quote(extract.column(field))
        rows = self.connection.execute(
            f"SELECT DISTINCT {column} FROM {parquet(self.paths)} WHERE {column} IS NOT NULL"
        ).fetchall()
        return [row[0] for row in rows]

    def _with_normal_addresses(
        self, source: str, parameters: dict[str, object], field: str
    ) -> tuple[str, dict[str, object]]:
        written = sorted({element for value in self._distinct(field) for element in _elements(value)})
        normal = [normalised_address(str(json.loads(element))) for element in written]
        table = "SELECT unnest(CAST($written AS VARCHAR[])) AS w, unnest(CAST($normal AS VARCHAR[])) AS n"
        joined = f"SELECT s.* REPLACE (coalesce(n, s.v) AS v) FROM ({source}) s LEFT JOIN ({table}) t ON s.v = t.w"
        return joined, parameters | {"written": written, "normal": normal}


def _elements(column_text: str) -> list[str]:
    """The JSON texts of the strings in a column text."""
    return re.findall(r'"(?:[^"\\]|\\.)*"', column_text)


def parquet(paths: Sequence[Path]) -> str:
    return f"read_parquet([{', '.join(text(str(path)) for path in paths)}], union_by_name = true)"


def bucket_sql(edges: Sequence[datetime]) -> str:
    """SQL for the index of the bucket that `time` lies in."""
    inner = [milliseconds(edge) for edge in edges[1:-1]]
    if len(inner) > _FEW_EDGES and all(edge % _QUARTER == 0 for edge in inner):
        first = inner[0] // _QUARTER
        slots, bucket = [], 0
        for slot in range(first, inner[-1] // _QUARTER + 1):
            while bucket < len(inner) and inner[bucket] <= slot * _QUARTER:
                bucket += 1
            slots.append(bucket)
        position = f"(epoch_ms(time) // {_QUARTER} - {first})"
        return (
            f"CASE WHEN {position} < 0 THEN 0 WHEN {position} >= {len(slots)} THEN {len(inner)} "
            f"ELSE ({slots})[{position} + 1] END"
        )
    return stairs_sql("epoch_ms(time)", inner, range(len(inner) + 1))
