"""What a configuration may say: one frozen model per section of `tallywatch.yaml`.

The models describe and never act. Values arrive as the text that was written (see `config.values`); references between
sections, and whatever needs more than one model at once, are checked in `config.references` and `config.coherence`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    SkipValidation,
    Tag,
    WithJsonSchema,
    model_validator,
)

from config import filters
from config.schedule import Schedule
from config.standards import (
    Currency,
    DatabaseUrl,
    EmailAddress,
    FieldName,
    FilePath,
    Language,
    Sender,
    TimeFormat,
)
from config.values import (
    Day,
    DaysValue,
    Duration,
    Flag,
    HoursValue,
    Integer,
    LimitValue,
    Money,
    Zone,
    one_or_many,
)

FieldType = Literal["string", "integer", "decimal", "boolean", "time", "ip"]
Severity = Literal["warning", "error"]
Window = Literal["billing month", "month", "week", "day"]
_SOME_TEXT = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_ANY_TEXT = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Names = Annotated[tuple[str, ...], BeforeValidator(one_or_many), Field(min_length=1), WithJsonSchema(_SOME_TEXT)]
Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_many), WithJsonSchema(_ANY_TEXT)]
Addresses = Annotated[tuple[EmailAddress, ...], BeforeValidator(one_or_many), WithJsonSchema(_ANY_TEXT)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]


def _shape(value: object) -> str:
    """Which way of writing a value is meant, so that a mistake is explained for that way alone."""
    if isinstance(value, Mapping | BaseModel):
        return "|mapping"
    return "|list" if isinstance(value, list | tuple) else "|text"


def _by_shape(expected: str) -> Discriminator:
    return Discriminator(_shape, custom_error_type="shape", custom_error_message=expected)


class Section(BaseModel):
    """Base of every section: unknown keys are refused, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


class Email(Section):
    """How mail leaves: one .eml file per notice, in a folder."""

    transport: Literal["files"] = Field(default="files", description="`files`: one .eml per notice in `folder`")
    folder: FilePath = Field(default=Path("mail"), description="where the .eml files go")
    sender: Sender = Field(default="tallywatch <tallywatch@localhost>", description="From address of every notice")
    reply_to: EmailAddress | None = Field(default=None, description="Reply-To address of every notice")


class Settings(Section):
    """What holds for the whole installation."""

    database: DatabaseUrl = Field(default="sqlite:///tallywatch.db", description="SQLAlchemy URL of the ledger")
    zone: Zone = Field(default="UTC", description="zone of customers that state none, of totals and of operations")
    language: Language = Field(default="en", description="language of customers that state none, such as en or sv-SE")
    currency: Currency = Field(default="USD", description="ISO 4217 code of all prices")
    email: Email = Field(default=Email(), description="how mail leaves")
    simulation: Flag = Field(
        default=False, description="allow `evaluate --at T --commit`; fixed when the database is created"
    )


class StoreFields(Section):
    """Which fields of a message carry what the program itself needs."""

    time: FieldName = Field(description="when it happened")
    customer: FieldName = Field(description="who did it")
    id: FieldName | None = Field(default=None, description="the message's own id: an id counts once per store")


class EmbeddedStore(Section):
    """A log store of our own: immutable Parquet parts in a folder, queried with DuckDB."""

    type: Literal["embedded"] = Field(description="kind of log store")
    folder: FilePath = Field(description="where the parts are kept")
    fields: StoreFields = Field(description="fields that carry time, customer and id")
    types: dict[FieldName, FieldType] = Field(default={}, description="types enforced when messages enter")
    zone: Zone | None = Field(
        default=None, description="zone of times without an offset; such times are refused without"
    )
    time_format: TimeFormat = Field(
        default="rfc3339", description="`rfc3339`, `epoch_s`, `epoch_ms` or a strptime pattern"
    )
    lateness: Duration = Field(default=timedelta(0), description="how late a message may still arrive")
    stale_after: Duration | None = Field(
        default=None, description="newest message older than this: the reading is a lower bound"
    )


Store = EmbeddedStore  # `type` tells stores apart once there is a second one


class Step(Section):
    """One step of a graduated overage price."""

    to: Integer | None = Field(default=None, description="last unit beyond the included quantity at this price", gt=0)
    price: Money = Field(description="price of one unit in this step", ge=0)


class MeterPrice(Section):
    """What a tier includes of one meter, and what lies beyond costs."""

    included: Integer = Field(description="quantity that the fee covers", ge=0)
    overage: Annotated[
        Annotated[Money, Field(ge=0), Tag("|text")] | Annotated[tuple[Step, ...], Field(min_length=1), Tag("|list")],
        _by_shape("must be a price such as 0.01, or a list of steps {to: 100_000, price: 0.01}"),
    ] = Field(description="one price per unit, or graduated steps")


class Tier(Section):
    """A price plan."""

    title: str | None = Field(default=None, description="name shown to customers; else the tier's name, capitalised")
    fee: Money = Field(default=Decimal(0), description="fixed price of a month", ge=0)
    recommend: str | None = Field(default=None, description="tier to recommend to whoever outgrows this one")
    prices: dict[Name, MeterPrice] = Field(default={}, description="meter: what is included and what more costs")


class Customer(Section):
    """One customer of the roster."""

    id: str = Field(description="who is counted; also the customer value in the messages", min_length=1)
    aliases: Texts = Field(default=(), description="other customer values that mean the same customer")
    name: str | None = Field(default=None, description="name used in mail; else the id")
    tier: str | None = Field(default=None, description="price plan")
    emails: Addresses = Field(default=(), description="who receives the customer's notices")
    zone: Zone | None = Field(default=None, description="zone of the customer's days and months")
    language: Language | None = Field(default=None, description="language of numbers and dates in mail")
    billing_day: Integer = Field(default=1, description="day on which the billing month starts", ge=1, le=31)
    valid_from: Day | None = Field(default=None, alias="from", description="first day of the contract")
    valid_until: Day | None = Field(default=None, alias="until", description="first day after the contract")


class RosterFile(Section):
    """A roster kept in a file of its own."""

    file: FilePath = Field(description="CSV or YAML file of customers")


class Recipient(Section):
    """Somebody of operations who is told."""

    email: Annotated[Addresses, Field(min_length=1)] = Field(description="one or more addresses")


class TierSelection(Section):
    """Selects the customers of one or more tiers."""

    tier: Names = Field(description="one or more tiers")


FieldAggregation = Literal["distinct", "sum", "min", "max", "average", "latest"]
Aggregation = Literal["messages"] | FieldAggregation
_FIELD_AGGREGATIONS: tuple[FieldAggregation, ...] = ("distinct", "sum", "min", "max", "average", "latest")


class FieldCount(Section):
    """An aggregation of a field: exactly one of them."""

    distinct: FieldName | None = Field(default=None, description="how many different values")
    sum: FieldName | None = Field(default=None, description="the sum of all values: integers, or decimals with `scale`")
    min: FieldName | None = Field(default=None, description="the smallest value")
    max: FieldName | None = Field(default=None, description="the largest value")
    average: FieldName | None = Field(default=None, description="sum of all values over their number")
    latest: FieldName | None = Field(default=None, description="the value of the newest message")
    scale: Integer = Field(default=0, description="with sum: decimals that values may have", ge=0, le=12)

    @model_validator(mode="after")
    def _one_aggregation(self) -> Self:
        if sum(value is not None for value in self._named().values()) != 1:
            raise ValueError("must name exactly one of distinct, sum, min, max, average, latest")
        if self.scale and self.sum is None:
            raise ValueError("scale belongs to sum")
        return self

    def _named(self) -> dict[FieldAggregation, str | None]:
        return {name: getattr(self, name) for name in _FIELD_AGGREGATIONS}

    @property
    def aggregation(self) -> FieldAggregation:
        """The one that is named."""
        return next(name for name, field in self._named().items() if field is not None)


class View(Section):
    """A log view: a saved filter over a store, whom it selects, and what it counts."""

    title: str | None = Field(default=None, description="name shown to people; else the view's name")
    unit: str | None = Field(default=None, description="what one is called in mail, in the plural, such as `API calls`")
    store: str = Field(description="log store to count in")
    customers: (
        Annotated[
            Annotated[TierSelection, Tag("|mapping")] | Annotated[tuple[str, ...], Field(min_length=1), Tag("|list")],
            _by_shape("must be {tier: NAME} or a list of customer ids; leave it out to select everyone"),
        ]
        | None
    ) = Field(default=None, description="`{tier: NAME}`, a list of customer ids, or nothing for all")
    meter: str | None = Field(default=None, description="what is priced; only what is priced needs one")
    count: Annotated[
        Annotated[Literal["messages"], Tag("|text")] | Annotated[FieldCount, Tag("|mapping")],
        _by_shape("must be messages, or an aggregation such as {sum: FIELD}"),
    ] = Field(default="messages", description="what is counted")
    where: Annotated[
        SkipValidation[filters.Filter], BeforeValidator(filters.parse), WithJsonSchema({"type": "object"})
    ] = Field(default=filters.EVERYTHING, description="field: matcher, all of which must hold")

    @property
    def aggregation(self) -> Aggregation:
        """Which of the seven aggregations the view counts."""
        if isinstance(self.count, FieldCount):
            return self.count.aggregation
        return "messages"

    @property
    def field(self) -> str | None:
        """The field that is aggregated; None for messages."""
        return getattr(self.count, self.aggregation) if isinstance(self.count, FieldCount) else None


class Threshold(Section):
    """A limit with a severity: above `max` breaches."""

    severity: Severity = Field(description="how bad a breach is")
    max: LimitValue = Field(description="a quantity, or percent of the included quantity")


class Route(Section):
    """Who is told when, by which template, on which days and hours."""

    when: Names = Field(description="thresholds that are told")
    to: Names = Field(description="`customer`, or recipients")
    template: str | None = Field(default=None, description="mail template; else chosen by the threshold's severity")
    days: DaysValue | None = Field(default=None, description="days of the period, 1 for its first")
    hours: HoursValue | None = Field(default=None, description="hours of the day in the subject's zone")


class Monitor(Section):
    """Compares a view's reading with thresholds."""

    title: str | None = Field(default=None, description="name shown to people; else the monitor's name")
    view: str = Field(description="the view whose reading is compared")
    per: Literal["customer", "total"] = Field(default="customer", description="each customer, or all together")
    window: Window = Field(description="`billing month`, `month`, `week` or `day`")
    schedule: Schedule | None = Field(default=None, description="when the service evaluates")
    thresholds: dict[Name, Threshold] = Field(description="named limits", min_length=1)
    notify: dict[Name, Route] = Field(default={}, description="named routes")


class Export(Section):
    """A monthly file for finance."""

    views: Names = Field(description="views whose quantities are stated")
    layout: Literal["statistics", "charges"] = Field(description="columns of the file")
    settle: Duration = Field(
        default=timedelta(0),
        description="wait after the last period's end before closing; at least, and by default, the stores' lateness",
    )
    tolerance: Integer = Field(
        default=0, description="by how much a closing count may lie below what a notice already stated", ge=0
    )
    approve: Literal["auto", "manual"] = Field(default="manual", description="`manual`: closing needs `--approve`")


class Config(Section):
    """A whole configuration, references checked."""

    settings: Settings = Field(default=Settings(), description="what holds for the whole installation")
    stores: dict[Name, Store] = Field(default={}, description="where logs live")
    tiers: dict[Name, Tier] = Field(default={}, description="price plans")
    customers: (
        Annotated[
            Annotated[RosterFile, Tag("|mapping")] | Annotated[tuple[Customer, ...], Tag("|list")],
            _by_shape("must be {file: customers.csv} or a list of customers"),
        ]
        | None
    ) = Field(
        default=None, description="the roster: a file, or a list; without it every customer value found is a customer"
    )
    recipients: dict[Name, Recipient] = Field(default={}, description="who of operations is told")
    views: dict[Name, View] = Field(default={}, description="saved filters")
    monitors: dict[Name, Monitor] = Field(default={}, description="what is watched")
    exports: dict[Name, Export] = Field(default={}, description="files for finance")
