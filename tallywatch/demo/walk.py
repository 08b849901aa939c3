"""The walk: every step from raw logs to finance's files, by the same functions that the commands call.

Its clock is made up. The database is a simulation, so each file enters on the night after its day, the monitors are
evaluated on October's mornings, and the month is closed in November, whatever the day really is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from importlib.resources import files
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from config.errors import TallywatchError
from config.load import Loaded, load
from exporters.closing import Outcome, close_month
from exporters.disk import Written
from exporters.files import write_month
from exporters.statements import Draft
from ledger import clock, outbox
from ledger.database import Database, open_database
from ledger.periods import period_of_month
from ledger.records import customer
from logviews.fields import used_fields
from logviews.intake.ingest import Ingest, IngestReport
from logviews.readings import ViewCount, count_view
from monitors.commit import commit
from monitors.evaluate import Evaluator
from notifiers.delivery import deliver_due
from tallywatch import compose
from tallywatch.cli.common import counted
from tallywatch.demo import folder, logs, month
from tallywatch.demo.customers import NEAR, ZONE, DemoCustomer, customers, roster_csv
from tallywatch.demo.screen import Screen

MONTH: Final = "2026-10"
STORE: Final = "api"
BASIC_MONITOR: Final = "basic_monthly_limit"
STEPS: Final = 5
_AFTER_MIDNIGHT: Final = time(0, 5, tzinfo=UTC)
_MORNINGS: Final = (*range(20, 29), 31)


class DemoError(TallywatchError):
    """A step did not do what it does in every demo; the commands' own errors come as they are."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What one morning's evaluation of all monitors found: subjects by state, and the notices that left."""

    at: datetime
    ok: int
    warning: int
    error: int
    mails: int


@dataclass(frozen=True, slots=True)
class Walked:
    """What the walk leaves behind, for the last page."""

    folder: Path
    messages: int
    reports: tuple[IngestReport, ...]
    evaluations: tuple[Evaluation, ...]
    billing: Draft
    near_mail: Path
    over_mail: Path
    written: tuple[Written, ...]


def mornings() -> tuple[datetime, ...]:
    """When the monitors are evaluated: at nine on the days on which something happens."""
    return tuple(datetime(2026, 10, day, 9, tzinfo=ZoneInfo(ZONE)) for day in _MORNINGS)


CLOSING: Final = datetime(2026, 11, 4, 9, tzinfo=ZoneInfo(ZONE))
"""The first morning after the last customer's October, wherever it ends, and the three days of `settle`."""


def walk(
    directory: Path,
    screen: Screen,
    messages: int = month.MESSAGES,
    everyone: Sequence[DemoCustomer] | None = None,
) -> Walked:
    """All steps, in a folder that is new, empty or an earlier demo's, with about so many messages.

    `everyone` is for trying it with fewer customers; A and D must be among them, because their mails are shown.

    The environment does not override anything here: the demo must never reach a real database.

    Raises:
        UsageError: when the folder is not the demo's to use.
        TallywatchError: as the commands do.
    """
    number = _make(directory, screen, messages, tuple(everyone or customers()))
    loaded = load(directory / folder.CONFIGURATION, env={})
    settings = loaded.config.settings
    database = open_database(settings.database, simulation=settings.simulation, now=clock.now())
    try:
        reports = _ingest(loaded, database, screen)
        _count(loaded, database, screen)
        evaluations = _evaluate(loaded, database, screen)
        outcomes, written = _close(loaded, database, screen)
        return Walked(
            directory,
            number,
            reports,
            evaluations,
            _draft(outcomes, "billing"),
            _mail(database, NEAR, "D", "near_limit"),
            _mail(database, None, "A", "over_limit"),
            written,
        )
    finally:
        database.close()


def _make(directory: Path, screen: Screen, messages: int, everyone: Sequence[DemoCustomer]) -> int:
    configuration = files("tallywatch.demo").joinpath("configuration.yaml").read_text(encoding="utf-8")
    texts = {folder.CONFIGURATION: configuration, folder.ROSTER: roster_csv(everyone)}
    if folder.prepare(directory, texts):
        what = "its configuration, logs, ledger, mails and exports are replaced"
        screen.warn(f"{directory} held an earlier demo; {what}")
    number = 0
    with screen.step(
        f"Making October's logs for {counted(len(everyone), 'customer')}", "", len(month.log_days())
    ) as advance:
        made = month.imagine(everyone, messages)
        with logs.writer(made.callers) as writer:
            for day in made.days():
                writer.write(directory / folder.LOGS / logs.file_name(day.day), day.messages)
                number += len(day.messages)
                advance()
        screen.say(f"{counted(number, 'message')} in {len(month.log_days())} files in {directory / folder.LOGS}")
    return number


def _ingest(loaded: Loaded, database: Database, screen: Screen) -> tuple[IngestReport, ...]:
    taking = Ingest(STORE, loaded.config.embedded_stores[STORE], used_fields(loaded.config, STORE), database)
    days = month.log_days()
    reports = []
    command = f"tallywatch ingest {STORE} {folder.LOGS}/*"
    with screen.step("Taking the logs in, each message once", command, len(days)) as advance:
        for day in days:
            path = loaded.base / folder.LOGS / logs.file_name(day)
            reports.append(taking.take(path, _night_after(day), None))
            advance()
        new, again = sum(report.new for report in reports), sum(report.duplicates for report in reports)
        screen.say(f"{counted(new, 'message')} taken in, {counted(again, 'duplicate')} refused")
    return tuple(reports)


def _count(loaded: Loaded, database: Database, screen: Screen) -> None:
    views = loaded.config.views
    command = f"tallywatch count {next(iter(views))} --period {MONTH}"
    with screen.step("Counting October for each customer", command, len(views)) as advance:
        for name, view in views.items():
            store = compose.store(loaded, database, view.store)
            found = count_view(
                store,
                name,
                view,
                loaded.roster,
                lambda member: period_of_month(MONTH, member.zone, member.billing_day),
                default_zone=loaded.config.settings.zone,
            )
            screen.say(_counted(name, found))
            advance()


def _counted(name: str, found: ViewCount) -> str:
    number = sum(reading.messages for reading in found.readings.values())
    silent = sum(not reading.messages for reading in found.readings.values())
    text = f"{name}: {counted(number, 'call')} of {counted(len(found.readings), 'customer')}"
    return f"{text}, {silent:,} without any" if silent else text


def _evaluate(loaded: Loaded, database: Database, screen: Screen) -> tuple[Evaluation, ...]:
    command = f"tallywatch evaluate --at {NEAR.isoformat()} --commit"
    found = []
    with screen.step("Evaluating the monitors, and mailing to .eml files", command, len(mornings())) as advance:
        evaluator = compose.evaluator(loaded, database)
        for at in mornings():
            found.append(_evaluate_at(loaded, database, evaluator, clock.cut(at)))
            advance()
        screen.say(f"{counted(sum(one.mails for one in found), 'mail')} in {loaded.config.settings.email.folder}")
    return tuple(found)


def _evaluate_at(loaded: Loaded, database: Database, evaluator: Evaluator, at: datetime) -> Evaluation:
    states: list[str] = []
    for name in loaded.config.monitors:
        evaluated = evaluator.evaluate(name, at)
        if evaluated.problem is not None:
            raise DemoError(f"{name}: unavailable: {evaluated.problem}")
        commit(database, evaluated, loaded.roster)
        states += [verdict.state for verdict in evaluated.verdicts]
    summary = deliver_due(database, loaded.config.settings, at)
    for failure in summary.failures:
        raise DemoError(f"notice {failure.notice_id} to {failure.address} stays queued: {failure.reason}")
    return Evaluation(at, states.count("ok"), states.count("warning"), states.count("error"), summary.delivered)


def _close(loaded: Loaded, database: Database, screen: Screen) -> tuple[tuple[Outcome, ...], tuple[Written, ...]]:
    exports = tuple(loaded.config.exports)
    with screen.step("Closing October, and writing finance's files", f"tallywatch close {MONTH}", 1) as advance:
        accounts = compose.accounts(loaded, database, clock.cut(CLOSING))
        outcomes = close_month(database, accounts, MONTH, exports, approve=False, actor="demo")
        for outcome in outcomes:
            if outcome.state != "closed":
                raise DemoError(outcome.sentence)
            screen.say(outcome.sentence)
        written = write_month(database, loaded.base, MONTH)
        advance()
    return outcomes, written


def _draft(outcomes: tuple[Outcome, ...], export: str) -> Draft:
    for outcome in outcomes:
        if outcome.key.export == export and outcome.draft is not None:
            return outcome.draft
    raise DemoError(f"the statement {export} is missing")


def _mail(database: Database, at: datetime | None, id_: str, template: str) -> Path:
    """The file of the notice that a customer got by this template, at that instant if one is given."""
    with database.connect() as connection:
        found = outbox.list_deliveries(connection, monitor=BASIC_MONITOR, subject=customer(id_))
    for item in found:
        if item.notice.template == template and (at is None or item.notice.decided_at == at):
            return Path(item.delivery.detail)
    raise DemoError(f"customer {id_} was not told by {template}")


def _night_after(day: date) -> datetime:
    return datetime.combine(day + timedelta(days=1), _AFTER_MIDNIGHT)
