"""The keeper of a filter's tallies: brings them up to an instant, in pieces that each leave them sound.

First whatever has changed or is new is counted, oldest first; then, newest first, what lies before the oldest bucket
and is needed. What an evaluation finds in the usual course is one piece, written in one transaction together with the
mark of what the store had. More is counted piece by piece, and what waits for it is marked as changed before the mark
moves, so a crash loses at most the piece that was being counted.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final

from config.roster import Roster
from ledger import watermarks
from ledger.database import Database
from ledger.watermarks import Watermark
from logviews.store import LogStore, StoreUnavailable
from logviews.tallies import buckets
from logviews.tallies.cutting import fit
from logviews.tallies.keys import FilterKey
from logviews.tallies.pieces import DAY, Pace, Progress, count_piece, progress_of
from logviews.tallies.replacing import OutrunError, Recounted, dropped
from logviews.tallies.replacing import replace as replace_buckets
from logviews.tallies.segments import Cut, Segments

KEPT_FOR: Final = timedelta(days=70)
"""How long tallies are kept: two billing months, and as long as a close may take."""

AT_ONCE: Final = 300_000
"""How many tallies one transaction may replace; they are all in memory."""

_ATTEMPTS: Final = 5
_EVER: Final = datetime.min.replace(tzinfo=UTC)

MayGoOn = Callable[[], bool]


@dataclass(frozen=True)
class Keeper:
    """Keeps the tallies of one filter. `cuts` are those by which period sums are kept, `token` is of the roster.

    `lifetime` is how long the store keeps messages (its `retention`): what is older is not counted again.
    """

    database: Database
    store: LogStore
    key: FilterKey
    roster: Roster
    token: str
    zone: str
    cuts: frozenset[Cut]
    lifetime: timedelta | None = None
    segments: tuple[Segments, ...] = field(init=False)

    def __post_init__(self) -> None:
        made = tuple(Segments(self.roster, cut, self.zone, self.key.width) for cut in sorted(self.cuts))
        object.__setattr__(self, "segments", made)

    def watermark(self) -> Watermark | None:
        """How far the filter was counted; None where nothing of it was."""
        with self.database.connect() as connection:
            return watermarks.load(connection, self.key.hash)

    def oldest(self, at: datetime) -> datetime:
        """The start of the first bucket that may be counted again: of those before it messages may be gone."""
        return _EVER if self.lifetime is None else buckets.ceiling(at - self.lifetime, self.key.width)

    def bring_up(self, at: datetime, needed: datetime, may_go_on: MayGoOn) -> Progress | None:
        """Counts what has changed up to `at` (exclusive), and what is not counted yet from `needed` on.

        None when all of it is there now, else how far it came until `may_go_on` said no; what is little is always done.

        Raises:
            StoreUnavailable: when the store cannot answer exactly; what was counted before is kept.
            LedgerError: when the ledger cannot be read or written.
        """
        needed = buckets.floor(needed, self.key.width)
        for _ in range(_ATTEMPTS):
            try:
                found = self._bring_up(at, needed, may_go_on)
            except OutrunError:
                continue
            if found is None and needed < at:
                self.store.check(self.key.query((needed, at)))
            return found
        raise StoreUnavailable(f"view {self.key.view}: another process keeps replacing its tallies; it is tried again")

    def catch_up(self, at: datetime) -> Watermark | None:
        """Counts what little has changed, up to `at` or to where it was counted before if that is later.

        None where nothing is kept of the filter, or more has to be counted.

        Raises as `bring_up` does.
        """
        mark = self.watermark()
        if mark is None:
            return None
        at = max(at, mark.counted_to)
        return self.watermark() if self.bring_up(at, at, lambda: False) is None else None

    def recount(self, first: datetime, last: datetime, at: datetime) -> None:
        """Counts those buckets between two instants again that are there, whether or not anything is known to have
        changed. Costs a full count of them.

        Raises:
            StoreUnavailable: when the store cannot answer exactly; some buckets may be replaced then, each one whole.
            LedgerError: when the ledger cannot be read or written.
        """
        mark, pace = self.watermark(), Pace(self.key.width)
        if mark is None:
            return
        first, last = max(first, mark.since, self.oldest(at)), min(last, mark.counted_to)
        left = buckets.starts(first, last, self.key.width) if first < last else []
        attempts = 0
        while left:
            counted = self._recount(left[: pace.size], at)
            attempts = 0 if counted else attempts + 1
            if attempts == _ATTEMPTS:
                raise StoreUnavailable(f"view {self.key.view}: the service keeps replacing its tallies; try again")
            left = left[len(counted) :]
            pace.after(counted)

    def prune(self, at: datetime, needed: datetime, may_go_on: MayGoOn) -> None:
        """Takes away buckets that are older than `KEPT_FOR` and are not needed, a day at a time."""
        mark = self.watermark()
        keep_from = buckets.floor(min(needed, at - KEPT_FOR), self.key.width)
        while mark is not None and mark.since < min(keep_from, mark.counted_to) and may_go_on():
            until = min(mark.since + DAY, keep_from)
            gone = [dropped(start) for start in buckets.starts(mark.since, until, self.key.width)]
            try:
                mark = self._replace(replace(mark, since=until), gone)
            except OutrunError:
                mark = self.watermark()

    def _bring_up(self, at: datetime, needed: datetime, may_go_on: MayGoOn) -> Progress | None:
        mark = self._with_changes(self._fitting(at), at)
        pace, waiting = Pace(self.key.width), self._waiting(mark, at)
        left = [start for run in buckets.runs(waiting, self.key.width) for start in run]
        while left and may_go_on():
            piece = buckets.runs(left[: pace.size], self.key.width)[0]
            counted = self._count(piece, at, at)
            reached = max(mark.counted_to, min(piece[-1] + self.key.width, at))
            mark = self._replace(replace(mark, counted_to=reached, counted_at=at), counted)
            left = left[len(piece) :]
            pace.after(counted)
        while not left and mark.since > needed and may_go_on():
            start = max(needed, mark.since - pace.size * self.key.width)
            counted = self._count(buckets.starts(start, mark.since, self.key.width), mark.since, at)
            mark = self._replace(replace(mark, since=start), counted)
            pace.after(counted)
        if left or mark.since > needed:
            return progress_of(mark.since, set(left), needed, at, self.key.width)
        return None

    def _fitting(self, at: datetime) -> Watermark:
        """The filter's watermark, not beyond `at`, with the cuts that are wanted. Makes one where there is none."""
        mark = self.watermark()
        if mark is not None and not mark.since <= at <= mark.counted_to + KEPT_FOR:
            # a clock that was wrong, or an installation that slept for months
            with self.database.begin() as connection:
                watermarks.drop(connection, mark.id)
            mark = None
        if mark is None:
            mark = self._begun(at)
        mark = fit(self.database, self.key.aggregation, mark, self.segments, self.token)
        return mark if at >= mark.counted_to else self._set_back(mark, at)

    def _begun(self, at: datetime) -> Watermark:
        start = buckets.floor(at, self.key.width)
        # the mark comes first: what arrives while it is counted is told as a change the next time
        found = self.store.changes(self.key.query((start - self.key.width, at)), None, at)
        cuts = dict.fromkeys((by.cut.name for by in self.segments), self.token)
        key = self.key
        new = Watermark(0, key.hash, key.store, key.body, key.width, found.mark, 0, start, start, at, cuts)
        with self.database.begin() as connection:
            if watermarks.load(connection, key.hash) is None:
                watermarks.begin(connection, new)
            made = watermarks.load(connection, key.hash)
        if made is None:
            raise OutrunError
        return made

    def _set_back(self, mark: Watermark, at: datetime) -> Watermark:
        """Takes away what was counted of the time after `at`, for a clock that was set back."""
        beyond = buckets.starts(buckets.ceiling(at, self.key.width), mark.counted_to, self.key.width)
        start = buckets.floor(at, self.key.width)
        cut = self._count([start], at, at) if start < at else []
        return self._replace(replace(mark, counted_to=at), [*cut, *map(dropped, beyond)])

    def _with_changes(self, mark: Watermark, at: datetime) -> Watermark:
        """Asks the store what has changed. What is little is counted at once; of more it is noted that it has to be."""
        if at <= mark.since:
            return mark
        found = self.store.changes(self.key.query((mark.since, at)), mark.mark, at)
        first = max(mark.since, self.oldest(at))
        changed = buckets.touched(found.stretches, first, mark.counted_to, self.key.width)
        moved = replace(mark, mark=found.mark)
        waiting = sorted({*changed, *self._waiting(mark, at)})
        if not waiting and moved == mark:
            return mark
        counted = self._count_little(mark, waiting, at)
        if counted is not None:
            return self._replace(replace(moved, counted_to=at, counted_at=at), counted)
        with self.database.begin() as connection:
            if not watermarks.move(connection, moved):
                raise OutrunError
            watermarks.mark_changed(connection, mark.id, sorted(changed))
        return replace(moved, revision=moved.revision + 1)

    def _count_little(self, mark: Watermark, waiting: Sequence[datetime], at: datetime) -> list[Recounted] | None:
        """All that waits, a day by one query; None when that is more than one transaction may replace."""
        with self.database.connect() as connection:
            fullest = watermarks.fullest(connection, mark.id, mark.counted_to - DAY)
        left = AT_ONCE if len(waiting) * fullest <= AT_ONCE else 0
        counted: list[Recounted] = []
        for run in buckets.runs(waiting, self.key.width):
            for piece in buckets.portions(run, DAY // self.key.width):
                if left <= 0:
                    return None
                found = self._count(piece, at, at)
                left -= sum(len(one.amounts) for one in found)
                counted += found
        return counted

    def _waiting(self, mark: Watermark, at: datetime) -> list[datetime]:
        """The buckets that have to be counted: those that were found changed, the one in part, and all up to `at`."""
        with self.database.connect() as connection:
            changed = watermarks.changed_buckets(connection, mark.id)
        oldest = self.oldest(at)
        forward = buckets.starts(mark.counted_to, at, self.key.width) if mark.counted_to < at else []
        return sorted({start for start in changed if start >= oldest}.union(forward))

    def _recount(self, piece: Sequence[datetime], at: datetime) -> list[Recounted]:
        """The buckets as they were counted and written; none when the service has counted later than this."""
        mark = self.watermark()
        if mark is None or mark.since > piece[0]:
            raise StoreUnavailable(f"view {self.key.view}: its tallies were taken away meanwhile; try again")
        counted = self._count(piece, mark.counted_to, at)
        try:
            self._replace(mark, counted)
        except OutrunError:
            return []
        return counted

    def _count(self, run: Sequence[datetime], until: datetime, at: datetime) -> list[Recounted]:
        return count_piece(self.store, self.key, run, until, at)

    def _replace(self, mark: Watermark, counted: Sequence[Recounted]) -> Watermark:
        return replace_buckets(self.database, self.key.aggregation, mark, counted, self.segments)
