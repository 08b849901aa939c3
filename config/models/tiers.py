"""Price plans."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import Field, Tag

from config.models.section import Name, Section, by_shape
from config.values import Integer, Money


class Step(Section):
    """One step of a graduated overage price."""

    to: Integer | None = Field(default=None, description="last unit beyond the included quantity at this price", gt=0)
    price: Money = Field(description="price of one unit in this step", ge=0)


class MeterPrice(Section):
    """What a tier includes of one meter, and what lies beyond costs."""

    included: Integer = Field(description="quantity that the fee covers", ge=0)
    overage: Annotated[
        Annotated[Money, Field(ge=0), Tag("|text")] | Annotated[tuple[Step, ...], Field(min_length=1), Tag("|list")],
        by_shape("must be a price such as 0.01, or a list of steps {to: 100_000, price: 0.01}"),
    ] = Field(description="one price per unit, or graduated steps")


class Tier(Section):
    """A price plan."""

    title: str | None = Field(default=None, description="name shown to customers; else the tier's name, capitalised")
    fee: Money = Field(default=Decimal(0), description="fixed price of a month", ge=0)
    recommend: str | None = Field(default=None, description="tier to recommend to whoever outgrows this one")
    prices: dict[Name, MeterPrice] = Field(default={}, description="meter: what is included and what more costs")
