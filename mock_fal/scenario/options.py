"""The options of directives: their names, their values and a sentence that explains each."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Final, NamedTuple

from mock_fal.errors import JSON, MODEL_ERRORS, REQUEST_ERRORS, ScenarioError, is_deeper
from mock_fal.scenario.output import Output, output_of
from mock_fal.scenario.patterns import check_expression, check_glob
from mock_fal.scenario.syntax import MAX_DEPTH, shown

# The operations that start a request. Options about the outcome act there.
SUBMIT_OPERATIONS: Final = frozenset({"submit", "run", "stream", "realtime"})
# Those of them whose response is the result. A queued request waits at the concurrency limit instead.
DIRECT_OPERATIONS: Final = frozenset({"run", "stream", "realtime"})
OPERATIONS: Final = (
    *("submit", "run", "stream", "realtime", "handshake"),
    *("status", "result", "cancel", "upload", "token", "download", "webhook"),
)

# The one request error that only direct requests receive.
CONCURRENCY_ERROR: Final = "concurrent_requests_limit"

# A little over a day: far above any real queue, far below where floats lose milliseconds.
MAX_SPAN_S: Final = 100_000.0

# Every poll with logs returns all lines: 1,000 take about 10 ms. Real runs log one line for each of up to 50 steps.
MAX_LOGS: Final = 1_000

# fal: the reasons of a locked account (fal SDK 1.83.0, `lock_reason`), and one more of live 403s (2026).
LOCK_REASONS: Final = {
    "admin_lock": "Admin lock. Please contact hello@fal.ai.",
    "exhausted_balance": "Exhausted balance. Top up your balance at fal.ai/dashboard/billing",
    "no_payment_method": "Please add a payment method at fal.ai/dashboard/billing",
    "archived": "This account has been archived. Please contact hello@fal.ai.",
    "unknown": "Unknown. Please contact hello@fal.ai.",
    "budget_exceeded": "User budget is exceeded. Adjust it at fal.ai/dashboard/billing",
    "top_up": "TOP_UP.",
}

# Billable units of one request: far above any real one.
MAX_UNITS: Final = 1e9

# Characters of a name that may be a misspelled one: several times the longest endpoint. difflib takes a time
# proportional to the product of both lengths.
_MAX_MISSPELLED: Final = 100

# Names that an error message lists: more than there are options and error types.
_MAX_LISTED: Final = 100

# Characters of a number: more than any float has.
_MAX_NUMBER: Final = 32

_HEADER_NAME: Final = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_HEADER_VALUE: Final = r"[\t\x20-\x7e\xa0-\xff]*"
# Headers that state the length of the response; a directive must not change them.
_FRAMING: Final = frozenset({"content-length", "transfer-encoding", "connection"})


class OptionGroup(Enum):
    """What an option is about."""

    CONDITION = "when a directive applies"
    OUTCOME = "the outcome of the request"
    ERROR_DETAIL = "the details of an error"
    REPLACEMENT = "a response that replaces the real one"
    LOCK_DETAIL = "the details of a lock"
    REPLACEMENT_BODY = "the body of a replacement response"
    MODIFICATION = "a change to the response"


class OptionSpec(NamedTuple):
    """One option. `read` parses the text after `=` and raises ValueError; `sentence` explains it, `{}` is the value.

    `value_format` is shown in error messages and is empty for a flag. `operations` is where the option acts when
    there is no `operation=`.
    """

    group: OptionGroup
    value_format: str
    read: Callable[[str], JSON]
    sentence: str
    operations: frozenset[str] = SUBMIT_OPERATIONS

    @property
    def is_flag(self) -> bool:
        """Whether it takes no value."""
        return not self.value_format


def suggestion(text: str, known: Iterable[str]) -> str:
    """The end of an error message: the closest known name, or all of them if there are not too many."""
    from difflib import get_close_matches  # needed for errors only

    names = list(known)
    close = get_close_matches(text, names, 1) if len(text) <= _MAX_MISSPELLED else []
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {', '.join(names)}" if len(names) <= _MAX_LISTED else ""


def parse_json(text: str) -> JSON:
    """Parse strict JSON, which a response can contain. Raises ValueError, also for more than MAX_DEPTH levels."""
    try:
        value = json.loads(text, parse_constant=_reject_constant, parse_float=_finite)
    except RecursionError:
        raise ValueError("too deep") from None
    if is_deeper(value, MAX_DEPTH):
        raise ValueError("too deep")
    return value


def format_ctx(value: JSON) -> str:
    """A value of `ctx` as text: a string as it is, unless it would parse as JSON."""
    if isinstance(value, str):
        try:
            parse_json(value)
        except ValueError:
            return value
    return json.dumps(value, separators=(",", ":"))


def parse_ctx(text: str) -> JSON:
    """The reverse of `format_ctx`: JSON, or else the text itself."""
    try:
        return parse_json(text)
    except ValueError:
        return text


def ctx_name(name: str) -> str:
    """The name of a member of `ctx`, which is part of an option's name. Raises ValueError."""
    if not re.fullmatch(r"[^\s=\]]+", name):
        raise ValueError(f"{shown(name)}, expected a name without space, = and ]")
    return name


def header_name(name: str) -> str:
    """A header's name in lower case. Raises ValueError."""
    if not re.fullmatch(_HEADER_NAME, name) or name.lower() in _FRAMING:
        raise ValueError(f"{shown(name)} is not a header that can be set")
    return name.lower()


def _reject_constant(name: str) -> JSON:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    if not math.isfinite(number := float(digits)):
        raise ValueError(f"{shown(digits)} is too large")
    return number


def _amount(most: float, expected: str) -> Callable[[str], float]:
    """A reader of numbers from 0 to `most`; `expected` is what an error calls them."""

    def read(text: str) -> float:
        try:
            amount = float(text) if len(text) <= _MAX_NUMBER else math.nan
        except ValueError:
            amount = math.nan
        if not 0 <= amount <= most:
            raise ValueError(f"{shown(text)}, expected {expected} from 0 to {most:g}")
        return amount

    return read


_seconds: Final = _amount(MAX_SPAN_S, "seconds")
_units: Final = _amount(MAX_UNITS, "a number")


def _integer(low: int, high: int = 10**9) -> Callable[[str], int]:
    def read(text: str) -> int:
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 18 else -1
        if not low <= number <= high:
            raise ValueError(f"{shown(text)}, expected a whole number from {low} to {high}")
        return number

    return read


def _choice(*names: str) -> Callable[[str], str]:
    def read(text: str) -> str:
        if text not in names:
            raise ValueError(f"{shown(text)}, expected {' or '.join(names)}")
        return text

    return read


def _error_type(text: str) -> str:
    known = [*MODEL_ERRORS, *REQUEST_ERRORS]
    if text not in known:
        raise ValueError(f"{shown(text)} is not an error type of fal{suggestion(text, known)}")
    return text


def _path(text: str) -> tuple[str | int, ...]:
    parts = text.split(".", MAX_DEPTH)
    if not all(parts) or len(parts) > MAX_DEPTH:
        raise ValueError(f"{shown(text)}, expected names with dots between them, as in body.prompt")
    return tuple(
        int(part) if part.isascii() and part.isdigit() and len(part) < 10 else part for part in parts
    )


def _expression(text: str) -> str:
    return _checked(check_expression, text)


def _glob(text: str) -> str:
    return _checked(check_glob, _name(text))


def _checked(check: Callable[[str], None], text: str) -> str:
    try:
        check(text)
    except ValueError as error:
        raise ValueError(f"{shown(text)} {error}") from None
    return text


def _name(text: str) -> str:
    if not text:
        raise ValueError("'', expected a name")
    return text


def _header_value(text: str) -> str:
    if not re.fullmatch(_HEADER_VALUE, text) or text != text.strip():
        raise ValueError(f"{shown(text)} is not allowed in a header")
    return text


def _merge_patch(text: str) -> JSON:
    try:
        patch = parse_json(text)
    except ValueError:
        patch = None
    if not isinstance(patch, dict):
        raise ValueError(f'{shown(text)}, expected a JSON object, as in merge={{"new":1}}')
    return patch


def _output(text: str) -> Output:
    try:
        value = parse_json(text)
    except ValueError:
        raise ValueError(f'{shown(text)}, expected JSON, as in output={{"text":"hello"}}') from None
    try:
        return output_of(value)
    except ScenarioError as error:
        raise ValueError(str(error).removeprefix("output: ")) from None


def _payload(text: str) -> str:
    try:
        parse_json(text)
    except ValueError:
        raise ValueError(f'{shown(text)}, expected JSON, as in payload={{"a":1}} or payload=null') from None
    return text


def _bool(text: str) -> bool:
    return _choice("true", "false")(text) == "true"


_CONDITION, _OUTCOME = OptionGroup.CONDITION, OptionGroup.OUTCOME
_ERROR_DETAIL, _MODIFICATION = OptionGroup.ERROR_DETAIL, OptionGroup.MODIFICATION
_REPLACEMENT, _REPLACEMENT_BODY = OptionGroup.REPLACEMENT, OptionGroup.REPLACEMENT_BODY
_ALL_WITH_KEY: Final = frozenset(OPERATIONS) - {"download", "webhook"}
_WEBHOOK: Final = frozenset({"webhook"})
_NOT_EXECUTED: Final = "and the operation is not executed"

# In the order in which a directive is printed.
OPTIONS: Final[dict[str, OptionSpec]] = {
    "endpoint": OptionSpec(_CONDITION, "GLOB", _glob, "Only for endpoints that match {}."),
    "prompt": OptionSpec(_CONDITION, "REGEX", _expression, "Only if the prompt matches {}."),
    "key": OptionSpec(_CONDITION, "NAME", _name, "Only for the key {}."),
    "nth": OptionSpec(_CONDITION, "N", _integer(1), "Only for matching call number {}."),
    "after": OptionSpec(_CONDITION, "N", _integer(0), "Only after {} matching calls."),
    "times": OptionSpec(_CONDITION, "N", _integer(1), "At most {} times."),
    "operation": OptionSpec(_CONDITION, "OPERATION", _choice(*OPERATIONS), "Only for the operation {}."),
    "queue": OptionSpec(_OUTCOME, "SECONDS", _seconds, "The request waits {} s in the queue."),
    "run": OptionSpec(_OUTCOME, "SECONDS", _seconds, "The request runs for {} s."),
    "position": OptionSpec(
        _OUTCOME,
        "N",
        _integer(0),
        "The queue position is higher by {} at first; the difference shrinks to 0 during the wait.",
    ),
    "logs": OptionSpec(_OUTCOME, "N", _integer(0, MAX_LOGS), "The runner prints {} log lines."),
    "nsfw": OptionSpec(
        _OUTCOME,
        "",
        bool,
        "The safety checker flags the image: has_nsfw_concepts is true, the picture is black.",
    ),
    "cancel": OptionSpec(
        _OUTCOME,
        "honoured|ignored",
        _choice("honoured", "ignored"),
        "A cancellation of the running request is {}.",
    ),
    "output": OptionSpec(_OUTCOME, "JSON", _output, "The output of the model is {}."),
    "billed": OptionSpec(_OUTCOME, "UNITS", _units, "The result is billed as {} units, also a model error."),
    "error": OptionSpec(_OUTCOME, "TYPE", _error_type, "The result is the error {}."),
    "msg": OptionSpec(_ERROR_DETAIL, "TEXT", str, "The error message is {}."),
    "loc": OptionSpec(_ERROR_DETAIL, "a.b", _path, "The error is about the field {}."),
    "ctx": OptionSpec(_ERROR_DETAIL, "VALUE", parse_ctx, "The error's ctx contains {}."),
    "retry": OptionSpec(_ERROR_DETAIL, "true|false", _bool, "X-Fal-Needs-Retry is {}."),
    "webhook": OptionSpec(
        _OUTCOME,
        "duplicate|out_of_order|drop|bad_signature",
        _choice("duplicate", "out_of_order", "drop", "bad_signature"),
        "The fault of the webhook: {}.",
    ),
    "status": OptionSpec(
        _REPLACEMENT, "CODE", _integer(200, 599), f"The response is HTTP {{}}, {_NOT_EXECUTED}."
    ),
    "detail": OptionSpec(_REPLACEMENT_BODY, "TEXT", str, "Its body is JSON with the detail {}."),
    "body": OptionSpec(_REPLACEMENT_BODY, "TEXT|JSON", str, "Its body is {}."),
    "ingress": OptionSpec(
        _REPLACEMENT,
        "502|503|504",
        lambda text: int(_choice("502", "503", "504")(text)),
        f"The response is the ingress's own HTTP {{}} in HTML, without x-fal-request-id, {_NOT_EXECUTED}.",
    ),
    "account": OptionSpec(
        _REPLACEMENT,
        "locked|unknown|forbidden",
        _choice("locked", "unknown", "forbidden"),
        f"The account is {{}}: HTTP 403, or 401 for unknown, {_NOT_EXECUTED}.",
        _ALL_WITH_KEY,
    ),
    "reason": OptionSpec(
        OptionGroup.LOCK_DETAIL, "REASON", _choice(*LOCK_REASONS), "The reason of the lock is {}."
    ),
    "reads": OptionSpec(
        OptionGroup.LOCK_DETAIL,
        "allowed|refused",
        _choice("allowed", "refused"),
        "While the account is locked, reading status and result is {}.",
    ),
    "result": OptionSpec(
        _REPLACEMENT,
        "expired",
        _choice("expired"),
        "The result is {}: after the request has completed, it is not found (HTTP 404).",
        frozenset({"result"}),
    ),
    "file": OptionSpec(
        _REPLACEMENT,
        "expired|missing",
        _choice("expired", "missing"),
        "Files are {}: a download gets HTTP 404.",
        frozenset({"download"}),
    ),
    "token": OptionSpec(
        _REPLACEMENT,
        "expired",
        _choice("expired"),
        "The token is {}: the CDN token of an upload (HTTP 401), and that of a realtime connection (Unauthorized).",
        frozenset({"upload", "handshake"}),
    ),
    "header": OptionSpec(_MODIFICATION, "VALUE", _header_value, "The response has the header {}."),
    "retry_after": OptionSpec(
        _MODIFICATION, "SECONDS", _integer(0), "The response has the header Retry-After: {}."
    ),
    "merge": OptionSpec(
        _MODIFICATION,
        "JSON",
        _merge_patch,
        "The response's JSON is patched (RFC 7396: null removes a member) with {}.",
    ),
    "set_null": OptionSpec(_MODIFICATION, "a.b", _path, "In the response's JSON, {} is null."),
    "json": OptionSpec(
        _MODIFICATION,
        "malformed|truncated|empty",
        _choice("malformed", "truncated", "empty"),
        "The response's body is {}.",
    ),
    "payload": OptionSpec(_MODIFICATION, "JSON|null", _payload, "The webhook's payload is {}.", _WEBHOOK),
    "late": OptionSpec(_MODIFICATION, "SECONDS", _seconds, "The webhook is sent {} s later.", _WEBHOOK),
    "throttle": OptionSpec(
        _MODIFICATION, "BYTES_PER_SECOND", _integer(1), "The response's body is sent at {} bytes per second."
    ),
    "connection": OptionSpec(
        _MODIFICATION,
        "reset|reset_after_headers|hang",
        _choice("reset", "reset_after_headers", "hang"),
        f"The connection: {{}} (reset and hang: before any response, {_NOT_EXECUTED}).",
    ),
}

# Options with a name inside, as in `header.retry-after=5`.
NAMED_OPTIONS: Final[dict[str, Callable[[str], str]]] = {"header": header_name, "ctx": ctx_name}
