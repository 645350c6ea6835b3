"""The words of directives: what each is called, which values it takes, and what it means in a sentence."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, NamedTuple

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS

# What a caller does: where the words about answers act. The first three take a request.
POSTS: Final = frozenset({"submit", "run", "stream"})
OPERATIONS: Final = ("submit", "run", "stream", "status", "result", "cancel", "upload", "token", "download")

# A day and a bit: far above any real queue, far below where floats lose milliseconds.
MAX_SPAN_S: Final = 100_000.0

# More lines than this make an answer that no client reads.
MAX_LOGS: Final = 100_000

_HEADER_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE: Final = r"[\t\x20-\x7e\xa0-\xff]*"
# They say how long the answer is, which is not a header's to change.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection"})


class Kind(Enum):
    """What a word is about."""

    CONDITION = "when a directive holds"
    OUTCOME = "what becomes of the request"
    ERROR = "how an error looks"
    INSTEAD = "what is answered in the place of the real answer"
    PAGE = "how such an answer looks"
    ANSWER = "what becomes of an answer"


class OptionKind(NamedTuple):
    """One word. `read` takes what stands behind the `=`, and raises ValueError; `says` is a sentence about it.

    `steps` is where it acts when there is no `operation=`; nowhere in particular means at the POST.
    """

    kind: Kind
    form: str
    read: Callable[[str], JSON]
    says: str
    operations: frozenset[str] = POSTS

    @property
    def is_alone(self) -> bool:
        """Whether it takes no value."""
        return not self.form


def close_to(seen: str, known: Iterable[str]) -> str:
    """What somebody may have meant who wrote `seen`."""
    from difflib import get_close_matches  # for the mistaken only

    names = list(known)
    close = get_close_matches(seen, names, 1)
    return f"; did you mean {close[0]!r}?" if close else f"; expected one of {', '.join(names)}"


def document(text: str) -> JSON:
    """Strict JSON: what can be said in an answer. Raises ValueError."""
    try:
        return json.loads(text, parse_constant=_no_number, parse_float=_finite)
    except RecursionError:
        raise ValueError("too deep") from None


def spelled(value: JSON) -> str:
    """A value of ctx as it is written: text as it is, unless it reads as JSON."""
    if isinstance(value, str):
        try:
            document(value)
        except ValueError:
            return value
    return json.dumps(value, separators=(",", ":"))


def document_or_text(text: str) -> JSON:
    """The reverse of `spelled`."""
    try:
        return document(text)
    except ValueError:
        return text


def header_name(name: str) -> str:
    """A header's name in lower case. Raises ValueError."""
    if not re.fullmatch(_HEADER_NAME, name) or name.lower() in _FRAMING:
        raise ValueError(f"{name!r} is no header that can be set")
    return name.lower()


def _no_number(name: str) -> JSON:
    raise ValueError(f"{name} is no JSON")


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{digits} is too large")
    return number


def _span(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0 <= seconds <= MAX_SPAN_S:
        raise ValueError(f"{text!r}, expected seconds from 0 to {MAX_SPAN_S:g}")
    return seconds


def _whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1
        if not low <= number <= high:
            raise ValueError(f"{text!r}, expected a whole number from {low} to {high}")
        return number

    return read


def _choice(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"{text!r}, expected {' or '.join(names)}")
        return text

    return read


def _error(text: str) -> str:
    known = [*MODEL_ERRORS, *REQUEST_ERRORS]
    if text not in known:
        raise ValueError(f"{text!r} is no error type of fal{close_to(text, known)}")
    return text


def _path(text: str) -> tuple[str | int, ...]:
    parts = text.split(".")
    if not all(parts):
        raise ValueError(f"{text!r}, expected names with dots between them, as in body.prompt")
    return tuple(
        int(part) if part.isascii() and part.isdigit() and len(part) < 10 else part for part in parts
    )


def _pattern(text: str) -> str:
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    return text


def _named(text: str) -> str:
    if not text:
        raise ValueError("'', expected a name")
    return text


def _header_value(text: str) -> str:
    if not re.fullmatch(_HEADER_VALUE, text) or text != text.strip():
        raise ValueError(f"{text!r} can't stand in a header")
    return text


def _patch(text: str) -> JSON:
    try:
        patch = document(text)
    except ValueError:
        patch = None
    if not isinstance(patch, dict):
        raise ValueError(f'{text!r}, expected a JSON object, as in merge={{"new":1}}')
    return patch


def _flag(text: str) -> bool:
    return _choice("true", "false")(text) == "true"


_CONDITION, _OUTCOME, _INSTEAD, _ANSWER = Kind.CONDITION, Kind.OUTCOME, Kind.INSTEAD, Kind.ANSWER
_ALL_WITH_KEY: Final = frozenset(OPERATIONS) - {"download"}
_REPLACED: Final = "and what was asked for is not done"

# In the order in which a directive is printed. `{}` is the value.
OPTIONS: Final[dict[str, OptionKind]] = {
    "endpoint": OptionKind(_CONDITION, "GLOB", _named, "Only for endpoints like {}."),
    "prompt": OptionKind(_CONDITION, "REGEX", _pattern, "Only where the prompt matches {}."),
    "key": OptionKind(_CONDITION, "NAME", _named, "Only for the key of {}."),
    "nth": OptionKind(_CONDITION, "N", _whole(1), "Only for matching call number {}."),
    "after": OptionKind(_CONDITION, "N", _whole(0), "Only after {} matching calls."),
    "times": OptionKind(_CONDITION, "N", _whole(1), "At most {} times."),
    "operation": OptionKind(_CONDITION, "OPERATION", _choice(*OPERATIONS), "At the step {}."),
    "queue": OptionKind(_OUTCOME, "SECONDS", _span, "The request waits {} s in the queue."),
    "run": OptionKind(_OUTCOME, "SECONDS", _span, "The request runs for {} s."),
    "position": OptionKind(
        _OUTCOME, "N", _whole(0), "{} requests more wait in front of it, fewer as the wait goes on."
    ),
    "logs": OptionKind(_OUTCOME, "N", _whole(0, MAX_LOGS), "The runner prints {} lines."),
    "nsfw": OptionKind(
        _OUTCOME,
        "",
        bool,
        "The safety checker finds something: has_nsfw_concepts is true, the picture black.",
    ),
    "cancel": OptionKind(
        _OUTCOME, "honoured|ignored", _choice("honoured", "ignored"), "A cancellation while it runs is {}."
    ),
    "error": OptionKind(_OUTCOME, "TYPE", _error, "The result is the error {}."),
    "msg": OptionKind(Kind.ERROR, "TEXT", str, "Its text is {}."),
    "loc": OptionKind(Kind.ERROR, "a.b", _path, "It is about the field {}."),
    "ctx": OptionKind(Kind.ERROR, "VALUE", document_or_text, "Its ctx holds {}."),
    "retry": OptionKind(Kind.ERROR, "true|false", _flag, "X-Fal-Needs-Retry says {}."),
    "webhook": OptionKind(
        _OUTCOME,
        "duplicate|out_of_order|drop|bad_signature",
        _choice("duplicate", "out_of_order", "drop", "bad_signature"),
        "The webhook: {}.",
    ),
    "status": OptionKind(_INSTEAD, "CODE", _whole(200, 599), f"The answer is HTTP {{}}, {_REPLACED}."),
    "detail": OptionKind(Kind.PAGE, "TEXT", str, "Its body is JSON with the detail {}."),
    "body": OptionKind(Kind.PAGE, "TEXT|JSON", str, "Its body is {}."),
    "ingress": OptionKind(
        _INSTEAD,
        "502|503|504",
        lambda text: int(_choice("502", "503", "504")(text)),
        f"The answer is the ingress's own HTTP {{}} in HTML, without x-fal-request-id, {_REPLACED}.",
    ),
    "account": OptionKind(
        _INSTEAD,
        "locked|unknown|forbidden",
        _choice("locked", "unknown", "forbidden"),
        f"The account is {{}}: 403, or 401 where it is unknown, {_REPLACED}.",
        _ALL_WITH_KEY,
    ),
    "result": OptionKind(
        _INSTEAD,
        "expired",
        _choice("expired"),
        "The result is {}: asked for when the request is over, it is not found (404).",
        frozenset({"result"}),
    ),
    "file": OptionKind(
        _INSTEAD,
        "expired|missing",
        _choice("expired", "missing"),
        "Files are {}: 404 for whoever reads one.",
        frozenset({"download"}),
    ),
    "token": OptionKind(
        _INSTEAD,
        "expired",
        _choice("expired"),
        "The CDN token of an upload is {}: 401.",
        frozenset({"upload"}),
    ),
    "header": OptionKind(_ANSWER, "VALUE", _header_value, "The answer has the header {}."),
    "retry_after": OptionKind(_ANSWER, "SECONDS", _whole(0), "The answer says Retry-After: {}."),
    "merge": OptionKind(
        _ANSWER, "JSON", _patch, "The answer's JSON is patched (RFC 7396: null takes a member away) with {}."
    ),
    "set_null": OptionKind(_ANSWER, "a.b", _path, "In the answer's JSON, {} is null."),
    "json": OptionKind(
        _ANSWER,
        "malformed|truncated|empty",
        _choice("malformed", "truncated", "empty"),
        "The answer's body is {}.",
    ),
    "throttle": OptionKind(
        _ANSWER, "BYTES_PER_SECOND", _whole(1), "The answer's body comes at {} bytes per second."
    ),
    "connection": OptionKind(
        _ANSWER,
        "reset|reset_after_headers|hang",
        _choice("reset", "reset_after_headers", "hang"),
        "The connection: {} (reset and hang: before any answer, and what was asked for is not done).",
    ),
}

# Words with a name inside, as in `header.retry-after=5`.
FAMILIES: Final[dict[str, Callable[[str], str]]] = {"header": header_name, "ctx": _named}
