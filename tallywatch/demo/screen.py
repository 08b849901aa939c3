"""What the demo shows: its steps one after another, with a bar on a terminal and in plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


class Screen:
    """Numbers the steps, and says how long each took."""

    def __init__(self, steps: int) -> None:
        self._steps = steps
        self._step = 0
        self._told: list[str] = []

    @contextmanager
    def step(self, text: str, command: str, total: int) -> Iterator[Callable[[], None]]:
        """One step of `total` pieces; gives a function to call after each piece. `command` does the same by hand."""
        self._step += 1
        click.echo(f"{self._step}/{self._steps} {text}")
        if command:
            click.echo(f"    $ {command}")
        began = time.monotonic()
        with _bar(total) as advance:
            yield advance
        for line in self._told:
            click.echo(f"    {line}")
        self._told.clear()
        click.echo(f"    done in {time.monotonic() - began:.1f} s")

    def say(self, text: str) -> None:
        """A line about the step at hand, shown when its bar is gone."""
        self._told.append(text)

    def warn(self, text: str) -> None:
        """A line that is shown at once, between steps."""
        click.echo(text)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[], None]]:
    if not sys.stdout.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn  # noqa: PLC0415 (only on a terminal)

    with Progress("   ", BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), transient=True) as progress:
        task = progress.add_task("", total=total)
        yield lambda: progress.advance(task)
