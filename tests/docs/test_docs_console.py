"""The console blocks of the documentation show what a reader really sees."""

from __future__ import annotations

from pathlib import Path

import pytest
from console import Reader, agree, console, plain, steps
from pages import PAGES, ROOT, blocks

TOLD = [page for page in PAGES if console(page)]


@pytest.mark.parametrize("page", TOLD, ids=lambda page: page.name)
def test_every_command_of_a_page_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    reader = Reader(tmp_path.resolve())
    wrong = []
    for block in console(page):
        reader.prepare(block)
        for step in steps(block):
            printed = reader.type(step.command)
            if not agree(step.expected, printed):
                wrong.append(f"{block}: $ {step.command}\n{plain(printed)}\n-- the page shows:\n{plain(step.expected)}")
    assert not wrong, "\n\n".join(wrong)


def test_the_tutorial_is_among_the_pages_that_are_run() -> None:
    assert ROOT / "docs/tutorial.md" in TOLD


def test_three_dots_stand_for_anything_and_nothing_else_does() -> None:
    assert agree("a ... c\n", "a b\nb c\n")
    assert not agree("a ... c\n", "a b\n")
    assert not agree("a.c\n", "abc\n")


def test_files_that_a_page_shows_are_the_files_themselves() -> None:
    shown = [block for page in PAGES for block in blocks(page, "yaml") if "file" in block.notes]
    assert shown
    for block in shown:
        assert block.text == (ROOT / block.notes["file"]).read_text(encoding="utf-8"), str(block)
