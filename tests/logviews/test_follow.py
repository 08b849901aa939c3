"""Picking logs up: whatever becomes of a file, each of its lines is in the store once."""

from __future__ import annotations

import gzip
import os
import shutil
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest
import zstandard
from following import Site, line, lines, numbered, zip_

from ledger.database import Database
from logviews.intake.contents import TAIL_BYTES
from logviews.intake.ingest import Ingest
from logviews.intake.pieces import still_there


@pytest.fixture(params=[True, False], ids=["with ids", "without ids"])
def site(request: pytest.FixtureRequest, tmp_path: Path, ledger: Database) -> Site:
    found = Site(tmp_path, ledger, ids=request.param)
    found.logs.mkdir()
    return found


def test_no_folder_and_no_match_are_no_problem(site: Site) -> None:
    site.logs.rmdir()
    site.pattern = "nowhere/*/deep*.jsonl"
    report = site.look()
    assert (report.taken, report.problems) == ((), ())


def test_a_file_that_appears_and_grows_is_taken_in_line_by_line(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1, 2))
    assert [(taken.path, taken.new) for taken in site.look().taken] == [(str(log), 2)]
    assert site.look().taken == ()
    with log.open("a") as stream:
        stream.write(lines(3) + line(4)[:20])
    assert [taken.new for taken in site.look().taken] == [1]
    with log.open("a") as stream:
        stream.write(line(4)[20:])
    assert [taken.new for taken in site.look().taken] == [1]
    assert site.inside() == numbered(1, 2, 3, 4)


def test_a_last_line_without_its_end_is_taken_when_the_file_has_been_quiet(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1, 2).rstrip("\n"))
    assert [taken.new for taken in site.look().taken] == [1]
    site.look(timedelta(seconds=59))
    assert site.inside() == numbered(1)
    site.look(timedelta(seconds=1))
    assert site.inside() == numbered(1, 2)
    with log.open("a") as stream:
        stream.write("\n" + lines(3))
    site.look()
    assert site.inside() == numbered(1, 2, 3)


def test_a_log_that_is_rotated_and_compressed_counts_once(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1, 2))
    site.look()
    with log.open("a") as stream:
        stream.write(lines(3))
    rotated = log.rename(site.logs / "app.jsonl.1")
    log.write_text(lines(4))
    site.look()
    assert site.inside() == numbered(1, 2, 3, 4)
    with rotated.open("a") as stream:  # a writer that has not opened the new one yet
        stream.write(lines(5))
    zip_(rotated)
    site.look_to_the_end()
    assert site.inside() == numbered(1, 2, 3, 4, 5)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.compress])
def test_a_compressed_file_that_is_being_written_is_read_when_it_is_whole(site: Site, compress: object) -> None:
    whole = compress(lines(*range(100)).encode())  # type: ignore[operator] # both take bytes
    log = site.logs / "app.jsonl.9"
    for part in (whole[:10], whole[:60], whole):
        log.write_bytes(part)
        for _ in range(2):
            assert site.look().problems == ()
    assert site.inside() == numbered(*range(100))


def test_a_compressed_file_that_stays_cut_off_is_told_once(site: Site) -> None:
    log = site.logs / "app.jsonl.gz"
    log.write_bytes(gzip.compress(lines(1, 2, 3).encode())[:-9])
    assert [site.look().problems for _ in range(4)] == [()] * 4
    (problem,) = site.look(timedelta(seconds=60)).problems
    assert problem.sentence == f"{log}: the compressed file ends too early; it was cut off"
    assert not problem.told_before
    assert [one.told_before for one in site.look().problems] == [True]
    log.write_bytes(gzip.compress(lines(1, 2, 3).encode()))
    reports = site.look_to_the_end()
    assert reports[-1].problems == ()
    assert site.inside() == numbered(1, 2, 3)


def test_while_it_is_compressed_both_files_are_there_and_one_counts(site: Site) -> None:
    log = site.logs / "app.jsonl.1"
    log.write_text(lines(*range(50)))
    site.look()
    packed = site.logs / "app.jsonl.1.gz"
    whole = gzip.compress(log.read_bytes())
    packed.write_bytes(whole[:100])
    site.look(), site.look()
    packed.write_bytes(whole)
    site.look(), site.look(), site.look()
    assert site.inside() == numbered(*range(50))
    log.unlink()
    site.look_to_the_end()
    assert site.inside() == numbered(*range(50))


def test_a_log_that_is_copied_and_truncated_counts_once(site: Site) -> None:
    log, copy = site.logs / "app.jsonl", site.logs / "app.jsonl.1"
    log.write_text(lines(1, 2, 3))
    site.look()
    with log.open("a") as stream:
        stream.write(lines(4, 5))
    copy.write_bytes(log.read_bytes()[:150])
    site.look()
    assert site.inside() == numbered(1, 2, 3, 4, 5)
    with log.open("a") as stream:
        stream.write(lines(6))
    shutil.copy(log, copy)
    os.truncate(log, 0)
    with log.open("a") as stream:
        stream.write(lines(7))
    site.look(), site.look()
    assert site.inside() == numbered(1, 2, 3, 4, 5, 6, 7)


def test_lines_that_a_copy_missed_but_a_look_saw_count_once(site: Site) -> None:
    log, copy = site.logs / "app.jsonl", site.logs / "app.jsonl.1"
    log.write_text(lines(1, 2))
    site.look()
    with log.open("a") as stream:
        stream.write(lines(3, 4))
    shutil.copy(log, copy)
    with log.open("a") as stream:
        stream.write(lines(5))
    site.look()
    log.write_text(lines(6))  # truncated, in place
    site.look(), site.look()
    zip_(copy)
    site.look_to_the_end()
    assert site.inside() == numbered(1, 2, 3, 4, 5, 6)


def test_a_file_that_was_emptied_and_grew_longer_than_before_is_another_one(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1))
    site.look()
    log.write_text(lines(2, 3, 4))
    site.look()
    log.write_text(lines(5))
    site.look()
    assert site.inside() == numbered(1, 2, 3, 4, 5)


@pytest.mark.parametrize("left", [1, 2])
def test_a_short_file_that_is_cut_off_is_known_again(site: Site, left: int) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1, 2, 3))
    site.look()
    for number in (2, left):
        os.truncate(log, len(lines(*range(1, number + 1))))
        site.look()
    with log.open("a") as stream:
        stream.write(lines(4))
    site.look()
    assert site.inside() == numbered(1, 2, 3, 4)


def test_the_first_lines_of_a_copy_that_is_being_made_are_known(site: Site) -> None:
    log, copy = site.logs / "app.jsonl", site.logs / "app.jsonl.1"
    log.write_text(lines(*range(40)))
    site.look()
    copy.write_text(lines(0, 1))
    site.look()
    shutil.copy(log, copy)
    log.write_text(lines(40))
    site.look()
    assert site.inside() == numbered(*range(41))


def test_a_copy_that_is_being_made_of_an_unread_log_is_not_taken_for_it(site: Site) -> None:
    log, copy = site.logs / "app.jsonl", site.logs / "app.jsonl.1"
    log.write_text(lines(1, 2, 3, 4))
    copy.write_text(lines(1, 2))
    site.look()
    shutil.copy(log, copy)
    log.write_text(lines(5))
    site.look()
    assert site.inside() == numbered(1, 2, 3, 4, 5)


def test_nor_is_one_that_is_being_made_in_the_file_of_a_copy_that_was_read(site: Site) -> None:
    log, copy = site.logs / "app.jsonl", site.logs / "app.jsonl.1"
    copy.write_text(lines(1))
    log.touch()
    site.look()
    log.write_text(lines(2, 3, 4))
    copy.write_text(lines(2, 3)[:-5])  # the same inode, as a new file often has that of one which was deleted
    site.look()
    copy.write_text(log.read_text())
    os.truncate(log, 0)
    site.look_to_the_end()
    assert site.inside() == numbered(1, 2, 3, 4)


def test_a_file_that_is_cut_off_goes_on_after_what_is_left(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1, 2, 3))
    site.look()
    with log.open("a") as stream:
        stream.write(lines(4, 5, 6, 7))
    site.look()
    os.truncate(log, len(lines(1, 2, 3, 4, 5)))
    site.look()
    with log.open("a") as stream:
        stream.write(lines(8, 9))
    site.look()
    zip_(log)
    site.look_to_the_end()
    assert site.inside() == numbered(*range(1, 10))


def test_a_file_that_is_replaced_is_read_from_its_beginning(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1, 2, 3))
    site.look()
    log.unlink()
    log.write_text(lines(4, 5, 6, 7))
    site.look()
    other = site.folder / "other"
    other.write_text(lines(8, 9, 10, 11, 12))
    other.replace(log)
    site.look()
    assert site.inside() == numbered(*range(1, 13))


def test_two_logs_that_begin_alike_are_two_when_they_differ(site: Site) -> None:
    one, other = site.logs / "a.jsonl", site.logs / "b.jsonl"
    same = '{"t":"2026-10-05T00:00:00Z","c":"a","n":"0"}\n'
    one.write_text(same)
    other.write_text(same)
    site.look()
    for number, log in enumerate((one, other), 1):
        with log.open("a") as stream:
            stream.write(lines(number))
    site.look()
    zeros = 1 if site.ids else 2
    assert site.inside() == Counter({"0": zeros, "1": 1, "2": 1})
    site.look_to_the_end()
    assert site.inside() == Counter({"0": zeros, "1": 1, "2": 1})


def test_a_bad_line_stops_its_file_alone_and_is_told_once(site: Site) -> None:
    bad, good = site.logs / "bad.jsonl", site.logs / "good.jsonl"
    bad.write_text(lines(1))
    site.look()
    with bad.open("a") as stream:
        stream.write(lines(2) + "nonsense\n" + lines(3))
    good.write_text(lines(4))
    report = site.look()
    assert [(one.sentence, one.told_before) for one in report.problems] == [
        (f"{bad}:3:1: not JSON: Expecting value", False)
    ]
    assert site.inside() == numbered(1, 4)
    assert [one.told_before for one in site.look().problems] == [True]
    with bad.open("a") as stream:
        stream.write(lines(5))
    assert [one.told_before for one in site.look(timedelta(minutes=2)).problems] == [True]
    bad.write_text(lines(1, 2, 3, 5))
    assert site.look(timedelta(minutes=2)).problems == ()
    assert site.inside() == numbered(1, 2, 3, 4, 5)


def test_a_bad_line_is_passed_over_by_hand(site: Site) -> None:
    bad = site.logs / "bad.jsonl"
    bad.write_text(lines(1) + "nonsense\n" + lines(2))
    site.look()
    ingest = Ingest("s", site.store, (), site.database)
    assert ingest.take(bad, site.at, skip_bad=site.folder / "refused").new == 2
    with bad.open("a") as stream:
        stream.write(lines(3))
    assert site.look(timedelta(minutes=2)).problems == ()
    assert site.inside() == numbered(1, 2, 3)


def test_what_was_taken_in_by_hand_is_not_picked_up_and_the_other_way_round(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1, 2))
    ingest = Ingest("s", site.store, (), site.database)
    assert ingest.take(log, site.at).new == 2
    with log.open("a") as stream:
        stream.write(lines(3))
    site.look()
    assert site.inside() == numbered(1, 2, 3)
    with log.open("a") as stream:
        stream.write(lines(4))
    assert ingest.take(log, site.at).new == 1
    with log.open("a") as stream:
        stream.write(lines(5))
    site.look()
    assert site.inside() == numbered(1, 2, 3, 4, 5)


def test_a_large_file_is_taken_in_piece_by_piece(site: Site) -> None:
    site.piece_bytes = 500
    (site.logs / "app.jsonl").write_text(lines(*range(100)))
    (site.logs / "old.jsonl.gz").write_bytes(gzip.compress(lines(*range(100, 200)).encode()))
    reports = site.look_to_the_end()
    assert max(taken.new for report in reports for taken in report.taken) < 50
    assert site.inside() == numbered(*range(200))


def test_the_rows_of_csv_are_taken_in_as_they_are_written(site: Site) -> None:
    site.pattern = "*.csv*"
    log = site.logs / "app.csv"
    row = "2026-10-05T00:00:00Z,a,{}\n".format
    log.write_text("t,c,n\n")
    site.look()
    log.write_text("t,c,n\n" + row(1) + row('"2').rstrip("\n"))
    site.look()
    assert site.inside() == numbered(1)
    with log.open("a") as stream:
        stream.write('\nx"\n' + row(3) + row(4)[:-1])
    site.look()
    assert site.inside() == Counter({"1": 1, "2\nx": 1, "3": 1})
    with log.open("a") as stream:
        stream.write("4\n" + "2026-10-05T00:00:00Z,a\n")
    (problem,) = site.look().problems
    assert problem.sentence == f"{log}:7: 2 cells, but the header has 3"
    log.write_text(log.read_text().replace("a\n", "a,5\n"))
    site.look(timedelta(minutes=2))
    zip_(log)
    site.look_to_the_end()
    assert site.inside() == Counter({"1": 1, "2\nx": 1, "3": 1, "44": 1, "5": 1})


def test_a_look_at_what_has_not_changed_writes_nothing(site: Site) -> None:
    (site.logs / "app.jsonl").write_text(lines(1))
    site.look_to_the_end()
    shutil.rmtree(site.folder / "store" / "staging")
    site.look()
    assert not (site.folder / "store" / "staging").exists()


def test_a_log_that_is_written_anew_while_it_is_read_is_never_mixed_up(site: Site) -> None:
    log = site.logs / "app.jsonl"
    contents = [lines(*range(start, start + 40_000)).encode() for start in range(0, 800_000, 40_000)]
    written: list[int] = []

    def write() -> None:
        for start in range(0, 800_000, 40_000):
            written.append(start)
            log.write_bytes(contents[len(written) - 1])  # emptied first, then written
            time.sleep(0.02)

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        site.look(timedelta(seconds=1))
    writer.join()
    site.look_to_the_end()
    inside = site.inside()
    assert not [problem for report in site.said for problem in report.problems]
    assert max(inside.values()) == 1
    assert numbered(*range(written[-1], written[-1] + 40_000)) <= inside
    assert len(written) > 3


def test_a_piece_of_a_log_that_was_written_anew_meanwhile_is_noticed(tmp_path: Path) -> None:
    log, raw = tmp_path / "log", tmp_path / "piece"
    content = bytes(range(256)) * 2000
    start, end = 100_000, 400_000
    before = content[start - TAIL_BYTES : start]
    raw.write_bytes(content[start:end])
    for place in (None, start - 1, start, end - 1):
        log.write_bytes(content if place is None else content[:place] + b"?" + content[place + 1 :])
        with log.open("rb") as stream:
            assert still_there(stream, start, before, raw) == (place is None)
    log.write_bytes(content[: end - 1])
    with log.open("rb") as stream:
        assert not still_there(stream, start, before, raw)


def test_two_names_of_one_file_are_one_file(site: Site) -> None:
    log = site.logs / "app.jsonl"
    log.write_text(lines(1))
    (site.logs / "link.jsonl").symlink_to(log)
    os.link(log, site.logs / "hard.jsonl")
    site.look_to_the_end()
    assert site.inside() == numbered(1)
