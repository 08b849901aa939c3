"""Recognising a content by its bytes: by its first ones, by its last ones, and stretch by stretch.

The hash of the last `TAIL_BYTES` before the place up to which a file was read tells whether what was read is still
there: a look at a growing file costs that and what is new, however long the file is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import BinaryIO, Final

from ledger.following import Stretch

HEAD_BYTES: Final = 1024
TAIL_BYTES: Final = 64 * 1024
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Match:
    """How much of a content a file begins with: whole stretches up to `bytes`.

    `whole`: all stretches that there are; `ended`: the file ends inside the next one, `following`.
    """

    content_id: int
    bytes: int
    lines: int
    whole: bool
    ended: bool
    following: Stretch | None


def match(stream: BinaryIO, content_id: int, stretches: Iterable[Stretch]) -> Match:
    """Compares a stream from its beginning with a content; one pass, up to the first stretch that differs."""
    end = lines = 0
    for one in stretches:
        digest, missing = hashlib.sha256(), one.bytes
        while missing and (chunk := stream.read(min(_CHUNK, missing))):
            digest.update(chunk)
            missing -= len(chunk)
        if missing or digest.hexdigest() != one.sha256:
            return Match(content_id, end, lines, whole=False, ended=missing > 0, following=one)
        end, lines = one.end, one.lines_through
    return Match(content_id, end, lines, whole=True, ended=False, following=None)


def tail_sha256(stream: BinaryIO, end: int) -> str | None:
    """The hash of the last bytes before a place of a stream that can seek; None when it ends before that place."""
    start = max(0, end - TAIL_BYTES)
    stream.seek(start)
    found = read_exactly(stream, end - start)
    return sha256(found) if len(found) == end - start else None


def read_exactly(stream: BinaryIO, length: int) -> bytes:
    """So many bytes of a stream, fewer only at its end."""
    found = bytearray()
    while len(found) < length and (chunk := stream.read(min(_CHUNK, length - len(found)))):
        found += chunk
    return bytes(found)


def within(one: BinaryIO, other: BinaryIO, start: int) -> bool:
    """Whether what a stream says from a place on is what the other one says there, or the beginning of it.

    Reads `one` first: while it is a copy that is being made of `other`, it is never ahead of it.
    """
    skip(one, start)
    skip(other, start)
    while here := read_exactly(one, _CHUNK):
        if read_exactly(other, len(here)) != here:
            return False
    return True


def skip(stream: BinaryIO, length: int) -> int:
    """Passes over so many bytes of a stream; gives how many there were."""
    passed = 0
    while passed < length and (chunk := stream.read(min(_CHUNK, length - passed))):
        passed += len(chunk)
    return passed


def measure(stream: BinaryIO, start: int, lines_before: int, length: int) -> Stretch:
    """A stream's bytes from `start` as a stretch that became no part; the stream stands at its beginning."""
    skip(stream, start - TAIL_BYTES)
    tail = read_exactly(stream, min(start, TAIL_BYTES))
    digest, total, lines = hashlib.sha256(), 0, 0
    while total < length and (chunk := stream.read(min(_CHUNK, length - total))):
        digest.update(chunk)
        total += len(chunk)
        lines += chunk.count(b"\n")
        tail = (tail + chunk)[-TAIL_BYTES:]
    return Stretch(start, total, lines_before, lines, digest.hexdigest(), sha256(tail))


def sha256(of: bytes) -> str:
    """The hash of some bytes."""
    return hashlib.sha256(of).hexdigest()
