"""What the tests of this room are built from: the reference case's configuration, and readings by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from config.models import Config, Settings
from config.roster import Roster, RosterCustomer
from ledger.periods import period_containing
from ledger.records import Period, Quantity, Reading, Subject, Trust, Verdict, customer
from monitors.forecast import straight
from monitors.judge import judge
from monitors.watched import Watched, watched

STOCKHOLM = "Europe/Stockholm"

DOCUMENT: Mapping[str, Any] = {
    "settings": {"zone": STOCKHOLM, "currency": "USD", "email": {"sender": "Usage <usage@example.com>"}},
    "stores": {
        "api": {"type": "embedded", "folder": "events", "fields": {"time": "@timestamp", "customer": "customer.id"}},
    },
    "tiers": {
        "basic": {
            "fee": "500",
            "recommend": "pro",
            "prices": {"api_calls": {"included": "100_000", "overage": "0.01"}},
        },
        "pro": {"fee": "2000", "prices": {"api_calls": {"included": "500_000", "overage": "0.01"}}},
        "custom": {"fee": "9000.50"},
    },
    "recipients": {"ops": {"email": ["ops@example.com", "night@example.com"]}, "boss": {"email": "ops@example.com"}},
    "views": {
        "calls": {"title": "Customer API calls", "store": "api", "meter": "api_calls"},
        "free": {"store": "api"},
    },
    "monitors": {
        "monthly": {
            "title": "Monthly limit",
            "view": "calls",
            "window": "billing month",
            "schedule": {"every": "15m"},
            "thresholds": {
                "approaching": {"severity": "warning", "max": "90%"},
                "well_over": {"severity": "error", "max": "110%"},
            },
            "notify": {
                "warn": {"when": "approaching", "to": "customer", "template": "near_limit", "days": "25-28"},
                "over": {"when": "well_over", "to": "customer"},
                "page": {"when": ["approaching", "well_over"], "to": ["ops", "boss"]},
            },
        },
    },
}


def member(id_: str, tier: str | None = "basic", **changes: Any) -> RosterCustomer:
    fields: dict[str, Any] = {
        "id": id_,
        "aliases": (),
        "name": f"{id_} Ltd",
        "tier": tier,
        "emails": (f"{id_.lower()}@example.com",),
        "zone": STOCKHOLM,
        "language": "en",
        "billing_day": 1,
        "valid_from": None,
        "valid_until": None,
    }
    return RosterCustomer(**{**fields, **changes})


def configuration(**monitor: Any) -> Config:
    """The reference configuration, with keys of its monitor changed."""
    changed = {**DOCUMENT["monitors"]["monthly"], **monitor}
    return Config.model_validate({**DOCUMENT, "monitors": {"monthly": changed}})


def roster_of(settings: Settings, customers: Sequence[RosterCustomer]) -> Roster:
    by_id = {who.id: who for who in sorted(customers, key=lambda who: who.id.encode())}
    return Roster(by_id, zone=settings.zone, language=settings.language)


def reading(subject: Subject, period: Period, quantity: Quantity | None, at: datetime) -> Reading:
    counted = min(at, period.end)
    return Reading(subject, period, quantity, int(quantity or 0), counted, Trust.COMPLETE)


def verdict(it: Watched, who: RosterCustomer, quantity: Quantity | None, at: datetime) -> Verdict:
    period = period_containing(it.monitor.window, at, who.zone, who.billing_day)
    found = reading(customer(who.id), period, quantity, at)
    return judge(it.name, it.monitor, found, plan=it.plan(who), projected=straight(found, it.view.aggregation), at=at)


def monthly(**monitor: Any) -> Watched:
    return watched(configuration(**monitor), "monthly")


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]  # a shorthand: year, month, day and so on
