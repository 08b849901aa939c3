"""Log views: what is counted, of whom, and in which store."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, SkipValidation, Tag, WithJsonSchema, model_validator

from config import filters
from config.models.section import Names, Section, by_shape
from config.standards import FieldName
from config.values import Integer

FieldAggregation = Literal["distinct", "sum", "min", "max", "average", "latest"]
Aggregation = Literal["messages"] | FieldAggregation
_FIELD_AGGREGATIONS: tuple[FieldAggregation, ...] = ("distinct", "sum", "min", "max", "average", "latest")


class TierSelection(Section):
    """Selects the customers of one or more tiers."""

    tier: Names = Field(description="one or more tiers")


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
            by_shape("must be {tier: NAME} or a list of customer ids; leave it out to select everyone"),
        ]
        | None
    ) = Field(default=None, description="`{tier: NAME}`, a list of customer ids, or nothing for all")
    meter: str | None = Field(default=None, description="what is priced; only what is priced needs one")
    count: Annotated[
        Annotated[Literal["messages"], Tag("|text")] | Annotated[FieldCount, Tag("|mapping")],
        by_shape("must be messages, or an aggregation such as {sum: FIELD}"),
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
