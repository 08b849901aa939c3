"""Deliveries as people look at them: a table for each monitor, and what keeps a delivery from leaving."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import click

from tallywatch.cli.common import counted
from tallywatch.cli.tables import is_constant, print_table, word

if TYPE_CHECKING:
    from ledger.outbox import Outgoing

_SHORTEST: Final = 8


def print_deliveries(found: Sequence[Outgoing], zone: str) -> None:
    """Prints the deliveries of each monitor, and below them, with the reason, those that could not leave."""
    from config.values import zone_info

    if not found:
        click.echo("no notices")
    beginnings = _beginnings(found)
    for place, name in enumerate(dict.fromkeys(item.notice.monitor for item in found)):
        if place:
            click.echo()
        rows = [
            {
                "notice": beginnings[item.notice.id],
                "decided": item.notice.decided_at.astimezone(zone_info(zone)).strftime("%Y-%m-%d %H:%M"),
                "customer": item.notice.subject.id if item.notice.subject is not None else None,
                "address": item.delivery.address,
                "template": item.notice.template,
                "status": item.delivery.status,
            }
            for item in found
            if item.notice.monitor == name
        ]
        same = is_constant(rows, "status")
        status = f", {'all ' if len(rows) > 1 else ''}{rows[0]['status']}" if same else ""
        click.echo(f"{name}: {len(rows):,} {'delivery' if len(rows) == 1 else 'deliveries'}{status}; times in {zone}")
        columns = [word(key) for key in ("notice", "decided", "customer", "template", "address")]
        print_table(rows, columns if same else [*columns, word("status")])
    for item in found:
        if item.delivery.status != "delivered" and item.delivery.detail:
            tried = counted(item.delivery.attempts, "attempt")
            click.echo(f"{beginnings[item.notice.id]} to {item.delivery.address}, {tried}: {item.delivery.detail}")


def _beginnings(found: Sequence[Outgoing]) -> dict[str, str]:
    """As much of each notice's id as tells them apart here, and no less than eight digits."""
    ids = {item.notice.id for item in found}
    length = _SHORTEST
    while len({id_[:length] for id_ in ids}) < len(ids):
        length += 1
    return {id_: id_[:length] for id_ in ids}
