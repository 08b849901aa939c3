"""What every command needs: the configuration, the database, the stores, the clock, and one way to print a table."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import click

if TYPE_CHECKING:
    from config.load import Loaded
    from ledger.database import Database
    from logviews.embedded import Embedded

Format = Literal["table", "json", "csv"]
Command = TypeVar("Command", bound=Callable[..., Any])
Chosen = TypeVar("Chosen")


class Context:
    """What the options before the command said, and what commands open by it; closes what it opened."""

    def __init__(self, config_path: Path, debug: bool) -> None:
        self.config_path = config_path
        self.debug = debug
        self._database: Database | None = None

    def __enter__(self) -> Context:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._database is not None:
            self._database.close()

    def load(self) -> Loaded:
        """The configuration, checked.

        Raises:
            ConfigError: with every problem.
        """
        from config.load import load

        return load(self.config_path)

    def database(self, loaded: Loaded) -> Database:
        """The ledger, opened once.

        Raises:
            LedgerError: when it cannot be opened.
        """
        if self._database is None:
            from ledger.database import open_database

            settings = loaded.config.settings
            self._database = open_database(settings.database, simulation=settings.simulation, now=self.now())
        return self._database

    def store(self, loaded: Loaded, database: Database, name: str) -> Embedded:
        """A log store of the configuration."""
        from logviews.embedded import Embedded
        from logviews.fields import used_fields

        return Embedded(name, loaded.config.stores[name], used_fields(loaded.config, name), database)

    def now(self) -> datetime:
        """The present instant."""
        from ledger import clock

        return clock.now()


def chosen(kind: str, name: str, valid: Mapping[str, Chosen]) -> Chosen:
    """The entry of that name.

    Raises:
        UsageError: when there is none, with the nearest.
    """
    if name in valid:
        return valid[name]
    from config.errors import UsageError
    from config.names import did_you_mean

    hint = did_you_mean(name, valid, f"the configuration has no {kind}s")
    raise UsageError(f"there is no {kind} {name!r} ({hint})")


def local(moment: datetime, zone: str) -> str:
    """An instant as ISO 8601 with the zone's offset, to the second, or to the millisecond where it has some."""
    from zoneinfo import ZoneInfo

    return moment.astimezone(ZoneInfo(zone)).isoformat(timespec="milliseconds" if moment.microsecond else "seconds")


def format_option(command: Command) -> Command:
    """Adds `--format table|json|csv` to a command, as `format_`."""
    return click.option(
        "--format",
        "format_",
        type=click.Choice(["table", "json", "csv"]),
        default="table",
        show_default=True,
        help="How to print; JSON comes as one object a line.",
    )(command)


def output(rows: Iterable[Mapping[str, object]], format_: str, columns: Sequence[str]) -> None:
    """Prints rows: a table for people, one JSON object a line, or CSV with a header. Cost: JSON and CSV stream."""
    if format_ == "json":
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    elif format_ == "csv":
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows(["" if row.get(name) is None else row.get(name) for name in columns] for row in rows)
    else:
        _table(rows, columns)


def _table(rows: Iterable[Mapping[str, object]], columns: Sequence[str]) -> None:
    from rich import box
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    found = list(rows)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for name in columns:
        numeric = all(_is_number(row.get(name)) for row in found) and bool(found)
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for row in found:
        table.add_row(*(Text(_shown(row.get(name))) for name in columns))
    # without a terminal, lines are not folded to a made-up width
    console = Console(width=None if sys.stdout.isatty() else 400, highlight=False)
    console.print(table)


def _is_number(value: object) -> bool:
    if value is None or isinstance(value, int):
        return not isinstance(value, bool)
    return isinstance(value, str) and value.lstrip("-").replace(".", "", 1).isdigit()


def _shown(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    # control characters of a hostile id must not reach the terminal
    return "".join(character if character.isprintable() else "\ufffd" for character in str(value))
