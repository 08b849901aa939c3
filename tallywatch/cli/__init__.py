"""The command line: one module a command, imported when it is called, so that `--help` answers at once."""

from __future__ import annotations

import importlib
import logging
import os
import sys
from pathlib import Path
from typing import Final

import click

from tallywatch import __version__
from tallywatch.cli.common import Context, Group

# command -> (module, help); the help stands here too, so that listing the commands imports none of them
COMMANDS: Final = {
    "demo": ("demo", "Make a month of logs and walk through everything."),
    "init": ("configuration", "Write a commented starting configuration."),
    "check": ("configuration", "Check the configuration without touching anything else."),
    "schema": ("configuration", "Print the configuration's JSON Schema."),
    "doctor": ("doctor", "Check the configuration against the real world."),
    "ingest": ("ingest", "Take log files into an embedded store."),
    "count": ("count", "Count a view exactly, now."),
    "evaluate": ("evaluate", "Judge monitors; with --commit, record and notify."),
    "run": ("run", "Run the service."),
    "preview": ("notices", "Show a notice as it would be sent."),
    "notices": ("notices", "List and show notices."),
    "close": ("close", "Close a billing month: recount, seal, write files."),
    "export": ("close", "Write a month's files again, or provisional ones."),
    "recount": ("recount", "Count a view's tallies again, and say what differed."),
}
BEFORE: Final = ("--config", "--debug", "--version")
"""Options that stand before the command; after it they are a common slip."""


class _Commands(Group):
    """A group that imports a command's module when it is called."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"tallywatch.cli.{COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module.__name__}.{cmd_name} is no command")
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_) for name, (_, help_) in COMMANDS.items()])


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option(
    "--config",
    "config_path",
    type=click.Path(path_type=Path),
    envvar="TALLYWATCH_CONFIG",
    show_envvar=True,
    default=Path("tallywatch.yaml"),
    show_default=True,
    help="The configuration file.",
)
@click.option("--debug", is_flag=True, envvar="TALLYWATCH_DEBUG", show_envvar=True, help="Show tracebacks.")
@click.version_option(__version__, prog_name="tallywatch")
@click.pass_context
def cli(context: click.Context, config_path: Path, debug: bool) -> None:
    """Counts what each customer used, warns before limits are crossed, and hands finance a file anyone can check."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s", level=logging.WARNING)
    context.obj = context.with_resource(Context(config_path, debug))


def run() -> None:
    """Runs the command line and exits: 0 done, 1 bad news, 2 wrong usage or configuration, 3 an outside failure."""
    from config.errors import TallywatchError

    debug = "--debug" in sys.argv or bool(os.environ.get("TALLYWATCH_DEBUG"))
    try:
        status = cli.main(standalone_mode=False, prog_name="tallywatch")
        sys.stdout.flush()
    except click.NoSuchOption as error:
        error.show()
        if error.option_name in BEFORE:
            click.echo("It stands before the command: tallywatch --config PATH COMMAND.", err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Stopped.", err=True)
        sys.exit(130)
    except BrokenPipeError:
        # whoever read our output has seen enough; keep the interpreter from complaining when it flushes at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except Exception as error:
        if "Query interrupted" in str(error):  # Ctrl-C while DuckDB works comes out as an error of its own
            click.echo("Stopped.", err=True)
            sys.exit(130)
        if debug:
            raise
        click.echo(_sentences(error), err=True)
        sys.exit(error.exit_status if isinstance(error, TallywatchError) else 3)
    sys.exit(status if isinstance(status, int) else 0)


def _sentences(error: Exception) -> str:
    from config.errors import TallywatchError

    if isinstance(error, TallywatchError):
        return str(error)
    if isinstance(error, OSError):
        where = f"{error.filename}: " if error.filename else ""
        return f"{where}{error.strerror or error}"
    if isinstance(error, MemoryError):
        return "there is not enough memory for this"
    return f"an error inside tallywatch: {type(error).__name__}: {error}. Run it with --debug and report what it shows."
