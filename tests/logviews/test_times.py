"""A message's time means the same in Python and in SQL, to the millisecond; what means nothing is refused by both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from logviews import messages
from logviews.embedded import engine
from logviews.messages import Number, Value
from logviews.times import TimeRule, from_milliseconds, milliseconds

ZONES = ["Europe/Stockholm", "Australia/Lord_Howe", "America/Santiago"]
PATTERNS = [
    "%Y-%m-%d %H:%M:%S",
    "%Y-%m-%dT%H:%M:%S.%f%z",
    "%d/%b/%Y:%H:%M:%S %z",
    "%y%j %I:%M %p",
    "%A %a %B %d %Y %H.%M",
    "%% %Y%m%d%H%M",
    "%Y  %m %d\t%H:%M",
]
OFFSETS = [
    "Z",
    "z",
    "+02",
    "+0200",
    "+02:00",
    "-0530",
    "+05:30:15",
    "+053015",
    "+05:30:15.5",
    "+24:00",
    "+02:60",
    "",
    " +0200",
]
Sql = Callable[[TimeRule, Sequence[Value], bool], "list[int | None]"]


@pytest.fixture(scope="module")
def sql() -> Iterator[Sql]:
    with engine.connection() as connection:
        asked: list[TimeRule] = []

        def exact(column: str | None) -> int | None:
            return asked[-1].exact_milliseconds(column)

        engine.add_function(connection, "exact_time", exact, ["VARCHAR"], "BIGINT")

        def ask(rule: TimeRule, values: Sequence[Value], exact: bool = True) -> list[int | None]:
            asked.append(rule)
            texts = [messages.text_of(value) for value in values]
            column = rule.sql("c", "exact_time" if exact else None)
            found = connection.execute(
                f"SELECT i, {column} FROM (SELECT unnest($c::VARCHAR[]) AS c, unnest(range(len($c))) AS i) ORDER BY i",
                {"c": texts},
            ).fetchall()
            return [row[1] for row in found]

        yield ask


def read(rule: TimeRule, value: Value) -> int | None:
    try:
        return milliseconds(rule.read(value))
    except ValueError:
        return None


def agree(sql: Sql, rule: TimeRule, values: Sequence[Value]) -> None:
    wanted = [read(rule, value) for value in values]
    assert list(zip(values, sql(rule, values, True), strict=True)) == list(zip(values, wanted, strict=True))
    # what SQL alone cannot tell is NULL, never something else
    assert all(alone in (right, None) for alone, right in zip(sql(rule, values, False), wanted, strict=True))


TIMES = st.builds(
    lambda day, clock, fraction, offset: day + clock + fraction + offset,
    st.sampled_from(["2026-10-01", "0000-12-31", "0001-01-01", "9999-12-31", "2026-02-30", "2024-02-29", "26-1-1"])
    | st.sampled_from(["1800-01-01", "2199-12-31", "2300-07-01"]),
    st.sampled_from(["T00:00:00", " 23:59:59", "t12:30:01", "T24:00:00", "T00:00:60", "T1:2:3", "  00:00:00", ""]),
    st.sampled_from(["", ".", ".5", ".9999", ".1234567891"]) | st.from_regex(r"\.[0-9]{1,12}", fullmatch=True),
    st.one_of(st.sampled_from(OFFSETS), st.from_regex(r"[-+][0-2][0-9]:?[0-6][0-9]", fullmatch=True)),
)  # fmt: skip


TEXTS = st.text(max_size=30).filter(lambda text: not any("\ud800" <= letter <= "\udfff" for letter in text))
SOME = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@SOME
@given(values=st.lists(st.one_of(TIMES, TEXTS), min_size=10, max_size=30), zone=st.sampled_from([None, *ZONES]))
@example(["0000-12-31T23:00:00-02:00", "9999-12-31T23:59:59-00:01", "2026-10-01T00:00:00Z\n"], None)
@example(["2300-07-01T00:00:00", "1700-01-01T00:00:00", "2200-01-01T00:00:00"], "Europe/Stockholm")
def test_rfc_3339_means_the_same_in_sql(sql: Sql, values: list[str], zone: str | None) -> None:
    agree(sql, TimeRule("rfc3339", zone), values)


NUMBERS = st.one_of(
    st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,45})?([eE][-+]?[0-9]{1,22})?", fullmatch=True),
    st.integers(-(10**15), 10**15).map(str),
    st.decimals(-(10**10), 10**10, places=7).map(str),
)


@SOME
@given(numbers=st.lists(NUMBERS, min_size=10, max_size=30), format_=st.sampled_from(["epoch_s", "epoch_ms"]))
@example(["0.00099999999999999999999", "1700000000.123" + "9" * 60, "1e" + "9" * 25, "253402300799.9999"], "epoch_s")
@example(["-0." + "0" * 60 + "1", "-1e-999", "9" * 5000, "-0", "-0.0", "1E+3"], "epoch_ms")
def test_epochs_mean_the_same_in_sql(sql: Sql, numbers: list[str], format_: str) -> None:
    agree(sql, TimeRule(format_), [Number(number) for number in numbers])


@st.composite
def written(draw: st.DrawFn, pattern: str) -> str:
    """A time by a pattern, perhaps a little wrong."""
    moment = draw(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)))  # noqa: DTZ001 (a wall clock)
    value = moment.strftime(pattern.replace("%z", "")) + (draw(st.sampled_from(OFFSETS)) if "%z" in pattern else "")
    for _ in range(draw(st.integers(0, 2))):
        place = draw(st.integers(0, len(value)))
        wrong = draw(st.sampled_from(["", " ", "0", "9", "x", "é", "\n", "٣"]))
        value = value[:place] + wrong + value[place + draw(st.integers(0, 2)) :]
    return draw(st.sampled_from([value, value.upper(), value.lower()]))


@SOME
@given(data=st.data(), pattern=st.sampled_from(PATTERNS), zone=st.sampled_from([None, *ZONES]))
def test_patterns_mean_the_same_in_sql(sql: Sql, data: st.DataObject, pattern: str, zone: str | None) -> None:
    agree(sql, TimeRule(pattern, zone), data.draw(st.lists(written(pattern), min_size=10, max_size=30)))


@pytest.mark.parametrize("zone", ZONES)
def test_times_around_every_change_of_clocks_mean_the_same_in_sql(sql: Sql, zone: str) -> None:
    start = datetime(2026, 1, 1)  # noqa: DTZ001 (a wall clock)
    quarters = [(start + timedelta(minutes=15 * number)).isoformat() for number in range(366 * 96)]
    agree(
        sql,
        TimeRule("rfc3339", zone),
        [text.replace("2026", str(year)) for year in (1911, 2026) for text in quarters[::3]],
    )


def test_a_time_that_happens_twice_is_the_first_and_one_that_is_skipped_is_read_by_the_offset_before(sql: Sql) -> None:
    cases = {
        ("Europe/Stockholm", "2026-10-25T02:30:00"): "2026-10-25T00:30:00Z",
        ("Europe/Stockholm", "2026-03-29T02:30:00"): "2026-03-29T01:30:00Z",
        ("Australia/Lord_Howe", "2026-04-05T01:45:00"): "2026-04-04T14:45:00Z",
        ("Australia/Lord_Howe", "2026-10-04T02:15:00"): "2026-10-03T15:45:00Z",
        ("America/Santiago", "2026-04-04T23:30:00"): "2026-04-05T02:30:00Z",
        ("America/Santiago", "2026-09-06T00:30:00"): "2026-09-06T04:30:00Z",
    }
    for (zone, local), instant in cases.items():
        wanted = milliseconds(datetime.fromisoformat(instant))
        assert read(TimeRule("rfc3339", zone), local) == wanted
        assert sql(TimeRule("rfc3339", zone), [local], False) == [wanted]


def test_fractions_are_cut_and_never_rounded() -> None:
    rule = TimeRule()
    assert rule.read("2026-10-01T00:00:00.9999999999Z") == datetime(2026, 10, 1, 0, 0, 0, 999000, UTC)
    assert rule.read("1969-12-31T23:59:59.9995Z") == from_milliseconds(-1)
    assert TimeRule("epoch_s").read(Number("-0.0001")) == from_milliseconds(-1)
    assert TimeRule("epoch_s").read(Number("1700000000.123" + "9" * 60)) == from_milliseconds(1_700_000_000_123)
    assert TimeRule("epoch_ms").read(Number("1.9")) == from_milliseconds(1)


def test_a_time_without_an_offset_needs_a_zone() -> None:
    with pytest.raises(ValueError, match="has no offset, and the store states no zone"):
        TimeRule().read("2026-10-01T00:00:00")
    with pytest.raises(ValueError, match="has no offset"):
        TimeRule("%Y-%m-%d %H:%M:%S").read("2026-10-01 00:00:00")
    assert TimeRule("rfc3339", "Europe/Stockholm").read("2026-10-01T00:00:00") == datetime(2026, 9, 30, 22, tzinfo=UTC)


def test_an_offset_outranks_the_stores_zone() -> None:
    assert TimeRule("rfc3339", "Europe/Stockholm").read("2026-10-01T00:00:00-05:00") == datetime(
        2026, 10, 1, 5, tzinfo=UTC
    )


def test_a_number_where_text_is_wanted_says_how_to_state_the_format() -> None:
    with pytest.raises(ValueError, match="time_format, such as epoch_s"):
        TimeRule().read(Number("1790805600"))
    with pytest.raises(ValueError, match="not a number as epoch_s wants it"):
        TimeRule("epoch_s").read("1790805600")


def test_the_usual_texts_need_no_python(sql: Sql) -> None:
    usual = [
        (TimeRule(), "2026-10-01T12:00:00.123+02:00"),
        (TimeRule("rfc3339", "Europe/Stockholm"), "2026-10-01T12:00:00"),
        (TimeRule("epoch_s"), Number("1790805600")),
        (TimeRule("epoch_s"), Number("1790805600.123456")),
        (TimeRule("epoch_ms"), Number("1790805600123")),
        (TimeRule("%d/%b/%Y:%H:%M:%S %z"), "01/Oct/2026:12:00:00 +0200"),
        (TimeRule("%Y-%m-%d %H:%M:%S.%f", "Europe/Stockholm"), "2026-10-01 12:00:00.5"),
    ]
    for rule, value in usual:
        assert read(rule, value) is not None
        assert sql(rule, [value], False) == [read(rule, value)]


def test_an_instant_survives_its_milliseconds() -> None:
    for moment in (
        datetime(1, 1, 1, tzinfo=UTC),
        datetime(2026, 10, 1, tzinfo=UTC),
        datetime(9999, 12, 31, tzinfo=UTC),
    ):
        assert from_milliseconds(milliseconds(moment)) == moment
    assert milliseconds(datetime(1970, 1, 1, tzinfo=UTC) - timedelta(microseconds=1)) == -1


def test_the_commonest_shape_is_read_to_the_millisecond_and_its_impossible_days_are_refused(sql: Sql) -> None:
    days = [
        f"{year}-{day}" for year in (1000, 1582, 1899, 1969, 2024, 2026, 2999) for day in ("02-28", "02-29", "12-31")
    ]
    days += ["1500-02-29", "2026-00-10", "2026-13-01", "2026-04-31", "2026-01-00", "0999-05-05", "3000-05-05"]
    clocks = ["00:00:00", "23:59:59", "10:05:37.1", "10:05:37.09", "23:59:59.999", "24:00:00", "10:60:00", "10:05:60"]
    agree(sql, TimeRule(), [f"{day}T{clock}Z" for day in days for clock in clocks])
