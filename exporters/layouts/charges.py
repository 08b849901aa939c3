"""Layout `charges`: what each customer used beyond what the tier includes, and what that costs."""

from __future__ import annotations

from typing import Final

from exporters.layouts.layout import Layout, number
from ledger.statements import Line


def _row(line: Line) -> tuple[str, ...]:
    amount = "" if line.amount is None else format(line.amount, "f")
    return (
        line.customer,
        line.tier or "",
        number(line.quantity),
        number(line.included),
        number(line.overage),
        amount,
    )


CHARGES: Final = Layout(
    "charges",
    ("Customer ID", "Tier", "Total Calls", "Included Calls", "Overage Calls", "Overage Amount"),
    _row,
    priced=True,
)
