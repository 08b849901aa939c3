"""Pick-up against brute force: whatever is done to logs between two looks, the store has each written line once."""

from __future__ import annotations

import gzip
import os
import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from pathlib import Path

import zstandard
from following import Site, line
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from stores import open_ledger

from logviews.embedded.merge import merge_small

NAMES = st.sampled_from(["a", "b"])


class Logs(RuleBasedStateMachine):
    """Writers that append, rotate, compress, copy, truncate and replace; a process that looks, merges and starts anew.

    As with real logs, a line is lost for whoever is late only when its file is truncated or removed unread, so these
    look first at what they are about to throw away.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.database = open_ledger(self.folder)
        self.number = self.archived = 0
        self.written: Counter[str] = Counter()
        self.partial: dict[str, str] = {}

    @initialize(ids=st.booleans(), csv=st.booleans(), piece_bytes=st.sampled_from([1 << 20, 400]))
    def begin(self, ids: bool, csv: bool, piece_bytes: int) -> None:
        self.csv = csv
        pattern = "*.csv*" if csv else "*.jsonl*"
        self.site = Site(self.folder, self.database, ids=ids, pattern=pattern, piece_bytes=piece_bytes)
        self.site.logs.mkdir()

    def path(self, name: str, age: str = "") -> Path:
        return self.site.logs / f"{name}.{'csv' if self.csv else 'jsonl'}{age}"

    def new_line(self) -> str:
        self.number += 1
        self.written[str(self.number)] += 1
        if self.csv:
            note = '"two\nlines"' if self.number % 3 == 0 else "x"
            return f"2026-10-05T00:00:00Z,a,{self.number},{note}\n"
        return line(self.number, note="x" * (self.number % 40))

    def write(self, path: Path, text: str, mode: str = "a") -> None:
        with path.open(mode) as stream:
            if self.csv and not stream.tell():
                stream.write("t,c,n,note\n")
            stream.write(text)

    def flush(self, name: str) -> None:
        """Ends a line that was begun: nobody rotates in the middle of one."""
        rest = self.partial.pop(name, "")
        if rest:
            self.write(self.path(name), rest)

    @rule(name=NAMES, count=st.integers(1, 6))
    def append(self, name: str, count: int) -> None:
        self.flush(name)
        self.write(self.path(name), "".join(self.new_line() for _ in range(count)))

    @rule(name=NAMES, cut=st.integers(1, 30))
    def append_half_a_line(self, name: str, cut: int) -> None:
        self.flush(name)
        text = self.new_line()
        self.write(self.path(name), text[:cut])
        self.partial[name] = text[cut:]

    @rule(name=NAMES)
    def rotate(self, name: str) -> None:
        if self.path(name).exists():
            self.flush(name)
            self.shift(name)
            self.path(name).rename(self.path(name, ".1"))

    @rule(name=NAMES)
    def copy_and_truncate(self, name: str) -> None:
        if self.path(name).exists():
            self.flush(name)
            self.shift(name)
            shutil.copy(self.path(name), self.path(name, ".1"))
            os.truncate(self.path(name), 0)

    def shift(self, name: str) -> None:
        """Makes room: what was rotated once is compressed, what was compressed is renamed."""
        first, second = self.path(name, ".1"), self.path(name, ".2.gz")
        if first.exists():
            if second.exists():
                self.archived += 1
                second.rename(self.path(name, f".{self.archived}.old.gz"))
            second.write_bytes(gzip.compress(first.read_bytes()))
            first.unlink()

    @rule(name=NAMES, share=st.floats(0.1, 1.0), look=st.booleans())
    def compress_slowly(self, name: str, share: float, look: bool) -> None:
        first, packed = self.path(name, ".1"), self.path(name, f".{self.number}.zst")
        if first.exists() and not packed.exists():
            whole = zstandard.compress(first.read_bytes())
            packed.write_bytes(whole[: int(len(whole) * share)])
            if look:
                self.site.look(), self.site.look()
            packed.write_bytes(whole)
            first.unlink()

    @rule(name=NAMES, bytes_=st.integers(0, 400), look=st.booleans())
    def copy_slowly_and_truncate(self, name: str, bytes_: int, look: bool) -> None:
        if self.path(name).exists():
            self.flush(name)
            self.shift(name)
            copy = self.path(name, ".1")
            copy.write_bytes(self.path(name).read_bytes()[:bytes_])
            if look:
                self.site.look()
            copy.write_bytes(self.path(name).read_bytes())
            os.truncate(self.path(name), 0)

    @rule(name=NAMES, same_inode=st.booleans(), count=st.integers(1, 12))
    def replace(self, name: str, same_inode: bool, count: int) -> None:
        """Throws a log away that was read, and writes another one in its place."""
        if self.path(name).exists():
            self.flush(name)
            self.look_all()
            if not same_inode:
                self.path(name).unlink()
            self.write(self.path(name), "".join(self.new_line() for _ in range(count)), "w")

    @rule(name=NAMES, share=st.floats(0, 1))
    def cut_off(self, name: str, share: float) -> None:
        """Cuts a log that was read at the end of a line, and a look sees that."""
        if self.path(name).exists():
            self.look_all()
            content = self.path(name).read_bytes()
            ends = [place + 1 for place in range(len(content)) if content[place : place + 1] == b"\n"]
            rows = [end for end in ends if content[:end].count(b'"') % 2 == 0] if self.csv else ends
            if rows:
                os.truncate(self.path(name), rows[int(share * (len(rows) - 1))])
                self.site.look(timedelta(seconds=1))

    @rule(name=NAMES)
    def delete_the_oldest(self, name: str) -> None:
        self.look_all()
        for path in self.site.logs.glob(f"{name}*.old.gz"):
            path.unlink()

    @rule()
    def look(self) -> None:
        self.site.look(timedelta(seconds=1))  # so that a line that was begun is not taken for a last one

    @rule()
    def look_later(self) -> None:
        if not self.partial:
            self.site.look(timedelta(minutes=2))

    @rule()
    def merge(self) -> None:
        merge_small("s", self.site.store, self.database, self.site.at)

    @rule()
    def start_anew(self) -> None:
        self.database.close()
        self.database = self.site.database = open_ledger(self.folder)

    def look_all(self) -> None:
        for name in list(self.partial):
            self.flush(name)
        self.site.look_to_the_end()

    @invariant()
    @precondition(lambda self: hasattr(self, "site"))
    def nothing_is_counted_twice(self) -> None:
        found = self.site.inside()
        assert not found - self.written, found - self.written

    def teardown(self) -> None:
        try:
            if hasattr(self, "site"):
                self.look_all()
                assert self.site.inside() == self.written
                assert not [problem for report in self.site.said for problem in report.problems]
        finally:
            self.database.close()
            shutil.rmtree(self.folder)


TestLogs = Logs.TestCase
TestLogs.settings = settings(
    max_examples=12, stateful_step_count=15, deadline=None, phases=[Phase.explicit, Phase.reuse, Phase.generate]
)
