"""A few moments of the campaign `kill_ingest.py`, so that it keeps working."""

from __future__ import annotations

from pathlib import Path

import kill_ingest
import pytest


def test_a_killed_ingest_is_made_good_by_the_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kill_ingest.campaign(tmp_path, moments=2, seed=7, lines=500)
    assert "every message was counted once" in capsys.readouterr().out
