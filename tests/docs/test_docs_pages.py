"""What holds for every page: links lead somewhere, YAML passes `check`, and the README is what a stranger needs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from pages import PAGES, ROOT, Block, blocks, rows

from config.load import load

HERE = Path(__file__).parent
YAML = [block for page in PAGES for block in blocks(page, "yaml")]
_CODE = re.compile(r"`([^`]+)`")
_LINK = re.compile(r"\[[^\]]+\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_relative_link_leads_to_a_file_and_a_heading(page: Path) -> None:
    for target in _LINK.findall(page.read_text(encoding="utf-8")):
        if "://" in target:
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor:
            assert anchor in anchors(file), target


def test_every_page_of_the_documentation_is_in_its_index() -> None:
    index = set(_LINK.findall((ROOT / "docs/README.md").read_text(encoding="utf-8")))
    assert {path.name for path in (ROOT / "docs").glob("*.md")} - {"README.md"} <= index


def test_there_are_yaml_blocks_to_check() -> None:
    assert len(YAML) >= 4


@pytest.mark.parametrize("block", YAML, ids=str)
def test_every_yaml_block_passes_check(block: Block, tmp_path: Path) -> None:
    """A whole configuration as it stands, with its example's roster; a fragment together with base.yaml."""
    if "file" in block.notes:
        load(ROOT / block.notes["file"], {})
        return
    (tmp_path / "fragment.yaml").write_text(block.text, encoding="utf-8")
    (tmp_path / "base.yaml").write_text((HERE / "base.yaml").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "tallywatch.yaml").write_text("include: [base.yaml, fragment.yaml]\n", encoding="utf-8")
    load(tmp_path / "tallywatch.yaml", {})


def test_the_readme_has_exactly_the_two_set_up_commands() -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    fenced = re.findall(r"^```[a-z]*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)
    assert [block.strip() for block in fenced] == [
        "python3 -m venv .venv && .venv/bin/pip install . && .venv/bin/tallywatch demo",
        "python3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/pytest",
    ]
    assert "pip install" not in re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def test_the_readme_is_read_in_a_minute() -> None:
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 65


def test_every_room_says_what_lives_in_it() -> None:
    rooms = ("config", "ledger", "logviews", "monitors", "notifiers", "exporters", "tallywatch")
    index = set(_LINK.findall((ROOT / "README.md").read_text(encoding="utf-8")))
    assert {f"{room}/README.md" for room in rooms} <= index


@pytest.mark.parametrize("room", ["logviews", "tallywatch", "exporters"])
def test_the_modules_in_a_rooms_table_exist(room: str) -> None:
    named = [name for cells in rows((ROOT / room / "README.md").read_text("utf-8")) for name in _CODE.findall(cells[0])]
    assert named
    for name in named:
        assert (ROOT / room / f"{name}.py").exists() or (ROOT / room / name).is_dir(), name
