"""A view day by day or hour by hour as a cross table with totals, for `count --by day|hour`.

pandas does the crossing and adding, on columns of Python objects: a quantity stays the exact integer or fraction that
it is, however large. Customers and times are places in it, so that no id enters it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

import pandas as pd

from ledger.quantities import quantity_text
from tallywatch.cli.common import day, local
from tallywatch.cli.tables import Column, Row, number, word

if TYPE_CHECKING:
    from config.models import Aggregation
    from logviews.readings import Point, Unit

ADDED: Final = ("messages", "sum")
"""What may be added over customers and over time; of the others, the parts do not make the whole."""
TOTAL: Final = "total"


@dataclass(frozen=True, slots=True)
class CrossTable:
    """A table whose first column is `head`; each of `columns` is a customer, a day or hour, or the total."""

    head: Column
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """Quantities by customer (down) and by day or hour (across), exact; NaN where no message had a value.

    `customers` and `times` name the rows and columns of `quantities`, whose own labels are their places.
    """

    unit: Unit
    aggregation: Aggregation
    customers: tuple[str, ...]
    times: tuple[str, ...]
    quantities: pd.DataFrame

    def customers_down(self) -> CrossTable:
        """A row for each customer. Days of one year are headed without it."""
        one_year = len({time[:5] for time in self.times if time != TOTAL}) == 1
        times = tuple(time[5:] if one_year and time != TOTAL else time for time in self.times)
        return self._table("customer", self.customers, times, self.quantities)

    def customers_across(self) -> CrossTable:
        """A row for each day or hour."""
        return self._table(self.unit, self.times, self.customers, self.quantities.T)

    def _table(self, head: str, down: tuple[str, ...], across: tuple[str, ...], cells: pd.DataFrame) -> CrossTable:
        # columns by number, because a customer may be called anything
        columns = tuple(number(str(place), name) for place, name in enumerate(across))
        rows = tuple(
            {head: name, **{str(place): self._shown(value) for place, value in enumerate(values)}}
            for name, values in zip(down, cells.itertuples(index=False, name=None), strict=True)
        )
        return CrossTable(word(head), columns, rows)

    def _shown(self, value: Any) -> int | str | None:
        return None if pd.isna(value) else quantity_text(value, self.aggregation)


def series(points: Sequence[Point], aggregation: Aggregation, unit: Unit, zone: str) -> Series:
    """Points crossed, with totals where parts may be added: a column, and a row unless there is one customer alone.

    Days are those of each customer's own zone; hours are instants, written in `zone`.
    """
    roster_first = sorted(points, key=lambda point: not point.known)
    who = {point.customer: point.customer if point.known else f"{point.customer} (unknown)" for point in roster_first}
    steps = sorted({_step(point, unit) for point in points})
    customers, times = list(who.values()), [_label(step, zone) for step in steps]
    row_of = {id_: place for place, id_ in enumerate(who)}
    column_of = {step: place for place, step in enumerate(steps)}
    found = pd.DataFrame(
        [(row_of[point.customer], column_of[_step(point, unit)], point.quantity) for point in points],
        columns=["customer", "time", "quantity"],
        dtype=object,
    )
    cells = found.pivot(index="customer", columns="time", values="quantity")
    if aggregation in ADDED:
        cells[len(times)] = cells.sum(axis="columns", min_count=1)
        times.append(TOTAL)
        if len(customers) > 1:
            cells.loc[len(customers)] = cells.sum(min_count=1)
            customers.append(TOTAL)
    return Series(unit, aggregation, tuple(customers), tuple(times), cells)


def _step(point: Point, unit: Unit) -> str:
    """What customers share: the calendar day in each one's own zone, or the instant at which an hour starts, in UTC."""
    return day(point.start, point.zone) if unit == "day" else point.start.astimezone(UTC).isoformat()


def _label(step: str, zone: str) -> str:
    """A day as it is; an hour with its offset, because the clock shows one of them twice when it is set back."""
    return step if len(step) == len("2026-10-25") else local(datetime.fromisoformat(step), zone)
