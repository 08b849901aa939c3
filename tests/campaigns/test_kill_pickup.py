"""A few moments of the campaign `kill_pickup.py`, so that it keeps working."""

from __future__ import annotations

from pathlib import Path

import kill_pickup
import pytest


def test_a_killed_pick_up_goes_on_where_it_was(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kill_pickup.campaign(tmp_path, moments=5, seed=7)
    assert "every message was counted once" in capsys.readouterr().out
