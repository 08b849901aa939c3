"""`tallywatch evaluate`: verdicts out, and with `--commit` what follows from them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Final

import click

from tallywatch.cli.common import Context, chosen, counted, day, days, format_option, local, output
from tallywatch.cli.tables import Column, Row, number, print_table, word, wrapped

if TYPE_CHECKING:
    from config.models import Aggregation, Config, Settings
    from config.roster import Roster
    from ledger.database import Database
    from ledger.records import Quantity, State, Verdict
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
_STATES: Final[tuple[State, ...]] = ("ok", "warning", "error", "unavailable")


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
    from tallywatch import compose

    loaded = context.load()
    names = _chosen(loaded.config, monitors)
    at = context.now() if at_text is None else parse_instant(at_text)
    database = context.database(loaded)
    if committing and at_text is not None:
        _allow_made_up_time(database)
    evaluator = compose.evaluator(loaded, database)
    found = []
    for name in names:
        evaluated = evaluator.evaluate(name, at, _judged_through(database, name) if committing else None)
        if committing:
            _commit(database, evaluated, loaded.roster)
        found.append(evaluated)
    if format_ == "table":
        for place, evaluated in enumerate(found):
            if place:
                click.echo()
            _print_verdicts(evaluated)
    else:
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
        chosen("monitor", name, config.monitors)
    return tuple(dict.fromkeys(monitors)) or tuple(config.monitors)


def _allow_made_up_time(database: Database) -> None:
    from config.errors import UsageError

    if not database.simulation:
        raise UsageError(
            "--commit takes no --at, because notices would tell of a time that is not now; leave one of them out, or "
            "use a database that was created with settings.simulation: true"
        )


def _judged_through(database: Database, monitor: str) -> datetime | None:
    from ledger import standings

    with database.connect() as connection:
        return standings.judged_through(connection, monitor)


def _commit(database: Database, evaluated: Evaluated, roster: Roster) -> None:
    from monitors.commit import commit

    decision = commit(database, evaluated, roster)
    figures = decision.evaluation.figures
    click.echo(f"{evaluated.watched.name}: {counted(len(decision.notices), 'notice')} decided", err=True)
    held = sum(notice.held for notice in decision.notices)
    if held:
        click.echo(
            f"{evaluated.watched.name}: {counted(held, 'notice')} held, because so many at once look like a mistake; "
            "look with: tallywatch notices holds",
            err=True,
        )
    if "without_address" in figures:
        mute = figures["without_address"]
        have = "has" if mute == 1 else "have"
        click.echo(
            f"{evaluated.watched.name}: {counted(mute, 'customer')} would be told but {have} no email address", err=True
        )


def _deliver(database: Database, settings: Settings, at: datetime) -> int:
    """Lets due notices leave, says what became of them, and gives the number that could not."""
    from notifiers.delivery import deliver_due

    summary = deliver_due(database, settings, at)
    if summary.delivered or summary.failures:
        click.echo(f"{summary.delivered:,} delivered, {len(summary.failures):,} not", err=True)
    for failure in summary.failures:
        click.echo(f"notice {failure.notice_id} to {failure.address} stays queued: {failure.reason}", err=True)
    return len(summary.failures)


def _lines(found: Iterable[Evaluated], *, nested: bool) -> Iterator[Mapping[str, object]]:
    for evaluated in found:
        for verdict in evaluated.verdicts:
            yield verdict_line(verdict, evaluated.watched.view.aggregation, nested=nested)


def _print_verdicts(evaluated: Evaluated) -> None:
    """One monitor for people: what all verdicts share above the table, and in it what differs."""
    it, verdicts = evaluated.watched, evaluated.verdicts
    limits = ", ".join(
        f"{name} {'above' if threshold.side == 'max' else 'below'} "
        f"{threshold.limit.value:,f}{'%' if threshold.limit.percent else ''} ({threshold.severity})"
        for name, threshold in it.monitor.thresholds.items()
    )
    click.echo(f"{it.name}: {it.monitor.window}{_shared_days(verdicts)}")
    click.echo(f"  as of {local(evaluated.at, it.settings.zone)}")
    click.echo(wrapped(f"  {limits}"))
    if not verdicts:
        click.echo("  nobody to judge: the view selects no customer with a contract in this period")
        return
    print_table((_row(verdict, it.view.aggregation) for verdict in verdicts), _columns(verdicts))
    if it.monitor.per == "customer":
        states = Counter(verdict.state for verdict in verdicts)
        told = ", ".join(f"{states[state]:,} {state}" for state in _STATES if states[state])
        click.echo(f"{counted(len(verdicts), 'customer')}: {told}")


def _shared_days(verdicts: Sequence[Verdict]) -> str:
    """The days that all verdicts' periods have, each in its own zone; else the table has them."""
    shared = {days(verdict.period) for verdict in verdicts}
    return f" {shared.pop()}" if len(shared) == 1 else ""


def _columns(verdicts: Sequence[Verdict]) -> list[Column]:
    columns = [
        word("customer"),
        number("used"),
        number("included", optional=True),
        number("percent", "%", optional=True),
    ]
    columns += [number("projected", optional=True), word("state"), word("why", optional=True)]
    if not _shared_days(verdicts):
        columns.insert(1, word("since"))
    return columns


def _row(verdict: Verdict, aggregation: Aggregation) -> Row:
    from ledger.records import Reason

    told = verdict_line(verdict, aggregation, nested=False)
    breached = ", ".join(
        result.name for result in verdict.thresholds if result.breached and result.severity == verdict.state
    )
    plain = (Reason.WITHIN_LIMITS, Reason.ABOVE_MAX)
    return {
        "customer": told["customer"] if verdict.subject.kind == "customer" else "all together",
        "since": day(verdict.period.start, verdict.period.zone),
        "used": told["quantity"],
        "included": told["included"],
        "percent": told["percent"],
        "projected": told["projected"],
        "state": verdict.state,
        "why": breached or (None if verdict.reason in plain else verdict.reason.value.replace("_", " ")),
    }


def verdict_line(verdict: Verdict, aggregation: Aggregation, *, nested: bool) -> dict[str, object]:
    """One verdict as it is printed: instants in its period's zone, quantities as integers where whole, else as text.

    `nested` keeps the thresholds a list of mappings, for JSON; else they become one text.
    """
    from ledger.quantities import quantity_text
    from monitors.quantities import cut, percent_text

    return {
        "monitor": verdict.monitor,
        "customer": verdict.subject.id if verdict.subject.kind == "customer" else None,
        "at": local(verdict.at, verdict.period.zone),
        "period_start": local(verdict.period.start, verdict.period.zone),
        "period_end": local(verdict.period.end, verdict.period.zone),
        "counted_to": None if verdict.counted_to is None else local(verdict.counted_to, verdict.period.zone),
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
