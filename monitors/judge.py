"""Judging: what a reading means for a monitor's thresholds. Pure, so that every way of evaluating runs this code."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from fractions import Fraction
from typing import Final

from config.models import MeterPrice, Monitor, Threshold
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


def judge(
    name: str,
    monitor: Monitor,
    reading: Reading,
    *,
    plan: MeterPrice | None,
    projected: Quantity | None,
    at: datetime,
) -> Verdict:
    """The verdict on one subject's reading. A `max` is breached only *above* it, compared exactly.

    `plan` is what the subject's tier includes of the view's meter. A reading without a value (`no_data`) breaches
    nothing: no value lies above anything. A percentage where nothing is included cannot be judged, and its result says
    so with None (`nothing_included`), whatever the other thresholds find.
    """
    included = None if plan is None else plan.included
    results = tuple(
        _result(key, threshold, limit_of(threshold, included), reading.quantity)
        for key, threshold in monitor.thresholds.items()
    )
    state = _state(results)
    return Verdict(
        monitor=name,
        subject=reading.subject,
        at=at,
        period=reading.period,
        counted_to=reading.counted_to,
        quantity=reading.quantity,
        included=included,
        state=state,
        reason=_reason(state, reading.quantity, results),
        thresholds=results,
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
) -> Verdict:
    """The verdict when the store cannot answer: nothing is known of any threshold."""
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
        reason=Reason.STORE_UNAVAILABLE,
        thresholds=tuple(
            ThresholdResult(key, threshold.severity, limit_of(threshold, included), None)
            for key, threshold in monitor.thresholds.items()
        ),
        projected=None,
    )


def limit_of(threshold: Threshold, included: int | None) -> Quantity | None:
    """The limit in the view's unit, exact; None for a percentage of nothing.

    `quantity > percent * included / 100` in fractions is `quantity * 100 > percent * included`.
    """
    value = Fraction(threshold.max.value)
    if not threshold.max.percent:
        return reduced(value)
    return None if included is None else reduced(value * included / 100)


def _result(name: str, threshold: Threshold, limit: Quantity | None, quantity: Quantity | None) -> ThresholdResult:
    breached = None if limit is None else quantity is not None and quantity > limit
    return ThresholdResult(name, threshold.severity, limit, breached)


def _state(results: tuple[ThresholdResult, ...]) -> State:
    severities = {result.severity for result in results if result.breached}
    return max(severities, key=SEVERITY_RANK.__getitem__) if severities else "ok"


def _reason(state: State, quantity: Quantity | None, results: tuple[ThresholdResult, ...]) -> Reason:
    if state != "ok":
        return Reason.ABOVE_MAX
    if quantity is None:
        return Reason.NO_DATA
    if any(result.breached is None for result in results):
        return Reason.NOTHING_INCLUDED
    return Reason.WITHIN_LIMITS
