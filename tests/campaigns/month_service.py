"""The real service for the month: its configuration on disk, its clock, its mail server, and ways to die."""

from __future__ import annotations

import asyncio
import csv
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import smtp_server
from month_people import GONE
from month_plan import SETTLE, Plan
from month_schedule import Step
from month_telling import OPERATIONS
from smtp_server import AFTER_DOT, DROP, Behaviour, MailServer
from sqlalchemy import Connection

from config.load import load
from ledger import holds
from ledger.database import Database, open_database
from ledger.lease import lease
from tallywatch.service.service import Service

CONFIGURATION = """
settings:
  database: "{database}"
  zone: Europe/Stockholm
  email: {{transport: smtp, host: 127.0.0.1, port: {port}, start_tls: false, connections: 2, timeout: 20s,
          sender: Usage <usage@example.com>}}
stores:
  api:
    type: embedded
    folder: events/api
    read: [{logs}/api*.jsonl*]
    fields: {{time: "@timestamp", customer: customer.id, id: event.id}}
    lateness: 48h
    stale_after: 5h
  sync:
    type: embedded
    folder: events/sync
    read: {logs}/sync*.jsonl*
    fields: {{time: "@timestamp", customer: customer.id, id: event.id}}
    lateness: 48h
    stale_after: 5h
tiers:
  basic: {{fee: 50, recommend: pro, prices: {{api_calls: {{included: {included}, overage: 0.10}}}}}}
  pro: {{fee: 120, prices: {{api_calls: {{included: 900, overage: {overage}}}}}}}
customers: {{file: customers.csv}}
recipients:
  ops: {{email: [{ops}]}}
views:
  calls: {{title: API calls, store: api, meter: api_calls, where: {{http.response.status_code: {{gte: 200, lt: 300}}}}}}
  basic_calls:
    store: api
    customers: {{tier: basic}}
    where: {{http.response.status_code: {{gte: 200, lt: 300}}}}
  syncs: {{store: sync, unit: syncs}}
monitors:
  monthly:
    view: calls
    window: billing month
    schedule: {{every: {every}m}}
    thresholds:
      approaching: {{severity: warning, max: 90%}}
      well_over: {{severity: error, max: 110%}}
    notify:
      warn: {{when: approaching, to: customer, template: near_limit, days: 25-28, hours: "08:00-18:00"}}
      over: {{when: well_over, to: customer}}
      page: {{when: [well_over, unavailable], to: ops, repeat: 24h, recovery: true}}
  daily_syncs:
    view: syncs
    window: day
    schedule: {{every: {every}m}}
    thresholds:
      quiet: {{severity: warning, min: 3, grace: 4h}}
    notify:
      low: {{when: quiet, to: ops, repeat: 6h, recovery: true}}
  weekly_total:
    view: basic_calls
    per: total
    window: week
    schedule: {{cron: "0 */6 * * *"}}
    thresholds:
      heavy: {{severity: error, max: {heavy}}}
      thin: {{severity: warning, min: {thin}, grace: 2h}}
    notify:
      all: {{when: [heavy, thin], to: ops, recovery: true}}
{more}
exports:
  statistics: {{views: calls, layout: statistics, settle: {settle}h, approve: auto}}
  billing: {{views: calls, layout: charges, settle: {settle}h, approve: auto}}
"""

MORE = """
  weekly_each:
    view: calls
    window: week
    schedule: {{every: {every}m}}
    thresholds:
      busy: {{severity: warning, max: 35}}
    notify:
      tell: {{when: busy, to: customer}}
"""


COLUMNS = ("id", "aliases", "name", "tier", "emails", "zone", "language", "billing_day", "from", "until")


class Killed(BaseException):
    """The process died here. Nothing that catches failures catches this."""


@dataclass
class Fuse:
    """Burns down by one before and after each write transaction; None is out."""

    left: int | None = None

    def burn(self) -> None:
        """Dies when the fuse has burnt down."""
        if self.left is None:
            return
        if self.left <= 0:
            self.left = None
            raise Killed
        self.left -= 1


@dataclass(frozen=True)
class MortalDatabase(Database):
    """The real database, in a process that dies before or after a commit."""

    fuse: Fuse = field(default_factory=Fuse)

    @contextmanager
    def begin(self) -> Iterator[Connection]:
        """As the real one."""
        self.fuse.burn()
        with super().begin() as connection:
            yield connection
        self.fuse.burn()


class Mail(MailServer):
    """The mail server, which can also close its door. `windows` are the instants at which it took a message that
    nobody could be sure of: the answer was lost, or whoever sent it died."""

    def __init__(self) -> None:
        super().__init__(Behaviour(recipients={GONE: "550 5.1.1 no such user"}))
        self.now: datetime | None = None
        self.taken_at: list[datetime | None] = []
        self.windows: set[datetime] = set()

    def become(self, fault: str) -> None:
        """Fails in that way from now on, until told otherwise."""
        faults = {
            "": {},
            "refuse": {},
            "451": {"RCPT": "451 4.3.0 try again later"},
            "421": {"EHLO": "421 4.3.2 closing"},
            "drop DATA": {"DATA": DROP},
            "drop after dot": {AFTER_DOT: DROP},
        }
        self.behaviour.at = faults[fault]
        listening = self._server is not None and self._server.is_serving()
        if (fault == "refuse") == listening:
            done = threading.Event()
            asyncio.run_coroutine_threadsafe(self._door(done, shut=listening), self._loop)
            assert done.wait(10)

    def note(self, at: datetime) -> None:
        """Remembers at which instant of the month messages were taken."""
        self.taken_at += [at] * (len(self.accepted) - len(self.taken_at))

    async def _door(self, done: threading.Event, *, shut: bool) -> None:
        assert self._server is not None
        if shut:
            self._server.close()
            for client in list(self.clients):
                client.abort()
        else:
            self._server = await self._loop.create_server(self._factory, "127.0.0.1", self.port)
        done.set()

    def _factory(self) -> asyncio.Protocol:
        return smtp_server._Session(self, self._loop)  # the same as behind the first door


class Life:
    """The service, from one death to the next."""

    def __init__(self, base: Path, mail: Mail, start: datetime) -> None:
        self.base, self.mail, self.now = base, mail, start
        self.restarts = 0
        self._stack: ExitStack | None = None
        self._service: Service | None = None
        self._fuse = Fuse()

    def live(self, step: Step) -> None:
        """One tick and one delivery; if it dies on the way, again at the same instant."""
        self.now, self._fuse.left = step.at, step.kill
        try:
            self._once(step)
        except Killed:
            self.mail.windows.add(step.at)
        self._fuse.left = None
        if step.kill is not None:
            self.die()
            self._once(step)
        self.mail.note(step.at)

    def _once(self, step: Step) -> None:
        service = self.service()
        if step.change == "again":
            service.ask_for_reload()
        service.tick()
        service.deliver()

    def deliver(self, at: datetime) -> None:
        """Another delivery, later."""
        self.now = at
        self.service().deliver()
        self.mail.note(at)

    def release(self) -> int:
        """Lets leave whatever is held, as a person does who has looked at it."""
        with self.service().database.begin() as connection:
            held = holds.list_holds(connection, status="held")
            for hold in held:
                holds.release(connection, hold.id, at=self.now, actor="a person", reason="looked at")
        return len(held)

    def lose(self, *, lost: bool) -> None:
        """Takes the parts of the store `api` away, or brings them back."""
        folder, elsewhere = self.base / "events" / "api", self.base / "elsewhere"
        elsewhere.mkdir(exist_ok=True)
        source, target = (folder, elsewhere) if lost else (elsewhere, folder)
        for path in source.rglob("*.parquet"):
            (target / path.relative_to(source)).parent.mkdir(parents=True, exist_ok=True)
            path.replace(target / path.relative_to(source))

    def service(self) -> Service:
        """The service, started where it is not running, as `tallywatch run` starts it."""
        if self._service is None:
            self.restarts += 1
            path = self.base / "tallywatch.yaml"
            with ExitStack() as stack:
                loaded = load(path)
                opened = open_database(loaded.config.settings.database, simulation=False, now=self.now)
                stack.callback(opened.close)
                held = stack.enter_context(lease(opened))
                database = MortalDatabase(opened.engine, opened.backend, opened.simulation, self._fuse)
                self._service = Service(path, loaded, database, held, lambda: self.now)
                stack.callback(self._service.close)
                self._stack = stack.pop_all()
        return self._service

    def die(self) -> None:
        """Ends without notice: whatever was on the wires is cut off."""
        if self._stack is not None:
            self.mail.drop_everybody()
            self._stack.close()
        self._stack = self._service = None


def configure(plan: Plan, base: Path, database: str, port: int, at: datetime, *, broken: bool = False) -> None:
    """Writes the configuration that is in force at an instant, or one that nobody can use."""
    setup = plan.world().setup(at)
    weekly = {threshold.name: threshold.value for threshold in plan.monitors[2].thresholds}
    text = CONFIGURATION.format(
        database=database,
        port=port,
        logs=base / "logs",
        ops=", ".join(OPERATIONS),
        every=plan.every_minutes,
        settle=int(SETTLE.total_seconds()) // 3600,
        included=setup.tiers["basic"].included,
        overage=setup.tiers["pro"].overage,
        more=MORE.format(every=plan.every_minutes) if setup is not plan.setups[0] else "",
        **weekly,
    )
    path, people = base / "tallywatch.yaml", base / "customers.csv"
    path.write_text(text + ("monitros: {}\n" if broken else ""))
    with people.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for number, one in enumerate(setup.customers):
            span = (day.isoformat() if day is not None else "" for day in (one.valid_from, one.valid_until))
            writer.writerow(
                (one.id, ";".join(one.aliases), "", one.tier, ";".join(one.emails), one.zone,
                 ("en", "sv", "de", "")[number % 4], one.billing_day, *span)
            )  # fmt: skip
    for file_ in (path, people):
        os.utime(file_, (plan.start.timestamp(), at.timestamp() + broken))
