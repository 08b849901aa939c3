"""Without ids every line counts, and a file is continued after what was read of it, whatever it is called by then."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from stores import AT, settings

from ledger.database import Database
from logviews.intake.files import IngestError
from logviews.intake.ingest import Ingest, IngestReport

LINE = '{"time":"2026-10-05T00:00:00Z","customer":"a"}\n'
Take = Callable[..., IngestReport]


@pytest.fixture
def take(ledger: Database, tmp_path: Path) -> Take:
    taking = Ingest("web", settings(tmp_path / "web", fields={"time": "time", "customer": "customer"}), (), ledger)
    clock = [AT]

    def one(path: Path, name: str | None = None) -> IngestReport:
        clock[0] += timedelta(seconds=1)
        return taking.take(path, clock[0], name=name)

    return one


def figures(report: IngestReport) -> tuple[int, int]:
    return report.new, report.resumed


def numbered(*numbers: int) -> str:
    return "".join(LINE.replace('"a"', f'"{number}"') for number in numbers)


def test_every_line_counts_also_equal_ones(take: Take, tmp_path: Path) -> None:
    (tmp_path / "log").write_text(LINE * 5)
    report = take(tmp_path / "log")
    assert (report.new, report.duplicates) == (5, 0)


def test_a_file_that_grew_is_continued_and_one_that_did_not_has_nothing_new(take: Take, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(numbered(1, 2))
    assert figures(take(path)) == (2, 0)
    assert figures(take(path)) == (0, 2)
    path.write_text(numbered(1, 2, 3, 4, 5))
    assert figures(take(path)) == (3, 2)
    path.write_text(numbered(1, 2, 3, 4, 5) + "\n" + "nonsense\n")
    with pytest.raises(IngestError, match="log:7:1: not JSON"):
        take(path)
    path.write_text(numbered(1, 2, 3, 4, 5, 6))
    assert figures(take(path)) == (1, 5)


def test_a_last_line_without_its_end_is_not_read_twice(take: Take, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(numbered(1, 2).rstrip("\n"))
    assert take(path).new == 2
    path.write_text(numbered(1, 2, 3))
    assert take(path).new == 1


def test_a_rotated_file_is_known_by_its_content(take: Take, tmp_path: Path) -> None:
    path = tmp_path / "app.log"
    path.write_text(numbered(1, 2))
    assert take(path).new == 2
    rotated = path.rename(tmp_path / "app.log.1")
    with rotated.open("a") as stream:
        stream.write(numbered(3))
    path.write_text(numbered(4))
    assert figures(take(rotated)) == (1, 2)
    assert figures(take(path)) == (1, 0)
    for compress, name in ((gzip.compress, "app.log.2.gz"), (zstandard.compress, "app.log.3.zst")):
        packed = tmp_path / name
        packed.write_bytes(compress(numbered(1, 2, 3).encode()))
        rotated.unlink()
        assert figures(take(packed)) == (0, 3)
        rotated = packed


def test_a_copy_beside_the_original_counts_again(take: Take, tmp_path: Path) -> None:
    path, copy = tmp_path / "log", tmp_path / "copy"
    path.write_text(numbered(1, 2))
    shutil.copy(path, copy)
    assert (take(path).new, take(copy).new) == (2, 2)
    assert (take(path).new, take(copy).new) == (0, 0)


def test_a_file_that_was_emptied_in_place_starts_anew_and_its_copy_is_known(take: Take, tmp_path: Path) -> None:
    path, copy = tmp_path / "log", tmp_path / "log.1"
    path.write_text(numbered(1, 2, 3))
    assert take(path).new == 3
    shutil.copy(path, copy)
    path.write_text(numbered(4))
    assert figures(take(copy)) == (0, 3)
    assert figures(take(path)) == (1, 0)


def test_a_file_with_another_beginning_is_another_file(take: Take, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(numbered(1, 2))
    take(path)
    path.write_text(numbered(7, 2, 3))
    assert figures(take(path)) == (3, 0)
    path.write_text(numbered(7))  # cut off in its middle: its beginning is known no more
    assert figures(take(path)) == (1, 0)


def test_another_path_to_the_same_file_is_the_same_file(take: Take, tmp_path: Path) -> None:
    path = tmp_path / "log"
    path.write_text(numbered(1, 2))
    assert take(path).new == 2
    (tmp_path / "link").symlink_to(path)
    assert take(tmp_path / "link").new == 0
    (tmp_path / "folder").mkdir()
    assert take(tmp_path / "folder" / ".." / "log").new == 0


def test_standard_input_has_no_name_and_counts_each_time(take: Take, tmp_path: Path) -> None:
    (tmp_path / "spool").write_text(numbered(1, 2))
    assert (take(tmp_path / "spool", "-").new, take(tmp_path / "spool", "-").new) == (2, 2)
    assert take(tmp_path / "spool").new == 2


def test_a_copy_of_a_file_that_was_renamed_and_grew_counts_whole(take: Take, tmp_path: Path) -> None:
    first, second, copy = (tmp_path / name for name in ("a", "b", "c"))
    first.write_text(numbered(1, 2))
    assert figures(take(first)) == (2, 0)
    first.rename(second)
    second.write_text(numbered(1, 2, 3, 4))
    assert figures(take(second)) == (2, 2)
    shutil.copy(second, copy)
    assert figures(take(copy)) == (4, 0)
