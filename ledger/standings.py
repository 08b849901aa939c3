"""Standings, their transitions, and the evaluations that changed them: read and written here alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

from sqlalchemy import Connection, RowMapping, bindparam, func, select

from ledger.records import Evaluation, Standing, Subject, SubjectKind, Transition
from ledger.tables import evaluation, judged, standing, transition
from ledger.upsert import upsert

StandingKey = tuple[Subject, datetime, str]
"""Subject, the period's start, threshold: what a standing of one monitor is about."""


def load(connection: Connection, monitor: str) -> Mapping[StandingKey, Standing]:
    """Every open standing of a monitor. One query; those of periods that ended are removed as they are closed."""
    rows = connection.execute(select(standing).where(standing.c.monitor == monitor)).mappings()
    found = (_standing(row) for row in rows)
    return {(item.subject, item.period_start, item.threshold): item for item in found}


def replace(connection: Connection, standings: Iterable[Standing]) -> None:
    """Writes standings, each in the place of the one with its key."""
    rows = [
        {
            **_key(item),
            "breached": item.breached,
            "since": item.since,
            "episode": item.episode,
            "in_range": item.in_range,
        }
        for item in standings
    ]
    if rows:
        connection.execute(upsert(connection, standing, ("breached", "since", "episode", "in_range")), rows)


def close(connection: Connection, standings: Iterable[Standing]) -> None:
    """Removes standings whose period is over; their transitions stay."""
    rows = [{f"its_{name}": value for name, value in _key(item).items()} for item in standings]
    if rows:
        same = [column == bindparam(f"its_{column.name}") for column in standing.primary_key.columns]
        connection.execute(standing.delete().where(*same), rows)


def append(connection: Connection, transitions: Iterable[Transition]) -> None:
    """Adds transitions to the history."""
    rows = [{**_key(item), "breached": item.breached, "at": item.at, "episode": item.episode} for item in transitions]
    if rows:
        connection.execute(transition.insert(), rows)


def history(
    connection: Connection, monitor: str, subject: Subject | None = None, since: datetime | None = None
) -> tuple[Transition, ...]:
    """A monitor's transitions in the order in which they were found, of one subject or of all."""
    wanted = select(transition).where(transition.c.monitor == monitor).order_by(transition.c.id)
    if subject is not None:
        wanted = wanted.where(transition.c.subject_kind == subject.kind.value, transition.c.subject == subject.id)
    if since is not None:
        wanted = wanted.where(transition.c.at >= since)
    return tuple(
        Transition(
            row["monitor"],
            _subject(row),
            row["period_start"],
            row["threshold"],
            row["breached"],
            row["at"],
            row["episode"],
        )
        for row in connection.execute(wanted).mappings()
    )


def record_evaluation(connection: Connection, item: Evaluation) -> None:
    """Adds an evaluation to the history."""
    connection.execute(
        evaluation.insert().values(monitor=item.monitor, at=item.at, outcome=item.outcome, figures=dict(item.figures))
    )


def evaluations(
    connection: Connection, monitor: str, limit: int = 100, before: datetime | None = None
) -> tuple[Evaluation, ...]:
    """A monitor's evaluations (`before` an instant), the newest first."""
    wanted = (
        select(evaluation)
        .where(evaluation.c.monitor == monitor)
        .order_by(evaluation.c.at.desc(), evaluation.c.id.desc())
        .limit(limit)
    )
    if before is not None:
        wanted = wanted.where(evaluation.c.at < before)
    return tuple(Evaluation(row.monitor, row.at, row.outcome, row.figures) for row in connection.execute(wanted))


def last_evaluated(connection: Connection, monitor: str) -> datetime | None:
    """The latest instant for which a monitor's evaluation was recorded."""
    wanted = select(func.max(evaluation.c.at)).where(evaluation.c.monitor == monitor)
    found: datetime | None = connection.execute(wanted).scalar()
    return found


def judged_through(connection: Connection, monitor: str) -> datetime | None:
    """Up to which end a monitor's periods have had their final verdicts; None when it was never evaluated."""
    found: datetime | None = connection.execute(select(judged.c.through).where(judged.c.monitor == monitor)).scalar()
    return found


def set_judged_through(connection: Connection, monitor: str, through: datetime) -> None:
    """Notes it. It never goes back."""
    before = judged_through(connection, monitor)
    if before is None or through > before:
        connection.execute(upsert(connection, judged, ("through",)), {"monitor": monitor, "through": through})


def _key(item: Standing | Transition) -> dict[str, object]:
    return {
        "monitor": item.monitor,
        "subject_kind": item.subject.kind.value,
        "subject": item.subject.id,
        "period_start": item.period_start,
        "threshold": item.threshold,
    }


def _subject(row: RowMapping) -> Subject:
    return Subject(SubjectKind(row["subject_kind"]), row["subject"])


def _standing(row: RowMapping) -> Standing:
    return Standing(
        row["monitor"],
        _subject(row),
        row["period_start"],
        row["threshold"],
        row["breached"],
        row["since"],
        row["episode"],
        row["in_range"],
    )
