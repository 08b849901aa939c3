"""What a notice states, frozen when it was decided: everything that a template needs, so that rendering asks nobody.

Quantities and money are decimal strings, instants ISO 8601 with an offset, and what is absent is None. Names and limits
are those in force at the decision; a configuration that changes later does not change what a notice says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

NEAR_LIMIT: Final = "near_limit"
OVER_LIMIT: Final = "over_limit"
LOW_USAGE: Final = "low_usage"
OPS_DIGEST: Final = "ops_digest"
"""The templates that are chosen when a route names none: by the threshold's severity (warning, error) above a max,
below a min, and for operations."""

OPS_STORE: Final = "ops_store"
OPS_HELD: Final = "ops_held"
OPS_NEWS: Final = "ops_news"
"""What operations are told besides: of a log store, of held notices, and of the program itself."""

CUSTOMER_TEMPLATES: Final = (NEAR_LIMIT, OVER_LIMIT, LOW_USAGE)


@dataclass(frozen=True, slots=True)
class StepFacts:
    """One step of the overage price: the last unit beyond the included quantity at this price (None: all the rest)."""

    to: str | None
    price: str


@dataclass(frozen=True, slots=True)
class TierFacts:
    """A price plan as the customer is told of it. `included` and `steps` are those of the view's meter."""

    name: str
    title: str
    fee: str
    included: str | None
    steps: tuple[StepFacts, ...]  # one with `to` None for a single price; none when the tier does not price the meter

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TierFacts:
        """The facts that `asdict` gave."""
        return cls(**{**document, "steps": tuple(StepFacts(**step) for step in document["steps"])})


@dataclass(frozen=True, slots=True)
class CustomerFacts:
    """What one customer is told about one threshold in one period.

    `limit` is the threshold's limit in the view's unit, `limit_percent` its percentage when it is written as one.
    `percent` is the quantity in percent of `included`, two decimals, cut. `exceeded` says that the quantity lies above
    `included` (above `limit` where nothing is included); `projected_exceeds` says the same of the projection, and is
    False when there is none. `projected` is cut to an integer, and is None when nothing can be projected.
    """

    customer: str
    name: str
    monitor: str
    monitor_title: str
    view: str
    view_title: str
    unit: str  # plural, such as "API calls"
    threshold: str
    severity: str  # warning or error
    quantity: str
    limit: str
    limit_percent: str | None  # "90" for 90%
    included: str | None
    percent: str | None
    exceeded: bool
    projected: str | None
    projected_exceeds: bool
    period_start: str
    period_end: str  # exclusive
    window: str  # billing month, month, week or day
    counted_to: str
    at: str
    zone: str
    language: str
    currency: str
    tier: TierFacts | None
    recommended: TierFacts | None
    side: str = "max"  # min: the quantity lies below the limit

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, as it is kept in the ledger."""
        return _plain(asdict(self))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> CustomerFacts:
        """The facts that `to_json` gave."""
        tiers = {
            name: None if document[name] is None else TierFacts.from_json(document[name])
            for name in ("tier", "recommended")
        }
        return cls(**{**document, **tiers})


@dataclass(frozen=True, slots=True)
class OpsRow:
    """One subject's breach of one threshold. `customer` is None for the total of all selected customers."""

    customer: str | None
    name: str
    threshold: str
    severity: str
    quantity: str
    limit: str
    included: str | None
    percent: str | None  # of what is included; two decimals, cut
    projected: str | None
    period_start: str
    period_end: str
    zone: str
    side: str = "max"
    ended: bool = False  # whether the period was over


@dataclass(frozen=True, slots=True)
class OpsCount:
    """How many subjects a threshold is told of."""

    threshold: str
    severity: str
    number: int
    side: str = "max"


@dataclass(frozen=True, slots=True)
class OpsFacts:
    """What operations are told about one evaluation by one route: the worst breaches in full, and the number of all.

    `rows` are the worst first (most severe, then the furthest beyond its limit) and at most 50; `number` counts all of
    them, `counts` the same per threshold, and `evaluated` the subjects that were evaluated. `kind` says whether they
    are new (`breach`), told again because they last (`repeat`), or over (`recovery`).
    """

    monitor: str
    monitor_title: str
    view: str
    view_title: str
    unit: str
    route: str
    at: str
    zone: str
    language: str
    evaluated: int
    number: int
    counts: tuple[OpsCount, ...]
    rows: tuple[OpsRow, ...]
    kind: str = "breach"

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, as it is kept in the ledger."""
        return _plain(asdict(self))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> OpsFacts:
        """The facts that `to_json` gave."""
        return cls(
            **{
                **document,
                "counts": tuple(OpsCount(**count) for count in document["counts"]),
                "rows": tuple(OpsRow(**row) for row in document["rows"]),
            }
        )


@dataclass(frozen=True, slots=True)
class StoreFacts:
    """What operations are told about the log store that a monitor counts in.

    `condition` is `unavailable` (it could not be counted, twice in a row) or `logs_stale` (its newest message, that of
    `newest`, is too old); `kind` is that of `OpsFacts`. `detail` says why it could not be counted, empty when it could.
    `since` is the evaluation that found the condition, or for a recovery the one that found it over.
    """

    monitor: str
    monitor_title: str
    route: str
    store: str
    condition: str
    kind: str
    detail: str
    newest: str | None  # None when the store is empty, or did not answer
    since: str
    at: str
    zone: str
    language: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, as it is kept in the ledger."""
        return _plain(asdict(self))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> StoreFacts:
        """The facts that `to_json` gave."""
        return cls(**document)


@dataclass(frozen=True, slots=True)
class HeldFacts:
    """That one evaluation would have mailed so many customers that its notices wait for a person.

    `number` notices to `customers` of `watched` customers; `allowed` is how many customers are told without asking;
    `examples` are some of them.
    """

    monitor: str
    monitor_title: str
    number: int
    watched: int
    allowed: int
    customers: int
    examples: tuple[str, ...]
    at: str
    zone: str
    language: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, as it is kept in the ledger."""
        return _plain(asdict(self))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> HeldFacts:
        """The facts that `to_json` gave."""
        return cls(**{**document, "examples": tuple(document["examples"])})


@dataclass(frozen=True, slots=True)
class NewsFacts:
    """What the program tells operations of itself: a headline, and a sentence to a paragraph."""

    monitor: str  # what it is about: a file, a store, an export
    headline: str
    paragraphs: tuple[str, ...]
    at: str
    zone: str
    language: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON, as it is kept in the ledger."""
        return _plain(asdict(self))

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> NewsFacts:
        """The facts that `to_json` gave."""
        return cls(**{**document, "paragraphs": tuple(document["paragraphs"])})


def _plain(document: dict[str, Any]) -> dict[str, Any]:
    """Tuples become lists, as JSON will give them back."""
    return {key: _plain_value(value) for key, value in document.items()}


def _plain_value(value: Any) -> Any:
    if isinstance(value, dict):
        return _plain(value)
    return [_plain_value(item) for item in value] if isinstance(value, tuple) else value
