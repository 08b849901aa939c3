"""Commands about the configuration itself: check, schema, init."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tallywatch.cli.common import counted

if TYPE_CHECKING:
    from config.load import Loaded
    from tallywatch.cli.common import Context

CONFIGURATION = "tallywatch.yaml"
SCHEMA = "tallywatch.schema.json"


@click.command()
@click.pass_obj
def check(context: Context) -> None:
    """Check the configuration, its includes and the roster, without touching anything else.

    Exits 0 when all is well, and 2 with every problem, each with its file, line and column.
    """
    from config.notes import notes

    loaded = context.load()
    click.echo(_summary(loaded))
    for note in notes(loaded):
        click.echo(f"note: {note}")


def _summary(loaded: Loaded) -> str:
    config = loaded.config
    counts = (
        ("store", len(config.stores)),
        ("view", len(config.views)),
        ("monitor", len(config.monitors)),
        ("export", len(config.exports)),
        ("tier", len(config.tiers)),
    )
    parts = [counted(number, noun) for noun, number in counts]
    parts.append(
        "every customer value found is a customer"
        if loaded.roster.open
        else counted(len(loaded.roster.customers), "customer")
    )
    return f"{_files(loaded)}: {', '.join(parts)}"


def _files(loaded: Loaded) -> str:
    first, *rest = loaded.files
    more = f" and {counted(len(rest), 'more file')}" if rest else ""
    return f"{first}{more}"


@click.command()
def schema() -> None:
    """Print the JSON Schema of the configuration."""
    click.echo(_schema_text(), nl=False)


def _schema_text() -> str:
    from config.schema import schema as json_schema

    return json.dumps(json_schema(), indent=2) + "\n"


@click.command()
@click.argument("directory", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
def init(directory: Path) -> None:
    """Write a commented starting configuration into DIR (default: here), with its JSON Schema for your editor.

    Nothing is overwritten.
    """
    from config.starting import starting_text, write

    written = write(directory, {CONFIGURATION: starting_text(), SCHEMA: _schema_text()})
    for path in written:
        click.echo(f"wrote {path}")
    option = "" if written[0] == Path(CONFIGURATION) else f" --config {written[0]}"
    click.echo(f"next: edit {written[0]}, then run: tallywatch{option} check")
