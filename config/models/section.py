"""What all sections share: unknown keys are refused, and the ways of writing names, lists and alternatives."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, WithJsonSchema

from config.standards import EmailAddress, FilePath
from config.values import one_or_many

SOME_TEXT = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}
_ANY_TEXT = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
Names = Annotated[tuple[str, ...], BeforeValidator(one_or_many), Field(min_length=1), WithJsonSchema(SOME_TEXT)]
Texts = Annotated[tuple[str, ...], BeforeValidator(one_or_many), WithJsonSchema(_ANY_TEXT)]
Addresses = Annotated[tuple[EmailAddress, ...], BeforeValidator(one_or_many), WithJsonSchema(_ANY_TEXT)]
FilePatterns = Annotated[tuple[FilePath, ...], BeforeValidator(one_or_many), WithJsonSchema(_ANY_TEXT)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_-]{0,63}$")]


class Section(BaseModel):
    """Base of every section: unknown keys are refused, and nothing changes after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def by_shape(expected: str) -> Discriminator:
    """Tells ways of writing a value apart by its shape; `expected` says what they are when it has none of them."""
    return Discriminator(_shape, custom_error_type="shape", custom_error_message=expected)


def _shape(value: object) -> str:
    """Which way of writing a value is meant, so that a mistake is explained for that way alone."""
    if isinstance(value, Mapping | BaseModel):
        return "|mapping"
    return "|list" if isinstance(value, list | tuple) else "|text"


def by_type(value: object) -> str | None:
    """Which kind of entry its key `type` names, as the tag of that kind's model; None when it names none."""
    kind = value.get("type") if isinstance(value, Mapping) else getattr(value, "type", None)
    return f"|{kind}" if isinstance(kind, str) else None
