"""`tallywatch doctor`: the configuration against the real world."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

import click

from tallywatch.cli.common import Context, counted, format_option, output
from tallywatch.cli.tables import wrapped

if TYPE_CHECKING:
    from tallywatch.doctor.finding import Finding

COLUMNS: Final = ("check", "state", "about", "found", "remedy")


@click.command()
@click.option("--send-test", is_flag=True, help="Send a test message to every recipient, and to no customer.")
@click.option("--alive", is_flag=True, help="Only whether the service works; for health checks.")
@format_option
@click.pass_obj
def doctor(context: Context, send_test: bool, alive: bool, format_: str) -> None:
    """Check the configuration against the real world: database, service, stores, mail server, clock and disk.

    Exit status 1 when a check failed; warnings are allowed.
    """
    from config.errors import UsageError
    from tallywatch.doctor import examine

    if alive and send_test:
        raise UsageError("--alive looks at nothing but the service; leave --send-test out")
    found = (
        examine.alive(context.config_path, context.now)
        if alive
        else examine.examine(context.config_path, context.now, send_test=send_test)
    )
    numbers = dict.fromkeys(("ok", "warning", "failed"), 0)

    def noted() -> Iterator[Finding]:
        for finding in found:
            numbers[finding.state] += 1
            yield finding

    if format_ == "table":
        _print(noted())
        told = ", ".join(f"{many} {state}" for state, many in numbers.items())
        click.echo(f"{counted(sum(numbers.values()), 'finding')}: {told}")
    else:
        output(
            ({column: str(getattr(finding, column)) or None for column in COLUMNS} for finding in noted()),
            format_,
            COLUMNS,
        )
    if numbers["failed"]:
        raise click.exceptions.Exit(1)


def _print(found: Iterable[Finding]) -> None:
    """Each finding as soon as it is there, the way out below it."""
    for finding in found:
        about = f"{finding.about}: " if finding.about else ""
        click.echo(wrapped(f"{finding.state:<8} {finding.check:<14} {about}{finding.found}"))
        if finding.remedy:
            click.echo(wrapped(f"{'':<8} {'':<14} → {finding.remedy}"))
