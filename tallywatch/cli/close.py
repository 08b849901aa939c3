"""`tallywatch close` and `tallywatch export`: statements, and the files for finance."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallywatch.cli.common import Context, output

if TYPE_CHECKING:
    from config.load import Loaded
    from config.models import Config
    from exporters.closing import Outcome
    from exporters.files import Written
    from exporters.statements import Accounts, Draft
    from exporters.summary import TierSum
    from ledger.database import Database
    from ledger.statements import Line, Statement, StatementKey

SUMMARY_COLUMNS = ("tier", "customers", "quantity", "overage", "amount")
INTEGRITY_COLUMNS = (
    "view",
    "total",
    "selected",
    "unselected",
    "unattributed",
    "unknown",
    "outside",
    "duplicates",
    "counted_to",
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

    _check_month(period)
    loaded = context.load()
    names = _exports(loaded.config, export_name)
    database = context.database(loaded)
    accounts = _accounts(context, loaded, database)
    outcomes = close_month(database, accounts, period, names, approve=approve, actor=_actor())
    for outcome in outcomes:
        _show(database, loaded.config, outcome)
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
    from exporters.closing import draft_open
    from exporters.files import FOLDER, PROVISIONAL, write_copies, write_month, write_provisional

    _check_month(period)
    loaded = context.load()
    database = context.database(loaded)
    folder = loaded.base / FOLDER / period
    if provisional:
        at = context.now()
        accounts = _accounts(context, loaded, database, until=at)
        names = _exports(loaded.config, export_name)
        drafts = draft_open(database, accounts, period, names)
        _tell(write_provisional((folder if out is None else out) / PROVISIONAL, period, drafts, at))
        return
    closed, missing = _closed_and_missing(context, loaded, database, period, export_name)
    if closed:
        apart = out is not None and out.resolve() != folder.resolve()
        _tell(
            write_copies(database, out, period, closed)
            if out is not None and apart
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

    with database.connect() as connection:
        closed = [item.statement.key for item in of_month(connection, month, export_name)]
    # an export that is closed may have left the configuration since
    known = export_name is None or export_name in loaded.config.exports or not closed
    names = _exports(loaded.config, export_name) if known and (loaded.config.exports or not closed) else ()
    missing = list(not_closed(database, _accounts(context, loaded, database), month, names))
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
    from config.names import did_you_mean

    if not config.exports:
        raise UsageError("the configuration has no exports; add one under exports:")
    if export_name is None:
        return tuple(config.exports)
    if export_name not in config.exports:
        raise UsageError(f"there is no export {export_name!r}; {did_you_mean(export_name, config.exports)}")
    return (export_name,)


def _accounts(context: Context, loaded: Loaded, database: Database, until: datetime | None = None) -> Accounts:
    from exporters.statements import Accounts

    at = context.now() if until is None else until
    return Accounts(loaded.config, loaded.roster, lambda name: context.store(loaded, database, name), at, until)


def _actor() -> str:
    """Who runs the command, as the system knows it; a container may not."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _show(database: Database, config: Config, outcome: Outcome) -> None:
    """One statement's figures, and what became of it. What could not be closed is told at the end, as an error."""
    from ledger.statements import find, lines_of

    if outcome.draft is not None:
        from exporters.statements import figures

        draft = outcome.draft
        integrity = [figures(item) for item in draft.integrity]
        _figures(config, draft, draft.lines, integrity)
    elif outcome.state == "already closed":
        with database.connect() as connection:
            sealed = find(connection, outcome.key)
            lines = lines_of(connection, sealed.id) if sealed is not None else ()
        if sealed is not None:
            _figures(config, sealed.statement, lines, list(sealed.statement.integrity.values()))
    if outcome.state not in ("too early", "held"):
        click.echo(f"{outcome.sentence}.")


def _figures(
    config: Config, head: Draft | Statement, lines: Sequence[Line], integrity: Iterable[Mapping[str, object]]
) -> None:
    from exporters.summary import ADDITIVE, by_tier, total

    additive = {name for name, view in config.views.items() if view.aggregation in ADDITIVE}
    click.echo(f"{head.key}: layout {head.layout}, currency {head.currency}")
    rows = [_row(one.tier or "(no tier)", one) for one in by_tier(lines, additive, head.exponent)]
    output([*rows, _row("total", total(lines, additive, head.exponent))], "table", SUMMARY_COLUMNS)
    click.echo("Messages that were counted:")
    output(integrity, "table", INTEGRITY_COLUMNS)


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
    }
    for file in files:
        click.echo(words[file.state].format(file.path))
