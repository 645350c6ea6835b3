"""Reusable checks of an observation. Each yields a sentence for each violation: what was seen, and how to fix it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from mock_fal_contracts.client.case import Check
from mock_fal_contracts.client.observation import Observation, gaps_s

# Characters of a value that a message shows.
_MAX_VALUE: Final = 160


def shown(value: Any) -> str:
    """A value as JSON, truncated if it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _MAX_VALUE else f"{text[:_MAX_VALUE]}… ({len(text)} characters)"


def succeeds(observation: Observation) -> Iterator[str]:
    """The last job succeeded."""
    if not observation.ok:
        yield (
            f"the job failed with {shown(observation.error)}, expected a result; "
            "the client must handle this response"
        )


def _error_has(observation: Observation, name: str, expected: Any) -> Iterator[str]:
    value = observation.error.get(name)
    if value != expected:
        yield f"the error's {name} is {shown(value)}, expected {shown(expected)}; take it from the response"


def fails(
    *, status: int | None = None, kind: str = "", error_type: str = "", saying: tuple[str, ...] = ()
) -> Check:
    """The last job failed with an error that has these fields; the texts in `saying` may be anywhere in the answer."""

    def check(observation: Observation) -> Iterator[str]:
        if observation.ok:
            result = shown(observation.answer.get("result"))
            expected = f"the error {status}" if status else "an error"
            yield f"the job succeeded with {result}, expected {expected}; check the HTTP status and the body"
            return
        if status is not None:
            yield from _error_has(observation, "status", status)
        if kind:
            yield from _error_has(observation, "kind", kind)
        if error_type:
            yield from _error_has(observation, "error_type", error_type)
        for text in saying:
            if text not in json.dumps(observation.answer, ensure_ascii=False):
                yield (
                    f"{text!r} from the response is missing in the error {shown(observation.error)}; "
                    "pass `detail` on to the caller"
                )

    return check


def either(first: Check, second: Check) -> Check:
    """At least one of two checks holds; otherwise the violations of the first are reported."""

    def check(observation: Observation) -> Iterator[str]:
        violations = list(first(observation))
        if violations and any(True for _ in second(observation)):
            yield from violations

    return check


def requests_exactly(operation: str, times: int, hint: str) -> Check:
    """The client sent exactly this many requests of an operation."""

    def check(observation: Observation) -> Iterator[str]:
        count = len(observation.requests(operation))
        if count != times:
            yield f"{operation!r} was requested {count} times, expected {times}; {hint}"

    return check


def requests_at_most(operation: str, times: int, hint: str) -> Check:
    """The client sent at most this many requests of an operation."""

    def check(observation: Observation) -> Iterator[str]:
        count = len(observation.requests(operation))
        if count > times:
            yield f"{operation!r} was requested {count} times, expected at most {times}; {hint}"

    return check


def requests_path(operation: str, path: Callable[[Observation], str] | str) -> Check:
    """All requests of an operation go to this path."""

    def check(observation: Observation) -> Iterator[str]:
        expected = path if isinstance(path, str) else path(observation)
        requested = [exchange.path for exchange in observation.requests(operation)]
        if not requested:
            yield f"{operation!r} was never requested, expected a request to {expected}"
        yield from (
            f"{other} was requested, expected {expected}; the requirement says how the path is built"
            for other in dict.fromkeys(requested)
            if other != expected
        )

    return check


def sends(operation: str, document: Any) -> Check:
    """The first request of an operation has this JSON body."""

    def check(observation: Observation) -> Iterator[str]:
        exchanges = observation.requests(operation)
        if not exchanges:
            yield f"{operation!r} was never requested"
        elif exchanges[0].input != document:
            yield (
                f"the body is {exchanges[0].request_body[:_MAX_VALUE].decode('utf-8', 'replace')}, "
                f"expected the input itself, {shown(document)}; send it unchanged and as UTF-8 JSON"
            )

    return check


def has_header(
    operation: str, names: tuple[str, ...], is_valid: Callable[[str], bool], expected: str
) -> Check:
    """The first request of an operation has one of these headers, with a valid value."""

    def check(observation: Observation) -> Iterator[str]:
        exchanges = observation.requests(operation)
        if not exchanges:
            yield f"{operation!r} was never requested"
            return
        values = map(exchanges[0].request_header, names)
        value = next((value for value in values if value is not None), None)
        if value is None:
            yield f"the header {' or '.join(names)} is missing, expected {expected}; send it"
        elif not is_valid(value):
            yield f"the header {names[0]} is {value!r}, expected {expected}"

    return check


def result_is(value: Callable[[Observation], Any] | Any, *path: str | int) -> Check:
    """The result, or the value at a path inside it, equals this value."""

    def check(observation: Observation) -> Iterator[str]:
        if not observation.ok:
            yield from succeeds(observation)
            return
        expected = value(observation) if callable(value) else value
        actual = observation.answer.get("result")
        for key in path:
            has_key = isinstance(actual, dict) and key in actual
            actual = actual[key] if has_key and isinstance(actual, dict) else None
        if actual != expected or isinstance(actual, bool) != isinstance(expected, bool):
            where = f"result.{'.'.join(map(str, path))}" if path else "the result"
            yield (
                f"{where} is {shown(actual)}, expected {shown(expected)}, as the server sent it; "
                "return it unchanged"
            )

    return check


def as_sent(operation: str) -> Callable[[Observation], Any]:
    """The JSON body of the server's last response to an operation."""

    def value(observation: Observation) -> Any:
        exchanges = observation.requests(operation)
        return exchanges[-1].output if exchanges else None

    return value


def pauses(
    operation: str, min_s: float, hint: str, *, statistic: Callable[[list[float]], float] = min
) -> Check:
    """The gap between requests of an operation, by default the shortest one, is at least `min_s` seconds."""

    def check(observation: Observation) -> Iterator[str]:
        gaps = gaps_s(observation.requests(operation))
        if gaps and statistic(gaps) < min_s:
            yield (
                f"{operation!r} was requested {len(gaps) + 1} times, {statistic(gaps) * 1000:.0f} ms apart, "
                f"expected at least {min_s * 1000:.0f} ms; {hint}"
            )

    return check


def rejects(what: str) -> Check:
    """The job failed with any error; `what` names the response that is not a result."""

    def check(observation: Observation) -> Iterator[str]:
        if observation.ok:
            result = shown(observation.answer.get("result"))
            yield f"{what} was accepted as a result: {result}; report an error"

    return check
