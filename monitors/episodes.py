"""Episodes: how an evaluation's verdicts move the standings, from clear to breached and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from ledger.records import Standing, SubjectKind, ThresholdResult, Transition, Verdict
from ledger.standings import StandingKey

CLEARING_TAKES: Final = 2
"""Evaluations in a row that must find a breached threshold in range before it is clear."""


@dataclass(frozen=True, slots=True)
class Movement:
    """What one evaluation changes. `now` holds every standing as it is afterwards, changed or not."""

    now: Mapping[StandingKey, Standing]
    changed: tuple[Standing, ...]
    closed: tuple[Standing, ...]
    transitions: tuple[Transition, ...]


def move(
    verdicts: Iterable[Verdict],
    standings: Mapping[StandingKey, Standing],
    *,
    frozen: bool = False,
    repeated: bool = False,
) -> Movement:
    """The standings after these verdicts, which must be all of one monitor's.

    A threshold that could not be judged keeps its standing. One that no verdict speaks of any more is closed without a
    transition: its period is over, or nobody is watched there; unless the evaluation is `frozen`, because then it
    speaks of few. That of a log store, whose period never ends, is kept as a clear one, so that its episodes go on
    being numbered should the monitor come back to it. A threshold that was never breached has no standing. An
    evaluation that is `repeated`, for an instant that was evaluated before, brings no clearing nearer.
    """
    now = dict(standings)
    changed, transitions = [], []
    spoken_of = set()
    for verdict in verdicts:
        for result in verdict.thresholds:
            key = (verdict.subject, verdict.period.start, result.name)
            spoken_of.add(key)
            old = standings.get(key)
            new = _moved(verdict, result, old, repeated=repeated)
            if new is None or new == old:
                continue
            now[key] = new
            changed.append(new)
            if new.breached != (old is not None and old.breached):
                transitions.append(
                    Transition(
                        new.monitor, new.subject, new.period_start, new.threshold, new.breached, verdict.at, new.episode
                    )
                )
    closed = []
    for key, standing in standings.items():
        if frozen or key in spoken_of:
            continue
        if standing.subject.kind is not SubjectKind.STORE:
            closed.append(standing)
            del now[key]
        elif standing.breached:
            now[key] = replace(standing, breached=False, in_range=0)
            changed.append(now[key])
    return Movement(now, tuple(changed), tuple(closed), tuple(transitions))


def _moved(verdict: Verdict, result: ThresholdResult, old: Standing | None, *, repeated: bool) -> Standing | None:
    if result.breached is None:  # not known to be in range: those that were found so are not in a row any more
        return old if old is None or not old.in_range else replace(old, in_range=0)
    if result.breached:
        if old is not None and old.breached:
            return replace(old, in_range=0)
        return Standing(
            monitor=verdict.monitor,
            subject=verdict.subject,
            period_start=verdict.period.start,
            threshold=result.name,
            breached=True,
            since=verdict.at,
            episode=1 if old is None else old.episode + 1,
        )
    if old is None or not old.breached:
        return old
    in_range = old.in_range + (0 if repeated else 1)
    if in_range < CLEARING_TAKES:
        return replace(old, in_range=in_range)
    return replace(old, breached=False, since=verdict.at, in_range=0)
