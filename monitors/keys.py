"""Decision keys: what is decided once, and never again, whoever decides it and however often.

A customer is told once per monitor, route, threshold and period. Operations are told once per episode as well, because
they are told again when something breaks again; and, where a route says so, that it lasts and that it is over.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime

from ledger.records import Verdict


def customer_key(verdict: Verdict, route: str, threshold: str) -> str:
    """Per monitor, route, threshold, period and customer (last, because it is free text)."""
    return f"customer|{verdict.monitor}|{route}|{threshold}|{_instant(verdict.period.start)}|{verdict.subject.id}"


def ops_key(verdict: Verdict, route: str, threshold: str, episode: int) -> str:
    """As `customer_key`, and per episode."""
    return f"ops|{_affair(verdict, route, threshold, episode)}"


def repeat_key(verdict: Verdict, route: str, threshold: str, episode: int) -> str:
    """That operations are told again at the verdict's instant of what they were told before."""
    return f"ops-repeat@{_instant(verdict.at)}|{_affair(verdict, route, threshold, episode)}"


def recovery_key(verdict: Verdict, route: str, threshold: str, episode: int) -> str:
    """That operations are told that it is over."""
    return f"ops-recovery|{_affair(verdict, route, threshold, episode)}"


def held_key(monitor: str, at: datetime, held: Iterable[str]) -> str:
    """That operations are told of the notices, by their ids, that were held at that instant."""
    return f"held|{monitor}|{_instant(at)}|{notice_id(held)}"


def last_told(used_keys: Mapping[str, datetime]) -> Mapping[str, datetime]:
    """When operations were last told of each affair, by the key that `ops_key` gives it."""
    found: dict[str, datetime] = {}
    for key, decided_at in used_keys.items():
        head, _, affair = key.partition("|")
        if head == "ops" or head.startswith("ops-repeat@"):
            base = f"ops|{affair}"
            found[base] = max(found.get(base, decided_at), decided_at)
    return found


def notice_id(keys: Iterable[str]) -> str:
    """The id of the notice that uses up these keys: the same whoever decides it."""
    return hashlib.sha256("\n".join(sorted(keys)).encode()).hexdigest()[:32]


def _affair(verdict: Verdict, route: str, threshold: str, episode: int) -> str:
    subject = f"{verdict.subject.kind.value}:{verdict.subject.id}"
    return f"{verdict.monitor}|{route}|{threshold}|{_instant(verdict.period.start)}|{episode}|{subject}"


def _instant(at: datetime) -> str:
    return at.isoformat(timespec="milliseconds" if at.microsecond else "seconds").replace("+00:00", "Z")
