"""Messages as they are written: their text as it was sent, and the one field that says when."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from logviews.messages import Message, raw_text, text_of, values

ID_BYTES: Final = 512
"""The longest `_id` that Elasticsearch takes."""


@dataclass(frozen=True, slots=True)
class Written:
    """One message to be written: the number of its line, its id, and its text without the field that says when."""

    number: int
    id: str
    text: str

    def staged(self) -> bytes:
        """As one line of a file."""
        return f"{self.number}\t{json.dumps(self.id)}\t{self.text}\n".encode()

    def create(self) -> str:
        """The line of a bulk request that precedes the message."""
        return f'{{"create":{{"_id":{json.dumps(self.id)}}}}}'

    def source(self, ingested: str, at: str) -> str:
        """The message as it is stored: its text, with one more field at its beginning."""
        rest = self.text[1:].lstrip()
        return f"{{{json.dumps(ingested)}:{json.dumps(at)}{'' if rest.startswith('}') else ','}{rest}"


def unstaged(line: bytes) -> Written:
    """The message that `staged` gave."""
    number, id_, text = line.decode().rstrip("\n").split("\t", 2)
    return Written(int(number), json.loads(id_), text)


def to_be_written(number: int, text: str, message: Message, id_field: str, ingested: str) -> Written:
    """A checked message, ready to be written. Where it says itself when it was ingested, that is taken out."""
    id_ = raw_text(values(message, id_field)[0])
    if mentions(message, ingested):
        text = _text(without(message, ingested))
    return Written(number, id_, text)


def instant_text(at: datetime) -> str:
    """An instant as it is written into messages, to the millisecond."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"


def mentions(node: Any, field: str) -> bool:
    """Whether a message has a dotted field, if only to say that it is null."""
    if isinstance(node, list):
        return any(mentions(item, field) for item in node)
    if not isinstance(node, Mapping):
        return False
    if field in node:
        return True
    dot = field.find(".")
    while dot > 0:
        if field[:dot] in node and mentions(node[field[:dot]], field[dot + 1 :]):
            return True
        dot = field.find(".", dot + 1)
    return False


def without(node: Any, field: str) -> Any:
    """A message, or a part of one, without a dotted field, nor the objects that held nothing else."""
    if isinstance(node, list):
        return [without(item, field) for item in node]
    if not isinstance(node, Mapping):
        return node
    found: dict[str, Any] = {}
    for key, value in node.items():
        if key == field:
            continue
        kept = without(value, field[len(key) + 1 :]) if field.startswith(f"{key}.") else value
        if kept != {} or value == {}:
            found[key] = kept
    return found


def _text(node: Any) -> str:
    """A parsed message as JSON text, its numbers as they were written."""
    if node is None:
        return "null"
    if isinstance(node, list):
        return f"[{','.join(_text(item) for item in node)}]"
    if isinstance(node, Mapping):
        return f"{{{','.join(f'{json.dumps(key, ensure_ascii=False)}:{_text(item)}' for key, item in node.items())}}}"
    return text_of(node)
