"""The demo's last page: what came out, where it lies, and what to try next."""

from __future__ import annotations

import shlex
from typing import Final

import click

from exporters.statements import figures
from exporters.summary import TierSum, by_tier, total
from ledger.statements import Line
from tallywatch.cli.common import output
from tallywatch.cli.integrity import print_integrity
from tallywatch.cli.tables import number, word
from tallywatch.demo.customers import NEAR, REFERENCE, ZONE
from tallywatch.demo.walk import BASIC_MONITOR, MONTH, Walked

_PRICED: Final = tuple(map(number, ("overage", "amount")))
_TIERS: Final = (word("tier"), number("customers"), number("calls"), *_PRICED)
_CUSTOMERS: Final = (*map(word, ("customer", "name", "tier")), number("calls"), number("included"), *_PRICED)
_EVALUATIONS: Final = (word("at"), *map(number, ("ok", "warning", "error", "mails")))


def show(walked: Walked) -> None:
    """Prints the last page: tables for people, then paths and commands."""
    draft = walked.billing
    additive = {line.view for line in draft.lines}  # both views count messages
    click.echo("\nThe evaluations: customers by state, and the mails that left")
    output(_evaluations(walked), "table", _EVALUATIONS)
    click.echo(f"\nOctober by tier, in {draft.currency}: what lies beyond the included calls")
    tiers = [_tier(one.tier or "(no tier)", one) for one in by_tier(draft.lines, additive, draft.exponent)]
    output([*tiers, _tier("total", total(draft.lines, additive, draft.exponent))], "table", _TIERS)
    click.echo("\nFour customers of the 450")
    names = {one.id: one.name for one in REFERENCE}
    output([_line(line, names[line.customer]) for line in draft.lines if line.customer in names], "table", _CUSTOMERS)
    click.echo()
    print_integrity([(str(draft.key), figures(one)) for one in draft.integrity], ZONE)
    click.echo("\nTwo mails to open:")
    click.echo(f"  {walked.near_mail}\n  {walked.over_mail}")
    click.echo("The files for finance:")
    for file in walked.written:
        click.echo(f"  {file.path}")
    click.echo("Next, try:")
    click.echo(f"  cd {shlex.quote(str(walked.folder))}")
    click.echo(f"  tallywatch count basic_api_calls --period {MONTH}")
    click.echo(f"  tallywatch preview {BASIC_MONITOR} --customer D --at {NEAR.isoformat()}")


def _evaluations(walked: Walked) -> list[dict[str, object]]:
    return [
        {
            "at": one.at.astimezone(NEAR.tzinfo).strftime("%a %d %b %H:%M"),
            "ok": one.ok,
            "warning": one.warning,
            "error": one.error,
            "mails": one.mails,
        }
        for one in walked.evaluations
    ]


def _tier(name: str, one: TierSum) -> dict[str, object]:
    return {
        "tier": name,
        "customers": one.customers,
        "calls": one.quantity,
        "overage": one.overage,
        "amount": None if one.amount is None else format(one.amount, "f"),
    }


def _line(line: Line, name: str) -> dict[str, object]:
    return {
        "customer": line.customer,
        "name": name,
        "tier": line.tier,
        "calls": line.quantity,
        "included": line.included,
        "overage": line.overage,
        "amount": None if line.amount is None else format(line.amount, "f"),
    }
