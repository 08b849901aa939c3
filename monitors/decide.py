"""Deciding: whom an evaluation's verdicts oblige us to tell. Pure; what it gives is written by `monitors.commit`.

Routes are level-triggered: something is due at the first evaluation at which the threshold is breached, the route's
gate is open and the decision's key unused. So a limit that was crossed on day 12 is still told on day 25, and an
evaluation that is repeated decides nothing new.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final, Literal

from config.roster import Roster
from ledger.records import Decision, Evaluation, NoticeDue, Reason, Standing, SubjectKind, Verdict
from ledger.standings import StandingKey
from monitors.conditions import judge_store
from monitors.customers import tell_customers
from monitors.episodes import move
from monitors.operations import Found, tell_of_hold, tell_operations
from monitors.scene import Scene
from monitors.watched import Watched

SENT_UNSEEN: Final = 20
"""So many customers, or a tenth of those watched if that is more, are mailed by one evaluation without asking."""


def decide(
    watched: Watched,
    verdicts: Sequence[Verdict],
    *,
    standings: Mapping[StandingKey, Standing],
    roster: Roster,
    used_keys: Mapping[str, datetime],
    at: datetime,
    figures: Mapping[str, Any] | None = None,
    problem: str | None = None,
    backfilling: str | None = None,
    stale: bool = False,
    newest: datetime | None = None,
    failed_before: bool = False,
    repeated: bool = False,
    judged_through: datetime | None = None,
) -> Decision:
    """Everything that follows from one evaluation of a monitor.

    Args:
        verdicts: of all its subjects, each with its own period.
        standings: all that the monitor has open.
        used_keys: the keys of notices decided before, at least those of the verdicts' periods and of standings that
            are open, and when that was.
        figures: recorded with the evaluation, beside the number of verdicts per state.
        problem: why the store could not answer. Then all that was known of customers freezes: none of their standings
            moves and none of them is told; operations are told at the second failure in a row.
        backfilling: how much of what was used before anybody watched it has been counted, while that goes on. Then
            nothing is decided and nobody told, operations included: nothing is wrong, and it ends by itself.
        stale: no messages arrive any more (see `monitors.conditions`); `newest` is when the last one happened.
        failed_before: the evaluation before this one, of an earlier instant, had a problem, too.
        repeated: the monitor was evaluated for this very instant before.
        judged_through: up to which end periods have had their final verdicts now.
    """
    states = Counter(verdict.state for verdict in verdicts)
    recorded: dict[str, Any] = {"subjects": len(verdicts), **dict(sorted(states.items())), **(figures or {})}
    if backfilling is not None:
        return Decision(Evaluation(watched.name, at, "backfilling", {**recorded, "counted": backfilling}))
    failed = problem is not None or any(verdict.reason is Reason.STORE_UNAVAILABLE for verdict in verdicts)
    outcome: Literal["done", "stale", "unavailable"] = "unavailable" if failed else "stale" if stale else "done"
    if problem is not None:
        recorded["problem"] = problem
    store = judge_store(watched, at, problem=failed, stale=stale, failed_before=failed_before)
    known = [] if failed else verdicts
    movement = move([*known, store], standings, frozen=failed, repeated=repeated)
    scene = Scene(watched, movement.now, roster, used_keys, at)
    told = tell_customers(scene, known)
    reachable = [item for item in told if item.addresses]
    if len(reachable) < len(told):  # their keys stay unused: whoever is given an address later is told then
        recorded["without_address"] = len(told) - len(reachable)
    subjects = {verdict.subject for verdict in known if verdict.subject.kind is SubjectKind.CUSTOMER}
    customers, hold = _guarded(scene, reachable, len(subjects))
    operations = tell_operations(scene, Found(known, store, problem or "", newest))
    return Decision(
        Evaluation(watched.name, at, outcome, recorded),
        standings=movement.changed,
        closed=movement.closed,
        transitions=movement.transitions,
        notices=(*customers, *operations, *hold),
        judged_through=judged_through,
        watched=len(subjects),
    )


def _guarded(
    scene: Scene, notices: Sequence[NoticeDue], watched: int
) -> tuple[Sequence[NoticeDue], Sequence[NoticeDue]]:
    """The customers' notices, held when they are so many that the count looks wrong, and what operations hear of it.

    Periods that ended while nobody evaluated may bring a customer several; how many customers there are is what counts.
    """
    allowed = max(SENT_UNSEEN, watched // 10)
    if len({notice.subject for notice in notices}) <= allowed:
        return notices, ()
    hold = tell_of_hold(scene, notices, watched, allowed)
    return [replace(notice, held=True) for notice in notices], () if hold is None else (hold,)
