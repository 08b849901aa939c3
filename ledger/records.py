"""The values that travel between rooms. All are frozen; every instant is an aware UTC datetime, cut to milliseconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction
from typing import Any, Final, Literal, NamedTuple

Quantity = int | Fraction
"""An exact quantity: whole where it can be, else a fraction. Floats never carry a quantity."""

State = Literal["ok", "warning", "error", "unavailable"]


class SubjectKind(StrEnum):
    """Whom a quantity belongs to."""

    CUSTOMER = "customer"
    TOTAL = "total"
    UNATTRIBUTED = "unattributed"
    STORE = "store"  # the log store itself: whether it answers, and whether messages still arrive


@dataclass(frozen=True, slots=True, order=True)
class Subject:
    """A customer (or, in a tally, a raw customer value), the total, or the unattributed rest."""

    kind: SubjectKind
    id: str = ""

    def __str__(self) -> str:
        return self.id if self.kind is SubjectKind.CUSTOMER else self.kind.value


TOTAL: Final = Subject(SubjectKind.TOTAL)
UNATTRIBUTED: Final = Subject(SubjectKind.UNATTRIBUTED)


def customer(id_: str) -> Subject:
    """The subject of a customer id or raw customer value."""
    return Subject(SubjectKind.CUSTOMER, id_)


@dataclass(frozen=True, slots=True, order=True)
class Period:
    """One dated stretch of a window, half-open `[start, end)`, in the zone that its rule was computed in."""

    start: datetime
    end: datetime
    zone: str


class Tally(NamedTuple):
    """A view's partial quantity for one subject in one bucket that starts at `start`. A tuple: a month has hundreds of
    thousands.

    `values` is how many values went into it (the divisor of an average, 0 when there was none) and `messages` how many
    messages matched. `quantity` is None when there was no value, the *sum* for an average, and for `latest` the value
    of the message at `newest` (ties to the greatest `newest_id`).
    """

    view: str
    subject: Subject
    start: datetime
    quantity: Quantity | None
    messages: int
    values: int = 0
    newest: datetime | None = None
    newest_id: str = ""


class Trust(StrEnum):
    """How far a reading may be believed."""

    COMPLETE = "complete"
    LOWER_BOUND = "lower_bound"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Reading:
    """A period's quantity for one subject, counted up to `counted_to` (exclusive)."""

    subject: Subject
    period: Period
    quantity: Quantity | None
    messages: int
    counted_to: datetime
    trust: Trust


class Reason(StrEnum):
    """Why a verdict is what it is; a closed list, so that it can be tested, logged and counted."""

    WITHIN_LIMITS = "within_limits"
    ABOVE_MAX = "above_max"
    BELOW_MIN = "below_min"
    LOGS_STALE = "logs_stale"  # too few were counted to be sure of, because no messages arrive at all
    PARTIAL_PERIOD = "partial_period"  # too few were counted, but the contract covers a part of it only
    NO_DATA = "no_data"
    NOTHING_INCLUDED = "nothing_included"
    STORE_UNAVAILABLE = "store_unavailable"
    BACKFILLING = "backfilling"  # what was used before anybody watched it is still being counted


@dataclass(frozen=True, slots=True)
class ThresholdResult:
    """One threshold's limit for a subject, in the view's unit, and whether it is breached; None when that is unknown.

    `limit` is None for a percentage of what is included when the subject's plan includes nothing to take it of. A `min`
    is breached below its limit and unknown until its period is over, a `max` above it.
    """

    name: str
    severity: Literal["warning", "error"]
    limit: Quantity | None
    breached: bool | None
    side: Literal["min", "max"] = "max"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one evaluation found for one subject. `counted_to` is None when the store could not be counted."""

    monitor: str
    subject: Subject
    at: datetime
    period: Period
    counted_to: datetime | None
    quantity: Quantity | None
    included: int | None
    state: State
    reason: Reason
    thresholds: tuple[ThresholdResult, ...]
    projected: Quantity | None


@dataclass(frozen=True, slots=True)
class Standing:
    """Breached or clear, per (monitor, subject, period, threshold): since when, in which episode.

    `in_range` counts the evaluations in a row that found a breached standing in range again; clearing takes two.
    """

    monitor: str
    subject: Subject
    period_start: datetime
    threshold: str
    breached: bool
    since: datetime
    episode: int
    in_range: int = 0


@dataclass(frozen=True, slots=True)
class Transition:
    """A standing's change, appended to the history."""

    monitor: str
    subject: Subject
    period_start: datetime
    threshold: str
    breached: bool
    at: datetime
    episode: int


@dataclass(frozen=True, slots=True)
class NoticeDue:
    """A notice that was decided: what it states is frozen in `facts`, and `keys` are used up by it, once and for all.

    Shape of `facts`: plain JSON (strings, integers, lists, mappings); quantities and money as strings.
    `superseded_keys` are keys of less severe thresholds that this notice makes unnecessary. After `expires_at` it is
    not tried any more. A `held` notice waits for a person to release or discard it.
    """

    id: str
    monitor: str
    route: str
    kind: Literal["customer", "ops"]
    template: str
    subject: Subject | None
    addresses: tuple[str, ...]
    language: str
    zone: str
    decided_at: datetime
    keys: tuple[str, ...]
    superseded_keys: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    held: bool = False


@dataclass(frozen=True, slots=True)
class Evaluation:
    """That a monitor was evaluated: when, how it went, and its figures (states counted, integrity) as plain JSON."""

    monitor: str
    at: datetime
    outcome: Literal["done", "stale", "unavailable", "backfilling"]
    figures: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Decision:
    """Everything that one evaluation changes; it is committed in one transaction or not at all.

    `closed` are the standings that end with their period, or because nobody is watched there any more. `judged_through`
    says up to which end the monitor's periods have had their final verdict now, where that has moved. `watched` is how
    many customers were judged.
    """

    evaluation: Evaluation
    standings: tuple[Standing, ...] = ()
    closed: tuple[Standing, ...] = ()
    transitions: tuple[Transition, ...] = ()
    notices: tuple[NoticeDue, ...] = ()
    judged_through: datetime | None = None
    watched: int = 0


@dataclass(frozen=True, slots=True)
class RenderedNotice:
    """One message for one address, ready to leave. `message` is a complete RFC 5322 message in bytes.

    `label` says what it is in a word that can begin a file name: the day, the template and whom it is about.
    """

    delivery_id: int
    notice_id: str
    address: str
    message_id: str
    message: bytes
    label: str


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of one attempt at a delivery.

    `retry`: it may succeed later. `suppressed`: the address is refused for good, and is not tried again with anything.
    `dead`: this notice cannot be delivered to it, whatever the reason. `unattempted`: its turn did not come.
    """

    delivery_id: int
    outcome: Literal["delivered", "retry", "suppressed", "dead", "unattempted"]
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Freshness:
    """How recent a store's messages are. `newest` is None for an empty store."""

    newest: datetime | None
    ingested: datetime | None
    stale: bool
