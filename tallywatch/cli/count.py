"""`tallywatch count`: a view's exact counts, now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tallywatch.cli.common import Context, chosen, counted, days, format_option, local, output
from tallywatch.cli.integrity import PARTS
from tallywatch.cli.tables import Row, blocks, number, page, print_blocks, print_table, word, wrapped

if TYPE_CHECKING:
    from config.load import Loaded
    from config.models import Aggregation, View
    from config.roster import RosterCustomer
    from ledger.records import Period
    from logviews.counting import PeriodOf
    from logviews.readings import Integrity, Point, Unit
    from logviews.store import LogStore

_KNOWN = word("known", optional=True)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What is to be counted: each customer's period, and up to when. `said` names it for people."""

    period_of: PeriodOf
    until: datetime
    said: str


@click.command()
@click.argument("view")
@click.option("--period", metavar="2026-10", help="The billing month that starts in this month; else the present one.")
@click.option("--from", "from_text", metavar="T", help="Count from this instant (with an offset), with --to.")
@click.option("--to", "to_text", metavar="T", help="Count up to this instant, exclusive.")
@click.option("--by", type=click.Choice(["customer", "day", "hour"]), default="customer", show_default=True)
@format_option
@click.pass_obj
def count(
    context: Context, view: str, period: str | None, from_text: str | None, to_text: str | None, by: str, format_: str
) -> None:
    """Count a VIEW exactly from the logs, customer by customer, and say where all matching messages went.

    A month is each customer's own, by its zone and billing day, and counts up to now while it lasts. Every selected
    customer is listed, also at 0; --by day and --by hour list what has messages.
    """
    from tallywatch import compose

    loaded = context.load()
    settings = chosen("view", view, loaded.config.views)
    asked = _asked(context, loaded, period, from_text, to_text)
    database = context.database(loaded)
    store = compose.store(loaded, database, settings.store)
    if format_ != "table" and period is None and from_text is None:
        click.echo(f"{view}: {asked.said}", err=True)
    if by == "customer":
        integrity = _by_customer(loaded, store, view, settings, asked, format_)
    else:
        integrity = _by_time(loaded, store, view, settings, asked, "day" if by == "day" else "hour", format_)
    _tell_integrity(integrity, settings.store, loaded.config.settings.zone, format_)


def _asked(context: Context, loaded: Loaded, period: str | None, from_text: str | None, to_text: str | None) -> _Asked:
    from config.errors import UsageError
    from ledger.clock import parse_instant
    from ledger.periods import period_containing, period_of_month
    from ledger.records import Period

    now = context.now()
    if (from_text is None) != (to_text is None):
        raise UsageError("--from and --to go together")
    if from_text is not None and to_text is not None:
        if period is not None:
            raise UsageError("say either --period, or --from and --to")
        start, end = parse_instant(from_text), parse_instant(to_text)
        if start >= end:
            raise UsageError(f"--from {from_text} is not before --to {to_text}")

        def explicit(customer: RosterCustomer) -> Period:
            return Period(start, end, customer.zone)

        return _Asked(explicit, end, f"from {from_text} to {to_text}")
    if period is not None:
        period_of_month(period, loaded.config.settings.zone)  # refuses what is no month

        def named(customer: RosterCustomer) -> Period:
            return period_of_month(period, customer.zone, customer.billing_day)

        return _Asked(named, now, f"billing month {period}")

    def present(customer: RosterCustomer) -> Period:
        return period_containing("billing month", now, customer.zone, customer.billing_day)

    return _Asked(present, now, f"the present billing month, {_months(loaded, present, now)}, so far")


def _months(loaded: Loaded, present: PeriodOf, now: datetime) -> str:
    """The months in which the customers' present billing months started, as --period would name them."""
    from ledger.periods import period_containing

    periods = {present(customer) for customer in loaded.roster.customers.values()}
    periods.add(period_containing("billing month", now, loaded.config.settings.zone))
    return " and ".join(sorted({days(period)[:7] for period in periods}))


def _by_customer(loaded: Loaded, store: LogStore, name: str, view: View, asked: _Asked, format_: str) -> Integrity:
    from ledger.quantities import quantity_text
    from logviews.readings import count_view

    found = count_view(
        store, name, view, loaded.roster, asked.period_of, asked.until, default_zone=loaded.config.settings.zone
    )

    def rows() -> Iterator[Row]:
        for known, readings in ((True, found.readings), (False, found.unknown)):
            for id_, reading in readings.items():
                quantity = quantity_text(reading.quantity, view.aggregation)
                row = {"view": name, "customer": id_, "quantity": quantity, "messages": reading.messages}
                yield row if known else row | {"known": False}

    if format_ == "table":
        click.echo(f"{name}: {asked.said}")
        # where messages are what is counted, their number is the quantity
        messages = () if view.aggregation == "messages" else (number("messages"),)
        print_table(map(_for_people, rows()), (word("customer"), number("quantity"), *messages, _KNOWN))
    else:
        output(rows(), format_, ("view", "customer", "quantity", "messages", "known"))
    return found.integrity


def _by_time(
    loaded: Loaded, store: LogStore, name: str, view: View, asked: _Asked, unit: Unit, format_: str
) -> Integrity:
    from ledger.quantities import quantity_text
    from logviews.readings import count_series

    zone = loaded.config.settings.zone
    points, integrity = count_series(
        store, name, view, loaded.roster, asked.period_of, asked.until, unit, default_zone=zone
    )
    if format_ == "table":
        click.echo(f"{name}: {asked.said}")
        _print_series(points, view.aggregation, unit, zone)
        return integrity
    rows: list[Mapping[str, object]] = []
    for point in points:
        row: dict[str, object] = {
            "view": name,
            "customer": point.customer,
            "start": local(point.start, point.zone),
            "quantity": quantity_text(point.quantity, view.aggregation),
            "messages": point.messages,
        }
        rows.append(row if point.known else row | {"known": False})
    output(rows, format_, ("view", "customer", "start", "quantity", "messages", "known"))
    return integrity


def _print_series(points: Sequence[Point], aggregation: Aggregation, unit: Unit, zone: str) -> None:
    """Customers across where they fit side by side; else customers down, and the days in tables below each other.

    Hours of many customers would make hundreds of those, and so are listed.
    """
    from tallywatch.cli.series import series

    if not points:
        return
    found = series(points, aggregation, unit, zone)
    table = found.customers_across()
    if len(blocks(table.rows, table.head, table.columns, page())) > 1:
        if unit == "hour":
            _print_hours(points, aggregation)
            return
        table = found.customers_down()
    print_blocks(table.rows, table.head, table.columns)


def _print_hours(points: Sequence[Point], aggregation: Aggregation) -> None:
    from ledger.quantities import quantity_text

    rows = (
        {
            "customer": point.customer,
            "hour": local(point.start, point.zone),
            "quantity": quantity_text(point.quantity, aggregation),
            "known": point.known,
        }
        for point in points
    )
    print_table(map(_for_people, rows), (word("customer"), word("hour"), number("quantity"), _KNOWN))


def _for_people(row: Row) -> Row:
    """Whether somebody is known is a column only where it matters."""
    return {**row, "known": None if row.get("known", True) else "not on the roster"}


def _tell_integrity(integrity: Integrity, store: str, zone: str, format_: str) -> None:
    counted_to = local(integrity.counted_to, zone)
    if integrity.total and integrity.unattributed == integrity.total:
        click.echo(
            f"Not one of these messages names a customer: is stores.{store}.fields.customer the right field?", err=True
        )
    if format_ == "json":
        output([asdict(integrity) | {"counted_to": counted_to}], "json", ())
        return
    figures = asdict(integrity)
    told = " + ".join(f"{figures[part]:,} {part}" for part in PARTS)
    duplicates = counted(integrity.duplicates or 0, "duplicate")  # from the logs they are always known
    click.echo(
        wrapped(f"{counted(integrity.total, 'message')} = {told}; {duplicates} refused; counted to {counted_to}"),
        err=format_ == "csv",
    )
