from __future__ import annotations

import json
import os
import resource
from datetime import UTC, datetime
from pathlib import Path

import pytest
from exporting import EXPORTS, World

from config.errors import UsageError
from exporters import provisional
from exporters.closing import seal
from exporters.disk import FilesError, write_atomically
from exporters.manifest import occupant
from ledger.clock import now


def test_exporting_again_gives_the_same_bytes(world: World, tmp_path: Path) -> None:
    world.run("close", "2025-10")
    before = world.files()
    for path in world.month().iterdir():
        path.unlink()
    assert world.run("export", "2025-10").status == 0
    assert world.files() == before
    assert world.run("export", "2025-10", "--out", str(tmp_path / "copy")).status == 0
    assert world.files(tmp_path / "copy") == before


def test_one_export_can_be_copied_and_another_added_to_it(world: World, tmp_path: Path) -> None:
    world.run("close", "2025-10")
    copy = tmp_path / "copy"
    world.run("export", "2025-10", "--export", "billing", "--out", str(copy))
    assert sorted(world.files(copy)) == ["billing.csv", "manifest.json"]
    assert [entry["path"] for entry in json.loads((copy / "manifest.json").read_bytes())["files"]] == ["billing.csv"]
    world.run("export", "2025-10", "--export", "statistics", "--out", str(copy))
    assert world.files(copy) == world.files()


def test_out_may_be_the_months_own_folder(world: World) -> None:
    world.run("close", "2025-10")
    before = world.files()
    assert world.run("export", "2025-10", "--export", "billing", "--out", str(world.month())).status == 0
    assert world.files() == before


def test_before_the_close_only_provisional_files_are_written(world: World) -> None:
    result = world.run("export", "2025-10")
    assert result.status == 1
    assert "not closed yet: statistics 2025-10, billing 2025-10" in result.error
    assert "--provisional" in result.error
    assert world.run("export", "2025-10", "--provisional").status == 0
    files = world.files()
    assert sorted(files) == ["provisional/billing.csv", "provisional/manifest.json", "provisional/statistics.csv"]
    manifest = json.loads(files["provisional/manifest.json"])
    assert manifest["provisional"] is True
    assert manifest["counted_to"] == "2025-11-01T04:00:00.000+00:00"
    assert {entry["closed_at"] for entry in manifest["files"]} == {None}
    assert world.rows("SELECT count(*) FROM statement") == [(0,)]
    world.run("close", "2025-10")
    assert world.files()["billing.csv"] == files["provisional/billing.csv"]


def test_an_open_month_is_counted_up_to_now(world: World) -> None:
    today = datetime.now(UTC)
    month = today.strftime("%Y-%m")
    if (today.day, today.hour) < (1, 12):
        pytest.skip("in New York and Stockholm the month has only just begun")
    world.ingest([{"c": "A", "t": today.strftime("%Y-%m-%dT%H:%M:%SZ")}, {"c": "A", "t": "2099-01-01T00:00:00Z"}])
    assert world.run("export", month, "--provisional", "--export", "statistics").status == 0
    files = world.files(world.month(month))
    assert files["provisional/statistics.csv"].splitlines()[1].startswith(b"A,1,")
    counted_to = datetime.fromisoformat(json.loads(files["provisional/manifest.json"])["counted_to"])
    assert today.replace(microsecond=0) <= counted_to <= datetime.now(UTC)


def test_a_month_that_has_not_begun_has_nothing_provisional(world: World) -> None:
    result = world.run("export", f"{datetime.now(UTC).year + 1}-10", "--provisional")
    assert (result.status, "nothing to count" in result.error) == (1, True)


def test_a_closed_month_is_not_provisional_any_more(world: World) -> None:
    world.run("close", "2025-10")
    before = world.files()
    result = world.run("export", "2025-10", "--provisional")
    assert (result.status, "no longer provisional" in result.error) == (1, True)
    assert world.files() == before


def test_closing_removes_what_was_provisional_and_says_so(world: World) -> None:
    world.run("export", "2025-10", "--provisional")
    result = world.run("close", "2025-10")
    assert sorted(world.files()) == ["billing.csv", "manifest.json", "statistics.csv"]
    assert not (world.month() / "provisional").exists()
    for name in ("billing.csv", "statistics.csv", "manifest.json"):
        path = world.month() / "provisional" / name
        assert f"removed, because the month is closed now: {path}" in result.output
    assert "removed" not in world.run("close", "2025-10").output


def test_what_is_still_open_stays_provisional(world: World) -> None:
    world.run("export", "2025-10", "--provisional")
    before = world.files()
    world.run("close", "2025-10", "--export", "billing")
    after = world.files()
    assert sorted(name for name in after if name.startswith("provisional/")) == [
        "provisional/manifest.json", "provisional/statistics.csv",
    ]  # fmt: skip
    assert [entry["path"] for entry in json.loads(after["provisional/manifest.json"])["files"]] == ["statistics.csv"]
    world.run("close", "2025-10", "--export", "statistics")
    assert not (world.month() / "provisional").exists()
    assert before["provisional/statistics.csv"] == world.files()["statistics.csv"]


def test_a_provisional_file_that_somebody_changed_and_files_of_others_are_kept(world: World) -> None:
    world.run("export", "2025-10", "--provisional")
    folder = world.month() / "provisional"
    (folder / "billing.csv").write_text("my notes")
    (folder / "more.txt").write_text("my notes")
    (world.month() / "own.txt").write_text("mine")
    for _ in range(2):  # said each time, as long as it lies there
        result = world.run("close", "2025-10")
        assert f"changed after it was written: {folder / 'billing.csv'}" in result.output
        assert sorted(path.name for path in folder.iterdir()) == ["billing.csv", "manifest.json", "more.txt"]
    (folder / "billing.csv").unlink()
    world.run("close", "2025-10")
    assert [path.name for path in folder.iterdir()] == ["more.txt"]
    assert (world.month() / "own.txt").read_text() == "mine"


@pytest.mark.parametrize("path", ["../own.csv", "{}/own.csv", "billing.csv\\u0000"])
def test_a_provisional_manifest_that_was_changed_removes_nothing_else(world: World, path: str) -> None:
    world.run("export", "2025-10", "--provisional")
    own = world.month() / "own.csv"
    own.write_bytes(b"mine")
    manifest = world.month() / "provisional" / "manifest.json"
    text = manifest.read_text().replace('"path": "billing.csv"', f'"path": "{path.format(world.month())}"')
    manifest.write_text(text)
    assert world.run("close", "2025-10").status == 0
    assert own.read_bytes() == b"mine"
    assert (world.month() / "provisional" / "billing.csv").exists()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"month": "2025-10", "provisional": true, "files": [{}]}'])
def test_a_provisional_manifest_that_cannot_be_understood_is_left_alone(world: World, text: str) -> None:
    world.run("export", "2025-10", "--provisional")
    (world.month() / "provisional" / "manifest.json").write_text(text)
    result = world.run("close", "2025-10")
    assert result.status == 0
    assert len(list((world.month() / "provisional").iterdir())) == 3


def test_provisional_figures_are_not_written_of_what_was_closed_meanwhile(world: World) -> None:
    database, draft = world.database(), world.draft("billing")
    assert seal(database, draft, at=now(), approved="auto", actor="another process")
    with pytest.raises(UsageError, match="billing 2025-10 was closed meanwhile"):
        provisional.write(database, world.month() / "provisional", "2025-10", [draft], now())
    database.close()
    assert world.files() == {}


def test_a_manifest_that_was_changed_is_put_right_and_said_so(world: World) -> None:
    world.run("close", "2025-10", "--export", "billing")
    path = world.month() / "manifest.json"
    # the manifest of one statement is no mistake when the second one comes
    assert f"written: {path}" in world.run("close", "2025-10").output
    before = world.files()
    told = f"restored, because it was not what was sealed: {path}"
    changes = (
        lambda text: text.replace('"rows": 3', '"rows": 4'), lambda text: text.replace("billing.csv", "b.csv"),
        lambda text: "{}", lambda text: "", lambda text: "\udcff", lambda text: text[:-1],
    )  # fmt: skip
    for change in changes:
        path.write_text(change(path.read_text()), errors="surrogateescape")
        assert told in world.run("export", "2025-10").output
        assert world.files() == before
        assert told not in world.run("export", "2025-10").output
    path.write_bytes(before["manifest.json"].replace(b'"rows": 3', b'"rows": 4', 1))
    assert told in world.run("close", "2025-10").output
    assert world.files() == before


def test_a_copy_never_overwrites_a_file_of_somebody_else(world: World, tmp_path: Path) -> None:
    world.run("close", "2025-10")
    copy = tmp_path / "finance"
    copy.mkdir()
    (copy / "billing.csv").write_text("last year's")
    refused = world.run("export", "2025-10", "--out", str(copy))
    assert (refused.status, f"{copy / 'billing.csv'} is not ours" in refused.error) == (2, True)
    assert world.files(copy) == {"billing.csv": b"last year's"}
    assert world.run("export", "2025-10", "--export", "statistics", "--out", str(copy)).status == 0
    assert world.files(copy)["billing.csv"] == b"last year's"
    assert [entry["path"] for entry in json.loads(world.files(copy)["manifest.json"])["files"]] == ["statistics.csv"]


def test_a_copy_that_was_broken_off_is_finished(world: World, tmp_path: Path) -> None:
    world.run("close", "2025-10")
    copy = tmp_path / "copy"
    world.run("export", "2025-10", "--out", str(copy))
    (copy / "manifest.json").unlink()  # it is written last
    (copy / "statistics.csv").unlink()
    assert world.run("export", "2025-10", "--out", str(copy)).status == 0
    assert world.files(copy) == world.files()
    (copy / "billing.csv").write_text("changed")
    assert "restored" in world.run("export", "2025-10", "--out", str(copy)).output
    assert world.files(copy) == world.files()


def test_provisional_and_closed_files_never_overwrite_each_other(world: World, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    world.run("close", "2025-10")
    world.run("export", "2025-10", "--out", str(copy / "provisional"))
    before = world.files(copy)
    refused = world.run("export", "2025-09", "--provisional", "--out", str(copy))
    assert (refused.status, "the closed files of 2025-10" in refused.error) == (2, True)
    assert world.files(copy) == before
    world.run("export", "2025-09", "--provisional")
    refused = world.run("export", "2025-10", "--out", str(world.month("2025-09") / "provisional"))
    assert (refused.status, "the provisional files of 2025-09" in refused.error) == (2, True)


def test_a_folder_with_another_months_files_is_refused(world: World, tmp_path: Path) -> None:
    world.run("close", "2025-10")
    world.run("close", "2025-09")
    world.run("export", "2025-10", "--out", str(tmp_path / "copy"))
    refused = world.run("export", "2025-09", "--out", str(tmp_path / "copy"))
    assert (refused.status, "the closed files of 2025-10" in refused.error) == (2, True)
    (tmp_path / "copy" / "manifest.json").write_text('{"name": "a web page"}')
    assert occupant(tmp_path / "copy", "2025-10", provisional=False) == "a manifest.json that tallywatch did not write"


def test_an_export_that_left_the_configuration_can_still_be_written(world: World) -> None:
    world.run("close", "2025-10")
    before = world.files()
    world.write(exports="\nexports:\n" + EXPORTS.splitlines()[2] + "\n")
    (world.month() / "billing.csv").unlink()
    result = world.run("export", "2025-10", "--export", "billing")
    assert result.status == 0, result.error
    assert world.files() == before
    assert world.run("export", "2025-10").status == 0


def test_what_is_closed_is_written_and_what_is_not_is_told(world: World) -> None:
    world.run("close", "2025-10", "--export", "billing")
    (world.month() / "billing.csv").unlink()
    result = world.run("export", "2025-10")
    assert (result.status, "not closed yet: statistics 2025-10" in result.error) == (1, True)
    assert sorted(world.files()) == ["billing.csv", "manifest.json"]


def test_a_full_disk_is_a_sentence_and_leaves_the_old_file_whole(tmp_path: Path) -> None:
    target = tmp_path / "billing.csv"
    target.write_bytes(b"old")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        with pytest.raises(FilesError, match="the disk is full"):
            write_atomically(target, b"x" * 10_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"billing.csv": b"old"}


def test_a_read_only_folder_is_a_sentence(tmp_path: Path) -> None:
    folder = tmp_path / "exports"
    folder.mkdir(mode=0o500)
    own = os.geteuid()
    if own == 0:
        os.seteuid(65534)  # root may write everywhere
    try:
        with pytest.raises(FilesError, match="check the permissions"):
            write_atomically(folder / "billing.csv", b"new")
    finally:
        if own == 0:
            os.seteuid(own)
    assert not list(folder.iterdir())


def test_a_folder_in_the_way_of_a_file_is_a_sentence(world: World) -> None:
    (world.month() / "billing.csv").mkdir(parents=True)
    result = world.run("close", "2025-10")
    assert (result.status, "a folder stands where the file belongs" in result.error) == (3, True)
    assert not list(world.month().glob(".*"))
