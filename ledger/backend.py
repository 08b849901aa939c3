"""What a database engine has to do for the ledger, and what goes wrong with one."""

from __future__ import annotations

from typing import Final, Protocol

from sqlalchemy import Engine

from config.errors import TallywatchError, UsageError

PATIENCE_SECONDS: Final = 10.0
"""How long a transaction waits for another process's lock."""

WRITING: Final = "tallywatch_writing"
"""The execution option of a connection whose transaction will write."""


class LedgerError(TallywatchError):
    """The ledger's database cannot be read or written; nothing of the transaction was kept."""


class LedgerChoiceError(LedgerError, UsageError):
    """The configuration names a database that cannot be its own: of another kind, or simulated where it is not."""

    exit_status = 2


class Backend(Protocol):
    """An engine that the ledger can live in.

    Its connections give every write transaction the ledger to itself, and every other transaction one snapshot.
    """

    @property
    def name(self) -> str:
        """What sentences call the database; without a password."""
        ...

    def engine(self) -> Engine:
        """Connections to the database. Opens none yet."""
        ...

    def prepare(self, engine: Engine) -> None:
        """What a database needs before it is used, new or restored from a backup; costs nothing when it has it."""
        ...

    def sentence(self, error: BaseException) -> str:
        """What the driver's error means to an operator."""
        ...
