"""Sentences for what is not even YAML: what the parser stumbled over, said so that whoever wrote it can mend it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Final, NamedTuple

from ruamel.yaml.error import MarkedYAMLError

from config.errors import Place


class Explained(NamedTuple):
    """A place, the reason, and a way out."""

    place: Place
    reason: str
    hint: str | None


def unreadable(path: Path, error: OSError) -> tuple[str, str | None]:
    """Why a file cannot be opened, and what to do."""
    if isinstance(error, FileNotFoundError):
        return "there is no such file", _other_yaml(path)
    if isinstance(error, IsADirectoryError) or path.is_dir():
        return "is a directory, and a file is needed", _other_yaml(path / "tallywatch.yaml")
    if isinstance(error, PermissionError):
        return "may not be read by this user", "change its permissions or its owner"
    return f"cannot be read: {error.strerror or error}", None


def _other_yaml(path: Path) -> str | None:
    try:
        there = sorted(p.name for p in path.parent.iterdir() if p.suffix in (".yaml", ".yml", ".csv"))[:5]
    except OSError:
        return None
    if there:
        return f"there is {', '.join(there)} in that folder"
    return "tallywatch init writes a starting configuration" if path.name.endswith(".yaml") else None


def not_utf8(data: bytes, error: UnicodeDecodeError, name: str) -> Explained:
    """Where a file stops being UTF-8."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return Explained(Place(name, 1, 1), "the file is UTF-16", "save it as UTF-8")
    before = data[: error.start].decode("utf-8", errors="replace")
    line, column = line_and_column(before, len(before))
    reason = f"the byte 0x{data[error.start]:02X} is not UTF-8"
    return Explained(Place(name, line, column), reason, "save the file as UTF-8")


def line_and_column(text: str, index: int) -> tuple[int, int]:
    """1-based line and column of a character."""
    before = text[:index].replace("\r\n", "\n")
    return before.count("\n") + 1, len(before) - (before.rfind("\n") + 1) + 1


_SECRET_KEY: Final = re.compile(r"(password|api_key)[\"']?\s*:\s*$")


def needs_quotes(text: str, index: int) -> tuple[str, str]:
    """Reason and hint for an unquoted value that begins with a character that YAML keeps for itself."""
    line = text[index:].split("\n", 1)[0].rstrip()
    inside_flow = "{" in text[:index].rsplit("\n", 1)[-1] or "[" in text[:index].rsplit("\n", 1)[-1]
    stops = [r"\s+#"]
    if inside_flow:
        stops.append(r"[,}\]]")
    if not text[:index].rsplit("\n", 1)[-1].strip(" -{"):
        stops.append(r":(?:\s|$)")  # it is a key
    value = re.split("|".join(stops), line, maxsplit=1)[0].rstrip()
    if _SECRET_KEY.search(text[:index].rsplit("\n", 1)[-1]):
        return f"an unquoted value cannot begin with {value[:1]}", "quote it; better, set it outside of the file"
    quoted = value.replace("\\", "\\\\").replace('"', '\\"')
    return f"an unquoted value cannot begin with {value[:1]}", f'quote it: "{quoted}"'


def explain(error: MarkedYAMLError, text: str, name: str) -> Explained:
    """What the parser's complaint means, in a sentence."""
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return Explained(Place(name), f"this is not YAML: {error.problem}", None)
    if "unexpected end of stream" in str(error.problem) and error.context_mark is not None:
        mark = error.context_mark
    reason, hint = _sentence(error, text, mark)
    return Explained(Place(name, mark.line + 1, mark.column + 1), reason, hint)


def _sentence(error: MarkedYAMLError, text: str, mark: Any) -> tuple[str, str | None]:
    problem, context = str(error.problem), str(error.context or "")
    reserved = "scanning an alias" in context or "scanning an anchor" in context
    if reserved or ("cannot start any token" in problem and "'\\t'" not in problem):
        return needs_quotes(text, (error.context_mark if reserved else mark).index)
    lines = text.splitlines()
    before = lines[mark.line][: mark.column] if mark.line < len(lines) else ""
    if "mapping values" in problem and (": " in before or before.lstrip().startswith(("'", '"'))):
        return "a second colon in an unquoted value", "quote the value"
    if "expected <block end>" in problem and "'<scalar>'" in problem and before.rstrip().endswith(("'", '"')):
        return "text follows a quoted value", "put the whole value in quotes"
    if "flow mapping" in context or "flow sequence" in context:
        closing = "}" if "mapping" in context else "]"
        opened = f" at {error.context_mark.line + 1}:{error.context_mark.column + 1}" if error.context_mark else ""
        hint = "close it, or quote text that holds , [ ] { or }"
        return f"expected a comma or {closing} for what opens{opened}", hint
    for words, reason, hint in _SENTENCES:
        if words in f"{context} {problem}":
            return reason, hint
    return f"this is not YAML: {problem}", None


_SENTENCES: Final = (
    ("'\\t'", "a tab cannot indent or separate here", "use spaces"),
    (
        "mapping values are not allowed",
        "a key is not expected here",
        "indent it like its neighbours, and end the key above with a colon",
    ),
    ("sequence entries are not allowed", "a list entry is not expected here", "begin the list on a line of its own"),
    ("unexpected end of stream", "the quote that opens here is never closed", "close it"),
    (
        "unknown escape",
        "this is no escape in double quotes",
        "use single quotes, or write the backslash twice",
    ),
    (
        "flow node",
        "a value is expected here",
        "close the [ or { before it, and leave no empty place between commas",
    ),
    (
        "expected <block end>",
        "the indentation does not fit the lines above",
        "indent it like its neighbours",
    ),
    ("could not find expected ':'", "a key has no colon and space after it", "write key: value"),
    (
        "expected '<document start>'",
        "text follows the end of the document",
        "look for one closing bracket too many, or for missing indentation",
    ),
    ("YAML document (version", "this version of YAML cannot be read", "remove the %YAML line"),
)
