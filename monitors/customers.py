"""What customers are told: once per threshold and period, of the most severe alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from config.models import Route, Side
from config.roster import RosterCustomer
from ledger.facts import CUSTOMER_TEMPLATES, LOW_USAGE, NEAR_LIMIT, OVER_LIMIT
from ledger.records import NoticeDue, Quantity, SubjectKind, ThresholdResult, Verdict
from monitors.gates import is_open
from monitors.keys import customer_key, notice_id
from monitors.scene import CUSTOMER, EXPIRES_AFTER, Due, Scene, breaches, severity
from monitors.telling import customer_facts

_SIDES: Final[tuple[Side, ...]] = ("max", "min")
_BY_SEVERITY: Final[Mapping[str, str]] = {"warning": NEAR_LIMIT, "error": OVER_LIMIT}


def tell_customers(scene: Scene, verdicts: Iterable[Verdict]) -> list[NoticeDue]:
    """The notices due to customers, also to those without an address."""
    routes = {name: route for name, route in scene.watched.monitor.notify.items() if CUSTOMER in route.to}
    notices = []
    for verdict in verdicts:
        if not routes or verdict.subject.kind is not SubjectKind.CUSTOMER or verdict.state == "ok":
            continue
        unused = [
            Due(name, route, breach, key, is_open(route, verdict.period, scene.at))
            for name, route in routes.items()
            for breach in breaches(verdict, route)
            if (key := customer_key(verdict, name, breach.result.name)) not in scene.used_keys
        ]
        told = {side: _worst_told(scene, verdict, routes, side) for side in _SIDES}
        due = [item for item in unused if item.open and not _milder(item, told[item.breach.result.side])]
        customer = scene.roster.find(verdict.subject.id) if due else None
        if customer is not None:
            notices.append(_notice(scene, customer, due, unused))
    return notices


def _worst_told(scene: Scene, verdict: Verdict, routes: Mapping[str, Route], side: Side) -> tuple[int, Quantity] | None:
    """The most severe threshold on one side that the customer was told of in this period; None when of none.

    Too much and too little are two kinds of news: to have been told of one makes the other no milder.
    """
    told = (
        severity(result)
        for name, route in routes.items()
        for result in verdict.thresholds
        if result.side == side
        and result.name in route.when
        and customer_key(verdict, name, result.name) in scene.used_keys
    )
    return max(told, default=None)


def _milder(item: Due, than: tuple[int, Quantity] | None) -> bool:
    return than is not None and severity(item.breach.result) < than


def _notice(scene: Scene, customer: RosterCustomer, due: Sequence[Due], unused: Sequence[Due]) -> NoticeDue:
    """One notice for the most severe of what is due; what it makes unnecessary is superseded with it.

    That is everything else that is due now, and whatever less severe breach on the same side still waits for its gate.
    A route that tells the same threshold on other days keeps its turn.
    """
    sent = max(due, key=lambda item: severity(item.breach.result))  # the first of the most severe, in order of writing
    superseded = [
        item.key
        for item in unused
        if item.key != sent.key
        and (
            item in due
            or (item.breach.result.side == sent.breach.result.side and _milder(item, severity(sent.breach.result)))
        )
    ]
    return NoticeDue(
        id=notice_id((sent.key,)),
        monitor=scene.watched.name,
        route=sent.route_name,
        kind="customer",
        template=_template(sent.route, sent.breach.result),
        subject=sent.breach.verdict.subject,
        addresses=tuple(dict.fromkeys(customer.emails)),
        language=customer.language,
        zone=customer.zone,
        decided_at=scene.at,
        keys=(sent.key,),
        superseded_keys=tuple(superseded),
        facts=customer_facts(scene.watched, customer, sent.breach).to_json(),
        expires_at=scene.at + EXPIRES_AFTER,
    )


def _template(route: Route, result: ThresholdResult) -> str:
    """The route's own, where it is one for customers and for this side of a limit."""
    if result.side == "min":
        return LOW_USAGE
    if route.template in CUSTOMER_TEMPLATES and route.template != LOW_USAGE:
        return route.template
    return _BY_SEVERITY[result.severity]
