"""`tallywatch demo`: a month of logs, and a walk through everything with it."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("directory", metavar="[DIR]", default="tallywatch-demo", type=click.Path(path_type=Path))
def demo(directory: Path) -> None:
    """Make a month of logs for 450 customers in DIR (default: tallywatch-demo), and walk through everything with it.

    It ingests, counts, evaluates, mails to .eml files, closes and exports, and leaves a working configuration behind.
    The month is the same each time. DIR must be new, empty, or an earlier demo's, which is then replaced.
    """
    from tallywatch.demo.ending import show
    from tallywatch.demo.screen import Screen
    from tallywatch.demo.walk import STEPS, walk

    show(walk(directory, Screen(STEPS)))
