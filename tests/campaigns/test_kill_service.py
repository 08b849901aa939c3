"""The campaign against the service at a short length; the whole of it is run by hand."""

from __future__ import annotations

import kill_service


def test_a_service_that_is_killed_over_a_month_decides_and_closes_everything_once(tmp_path):
    kill_service.campaign(tmp_path, moments=3, seed=7, customers=20)
