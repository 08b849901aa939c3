"""Commands about what waits in the outbox or left it badly: `notices retry|resend|holds|release|discard|suppressed`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from tallywatch.cli.common import Context, actor, counted, format_option, local, notice_id, output
from tallywatch.cli.tables import number, word

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from ledger.deliveries import Delivery
    from ledger.holds import Hold

HOLD_COLUMNS = (
    number("hold"),
    word("monitor"),
    word("at"),
    number("notices"),
    number("watched"),
    word("status"),
    word("actor", optional=True),
    word("reason", optional=True),
)
SUPPRESSED_COLUMNS = (word("address"), word("since"), word("reason"))
_reason = click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit.")


@click.command()
@click.argument("notice", metavar="ID")
@click.pass_obj
def retry(context: Context, notice: str) -> None:
    """Queue what could not be delivered of a notice anew: what is dead, expired or suppressed, or waits to be retried.

    It leaves with the next delivery, under the same Message-ID, and its addresses are not suppressed any more. The ID
    may be cut short.
    """
    from ledger import resending

    loaded = context.load()
    with context.database(loaded).begin() as connection:
        id_ = notice_id(connection, notice)
        queued = resending.retry(connection, id_, at=context.now(), actor=actor())
    _tell(queued, "queued anew")


@click.command()
@click.argument("notice", metavar="ID")
@click.pass_obj
def resend(context: Context, notice: str) -> None:
    """Send a notice once more to each of its addresses, as a new copy, also where it was delivered.

    The copy has a Message-ID of its own, so mail programs show it beside the first. The ID may be cut short.
    """
    from ledger import resending
    from monitors.commit import sender_domain

    loaded = context.load()
    domain = sender_domain(loaded.config.settings.email.sender)
    with context.database(loaded).begin() as connection:
        id_ = notice_id(connection, notice)
        queued = resending.resend(connection, id_, at=context.now(), actor=actor(), sender_domain=domain)
    _tell(queued, "queued as a new copy")


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also those that were released or discarded.")
@format_option
@click.pass_obj
def holds(context: Context, everything: bool, format_: str) -> None:
    """List held notices: evaluations that would have mailed so many that a person has to look first."""
    from ledger.holds import list_holds

    loaded = context.load()
    with context.database(loaded).connect() as connection:
        found = list_holds(connection, status=None if everything else "held")
    if format_ == "table" and not found:
        click.echo("nothing is held")
        return
    zone = loaded.config.settings.zone
    rows = (
        {
            "hold": hold.id,
            "monitor": hold.monitor,
            "at": local(hold.at, zone),
            "notices": hold.notices,
            "watched": hold.watched,
            "status": hold.status,
            "actor": hold.actor,
            "reason": hold.reason,
        }
        for hold in found
    )
    output(rows, format_, HOLD_COLUMNS)


@click.command()
@click.argument("hold", metavar="HOLD", type=int)
@_reason
@click.pass_obj
def release(context: Context, hold: int, reason: str) -> None:
    """Let the notices of a hold leave; `notices holds` lists them.

    The time that they waited is added to their expiry."""
    from ledger import holds as held

    ended = _end(context, held.release, hold, reason)
    click.echo(f"{counted(ended.notices, 'notice')} of {ended.monitor} released")


@click.command()
@click.argument("hold", metavar="HOLD", type=int)
@_reason
@click.pass_obj
def discard(context: Context, hold: int, reason: str) -> None:
    """See to it that the notices of a hold never leave. They stay decided, and are not decided again."""
    from ledger import holds as held

    ended = _end(context, held.discard, hold, reason)
    click.echo(f"{counted(ended.notices, 'notice')} of {ended.monitor} discarded")


@click.command()
@format_option
@click.pass_obj
def suppressed(context: Context, format_: str) -> None:
    """List addresses that their mail server refused for good. `notices retry` lifts the suppression of a notice's."""
    from ledger.suppressions import list_suppressions

    loaded = context.load()
    with context.database(loaded).connect() as connection:
        found = list_suppressions(connection)
    if format_ == "table" and not found:
        click.echo("no address is suppressed")
        return
    zone = loaded.config.settings.zone
    rows = ({"address": item.address, "since": local(item.since, zone), "reason": item.reason} for item in found)
    output(rows, format_, SUPPRESSED_COLUMNS)


COMMANDS = (retry, resend, holds, release, discard, suppressed)


def _end(context: Context, end: Callable[..., Hold], hold: int, reason: str) -> Hold:
    from config.errors import UsageError

    if not reason.strip():
        raise UsageError("--reason is empty; say why, for whoever reads the audit")
    loaded = context.load()
    at: datetime = context.now()
    with context.database(loaded).begin() as connection:
        return end(connection, hold, at=at, actor=actor(), reason=reason.strip())


def _tell(queued: tuple[Delivery, ...], how: str) -> None:
    for delivery in queued:
        click.echo(f"{how} for {delivery.address}")
