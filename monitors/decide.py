"""Deciding: whom an evaluation's verdicts oblige us to tell. Pure; what it gives is written by `monitors.commit`.

Routes are level-triggered: something is due at the first evaluation at which the threshold is breached, the route's
gate is open and the decision's key unused. So a limit that was crossed on day 12 is still told on day 25, and an
evaluation that is repeated decides nothing new.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from config.models import Route
from config.roster import Roster, RosterCustomer
from ledger.facts import NEAR_LIMIT, OPS_DIGEST, OVER_LIMIT
from ledger.records import (
    Decision,
    Evaluation,
    NoticeDue,
    Quantity,
    Standing,
    SubjectKind,
    ThresholdResult,
    Verdict,
)
from ledger.standings import StandingKey
from monitors.episodes import move
from monitors.gates import is_open
from monitors.judge import SEVERITY_RANK
from monitors.telling import Breach, customer_facts, ops_facts
from monitors.watched import Watched

CUSTOMER: Final = "customer"
"""What a route's `to` says when the customer itself is meant."""

_BY_SEVERITY: Final[Mapping[str, str]] = {"warning": NEAR_LIMIT, "error": OVER_LIMIT}


@dataclass(frozen=True, slots=True)
class _Due:
    """A breach that a route tells of, with the key that this uses up, and whether the route's gate is open."""

    route_name: str
    route: Route
    breach: Breach
    key: str
    open: bool


@dataclass(frozen=True, slots=True)
class _Scene:
    """What every part of one decision looks at."""

    watched: Watched
    standings: Mapping[StandingKey, Standing]
    roster: Roster
    used_keys: Collection[str]
    at: datetime


def decide(
    watched: Watched,
    verdicts: Sequence[Verdict],
    *,
    standings: Mapping[StandingKey, Standing],
    roster: Roster,
    used_keys: Collection[str],
    at: datetime,
    figures: Mapping[str, Any] | None = None,
    unavailable: bool = False,
) -> Decision:
    """Everything that follows from one evaluation of a monitor.

    Args:
        verdicts: of all its subjects, each with its own period.
        standings: all that the monitor has open.
        used_keys: the keys of notices decided before, at least those of the verdicts' periods.
        figures: recorded with the evaluation, beside the number of verdicts per state.
        unavailable: the store could not answer (which no verdict tells where no customer is known beforehand). Then, as
            with any `unavailable` verdict, everything freezes: no standing moves and nobody is told.
    """
    states = Counter(verdict.state for verdict in verdicts)
    recorded: dict[str, Any] = {"subjects": len(verdicts), **dict(sorted(states.items())), **(figures or {})}
    if unavailable or states["unavailable"]:
        return Decision(Evaluation(watched.name, at, "unavailable", recorded))
    movement = move(verdicts, standings)
    scene = _Scene(watched, movement.now, roster, used_keys, at)
    told = _tell_customers(scene, verdicts)
    reachable = [item for item in told if item.addresses]
    if len(reachable) < len(told):  # their keys stay unused: whoever is given an address later is told then
        recorded["without_address"] = len(told) - len(reachable)
    digests = _tell_operations(scene, verdicts)
    return Decision(
        Evaluation(watched.name, at, "done", recorded),
        standings=movement.changed,
        closed=movement.closed,
        transitions=movement.transitions,
        notices=(*reachable, *digests),
    )


def _tell_customers(scene: _Scene, verdicts: Iterable[Verdict]) -> list[NoticeDue]:
    """The notices due to customers, also to those without an address."""
    routes = {name: route for name, route in scene.watched.monitor.notify.items() if CUSTOMER in route.to}
    notices = []
    for verdict in verdicts:
        if not routes or verdict.subject.kind is not SubjectKind.CUSTOMER or verdict.state == "ok":
            continue
        unused = [
            _Due(name, route, breach, key, is_open(route, verdict.period, scene.at))
            for name, route in routes.items()
            for breach in _breaches(verdict, route)
            if (key := customer_key(verdict, name, breach.result.name)) not in scene.used_keys
        ]
        told = _worst_told(verdict, routes, scene.used_keys)
        due = [item for item in unused if item.open and (told is None or severity(item.breach.result) >= told)]
        customer = scene.roster.find(verdict.subject.id) if due else None
        if customer is not None:
            notices.append(_customer_notice(scene, customer, due, unused))
    return notices


def _worst_told(
    verdict: Verdict, routes: Mapping[str, Route], used_keys: Collection[str]
) -> tuple[int, Quantity] | None:
    """The most severe threshold that the customer was told of in this period; None when it was told of none."""
    told = (
        severity(result)
        for name, route in routes.items()
        for result in verdict.thresholds
        if result.name in route.when and customer_key(verdict, name, result.name) in used_keys
    )
    return max(told, default=None)


def _customer_notice(scene: _Scene, customer: RosterCustomer, due: Sequence[_Due], unused: Sequence[_Due]) -> NoticeDue:
    """One notice for the most severe of what is due; what it makes unnecessary is superseded with it.

    That is everything else that is due now, and whatever less severe breach still waits for its gate. A route that
    tells the same threshold on other days keeps its turn.
    """
    sent = max(due, key=lambda item: severity(item.breach.result))  # the first of the most severe, in order of writing
    superseded = [
        item.key
        for item in unused
        if item.key != sent.key and (item in due or severity(item.breach.result) < severity(sent.breach.result))
    ]
    template = sent.route.template
    return NoticeDue(
        id=notice_id((sent.key,)),
        monitor=scene.watched.name,
        route=sent.route_name,
        kind="customer",
        template=template if template not in (None, OPS_DIGEST) else _BY_SEVERITY[sent.breach.result.severity],
        subject=sent.breach.verdict.subject,
        addresses=tuple(dict.fromkeys(customer.emails)),
        language=customer.language,
        zone=customer.zone,
        decided_at=scene.at,
        keys=(sent.key,),
        superseded_keys=tuple(superseded),
        facts=customer_facts(scene.watched, customer, sent.breach).to_json(),
    )


def _tell_operations(scene: _Scene, verdicts: Sequence[Verdict]) -> list[NoticeDue]:
    watched, notices = scene.watched, []
    for name, route in watched.monitor.notify.items():
        recipients = [watched.recipients[recipient] for recipient in route.to if recipient != CUSTOMER]
        addresses = tuple(dict.fromkeys(address for recipient in recipients for address in recipient.email))
        new = _new_to_operations(scene, verdicts, name, route) if addresses else []
        if not new:
            continue
        sent, superseded = _most_severe(new)
        keys = tuple(item.key for item in sent)
        notices.append(
            NoticeDue(
                id=notice_id(keys),
                monitor=watched.name,
                route=name,
                kind="ops",
                template=route.template if route.template not in (None, NEAR_LIMIT, OVER_LIMIT) else OPS_DIGEST,
                subject=None,
                addresses=addresses,
                language=watched.settings.language,
                zone=watched.settings.zone,
                decided_at=scene.at,
                keys=keys,
                superseded_keys=tuple(item.key for item in superseded),
                facts=ops_facts(
                    watched,
                    scene.roster,
                    [item.breach for item in sent],
                    route=name,
                    evaluated=len(verdicts),
                    at=scene.at,
                ).to_json(),
            )
        )
    return notices


def _new_to_operations(scene: _Scene, verdicts: Iterable[Verdict], name: str, route: Route) -> list[_Due]:
    new = []
    for verdict in verdicts:
        if verdict.state == "ok":
            continue
        for breach in _breaches(verdict, route):
            episode = scene.standings[verdict.subject, verdict.period.start, breach.result.name].episode
            key = ops_key(verdict, name, breach.result.name, episode)
            if key not in scene.used_keys and is_open(route, verdict.period, scene.at):
                new.append(_Due(name, route, breach, key, open=True))
    return new


def _most_severe(new: Iterable[_Due]) -> tuple[list[_Due], list[_Due]]:
    """Of each subject the most severe breach, and the others."""
    by_subject = defaultdict(list)
    for item in new:
        by_subject[item.breach.verdict.subject].append(item)
    sent, superseded = [], []
    for items in by_subject.values():
        worst = max(items, key=lambda item: severity(item.breach.result))
        sent.append(worst)
        superseded += [item for item in items if item is not worst]
    return sent, superseded


def _breaches(verdict: Verdict, route: Route) -> list[Breach]:
    return [Breach(verdict, result) for result in verdict.thresholds if result.breached and result.name in route.when]


def severity(result: ThresholdResult) -> tuple[int, Quantity]:
    """How bad a threshold is: an error beats a warning, then the higher limit."""
    return SEVERITY_RANK[result.severity], result.limit if result.limit is not None else 0


def customer_key(verdict: Verdict, route: str, threshold: str) -> str:
    """What is decided once: per monitor, route, threshold, period and customer (last, because it is free text)."""
    return f"customer|{verdict.monitor}|{route}|{threshold}|{_start(verdict)}|{verdict.subject.id}"


def ops_key(verdict: Verdict, route: str, threshold: str, episode: int) -> str:
    """As `customer_key`, and per episode: operations are told again when something breaks again."""
    subject = f"{verdict.subject.kind.value}:{verdict.subject.id}"
    return f"ops|{verdict.monitor}|{route}|{threshold}|{_start(verdict)}|{episode}|{subject}"


def notice_id(keys: Iterable[str]) -> str:
    """The id of the notice that uses up these keys: the same whoever decides it."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:32]


def _start(verdict: Verdict) -> str:
    return verdict.period.start.strftime("%Y-%m-%dT%H:%M:%SZ")
