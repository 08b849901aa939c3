"""What was fixed when messages entered stays fixed, and is said when the configuration changes."""

from __future__ import annotations

from pathlib import Path

import pytest
from stores import AT, load, settings

from config.filters import EVERYTHING
from ledger.database import Database
from logviews.embedded.store import Embedded
from logviews.intake.files import IngestError
from logviews.intake.ingest import Ingest
from logviews.store import CountQuery, StoreUnavailable

LINE = {"time": "2026-10-05T00:00:00Z", "customer": "a", "account": "b", "id": "1"}
QUERY = CountQuery("view", EVERYTHING, "messages", None, 0, (AT.replace(month=10), AT))
CHANGES = [
    {"fields": {"time": "time", "customer": "account", "id": "id"}},
    {"fields": {"time": "time", "customer": "customer"}},
    {"time_format": "epoch_s"},
    {"zone": "Europe/Stockholm"},
]


@pytest.mark.parametrize("change", CHANGES, ids=["customer", "id", "time format", "zone"])
def test_a_store_whose_fields_changed_is_unavailable_and_takes_nothing_in(
    ledger: Database, tmp_path: Path, change: dict[str, object]
) -> None:
    loaded = load(ledger, tmp_path, [LINE])
    name = loaded.store.name
    changed = settings(tmp_path / name, **change)
    with pytest.raises(StoreUnavailable, match=r"were taken in by time time .* restore the configuration"):
        list(Embedded(name, changed, (), ledger).count(QUERY))
    with pytest.raises(IngestError, match="name a new store and folder"):
        Ingest(name, changed, (), ledger).take(tmp_path / f"{name}-0.jsonl", AT)
    assert [tally.messages for tally in loaded.store.count(QUERY)] == [1]
