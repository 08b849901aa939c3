"""`tallywatch count`: a view's exact counts, now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tallywatch.cli.common import Context, chosen, format_option, local, output

if TYPE_CHECKING:
    from config.load import Loaded
    from config.models import View
    from config.roster import RosterCustomer
    from ledger.records import Period
    from logviews.counting import PeriodOf
    from logviews.readings import Integrity
    from logviews.store import LogStore

PARTS = ("selected", "unselected", "unattributed", "unknown", "outside")


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
    loaded = context.load()
    settings = chosen("view", view, loaded.config.views)
    period_of, until = _span(context, loaded, period, from_text, to_text)
    database = context.database(loaded)
    store = context.store(loaded, database, settings.store)
    if by == "customer":
        rows, integrity = _by_customer(loaded, store, view, settings, period_of, until)
    else:
        rows, integrity = _by_time(loaded, store, view, settings, period_of, until, by)
    columns = ("customer", "quantity", "messages", "known") if by == "customer" else (
        "customer", "start", "quantity", "messages", "known",
    )  # fmt: skip
    if format_ == "table":
        _table(rows, columns)
    else:
        output(rows, format_, ("view", *columns))
    _tell_integrity(integrity, settings.store, loaded.config.settings.zone, format_)


def _span(
    context: Context, loaded: Loaded, period: str | None, from_text: str | None, to_text: str | None
) -> tuple[PeriodOf, datetime]:
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

        return explicit, end
    if period is not None:
        period_of_month(period, loaded.config.settings.zone)  # refuses what is no month

        def named(customer: RosterCustomer) -> Period:
            return period_of_month(period, customer.zone, customer.billing_day)

        return named, now

    def present(customer: RosterCustomer) -> Period:
        return period_containing("billing month", now, customer.zone, customer.billing_day)

    return present, now


def _by_customer(
    loaded: Loaded, store: LogStore, name: str, view: View, period_of: PeriodOf, until: datetime
) -> tuple[list[Mapping[str, object]], Integrity]:
    from ledger.quantities import quantity_text
    from logviews.readings import count_view

    counted = count_view(store, name, view, loaded.roster, period_of, until, default_zone=loaded.config.settings.zone)

    def rows() -> Iterator[Mapping[str, object]]:
        for known, readings in ((True, counted.readings), (False, counted.unknown)):
            for id_, reading in readings.items():
                quantity = quantity_text(reading.quantity, view.aggregation)
                row = {"view": name, "customer": id_, "quantity": quantity, "messages": reading.messages}
                yield row if known else row | {"known": False}

    return list(rows()), counted.integrity


def _by_time(
    loaded: Loaded, store: LogStore, name: str, view: View, period_of: PeriodOf, until: datetime, by: str
) -> tuple[list[Mapping[str, object]], Integrity]:
    from ledger.quantities import quantity_text
    from logviews.readings import count_series

    points, integrity = count_series(
        store,
        name,
        view,
        loaded.roster,
        period_of,
        until,
        "day" if by == "day" else "hour",
        default_zone=loaded.config.settings.zone,
    )
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
    return rows, integrity


def _table(rows: list[Mapping[str, object]], columns: tuple[str, ...]) -> None:
    """The rows for people; whether somebody is known is a column only where it matters."""
    shown = [{**row, "known": None if row.get("known", True) else "not on the roster"} for row in rows]
    if all(row["known"] is None for row in shown):
        columns = tuple(column for column in columns if column != "known")
    output(shown, "table", columns)


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
    click.echo(
        f"{integrity.total:,} messages = {told}; {integrity.duplicates:,} duplicates refused; counted to {counted_to}",
        err=format_ == "csv",
    )
