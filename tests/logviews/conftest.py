"""What the tests of stores and of pick-up share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from stores import open_ledger

from ledger.database import Database


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Database]:
    database = open_ledger(tmp_path)
    yield database
    database.close()
