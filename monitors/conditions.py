"""The state of the log store that a monitor counts in, judged like a subject of its own.

Its standings are kept under a period that never ends, so an outage over the end of a month is one outage.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from config.models import LOGS_STALE, UNAVAILABLE
from ledger.records import Period, Reason, Subject, SubjectKind, ThresholdResult, Verdict
from monitors.watched import Watched

_ALWAYS: Final = Period(datetime(1970, 1, 1, tzinfo=UTC), datetime(9999, 1, 1, tzinfo=UTC), "UTC")


def judge_store(it: Watched, at: datetime, *, problem: bool, stale: bool, failed_before: bool) -> Verdict:
    """The verdict on the store: `unavailable` breaches at the second failure in a row, `logs_stale` at once.

    One failure alone says nothing: what was known of the store stays so. While it cannot be counted, nothing is known
    of how fresh it is.
    """
    unanswered = (True if failed_before else None) if problem else False
    results = (
        ThresholdResult(UNAVAILABLE, "error", None, unanswered),
        ThresholdResult(LOGS_STALE, "error", None, None if problem else stale),
    )
    breached = any(result.breached for result in results)
    return Verdict(
        monitor=it.name,
        subject=Subject(SubjectKind.STORE, it.view.store),
        at=at,
        period=_ALWAYS,
        counted_to=None,
        quantity=None,
        included=None,
        state="error" if breached else "unavailable" if problem else "ok",
        reason=Reason.STORE_UNAVAILABLE if problem else Reason.LOGS_STALE if stale else Reason.WITHIN_LIMITS,
        thresholds=results,
        projected=None,
    )
