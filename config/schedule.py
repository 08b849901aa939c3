"""When a monitor is evaluated: `{every: 15m, hours: 06:00-22:00, weekdays: mon-fri}` or `{cron: "*/5 * * * *"}`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, Self

from cronsim import CronSim, CronSimError
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from config.values import Duration, HoursValue, Zone

WEEKDAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")


def _weekdays(value: object) -> object:
    """`mon-fri`, `sat,sun` or a list of such, as a frozenset of 0 (Monday) to 6."""
    if isinstance(value, frozenset):
        return value
    days: set[int] = set()
    for item in value if isinstance(value, list | tuple) else str(value).split(","):
        match = re.fullmatch(r"\s*([a-z]{3})\s*(?:-\s*([a-z]{3}))?\s*", str(item).lower())
        if not match or match[1] not in WEEKDAYS or (match[2] or "mon") not in WEEKDAYS:
            raise ValueError("must be weekdays, such as mon-fri or [mon, wed]")
        first, last = WEEKDAYS.index(match[1]), WEEKDAYS.index(match[2] or match[1])
        days.update((first + step) % 7 for step in range((last - first) % 7 + 1))
    return frozenset(days)


Weekdays = Annotated[
    frozenset[int],
    BeforeValidator(_weekdays),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array"}], "examples": ["mon-fri"]}),
]


class Schedule(BaseModel):
    """Either `every` (with `hours` and `weekdays`) or `cron` (five fields, names or 0 for Sunday), both in `zone`."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    every: Duration | None = Field(default=None, description="time between evaluations")
    hours: HoursValue | None = Field(default=None, description="only in these hours of the day")
    weekdays: Weekdays | None = Field(default=None, description="only on these days of the week")
    cron: str | None = Field(default=None, description="five cron fields, quoted")
    zone: Zone | None = Field(default=None, description="zone of hours, weekdays and cron; else settings.zone")

    @model_validator(mode="after")
    def _one_rule(self) -> Self:
        if (self.every is None) == (self.cron is None):
            raise ValueError("must say either every or cron")
        if self.cron is not None:
            if self.hours is not None or self.weekdays is not None:
                raise ValueError("hours and weekdays go with every; cron has fields of its own for them")
            if len(self.cron.split()) != 5:
                raise ValueError("cron takes five fields: minute, hour, day of month, month, day of week")
            try:
                CronSim(self.cron, datetime(2000, 1, 1, tzinfo=UTC))
            except CronSimError as error:
                raise ValueError(f"cron cannot be read: {error}") from error
        elif self.every is not None and self.every < timedelta(minutes=1):
            raise ValueError("every must be a minute or more")
        return self
