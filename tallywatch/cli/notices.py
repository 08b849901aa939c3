"""Commands about notices: `notices list`, `notices show` and `preview`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallywatch.cli.common import Context, Group, chosen, counted, format_option, notice_id, output
from tallywatch.cli.deliveries import print_deliveries
from tallywatch.cli.outbox import COMMANDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy import Connection

    from config.errors import UsageError
    from config.load import Loaded
    from ledger.database import Database
    from ledger.outbox import NoticeDetail, Outgoing, Status
    from ledger.records import RenderedNotice
    from notifiers.message import Part
    from notifiers.preview import Preview

STATUSES = ("queued", "claimed", "delivered", "suppressed", "expired", "dead", "held", "discarded")
COLUMNS = (
    "notice",
    "decided_at",
    "monitor",
    "route",
    "template",
    "customer",
    "address",
    "status",
    "attempts",
    "finished_at",
    "detail",
)


@click.group(cls=Group)
def notices() -> None:
    """What was decided to be told, and what became of it."""


@notices.command("list")
@click.option("--monitor", metavar="NAME", help="Only notices of this monitor.")
@click.option("--customer", metavar="ID", help="Only notices to this customer, by id or alias.")
@click.option("--status", type=click.Choice(STATUSES), help="Only deliveries of this status.")
@format_option
@click.pass_obj
def list_(context: Context, monitor: str | None, customer: str | None, status: Status | None, format_: str) -> None:
    """List notices, the newest first: one line for each address. A table is made for each monitor.

    A delivery is queued, claimed (leaving now), delivered, suppressed (the address was refused for good), expired, dead
    (refused), held or discarded; `detail` says where to, or why the last attempt failed.
    """
    from ledger import outbox, records

    loaded = context.load()
    member = None if customer is None else loaded.roster.find(customer)
    # a customer that has left the roster still has notices, under the id
    id_ = customer if member is None else member.id
    with context.database(loaded).connect() as connection:
        found = outbox.list_deliveries(
            connection, monitor=monitor, subject=None if id_ is None else records.customer(id_), status=status
        )
        if not found:
            _check_filters(connection, loaded, monitor, customer, id_)
    if format_ == "table":
        print_deliveries(found, loaded.config.settings.zone)
    else:
        output(_lines(found), format_, COLUMNS)


@notices.command()
@click.argument("notice", metavar="ID")
@click.option("--html", "as_html", is_flag=True, help="Print the HTML part alone.")
@click.pass_obj
def show(context: Context, notice: str, as_html: bool) -> None:
    """Show one notice: its message, its deliveries, and the decisions that it settled. The ID may be cut short."""
    loaded = context.load()
    detail = _found(context.database(loaded), notice)
    if as_html:
        _print_part(_message(detail, loaded), "html")
        return
    click.echo(f"Notice {detail.notice.id}: monitor {detail.notice.monitor}, route {detail.notice.route}")
    for delivery in detail.deliveries:
        told = f": {delivery.detail}" if delivery.detail else ""
        click.echo(f"{delivery.status} after {counted(delivery.attempts, 'attempt')}, to {delivery.address}{told}")
    for key in detail.keys:
        click.echo(f"settles {_printable(key)}")
    for key in detail.superseded_keys:
        click.echo(f"settles {_printable(key)} (superseded)")
    click.echo()
    _print_message(_message(detail, loaded))


@click.command()
@click.argument("monitor", metavar="MONITOR")
@click.option("--customer", required=True, metavar="ID", help="The customer, by id or alias.")
@click.option("--at", "at_text", metavar="T", help="As of this instant (with an offset), counting up to it.")
@click.option(
    "--out", metavar="DIR", type=click.Path(file_okay=False, path_type=Path), help="Write .eml files into this folder."
)
@click.pass_obj
def preview(context: Context, monitor: str, customer: str, at_text: str | None, out: Path | None) -> None:
    """Show the notice that MONITOR would send to a customer, judged for real. Nothing is recorded or sent.

    The most severe breached threshold is shown, also when its route waits for other days or hours, and when the
    customer was told already. Exit status 1 when no notice would be sent, with the reason.
    """
    from ledger.clock import parse_instant
    from notifiers.preview import messages
    from notifiers.preview import preview as previewed
    from tallywatch import compose

    loaded = context.load()
    _check_names(loaded, monitor, customer)
    at = context.now() if at_text is None else parse_instant(at_text)
    database = context.database(loaded)
    evaluated = compose.evaluator(loaded, database).evaluate(monitor, at)
    if evaluated.problem is not None:
        click.echo(f"{monitor}: unavailable: {evaluated.problem}", err=True)
        raise click.exceptions.Exit(3)
    member = loaded.roster.find(customer)
    assert member is not None  # noqa: S101 (checked with the names, for the type checker)
    found = previewed(evaluated, loaded.roster, member)
    batch = tuple(messages(found.notice, loaded.config.settings))
    _note(database, monitor, found)
    if out is not None:
        _write(out, batch)
        return
    for message in batch[:1]:
        _print_message(message)


def _lines(found: Sequence[Outgoing]) -> Iterator[Mapping[str, object]]:
    for item in found:
        delivery, notice = item.delivery, item.notice
        yield {
            "notice": notice.id,
            "decided_at": notice.decided_at.isoformat(timespec="milliseconds"),
            "monitor": notice.monitor,
            "route": notice.route,
            "template": notice.template,
            "customer": notice.subject.id if notice.subject is not None else None,
            "address": delivery.address,
            "status": delivery.status,
            "attempts": delivery.attempts,
            "finished_at": delivery.finished_at.isoformat(timespec="milliseconds") if delivery.finished_at else None,
            "detail": delivery.detail or None,
        }


def _check_filters(
    connection: Connection, loaded: Loaded, monitor: str | None, customer: str | None, id_: str | None
) -> None:
    """Nothing was found: refuses names of which neither the configuration nor the ledger knows anything."""
    from ledger import outbox, records

    if monitor is not None and not outbox.list_deliveries(connection, monitor=monitor):
        chosen("monitor", monitor, loaded.config.monitors)
    if customer is None or id_ is None or loaded.roster.open or loaded.roster.find(customer) is not None:
        return
    if not outbox.list_deliveries(connection, subject=records.customer(id_)):
        raise _no_customer(loaded, customer)


def _no_customer(loaded: Loaded, name: str) -> UsageError:
    from config.errors import UsageError
    from config.names import nearest

    names = [name for member in loaded.roster.customers.values() for name in (member.id, *member.aliases)]
    near = nearest(name, names)
    hint = "" if near is None else f" (did you mean {near}?)"
    return UsageError(f"there is no customer {name!r} on the roster, neither by id nor by alias{hint}")


def _found(database: Database, beginning: str) -> NoticeDetail:
    """The one notice whose id begins so."""
    from ledger import outbox

    with database.connect() as connection:
        detail = outbox.show(connection, notice_id(connection, beginning))
    assert detail is not None  # noqa: S101 (its id was found in the same snapshot, for the type checker)
    return detail


def _message(detail: NoticeDetail, loaded: Loaded) -> RenderedNotice:
    """The notice as it leaves for the first of its addresses."""
    from notifiers.message import compose

    first = detail.deliveries[0]
    return compose(
        detail.notice,
        delivery_id=first.id,
        address=first.address,
        message_id=first.message_id,
        mail=loaded.config.settings.email,
        default_language=loaded.config.settings.language,
    )


def _check_names(loaded: Loaded, monitor: str, customer: str) -> None:
    chosen("monitor", monitor, loaded.config.monitors)
    if loaded.roster.find(customer) is None:
        raise _no_customer(loaded, customer)


def _note(database: Database, monitor: str, found: Preview) -> None:
    """What stands between this notice and its being sent now."""
    from ledger import outbox

    if not found.open:
        click.echo(f"not sent now: route {found.notice.route} of {monitor} waits for its days and hours", err=True)
    with database.connect() as connection:
        told = outbox.show(connection, found.notice.id)
    if told is not None:
        click.echo(f"not sent again: it was decided already, see notices show {found.notice.id[:8]}", err=True)


def _write(folder: Path, batch: Sequence[RenderedNotice]) -> None:
    from notifiers.errors import ChannelError
    from notifiers.files import FilesChannel

    for receipt in FilesChannel(folder).deliver(batch):
        if receipt.outcome != "delivered":
            raise ChannelError(receipt.detail)
        click.echo(receipt.detail)


def _print_message(message: RenderedNotice) -> None:
    from notifiers.message import headers_of

    for name, value in headers_of(message):
        click.echo(f"{name}: {value}")
    click.echo()
    _print_part(message, "plain")


def _print_part(message: RenderedNotice, kind: Part) -> None:
    from notifiers.message import part_of

    click.echo(part_of(message, kind), nl=False)


def _printable(key: str) -> str:
    """A decision key on one line: it ends with the customer's id, which may hold anything."""
    from notifiers.text import one_line

    return one_line(key)


for _command in COMMANDS:
    notices.add_command(_command)
