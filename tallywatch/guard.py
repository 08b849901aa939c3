"""The rooms have common names; this makes sure that it is really ours that would be imported."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Final

ROOMS: Final = ("config", "ledger", "logviews", "monitors", "notifiers", "exporters")


def strangers() -> list[str]:
    """A sentence for each room whose folder does not lie beside this package; costs six look-ups, imports nothing."""
    home = Path(__file__).resolve().parent.parent
    found = []
    for room in ROOMS:
        spec = find_spec(room)
        origin = Path(spec.origin).resolve() if spec and spec.origin else None
        if origin is None or origin.parent.parent != home:
            found.append(f"the package {room!r} would come from {origin or 'nowhere'}, not from {home}")
    return found
