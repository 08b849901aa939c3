"""JSON lines into parts: written, checked, told apart from what was there before, moved into place, registered.

What else has to be noted with the parts is written in the same transaction, so that both are there or neither.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
from duckdb import DuckDBPyConnection
from sqlalchemy import Connection

from config.models import EmbeddedStore
from ledger import parts
from ledger.database import Database
from ledger.parts import Part, Role
from logviews.embedded import engine
from logviews.fields import fixed_reading, read_as
from logviews.intake import identity, refusals, strict
from logviews.intake.files import IngestError, LogFile
from logviews.intake.refusals import SetApart
from logviews.intake.scribe import Described, Scribe
from logviews.intake.staging import Staging
from logviews.intake.strict import LineRules

Noted = Callable[[Connection, Mapping[Role, int]], None]
"""Writes what is to be noted with parts, given their ids by role."""


@dataclass(frozen=True, slots=True)
class Taken:
    """How many messages were new, there before, and there before with other content."""

    new: int
    duplicates: int
    conflicts: int
    conflicting_ids: tuple[str, ...]  # at most ten


@dataclass(frozen=True, slots=True)
class Taking:
    """A store that takes lines in, while its folder is locked for us."""

    name: str
    store: EmbeddedStore
    fields: tuple[str, ...]
    database: Database
    staging: Staging

    def take(
        self,
        connection: DuckDBPyConnection,
        registered: Sequence[Part],
        log: LogFile,
        lines: Path,
        passed: int,
        at: datetime,
        noted: Noted | None,
        apart: SetApart | None = None,
    ) -> Taken:
        """Takes JSON lines in, all or nothing.

        Args:
            connection: where to work.
            registered: what `registered` gives now.
            log: what the lines are of.
            lines: the lines.
            passed: how many lines of the log come before them.
            at: when they are taken in.
            noted: writes what is to be noted with the parts, also where there are none.
            apart: where bad lines go; without, the first one refuses all.

        Raises:
            IngestError: for a bad line, with its place.
            IngestPlaceError: when bad lines cannot be written where they were asked for.
            duckdb.Error: when the engine fails: the disk is full, or it was interrupted.
        """
        scribe, part = Scribe(connection, self.store, self.fields, self._rules), self.staging.path("part.parquet")
        scribe.register()
        written = self._write(scribe, part, log, lines, passed, apart)
        if apart:
            apart.keep()
        found = identity.separate(
            connection,
            [self.store.folder / known.path for known in registered],
            part,
            self.store.fields.id is not None,
            scribe.write,
            lambda: scribe.write_in_order(written, part),
        )
        self._publish(scribe, found, log, at, noted)
        return Taken(found.new, found.duplicates, found.conflicts, found.conflicting_ids)

    @property
    def _rules(self) -> LineRules:
        return strict.rules_of(self.store)

    def _write(
        self, scribe: Scribe, part: Path, log: LogFile, lines: Path, passed: int, apart: SetApart | None
    ) -> Path:
        """Writes the part; gives the lines that it was made of: those that were given, or the good ones of them."""
        try:
            scribe.write_lines(lines, part)
        except duckdb.Error as error:
            if engine.is_disk_full(error) or engine.is_interrupt(error):
                raise
            clean = self.staging.path("clean.jsonl")
            refusals.sift(log, lines, passed, self._rules, clean, apart)
            scribe.write_lines(clean, part)
            return clean
        return lines

    def _publish(
        self, scribe: Scribe, found: identity.Separated, log: LogFile, at: datetime, noted: Noted | None
    ) -> None:
        """Moves parts to their places and registers them, in one transaction with what is noted with them."""
        ready = [
            placed(
                self.staging,
                path,
                scribe.describe(path),
                Part(
                    store=self.name, sha256="", path="", role=role, rows=0,
                    conflicts=found.conflicts if role == "duplicates" else 0,
                    min_time=at, max_time=at, ingested_at=at, source=log.name, fields=self.fields,
                    read_as=read_as(self.store),
                ),
            )
            for role, path in found.files
        ]  # fmt: skip
        if not ready and noted is None:
            return
        with self.database.begin() as writing:
            ids = {part.role: parts.add(writing, part, kinds) for part, kinds in ready}
            if noted:
                noted(writing, ids)
        self.staging.registered()

    def registered(self) -> tuple[Part, ...]:
        """The store's parts of messages, all read by the fields that the configuration states.

        Raises:
            IngestError: otherwise. Messages told apart by other fields cannot be in one store: some would count twice
                or not at all.
        """
        with self.database.connect() as reading:
            registered = parts.of_store(reading, self.name)
        ours = read_as(self.store)
        other = next((part for part in registered if part.read_as != ours), None)
        if other is not None:
            raise IngestError(fixed_reading(self.name, other.read_as, ours))
        return registered


def placed(
    staging: Staging, written: Path, found: Described, like: Part, kind: str = ""
) -> tuple[Part, Mapping[str, int]]:
    """Moves a written part to its place; gives it as it is to be registered, and the kinds of its fields.

    `like` says what its content does not; `kind` goes into its name.
    """
    with written.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    kind += "-duplicates" if like.role == "duplicates" else ""
    token = format(int(like.ingested_at.timestamp() * 1000), "x")
    stem = f"parts/{found.min_time.strftime('%Y%m%dT%H%M%S')}-{digest[:16]}{kind}-{token}"
    names = (f"{stem}{number}.parquet" for number in ("", *(f"-{number}" for number in range(2, 1000))))
    target = next(name for name in names if not (staging.store / name).exists())
    staging.move(written, target)
    return Part(
        like.store, digest, target, like.role, found.rows, like.conflicts, found.min_time, found.max_time,
        like.ingested_at, like.source, like.fields, like.read_as,
    ), found.kinds  # fmt: skip
