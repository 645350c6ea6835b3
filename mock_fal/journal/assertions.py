"""Assertions about the calls of models, in the spirit of unittest.mock: a failure tells what came, field by field."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final, NamedTuple

from mock_fal.journal.exchanges import Exchange

# What a failure shows of a value, and of how many calls.
_LETTERS: Final = 100
_CALLS: Final = 20


class Expected(NamedTuple):
    """A call: to endpoints like `endpoint` (`*` stands for anything), with `fields` as its whole input.

    Without fields the input may be anything. Values are compared with `==`, so that `unittest.mock.ANY` is.
    """

    endpoint: str
    fields: Mapping[str, Any]

    def __str__(self) -> str:
        given = "".join(f" {name}={_shown(value)}" for name, value in self.fields.items())
        return f"{self.endpoint}{given}" if self.endpoint != "*" or not given else given.strip()


def check_once(calls: Sequence[Exchange], expected: Expected) -> None:
    """Raises AssertionError unless there was one call, the expected one."""
    __tracebackhide__ = True
    if len(calls) != 1 or _differences(calls[0], expected):
        raise AssertionError(_told("one call", calls, expected))


def check_last(calls: Sequence[Exchange], expected: Expected) -> None:
    """Raises AssertionError unless the last call was the expected one."""
    __tracebackhide__ = True
    if not calls or _differences(calls[-1], expected):
        raise AssertionError(_told("the last call to be", calls, expected, at=len(calls) - 1))


def check_any(calls: Sequence[Exchange], expected: Expected) -> None:
    """Raises AssertionError unless one of the calls was the expected one."""
    __tracebackhide__ = True
    if all(_differences(call, expected) for call in calls):
        raise AssertionError(_told("a call", calls, expected))


def check_none(calls: Sequence[Exchange], endpoint: str) -> None:
    """Raises AssertionError if there was a call to endpoints like `endpoint`."""
    __tracebackhide__ = True
    if any(fnmatchcase(call.endpoint or "", endpoint) for call in calls):
        where = "" if endpoint == "*" else f" to {endpoint}"
        raise AssertionError("\n".join([f"expected no call{where}", *_seen(calls)]))


def _told(wanted: str, calls: Sequence[Exchange], expected: Expected, at: int | None = None) -> str:
    lines = [f"expected {wanted}: {expected}", *_seen(calls)]
    apart = [_differences(call, expected) for call in calls]
    if at is not None and calls:
        lines += [f"call {at + 1}:", *apart[at]]
    elif apart and all(apart):
        nearest = min(range(len(apart)), key=lambda at: len(apart[at]))
        lines += [f"the nearest, call {nearest + 1}:", *apart[nearest]]
    return "\n".join(lines)


def _seen(calls: Sequence[Exchange]) -> list[str]:
    if not calls:
        return ["no model was called"]
    count = "1 call" if len(calls) == 1 else f"{len(calls)} calls"
    shown = [f"  {at}. {_call(call)}" for at, call in enumerate(calls[:_CALLS], 1)]
    return [f"seen {count}:", *shown, *(["  …"] if len(calls) > _CALLS else [])]


def _call(call: Exchange) -> str:
    refused = f" → {call.status}" if call.status >= 400 else ""
    fields = call.input
    if not isinstance(fields, dict):
        return f"{call.endpoint} {_shown(call.request_body)}{refused}"
    given = "".join(f" {name}={_shown(value)}" for name, value in fields.items())
    return f"{call.endpoint}{given}{refused}"


def _differences(call: Exchange, expected: Expected) -> list[str]:
    """Two lines for each thing in which a call is not the expected one."""
    lines = []
    if not fnmatchcase(call.endpoint or "", expected.endpoint):
        lines += _pair("endpoint", expected.endpoint, str(call.endpoint))
    if not expected.fields:
        return lines
    fields = call.input
    if not isinstance(fields, dict):
        return [*lines, *_pair("input", "a JSON object", _shown(call.request_body))]
    for name in dict.fromkeys([*expected.fields, *fields]):
        if name not in fields:
            lines += _pair(name, _shown(expected.fields[name]), "nothing")
        elif name not in expected.fields:
            lines += _pair(name, "nothing", _shown(fields[name]))
        elif not expected.fields[name] == fields[name]:
            wanted, sent = expected.fields[name], fields[name]
            lines += _pair(name, _shown(wanted, sent), _shown(sent, wanted))
    return lines


def _pair(name: str, expected: str, sent: str) -> list[str]:
    return [f"  {name}: expected {expected}", f"  {' ' * len(name)}  sent     {sent}"]


def _shown(value: object, other: object = None) -> str:
    """A value as Python writes it; of a long one the part where it begins to differ from the other."""
    whole = repr(value)
    if len(whole) <= _LETTERS:
        return whole
    beside = repr(other)
    same = next(
        (at for at, (ours, theirs) in enumerate(zip(whole, beside, strict=False)) if ours != theirs), 0
    )
    start = 0 if same < _LETTERS // 2 else same - _LETTERS // 4
    end = start + _LETTERS
    return f"{'…' if start else ''}{whole[start:end]}{'…' if end < len(whole) else ''}"
