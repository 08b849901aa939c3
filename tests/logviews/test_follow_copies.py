"""Picking logs up where files are copies, beginnings or remains of one another: each line is in the store once."""

from __future__ import annotations

import gzip
import os
import shutil
from datetime import timedelta
from pathlib import Path

import pytest
from following import Site, line, lines, numbered

from ledger.database import Database
from ledger.following import Stretch
from logviews.intake.ingest import Ingest
from logviews.intake.looking import Look

HEADER = "t,c,n\n"


@pytest.fixture
def site(tmp_path: Path, ledger: Database) -> Site:
    found = Site(tmp_path, ledger, ids=False, pattern="*")
    found.logs.mkdir()
    return found


def rows(*numbers: int) -> str:
    return "".join(f"2026-10-05T00:00:00Z,a,{number}\n" for number in numbers)


def append(path: Path, text: str) -> None:
    with path.open("a") as stream:
        stream.write(text)


def test_an_archive_that_is_unpacked_before_it_was_read_is_read_once(site: Site) -> None:
    packed, plain = site.logs / "app.jsonl.1.gz", site.logs / "app.jsonl.1"
    packed.write_bytes(gzip.compress(lines(*range(6)).encode()))
    for numbers in (2, 4):
        plain.write_text(lines(*range(numbers)))
        site.look()
    plain.write_text(lines(*range(6)))
    packed.unlink()
    site.look_to_the_end()
    assert site.inside() == numbered(*range(6))


def test_a_log_that_was_taken_for_the_copy_of_its_copy_goes_on(site: Site) -> None:
    log, copy = site.logs / "app.jsonl", site.logs / "app-1.jsonl"  # the copy comes first by its name
    log.write_text(lines(1, 2))
    shutil.copy(log, copy)
    site.look()
    append(log, lines(3))
    site.look()
    os.truncate(log, 0)
    site.look_to_the_end()
    assert site.inside() == numbered(1, 2, 3)


def test_two_logs_that_have_their_beginning_alone_in_common_both_count(site: Site) -> None:
    one, other = site.logs / "one.jsonl", site.logs / "other.jsonl"
    for path in (one, other):
        path.write_text(lines(1))
    site.look()
    append(one, lines(2))
    site.look()
    append(other, lines(3))
    site.look_to_the_end()
    assert site.inside() == numbered(1, 1, 2, 3)


def test_a_copy_in_the_place_of_a_file_with_nothing_but_a_header_is_not_taken_for_the_log(site: Site) -> None:
    log, copy = site.logs / "app.csv", site.logs / "app.csv.1"
    copy.write_text(HEADER)
    site.look()
    log.write_text(HEADER + rows(1, 2, 3, 4))
    copy.write_text(HEADER + rows(1, 2))
    site.look()
    shutil.copy(log, copy)
    os.truncate(log, 0)
    site.look_to_the_end()
    assert site.inside() == numbered(1, 2, 3, 4)


def test_an_archive_in_the_inode_of_a_log_does_not_hold_what_the_log_held(site: Site) -> None:
    log, away = site.logs / "a.jsonl", site.folder / "away"
    log.write_text(lines(1, 2))
    site.look()
    append(log, lines(3))
    (site.logs / "a.jsonl.1.gz").write_bytes(gzip.compress(log.read_bytes()))
    log.rename(away)  # as if it were removed, and its inode another file's
    site.look()
    away.write_bytes(gzip.compress(lines(*range(100, 200)).encode()))
    away.rename(site.logs / "b.jsonl.1.gz")
    site.look()
    site.look_to_the_end()
    assert site.inside() == numbered(1, 2, 3, *range(100, 200))


def test_a_log_that_is_cut_off_is_known_however_little_may_be_read_at_once(site: Site) -> None:
    site.piece_bytes = 3 << 20
    long, other = site.logs / "a.jsonl", site.logs / "b.jsonl"
    written = [line(number, note="x" * 1_000) for number in range(1_300)]
    other.write_text(line(1_300))
    long.write_text("".join(written))
    site.look()
    site.look()
    append(other, "".join(line(number, note="x" * 1_000) for number in range(1_301, 2_301)))
    os.truncate(long, sum(map(len, written[:1_250])))
    site.look()
    site.look_to_the_end()
    assert site.inside() == numbered(*range(2_301))


def test_a_log_that_is_cut_off_inside_a_line_is_known(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1, 2))
    site.look()
    append(log, lines(3))
    site.look()
    os.truncate(log, len(lines(1, 2)) + 5)
    site.look()
    assert site.inside() == numbered(1, 2, 3)


@pytest.mark.parametrize("half", [0, 9])
@pytest.mark.parametrize("steps", [[2], [1, 2], [2, 3]])
@pytest.mark.parametrize("header", ["", HEADER])
def test_a_log_that_is_restored_slowly_is_known(site: Site, half: int, steps: list[int], header: str) -> None:
    log, made = site.logs / ("app.csv" if header else "app.jsonl"), rows if header else lines
    log.write_text(header + made(1, 2, 3, 4))
    site.look()
    log.rename(site.folder / "away")
    site.look()
    for number in steps:
        log.write_text(header + made(*range(1, number + 1)) + made(number + 1)[:half])
        site.look()
    log.write_text(header + made(1, 2, 3, 4))
    site.look()
    append(log, made(5))
    site.look_to_the_end()
    assert site.inside() == numbered(1, 2, 3, 4, 5)


def test_a_header_that_other_files_had_alone_hides_nothing_of_a_log_that_is_cut_off(site: Site) -> None:
    log, other, gone = site.logs / "a.csv", site.logs / "c.csv", site.logs / "b.csv"
    gone.write_text(HEADER)
    site.look()
    gone.unlink()
    log.write_text(HEADER + rows(0))
    other.write_text(HEADER)
    site.look()
    log.write_text(HEADER + rows(1, 2, 3))
    site.look()
    other.unlink()
    os.truncate(log, len(HEADER + rows(1)))
    site.look()
    assert site.inside() == numbered(0, 1, 2, 3)


def test_nor_of_one_that_is_edited(site: Site) -> None:
    log, other = site.logs / "a.csv", site.logs / "b.csv"
    log.write_text(HEADER + rows(1))
    site.look()
    append(log, rows(2))
    site.look()
    other.write_text(HEADER + rows(9))
    site.look()
    os.truncate(other, len(HEADER))
    site.look()
    other.unlink()
    log.write_text(HEADER + rows(1, 3))
    site.look()
    assert site.inside() == numbered(1, 2, 3, 9)


def test_a_log_that_is_written_anew_between_two_looks_into_it_loses_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    log, with_sources = site.logs / "app.jsonl", Look._with_sources
    log.write_text(lines(1))
    site.look()
    append(log, lines(2))

    def meanwhile(self: Look, *arguments: object) -> tuple[object, tuple[Stretch, ...], int]:
        found = with_sources(self, *arguments)  # type: ignore[arg-type]  # as they were given
        log.write_text(lines(3, 4, 5))
        return found

    monkeypatch.setattr(Look, "_with_sources", meanwhile)
    site.look()
    monkeypatch.undo()
    site.look_to_the_end()
    assert site.inside() == numbered(1, 3, 4, 5)


def test_a_copy_of_a_log_that_cannot_be_read_is_not_forgotten_when_the_log_begins_anew(site: Site) -> None:
    log, copy = site.logs / "app.csv", site.logs / "app.csv.1"
    log.write_text(HEADER)
    site.look()
    append(log, rows(1) + "2026-10-05T00:00:00Z,a\n" + rows(2))
    assert site.look().problems
    shutil.copy(log, copy)
    site.look()
    log.write_text(HEADER + rows(3))
    site.look_to_the_end()
    assert site.inside() == numbered(3)
    assert [problem.path for problem in site.look(timedelta(minutes=2)).problems] == [str(copy)]


def test_a_log_with_a_copy_beside_it_is_taken_in_by_hand_where_pick_up_left_off(site: Site) -> None:
    log, copy = site.logs / "app.jsonl", site.logs / "app-1.jsonl"
    copy.touch()  # seen before the log
    log.write_text(lines(1, 2))
    site.look()
    shutil.copy(log, copy)
    site.look()
    append(log, lines(3))
    Ingest("s", site.store, (), site.database).take(log, site.at)
    site.look_to_the_end()
    assert site.inside() == numbered(1, 2, 3)
