"""The seven aggregations as SQL over column texts, and how their answers become exact quantities."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from typing import Final

from config.models import FieldType
from ledger.quantities import reduced
from ledger.records import Quantity
from logviews import kinds
from logviews.store import CountQuery, StoreUnavailable
from logviews.times import TimeRule

AVERAGE_SCALE: Final = 15
"""Decimals of a value that enter an average; a sum that outgrows 128 bits with them is refused, not rounded."""

_INTEGER: Final = "regexp_full_match(v, '-?[0-9]{1,18}')"


@dataclass(frozen=True, slots=True)
class Answer:
    """One group's answer as DuckDB gives it; see the columns of `columns_sql`."""

    first: str | None
    second: str | None
    values: int
    unfit: str | None
    newest: int | None
    newest_id: str | None


NO_ANSWER: Final = Answer(None, None, 0, None, None, None)


def columns_sql(query: CountQuery, kind_bits: int, type_: FieldType | None) -> str:
    """Six columns for one group of values `v` (with `time` and `id`): two partial results as text, how many values, an
    example of a value that cannot be summed exactly, and the newest message's time in milliseconds and id."""
    first, second, unfit, newest, newest_id = "NULL", "NULL", "NULL", "NULL", "NULL"
    whole = not kind_bits & kinds.FRACTION
    match query.aggregation:
        case "distinct":
            first = f"count(DISTINCT {identity_sql(type_, kind_bits)})"
        case "sum" | "average" if whole:
            first = "sum(CAST(v AS BIGINT))"
        case "sum" | "average":
            scaled = _scaled_sql(scale_of(query, kind_bits))
            first = f"sum({scaled})"
            unfit = f"any_value(v) FILTER (WHERE v IS NOT NULL AND ({scaled}) IS NULL)"
        case "min" | "max" if kinds.all_whole(kind_bits):
            first = f"{query.aggregation}(CAST(v AS BIGINT))"
        case "min" | "max":
            by = query.aggregation
            first = f"{by}(CASE WHEN {_INTEGER} THEN CAST(v AS BIGINT) END)"
            if not whole:
                second = f"arg_{by}(v, CAST(v AS DOUBLE)) FILTER (WHERE NOT {_INTEGER})"
        case "latest":
            order = "{'time': time, 'id': coalesce(id, ''), 'value': CAST(v AS DOUBLE)}"
            present = "FILTER (WHERE v IS NOT NULL)"
            first = f"arg_max(v, {order}) {present}"
            newest, newest_id = f"epoch_ms(max(time) {present})", f"arg_max(coalesce(id, ''), {order}) {present}"
    return f"CAST({first} AS VARCHAR), CAST({second} AS VARCHAR), count(v), {unfit}, {newest}, {newest_id}"


def scale_of(query: CountQuery, kind_bits: int) -> int:
    """Decimals that sums of this query carry."""
    if not kind_bits & kinds.FRACTION:
        return 0
    return AVERAGE_SCALE if query.aggregation == "average" else query.scale


def _scaled_sql(scale: int) -> str:
    """The value as a decimal of that scale; NULL when it has more decimals (or is too large to tell).

    DuckDB's cast to DECIMAL rounds what does not fit, so what does not fit is kept from it: with a mantissa of `i`
    whole and `f` fraction digits and an exponent `e`, it fits when f - e <= scale and i + e <= 18.
    """
    decimals = rf"(?:\.[0-9]{{0,{scale}}}0*)?" if scale else r"(?:\.0*)?"
    whole = "length(regexp_extract(v, '^-?([0-9]+)', 1))"
    fraction = r"length(regexp_extract(v, '\.([0-9]+)', 1))"
    exponent = "TRY_CAST(regexp_extract(v, '[eE]([-+]?[0-9]+)$', 1) AS INTEGER)"
    scaled = f"CAST(v AS DECIMAL(38, {scale}))"
    return (
        f"CASE WHEN regexp_full_match(v, '-?[0-9]{{1,18}}{decimals}') THEN {scaled} "
        f"WHEN {fraction} - {exponent} <= {scale} AND {whole} + {exponent} <= 18 THEN {scaled} END"
    )


def identity_sql(type_: FieldType | None, kind_bits: int) -> str:
    """What makes two values the same for `distinct`; addresses were replaced by their canonical spelling before."""
    if type_ == "time":
        return f"coalesce(CAST({TimeRule().sql('v')} AS VARCHAR), v)"
    if type_ is not None and type_ not in ("integer", "decimal"):
        return "v"
    if kinds.all_text(kind_bits):
        return "v"
    if kinds.all_whole(kind_bits):
        return "CASE WHEN v = '-0' THEN '0' ELSE v END"
    number = (
        "CASE WHEN v = '-0' THEN '0' "
        f"WHEN {_INTEGER} THEN v "
        "WHEN abs(CAST(v AS DOUBLE)) < 1e30 AND CAST(v AS DOUBLE) = floor(CAST(v AS DOUBLE)) "
        "THEN CAST(CAST(CAST(v AS DOUBLE) AS HUGEINT) AS VARCHAR) ELSE CAST(CAST(v AS DOUBLE) AS VARCHAR) END"
    )
    return f"CASE WHEN regexp_matches(v, '^[-0-9]') THEN {number} ELSE v END"


def quantity(query: CountQuery, answer: Answer, kind_bits: int) -> Quantity | None:
    """The exact quantity of a group: sums of nothing are 0, everything else of nothing is None.

    Raises:
        StoreUnavailable: for a value that cannot be summed exactly.
    """
    if answer.unfit is not None:
        decimals = scale_of(query, kind_bits)
        allowed = f"more than {decimals} decimals" if decimals else "decimals"
        raise StoreUnavailable(
            f"view {query.view}: {query.field} holds {answer.unfit}, which has {allowed}; "
            "state how many in `scale`, as in {sum: FIELD, scale: 2}"
        )
    if query.aggregation == "distinct":
        return int(answer.first or 0)
    if query.aggregation in ("sum", "average"):
        if answer.first is None:
            return 0 if query.aggregation == "sum" else None
        return reduced(Fraction(Decimal(answer.first)))
    found = [reduced(Fraction(Decimal(text))) for text in (answer.first, answer.second) if text is not None]
    if not found:
        return None
    return max(found) if query.aggregation == "max" else min(found)


def combine(query_aggregation: str, left: Quantity | None, right: Quantity | None) -> Quantity | None:
    """Two buckets' quantities as one: sums add, min and max choose, nothing is neutral. Not for distinct and latest."""
    if left is None or right is None:
        return right if left is None else left
    if query_aggregation == "min":
        return min(left, right)
    if query_aggregation == "max":
        return max(left, right)
    return left + right
