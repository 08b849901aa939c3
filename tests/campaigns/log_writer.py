"""A program that writes logs and has them rotated, copied, truncated and compressed, a step at a time."""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import zstandard

CSV_HEADER = "t,c,s,n\n"


class Log:
    """One log with its older files; `written` counts the lines by customer."""

    def __init__(self, folder: Path, name: str, dice: random.Random) -> None:
        self.path, self.dice, self.csv = folder / name, dice, name.endswith(".csv")
        self.number = 0
        self.written: Counter[str] = Counter()
        self._rest = ""
        self._steps: list[Callable[[], None]] = []  # of a rotation that is under way

    def step(self) -> None:
        """The next thing that happens to the log."""
        if self._steps:
            self._steps.pop(0)()
        kind = self.dice.random()
        if kind < 0.85 or not self.path.exists():
            self.append(self.dice.randint(1, 40))
        elif not self._steps:
            self.finish_line()
            self._make_room()
            if kind < 0.93:
                self._steps.append(self._rename)
            else:
                self._steps.append(self._copy_and_truncate)

    def settle(self) -> None:
        """Finishes what is under way."""
        while self._steps:
            self._steps.pop(0)()
        self.finish_line()

    def append(self, count: int) -> None:
        """Writes lines, at times half of the last one, of which the rest comes with the next."""
        text = "".join(self._line() for _ in range(count))
        cut = self.dice.randrange(len(text)) if self.dice.random() < 0.3 else len(text)
        self._write(self._rest + text[:cut])
        self._rest = text[cut:]

    def finish_line(self) -> None:
        """Writes the rest of what was begun: nobody rotates in the middle of a line."""
        self._write(self._rest)
        self._rest = ""

    def _write(self, text: str) -> None:
        if text:
            with self.path.open("a", encoding="utf-8") as stream:
                stream.write((CSV_HEADER if self.csv and not stream.tell() else "") + text)

    def _line(self) -> str:
        self.number += 1
        customer = f"c{self.dice.randrange(20)}"
        self.written[customer] += 1
        time, number = f"2025-10-{1 + self.number % 28:02}T10:00:00Z", f"{self.path.name}-{self.number}"
        if self.csv:
            return f"{time},{customer},x,{number}\n"
        return json.dumps({"t": time, "c": customer, "s": "x", "id": number}) + "\n"

    def _older(self) -> Path:
        return self.path.with_name(self.path.name + ".1")

    def _rename(self) -> None:
        self.finish_line()
        self.path.rename(self._older())

    def _copy_and_truncate(self) -> None:
        self.finish_line()
        shutil.copy(self.path, self._older())
        os.truncate(self.path, 0)

    def _make_room(self) -> None:
        """Compresses what was rotated before: in two steps, then the uncompressed file goes."""
        if not self._older().exists():
            return
        suffix, pack = self.dice.choice([(".gz", gzip.compress), (".zst", zstandard.compress)])
        packed = self.path.with_name(f"{self.path.name}.{self.number}{suffix}")
        whole = pack(self._older().read_bytes())
        half = self.dice.randrange(len(whole))
        self._steps += [
            lambda: _append(packed, whole[:half]),
            lambda: _append(packed, whole[half:]),
            self._older().unlink,
        ]


def _append(path: Path, content: bytes) -> None:
    with path.open("ab") as stream:
        stream.write(content)
