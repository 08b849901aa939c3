"""Monthly files for finance."""

from __future__ import annotations

from datetime import timedelta
from typing import Literal

from pydantic import Field

from config.models.section import Names, Section
from config.values import Duration, Integer


class Export(Section):
    """A monthly file for finance."""

    views: Names = Field(description="views whose quantities are stated")
    layout: Literal["statistics", "charges"] = Field(description="columns of the file")
    settle: Duration = Field(
        default=timedelta(0),
        description="wait after the last period's end before closing; at least, and by default, the stores' lateness",
    )
    tolerance: Integer = Field(
        default=0,
        description="by how much a closing count may lie below what a notice already stated, or differ from what the "
        "service's tallies come to",
        ge=0,
    )
    approve: Literal["auto", "manual"] = Field(default="manual", description="`manual`: closing needs `--approve`")
