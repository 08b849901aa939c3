"""What a layout is: a name, columns, and how one line of a statement fills them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ledger.quantities import decimal_text
from ledger.records import Quantity
from ledger.statements import Line


@dataclass(frozen=True, slots=True)
class Layout:
    """The columns of a file. Once shipped they are never renamed, reordered or dropped: a new layout is added instead.

    `row` gives one cell per column. `priced` says that the layout states amounts, and so needs tiers that price.
    """

    name: str
    columns: tuple[str, ...]
    row: Callable[[Line], tuple[str, ...]]
    priced: bool


def number(quantity: Quantity | None) -> str:
    """A quantity's cell: a plain decimal number, empty where there is no data."""
    return "" if quantity is None else decimal_text(quantity)
