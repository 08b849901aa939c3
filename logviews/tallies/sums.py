"""Sums: how a period sum moves when one of its tallies is replaced. Pure and exact.

Counts and sums move by the difference. A smallest, largest or latest one moves forward with the new tally; only when a
tally that held it has less to show now must all the tallies of the segment be looked at again.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import Final

from config.models import Aggregation
from ledger.records import Quantity, SubjectKind, Tally
from ledger.tallies import Amount
from logviews.embedded.aggregation import combine

NOTHING: Final = Amount(0, 0, None)
EXTREMES: Final[frozenset[Aggregation]] = frozenset({"min", "max", "latest"})


def amount_of(tally: Tally) -> Amount:
    """What is kept of a tally. Of the unattributed rest that is the number of messages: not every store says more."""
    if not tally.values or tally.subject.kind is SubjectKind.UNATTRIBUTED:
        return Amount(tally.messages, 0, None)
    return Amount(tally.messages, tally.values, tally.quantity, tally.newest, tally.newest_id)


def plus(aggregation: Aggregation, left: Amount, right: Amount) -> Amount:
    """Two amounts together; of distinct values that is an upper bound."""
    messages, values = left.messages + right.messages, left.values + right.values
    if not right.values or not left.values:
        one = right if right.values else left
        return Amount(messages, values, one.quantity, one.newest, one.newest_id)
    if aggregation == "latest":
        newer = max(left, right, key=_latest)
        return Amount(messages, values, newer.quantity, newer.newest, newer.newest_id)
    return Amount(messages, values, combine(aggregation, left.quantity, right.quantity))


def together(aggregation: Aggregation, amounts: Iterable[Amount]) -> Amount:
    """Any number of amounts together."""
    return reduce(lambda left, right: plus(aggregation, left, right), amounts, NOTHING)


def moved(aggregation: Aggregation, before: Amount, old: Amount, new: Amount) -> Amount | None:
    """A sum, once one of its tallies has gone from `old` to `new`; None when that cannot be told from these alone."""
    messages = before.messages - old.messages + new.messages
    values = before.values - old.values + new.values
    if messages < 0 or values < 0:
        return None
    if not values:
        return Amount(messages, 0, None)
    if aggregation not in EXTREMES:
        return Amount(messages, values, (before.quantity or 0) - (old.quantity or 0) + (new.quantity or 0))
    if old.values and _held(aggregation, before) == _held(aggregation, old) and not _reaches(aggregation, new, old):
        return None
    if not before.values or not new.values:
        best = before if before.values else new
    elif aggregation == "min":
        best = min(before, new, key=_value)
    else:
        best = max(before, new, key=_latest if aggregation == "latest" else _value)
    return Amount(messages, values, best.quantity, best.newest, best.newest_id)


def _held(aggregation: Aggregation, amount: Amount) -> object:
    return _latest(amount) if aggregation == "latest" else amount.quantity


def _reaches(aggregation: Aggregation, new: Amount, old: Amount) -> bool:
    if not new.values:
        return False
    if aggregation == "latest":
        return _latest(new) >= _latest(old)
    return _value(new) <= _value(old) if aggregation == "min" else _value(new) >= _value(old)


def _value(amount: Amount) -> Quantity:
    if amount.quantity is None:
        raise AssertionError("an amount with values and without a quantity")
    return amount.quantity


def _latest(amount: Amount) -> tuple[datetime, str, Quantity]:
    if amount.newest is None:
        raise AssertionError("a latest value of no instant")
    return amount.newest, amount.newest_id, _value(amount)
