"""Closing: whether a month's statements may be sealed, and sealing them, each in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Literal

from config.errors import TallywatchError
from config.roster import byte_order
from config.values import zone_info
from exporters.review import CANNOT_FALL, breaks, differs, held
from exporters.seal import file_path, render, seal_of
from exporters.statements import Accounts, Draft, named
from ledger import audit, definitions, statements
from ledger.database import Database
from ledger.statements import Approval, SealedStatement, Statement, StatementKey

State = Literal["closed", "already closed", "to review", "too early", "held"]


class NotClosedError(TallywatchError):
    """The answer is bad news: something of the month is not closed."""

    exit_status = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one statement, and the draft that was looked at, if any. `sentence` says why, and what to do."""

    key: StatementKey
    state: State
    sentence: str
    draft: Draft | None = None


def close_month(
    database: Database,
    accounts: Accounts,
    month: str,
    exports: Sequence[str],
    *,
    approve: bool,
    actor: str,
    since: datetime | None = None,
) -> tuple[Outcome, ...]:
    """Closes whatever statements of the month may be closed; the rest say why not. No file is written here.

    With `since`, statements whose periods had ended by then are left alone.

    Everything is counted before anything is sealed, so that a store that fails leaves nothing behind.

    Raises:
        StoreUnavailable: when a log store cannot answer exactly; nothing was written.
        NotClosedError: when no customer has a contract in the month.
    """
    keys = accounts.keys(month, exports)
    if since is not None:
        keys = tuple(key for key in keys if accounts.event_cutoff(key) > since)
    if not keys:
        raise NotClosedError(f"no customer of the roster has a contract in {month}, so there is nothing to close")
    with database.connect() as connection:
        closed = {item.statement.key: item for item in statements.of_month(connection, month)}
    owners = {item.file.path: key for key, item in closed.items()}
    looked_at: list[Outcome | Draft] = []
    for key in keys:
        owner = owners.setdefault(file_path(key), key)
        if key in closed:
            looked_at.append(_already(closed[key], _without_line(database, accounts, key)))
        elif owner != key:
            looked_at.append(Outcome(key, "held", _same_path(key, owner)))
        else:
            looked_at.append(_looked_at(database, accounts, key, approve=approve))
    approved: Approval = "by hand" if approve else "auto"
    return tuple(
        item if isinstance(item, Outcome) else _closed(database, item, accounts.at, approved, actor)
        for item in looked_at
    )


def draft_open(database: Database, accounts: Accounts, month: str, exports: Sequence[str]) -> tuple[Draft, ...]:
    """Drafts of the month's statements that are not closed, counted up to `accounts.until`. Nothing is written.

    Raises:
        StoreUnavailable: when a log store cannot answer exactly.
        NotClosedError: when everything is closed, or nothing of the month has begun.
    """
    wanted = not_closed(database, accounts, month, exports)
    if not wanted and accounts.keys(month, exports):
        raise NotClosedError(f"{month} is closed, and so no longer provisional; run the command without --provisional")
    begun = [key for key in wanted if accounts.start(key) < accounts.at]
    if not begun:
        raise NotClosedError(f"nobody has a billing month that started in {month} already; there is nothing to count")
    return tuple(accounts.draft(key) for key in begun)


def not_closed(database: Database, accounts: Accounts, month: str, exports: Sequence[str]) -> tuple[StatementKey, ...]:
    """The month's statements that the configuration asks for and the ledger does not have."""
    with database.connect() as connection:
        closed = {item.statement.key for item in statements.of_month(connection, month)}
    return tuple(key for key in accounts.keys(month, exports) if key not in closed)


def seal(database: Database, draft: Draft, *, at: datetime, approved: Approval, actor: str) -> bool:
    """Writes statement, lines, definitions, the file's hash and an audit row in one transaction.

    False when the statement is there already: another process was first, and nothing was written.
    """
    content = render(draft.layout, draft.lines)
    head, file = draft.statement(at, approved), seal_of(draft.key, content)
    with database.begin() as connection:
        month = statements.of_month(connection, draft.key.month)
        if any(item.statement.key == draft.key for item in month):
            return False
        _refuse_same_path(head, file.path, month)
        definitions.record(connection, draft.definitions, at)
        statements.insert(connection, head, draft.lines, file)
        audit.record(
            connection,
            at=at,
            actor=actor,
            action="close",
            object_=f"statement {draft.key}",
            after={
                "rows": len(draft.lines),
                "sha256": file.sha256,
                "approved": approved,
                "definitions": dict(head.definitions),
                "integrity": draft.figures,
            },
        )
    return True


def _looked_at(database: Database, accounts: Accounts, key: StatementKey, *, approve: bool) -> Draft | Outcome:
    """The draft when it may be sealed now, else why not."""
    ready = accounts.closable_from(key)
    if accounts.at < ready:
        local = ready.astimezone(zone_info(accounts.config.settings.zone)).isoformat(timespec="seconds")
        return Outcome(key, "too early", f"{key} can be closed from {local}")
    export = accounts.config.exports[key.export]
    compared = [name for name in export.views if accounts.config.views[name].aggregation in CANNOT_FALL]
    draft = accounts.draft(key)
    with database.connect() as connection:
        told = statements.stated_quantities(connection, compared, accounts.start(key))
        reason = held(draft, told, export.tolerance) or differs(draft, export.tolerance)
        covered = statements.covered(connection, key.export, _around(key.month))
        draft = replace(draft, concerns=(*draft.concerns, *breaks(draft, covered, accounts.roster)))
    if reason is not None:
        return Outcome(key, "held", reason, draft)
    if not approve and (export.approve == "manual" or draft.concerns):
        return Outcome(key, "to review", _review(draft), draft)
    return draft


def _closed(database: Database, draft: Draft, at: datetime, approved: Approval, actor: str) -> Outcome:
    if seal(database, draft, at=at, approved=approved, actor=actor):
        return Outcome(draft.key, "closed", f"{draft.key} is closed: {_rows(len(draft.lines))}", draft)
    return Outcome(draft.key, "already closed", f"{draft.key} was closed meanwhile by another process")


def _already(item: SealedStatement, without_line: Sequence[str]) -> Outcome:
    head = item.statement
    closed_at = head.closed_at.isoformat(timespec="seconds")
    sentence = f"{head.key} was already closed at {closed_at}: {_rows(item.rows)}"
    if without_line:
        sentence += f"; it stays so, though these customers of the roster have no line in it: {named(without_line)}"
    return Outcome(head.key, "already closed", sentence)


def _without_line(database: Database, accounts: Accounts, key: StatementKey) -> list[str]:
    """Who would have a line in a closed statement by today's roster, and has none."""
    with database.connect() as connection:
        stated = {item.customer for item in statements.covered(connection, key.export, [key.month])}
    return sorted(accounts.expected(key) - stated, key=byte_order)


def _around(month: str) -> list[str]:
    """The month before, the month itself and the month after: those whose periods can meet the month's."""
    number = int(month[:4]) * 12 + int(month[5:]) - 1
    return [f"{one // 12:04}-{one % 12 + 1:02}" for one in range(number - 1, number + 2)]


def _review(draft: Draft) -> str:
    concerns = "".join(f"; {concern}" for concern in draft.concerns)
    return (
        f"{draft.key} is not closed yet: look at the figures{concerns}; then run: "
        f"tallywatch close {draft.key.month} --export {draft.key.export} --approve"
    )


def _refuse_same_path(head: Statement, path: str, month: Iterable[SealedStatement]) -> None:
    """An export called billing-day15 would share a file with billing's customers of billing day 15."""
    for item in month:
        if item.file.path == path:
            raise NotClosedError(_same_path(head.key, item.statement.key))


def _same_path(key: StatementKey, owner: StatementKey) -> str:
    return f"{key} cannot be closed, because {file_path(key)} is the file of {owner}; rename one of the exports"


def _rows(number: int) -> str:
    return f"{number} customer{'' if number == 1 else 's'}"
