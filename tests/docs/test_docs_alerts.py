"""docs/alerts.md has a section for whatever can wake somebody: notices, conditions, log events, statuses and checks."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args, get_type_hints

from pages import ROOT, blocks, rows, section

from config.errors import TallywatchError
from config.models import CONDITIONS
from ledger import facts
from ledger.deliveries import STATUSES
from ledger.records import Evaluation
from tallywatch.doctor.finding import Check

PAGE = ROOT / "docs/alerts.md"
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")


def headings(below: str) -> list[str]:
    return re.findall(r"^### (.+)$", section(PAGE, below), re.MULTILINE)


def logged() -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """Event, level and fields of every call of a `log` in the service."""
    for path in sorted((ROOT / "tallywatch/service").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=ast.Name(id="log"), attr=level), args=[first, *_], keywords=fields
                ) if level in LEVELS:
                    assert isinstance(first, ast.Constant), f"{path}:{node.lineno}: an event is a constant"
                    shown = "error" if level == "exception" else level
                    yield str(first.value), shown, tuple(str(field.arg) for field in fields)


def errors(of: type[TallywatchError]) -> Iterator[type[TallywatchError]]:
    for kind in of.__subclasses__():
        yield kind
        yield from errors(kind)


def test_every_template_for_operations_and_every_condition_has_a_section() -> None:
    templates = {value for name, value in vars(facts).items() if name.startswith("OPS_") and isinstance(value, str)}
    assert {*templates, *CONDITIONS} <= set(headings("## Notices to operations"))


def test_every_headline_of_news_is_in_the_table() -> None:
    told = [cells[0] for cells in rows(section(PAGE, "### ops_news"))]
    patterns = [re.compile(".+".join(map(re.escape, headline.split("…")))) for headline in told]
    found = list(headlines())
    assert len(found) >= 4
    for headline in found:
        # some are put together of whom it is about and these words
        assert any(pattern.fullmatch(text) for pattern in patterns for text in (headline, f"x {headline}")), headline


def headlines() -> Iterator[str]:
    """The headlines that the service gives, with x for what is filled in."""

    def text(node: ast.expr) -> str | None:
        match node:
            case ast.Constant(value=str() as value):
                return value
            case ast.JoinedStr(values=parts):
                return "".join(str(part.value) if isinstance(part, ast.Constant) else "x" for part in parts)
        return None

    for path in sorted((ROOT / "tallywatch/service").glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            match node:
                case ast.keyword(arg="headline", value=value) if (found := text(value)) and found.strip(" x"):
                    yield found
                case ast.Assign(targets=[ast.Name(id="headlines")], value=ast.Dict(values=values)):
                    yield from filter(None, map(text, values))


def test_every_log_event_has_a_row_with_its_level_and_fields_and_every_row_an_event() -> None:
    told = {
        cells[0].strip("`"): (cells[1], tuple(re.findall(r"`([a-z_]+)`", cells[2])))
        for cells in rows(section(PAGE, "## Log events"))
    }
    found = {event: (level, fields) for event, level, fields in logged()}
    assert len(found) >= 15
    assert told == found


def test_the_log_line_on_the_page_of_the_service_is_of_an_event_with_its_fields() -> None:
    (shown,) = (block for block in blocks(ROOT / "docs/service.md", "json") if block.notes.get("messages") == "log")
    line = json.loads(shown.text)
    (fields,) = (fields for event, _, fields in logged() if event == line["event"])
    assert set(line) == {*fields, "event", "level", "logger", "timestamp"}


def test_every_exit_status_has_a_section() -> None:
    statuses = {str(kind.exit_status) for kind in (TallywatchError, *errors(TallywatchError))}
    entry = (ROOT / "tallywatch/cli/__init__.py").read_text(encoding="utf-8")
    statuses |= set(re.findall(r"sys\.exit\((\d+)\)", entry))
    assert statuses <= set(headings("## Exit statuses"))
    documented = {cells[0] for cells in rows(section(ROOT / "docs/commands.md", "## Exit statuses"))}
    assert documented == set(headings("## Exit statuses"))


def test_every_check_of_doctor_has_a_section_in_its_order() -> None:
    assert headings("## What doctor says") == [check.value for check in Check]


def test_every_outcome_of_an_evaluation_and_status_of_a_delivery_is_explained() -> None:
    (meaning,) = (cells[3] for cells in rows(section(PAGE, "## Log events")) if cells[0] == "`evaluated`")
    for outcome in get_args(get_type_hints(Evaluation)["outcome"]):
        assert f"`{outcome}`" in meaning
    mail = section(ROOT / "docs/mail.md", "## What each status means")
    assert [cells[0].strip("`") for cells in rows(mail)] == list(STATUSES)


def test_checks_of_doctor_are_all_made_somewhere() -> None:
    code = "".join(path.read_text(encoding="utf-8") for path in Path(ROOT / "tallywatch/doctor").glob("*.py"))
    for check in Check:
        assert code.count(f"Check.{check.name}") >= 1, check
