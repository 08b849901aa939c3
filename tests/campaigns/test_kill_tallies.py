"""A few moments of the campaign `kill_tallies.py`, so that it keeps working."""

from __future__ import annotations

from pathlib import Path

import kill_tallies


def test_tallies_are_sound_after_kills_at_random_moments(tmp_path: Path) -> None:
    kill_tallies.campaign(tmp_path / "installation", moments=4, seed=3)
