"""How directives are written: words `name=value` or `name`, one after the other, and where in a text each stands.

    word   :=  name | name "=" value
    value  :=  letters without a space | a quoted text | a JSON object or list
    quoted :=  '…' or "…", in which a doubled quote stands for one

Inside the brackets of a directive, a `]` that is neither quoted nor part of JSON ends it.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import Final, NamedTuple

from mock_fal.errors import ScenarioError

# Compiled when the first directive is read: most runs have none.
_SPACE: Final = r"\s*"
_NAME: Final = r"[^\s=]*"
_BARE: Final = r"\S*"
_NAME_INSIDE: Final = r"[^\s=\]]*"
_BARE_INSIDE: Final = r"[^\s\]]*"
_PLAIN: Final = r"""[^\s\[\]{"'][^\s\]]*"""


class Option(NamedTuple):
    """One word. `where` says where it stands, for whoever mistyped it; `value` is None for a word alone."""

    name: str
    value: str | None
    where: str


def read_options(text: str, at: int = 0, *, opened: int | None = None) -> tuple[list[Option], int]:
    """The words from `at` on, and where they end. Raises ScenarioError with the column.

    `opened` is where the bracket stands that a `]` has to close.

    >>> read_words("queue=2 msg='not now'")[0]
    [Word(name='queue', value='2', where='column 1'), Word(name='msg', value='not now', where='column 9')]
    """
    found: list[Option] = []
    bracketed = opened is not None
    names = _NAME_INSIDE if bracketed else _NAME
    while True:
        at = _end(_SPACE, text, at)
        if at == len(text):
            if opened is not None:
                raise ScenarioError(f"{column(opened)}: the directive that begins here has no ] at its end")
            return found, at
        if bracketed and text[at] == "]":
            return found, at + 1
        begin, at = at, _end(names, text, at)
        name, value = text[begin:at], None
        if text[at : at + 1] == "=":
            value, at = _value(text, at + 1, bracketed)
        found.append(Option(name, value, column(begin)))


def column(at: int) -> str:
    """How a place in a text is told to a person, who counts from 1."""
    return f"column {at + 1}"


def written(name: str, value: str | None) -> str:
    """A word as `read_words` reads it again, inside of brackets too."""
    if value is None:
        return name
    if re.fullmatch(_PLAIN, value) or (value[:1] in ("{", "[") and _json_end(value, 0) == len(value)):
        return f"{name}={value}"
    doubled = value.replace("'", "''")
    return f"{name}='{doubled}'"


def _value(text: str, at: int, bracketed: bool) -> tuple[str, int]:
    first = text[at : at + 1]
    if first and first in "'\"":
        return _quoted(text, at, first, bracketed)
    if first and first in "[{":
        end = _json_end(text, at)
        if end and _is_end(text, end, bracketed):
            return text[at:end], end
    end = _end(_BARE_INSIDE if bracketed else _BARE, text, at)
    return text[at:end], end


def _quoted(text: str, at: int, quote: str, bracketed: bool) -> tuple[str, int]:
    parts, begin = [], at + 1
    while True:
        end = text.find(quote, begin)
        if end < 0:
            raise ScenarioError(f"{column(at)}: the quote that begins here does not end")
        parts.append(text[begin:end])
        if text[end + 1 : end + 2] != quote:
            break
        begin = end + 2
    if not _is_end(text, end + 1, bracketed):
        raise ScenarioError(
            f"{column(end + 1)}: expected a space behind the quote; a quote inside of quotes is doubled"
        )
    return quote.join(parts), end + 1


def _is_end(text: str, at: int, bracketed: bool) -> bool:
    following = text[at : at + 1]
    return not following or following.isspace() or (bracketed and following == "]")


def _json_end(text: str, at: int) -> int:
    """Where the JSON that begins at `at` ends; 0 when there is none."""
    try:
        return _decoder.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return 0


_decoder: Final = JSONDecoder()


def _end(pattern: str, text: str, at: int) -> int:
    match = re.compile(pattern).match(text, at)
    return match.end() if match else at
