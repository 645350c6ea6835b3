"""What a test asks for: who waits how long, who fails, and how.

A *cue* is a few words in brackets, `[mock: queue=2 run=5]`, in any string of a request's input. It works from
every client in every language without another call. The same words, without the brackets, are taken from the
header `X-Mock-Fal` and from `Scenario.add`.

    cue    :=  word (space word)*
    word   :=  queue=SECONDS | run=SECONDS | error=TYPE | nsfw | cancel=honoured | cancel=ignored
    TYPE   :=  one of fal's model errors or request errors
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any, Final

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, ScenarioError


@dataclass(frozen=True, slots=True)
class Cue:
    """What is asked for one request. Spans are seconds; None leaves the server's default."""

    queue_s: float | None = None
    run_s: float | None = None
    error: str | None = None
    nsfw: bool = False
    honours_cancel: bool = False


NOTHING: Final = Cue()

# A day and a bit: far above any real queue, far below where floats lose milliseconds.
MAX_SPAN_S: Final = 100_000.0

_BRACKETS: Final = re.compile(r"\[mock:([^\]]*)\]")
_MARK: Final = "[mock:"


def parse_cue(words: str, onto: Cue = NOTHING, column: int = 1) -> Cue:
    """Read a cue; what it says replaces what `onto` says. Raises ScenarioError with the column.

    >>> parse_cue("queue=2 nsfw")
    Cue(queue_s=2.0, run_s=None, error=None, nsfw=True, honours_cancel=False)
    """
    for match in re.finditer(r"\S+", words):
        name, equals, value = match.group().partition("=")
        read = _WORDS.get(name)
        where = f"column {column + match.start()}"
        if read is None:
            raise ScenarioError(f"{where}: unknown word {name!r}{_hint(name, _WORDS)}")
        try:
            onto = replace(onto, **read(value if equals else None))
        except ValueError as error:
            raise ScenarioError(f"{where}: {name}: {error}") from None
    return onto


def cue_in(document: JSON, onto: Cue = NOTHING) -> Cue:
    """The cues in all strings of an input, the first one first."""
    for text in _strings(document):
        for match in _BRACKETS.finditer(text):
            onto = parse_cue(match.group(1), onto, match.start(1) + 1)
    return onto


def mentions_cue(body: bytes) -> bool:
    """Whether a body could hold a cue: saves a look at every string of every input."""
    # JSON may write any letter of the mark as \u00xx.
    return _MARK.encode() in body or rb"\u00" in body


@dataclass(frozen=True, slots=True)
class Rule:
    """A cue for the requests to endpoints like `endpoint`, the next `times` of them (None: for ever)."""

    cue: str
    endpoint: str = "*"
    times: int | None = None


class Scenario:
    """The rules of one tenant, the latest first."""

    def __init__(self) -> None:
        self._rules: list[Rule] = []

    def __bool__(self) -> bool:
        """Whether there is any rule."""
        return bool(self._rules)

    def add(self, cue: str, *, endpoint: str = "*", times: int | None = None) -> None:
        """Let `cue` hold for endpoints like `endpoint` (`*` stands for anything), `times` times.

        Raises ScenarioError for a cue that can't be read.
        """
        parse_cue(cue)
        if times is not None and times < 1:
            raise ScenarioError(f"times is {times}, expected 1 or more")
        self._rules.insert(0, Rule(cue, endpoint, times))

    def clear(self) -> None:
        """Forget all rules."""
        self._rules.clear()

    def take(self, endpoint: str) -> Cue | None:
        """The cue for the next request to `endpoint`, if a rule holds. Counts as one of the rule's times."""
        for at, rule in enumerate(self._rules):
            if fnmatchcase(endpoint, rule.endpoint):
                if rule.times == 1:
                    del self._rules[at]
                elif rule.times is not None:
                    self._rules[at] = replace(rule, times=rule.times - 1)
                return parse_cue(rule.cue)
        return None


def _strings(document: JSON) -> Iterator[str]:
    """Every string in a document, in its order."""
    pending = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, str):
            yield value
        elif isinstance(value, dict):
            pending.extend(reversed(value.values()))
        elif isinstance(value, list):
            pending.extend(reversed(value))


def _span(value: str | None) -> float:
    if value is None:
        raise ValueError("a value is missing, expected seconds, as in queue=2 (no space around =)")
    try:
        seconds = float(value)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_SPAN_S:
        raise ValueError(f"{value!r}, expected seconds from 0 to {MAX_SPAN_S:g}")
    return seconds


def _error(value: str | None) -> str:
    if value not in MODEL_ERRORS and value not in REQUEST_ERRORS:
        raise ValueError(f"{value!r} is no error type of fal{_hint(value, [*MODEL_ERRORS, *REQUEST_ERRORS])}")
    return value


def _alone(value: str | None) -> bool:
    if value is not None:
        raise ValueError(f"takes no value, was given {value!r}")
    return True


def _honoured(value: str | None) -> bool:
    if value is None:
        raise ValueError("a value is missing, expected cancel=honoured or cancel=ignored")
    if value not in ("honoured", "ignored"):
        raise ValueError(f"{value!r}, expected honoured or ignored")
    return value == "honoured"


def _hint(seen: str | None, known: Any) -> str:
    from difflib import get_close_matches  # for the mistaken only

    close = get_close_matches(seen or "", list(known), 1)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(known)}"


# What each word of a cue sets. In MODEL_ERRORS and REQUEST_ERRORS stand the values of `error`.
_WORDS: Final[dict[str, Callable[[str | None], dict[str, Any]]]] = {
    "queue": lambda value: {"queue_s": _span(value)},
    "run": lambda value: {"run_s": _span(value)},
    "error": lambda value: {"error": _error(value)},
    "nsfw": lambda value: {"nsfw": _alone(value)},
    "cancel": lambda value: {"honours_cancel": _honoured(value)},
}
