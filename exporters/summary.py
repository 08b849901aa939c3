"""The summary that a person looks at before and after a close: a statement's lines by tier."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from decimal import Decimal

from config.models import Aggregation
from exporters import pricing
from ledger.records import Quantity
from ledger.statements import Line

ADDITIVE: tuple[Aggregation, ...] = ("messages", "distinct", "sum")
"""What may be added over customers; the others have no total."""


@dataclass(frozen=True, slots=True)
class TierSum:
    """The lines of one tier together, or of all (`tier` None for customers without one, and for all).

    `quantity` is None when a view among them cannot be added, `overage` and `amount` when nothing is priced.
    """

    tier: str | None
    customers: int
    quantity: Quantity | None
    overage: Quantity | None
    amount: Decimal | None


def by_tier(lines: Sequence[Line], additive: Collection[str], exponent: int) -> tuple[TierSum, ...]:
    """One row per tier by name, customers without one last. `additive`: the views whose quantities may be added."""
    tiers = sorted({line.tier for line in lines}, key=lambda tier: (tier is None, tier or ""))
    return tuple(_together(tier, [line for line in lines if line.tier == tier], additive, exponent) for tier in tiers)


def total(lines: Sequence[Line], additive: Collection[str], exponent: int) -> TierSum:
    """All lines together; amounts are added after rounding, as the file states them."""
    return _together(None, lines, additive, exponent)


def _together(tier: str | None, lines: Sequence[Line], additive: Collection[str], exponent: int) -> TierSum:
    quantities = [line.quantity for line in lines if line.quantity is not None and line.view in additive]
    complete = all(line.view in additive for line in lines)
    overages = [line.overage for line in lines if line.overage is not None]
    amounts = [line.amount for line in lines if line.amount is not None]
    return TierSum(
        tier=tier,
        customers=len(lines),
        quantity=sum(quantities) if complete else None,
        overage=sum(overages) if overages else None,
        amount=pricing.total(amounts, exponent) if amounts else None,
    )
