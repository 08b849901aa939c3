"""The campaign of killed deliveries, cut short."""

from __future__ import annotations

from pathlib import Path

from kill_delivery import campaign


def test_killed_while_mail_leaves_it_loses_nothing_and_repeats_only_what_was_accepted(
    ledger_url: str, tmp_path: Path
) -> None:
    found = campaign(tmp_path, moments=4, seed=3, url=ledger_url, batch=150)
    assert found.kills == 4
    assert found.accepted - found.notices == found.twice
