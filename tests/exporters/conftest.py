from __future__ import annotations

from pathlib import Path

import pytest
from exporting import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    """A configuration with three customers, and October 2025 with 5 calls of A, 0 of B and 7 of C."""
    made = World(tmp_path)
    made.write()
    made.ingest([
        *made.calls("A", 3), *made.calls("a-old", 2), *made.calls("C", 7), *made.calls("stranger", 2),
        *made.calls(None, 1), *made.calls("A", 1, "2025-11-01"),
    ])  # fmt: skip
    return made
