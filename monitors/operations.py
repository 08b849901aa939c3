"""What operations are told: one notice per route, kind and evaluation, whatever the number of customers behind it.

The kinds: breaches that are new, breaches that last (`repeat`), breaches that are over (`recovery`), each of customers
and of the log store; and notices to customers that were held.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Literal

from config.models import LOGS_STALE, UNAVAILABLE, Route
from ledger.facts import OPS_DIGEST, OPS_HELD, OPS_STORE
from ledger.records import NoticeDue, SubjectKind, Verdict
from monitors.gates import is_open
from monitors.keys import held_key, last_told, notice_id, ops_key, recovery_key, repeat_key
from monitors.scene import CUSTOMER, EXPIRES_AFTER, Due, Scene, breaches, severity
from monitors.subjects import total_period
from monitors.telling import Breach, held_facts, ops_facts, store_facts

Kind = Literal["breach", "repeat", "recovery"]


@dataclass(frozen=True, slots=True)
class Found:
    """What an evaluation found, for operations: of the store why it could not answer, and its newest message."""

    verdicts: Sequence[Verdict]
    store: Verdict
    problem: str
    newest: datetime | None


@dataclass(frozen=True, slots=True)
class _News:
    """One notice's worth of news of one kind, never without anything `due`."""

    kind: Kind
    due: Sequence[Due]
    superseded: Sequence[Due] = ()


def tell_operations(scene: Scene, found: Found) -> Iterator[NoticeDue]:
    """The notices due to operations, route by route."""
    told = last_told(scene.used_keys)
    for name, route in _routes(scene):
        addresses = addresses_of(scene, route)
        if not addresses:
            continue
        for news in _of_customers(scene, found, name, route, told):
            facts = ops_facts(
                scene.watched,
                scene.roster,
                [item.breach for item in news.due],
                route=name,
                kind=news.kind,
                evaluated=len({verdict.subject for verdict in found.verdicts}),
                at=scene.at,
            )
            yield _notice(scene, name, OPS_DIGEST, addresses, news, facts.to_json())
        for news in _of_store(scene, found, name, route, told):
            (item,) = news.due
            state = store_facts(
                scene.watched,
                item.breach,
                route=name,
                kind=news.kind,
                detail=found.problem,
                newest=found.newest,
                since=_since(scene, item),
            )
            yield _notice(scene, name, OPS_STORE, addresses, news, state.to_json())


def tell_of_hold(scene: Scene, held: Sequence[NoticeDue], watched: int, allowed: int) -> NoticeDue | None:
    """That an evaluation's notices to customers are held; None when operations have no address."""
    routes = scene.watched.monitor.notify.values()
    addresses = tuple(dict.fromkeys(address for route in routes for address in addresses_of(scene, route)))
    if not addresses:
        everybody = scene.watched.recipients.values()
        addresses = tuple(dict.fromkeys(address for recipient in everybody for address in recipient.email))
    if not addresses:
        return None
    facts = held_facts(scene.watched, held, watched_subjects=watched, allowed=allowed, at=scene.at)
    key = held_key(scene.watched.name, scene.at, (notice.id for notice in held))
    return _decided(scene, "held", OPS_HELD, addresses, (key,), (), facts.to_json())


def addresses_of(scene: Scene, route: Route) -> tuple[str, ...]:
    """The addresses of operations that a route tells."""
    recipients = [scene.watched.recipients[name] for name in route.to if name != CUSTOMER]
    return tuple(dict.fromkeys(address for recipient in recipients for address in recipient.email))


def _routes(scene: Scene) -> Iterator[tuple[str, Route]]:
    """The monitor's routes, and one to everybody of operations where low counts would be doubted behind their backs."""
    monitor = scene.watched.monitor
    yield from monitor.notify.items()
    told = (_with_conditions(scene, route) for route in monitor.notify.values() if addresses_of(scene, route))
    if monitor.minima and not any(LOGS_STALE in route.when for route in told):
        yield LOGS_STALE, Route(when=(LOGS_STALE,), to=tuple(scene.watched.recipients))


def _of_customers(scene: Scene, found: Found, name: str, route: Route, told: Mapping[str, datetime]) -> Iterator[_News]:
    """What a route tells of thresholds: one piece of news for all subjects."""
    lasting = [item for verdict in found.verdicts for item in _breaches(scene, verdict, name, route)]
    new = [item for item in lasting if item.key not in scene.used_keys]
    if new:
        yield _most_severe("breach", new)
    again = _repeated(scene, route, lasting, told)
    if again:
        yield _most_severe("repeat", again)
    over = [item for verdict in found.verdicts for item in _recovered(scene, verdict, name, route)]
    if over:
        yield _most_severe("recovery", over)


def _of_store(scene: Scene, found: Found, name: str, route: Route, told: Mapping[str, datetime]) -> Iterator[_News]:
    """What a route tells of the log store: two states of it are two affairs."""
    route = _with_conditions(scene, route)
    lasting = _breaches(scene, found.store, name, route)
    for item in lasting:
        if item.key not in scene.used_keys:
            yield _News("breach", [item])
    for item in _repeated(scene, route, lasting, told):
        yield _News("repeat", [item])
    for item in _recovered(scene, found.store, name, route):
        yield _News("recovery", [item])


def _breaches(scene: Scene, verdict: Verdict, name: str, route: Route) -> list[Due]:
    if verdict.state == "ok" or not _is_open(scene, route, verdict):
        return []
    return [
        Due(
            name,
            route,
            breach,
            ops_key(verdict, name, breach.result.name, scene.episode(verdict, breach.result.name)),
            open=True,
        )
        for breach in breaches(verdict, route)
    ]


def _repeated(scene: Scene, route: Route, lasting: Sequence[Due], told: Mapping[str, datetime]) -> list[Due]:
    """Everything that lasts and was told before, as soon as one of it was last told so long ago as the route says.

    Nothing lasts longer than its period, and so no `min` does.
    """
    before = [item for item in lasting if item.key in told and item.breach.verdict.period.end > scene.at]
    if route.repeat is None or not any(scene.at - told[item.key] >= route.repeat for item in before):
        return []
    return [_again(scene, item) for item in before]


def _recovered(scene: Scene, verdict: Verdict, name: str, route: Route) -> list[Due]:
    """What is over and was told before; nobody recovers from what was not told.

    It is told once, at the first evaluation at which the route's hours and days are open. What lasted until the end of
    its period ended with it, without a recovery.
    """
    if not route.recovery or verdict.period.end <= scene.at or not _is_open(scene, route, verdict):
        return []
    over = []
    for result in verdict.thresholds:
        standing = scene.standings.get((verdict.subject, verdict.period.start, result.name))
        if result.name not in route.when or result.breached is not False or standing is None or standing.breached:
            continue
        key = recovery_key(verdict, name, result.name, standing.episode)
        told = ops_key(verdict, name, result.name, standing.episode) in scene.used_keys
        if told and key not in scene.used_keys:
            over.append(Due(name, route, Breach(verdict, result), key, open=True))
    return over


def _again(scene: Scene, item: Due) -> Due:
    verdict, threshold = item.breach.verdict, item.breach.result.name
    return replace(item, key=repeat_key(verdict, item.route_name, threshold, scene.episode(verdict, threshold)))


def _with_conditions(scene: Scene, route: Route) -> Route:
    """Whoever is told of low counts, or that nothing can be counted, is told of a feed that stopped, instead."""
    if LOGS_STALE in route.when or not ({UNAVAILABLE, *scene.watched.monitor.minima} & set(route.when)):
        return route
    return route.model_copy(update={"when": (*route.when, LOGS_STALE)})


def _is_open(scene: Scene, route: Route, verdict: Verdict) -> bool:
    if verdict.subject.kind is not SubjectKind.STORE:
        return is_open(route, verdict.period, scene.at)
    # days of a period are for what is counted in it
    return is_open(route.model_copy(update={"days": None}), total_period(scene.watched, scene.at), scene.at)


def _most_severe(kind: Kind, items: Iterable[Due]) -> _News:
    """Of each subject and period the most severe breach is told, and the others are superseded."""
    by_subject = defaultdict(list)
    for item in items:
        by_subject[item.breach.verdict.subject, item.breach.verdict.period.start].append(item)
    sent, superseded = [], []
    for same in by_subject.values():
        worst = max(same, key=lambda item: severity(item.breach.result))
        sent.append(worst)
        superseded += [item for item in same if item is not worst]
    return _News(kind, sent, superseded)


def _since(scene: Scene, item: Due) -> datetime:
    verdict = item.breach.verdict
    return scene.standings[verdict.subject, verdict.period.start, item.breach.result.name].since


def _notice(
    scene: Scene, route: str, template: str, addresses: tuple[str, ...], news: _News, facts: Mapping[str, Any]
) -> NoticeDue:
    keys, superseded = (tuple(item.key for item in items) for items in (news.due, news.superseded))
    return _decided(scene, route, template, addresses, keys, superseded, facts)


def _decided(
    scene: Scene,
    route: str,
    template: str,
    addresses: tuple[str, ...],
    keys: tuple[str, ...],
    superseded: tuple[str, ...],
    facts: Mapping[str, Any],
) -> NoticeDue:
    watched = scene.watched
    return NoticeDue(
        id=notice_id(keys),
        monitor=watched.name,
        route=route,
        kind="ops",
        template=template,
        subject=None,
        addresses=addresses,
        language=watched.settings.language,
        zone=watched.settings.zone,
        decided_at=scene.at,
        keys=keys,
        superseded_keys=superseded,
        facts=facts,
        expires_at=scene.at + EXPIRES_AFTER,
    )
