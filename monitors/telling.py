"""What a notice will state, gathered when it is decided (see `ledger.facts`): true then, and frozen from then on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.models import MeterPrice, Tier
from config.roster import Roster, RosterCustomer
from config.values import zone_info
from ledger.facts import (
    CustomerFacts,
    HeldFacts,
    OpsCount,
    OpsFacts,
    OpsRow,
    StepFacts,
    StoreFacts,
    TierFacts,
)
from ledger.quantities import decimal_text, quantity_text
from ledger.records import NoticeDue, Quantity, SubjectKind, ThresholdResult, Verdict
from monitors.quantities import cut, money_text, percent_text
from monitors.units import unit_of
from monitors.watched import Watched

LISTED: Final = 50
"""How many breaches an ops notice lists in full."""

EXAMPLES: Final = 10
"""How many customers a notice of held notices names."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A subject's verdict together with the breached threshold that it is told of."""

    verdict: Verdict
    result: ThresholdResult


def customer_facts(watched: Watched, customer: RosterCustomer, breach: Breach) -> CustomerFacts:
    """What the customer is told. The breach must be of a reading with a quantity, as every breach is."""
    verdict, result = breach.verdict, breach.result
    bound = verdict.included if verdict.included is not None else result.limit
    limit = watched.thresholds[result.name].limit
    tier = watched.tiers.get(customer.tier) if customer.tier is not None else None
    recommended = watched.tiers.get(tier.recommend) if tier is not None and tier.recommend is not None else None
    return CustomerFacts(
        customer=customer.id,
        name=customer.name,
        monitor=watched.name,
        monitor_title=watched.title,
        view=watched.view_name,
        view_title=watched.view.title or watched.view_name,
        unit=unit_of(watched.view),
        threshold=result.name,
        severity=result.severity,
        quantity=_text(watched, verdict.quantity),
        limit=_limit(result),
        limit_percent=money_text(limit.value) if limit.percent else None,
        included=None if verdict.included is None else str(verdict.included),
        percent=percent_text(verdict.quantity, verdict.included),
        exceeded=_above(verdict.quantity, bound),
        projected=None if verdict.projected is None else str(cut(verdict.projected)),
        projected_exceeds=_above(verdict.projected, bound),
        period_start=_local(verdict.period.start, customer.zone),
        period_end=_local(verdict.period.end, customer.zone),
        window=watched.monitor.window,
        counted_to=_local(verdict.counted_to or verdict.at, customer.zone),
        at=_local(verdict.at, customer.zone),
        zone=customer.zone,
        language=customer.language,
        currency=watched.settings.currency,
        tier=None if customer.tier is None or tier is None else _tier_facts(watched, customer.tier, tier),
        recommended=(
            None
            if tier is None or tier.recommend is None or recommended is None
            else _tier_facts(watched, tier.recommend, recommended)
        ),
        side=result.side,
    )


def ops_facts(
    watched: Watched,
    roster: Roster,
    breaches: Sequence[Breach],
    *,
    route: str,
    kind: str,
    evaluated: int,
    at: datetime,
) -> OpsFacts:
    """What operations are told of all breaches of one kind that a route found in one evaluation."""
    settings = watched.settings
    counts = Counter((breach.result.name, breach.result.severity) for breach in breaches)
    return OpsFacts(
        monitor=watched.name,
        monitor_title=watched.title,
        view=watched.view_name,
        view_title=watched.view.title or watched.view_name,
        unit=unit_of(watched.view),
        route=route,
        at=_local(at, settings.zone),
        zone=settings.zone,
        language=settings.language,
        evaluated=evaluated,
        number=len(breaches),
        counts=tuple(
            OpsCount(name, threshold.severity, counts[name, threshold.severity], threshold.side)
            for name, threshold in watched.thresholds.items()
            if (name, threshold.severity) in counts
        ),
        rows=tuple(_row(watched, roster, breach) for breach in sorted(breaches, key=_worst_first)[:LISTED]),
        kind=kind,
    )


def store_facts(
    watched: Watched,
    breach: Breach,
    *,
    route: str,
    kind: str,
    detail: str,
    newest: datetime | None,
    since: datetime,
) -> StoreFacts:
    """What operations are told of the log store that a monitor counts in."""
    settings = watched.settings
    return StoreFacts(
        monitor=watched.name,
        monitor_title=watched.title,
        route=route,
        store=watched.view.store,
        condition=breach.result.name,
        kind=kind,
        detail=detail,
        newest=None if newest is None else _local(newest, settings.zone),
        since=_local(since, settings.zone),
        at=_local(breach.verdict.at, settings.zone),
        zone=settings.zone,
        language=settings.language,
    )


def held_facts(
    watched: Watched, held: Sequence[NoticeDue], *, watched_subjects: int, allowed: int, at: datetime
) -> HeldFacts:
    """What operations are told of notices that wait for them."""
    settings = watched.settings
    return HeldFacts(
        monitor=watched.name,
        monitor_title=watched.title,
        number=len(held),
        watched=watched_subjects,
        allowed=allowed,
        customers=len({notice.subject for notice in held}),
        examples=tuple(dict.fromkeys(notice.subject.id for notice in held if notice.subject is not None))[:EXAMPLES],
        at=_local(at, settings.zone),
        zone=settings.zone,
        language=settings.language,
    )


def _row(watched: Watched, roster: Roster, breach: Breach) -> OpsRow:
    verdict, result = breach.verdict, breach.result
    customer = roster.find(verdict.subject.id) if verdict.subject.kind is SubjectKind.CUSTOMER else None
    return OpsRow(
        customer=verdict.subject.id if verdict.subject.kind is SubjectKind.CUSTOMER else None,
        name=customer.name if customer is not None else str(verdict.subject),
        threshold=result.name,
        severity=result.severity,
        quantity=_text(watched, verdict.quantity),
        limit=_limit(result),
        included=None if verdict.included is None else str(verdict.included),
        percent=percent_text(verdict.quantity, verdict.included),
        projected=None if verdict.projected is None else str(cut(verdict.projected)),
        period_start=_local(verdict.period.start, verdict.period.zone),
        period_end=_local(verdict.period.end, verdict.period.zone),
        zone=verdict.period.zone,
        side=result.side,
        ended=verdict.at >= verdict.period.end,
    )


def _worst_first(breach: Breach) -> tuple[int, Quantity, str]:
    """Errors before warnings, then the furthest beyond the limit, then by id so that the order is always the same."""
    above = (breach.verdict.quantity or 0) - (breach.result.limit or 0)
    beyond = above if breach.result.side == "max" else -above
    return (0 if breach.result.severity == "error" else 1, -beyond, breach.verdict.subject.id)


def _tier_facts(watched: Watched, name: str, tier: Tier) -> TierFacts:
    plan = watched.plan_of(tier)
    return TierFacts(
        name=name,
        title=tier.title or name.capitalize(),
        fee=money_text(tier.fee),
        included=None if plan is None else str(plan.included),
        steps=() if plan is None else _steps(plan),
    )


def _steps(plan: MeterPrice) -> tuple[StepFacts, ...]:
    if not isinstance(plan.overage, tuple):
        return (StepFacts(None, money_text(plan.overage)),)
    return tuple(StepFacts(None if step.to is None else str(step.to), money_text(step.price)) for step in plan.overage)


def _above(quantity: Quantity | None, bound: Quantity | None) -> bool:
    return quantity is not None and bound is not None and quantity > bound


def _limit(result: ThresholdResult) -> str:
    """A breached threshold has a limit, and that is a decimal of finite length."""
    return decimal_text(result.limit if result.limit is not None else 0)


def _text(watched: Watched, quantity: Quantity | None) -> str:
    """Exact; only an average, which may have no end, is cut to six decimals."""
    return str(quantity_text(quantity, watched.view.aggregation))


def _local(at: datetime, zone: str) -> str:
    return at.astimezone(zone_info(zone)).isoformat(timespec="milliseconds" if at.microsecond else "seconds")
