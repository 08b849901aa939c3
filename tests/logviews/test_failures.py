"""What the engine says while files are taken in: Ctrl-C is Ctrl-C wherever it came, and a bad line is no bad place."""

from __future__ import annotations

from pathlib import Path
from typing import NoReturn

import duckdb
import pytest

from logviews.embedded import engine
from logviews.intake import failures
from logviews.intake.files import IngestError, IngestPlaceError

FOLDER = Path("events")


def failing(sql: str) -> BaseException:
    """What is made of the error that some SQL ends with."""

    def press(_: str) -> NoReturn:
        raise KeyboardInterrupt

    with engine.connection() as connection:
        engine.add_function(connection, "press", press, ["VARCHAR"], "VARCHAR")
        with pytest.raises(duckdb.Error) as raised:
            connection.execute(sql).fetchall()
    return failures.of_engine("log", FOLDER, raised.value)


def test_ctrl_c_in_a_function_that_the_engine_calls_is_ctrl_c() -> None:
    assert isinstance(failing("SELECT press('x')"), KeyboardInterrupt)


def test_what_fails_around_a_file_is_not_the_files_fault() -> None:
    assert isinstance(failing("SELECT * FROM read_parquet('nowhere.parquet')"), IngestPlaceError)
    refused = failing("SELECT error('bad line')")
    assert isinstance(refused, IngestError)
    assert not isinstance(refused, IngestPlaceError)
    assert str(refused) == "log: cannot be taken in: Invalid Input Error: bad line"
