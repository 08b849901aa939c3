"""Picking logs up: what is new in the files that a store's patterns match, each line once.

A look costs one stat a file, and reading what is new. What was read of a file and the parts that it became are
registered in one transaction, so a crash at any moment leaves nothing counted twice or left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from config.models import EmbeddedStore
from ledger import following
from ledger.database import Database
from ledger.following import Followed, Trouble
from logviews.intake import failures, sightings
from logviews.intake.looking import FileTaken, Look
from logviews.intake.rows import worth_a_look
from logviews.intake.sightings import Sightings
from logviews.intake.staging import Staging, StoreBusyError, writing
from logviews.intake.taking import Taking

PATIENCE_SECONDS: Final = 1.0
"""How long a look waits for whoever takes files in by hand."""

PIECE_BYTES: Final = 256 * 1024 * 1024
"""How much is taken in at one look, of plain files; a larger one is read piece by piece."""


@dataclass(frozen=True, slots=True)
class PickupProblem:
    """What keeps a file from being read, since when, and whether an earlier look found it too."""

    path: str
    sentence: str
    since: datetime
    told_before: bool


@dataclass(frozen=True, slots=True)
class PickupReport:
    """One look at a store's files. `more`: something is left to be read at once, by the next look."""

    taken: tuple[FileTaken, ...]
    problems: tuple[PickupProblem, ...]
    more: bool = False


@dataclass(frozen=True, slots=True)
class Pickup:
    """A store that picks its logs up by itself."""

    name: str
    store: EmbeddedStore
    fields: tuple[str, ...]  # those that get a column of their own, see `logviews.fields.used_fields`
    database: Database
    piece_bytes: int = PIECE_BYTES

    def run(self, at: datetime) -> PickupReport:
        """Looks at the files once and takes in what is new. A file that cannot be read stops no other one.

        Raises:
            IngestError: when the store's messages were taken in by other fields than the configuration states.
            IngestPlaceError: when the store's folder cannot be written, or the disk is full.
            LedgerError: when the ledger cannot be read or written.
        """
        seen = sightings.look(self.store.read, self.store.folder)
        with self.database.connect() as reading:
            rows = following.files(reading, self.name)
            known = following.troubles(reading, self.name)
        if not _anything(seen, rows, known, at):
            return PickupReport((), tuple(_told(one, known) for one in known.values()))
        try:
            with writing(self.store.folder, PATIENCE_SECONDS) as staging:
                return self._look(staging, seen, at)
        except StoreBusyError:  # somebody takes files in by hand: the next look sees what is left
            return PickupReport((), tuple(_told(one, known) for one in known.values()), more=True)

    def _look(self, staging: Staging, seen: Sightings, at: datetime) -> PickupReport:
        """A look while the store's folder is ours."""
        staging.sweep(self.name, self.database)
        with self.database.connect() as reading:
            rows = following.files(reading, self.name)
            known = following.troubles(reading, self.name)
        taking = Taking(self.name, self.store, self.fields, self.database, staging)
        taking.registered()
        look = Look(taking, seen, rows, self.piece_bytes, at)
        try:
            look.work()
        except OSError as error:
            folder = self.store.folder
            raise failures.of_system(f"{folder}: cannot be written", folder, error) from error
        now = look.troubles(known)
        self._note(look, known, now)
        return PickupReport(tuple(look.taken), tuple(_told(one, known) for one in now.values()), look.more)

    def _note(self, look: Look, known: Mapping[str, Trouble], now: Mapping[str, Trouble]) -> None:
        """Writes how the files are now and what is wrong."""
        new = [one for path, one in now.items() if known.get(path) != one]
        over, gone = known.keys() - now.keys(), look.forgotten()
        if new or over or gone or look.changed:
            with self.database.begin() as writing_:
                for file in look.changed:
                    following.put_file(writing_, self.name, look.rows[file])
                following.leave(writing_, self.name, gone)
                following.put_troubles(writing_, self.name, new, over)


def _anything(seen: Sightings, rows: Mapping[str, Followed], known: Mapping[str, Trouble], at: datetime) -> bool:
    """Whether anything is to be looked into or noted."""
    there = {one.file for one in seen.files}
    held = {row.content_id for row in rows.values() if row.state != "copy" and row.file in there}
    copies = {row.content_id for row in rows.values() if row.state == "copy" and row.file in there}
    paths = {str(one.path) for one in seen.files}
    return (
        any(worth_a_look(one, rows.get(one.file), at) for one in seen.files)
        or not copies <= held - {None}
        or {path: one.sentence for path, one in known.items() if path not in paths} != seen.hidden
    )


def _told(one: Trouble, known: Mapping[str, Trouble]) -> PickupProblem:
    """A trouble for the report; one that was known under another name of its file was told before, too."""
    before = any((other.sentence, other.since) == (one.sentence, one.since) for other in known.values())
    return PickupProblem(one.path, one.sentence, one.since, before)
