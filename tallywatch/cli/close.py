"""`tallywatch close` and `tallywatch export`: statements, and the files for finance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallywatch.cli.common import Context, actor, chosen, output
from tallywatch.cli.integrity import Figures, print_integrity
from tallywatch.cli.tables import number, word

if TYPE_CHECKING:
    from config.load import Loaded
    from config.models import Config
    from exporters.closing import Outcome
    from exporters.disk import Written
    from exporters.statements import Draft
    from exporters.summary import TierSum
    from ledger.database import Database
    from ledger.statements import Line, Statement, StatementKey

SUMMARY_COLUMNS = (
    word("tier"),
    number("customers"),
    number("quantity"),
    number("overage", optional=True),
    number("amount", optional=True),
)


@click.command()
@click.argument("period")
@click.option("--export", "export_name", metavar="NAME", help="Close this export only.")
@click.option("--approve", is_flag=True, help="Seal what was reviewed.")
@click.pass_obj
def close(context: Context, period: str, export_name: str | None, approve: bool) -> None:
    """Close the billing month that starts in PERIOD, such as 2026-10: recount it, seal the statement, write the files.

    An export with `approve: manual` is only shown; look at it, and close it with --approve. What is closed already
    stays as it is: its files are checked, and written again from the ledger where they are missing or differ.

    Exit status 1 when something of the month could not be closed.
    """
    from exporters.closing import NotClosedError, close_month
    from exporters.files import write_month
    from tallywatch import compose

    _check_month(period)
    loaded = context.load()
    names = _exports(loaded.config, export_name)
    database = context.database(loaded)
    accounts = compose.accounts(loaded, database, context.now())
    outcomes = close_month(database, accounts, period, names, approve=approve, actor=actor())
    _show(database, loaded.config, outcomes)
    _tell(write_month(database, loaded.base, period))
    refused = [outcome.sentence for outcome in outcomes if outcome.state in ("too early", "held")]
    if refused:
        raise NotClosedError("\n".join(refused))


@click.command()
@click.argument("period")
@click.option("--export", "export_name", metavar="NAME", help="Write this export only.")
@click.option(
    "--out", type=click.Path(path_type=Path, file_okay=False), metavar="DIR", help="Write there, not in exports/PERIOD."
)
@click.option("--provisional", is_flag=True, help="Count what is not closed, up to now, and write it apart.")
@click.pass_obj
def export(context: Context, period: str, export_name: str | None, out: Path | None, provisional: bool) -> None:
    """Write the files of the month PERIOD, such as 2026-10, again from the ledger, byte for byte.

    Before the close --provisional counts up to now and writes into a folder `provisional`, whose manifest says so.
    """
    from exporters import provisional as apart
    from exporters.closing import draft_open
    from exporters.files import write_copies, write_month
    from exporters.seal import FOLDER
    from tallywatch import compose

    _check_month(period)
    loaded = context.load()
    database = context.database(loaded)
    folder = loaded.base / FOLDER / period
    if provisional:
        at = context.now()
        accounts = compose.accounts(loaded, database, at, until=at)
        names = _exports(loaded.config, export_name)
        drafts = draft_open(database, accounts, period, names)
        _tell(apart.write(database, (folder if out is None else out) / apart.NAME, period, drafts, at))
        return
    closed, missing = _closed_and_missing(context, loaded, database, period, export_name)
    if closed:
        elsewhere = out is not None and out.resolve() != folder.resolve()
        _tell(
            write_copies(database, out, period, closed)
            if out is not None and elsewhere
            else write_month(database, loaded.base, period)
        )
    if missing:
        _refuse(period, missing)


def _closed_and_missing(
    context: Context, loaded: Loaded, database: Database, month: str, export_name: str | None
) -> tuple[list[StatementKey], list[StatementKey]]:
    """What the ledger has of the month, exports that the configuration no longer has among them, and what it lacks."""
    from exporters.closing import not_closed
    from ledger.statements import of_month
    from tallywatch import compose

    with database.connect() as connection:
        closed = [item.statement.key for item in of_month(connection, month, export_name)]
    # an export that is closed may have left the configuration since
    known = export_name is None or export_name in loaded.config.exports or not closed
    names = _exports(loaded.config, export_name) if known and (loaded.config.exports or not closed) else ()
    missing = list(not_closed(database, compose.accounts(loaded, database, context.now()), month, names))
    if not closed and not missing:
        _refuse(month, ())
    return closed, missing


def _refuse(month: str, missing: Sequence[StatementKey]) -> None:
    from exporters.closing import NotClosedError

    if not missing:
        raise NotClosedError(f"nothing of {month} is closed, and no customer has a contract in it")
    what = ", ".join(str(key) for key in missing)
    raise NotClosedError(
        f"not closed yet: {what}; close it with: tallywatch close {month}, or look at the figures so far with: "
        f"tallywatch export {month} --provisional"
    )


def _check_month(period: str) -> None:
    """Before anything else is read, because it is what was just typed."""
    from ledger.periods import period_of_month

    period_of_month(period, "UTC")


def _exports(config: Config, export_name: str | None) -> tuple[str, ...]:
    from config.errors import UsageError

    if not config.exports:
        raise UsageError("the configuration has no exports; add one under exports:")
    if export_name is None:
        return tuple(config.exports)
    chosen("export", export_name, config.exports)
    return (export_name,)


def _show(database: Database, config: Config, outcomes: Sequence[Outcome]) -> None:
    """The statements' figures, where their messages went, and what became of each. What could not be closed is told at
    the end, as an error."""
    messages: list[tuple[str, Figures]] = []
    for outcome in outcomes:
        found = _looked_at(database, outcome)
        if found is None:
            continue
        _print_figures(config, found)
        messages += [(str(outcome.key), figures) for figures in found.integrity]
    if messages:
        print_integrity(messages, config.settings.zone)
    for outcome in outcomes:
        if outcome.state not in ("too early", "held"):
            click.echo(f"{outcome.sentence}.")


@dataclass(frozen=True, slots=True)
class _Account:
    """What is shown of a statement, drafted or sealed."""

    head: Draft | Statement
    lines: Sequence[Line]
    integrity: Sequence[Figures]


def _looked_at(database: Database, outcome: Outcome) -> _Account | None:
    """The draft that was looked at, or what the ledger has when it was closed already; None when it is too early."""
    from ledger.statements import find, lines_of

    if outcome.draft is not None:
        draft = outcome.draft
        return _Account(draft, draft.lines, list(draft.figures.values()))
    if outcome.state != "already closed":
        return None
    with database.connect() as connection:
        sealed = find(connection, outcome.key)
        if sealed is None:
            return None
        return _Account(sealed.statement, lines_of(connection, sealed.id), list(sealed.statement.integrity.values()))


def _print_figures(config: Config, found: _Account) -> None:
    from exporters.summary import ADDITIVE, by_tier, total

    additive = {name for name, view in config.views.items() if view.aggregation in ADDITIVE}
    head, lines = found.head, found.lines
    click.echo(f"{head.key}: layout {head.layout}, currency {head.currency}")
    rows = [_row(one.tier or "(no tier)", one) for one in by_tier(lines, additive, head.exponent)]
    output([*rows, _row("total", total(lines, additive, head.exponent))], "table", SUMMARY_COLUMNS)


def _row(name: str, tier: TierSum) -> dict[str, object]:
    from ledger.quantities import decimal_text

    def shown(quantity: object) -> object:
        return quantity if quantity is None or isinstance(quantity, int) else decimal_text(quantity)  # type: ignore[arg-type]  # what is neither is a fraction

    return {
        "tier": name,
        "customers": tier.customers,
        "quantity": shown(tier.quantity),
        "overage": shown(tier.overage),
        "amount": None if tier.amount is None else format(tier.amount, "f"),
    }


def _tell(files: Sequence[Written]) -> None:
    words = {
        "unchanged": "as it should be: {}",
        "written": "written: {}",
        "restored": "restored, because it was not what was sealed: {}",
        "removed": "removed, because the month is closed now: {}",
        "kept": "provisional, but left as it is, because it was changed after it was written: {}",
    }
    for file in files:
        click.echo(words[file.state].format(file.path))
