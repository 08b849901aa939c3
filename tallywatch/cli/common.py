"""What every command needs: the configuration, the database, the clock, and one way to print a table."""

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

from tallywatch.cli.tables import Column, print_table

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from config.errors import UsageError
    from config.load import Loaded
    from ledger.database import Database
    from ledger.records import Period

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
        from tallywatch.connections import CONNECTIONS

        CONNECTIONS.close()
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

    def now(self) -> datetime:
        """The present instant."""
        from ledger import clock

        return clock.now()


class Group(click.Group):
    """A group of commands that answers a misspelt one with the nearest."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first argument names, as click has it.

        Raises:
            click.UsageError: when there is none of that name.
        """
        name = args[0]
        if not name.startswith("-") and self.get_command(ctx, name) is None:
            raise click.UsageError(str(unknown("command", name, self.list_commands(ctx), "there are none")), ctx)
        return super().resolve_command(ctx, args)


def chosen(kind: str, name: str, valid: Mapping[str, Chosen]) -> Chosen:
    """The entry of that name.

    Raises:
        UsageError: when there is none, with the nearest.
    """
    if name in valid:
        return valid[name]
    raise unknown(kind, name, valid, f"the configuration has no {kind}s")


def unknown(kind: str, name: str, valid: Iterable[str], none: str) -> UsageError:
    """The error for a name that does not exist: the nearest one that does, else those there are, else `none`."""
    from config.errors import UsageError
    from config.names import did_you_mean

    return UsageError(f"there is no {kind} {name!r} ({did_you_mean(name, valid, none)})")


def actor() -> str:
    """Who runs the command, for the audit, as the system knows it; a container may not."""
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def notice_id(connection: Connection, beginning: str) -> str:
    """The id of the one notice that begins so.

    Raises:
        UsageError: when there is none, or several.
    """
    from config.errors import UsageError
    from ledger.deliveries import find_notices

    ids = find_notices(connection, beginning, limit=2) if beginning else ()
    if len(ids) > 1:
        raise UsageError(f"several notices begin with {beginning!r}; give more of the id")
    if not ids:
        raise UsageError(f"there is no notice {beginning!r}; `notices list` names them")
    return ids[0]


def counted(quantity: int, noun: str) -> str:
    """A number with what it counts: `1 customer`, `2,000 customers`."""
    return f"{quantity:,} {noun}{'' if quantity == 1 else 's'}"


def day(moment: datetime, zone: str) -> str:
    """The local day of an instant, such as 2026-10-25."""
    from zoneinfo import ZoneInfo

    return moment.astimezone(ZoneInfo(zone)).date().isoformat()


def days(period: Period) -> str:
    """The days of a period, such as 2026-10-01 to 2026-10-31; one day alone when it is one."""
    from datetime import timedelta

    first, last = day(period.start, period.zone), day(period.end - timedelta(milliseconds=1), period.zone)
    return first if first == last else f"{first} to {last}"


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


def output(rows: Iterable[Mapping[str, object]], format_: str, columns: Sequence[str | Column]) -> None:
    """Prints rows: a table for people, one JSON object a line, or CSV with a header. Cost: JSON and CSV stream."""
    if format_ == "json":
        for row in rows:
            sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
    elif format_ == "csv":
        keys = [column if isinstance(column, str) else column.key for column in columns]
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(keys)
        writer.writerows(["" if row.get(key) is None else row.get(key) for key in keys] for row in rows)
    else:
        print_table(rows, [Column(column, column) if isinstance(column, str) else column for column in columns])
