from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CAMPAIGN = Path(__file__).parents[1] / "campaigns" / "kill_close.py"


def test_a_killed_close_leaves_a_statement_whole_or_absent() -> None:
    done = subprocess.run(
        [sys.executable, str(CAMPAIGN), "--moments", "3", "--seed", "7", "--customers", "2000"],
        check=False,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3/3" in done.stdout
