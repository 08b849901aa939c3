"""Judging: what a reading means for a monitor's thresholds. Pure, so that every way of evaluating runs this code.

A `max` is judged from the start of a period. A `min` is judged once its period is over and its grace has passed, and
only where few messages can mean nothing but little usage: messages still arrive (else the feed may have stopped), and
the contract and the logs cover the whole period (else there was less time to use anything, or nobody wrote it down).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from fractions import Fraction
from functools import lru_cache
from typing import Final

from config.models import MeterPrice, Monitor, Threshold
from config.values import Limit
from ledger.quantities import reduced
from ledger.records import (
    Period,
    Quantity,
    Reading,
    Reason,
    State,
    Subject,
    ThresholdResult,
    Verdict,
)

SEVERITY_RANK: Final[Mapping[str, int]] = {"warning": 1, "error": 2}


class LowCounts(Enum):
    """What a low count of a period that is over may be taken for."""

    TRUSTED = "little usage"
    STALE = "a feed that stopped"
    PARTIAL = "a contract that covers part of the period"


def judge(
    name: str,
    monitor: Monitor,
    reading: Reading,
    *,
    plan: MeterPrice | None,
    projected: Quantity | None,
    at: datetime,
    low_counts: LowCounts = LowCounts.TRUSTED,
    only_minima: bool = False,
) -> Verdict:
    """The verdict on one subject's reading. A limit is breached only *above* a max or *below* a min, compared exactly.

    `plan` is what the subject's tier includes of the view's meter. A reading without a value (`no_data`) breaches
    nothing: no value lies above or below anything. A percentage where nothing is included cannot be judged, and its
    result says so with None (`nothing_included`), whatever the other thresholds find. With `only_minima` the other
    thresholds stay unknown: of a period that ended before anybody watched, only what is judged at its end is said.
    """
    included = None if plan is None else plan.included
    results = []
    for key, threshold in monitor.thresholds.items():
        limit = limit_of(threshold, included)
        breached = None if limit is None else _breached(threshold, limit, reading.quantity)
        if threshold.side == "min":
            due = at >= reading.period.end + threshold.grace
            known = due and (low_counts is LowCounts.TRUSTED or not breached)
        else:
            known = not only_minima
        results.append(ThresholdResult(key, threshold.severity, limit, breached if known else None, threshold.side))
    reason = _reason(results, monitor, reading, at, low_counts)
    return Verdict(
        monitor=name,
        subject=reading.subject,
        at=at,
        period=reading.period,
        counted_to=reading.counted_to,
        quantity=reading.quantity,
        included=included,
        state="unavailable" if reason is Reason.LOGS_STALE else _state(results),
        reason=reason,
        thresholds=tuple(results),
        projected=projected,
    )


def unavailable(
    name: str,
    monitor: Monitor,
    subject: Subject,
    period: Period,
    *,
    plan: MeterPrice | None,
    at: datetime,
    reason: Reason = Reason.STORE_UNAVAILABLE,
) -> Verdict:
    """The verdict when nothing can be counted, or not all of it yet: nothing is known of any threshold."""
    included = None if plan is None else plan.included
    return Verdict(
        monitor=name,
        subject=subject,
        at=at,
        period=period,
        counted_to=None,
        quantity=None,
        included=included,
        state="unavailable",
        reason=reason,
        thresholds=tuple(
            ThresholdResult(key, threshold.severity, limit_of(threshold, included), None, threshold.side)
            for key, threshold in monitor.thresholds.items()
        ),
        projected=None,
    )


def limit_of(threshold: Threshold, included: int | None) -> Quantity | None:
    """The limit in the view's unit, exact; None for a percentage of nothing.

    `quantity > percent * included / 100` in fractions is `quantity * 100 > percent * included`.
    """
    return _limit(threshold.limit, included)


def may_exceed(monitor: Monitor, bound: Quantity, plan: MeterPrice | None) -> bool:
    """Whether a quantity that is at most `bound` may lie above a `max` of the monitor."""
    included = None if plan is None else plan.included
    limits = [limit_of(threshold, included) for threshold in monitor.thresholds.values() if threshold.side == "max"]
    return any(limit is not None and bound > limit for limit in limits)


@lru_cache(maxsize=4096)
def _limit(limit: Limit, included: int | None) -> Quantity | None:
    """Kept, because 100,000 customers share a few plans."""
    value = Fraction(limit.value)
    if not limit.percent:
        return reduced(value)
    return None if included is None else reduced(value * included / 100)


def _breached(threshold: Threshold, limit: Quantity, quantity: Quantity | None) -> bool:
    if quantity is None:
        return False
    return quantity < limit if threshold.side == "min" else quantity > limit


def _state(results: list[ThresholdResult]) -> State:
    severities = {result.severity for result in results if result.breached}
    return max(severities, key=SEVERITY_RANK.__getitem__) if severities else "ok"


def _reason(
    results: list[ThresholdResult], monitor: Monitor, reading: Reading, at: datetime, low_counts: LowCounts
) -> Reason:
    breached = [result for result in results if result.breached]
    if breached:
        worst = max(breached, key=lambda result: SEVERITY_RANK[result.severity])
        return Reason.ABOVE_MAX if worst.side == "max" else Reason.BELOW_MIN
    if reading.quantity is None:
        return Reason.NO_DATA
    if any(result.limit is None for result in results):
        return Reason.NOTHING_INCLUDED
    # a min that is due and yet unknown: the count was low, and could not be trusted to be so
    doubtful = any(
        result.side == "min" and result.breached is None
        for result in results
        if at >= reading.period.end + monitor.thresholds[result.name].grace
    )
    if doubtful and low_counts is not LowCounts.TRUSTED:
        return Reason.LOGS_STALE if low_counts is LowCounts.STALE else Reason.PARTIAL_PERIOD
    return Reason.WITHIN_LIMITS
