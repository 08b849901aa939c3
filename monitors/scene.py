"""What every part of one decision looks at, and what several of them ask."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from config.models import Route
from config.roster import Roster
from ledger.records import Quantity, Standing, ThresholdResult, Verdict
from ledger.standings import StandingKey
from monitors.judge import SEVERITY_RANK
from monitors.telling import Breach
from monitors.watched import Watched

CUSTOMER: Final = "customer"
"""What a route's `to` says when the customer itself is meant."""

EXPIRES_AFTER: Final = timedelta(days=3)
"""How long a notice is worth delivering."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A monitor, its standings as they are after the evaluation, and the keys that were used before it."""

    watched: Watched
    standings: Mapping[StandingKey, Standing]
    roster: Roster
    used_keys: Mapping[str, datetime]
    at: datetime

    def episode(self, verdict: Verdict, threshold: str) -> int:
        """The episode of a subject's standing."""
        return self.standings[verdict.subject, verdict.period.start, threshold].episode


@dataclass(frozen=True, slots=True)
class Due:
    """A breach that a route tells of, with the key that this uses up, and whether the route's gate is open."""

    route_name: str
    route: Route
    breach: Breach
    key: str
    open: bool


def breaches(verdict: Verdict, route: Route) -> list[Breach]:
    """The breached thresholds of a verdict that a route tells."""
    return [Breach(verdict, result) for result in verdict.thresholds if result.breached and result.name in route.when]


def severity(result: ThresholdResult) -> tuple[int, Quantity]:
    """How bad a threshold is: an error beats a warning, then the higher max, or the lower min."""
    limit = result.limit if result.limit is not None else 0
    return SEVERITY_RANK[result.severity], limit if result.side == "max" else -limit
