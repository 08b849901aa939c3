"""docs/commands.md and the program name the same commands, arguments and options."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from pages import PAGES, ROOT, blocks, rows, section

from ledger.records import Reason
from logviews.readings import Integrity
from tallywatch.cli import cli
from tallywatch.cli.evaluate import COLUMNS

PAGE = ROOT / "docs/commands.md"


def commands(group: click.Group, above: str = "") -> Iterator[tuple[str, click.Command]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from commands(command, f"{above}{name} ")
        else:
            yield above + name, command


COMMANDS = dict(commands(cli))


def documented(text: str) -> set[str]:
    """The first words of the code in the first column: options such as --at, arguments such as VIEW."""
    return {code.split()[0] for cells in rows(text) for code in re.findall(r"`([^`]+)`", cells[0])}


def offered(command: click.Command) -> set[str]:
    names = set()
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            names.update(parameter.opts)
        else:
            names.add(str(parameter.name).upper())
    return names


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    headings = re.findall(r"^## ([a-z].*)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    assert headings == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_a_section_names_each_argument_and_option_and_no_other(name: str) -> None:
    table = section(PAGE, f"## {name}").split("```")[0]
    in_tables = {word for word in documented(table) if word.startswith("--") or word.isupper()}
    assert in_tables == offered(COMMANDS[name])


def test_the_options_before_the_command_are_documented() -> None:
    table = section(PAGE, "# Commands").split("\n## ")[0]
    assert documented(table) == {*offered(cli), "-h", "--help"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_that_a_page_names_exists_with_its_options(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for written in re.findall(r"`tallywatch ((?!\[)[^`]*)`", text):
        words = [word for word in written.split() if not word.startswith("--config")]
        name = next((known for known in COMMANDS if f"{' '.join(words)} ".startswith(f"{known} ")), None)
        if words[0].startswith("-"):
            continue
        assert name is not None, f"tallywatch {written}"
        options = {word for word in words if word.startswith("--")}
        assert options <= offered(COMMANDS[name]) | {"--help"}, f"tallywatch {written}"


def json_lines(command: str) -> list[dict[str, object]]:
    own = section(PAGE, f"## {command}")
    texts = [block.text for block in blocks(PAGE, "json") if block.text in own]
    return [json.loads(line) for text in texts for line in text.splitlines()]


def test_the_verdict_on_the_page_has_the_keys_and_reasons_that_the_program_gives() -> None:
    (verdict,) = json_lines("evaluate")
    assert list(verdict) == list(COLUMNS)
    told = next(cells[1] for cells in rows(section(PAGE, "## evaluate")) if cells[0] == "`reason`")
    assert set(re.findall(r"`([a-z_]+)`", told)) == {reason.value for reason in Reason}


def test_the_integrity_line_on_the_page_has_the_keys_that_the_program_gives() -> None:
    *_, integrity = json_lines("count")
    assert list(integrity) == list(Integrity.__slots__)
