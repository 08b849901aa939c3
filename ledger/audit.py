"""The audit: who did what to which object, each row chained to the one before by its hash.

A changed, removed or inserted row breaks the chain at its place. What a chain alone cannot show is a cut-off end, and a
history that somebody with write access rewrote from some row to the last; keep the last hash elsewhere for that.
"""

from __future__ import annotations

import hashlib
import json
from datetime import datetime
from typing import Any, Final

from sqlalchemy import Connection, select

from ledger.clock import cut
from ledger.tables import audit

FIRST_HASH: Final = "0" * 64
"""What stands in for the hash before the first row."""


def record(
    connection: Connection,
    *,
    at: datetime,
    actor: str,
    action: str,
    object_: str,
    before: Any = None,
    after: Any = None,
) -> str:
    """Appends one row and returns its hash. `before` and `after` are plain JSON without floats.

    The connection must be in a write transaction (`Database.begin`), which is what keeps the chain in one line.
    """
    last = connection.execute(select(audit.c.sequence, audit.c.hash).order_by(audit.c.sequence.desc()).limit(1)).first()
    sequence, previous = (last.sequence + 1, last.hash) if last else (1, FIRST_HASH)
    before, after = json.loads(canonical(before)), json.loads(canonical(after))
    fields = {"actor": actor, "action": action, "object": object_, "before": before, "after": after}
    digest = chained(previous, sequence, cut(at), fields)
    connection.execute(
        audit.insert().values(sequence=sequence, at=cut(at), previous_hash=previous, hash=digest, **fields)
    )
    return digest


def verify_chain(connection: Connection) -> int | None:
    """The sequence of the first row that does not fit, or None when the whole chain holds. Reads every row once."""
    previous = FIRST_HASH
    for row in connection.execute(select(audit).order_by(audit.c.sequence)):
        fields = {name: row._mapping[name] for name in ("actor", "action", "object", "before", "after")}
        if row.previous_hash != previous or row.hash != chained(previous, row.sequence, row.at, fields):
            return int(row.sequence)
        previous = row.hash
    return None


def chained(previous: str, sequence: int, at: datetime, fields: dict[str, Any]) -> str:
    """SHA-256, in hex, of the previous hash and the row's canonical JSON."""
    body = canonical({"sequence": sequence, "at": at.isoformat(timespec="milliseconds"), **fields})
    return hashlib.sha256(f"{previous}\n{body}".encode()).hexdigest()


def canonical(document: Any) -> str:
    """JSON in the one form that is hashed: keys sorted, no spaces, only ASCII."""
    return json.dumps(document, sort_keys=True, separators=(",", ":"), allow_nan=False)
