"""Patterns that users send: regular expressions for prompts, globs for endpoints. Matching takes a bounded time.

A regular expression has the syntax of RE2, which matches in a time linear in the text. The bound for one is
`MAX_PROGRAM` instructions times `MAX_SEARCHED` bytes.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from fnmatch import translate
from functools import lru_cache
from typing import Final, Protocol

# Characters of a regular expression: far more than a condition on a prompt needs.
MAX_PATTERN: Final = 500

# Instructions of a compiled expression; `.{1,40}` has 360. At this size the slowest search takes about 25 ms.
MAX_PROGRAM: Final = 400

# Bytes of a prompt, in UTF-8, that are searched. Image models read about 512 tokens, 2 kB.
MAX_SEARCHED: Final = 10_000

# Characters of a glob: several times the longest endpoint.
MAX_GLOB: Final = 200

# Bytes for one compiled expression and the automaton that it builds while it matches. RE2 falls back to a slower,
# still linear, algorithm where this is too little.
_MAX_MEMORY: Final = 1 << 17

_MAX_COMPILED: Final = 512


class Expression(Protocol):
    """The part of a compiled expression of google-re2 that is used here; the library has no types."""

    @property
    def programsize(self) -> int: ...

    def search(self, text: bytes) -> object | None: ...


def check_expression(pattern: str) -> None:
    """Raises ValueError, with the end of a sentence, for an expression that can't be matched in bounded time."""
    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"has {len(pattern)} characters, expected at most {MAX_PATTERN}")
    size = program_size(pattern)
    if size > MAX_PROGRAM:
        raise ValueError(f"has {size} instructions, expected at most {MAX_PROGRAM}")


def program_size(pattern: str) -> int:
    """The instructions of a compiled expression; 0 for none. Raises ValueError if RE2 can't compile it."""
    return _compiled(pattern).programsize if pattern else 0


def searched_part(prompt: str) -> str:
    """The part of a prompt in which expressions are searched."""
    return _searched_bytes(prompt).decode("utf-8", "ignore")


def matches_expression(pattern: str, prompt: str) -> bool:
    """Whether an expression, which was checked, is found in a prompt."""
    return _compiled(pattern).search(_searched_bytes(prompt)) is not None


def check_glob(glob: str) -> None:
    """Raises ValueError, with the end of a sentence, for a glob that is too long."""
    if len(glob) > MAX_GLOB:
        raise ValueError(f"has {len(glob)} characters, expected at most {MAX_GLOB}")


def matches_glob(glob: str, text: str) -> bool:
    """Whether the whole text matches; `*`, `?` and `[…]` are special. Raises ValueError for a glob that is too long."""
    check_glob(glob)
    return _compiled_glob(glob)(text) is not None


def _searched_bytes(prompt: str) -> bytes:
    # JSON can hold half of a surrogate pair, which UTF-8 can't.
    return prompt[:MAX_SEARCHED].encode("utf-8", "replace")[:MAX_SEARCHED]


@lru_cache(_MAX_COMPILED)
def _compiled(pattern: str) -> Expression:
    import re2  # type: ignore[import-untyped]  # has no stubs; loaded with the first expression, most runs have none

    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.never_capture = True  # only whether there is a match is used
    options.log_errors = False  # to stderr
    try:
        expression: Expression = re2.compile(pattern, options)
    except UnicodeEncodeError:
        raise ValueError("has half of a surrogate pair") from None
    except re2.error as error:
        reason = error.args[0].decode("utf-8", "replace") if error.args else ""
        raise ValueError(
            f"is not a regular expression of RE2, which has no look-around and no backreferences: {reason}"
        ) from None
    return expression


@lru_cache(_MAX_COMPILED)
def _compiled_glob(glob: str) -> Callable[[str], object | None]:
    # `translate` writes each `*` but the last as an atomic group, so that the search for what follows a `*` never
    # restarts: at most len(glob) * len(text) steps. `fnmatchcase` keeps 32,768 compiled globs, this keeps fewer.
    return re.compile(translate(glob)).match
