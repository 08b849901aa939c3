"""PostgreSQL as the ledger's database.

Every write transaction takes one advisory lock first, which makes writers wait for one another as SQLite's do: what is
read in a transaction that decides is still true when it is written, without retries and without isolation anomalies.
Transactions that read see one snapshot (REPEATABLE READ, READ ONLY) and wait for nobody.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import URL, Connection, Engine, create_engine, event

from ledger.backend import PATIENCE_SECONDS, WRITING, LedgerChoiceError

WRITER_LOCK: Final = 0x74616C6C79  # "tally"
"""The advisory lock that a write transaction holds until it ends."""

_CONNECT_SECONDS: Final = 10
# classes of SQLSTATE: https://www.postgresql.org/docs/current/errcodes-appendix.html
_SENTENCES: Final = {
    "55P03": (
        f"is in use by another process, for more than {PATIENCE_SECONDS:.0f} seconds; try again when that is done"
    ),
    "53100": "cannot grow, because the server's disk is full; make room and try again (nothing was half written)",
    "53300": "has no connection to spare; raise max_connections, or close other programs",
    "25006": "cannot be written: the server allows reading only; name the primary server",
    "42501": "may not be written by this user; grant it CREATE on the schema, and its own tables",
    "28P01": "refuses the password; set TALLYWATCH_SETTINGS__DATABASE, or correct the URL",
    "28000": "refuses this user",
    "3D000": "does not exist on that server; create it (createdb)",
    "57P01": "was shut down; try again when it is back",
    "57P03": "is starting or shutting down; try again shortly",
}


@dataclass(frozen=True, slots=True)
class PostgreSQL:
    """A ledger on a server."""

    url: URL

    @property
    def name(self) -> str:
        """What sentences call the database: its URL without the password."""
        return self.url.set(drivername="postgresql").render_as_string(hide_password=True)

    @classmethod
    def of(cls, url: URL) -> PostgreSQL:
        """The server that a URL names; the driver is psycopg, whatever the URL says of one.

        Raises:
            LedgerChoiceError: when the URL names no database.
        """
        if not url.database:
            raise LedgerChoiceError(
                "settings.database names no database; write postgresql://USER@HOST/DATABASE, with the database's name"
            )
        return cls(url.set(drivername="postgresql+psycopg"))

    def engine(self) -> Engine:
        """Connections to the server; one that broke since it was last used is replaced before it is used again."""
        made = create_engine(
            self.url,
            pool_pre_ping=True,
            connect_args={"connect_timeout": _CONNECT_SECONDS, "application_name": "tallywatch"},
        )
        event.listen(made, "begin", _on_begin)
        return made

    def prepare(self, engine: Engine) -> None:
        """Nothing: the server keeps its own files."""

    def sentence(self, error: BaseException) -> str:
        """What the driver's error means to an operator."""
        state = _state(error) or _state_of_connecting(str(error))
        if state in _SENTENCES:
            return f"{self.name} {_SENTENCES[state]}"
        first = " ".join(str(error).split())
        if state is None:
            return f"{self.name} cannot be reached: {first}"
        return f"{self.name}: the database refuses: {first}"


def _on_begin(connection: Connection) -> None:
    if connection.get_execution_options().get(WRITING, False):
        connection.exec_driver_sql(f"SET LOCAL lock_timeout = '{PATIENCE_SECONDS:.0f}s'")
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({WRITER_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def _state(error: Any) -> str | None:
    found = getattr(error, "sqlstate", None)
    return None if found is None else str(found)


def _state_of_connecting(said: str) -> str | None:
    """While connecting the driver passes on the server's words without its SQLSTATE, and the words may be translated;
    what is not recognised is told as it is."""
    if "password authentication failed" in said:
        return "28P01"
    return "3D000" if 'database "' in said and "does not exist" in said else None
