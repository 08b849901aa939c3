"""Who is counted, and who of operations is told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from config.models.section import Addresses, Section, Texts
from config.standards import FilePath, Language
from config.values import Day, Integer, Zone


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
