"""`tallywatch evaluate`: verdicts out, and with `--commit` what follows from them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

import click

from tallywatch.cli.common import Context, format_option, output

if TYPE_CHECKING:
    from config.models import Aggregation, Config, Settings
    from config.roster import Roster
    from ledger.database import Database
    from ledger.records import Quantity, Verdict
    from monitors.evaluate import Evaluated

COLUMNS = (
    "monitor",
    "customer",
    "at",
    "period_start",
    "period_end",
    "counted_to",
    "quantity",
    "included",
    "percent",
    "state",
    "reason",
    "thresholds",
    "projected",
)


@click.command()
@click.argument("monitors", nargs=-1, metavar="[MONITOR]...")
@click.option("--at", "at_text", metavar="T", help="Evaluate as of this instant (with an offset), counting up to it.")
@click.option("--commit", "committing", is_flag=True, help="Record what was found, and send the notices that are due.")
@format_option
@click.pass_obj
def evaluate(context: Context, monitors: tuple[str, ...], at_text: str | None, committing: bool, format_: str) -> None:
    """Judge monitors now: of each customer (or the total) the usage, the limit, and the state.

    Without a MONITOR all are evaluated. Nothing is written or sent without --commit, and --commit takes an --at only on
    a database that was created with settings.simulation: true.

    Exit status 3 when a log store could not answer (the other monitors' verdicts still come out), or when a notice
    could not be delivered (it stays queued).
    """
    from ledger.clock import parse_instant
    from monitors.evaluate import Evaluator

    loaded = context.load()
    names = _chosen(loaded.config, monitors)
    at = context.now() if at_text is None else parse_instant(at_text)
    database = context.database(loaded)
    if committing and at_text is not None:
        _allow_made_up_time(database)
    evaluator = Evaluator(loaded.config, loaded.roster, lambda store: context.store(loaded, database, store))
    found = []
    for name in names:
        evaluated = evaluator.evaluate(name, at)
        if committing:
            _commit(database, evaluated, loaded.roster)
        found.append(evaluated)
    output(_lines(found, nested=format_ == "json"), format_, COLUMNS)
    undelivered = _deliver(database, loaded.config.settings, at) if committing else 0
    unavailable = [evaluated for evaluated in found if evaluated.problem is not None]
    for evaluated in unavailable:
        click.echo(f"{evaluated.watched.name}: unavailable: {evaluated.problem}", err=True)
    if unavailable or undelivered:
        raise click.exceptions.Exit(3)


def _chosen(config: Config, monitors: tuple[str, ...]) -> tuple[str, ...]:
    from config.errors import UsageError

    if not config.monitors:
        raise UsageError("the configuration has no monitors; add one under monitors:")
    for name in monitors:
        if name not in config.monitors:
            raise UsageError(f"there is no monitor {name!r}; there are " + ", ".join(config.monitors))
    return tuple(dict.fromkeys(monitors)) or tuple(config.monitors)


def _allow_made_up_time(database: Database) -> None:
    from config.errors import UsageError

    if not database.simulation:
        raise UsageError(
            "--commit takes no --at, because notices would tell of a time that is not now; leave one of them out, or "
            "use a database that was created with settings.simulation: true"
        )


def _commit(database: Database, evaluated: Evaluated, roster: Roster) -> None:
    from monitors.commit import commit

    decision = commit(database, evaluated, roster)
    figures = decision.evaluation.figures
    notices = len(decision.notices)
    click.echo(f"{evaluated.watched.name}: {notices} notice{'' if notices == 1 else 's'} decided", err=True)
    if "without_address" in figures:
        click.echo(
            f"{evaluated.watched.name}: {figures['without_address']} would be told but have no email address", err=True
        )


def _deliver(database: Database, settings: Settings, at: datetime) -> int:
    """Lets due notices leave, says what became of them, and gives the number that could not."""
    from notifiers.delivery import deliver_due

    summary = deliver_due(database, settings, at)
    if summary.delivered or summary.failures:
        click.echo(f"{summary.delivered} delivered, {len(summary.failures)} not", err=True)
    for failure in summary.failures:
        click.echo(f"notice {failure.notice_id} to {failure.address} stays queued: {failure.reason}", err=True)
    return len(summary.failures)


def _lines(found: Iterable[Evaluated], *, nested: bool) -> Iterator[Mapping[str, object]]:
    for evaluated in found:
        for verdict in evaluated.verdicts:
            yield verdict_line(verdict, evaluated.watched.view.aggregation, nested=nested)


def verdict_line(verdict: Verdict, aggregation: Aggregation, *, nested: bool) -> dict[str, object]:
    """One verdict as it is printed: instants in its period's zone, quantities as integers where whole, else as text.

    `nested` keeps the thresholds a list of mappings, for JSON; else they become one text.
    """
    from ledger.quantities import quantity_text
    from monitors.quantities import cut, percent_text

    return {
        "monitor": verdict.monitor,
        "customer": verdict.subject.id if verdict.subject.kind == "customer" else None,
        "at": _local(verdict.at, verdict.period.zone),
        "period_start": _local(verdict.period.start, verdict.period.zone),
        "period_end": _local(verdict.period.end, verdict.period.zone),
        "counted_to": None if verdict.counted_to is None else _local(verdict.counted_to, verdict.period.zone),
        "quantity": quantity_text(verdict.quantity, aggregation),
        "included": verdict.included,
        "percent": percent_text(verdict.quantity, verdict.included),
        "state": verdict.state,
        "reason": verdict.reason.value,
        "thresholds": _thresholds(verdict, nested=nested),
        "projected": None if verdict.projected is None else cut(verdict.projected),
    }


def _thresholds(verdict: Verdict, *, nested: bool) -> object:
    if nested:
        return [
            {"name": result.name, "limit": _limit(result.limit), "breached": result.breached}
            for result in verdict.thresholds
        ]
    words = {True: "breached", False: "clear", None: "unknown"}
    return "; ".join(f"{result.name} {words[result.breached]}" for result in verdict.thresholds)


def _limit(limit: Quantity | None) -> object:
    from ledger.quantities import decimal_text

    return decimal_text(limit) if limit is not None and not isinstance(limit, int) else limit


def _local(at: datetime, zone: str) -> str:
    from config.values import zone_info

    return at.astimezone(zone_info(zone)).isoformat(timespec="milliseconds" if at.microsecond else "seconds")
