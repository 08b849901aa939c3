"""`tallywatch recount`: a view's tallies, counted again from the logs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import click

from tallywatch.cli.common import Context, actor, chosen, counted, format_option, local, output
from tallywatch.cli.tables import Row, number, print_table, word

if TYPE_CHECKING:
    from config.models import Aggregation
    from config.roster import RosterCustomer
    from ledger.records import Period
    from logviews.tallies.comparing import Recount

_COLUMNS: Final = ("view", "customer", "tallied", "counted", "tallied_messages", "counted_messages", "known")
_TABLE: Final = (
    word("customer"),
    number("tallied"),
    number("counted"),
    number("tallied_messages", "messages tallied"),
    number("counted_messages", "messages counted"),
    word("known", optional=True),
)


@click.command()
@click.argument("view")
@click.option("--period", required=True, metavar="2026-10", help="The billing month that starts in this month.")
@format_option
@click.pass_obj
def recount(context: Context, view: str, period: str, format_: str) -> None:
    """Count the tallies of a VIEW again from the logs, replace them, and say of whom they were wrong.

    Scheduled evaluations and period sums read tallies; all other commands count from the logs anyway. What has come in
    since the last evaluation is counted first, and is no difference.
    """
    from ledger import audit
    from ledger.periods import period_of_month
    from logviews.tallies import comparing
    from tallywatch import compose

    loaded = context.load()
    settings, zone = chosen("view", view, loaded.config.views), loaded.config.settings.zone
    period_of_month(period, zone)  # refuses what is no month

    def month(customer: RosterCustomer) -> Period:
        return period_of_month(period, customer.zone, customer.billing_day)

    database, at = context.database(loaded), context.now()
    found = comparing.recount(compose.keeper(loaded, database, view), view, settings, month, at)
    if found is not None:
        what = {"view": view, "month": period, "differing": len(found.differences)}
        with database.begin() as connection:
            audit.record(connection, at=at, actor=actor(), action="recount", object_=f"view {view}", after=what)
        rows = _rows(view, settings.aggregation, found)
        if format_ != "table":
            output(rows, format_, _COLUMNS)
        elif found.differences:
            print_table([_for_people(row) for row in rows], _TABLE)
    click.echo(f"{view}: {_said(found, zone, period)}", err=format_ != "table")


def _said(found: Recount | None, zone: str, month: str) -> str:
    if found is None:
        return "no monitor watches it, so no tallies are kept of it"
    if found.first == found.last:
        return f"no tallies are kept of {month}; they begin at {local(found.first, zone)}"
    differing = counted(len(found.differences), "customer")
    what = f"{differing} differed" if found.differences else "nothing differed"
    return f"counted again from {local(found.first, zone)} to {local(found.last, zone)}: {what}"


def _rows(view: str, aggregation: Aggregation, found: Recount) -> Iterator[Row]:
    from ledger.quantities import quantity_text

    for one in found.differences:
        row: Row = {
            "view": view,
            "customer": one.customer,
            "tallied": quantity_text(one.tallied, aggregation),
            "counted": quantity_text(one.counted, aggregation),
            "tallied_messages": one.tallied_messages,
            "counted_messages": one.counted_messages,
        }
        yield row if one.known else {**row, "known": False}


def _for_people(row: Row) -> Row:
    if row["customer"] is None:
        return {**row, "customer": "(unattributed)", "known": None}
    return {**row, "known": None if row.get("known", True) else "unknown"}
