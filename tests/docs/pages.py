"""The pages of documentation, as tests read them: fenced blocks with the HTML comments before them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
NOT_OURS: Final = ("venv", "build", "dist", "tallywatch-demo")
PAGES: Final = tuple(
    sorted(
        path
        for path in ROOT.rglob("*.md")
        if not any(part.startswith(".") or part in NOT_OURS for part in path.relative_to(ROOT).parts)
    )
)
_FENCE: Final = re.compile(
    r"(?P<comments>(?:<!--[^\n]*-->\n+)*)^```(?P<language>[a-z]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
_COMMENT: Final = re.compile(r"<!-- (?P<name>[a-z]+): (?P<value>.*?) -->")


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, its text, and what the comments before it say."""

    page: Path
    line: int
    language: str
    text: str
    notes: dict[str, str]

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, language: str) -> list[Block]:
    """The page's blocks of a language, in order."""
    text = page.read_text(encoding="utf-8")
    return [
        Block(
            page,
            text.count("\n", 0, match.start("text")),
            match["language"],
            match["text"],
            dict(_COMMENT.findall(match["comments"])),
        )
        for match in _FENCE.finditer(text)
        if match["language"] == language
    ]


def section(page: Path, heading: str) -> str:
    """The text below a heading, up to the next heading of its level or above."""
    lines = page.read_text(encoding="utf-8").splitlines()
    start = lines.index(heading) + 1
    level = len(heading) - len(heading.lstrip("#"))
    for number, line in enumerate(lines[start:], start):
        if re.match(rf"#{{1,{level}}} ", line):
            return "\n".join(lines[start:number])
    return "\n".join(lines[start:])


def rows(text: str) -> list[list[str]]:
    """The cells of the tables in a text, without their heads."""
    found, body = [], False
    for line in text.splitlines():
        if not line.startswith("|"):
            body = False
        elif re.fullmatch(r"\|[-:| ]+\|", line):
            body = True
        elif body:
            found.append([cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return found
