"""Nearest valid names: what somebody probably meant, for the hint of a problem."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Final

_LISTED: Final = 12


def did_you_mean(name: str, valid: Iterable[str], none: str | None = None) -> str | None:
    """`did you mean NAME?`, else the valid names, or `none` when there are none."""
    valid = list(valid)
    near = nearest(name, valid)
    if near is not None:
        return f"did you mean {near}?"
    if not valid:
        return none
    listed = sorted(valid) if len(valid) > _LISTED else valid
    more = f" and {len(listed) - _LISTED} more" if len(listed) > _LISTED else ""
    return f"there is {', '.join(listed[:_LISTED])}{more}"


def nearest(name: str, valid: Iterable[str]) -> str | None:
    """The valid name that is nearly this one, ignoring case; None when nothing is near. Costs one pass over `valid`."""
    folded = {candidate.casefold(): candidate for candidate in valid}
    near = difflib.get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return folded[near[0]] if near else None
