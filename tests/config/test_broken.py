"""Broken configurations, one file each: the file's name is the case, its first lines say what is expected."""

from __future__ import annotations

from pathlib import Path

import pytest

from config.errors import ConfigError
from config.load import load

BROKEN = Path(__file__).parent / "broken"
CASES = sorted(path.name for path in BROKEN.glob("*.yaml"))
JARGON = (
    "Input should",
    "pydantic",
    "Field required",
    "dictionary",
    "tuple",
    "valid string",
    "NoneType",
    "Value error",
)


def expected(name: str) -> list[str]:
    lines = (BROKEN / name).read_text(encoding="utf-8").splitlines()
    wanted = [line.removeprefix("# expect: ") for line in lines if line.startswith("# expect: ")]
    return [f"{name}:{line}" if line[0].isdigit() else line for line in wanted]


@pytest.mark.parametrize("name", CASES)
def test_a_broken_configuration_is_told_by_place_reason_and_hint(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN)
    with pytest.raises(ConfigError) as caught:
        load(Path(name), {})
    assert str(caught.value).splitlines() == expected(name)
    assert caught.value.exit_status == 2


@pytest.mark.parametrize("name", CASES)
def test_no_problem_speaks_the_language_of_a_library(name: str) -> None:
    assert expected(name), "a case must say what it expects"
    assert not [word for word in JARGON for line in expected(name) if word in line]


def test_there_are_many_broken_configurations() -> None:
    assert len(CASES) >= 30


def test_a_password_in_a_database_url_is_never_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(BROKEN)
    with pytest.raises(ConfigError) as caught:
        load(Path("setting-database-of-another-kind.yaml"), {})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.__cause__)
