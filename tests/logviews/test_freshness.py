"""How recent a store's messages before an instant are, also inside a part that goes on after it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from stores import load

from ledger.database import Database

FIRST = datetime(2026, 10, 1, tzinfo=UTC)
MINUTES = (0, 3, 4, 300, 20_000, 40_000)


@pytest.mark.parametrize("files", [1, 2])
def test_the_newest_message_before_an_instant_is_found_however_long_before_it_lies(
    ledger: Database, tmp_path: Path, files: int
) -> None:
    times = [FIRST + timedelta(minutes=minutes) for minutes in MINUTES]
    lines = [{"time": time.isoformat(), "customer": "A", "id": str(number)} for number, time in enumerate(times)]
    loaded = load(ledger, tmp_path, lines, files=files)
    millisecond = timedelta(milliseconds=1)
    for at in sorted({moment for time in times for moment in (time, time + millisecond, time + timedelta(minutes=15))}):
        newest = max((time for time in times if time < at), default=None)
        assert loaded.store.freshness(at).newest == newest, at
