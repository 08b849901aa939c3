"""A filter that can never match what the store declares is refused, because it would count 0 without a word."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import load

FITS = [
    ("string", "a"), ("string", "'200'"), ("string", "{prefix: 5}"), ("string", "{exists: true}"),
    ("string", "[a, 'true']"), ("string", "{cidr: 10.0.0.0/8}"), ("integer", "200"), ("integer", "2.0"),
    ("integer", "{gte: 2, lt: 2.5}"),
    ("decimal", "2.5"), ("decimal", "{gt: 2}"), ("boolean", "true"), ("boolean", "{exists: false}"), ("ip", "10.0.0.1"),
    ("ip", "'::1'"), ("ip", "{cidr: [10.0.0.0/8]}"), ("time", "2026-10-01T00:00:00Z"),
    ("time", "{lt: 2026-10-01T00:00:00Z}"),
]  # fmt: skip
NEVER = [
    ("string", "200"), ("string", "true"), ("string", "{gt: 5}"), ("string", "{not: [a, 5]}"), ("integer", "'200'"),
    ("integer", "2.5"), ("integer", "true"), ("integer", "{prefix: 2}"), ("integer", "{lt: 2026-10-01T00:00:00Z}"),
    ("decimal", "x"), ("decimal", "false"), ("boolean", "1"), ("boolean", "'true'"), ("boolean", "{contains: t}"),
    ("ip", "10.0.0"), ("ip", "{wildcard: '10.*'}"), ("ip", "5"), ("time", "2026-10-01"), ("time", "{gt: 5}"),
    ("time", "{cidr: 10.0.0.0/8}"),
]  # fmt: skip


def write(folder: Path, declared: str, matcher: str) -> Path:
    path = folder / "t.yaml"
    store = f"{{type: embedded, folder: e, fields: {{time: t, customer: c}}, types: {{f.g: {declared}}}}}"
    view = f"views:\n  v:\n    store: s\n    where:\n      f.g: {matcher}\n"
    path.write_text(f"stores:\n  s:\n    {store}\n{view}")
    return path


@pytest.mark.parametrize(("declared", "matcher"), FITS)
def test_a_filter_that_can_match_is_accepted(declared: str, matcher: str, tmp_path: Path) -> None:
    assert load(write(tmp_path, declared, matcher), {}).config.views["v"].store == "s"


@pytest.mark.parametrize(("declared", "matcher"), NEVER)
def test_a_filter_that_never_matches_is_refused(declared: str, matcher: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(write(tmp_path, declared, matcher), {})
    [problem] = caught.value.problems
    assert (problem.place.line, problem.place.column) == (8, 12)
    assert problem.reason.startswith("views.v.where.f.g: ")
    assert problem.hint == f"stores.s.types declares f.g as {declared}"
