"""What a notice says: frozen facts through the templates, as a subject, a text and an HTML part.

A template `NAME` is the folder `templates/NAME` with `subject.txt.j2`, `text.txt.j2` and `html.html.j2`. A fact that is
missing fails the notice (StrictUndefined); HTML alone is escaped.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from fractions import Fraction
from functools import cache, lru_cache
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

from jinja2 import Environment, PackageLoader, StrictUndefined, TemplateError, select_autoescape
from jinja2.runtime import Macro

from ledger.facts import (
    CUSTOMER_TEMPLATES,
    OPS_DIGEST,
    OPS_HELD,
    OPS_NEWS,
    OPS_STORE,
    CustomerFacts,
    HeldFacts,
    NewsFacts,
    OpsFacts,
    StoreFacts,
)
from ledger.quantities import decimal_text
from notifiers.errors import NoticeError
from notifiers.formats import DEFAULT_LANGUAGE, Formats, formats
from notifiers.text import LONGEST, PROSE, cleaned, joined, one_line, unmarked, wrapped

_REMEMBERED: Final = 2_000
_SPACES: Final = re.compile(r"[ \n]+")
Kind = Literal["customer", "ops"]
Facts = CustomerFacts | OpsFacts | StoreFacts | HeldFacts | NewsFacts
TEMPLATES: Final[Mapping[str, type[Facts]]] = {
    **dict.fromkeys(CUSTOMER_TEMPLATES, CustomerFacts),
    OPS_DIGEST: OpsFacts,
    OPS_STORE: StoreFacts,
    OPS_HELD: HeldFacts,
    OPS_NEWS: NewsFacts,
}
_SAID: Final = {OPS_DIGEST: "common/digest.txt.j2", OPS_STORE: "common/store.txt.j2", OPS_HELD: "common/held.txt.j2"}
"""Where the sentences of a notice to operations stand: a macro each."""


@dataclass(frozen=True, slots=True)
class Content:
    """What one notice says; `name` is whom it is about, for greetings and file names."""

    subject: str
    text: str
    html: str
    name: str


@dataclass(frozen=True, slots=True)
class Span:
    """How a period is spoken of: `monthly` limit, this `month`, `by month-end`; whether it ended before the judgement;
    and by how much the quantity lies beyond the limit (0 when it does not)."""

    adjective: str
    noun: str
    by_end: str
    ended: bool
    beyond: str


@dataclass(frozen=True, slots=True)
class Sentences:
    """What a customer is told, one sentence or figure to a field; empty where there is nothing to say."""

    headline: str
    opening: str
    standing: str
    charge: str
    advice: str
    period: str
    used: str
    included: str
    cause: str

    def unmarked(self) -> Sentences:
        """The same without the marks that steer line breaks."""
        return Sentences(**{field.name: unmarked(getattr(self, field.name)) for field in fields(self)})


def render(template: str, facts: Mapping[str, Any], *, default_language: str = DEFAULT_LANGUAGE) -> Content:
    """The content of a notice, from facts as the ledger keeps them. The same facts always give the same content.

    Raises:
        NoticeError: the template does not exist, or a fact that it needs is missing or no value of its kind.
    """
    stated = TEMPLATES.get(template)
    if stated is None:
        raise NoticeError(f"there is no mail template {template!r}; there are {', '.join(TEMPLATES)}")
    try:
        known = stated.from_json(cleaned(facts, longest=LONGEST if stated in (CustomerFacts, OpsFacts) else PROSE))
        environment = _environment(known.language, default_language)
        values: dict[str, Any] = {"facts": known}
        marked = values
        if isinstance(known, CustomerFacts):
            said = _sentences(environment, known)
            marked, values = {**values, "said": said}, {**values, "said": said.unmarked()}
        elif template in _SAID:
            words = _words(environment, _SAID[template], known)
            plain = {name: unmarked(text) for name, text in words.items()}
            marked, values = {**values, "said": words}, {**values, "said": plain}
        subject = environment.get_template(f"{template}/subject.txt.j2").render(values)
        text = environment.get_template(f"{template}/text.txt.j2").render(marked)
        html = environment.get_template(f"{template}/html.html.j2").render(values)
    except TemplateError as exc:
        raise NoticeError(f"template {template} could not be filled in: {exc}") from exc
    except (TypeError, KeyError, ValueError, ArithmeticError, AttributeError) as exc:
        raise NoticeError(f"the facts of a {template} notice are not what it needs: {_reason(exc)}") from exc
    name = (known.name or known.customer) if isinstance(known, CustomerFacts) else known.monitor
    # `=?` in a header begins an encoded word, and a name that holds one would be decoded by whoever reads the mail
    subject = one_line(subject).replace("=?", "= ?")
    return Content(subject=subject, text=wrapped(text), html=html + "\n", name=name)


def span(facts: CustomerFacts) -> Span:
    """The words for the facts' period. A billing month that ends inside a calendar month has no month-end."""
    ends = datetime.fromisoformat(facts.period_end)
    limit = Fraction(facts.limit if facts.included is None else facts.included)
    beyond = max(Fraction(facts.quantity) - limit, Fraction(0))
    adjective, noun, by_end = {
        "week": ("weekly", "week", "by the end of the week"),
        "day": ("daily", "day", "by the end of the day"),
    }.get(facts.window, ("monthly", "month", "by month-end"))
    if noun == "month" and ends.astimezone(ZoneInfo(facts.zone)).day != 1:
        by_end = "by the end of the billing month"
    return Span(adjective, noun, by_end, datetime.fromisoformat(facts.at) >= ends, decimal_text(beyond))


def _sentences(environment: Environment, facts: CustomerFacts) -> Sentences:
    low = facts.side == "min"
    macros = environment.get_template("common/low_sentences.txt.j2" if low else "common/sentences.txt.j2").module
    words = span(facts)
    spoken = {"headline", "opening", "standing"}
    # called here, a macro of a text template gives plain text; called from an HTML template it would count as safe
    said = {
        field.name: getattr(macros, field.name)(facts, *([words] if field.name in spoken else []))
        for field in fields(Sentences)
    }
    return Sentences(**{name: _spaced(text) for name, text in said.items()})


def _words(environment: Environment, path: str, facts: Facts) -> dict[str, str]:
    """What each macro of a template says of the facts, by its name; plain text, as in `_sentences`."""
    macros = vars(environment.get_template(path).module)
    return {name: _spaced(macro(facts)) for name, macro in macros.items() if isinstance(macro, Macro)}


def _spaced(text: str) -> str:
    return _SPACES.sub(" ", text).strip(" \n")


def environment(written: Formats) -> Environment:
    """The templates, with filters that write figures as `written` does."""
    found = Environment(
        loader=PackageLoader("notifiers"),
        undefined=StrictUndefined,
        autoescape=select_autoescape(enabled_extensions=("html.j2",), default=False, default_for_string=False),
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,  # templates are part of the program
    )
    filters: dict[str, Callable[..., str]] = {
        "number": written.number,
        "percent": written.percent,
        "money": written.money,
        "day": written.day,
        "last_day": written.last_day,
        "instant": written.instant,
        "joined": joined,
    }
    # one notice says most figures several times, and many notices say the same days; `typed`, so that what is safe in
    # HTML is never taken for the same text that is not
    found.filters.update({name: lru_cache(_REMEMBERED, typed=True)(write) for name, write in filters.items()})
    return found


@cache
def _environment(language: str, default_language: str) -> Environment:
    return environment(formats(language, default_language))


def _reason(exc: Exception) -> str:
    return f"{exc} is missing" if isinstance(exc, KeyError) else str(exc)
