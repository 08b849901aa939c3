"""One question about members, counted in one snapshot: the raw values of a subject become one tally."""

from __future__ import annotations

import ipaddress
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Final

from ledger.records import UNATTRIBUTED, Tally, customer
from logviews.counting import Sum
from logviews.elastic import distinct
from logviews.elastic.counting import Count
from logviews.elastic.grouping import Stretch
from logviews.elastic.mappings import Held
from logviews.elastic.query import is_held
from logviews.store import Member

_WHOLE: Final = re.compile(r"0|-?[1-9][0-9]{0,18}")


def tallies(count: Count, members: Sequence[Member]) -> Iterator[Tally]:
    """One tally per subject that has messages, over exactly its members' spans.

    Raises:
        StoreUnavailable: when the store cannot answer exactly.
    """
    return _distinct(count, members) if count.query.aggregation == "distinct" else _combined(count, members)


def key_of(held: Held | None, text: str) -> object:
    """The key that a field's groups have for a customer value; None where no message has it."""
    if held is None or not text:
        return None
    match held.type:
        case "long":
            number = int(text) if _WHOLE.fullmatch(text) else None
            return number if number is not None and is_held(held, number) else None
        case "boolean":
            return text if text in ("true", "false") else None
        case "ip":
            try:
                return text if str(ipaddress.ip_address(text)) == text and "%" not in text else None
            except ValueError:
                return None
        case _:
            return text


def _combined(count: Count, members: Sequence[Member]) -> Iterator[Tally]:
    """Put together from the stretches between all members' beginnings and ends."""
    query = count.query
    first, last = query.edges[0], query.edges[-1]
    by_value: dict[str, list[Member]] = defaultdict(list)
    for member in members:
        by_value[member.value].append(member)
    edges = {edge for member in members for edge in (member.start, member.end) if first < edge < last}
    keys = [key for value in by_value if (key := key_of(count.customer, value)) is not None]
    sums: dict[str, Sum] = defaultdict(Sum)
    for tally in count.tallies(list(pairwise(sorted({first, last, *edges}))), keys):
        if tally.subject == UNATTRIBUTED:
            continue
        for member in by_value.get(tally.subject.id, ()):
            if member.start <= tally.start < member.end:
                sums[member.subject].add(tally, query.aggregation)
    nothing = 0 if query.aggregation == "sum" else None
    for subject, found in sums.items():
        amount = nothing if found.quantity is None else found.quantity
        moment, id_ = found.newest or (None, "")
        yield Tally(query.view, customer(subject), first, amount, found.messages, found.values, moment, id_)


@dataclass(slots=True)
class _Different:
    """What has been found of one subject. Of one with several members the values are kept, to count each once."""

    spans: int = 0
    messages: int = 0
    values: int = 0
    number: int = 0
    kept: set[object] = field(default_factory=set)


def _distinct(count: Count, members: Sequence[Member]) -> Iterator[Tally]:
    query = count.query
    first, last = query.edges[0], query.edges[-1]
    spans: dict[Stretch, dict[object, list[_Different]]] = defaultdict(lambda: defaultdict(list))
    subjects: dict[str, _Different] = defaultdict(_Different)
    for member in members:
        start, end = max(member.start, first), min(member.end, last)
        key = key_of(count.customer, member.value)
        if key is not None and start < end:
            spans[start, end][key].append(subjects[member.subject])
            subjects[member.subject].spans += 1
    for span, by_key in spans.items():
        for group in next(count.grouping.groups([span], list(by_key))).groups:
            for one in by_key.get(group.key, ()):
                one.messages += group.messages
                one.values += count.values(group)
        if count.held is not None:
            _add_values(count, count.held, span, by_key)
    for subject, found in subjects.items():
        if found.messages:
            amount = found.number if found.spans == 1 else len(found.kept)
            yield Tally(query.view, customer(subject), first, amount, found.messages, found.values)


def _add_values(count: Count, held: Held, span: Stretch, by_key: dict[object, list[_Different]]) -> None:
    pairs = distinct.pairs(count.grouping, held, span, list(by_key))
    for key, found in groupby(pairs, key=lambda pair: pair[0]):
        of_key = by_key.get(key, [])
        if all(one.spans == 1 for one in of_key):
            # -0 and 0 are two values to Elasticsearch, one after the other
            number = sum(1 for _ in groupby(value for _, value in found))
            for one in of_key:
                one.number += number
            continue
        values = {value for _, value in found}
        for one in of_key:
            one.number += len(values)
            one.kept |= values
