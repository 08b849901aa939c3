"""Definitions: a view, a tier's prices or the roster as they were, kept once per content and named by its hash.

The hash is the SHA-256 of the body, which is canonical JSON of kind, name and content; so anybody who has the body can
check it, and the same content under another name is another definition.
"""

from __future__ import annotations

import hashlib
import ipaddress
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, fields, is_dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from sqlalchemy import Connection, select

from ledger.audit import canonical
from ledger.tables import definition


@dataclass(frozen=True, slots=True)
class Definition:
    """Something that a statement was made with. `body` is canonical JSON: `{"content", "kind", "name"}`."""

    kind: str
    name: str
    body: str

    @property
    def label(self) -> str:
        """How statements and manifests call it, such as `view basic_api_calls`."""
        return f"{self.kind} {self.name}"

    @property
    def hash(self) -> str:
        """SHA-256 of the body, in hex."""
        return hashlib.sha256(self.body.encode()).hexdigest()


def define(kind: str, name: str, content: object) -> Definition:
    """The definition of some content: models, dataclasses, and whatever JSON has, nested in any way.

    Raises:
        TypeError: for a value that has no exact form in JSON.
    """
    return Definition(kind, name, canonical({"kind": kind, "name": name, "content": _plain(content)}))


def record(connection: Connection, definitions: Iterable[Definition], since: datetime) -> None:
    """Keeps those definitions that the ledger does not have yet. Needs a write transaction."""
    for item in definitions:
        known = connection.execute(select(definition.c.hash).where(definition.c.hash == item.hash)).first()
        if known is None:
            row = {"hash": item.hash, "kind": item.kind, "name": item.name, "body": item.body, "since": since}
            connection.execute(definition.insert().values(row))


def load(connection: Connection, hash_: str) -> Definition | None:
    """The definition of that hash, or None."""
    row = connection.execute(select(definition).where(definition.c.hash == hash_)).first()
    return None if row is None else Definition(row.kind, row.name, row.body)


def _plain(value: object) -> Any:
    """JSON without floats that were not floats: decimals and instants are text, durations whole milliseconds."""
    match value:
        case Enum():
            return _plain(value.value)
        case bool() | int() | float() | None:
            return value
        case str() | Path() | Decimal() | ipaddress.IPv4Network() | ipaddress.IPv6Network():
            return str(value)
        case date() | datetime() | time():
            return value.isoformat()
        case timedelta():
            return value // timedelta(milliseconds=1)
        case BaseModel():
            return {name: _plain(getattr(value, name)) for name in type(value).model_fields}
        case Mapping():
            return {str(key): _plain(item) for key, item in value.items()}
        case Set():
            return sorted((_plain(item) for item in value), key=canonical)
        case Sequence():
            return [_plain(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        # the name tells the kinds of a filter's nodes apart
        return {"is": type(value).__name__, **{item.name: _plain(getattr(value, item.name)) for item in fields(value)}}
    raise TypeError(f"{type(value).__name__} has no exact form in JSON")
