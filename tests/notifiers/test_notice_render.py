from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jinja2 import UndefinedError
from notice_examples import BASIC, OPS, PRO, exceeded, facts

from ledger.facts import (
    LOW_USAGE,
    NEAR_LIMIT,
    OPS_DIGEST,
    OPS_HELD,
    OPS_NEWS,
    OPS_STORE,
    OVER_LIMIT,
    HeldFacts,
    NewsFacts,
    OpsCount,
    StepFacts,
    StoreFacts,
)
from notifiers.errors import NoticeError
from notifiers.formats import formats
from notifiers.render import TEMPLATES, Content, environment, render

AT = "2026-10-25T09:00:00+01:00"
STORE = StoreFacts(
    monitor="monthly",
    monitor_title="Monthly limit",
    route="page",
    store="api",
    condition="unavailable",
    kind="breach",
    detail="store api: no answer <b>",
    newest=None,
    since="2026-10-25T08:45:00+01:00",
    at=AT,
    zone="Europe/Stockholm",
    language="en",
)
STALE = replace(STORE, condition="logs_stale", detail="", newest="2026-10-25T06:30:00+01:00")
HELD = HeldFacts(
    monitor="monthly",
    monitor_title="Monthly limit",
    number=120,
    watched=450,
    allowed=45,
    customers=118,
    examples=("acme", "<b>delta"),
    at=AT,
    zone="Europe/Stockholm",
    language="en",
)
NEWS = NewsFacts("store api", "a file cannot be picked up", ("x < y.", "Mend it."), AT, "Europe/Stockholm", "en")
STATED = {
    NEAR_LIMIT: facts(),
    OVER_LIMIT: exceeded(),
    OPS_DIGEST: OPS.to_json(),
    OPS_STORE: STORE.to_json(),
    OPS_HELD: HELD.to_json(),
    OPS_NEWS: NEWS.to_json(),
}


def low(**changes: Any) -> dict[str, Any]:
    """A customer who used less than a min in October."""
    few = {
        "side": "min", "threshold": "low", "severity": "warning", "quantity": "12", "limit": "100",
        "limit_percent": None, "percent": "0.01", "projected": "12", "projected_exceeds": False,
        "counted_to": "2026-11-01T00:00:00+01:00", "at": "2026-11-01T01:00:00+01:00",
    }  # fmt: skip
    return facts(**{**few, **changes})


STATED[LOW_USAGE] = low()
LATER = {"side", "kind", "ended"}
"""Facts that notices of an earlier version lack: then the side is max, the kind breach, and the period not over."""

BOTH = pytest.mark.parametrize("template", [NEAR_LIMIT, OVER_LIMIT])


def flat(content: Content) -> str:
    """The text part with its line breaks undone."""
    return " ".join(content.text.split())


class Reader(HTMLParser):
    """Gathers the text between the tags."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[str] = []

    def handle_data(self, data: str) -> None:
        self.pieces.append(data)


def seen(html: str) -> str:
    """What a reader of the HTML part sees."""
    reader = Reader()
    reader.feed(html[html.index("<body") :])
    return " ".join("".join(reader.pieces).split())


def test_the_reference_case_is_told_word_for_word_on_unbroken_lines() -> None:
    content = render(NEAR_LIMIT, facts())
    lines = content.text.splitlines()
    for words in (
        "92,340 API calls",
        "92.3% of the 100,000 monthly limit",
        "projected to exceed",
        "Pro ($2,000/month,",
        "500,000 calls included",
    ):
        assert any(words in line for line in lines), words
    assert "projected to exceed the limit by month-end" in flat(content)
    assert "Consider upgrading to Pro ($2,000/month, 500,000 calls included)." in flat(content)
    assert content.subject == "Acme AB: 92.3% of the 100,000 monthly limit used"
    assert max(map(len, lines)) <= 72


def test_both_parts_say_the_same() -> None:
    content = render(OVER_LIMIT, exceeded())
    shown = seen(content.html)
    for sentence in re.findall(r"[A-Z][^.]*exceed[^.]*\.|Consider[^.]*\.", flat(content)):
        assert sentence in shown


@BOTH
def test_exceeded_is_said_only_of_what_exceeds(template: str) -> None:
    below = render(template, facts())
    assert "exceeded" not in flat(below) + below.subject + seen(below.html)
    above = render(template, exceeded())
    assert "You have exceeded the limit by 27,450 API calls." in flat(above)
    assert above.subject == "Acme AB: 100,000 monthly limit exceeded"
    assert "projected to exceed" not in flat(above) + seen(above.html)


@BOTH
def test_projected_to_exceed_is_said_only_of_a_projection_that_exceeds(template: str) -> None:
    within = flat(render(template, facts(projected="96000", projected_exceeds=False)))
    assert "projected to exceed" not in within
    assert "you will stay within the limit, with about 96,000 API calls by month-end" in within
    assert "If you expect to use more, consider upgrading to Pro" in within
    unknown = flat(render(template, facts(projected=None, projected_exceeds=False)))
    assert "pace" not in unknown


@BOTH
def test_a_period_that_ended_is_told_in_the_past(template: str) -> None:
    after = flat(render(template, exceeded(at="2026-11-01T00:05:00+01:00")))
    assert "You used 127,450 API calls" in after
    assert "You exceeded the limit" in after
    assert "pace" not in after
    assert "That is within the limit." in flat(render(template, facts(at="2026-11-01T00:00:00+01:00")))


@pytest.mark.parametrize(
    ("window", "adjective", "end"),
    [("billing month", "monthly", "by month-end"), ("month", "monthly", "by month-end"),
     ("week", "weekly", "by the end of the week"), ("day", "daily", "by the end of the day")],
)  # fmt: skip
def test_each_window_has_its_words(window: str, adjective: str, end: str) -> None:
    said = flat(render(NEAR_LIMIT, facts(window=window)))
    assert f"the 100,000 {adjective} limit" in said
    assert f"projected to exceed the limit {end}" in said


def test_a_billing_month_that_ends_in_mid_month_is_not_said_to_end_at_month_end() -> None:
    said = flat(render(NEAR_LIMIT, facts(period_end="2026-11-15T00:00:00+01:00")))
    assert "by the end of the billing month" in said
    assert "to November 14, 2026" in said


@BOTH
@pytest.mark.parametrize(
    "absent",
    [
        {"tier": None, "recommended": None},
        {"recommended": None},
        {"recommended": replace(PRO, included=None, steps=())},
        {"tier": None, "recommended": None, "included": None, "percent": None, "limit_percent": None},
        {"projected": None, "projected_exceeds": False},
        {"tier": replace(BASIC, steps=())},
        {"included": "0", "percent": None, "exceeded": True},
    ],
)
def test_what_is_absent_is_left_out_without_a_trace(template: str, absent: dict[str, Any]) -> None:
    content = render(template, facts(**absent))
    for part in (content.subject, flat(content), seen(content.html)):
        assert "None" not in part
        assert not re.search(r" [,.;)]|\(\)|\.\.|,\.", part), part


def test_an_absolute_threshold_is_told_by_its_own_number() -> None:
    said = flat(render(OVER_LIMIT, facts(
        tier=None, recommended=None, included=None, percent=None, limit_percent=None, exceeded=True, projected=None,
    )))  # fmt: skip
    assert "You have used 92,340 API calls. You have exceeded the notice level of 90,000 by 2,340 API calls." in said


def test_graduated_prices_are_told_step_by_step_with_every_digit() -> None:
    steps = (StepFacts("10000", "0.01"), StepFacts(None, "0.00042"))
    said = flat(render(OVER_LIMIT, exceeded(tier=replace(BASIC, steps=steps))))
    assert "charged at $0.01 each for the first 10,000, $0.00042 each for all further ones." in said


def test_figures_follow_the_customer_s_language_and_an_unknown_one_the_default() -> None:
    assert "92\u00a0340 API calls" in render(NEAR_LIMIT, facts(language="sv")).text
    assert "92.340 API calls" in render(NEAR_LIMIT, facts(language="xx"), default_language="de").text


def test_the_ops_digest_lists_the_worst_and_counts_all() -> None:
    content = render(OPS_DIGEST, replace(OPS, number=120).to_json())
    assert content.subject == "Basic tier, monthly limit: 120 of 450 above well_over"
    assert "The worst 2 of them:" in content.text
    said = flat(content)
    assert "acme (Acme AB): 127,450 API calls, 127.4% of 100,000; above well_over (110,000)" in said
    assert "delta" in seen(content.html)
    total = replace(OPS.rows[0], customer=None, name="total", included=None, percent=None)
    assert "All customers together: 131,002" in flat(render(OPS_DIGEST, replace(OPS, rows=(total,)).to_json()))


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_a_fact_that_is_missing_fails_the_notice(template: str) -> None:
    document = STATED[template]
    for name in document:
        if name in LATER and template != OPS_STORE:
            assert render(template, {key: value for key, value in document.items() if key != name})
            continue
        with pytest.raises(NoticeError, match=template):
            render(template, {key: value for key, value in document.items() if key != name})


def test_a_name_that_a_template_does_not_know_fails() -> None:
    with pytest.raises(UndefinedError):
        environment(formats("en")).from_string("{{ facts.nothing }}").render(facts=OPS)
    with pytest.raises(NoticeError, match="there are near_limit, over_limit, low_usage, ops_digest"):
        render("nonsense", facts())


@pytest.mark.parametrize(
    "change", [{"quantity": "many"}, {"period_end": "soon"}, {"zone": "Mars/Olympus"}, {"tier": 7}]
)
def test_a_fact_of_the_wrong_kind_fails_the_notice_with_a_sentence(change: dict[str, Any]) -> None:
    with pytest.raises(NoticeError, match="near_limit"):
        render(NEAR_LIMIT, {**facts(), **change})


@given(name=st.text(), id_=st.text(min_size=1), title=st.text())
def test_hostile_text_never_becomes_markup_or_a_line(name: str, id_: str, title: str) -> None:
    hostile = f"<script>\"'&{name}"
    plain = render(NEAR_LIMIT, facts())
    content = render(NEAR_LIMIT, facts(name=hostile, customer=f"<b>{id_}", monitor_title=f"</td>{title}"))
    assert re.sub(r"[^<>]", "", content.html) == re.sub(r"[^<>]", "", plain.html)
    assert "\n" not in content.subject
    assert "\r" not in content.subject + content.text


def test_html_escapes_names_in_the_digest_too() -> None:
    row = replace(OPS.rows[0], customer="<script>alert(1)</script>", name='" onload="x')
    html = render(OPS_DIGEST, replace(OPS, rows=(row,), monitor_title="<img>").to_json()).html
    assert "<script>" not in html
    assert "<img>" not in html
    assert "&lt;script&gt;" in html


@pytest.mark.parametrize("template", list(TEMPLATES))
def test_html_fetches_nothing_and_says_its_language(template: str) -> None:
    html = render(template, STATED[template]).html
    assert not re.search(r"https?:|url\(|<img|<script|<link|src=", html)
    assert '<html lang="en"' in html
    assert len(html.encode()) < 100_000  # Gmail cuts what is longer


def test_little_usage_is_told_of_a_period_that_is_over() -> None:
    content = render(LOW_USAGE, low())
    assert content.subject == "Acme AB: 12 API calls used in the month, less than 100"
    said = flat(content)
    assert "You used 12 API calls from October 1, 2026 to October 31, 2026. That is less than 100 API calls." in said
    assert 'It was sent for "Basic tier, monthly limit", at less than 100.' in said
    for words in ("You used 12 API calls from October 1, 2026 to October 31, 2026.", "less than 100 API calls"):
        assert words in seen(content.html)
    for part in (content.subject, said, seen(content.html)):
        assert not re.search(r"exceed|pace|upgrad|charged|more than|so far", part)


def test_little_usage_of_a_day_names_the_day() -> None:
    content = render(LOW_USAGE, low(window="day", period_start="2026-10-31T00:00:00+01:00"))
    assert content.subject == "Acme AB: 12 API calls used on October 31, 2026, less than 100"
    assert "You used 12 API calls on October 31, 2026. That is less than 100 API calls." in flat(content)


def test_a_min_in_percent_is_told_as_it_is_written() -> None:
    said = flat(render(LOW_USAGE, low(limit="10000", limit_percent="10")))
    assert "That is less than 10% of the 100,000 API calls included." in said
    assert "at less than 10% of what is included." in said


@pytest.mark.parametrize(
    "absent",
    [
        {"tier": None, "recommended": None},
        {"tier": None, "recommended": None, "included": None, "percent": None},
        {"projected": None},
        {"quantity": "0"},
        {"name": "acme"},
    ],
)
def test_what_is_absent_leaves_no_trace_in_a_notice_of_little_usage(absent: dict[str, Any]) -> None:
    content = render(LOW_USAGE, low(**absent))
    for part in (content.subject, flat(content), seen(content.html)):
        assert "None" not in part
        assert not re.search(r" [,.;)]|\(\)|\.\.|,\.", part), part


def test_the_ops_digest_says_below_of_a_min_and_which_period_it_was() -> None:
    row = replace(OPS.rows[0], side="min", threshold="low", quantity="12", limit="100", percent="0.01", ended=True)
    both = replace(OPS, rows=(OPS.rows[1], row), counts=(*OPS.counts, OpsCount("low", "warning", 1, "min")))
    content = render(OPS_DIGEST, both.to_json())
    assert content.subject == "Basic tier, monthly limit: 2 of 450 above well_over or below low"
    said = flat(content)
    assert "12 API calls, 0% of 100,000; below low (100); period October 1, 2026 to October 31, 2026" in said
    assert "127.4% of 100,000; above well_over (110,000)" in said
    assert "below low (error)" in seen(content.html)
    assert "October 1, 2026 to October 31, 2026" in seen(content.html)
    alone = render(OPS_DIGEST, replace(both, rows=(row,), number=1, counts=both.counts[1:]).to_json())
    assert alone.subject == "Basic tier, monthly limit: 1 of 450 below low"


@pytest.mark.parametrize(
    ("kind", "subject", "number", "row"),
    [
        ("breach", "2 of 450 above well_over", "2 new breaches among 450 evaluated", "; above well_over"),
        ("repeat", "still 2 of 450 above well_over", "2 breaches last among 450 evaluated", "; above well_over"),
        (
            "recovery",
            "2 of 450 no longer above well_over",
            "2 breaches are over among 450",
            "; no longer above well_over",
        ),
    ],
)
def test_the_ops_digest_says_whether_it_is_new_lasts_or_is_over(kind: str, subject: str, number: str, row: str) -> None:
    content = render(OPS_DIGEST, replace(OPS, kind=kind).to_json())
    assert content.subject == f"Basic tier, monthly limit: {subject}"
    assert number in flat(content)
    assert row in flat(content)
    assert number in seen(content.html)
    assert ("no longer above" in seen(content.html)) == (kind == "recovery")
    assert ("projected" in flat(content)) == (kind != "recovery")


@pytest.mark.parametrize(
    ("stated", "subject", "happened"),
    [
        (
            STORE,
            "log store api cannot be counted",
            "could not be counted at two evaluations in a row, the second at "
            "October 25, 2026, 8:45 AM (Europe/Stockholm, UTC+01:00).",
        ),
        (
            replace(STORE, kind="repeat"),
            "log store api still cannot be counted",
            "and still cannot at October 25, 2026, 9:00 AM",
        ),
        (
            replace(STORE, kind="recovery", detail=""),
            "log store api can be counted again",
            "answered at two evaluations in a row, the second at October 25, 2026, 8:45 AM",
        ),
        (
            STALE,
            "no messages arrive in log store api",
            "The newest message in the log store api is of October 25, 2026, "
            "6:30 AM (Europe/Stockholm, UTC+01:00). That is longer ago than its stale_after allows, which was found at "
            "October 25, 2026, 8:45 AM",
        ),
        (
            replace(STALE, newest=None),
            "no messages arrive in log store api",
            "There is no message in the log store api, which was found at",
        ),
        (
            replace(STALE, kind="repeat"),
            "still no messages arrive in log store api",
            "and is still so at October 25, 2026, 9:00 AM",
        ),
        (
            replace(STALE, kind="recovery"),
            "messages arrive again in log store api",
            "was recent enough at two evaluations in a row",
        ),
    ],
)
def test_operations_are_told_what_happened_to_a_store(stated: StoreFacts, subject: str, happened: str) -> None:
    content = render(OPS_STORE, stated.to_json())
    assert content.subject == f"Monthly limit: {subject}"
    assert happened in flat(content)
    assert happened in seen(content.html)
    for part in (flat(content), seen(content.html)):
        assert ("The reason given: store api: no answer <b>" in part) == bool(stated.detail)
        assert ("No customer is mailed" in part) == (stated.kind != "recovery" and stated.condition == "unavailable")
        assert ("no customer is mailed for using little" in part) == (
            stated.kind != "recovery" and stated.condition == "logs_stale"
        )
        assert ("What to do:" in part) == (stated.kind != "recovery")
        assert not re.search(r"None| [,.;)]|\.\.", part), part


def test_operations_are_told_how_many_notices_are_held_and_the_way_out() -> None:
    content = render(OPS_HELD, HELD.to_json())
    assert content.subject == "Monthly limit: 120 notices to customers are held"
    for part in (flat(content), seen(content.html)):
        assert "found something to tell 118 of 450 customers. More than 45 at once are not told without asking" in part
        assert "120 notices wait, and none of them was sent." in part
        assert "Among the customers: acme, <b>delta" in part
        assert "They wait until one of the two is done" in part
        for command in (
            "evaluate monthly",
            "notices holds",
            "notices release ID --reason TEXT",
            "notices discard ID --reason TEXT",
        ):
            assert f"tallywatch {command}" in part
    assert "<b>" not in content.html


def test_operations_are_told_the_news_of_the_program_in_whole_sentences() -> None:
    long = "It could not be read because " + "of this and that and " * 30 + "nothing else."
    content = render(OPS_NEWS, replace(NEWS, paragraphs=(*NEWS.paragraphs, long)).to_json())
    assert content.subject == "store api: a file cannot be picked up"
    for part in (flat(content), seen(content.html)):
        assert "x < y." in part
        assert long in part
        assert "About store api, at October 25, 2026, 9:00 AM" in part
    assert "x &lt; y." in content.html
