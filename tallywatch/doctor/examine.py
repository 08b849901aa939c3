"""The examination: every check in its order. What one needs and another found missing is left out."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from datetime import datetime
from pathlib import Path

from config.errors import ConfigError, TallywatchError
from config.load import Loaded, load
from ledger.database import REVISIONS, Database, open_database, schema_of
from notifiers.probe import Probe
from tallywatch.doctor import clocks, elastic, machine, mail, people, state, stores
from tallywatch.doctor.finding import Check, Finding, failed, ok

Clock = Callable[[], datetime]


def examine(path: Path, now: Clock, *, send_test: bool = False) -> Iterator[Finding]:
    """Every finding, as soon as it is made. Writes nothing that stays, and sends nothing but test messages.

    Costs one count of each view's present month, and one conversation with the mail server.
    """
    yield from machine.packages()
    yield from machine.time_zones()
    loaded = yield from _configuration(path)
    if loaded is None:
        return
    database = yield from _database(loaded, now())
    try:
        if database is not None:
            yield from _of_the_ledger(loaded, database, now)
        yield from stores.places(loaded)
        if database is not None:
            yield from _guarded(Check.PARTS, lambda: stores.contents(loaded, database, now()))
            silent = yield from _clusters(loaded, database, now)
            yield from _guarded(Check.VIEW, lambda: stores.views(loaded, database, now(), without=silent))
        yield from people.roster(loaded)
        yield from _of_mail(loaded, database, now, send_test=send_test)
        yield from machine.exports(loaded)
        yield from machine.disk(loaded, database)
    finally:
        if database is not None:
            database.close()


def alive(path: Path, now: Clock) -> Iterator[Finding]:
    """Whether the service works, and nothing else: for those who ask every minute. Reads the configuration."""
    loaded = yield from _configuration(path, quiet=True)
    if loaded is None:
        return
    settings = loaded.config.settings

    def look() -> Iterator[Finding]:
        if schema_of(settings.database) != REVISIONS[-1]:
            yield failed(Check.SERVICE, "", "the ledger is not one of this version", "start it: tallywatch run")
            return
        database = open_database(settings.database, simulation=settings.simulation, now=now())
        try:
            yield state.service(database, now(), needed=True)
        finally:
            database.close()

    yield from _guarded(Check.SERVICE, look)


def _configuration(path: Path, *, quiet: bool = False) -> Generator[Finding, None, Loaded | None]:
    """The configuration, if it can be loaded; a finding for each problem. `quiet`: nothing where there is none."""
    remedy = "tallywatch check says the same, and touches nothing else"
    try:
        loaded = load(path)
    except ConfigError as error:
        for problem in error.problems:
            yield failed(Check.CONFIGURATION, "", str(problem), remedy)
        return None
    except (TallywatchError, OSError) as error:
        yield failed(Check.CONFIGURATION, "", str(error), remedy)
        return None
    if not quiet:
        config = loaded.config
        numbers = [
            f"{len(section):,} {word}{'' if len(section) == 1 else 's'}"
            for section, word in (
                (config.stores, "store"),
                (config.views, "view"),
                (config.monitors, "monitor"),
                (config.exports, "export"),
            )
        ]
        yield ok(Check.CONFIGURATION, "", f"{path}: {', '.join(numbers)}")
    return loaded


def _database(loaded: Loaded, at: datetime) -> Generator[Finding, None, Database | None]:
    """The ledger, if there is one of this version. Makes and upgrades none."""
    settings = loaded.config.settings
    try:
        revision = schema_of(settings.database)
        yield state.schema(settings.database, revision)
        if revision != REVISIONS[-1]:
            return None
        return open_database(settings.database, simulation=settings.simulation, now=at)
    except TallywatchError as error:
        yield failed(Check.DATABASE, "", str(error), "without the ledger nothing works; what needs it was not checked")
        return None


def _of_the_ledger(loaded: Loaded, database: Database, now: Clock) -> Iterator[Finding]:
    yield from _guarded(Check.DATABASE, lambda: [state.database(database)])
    yield from _guarded(Check.SERVICE, lambda: [state.service(database, now())])
    yield from _guarded(Check.EVALUATIONS, lambda: state.evaluations(loaded, database, now()))
    yield from _guarded(Check.OUTBOX, lambda: state.outbox(database, now()))
    yield from _guarded(Check.ADDRESSES, lambda: [state.addresses(database)])


def _clusters(loaded: Loaded, database: Database, now: Clock) -> Generator[Finding, None, frozenset[str]]:
    """What there is to say of stores in Elasticsearch; gives the names of those that cannot be counted at all."""
    silent = set()
    for finding in _guarded(Check.CLUSTER, lambda: elastic.examine(loaded, database, now)):
        if finding.state == "failed":
            silent.add(finding.about.removeprefix("store "))
        yield finding
    return frozenset(silent)


def _of_mail(loaded: Loaded, database: Database | None, now: Clock, *, send_test: bool) -> Iterator[Finding]:
    settings = loaded.config.settings.email
    server = mail.server_of(settings)
    able = mail.channel(settings, server)
    yield able
    told = server if isinstance(server, Probe) else None
    yield from _guarded(Check.CLOCK, lambda: clocks.clock(now, database, told))
    if not send_test:
        return
    if able.state == "failed":
        yield failed(Check.TEST_MESSAGE, "", "not sent, because no message can leave", "mend that, and try again")
    else:
        yield from _guarded(Check.TEST_MESSAGE, lambda: mail.send_test(loaded, now()))


def _guarded(check: Check, look: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    """What a check finds; a check that cannot be made is a finding, and stops no other."""
    try:
        yield from look()
    except (TallywatchError, OSError) as error:
        yield failed(check, "", str(error), "mend that, and try again")
