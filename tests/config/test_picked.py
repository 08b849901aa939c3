"""Files to pick up: what their patterns are relative to."""

from __future__ import annotations

from pathlib import Path

from config.load import load

TEXT = "stores:\n  web: {type: embedded, folder: events, read: READ, fields: {time: t, customer: c}}\n"


def written(folder: Path, read: str) -> Path:
    path = folder / "tallywatch.yaml"
    path.write_text(TEXT.replace("READ", read), encoding="utf-8")
    return path


def test_patterns_are_relative_to_the_file_in_which_they_stand(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    written(tmp_path / "sub", "[/var/log/app/*.jsonl*, logs/**/*.csv]")
    (tmp_path / "tallywatch.yaml").write_text("include: sub/tallywatch.yaml\n")
    store = load(tmp_path / "tallywatch.yaml", {}).config.stores["web"]
    assert store.read == (Path("/var/log/app/*.jsonl*"), tmp_path / "sub" / "logs/**/*.csv")


def test_a_single_pattern_needs_no_list(tmp_path: Path) -> None:
    store = load(written(tmp_path, "logs/*.csv"), {}).config.stores["web"]
    assert store.read == (tmp_path / "logs/*.csv",)


def test_a_store_may_read_nothing(tmp_path: Path) -> None:
    assert load(written(tmp_path, "[]"), {}).config.stores["web"].read == ()
