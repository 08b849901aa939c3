"""The folder of logs: two feeds that are appended to, rotated and compressed while the month goes by."""

from __future__ import annotations

import gzip
import json
import os
import shutil
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from month_people import Written
from month_plan import Plan
from month_schedule import Step

KEPT = 7


class Logs:
    """`api` is rotated by renaming (`.1`, then compressed as `.2.gz` and on), `sync` by copying and truncating.

    Files have the times of the month, not those at which they are really written.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        folder.mkdir()
        self._plan, self._rest, self._half_compressed = plan, b"", b""
        for feed, lines in plan.backlog.items():
            old = folder / f"{feed}-backlog.jsonl.gz"
            old.write_bytes(gzip.compress(_text(lines)))
            active = self._active(feed)
            active.touch()
            _dated(plan.start, old, active)

    def step(self, step: Step) -> None:
        """What happens to the files at a step, before anybody looks."""
        api, sync = self._active("api"), self._active("sync")
        self._append(api, self._rest)
        self._rest = b""
        self._finish_compressing(step.at)
        if step.rotate:
            self._rename(step.at)
            self._copy_and_truncate(step.at)
        lines = _text(step.lines["api"])
        if step.partial and lines:
            cut = lines.rstrip(b"\n").rfind(b"\n") + 20
            lines, self._rest = lines[:cut], lines[cut:]
        self._append(api, lines)
        self._append(sync, _text(step.lines["sync"]))
        _dated(step.at, api, sync)
        self._extra(step)

    def _active(self, feed: str) -> Path:
        return self.folder / f"{feed}.jsonl"

    def _append(self, path: Path, content: bytes) -> None:
        with path.open("ab") as file:
            file.write(content)

    def _rename(self, at: datetime) -> None:
        """Each file moves up by one. The one that is compressed now is complete at the next step only, as gzip takes
        its time, and until then it lies there uncompressed, too."""
        for number in range(KEPT, 1, -1):
            old = self.folder / f"api.jsonl.{number}.gz"
            if old.exists():
                old.rename(old.with_name(f"api.jsonl.{number + 1}.gz"))
        (self.folder / f"api.jsonl.{KEPT + 1}.gz").unlink(missing_ok=True)
        last = self.folder / "api.jsonl.1"
        if last.exists():
            waiting = last.rename(last.with_name("api.jsonl.2"))
            whole = gzip.compress(waiting.read_bytes())
            compressed = last.with_name("api.jsonl.2.gz")
            compressed.write_bytes(whole[: len(whole) // 2])
            self._half_compressed = whole[len(whole) // 2 :]
            _dated(at, compressed)
        active = self._active("api").rename(last)
        active.with_name("api.jsonl").touch()

    def _finish_compressing(self, at: datetime) -> None:
        if self._half_compressed:
            compressed = self.folder / "api.jsonl.2.gz"
            self._append(compressed, self._half_compressed)
            self._half_compressed = b""
            (self.folder / "api.jsonl.2").unlink()
            _dated(at, compressed)

    def _copy_and_truncate(self, at: datetime) -> None:
        active = self._active("sync")
        copy = self.folder / f"sync.jsonl-{at:%Y%m%d}"
        shutil.copyfile(active, copy)
        os.truncate(active, 0)
        _dated(at, copy)

    def _extra(self, step: Step) -> None:
        if not step.extra:
            return
        path, content = self.folder / "api-extra.jsonl", _text(self._plan.extra)
        if step.extra == "bad":
            middle = content.index(b"\n", len(content) // 2) + 1
            content = content[:middle] + b'{"@timestamp": "yesterday"\n' + content[middle:]
        new = path.with_suffix(".new")
        new.write_bytes(content)
        new.replace(path)
        _dated(step.at, path)


def _dated(at: datetime, *paths: Path) -> None:
    for path in paths:
        os.utime(path, (at.timestamp(), at.timestamp()))


def _text(lines: Sequence[Written]) -> bytes:
    return b"".join(_line(line) for line in lines)


def _line(line: Written) -> bytes:
    message = line.message
    record = {
        "@timestamp": message.time.isoformat(timespec="milliseconds"),
        "event": {"id": message.id},
        "http": {"response": {"status_code": message.status}},
    }
    if message.customer is not None:
        record["customer"] = {"id": message.customer}
    return json.dumps(record, ensure_ascii=False).encode() + b"\n"
