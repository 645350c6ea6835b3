"""Assertions about calls of models, as in `unittest.mock`. A failure lists the calls and the fields that differ."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from mock_fal.journal.exchanges import Exchange

# How many characters of a value, and how many calls, a failure shows.
_MAX_VALUE_LENGTH: Final = 100
_MAX_CALLS: Final = 20


class Expected(NamedTuple):
    """An expected call: an endpoint pattern (`*` matches anything) and the whole input.

    Without fields every input matches. Values are compared with `==`, so `unittest.mock.ANY` works.
    """

    endpoint: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        fields = "".join(f" {name}={_shown(value)}" for name, value in self.fields.items())
        return f"{self.endpoint}{fields}" if self.endpoint != "*" or not fields else fields.strip()


def check_once(calls: Sequence[Exchange], expected: Expected) -> None:
    """Raises AssertionError unless there was exactly one call, the expected one."""
    __tracebackhide__ = True
    if len(calls) != 1 or _differences(calls[0], expected):
        raise AssertionError(_failure("one call", calls, expected))


def check_last(calls: Sequence[Exchange], expected: Expected) -> None:
    """Raises AssertionError unless the last call was the expected one."""
    __tracebackhide__ = True
    if not calls or _differences(calls[-1], expected):
        raise AssertionError(_failure("the last call to be", calls, expected, at=len(calls) - 1))


def check_any(calls: Sequence[Exchange], expected: Expected) -> None:
    """Raises AssertionError unless one of the calls was the expected one."""
    __tracebackhide__ = True
    if all(_differences(call, expected) for call in calls):
        raise AssertionError(_failure("a call", calls, expected))


def check_none(calls: Sequence[Exchange], endpoint: str) -> None:
    """Raises AssertionError if there was a call to an endpoint that matches."""
    __tracebackhide__ = True
    if any(fnmatchcase(call.endpoint or "", endpoint) for call in calls):
        target = "" if endpoint == "*" else f" to {endpoint}"
        raise AssertionError("\n".join([f"expected no call{target}", *_received(calls)]))


def _failure(what: str, calls: Sequence[Exchange], expected: Expected, at: int | None = None) -> str:
    """The message, with the differences of call `at`, or else of the closest call."""
    lines = [f"expected {what}: {expected}", *_received(calls)]
    differences = [_differences(call, expected) for call in calls]
    if at is not None and calls:
        lines += [f"call {at + 1}:", *differences[at]]
    elif differences and all(differences):
        closest = min(range(len(differences)), key=lambda at: len(differences[at]))
        lines += [f"closest is call {closest + 1}:", *differences[closest]]
    return "\n".join(lines)


def _received(calls: Sequence[Exchange]) -> list[str]:
    if not calls:
        return ["received no call of a model"]
    count = "1 call" if len(calls) == 1 else f"{len(calls)} calls"
    shown = [f"  {at}. {_call(call)}" for at, call in enumerate(calls[:_MAX_CALLS], 1)]
    return [f"received {count}:", *shown, *(["  …"] if len(calls) > _MAX_CALLS else [])]


def _call(call: Exchange) -> str:
    error = f" → {call.status}" if call.status >= 400 else ""
    if not isinstance(call.input, dict):
        return f"{call.endpoint} {_shown(call.request_body)}{error}"
    fields = "".join(f" {name}={_shown(value)}" for name, value in call.input.items())
    return f"{call.endpoint}{fields}{error}"


def _differences(call: Exchange, expected: Expected) -> list[str]:
    """Two lines for each difference between a call and the expected one."""
    lines = []
    if not fnmatchcase(call.endpoint or "", expected.endpoint):
        lines += _difference("endpoint", expected.endpoint, str(call.endpoint))
    if not expected.fields:
        return lines
    fields = call.input
    if not isinstance(fields, dict):
        return [*lines, *_difference("input", "a JSON object", _shown(call.request_body))]
    for name in dict.fromkeys([*expected.fields, *fields]):
        if name not in fields:
            lines += _difference(name, _shown(expected.fields[name]), "nothing")
        elif name not in expected.fields:
            lines += _difference(name, "nothing", _shown(fields[name]))
        elif not expected.fields[name] == fields[name]:
            value, sent = expected.fields[name], fields[name]
            lines += _difference(name, _shown(value, sent), _shown(sent, value))
    return lines


def _difference(name: str, expected: str, sent: str) -> list[str]:
    return [f"  {name}: expected {expected}", f"  {' ' * len(name)}  sent     {sent}"]


def _shown(value: object, other: object = None) -> str:
    """The repr of a value; a long one is cut to the part where it starts to differ from `other`."""
    text = repr(value)
    if len(text) <= _MAX_VALUE_LENGTH:
        return text
    pairs = zip(text, repr(other), strict=False)
    same = next(
        (at for at, (character, other_character) in enumerate(pairs) if character != other_character), 0
    )
    start = 0 if same < _MAX_VALUE_LENGTH // 2 else same - _MAX_VALUE_LENGTH // 4
    end = start + _MAX_VALUE_LENGTH
    return f"{'…' if start else ''}{text[start:end]}{'…' if end < len(text) else ''}"
