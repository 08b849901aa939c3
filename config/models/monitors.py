"""Monitors: thresholds that a view's reading is compared with, and who is told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Final, Literal, Self

from pydantic import Field, model_validator

from config.models.section import Name, Names, Section
from config.schedule import Schedule
from config.values import DaysValue, Duration, Flag, HoursValue, Limit, LimitValue

Severity = Literal["warning", "error"]
Window = Literal["billing month", "month", "week", "day"]


Side = Literal["min", "max"]
UNAVAILABLE: Final = "unavailable"
LOGS_STALE: Final = "logs_stale"
CONDITIONS: Final = (UNAVAILABLE, LOGS_STALE)
"""What a route may tell besides thresholds: the log store cannot answer; no messages arrive any more."""


class Threshold(Section):
    """A limit with a severity: above `max` breaches, below `min` breaches."""

    severity: Severity = Field(description="how bad a breach is")
    max: LimitValue | None = Field(
        default=None, description="a quantity, or percent of the included quantity: more than that breaches"
    )
    min: LimitValue | None = Field(
        default=None,
        description="the same: less than that breaches, judged once, after the period's end",
    )
    grace: Duration = Field(
        default=timedelta(0), description="with min: wait after the period's end, for messages that arrive late"
    )

    @model_validator(mode="after")
    def _one_limit(self) -> Self:
        if (self.max is None) == (self.min is None):
            raise ValueError("must say either max or min")
        if self.min is None and "grace" in self.model_fields_set:
            raise ValueError("grace belongs to min; a max is judged from the start of a period")
        return self

    @property
    def side(self) -> Side:
        """On which side of the limit a breach lies."""
        return "min" if self.max is None else "max"

    @property
    def limit(self) -> Limit:
        """The one limit that is written."""
        found = self.min if self.max is None else self.max
        assert found is not None  # noqa: S101 (the validator has seen to it; for the type checker)
        return found


class Route(Section):
    """Who is told when, by which template, on which days and hours."""

    when: Names = Field(
        description="thresholds that are told; for recipients also `unavailable` (the log store cannot be counted, "
        "twice in a row) and `logs_stale` (no messages arrive any more)"
    )
    to: Names = Field(description="`customer`, or recipients")
    template: str | None = Field(default=None, description="mail template; else chosen by the threshold's severity")
    days: DaysValue | None = Field(default=None, description="days of the period, 1 for its first")
    hours: HoursValue | None = Field(default=None, description="hours of the day in the subject's zone")
    repeat: Duration | None = Field(
        default=None, description="tell recipients again after this time, as long as it lasts"
    )
    recovery: Flag = Field(default=False, description="tell recipients also when it is over")


class Monitor(Section):
    """Compares a view's reading with thresholds."""

    title: str | None = Field(default=None, description="name shown to people; else the monitor's name")
    view: str = Field(description="the view whose reading is compared")
    per: Literal["customer", "total"] = Field(default="customer", description="each customer, or all together")
    window: Window = Field(description="`billing month`, `month`, `week` or `day`")
    schedule: Schedule = Field(description="when the service evaluates, such as {every: 15m}")
    thresholds: dict[Name, Threshold] = Field(description="named limits", min_length=1)
    notify: dict[Name, Route] = Field(default={}, description="named routes")

    @property
    def minima(self) -> Mapping[str, Threshold]:
        """The thresholds that are judged when a period is over."""
        return {name: threshold for name, threshold in self.thresholds.items() if threshold.side == "min"}

    @property
    def grace(self) -> timedelta:
        """How long after a period's end the last of its thresholds is judged."""
        return max((threshold.grace for threshold in self.thresholds.values()), default=timedelta(0))
