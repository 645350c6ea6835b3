"""The syntax of directives: options `name=value` or `name`, separated by spaces, each with its column.

    option :=  name | name "=" value
    value  :=  characters without a space | a quoted text | a JSON object or list
    quoted :=  '…' or "…"; a doubled quote inside stands for one quote

In a directive in brackets, the first `]` that is neither quoted nor part of JSON ends it. Limits are checked before
a text is read.
"""

from __future__ import annotations

import re
from json import JSONDecoder
from typing import Final, NamedTuple

from mock_fal.errors import JSON, ScenarioError

# Characters of a directive as text, or of all directives of one input.
MAX_TEXT: Final = 32_768

# Characters of a rule whose options are members of an object or keywords: a recorded response fits in `body`, a
# long transcript or a picture in `output`.
MAX_RULE_TEXT: Final = 4 << 20

# Options of a rule, or of all directives of one input: twice the number of kinds, for `header.NAME` and `ctx.NAME`.
# A value that begins like JSON is read up to the end of the text: at most MAX_OPTIONS * MAX_TEXT characters, 20 ms.
MAX_OPTIONS: Final = 64

# Levels of lists and objects in the JSON of an option. Functions that walk through it are recursive.
MAX_DEPTH: Final = 50

# Characters of a wrong name or value that an error message repeats.
_MAX_SHOWN: Final = 200

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


def read_options(
    text: str,
    at: int = 0,
    *,
    opened: int | None = None,
    max_text: int = MAX_TEXT,
    max_options: int = MAX_OPTIONS,
) -> tuple[list[Option], int]:
    """The options from index `at` on, and the index after them. Raises ScenarioError with the column.

    `opened` is the index of the opening bracket, if a `]` has to close the directive. Several directives share
    `max_text` and `max_options`.

    >>> read_options("queue=2 msg='not now'")[0]
    [Option(name='queue', value='2', where='column 1'), Option(name='msg', value='not now', where='column 9')]
    """
    options: list[Option] = []
    bracketed = opened is not None
    names = _NAME_IN_BRACKETS if bracketed else _NAME
    end = min(len(text), at + max_text)
    if not bracketed and end < len(text):
        raise _too_long(at)
    while True:
        at = _end(_SPACE, text, at, end)
        if at == end:
            if opened is None:
                return options, at
            if end < len(text):
                raise _too_long(opened)
            raise ScenarioError(f"{column(opened)}: the directive has no closing ]")
        if bracketed and text[at] == "]":
            return options, at + 1
        if len(options) >= max_options:
            raise ScenarioError(f"{column(at)}: more than {MAX_OPTIONS} options")
        begin, at = at, _end(names, text, at, end)
        name, value = text[begin:at], None
        if text[at : min(at + 1, end)] == "=":
            value, at = _value(text, at + 1, end, bracketed)
        options.append(Option(name, value, column(begin)))


def shown(value: JSON) -> str:
    """A wrong value in an error message; a long one is cut."""
    return cut(repr(value[:MAX_TEXT])) if isinstance(value, str) else cut(repr(value))


def cut(text: str) -> str:
    """The start of a long text."""
    return text if len(text) <= _MAX_SHOWN else f"{text[:_MAX_SHOWN]}…"


def column(at: int) -> str:
    """The column of an index in an error message, counted from 1."""
    return f"column {at + 1}"


def format_option(name: str, value: str | None) -> str:
    """An option as text that `read_options` reads again, also in brackets."""
    if value is None:
        return name
    if re.fullmatch(_UNQUOTED, value) or (value[:1] in ("{", "[") and _json_end(value) == len(value)):
        return f"{name}={value}"
    doubled = value.replace("'", "''")
    return f"{name}='{doubled}'"


def _value(text: str, at: int, end: int, bracketed: bool) -> tuple[str, int]:
    first = text[at : min(at + 1, end)]
    if first and first in "'\"":
        return _quoted(text, at, end, bracketed)
    if first and first in "[{":
        after = at + _json_end(text[at:end])
        if after > at and _is_end(text, after, bracketed):
            return text[at:after], after
    after = _end(_BARE_IN_BRACKETS if bracketed else _BARE, text, at, end)
    return text[at:after], after


def _quoted(text: str, at: int, end: int, bracketed: bool) -> tuple[str, int]:
    quote, parts, begin = text[at], [], at + 1
    while True:
        close = text.find(quote, begin, end)
        if close < 0 and end < len(text):
            raise _too_long(at)
        if close < 0:
            raise ScenarioError(f"{column(at)}: the quote is not closed")
        parts.append(text[begin:close])
        if text[close + 1 : close + 2] != quote:
            break
        begin = close + 2
    if not _is_end(text, close + 1, bracketed):
        raise ScenarioError(
            f"{column(close + 1)}: expected a space after the closing quote; double a quote inside quotes"
        )
    return quote.join(parts), close + 1


def _is_end(text: str, at: int, bracketed: bool) -> bool:
    following = text[at : at + 1]
    return not following or following.isspace() or (bracketed and following == "]")


def _json_end(text: str) -> int:
    """The length of the JSON value that begins the text; 0 if there is none."""
    try:
        return _decoder.raw_decode(text)[1]
    except (ValueError, RecursionError):
        return 0


_decoder: Final = JSONDecoder()


def _too_long(at: int) -> ScenarioError:
    return ScenarioError(f"{column(at)}: more than {MAX_TEXT} characters")


def _end(pattern: str, text: str, at: int, end: int) -> int:
    match = re.compile(pattern).match(text, at, end)
    return match.end() if match else at
