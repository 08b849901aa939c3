"""`tallywatch run`: the service."""

from __future__ import annotations

import sys

import click

from tallywatch.cli.common import Context


@click.command()
@click.option(
    "--log-format",
    type=click.Choice(["json", "text"]),
    envvar="TALLYWATCH_LOG_FORMAT",
    show_envvar=True,
    help="How to log on standard error; JSON unless that is a terminal.",
)
@click.pass_obj
def run(context: Context, log_format: str | None) -> None:
    """Run the service: pick logs up, evaluate on schedule, deliver notices, close months.

    One service works on a database; other commands work beside it. SIGTERM and Ctrl-C stop it after what it is doing,
    SIGHUP and changed files reload the configuration.
    """
    from tallywatch.service import logs
    from tallywatch.service.run import serve

    loaded = context.load()
    chosen: logs.LogFormat = "text" if log_format == "text" or (log_format is None and sys.stderr.isatty()) else "json"
    logs.configure(chosen)
    serve(context.config_path, loaded, context.database(loaded))
