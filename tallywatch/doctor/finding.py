"""Findings: what a check found, whether that is well, and the way out where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Literal

State = Literal["ok", "warning", "failed"]
_UNITS: Final = (("day", 86_400), ("hour", 3_600), ("minute", 60), ("second", 1))


class Check(StrEnum):
    """What is looked at; docs/alerts.md has a section for each that can be other than ok."""

    CONFIGURATION = "configuration"
    PACKAGES = "packages"
    TIME_ZONES = "time zones"
    DATABASE = "database"
    SCHEMA = "schema"
    SERVICE = "service"
    EVALUATIONS = "evaluations"
    OUTBOX = "outbox"
    ADDRESSES = "addresses"
    FOLDER = "folder"
    LOGS = "logs"
    PARTS = "parts"
    CLUSTER = "cluster"
    PRIVILEGES = "privileges"
    MAPPING = "mapping"
    FRESHNESS = "freshness"
    VIEW = "view"
    ROSTER = "roster"
    MAIL = "mail"
    CLOCK = "clock"
    DISK = "disk"
    TEST_MESSAGE = "test message"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's. `about` names the store, monitor or place; `remedy` is empty where all is well."""

    check: Check
    state: State
    about: str
    found: str
    remedy: str = ""


def ok(check: Check, about: str, found: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", about, found)


def warning(check: Check, about: str, found: str, remedy: str) -> Finding:
    """It works, and somebody should know."""
    return Finding(check, "warning", about, found, remedy)


def failed(check: Check, about: str, found: str, remedy: str) -> Finding:
    """It does not work."""
    return Finding(check, "failed", about, found, remedy)


def length(span: timedelta) -> str:
    """How long something is, in its largest unit: `3 minutes`, `1 day`; cut, never rounded up."""
    seconds = max(0, int(span.total_seconds()))
    for name, size in _UNITS:
        if seconds >= size:
            number = seconds // size
            return f"{number:,} {name}{'' if number == 1 else 's'}"
    return "0 seconds"


def ago(moment: datetime, at: datetime) -> str:
    """An instant with how long it has been: `2026-10-25T07:00:00+00:00, 3 minutes ago`."""
    return f"{moment.isoformat(timespec='seconds')}, {length(at - moment)} ago"
