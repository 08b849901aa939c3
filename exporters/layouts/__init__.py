"""The layouts that a file for finance can have, by name."""

from __future__ import annotations

from typing import Final

from config.errors import UsageError
from exporters.layouts.charges import CHARGES
from exporters.layouts.layout import Layout
from exporters.layouts.statistics import STATISTICS

LAYOUTS: Final = {layout.name: layout for layout in (STATISTICS, CHARGES)}

__all__ = ["LAYOUTS", "Layout", "layout_named"]


def layout_named(name: str) -> Layout:
    """The layout of that name.

    Raises:
        UsageError: when this program has none, as when a newer one closed the month.
    """
    try:
        return LAYOUTS[name]
    except KeyError:
        raise UsageError(f"there is no layout {name!r}; there are " + ", ".join(LAYOUTS)) from None
