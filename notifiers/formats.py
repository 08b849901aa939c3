"""Numbers, percentages, money, days and instants as a reader of a language writes them.

Digits are cut here, exactly and downwards, before Babel sees them: Babel only places separators and symbols. Figures
keep Latin digits in every language, because they are compared with invoices. Output may hold U+00A0 and U+202F.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_DOWN, Decimal, InvalidOperation, localcontext
from typing import Final
from zoneinfo import ZoneInfo

import iso4217
from babel import Locale, UnknownLocaleError, dates
from babel.numbers import NumberPattern

DEFAULT_LANGUAGE: Final = "en"
LATIN: Final = "latn"
QUANTITY_DECIMALS: Final = 6
# the marks that switch or isolate direction: the sentences around a figure are written from left to right
_DIRECTION_MARKS: Final = dict.fromkeys(map(ord, "\u200e\u200f\u061c"))


@dataclass(frozen=True, slots=True)
class Formats:
    """How one reader's language writes figures. All methods take the decimal and ISO 8601 strings of frozen facts."""

    locale: Locale

    def number(self, value: str | int) -> str:
        """A quantity, with what decimals it has, cut to six: `92340` is `92,340` in English.

        Raises:
            ValueError: for a text that is no finite number.
        """
        amount = _cut(_decimal(value), QUANTITY_DECIMALS)
        return self._apply(self.locale.decimal_formats[None], amount, _decimals(amount))

    def percent(self, value: str | int, decimals: int = 1) -> str:
        """A percentage (`92.34` means 92.34 %) cut to at most `decimals`: 99.96 is `99.9%`, and never `100%`.

        Raises:
            ValueError: for a text that is no finite number.
        """
        amount = _cut(_decimal(value), decimals)
        return self._apply(self.locale.percent_formats[None], amount.scaleb(-2), _decimals(amount))

    def money(self, value: str | int, currency: str) -> str:
        """An amount or price: no decimals when whole, else at least the currency's own (ISO 4217) and all that it has.

        Nothing is rounded: a price of 0.00042 keeps all its digits.

        Raises:
            ValueError: for a text that is no finite number.
        """
        amount = _decimal(value)
        decimals = _decimals(amount)
        if decimals:
            decimals = max(decimals, exponent(currency))
        return self._apply(self.locale.currency_formats["standard"], amount, decimals, currency=currency)

    def day(self, value: str, zone: str) -> str:
        """The local day of an instant: `October 1, 2026`."""
        return self._words(dates.format_date(_local(value, zone).date(), "long", locale=self.locale))

    def last_day(self, end: str, zone: str) -> str:
        """The last local day of a period that ends, exclusively, at `end`."""
        last = _local(end, "UTC") - timedelta(milliseconds=1)
        return self.day(last.isoformat(), zone)

    def instant(self, value: str, zone: str) -> str:
        """An instant in a zone that is named, with its offset: `October 25, 2026, 9:00 AM (Asia/Tokyo, UTC+09:00)`."""
        local = _local(value, zone)
        # a narrow no-break space before AM is missing from many mail fonts
        clock = dates.format_time(local, "short", tzinfo=local.tzinfo, locale=self.locale).replace("\u202f", " ")
        named = zone if zone == "UTC" else f"{zone}, UTC{_offset(local)}"
        return f"{self.day(value, zone)}, {self._words(clock)} ({named})"

    def _apply(self, pattern: NumberPattern, amount: Decimal, decimals: int, currency: str | None = None) -> str:
        exact = copy.copy(pattern)
        exact.frac_prec = (decimals, decimals)
        with localcontext() as context:
            # Babel computes under the current context, whose 28 digits would round a larger number
            context.prec = max(28, len(amount.as_tuple().digits) + abs(amount.adjusted()) + 12)
            text = exact.apply(
                amount,
                self.locale,
                currency=currency,
                currency_digits=False,
                decimal_quantization=True,  # to exactly the digits there are: adds zeros, never takes any
                numbering_system=LATIN,
            )
        return self._clean(text)

    def _words(self, text: str) -> str:
        """Words of a language, isolated where it is written from right to left, inside a sentence that is not."""
        text = self._clean(text)
        return f"\u2068{text}\u2069" if self.locale.text_direction == "rtl" else text

    @staticmethod
    def _clean(text: str) -> str:
        return text.translate(_DIRECTION_MARKS)


def formats(language: str, default: str = DEFAULT_LANGUAGE) -> Formats:
    """The formats of a language tag such as `sv` or `sv-SE`; an unknown one means its parent, `default` or English."""
    for tag in (language, language.replace("_", "-").split("-")[0], default, DEFAULT_LANGUAGE):
        try:
            return Formats(Locale.parse(tag.strip().replace("-", "_"), sep="_"))
        except (UnknownLocaleError, ValueError, TypeError):
            continue
    raise AssertionError("Babel always knows English")  # pragma: no cover


def exponent(currency: str) -> int:
    """How many decimals a currency has by ISO 4217; 2 for one that the standard does not list. (Babel's are CLDR's.)"""
    try:
        digits = iso4217.Currency(currency).exponent
    except ValueError:
        return 2
    return 2 if digits is None else int(digits)


def _decimal(value: str | int) -> Decimal:
    try:
        amount = Decimal(value)
    except InvalidOperation as exc:
        raise ValueError(f"{value!r} is no number") from exc
    if not amount.is_finite():
        raise ValueError(f"{value!r} is no finite number")
    return amount


def _cut(amount: Decimal, decimals: int) -> Decimal:
    """The amount towards zero to at most so many decimals, without the precision of the current context."""
    with localcontext() as context:
        context.prec = max(28, len(amount.as_tuple().digits) + abs(amount.adjusted()) + decimals + 2)
        cut = amount.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_DOWN)
        return cut or Decimal(0)  # no minus zero


def _decimals(amount: Decimal) -> int:
    """How many decimals an amount has, trailing zeros apart."""
    _sign, digits, power = amount.as_tuple()
    assert isinstance(power, int)  # noqa: S101 (a finite number's exponent, for the type checker)
    trailing = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -(power + trailing)) if any(digits) else 0


def _local(value: str, zone: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError(f"{value!r} has no offset and is no instant")
    return moment.astimezone(ZoneInfo(zone))


def _offset(local: datetime) -> str:
    text = local.strftime("%z")
    return f"{text[:3]}:{text[3:5]}"
