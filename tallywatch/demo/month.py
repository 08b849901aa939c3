"""What happened in the demo's month, message by message, made up from fixed seeds.

A customer's calls follow its own weekdays and hours and grow over the month; each day is a little better or worse than
expected. The reference case's counts are exact: its calls are shared out over the hours, and not drawn for them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from tallywatch.demo.customers import DemoCustomer
from tallywatch.demo.kinds import BILLABLE, KINDS, METHODS, PATHS, PRO_METHODS
from tallywatch.demo.messages import Integers, Messages, joined

Floats = NDArray[np.float64]

# The logs begin before October and end after it, in every zone: the month has to be cut out of them.
START: Final = datetime(2026, 9, 30, 12, tzinfo=UTC)
END: Final = datetime(2026, 11, 1, 12, tzinfo=UTC)
HOURS: Final = int((END - START) / timedelta(hours=1))
HOUR_MS: Final = 3_600_000
DAY_MS: Final = 24 * HOUR_MS

MESSAGES: Final = 3_000_000
_FEWEST_OF_OTHERS: Final = 20_000
_AROUND: Final = 0.035  # what the half days before and after October add
_SEED: Final = 127_450
_WEEKDAY: Final = 2.5
_GROWTH: Final = 0.15
_DAY_NOISE: Final = 0.1
_BEFORE_CONTRACT: Final = 0.05
_LATE: Final = 0.002
_LATEST_HOURS: Final = 70.0
_AGAIN: Final = 0.0008
_BY_ALIAS: Final = 0.4
_BY_HOUR: Final = (
    0.16, 0.12, 0.1, 0.1, 0.12, 0.2, 0.45, 0.9, 1.5, 1.9, 2.0, 1.9, 1.6, 1.8, 1.9, 1.8, 1.6, 1.2, 0.9, 0.75, 0.65, 0.5,
    0.35, 0.22,
)  # fmt: skip

STRANGERS: Final = ("trial-2291", "trial-7731", "partner-sandbox")
"""Customer values that are not on the roster, and their shares of the calls."""
_STRANGE_SHARE: Final = (0.0004, 0.0002, 0.0012)
_UNATTRIBUTED_SHARE: Final = 0.0006


@dataclass(frozen=True, slots=True)
class Day:
    """What arrived on one UTC day."""

    day: date
    messages: Messages


@dataclass(frozen=True, slots=True)
class Month:
    """The whole month: `callers` are the customer values that messages carry, None for a message without one."""

    callers: tuple[str | None, ...]
    counts: tuple[Integers, ...]
    """Per kind: messages by principal (customers, strangers, nobody) and hour since START."""
    pro: NDArray[np.bool_]
    aliases: Integers
    """By principal: the caller that it also goes by, or itself."""

    def days(self) -> Iterator[Day]:
        """Day after day, what arrived. Costs 0.1 s for 100,000 messages, and the memory of one day."""
        waiting: list[Messages] = []
        serial = 0
        for day in log_days():
            happened = self._happened(day, serial)
            serial += len(happened)
            pool = joined([*waiting, *_arriving(happened, day)])
            pool = pool.of(np.argsort(pool.arrival, kind="stable"))
            now = pool.arrival < _milliseconds(day + timedelta(days=1))
            waiting = [pool.of(~now)]
            yield Day(day, pool.of(now))

    def _happened(self, day: date, serial: int) -> Messages:
        """The messages of one UTC day, in the order of their times."""
        chance = _chance(3, day.toordinal())
        first = max(0, (_milliseconds(day) - _milliseconds(START)) // HOUR_MS)
        last = min(HOURS, (_milliseconds(day) + DAY_MS - _milliseconds(START)) // HOUR_MS)
        kinds = [self._of_kind(chance, index, first, last) for index in range(len(KINDS))]
        happened = joined(kinds)
        happened = happened.of(np.argsort(happened.time, kind="stable"))
        serials = np.arange(serial, serial + len(happened))
        return Messages(happened.time, happened.time, serials, *(getattr(happened, name) for name in _LOOKS))

    def _of_kind(self, chance: np.random.Generator, index: int, first: int, last: int) -> Messages:
        kind, counts = KINDS[index], self.counts[index][:, first:last]
        cell = np.repeat(np.arange(counts.size), counts.ravel())
        principal, hour = cell // (last - first), cell % (last - first) + first
        number = len(cell)
        start = _milliseconds(START) + hour * HOUR_MS
        time = start + chance.integers(0, HOUR_MS, number)
        by_alias = chance.random(number) < _BY_ALIAS
        method = chance.choice(len(METHODS), number, p=kind.methods)
        if index == BILLABLE:
            method = np.where(self.pro[principal], chance.choice(len(METHODS), number, p=PRO_METHODS), method)
        return Messages(
            time,
            time,
            np.zeros(number, dtype=np.int64),
            np.where(by_alias, self.aliases[principal], principal),
            np.full(number, kind.service),
            method,
            chance.choice(np.array(kind.statuses), number),
            chance.choice(len(PATHS), number, p=kind.paths),
            chance.integers(1, 100_000, number),
            np.exp(6.5 + chance.standard_normal(number)).astype(np.int64),
        )


_LOOKS: Final = ("caller", "service", "method", "status", "path", "number", "size")


def log_days() -> tuple[date, ...]:
    """The UTC days that have logs."""
    return tuple(START.date() + timedelta(days=index) for index in range((END.date() - START.date()).days + 1))


def imagine(everyone: Sequence[DemoCustomer], messages: int = MESSAGES) -> Month:
    """The month of these customers, with about so many messages; never less than those of the pinned customers.

    Gives the same month each time, with one version of numpy; the pinned counts hold with any.
    """
    pinned = sum(one.pins[-1].calls for one in everyone if one.pins)
    others = max(_FEWEST_OF_OTHERS, round(messages / (sum(kind.rate for kind in KINDS) + _AROUND)) - pinned)
    weights = np.stack([_weights(one) for one in everyone])
    days = _chance(1).lognormal(0, _DAY_NOISE, (len(everyone), HOURS // 24 + 1))
    weights *= np.repeat(days, 24, axis=1)[:, 12 : 12 + HOURS]  # START is at noon
    inside = np.stack([_in_month(one) for one in everyone])
    expected = np.stack(
        [
            _scale(one, weights[row], inside[row], others) * weights[row]
            for row, one in enumerate(everyone)
        ]
    )  # fmt: skip
    together = expected.sum(axis=0)
    strange = [together * share for share in (*_STRANGE_SHARE, _UNATTRIBUTED_SHARE)]
    expected = np.vstack([expected, *strange])
    chance = _chance(2)
    counts = [chance.poisson(expected * kind.rate) for kind in KINDS]
    for row, one in enumerate(everyone):
        _pin(chance, one, inside[row], expected[row], counts[BILLABLE][row])
        for index, kind in enumerate(KINDS):
            if one.tier not in kind.tiers:
                counts[index][row] = 0
    return _month(everyone, counts)


def _month(everyone: Sequence[DemoCustomer], counts: Sequence[Integers]) -> Month:
    principals = (*(one.id for one in everyone), *STRANGERS, None)
    aliases = np.arange(len(principals))
    callers: list[str | None] = list(principals)
    for row, one in enumerate(everyone):
        if one.alias is not None:
            aliases[row] = len(callers)
            callers.append(one.alias)
    pro = np.zeros(len(principals), dtype=np.bool_)
    pro[: len(everyone)] = [one.tier == "pro" for one in everyone]
    return Month(tuple(callers), tuple(counts), pro, aliases)


def _weights(one: DemoCustomer) -> Floats:
    """How busy each hour is for a customer, by its own clock."""
    zone, weights = ZoneInfo(one.zone), np.empty(HOURS)
    for hour in range(HOURS):
        local = (START + timedelta(hours=hour)).astimezone(zone)
        weights[hour] = _BY_HOUR[local.hour] * (_WEEKDAY if local.weekday() < 5 else 1.0) * (1 + _GROWTH * hour / HOURS)
        if one.start is not None and local.date() < one.start:
            weights[hour] *= _BEFORE_CONTRACT
    return weights


def _in_month(one: DemoCustomer) -> NDArray[np.bool_]:
    zone = ZoneInfo(one.zone)
    return np.array([(START + timedelta(hours=hour)).astimezone(zone).month == 10 for hour in range(HOURS)])


def _scale(one: DemoCustomer, weights: Floats, inside: NDArray[np.bool_], others: int) -> float:
    """Calls for each unit of weight."""
    if one.pins:
        return float(one.pins[-1].calls / weights[inside & (np.arange(HOURS) < _hour(one.pins[-1].until))].sum())
    return float(one.share * others / weights[inside].sum())


def _pin(
    chance: np.random.Generator, one: DemoCustomer, inside: NDArray[np.bool_], expected: Floats, counts: Integers
) -> None:
    """Shares a pinned customer's calls out over the hours up to each pin, so that their sum is what it has to be."""
    done, begin = 0, int(np.argmax(inside))
    for pin in one.pins:
        hours = slice(begin, _hour(pin.until))
        counts[hours] = chance.multinomial(pin.calls - done, expected[hours] / expected[hours].sum())
        done, begin = pin.calls, hours.stop


def _arriving(happened: Messages, day: date) -> tuple[Messages, Messages]:
    """The same messages with the time of their arrival, a few of them late; and a few that arrive twice."""
    chance, number = _chance(4, day.toordinal()), len(happened)
    delay = np.minimum(chance.exponential(18.0, number), _LATEST_HOURS) * HOUR_MS
    late = chance.random(number) < _LATE
    arrival = np.where(late, happened.time + delay.astype(np.int64), happened.time)
    arrived = _arrived(happened, arrival)
    again = arrived.of(np.flatnonzero(chance.random(number) < _AGAIN))
    soon = chance.integers(500, 60_000, len(again))  # a retry; or the next day's, when a shipper starts again
    much_later = chance.integers(12 * HOUR_MS, 24 * HOUR_MS, len(again))
    wait = np.where(chance.random(len(again)) < 0.7, soon, much_later)
    return arrived, _arrived(again, again.arrival + wait)


def _arrived(messages: Messages, arrival: Integers) -> Messages:
    """With these arrivals, none of them after the last log."""
    arrival = np.minimum(arrival, _milliseconds(END) - 1)
    return Messages(arrival, messages.time, messages.serial, *(getattr(messages, name) for name in _LOOKS))


def _hour(at: datetime) -> int:
    return int((at - START) / timedelta(hours=1))


def _milliseconds(at: date) -> int:
    moment = at if isinstance(at, datetime) else datetime(at.year, at.month, at.day, tzinfo=UTC)
    return int(moment.timestamp()) * 1000


def _chance(*purpose: int) -> np.random.Generator:
    """Random numbers for one purpose, so that a change of one thing leaves all others as they were."""
    return np.random.Generator(np.random.PCG64([_SEED, *purpose]))
