"""`tallywatch ingest`: log files into a store."""

from __future__ import annotations

import fcntl
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from tallywatch.cli.common import Context, chosen, format_option, output

if TYPE_CHECKING:
    from config.load import Loaded
    from config.models import ElasticsearchStore, EmbeddedStore
    from logviews.intake.ingest import IngestReport

    _TellProgress = Callable[[str], None]
    _Take = Callable[["_Given", _TellProgress], IngestReport]

_SPOOL = "stdin-"
COLUMNS = ("file", "new", "duplicates", "conflicts", "skipped", "resumed")


@click.command()
@click.argument("store")
@click.argument("files", nargs=-1, required=True, metavar="FILE...|-")
@click.option(
    "--skip-bad",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write bad lines there, instead of refusing the file.",
)
@click.option(
    "--as",
    "written_as",
    type=click.Choice(["jsonl", "csv", "parquet"]),
    help="What the files are, where their names do not tell: CSV on standard input, or not named .csv or .tsv.",
)
@format_option
@click.pass_obj
def ingest(
    context: Context,
    store: str,
    files: tuple[str, ...],
    skip_bad: Path | None,
    written_as: Literal["jsonl", "csv", "parquet"] | None,
    format_: str,
) -> None:
    """Take log files into a STORE: JSON lines, CSV or Parquet, plain, gzip or zstd; - reads standard input.

    Each message once; a bad line refuses its file, with its line and column. An embedded store takes all of a file or
    nothing. In Elasticsearch a file that was cut short is completed by taking it in again.
    """
    from config.errors import UsageError
    from config.models import EmbeddedStore
    from logviews.intake.files import recognise

    loaded = context.load()
    settings = chosen("store", store, loaded.config.stores)
    if skip_bad is not None and len(files) > 1:
        raise UsageError("--skip-bad goes with one file at a time, so that the refused lines are that file's")
    for name in files:
        if name != "-":
            recognise(Path(name))  # before the first is taken in, so that a mistyped name is only that
    if isinstance(settings, EmbeddedStore):
        take = _into_embedded(context, loaded, store, settings)
    else:
        take = _into_elasticsearch(context, store, settings)
    reports: list[IngestReport] = []
    try:
        for number, name in enumerate(files, 1):
            with _progress(f"{name} ({number} of {len(files)})") as tell:
                reports.append(take(_Given(name, skip_bad, written_as), tell))
    finally:
        if reports:
            output(({column: getattr(report, column) for column in COLUMNS} for report in reports), format_, COLUMNS)
        for report in reports:
            _tell(report, skip_bad)


@dataclass(frozen=True)
class _Given:
    """One file as the command was given it."""

    file: str
    skip_bad: Path | None
    written_as: Literal["jsonl", "csv", "parquet"] | None

    @property
    def name(self) -> str | None:
        """What it is called in sentences, where that is not its path."""
        return "-" if self.file == "-" else None


def _into_embedded(context: Context, loaded: Loaded, store: str, settings: EmbeddedStore) -> _Take:
    from logviews.fields import used_fields
    from logviews.intake.ingest import Ingest

    taking = Ingest(store, settings, used_fields(loaded.config, store), context.database(loaded))

    def take(given: _Given, _: _TellProgress) -> IngestReport:
        with _path(given.file, settings.folder) as path:
            return taking.take(path, context.now(), given.skip_bad, given.name, given.written_as)

    return take


def _into_elasticsearch(context: Context, store: str, settings: ElasticsearchStore) -> _Take:
    from logviews.elastic.ingest import ElasticIngest
    from logviews.elastic.target import write_index
    from logviews.intake.scratch import scratch
    from tallywatch.connections import CONNECTIONS

    write_index(store, settings)  # before standard input is read
    taking = ElasticIngest(store, settings, CONNECTIONS.of(store, settings).session, context.now)

    def take(given: _Given, tell: _TellProgress) -> IngestReport:
        with scratch() as folder, _path(given.file, folder) as path:
            return taking.take(path, given.skip_bad, given.name, given.written_as, tell)

    return take


@contextmanager
def _path(name: str, folder: Path) -> Iterator[Path]:
    """The file of that name; standard input as a file of its own, because it is read more than once."""
    if name != "-":
        yield Path(name)
        return
    from logviews.intake.files import IngestPlaceError

    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(folder)
        spool = tempfile.NamedTemporaryFile(dir=folder, prefix=_SPOOL)  # noqa: SIM115 (closed below; only opening it may fail here)
        fcntl.flock(spool, fcntl.LOCK_EX)
    except OSError as error:
        raise IngestPlaceError(f"{folder}: the store's folder cannot be written: {error.strerror}") from error
    with spool:
        try:
            shutil.copyfileobj(sys.stdin.buffer, spool)
            spool.flush()
        except OSError as error:
            raise IngestPlaceError(f"{folder}: standard input cannot be kept there: {error.strerror}") from error
        yield Path(spool.name)


def _remove_abandoned(folder: Path) -> None:
    """Removes the standard input of a run that was killed: a file that nobody holds and that is not of this minute."""
    from ledger import clock

    for path in folder.glob(_SPOOL + "*"):
        with suppress(OSError), path.open("rb") as spool:
            fcntl.flock(spool, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if clock.now().timestamp() - path.stat().st_mtime > 60:
                path.unlink()


@contextmanager
def _progress(text: str) -> Iterator[_TellProgress]:
    """Shows on a terminal what is being done, and what is told of it."""
    if not sys.stderr.isatty():
        yield lambda _: None
        return
    from rich.console import Console

    with Console(stderr=True).status(f"Taking in {text} …") as status:
        yield lambda said: status.update(f"Taking in {text}: {said} …")


def _tell(report: IngestReport, skip_bad: Path | None) -> None:
    if report.conflicts:
        have = "1 message has" if report.conflicts == 1 else f"{report.conflicts:,} messages have"
        ids = ", ".join(report.conflicting_ids) + (", …" if report.conflicts > len(report.conflicting_ids) else "")
        click.echo(
            f"{report.file}: {have} the id of an earlier message but other content; the first one counts: {ids}",
            err=True,
        )
    if report.skipped:
        lines = "1 bad line" if report.skipped == 1 else f"{report.skipped:,} bad lines"
        click.echo(f"{report.file}: {lines} written to {skip_bad}", err=True)
    if report.unfinished is not None:
        click.echo(
            f"{report.file}:{report.unfinished}: the last row has no line end, so it may still be being written, and "
            "was not taken in; it will be when it has one",
            err=True,
        )
    elif not report.new and not report.duplicates and not report.skipped:
        reason = "nothing new since it was last read" if report.resumed else "the file is empty"
        click.echo(f"{report.file}: no messages: {reason}", err=True)
