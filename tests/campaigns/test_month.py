"""The last days of the campaign `month.py`, in each database, so that it keeps working."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import month


def test_days_unattended_come_to_what_a_plain_model_says(tmp_path: Path, ledger_url: str) -> None:
    base = tmp_path / "installation"
    base.mkdir()
    result = month.campaign(base, ledger_url, days=4, seed=1, people=11, step=timedelta(hours=4))
    assert result.differences == []
    assert all(number for what, number, _ in result.rows if what in month.NEVER_EMPTY)
