"""Console blocks of the documentation, run as a reader would type them, in a folder that he is told to make."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pages import ROOT, Block, blocks

HOME: Final = "/home/you"
"""What the pages call the folder above the one in which the commands are typed."""


@dataclass(frozen=True)
class Step:
    """One command of a block with the output that the page shows."""

    command: str
    expected: str


def steps(block: Block) -> Iterator[Step]:
    """The commands of a block: lines that begin with `$ `, each with the lines below it."""
    for part in re.split(r"^\$ ", block.text, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield Step(command, expected)


class Reader:
    """Somebody who reads a page and types its commands."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.folder = home
        programs = home / ".programs"
        programs.mkdir()
        program = programs / "tallywatch"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tallywatch "$@"\n')
        program.chmod(0o755)
        self.environment = {
            "PATH": f"{programs}:{os.defpath}",
            "PYTHONPATH": str(ROOT),
            "LC_ALL": "C.UTF-8",
            "USER": "you",
            "HOME": str(home),
        }

    def prepare(self, block: Block) -> None:
        """Makes the folder that the page's comment names, with copies of the example's files that it names."""
        if "folder" in block.notes:
            self.folder = self.home / block.notes["folder"]
            self.folder.mkdir()
            for name in block.notes.get("copy", "").split():
                shutil.copy(ROOT / name, self.folder)

    def type(self, command: str) -> str:
        """What a command prints, both streams together, with the reader's home as the pages call it."""
        done = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        return done.stdout.replace(str(self.home), HOME)


def plain(output: str) -> str:
    """Output without blank lines and blanks at the ends of lines, which nobody sees."""
    return "\n".join(line.rstrip() for line in output.splitlines() if line.strip())


def agree(expected: str, output: str) -> bool:
    """Whether the output is what the page shows; `...` on the page stands for anything."""
    pattern = re.escape(plain(expected)).replace(r"\.\.\.", ".*")
    return re.fullmatch(pattern, plain(output), flags=re.DOTALL) is not None


def console(page: Path) -> list[Block]:
    """The page's console blocks."""
    return blocks(page, "console")
