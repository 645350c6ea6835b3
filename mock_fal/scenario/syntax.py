"""The syntax of directives: options `name=value` or `name`, separated by spaces, each with its column.

    option :=  name | name "=" value
    value  :=  characters without a space | a quoted text | a JSON object or list
    quoted :=  '…' or "…"; a doubled quote inside stands for one quote

In a directive in brackets, the first `]` that is neither quoted nor part of JSON ends it.
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
_NAME_IN_BRACKETS: Final = r"[^\s=\]]*"
_BARE_IN_BRACKETS: Final = r"[^\s\]]*"
_UNQUOTED: Final = r"""[^\s\[\]{"'][^\s\]]*"""


class Option(NamedTuple):
    """One option of a directive. `value` is None for a flag; `where` is its position, for error messages."""

    name: str
    value: str | None
    where: str


def read_options(text: str, at: int = 0, *, opened: int | None = None) -> tuple[list[Option], int]:
    """The options from index `at` on, and the index after them. Raises ScenarioError with the column.

    `opened` is the index of the opening bracket, if a `]` has to close the directive.

    >>> read_options("queue=2 msg='not now'")[0]
    [Option(name='queue', value='2', where='column 1'), Option(name='msg', value='not now', where='column 9')]
    """
    options: list[Option] = []
    bracketed = opened is not None
    names = _NAME_IN_BRACKETS if bracketed else _NAME
    while True:
        at = _end(_SPACE, text, at)
        if at == len(text):
            if opened is not None:
                raise ScenarioError(f"{column(opened)}: the directive has no closing ]")
            return options, at
        if bracketed and text[at] == "]":
            return options, at + 1
        begin, at = at, _end(names, text, at)
        name, value = text[begin:at], None
        if text[at : at + 1] == "=":
            value, at = _value(text, at + 1, bracketed)
        options.append(Option(name, value, column(begin)))


def column(at: int) -> str:
    """The column of an index in an error message, counted from 1."""
    return f"column {at + 1}"


def format_option(name: str, value: str | None) -> str:
    """An option as text that `read_options` reads again, also in brackets."""
    if value is None:
        return name
    if re.fullmatch(_UNQUOTED, value) or (value[:1] in ("{", "[") and _json_end(value, 0) == len(value)):
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
    end = _end(_BARE_IN_BRACKETS if bracketed else _BARE, text, at)
    return text[at:end], end


def _quoted(text: str, at: int, quote: str, bracketed: bool) -> tuple[str, int]:
    parts, begin = [], at + 1
    while True:
        end = text.find(quote, begin)
        if end < 0:
            raise ScenarioError(f"{column(at)}: the quote is not closed")
        parts.append(text[begin:end])
        if text[end + 1 : end + 2] != quote:
            break
        begin = end + 2
    if not _is_end(text, end + 1, bracketed):
        raise ScenarioError(
            f"{column(end + 1)}: expected a space after the closing quote; double a quote inside quotes"
        )
    return quote.join(parts), end + 1


def _is_end(text: str, at: int, bracketed: bool) -> bool:
    following = text[at : at + 1]
    return not following or following.isspace() or (bracketed and following == "]")


def _json_end(text: str, at: int) -> int:
    """The index after the JSON value that begins at `at`; 0 if there is none."""
    try:
        return _decoder.raw_decode(text, at)[1]
    except (ValueError, RecursionError):
        return 0


_decoder: Final = JSONDecoder()


def _end(pattern: str, text: str, at: int) -> int:
    match = re.compile(pattern).match(text, at)
    return match.end() if match else at
