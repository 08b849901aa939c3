"""Units: what one of the counted things is called, in the plural."""

from __future__ import annotations

from typing import Final

from config.models import View

ACRONYMS: Final = frozenset({"api", "cpu", "db", "dns", "gb", "http", "id", "io", "ip", "kb", "mb", "sms", "sql", "tb"})


def unit_of(view: View) -> str:
    """The view's own unit, else its meter's name made readable (`api_calls` is "API calls"), else "messages"."""
    if view.unit is not None:
        return view.unit
    if view.meter is None:
        return "messages"
    words = view.meter.replace("_", " ").replace("-", " ").split()
    return " ".join(word.upper() if word.lower() in ACRONYMS else word for word in words)
