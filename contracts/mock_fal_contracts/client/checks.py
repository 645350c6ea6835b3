"""What must be seen: small checks, of which a case names some. Each yields what is wrong and what to do about it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any, Final

from mock_fal_contracts.client.case import Check, Seen
from mock_fal_contracts.client.playing import gaps_s

# Of a value that is shown in a message.
_SHOWN: Final = 160


def shown(value: Any) -> str:
    """A value as JSON, cut where it is long."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def succeeds(seen: Seen) -> Iterator[str]:
    """The last job did well."""
    if not seen.ok:
        yield f"the job failed with {shown(seen.error)}, expected a result; the client must cope with this answer"


def _is(seen: Seen, name: str, value: Any) -> Iterator[str]:
    found = seen.error.get(name)
    if found != value:
        yield f"the error's {name} is {shown(found)}, expected {shown(value)}; take it from the answer"


def fails(
    *, status: int | None = None, kind: str = "", error_type: str = "", saying: tuple[str, ...] = ()
) -> Check:
    """The last job ended as an error that tells this much; `saying` may stand anywhere in the answer."""

    def check(seen: Seen) -> Iterator[str]:
        if seen.ok:
            result = shown(seen.answer.get("result"))
            expected = f"the error {status}" if status else "an error"
            yield f"the job did well, with {result}, expected {expected}; check the HTTP status and the body"
            return
        if status is not None:
            yield from _is(seen, "status", status)
        if kind:
            yield from _is(seen, "kind", kind)
        if error_type:
            yield from _is(seen, "error_type", error_type)
        for text in saying:
            if text not in json.dumps(seen.answer, ensure_ascii=False):
                yield f"{text!r} of the server's answer is nowhere in the error {shown(seen.error)}; hand `detail` on"

    return check


def either(first: Check, second: Check) -> Check:
    """One of two checks holds; what is wrong with the first is told where neither does."""

    def check(seen: Seen) -> Iterator[str]:
        wrong = list(first(seen))
        if wrong and any(True for _ in second(seen)):
            yield from wrong

    return check


def asks(kind: str, times: int, why: str) -> Check:
    """So many requests of a kind, no more and no less."""

    def check(seen: Seen) -> Iterator[str]:
        count = len(seen.to(kind))
        if count != times:
            yield f"{count} requests of the kind {kind!r} were sent, expected {times}; {why}"

    return check


def asks_at_path(kind: str, path: Callable[[Seen], str] | str) -> Check:
    """All requests of a kind go to a path."""

    def check(seen: Seen) -> Iterator[str]:
        expected = path if isinstance(path, str) else path(seen)
        found = [each.path for each in seen.to(kind)]
        if not found:
            yield f"no request of the kind {kind!r} was sent, expected one to {expected}"
        yield from (
            f"{each} was asked, expected {expected}; see the requirement for how the path is made"
            for each in dict.fromkeys(found)
            if each != expected
        )

    return check


def sends(kind: str, document: Any) -> Check:
    """The first request of a kind has this JSON as its body."""

    def check(seen: Seen) -> Iterator[str]:
        found = seen.to(kind)
        if not found:
            yield f"no request of the kind {kind!r} was sent"
        elif found[0].input != document:
            yield (
                f"the body is {found[0].request_body[:_SHOWN].decode('utf-8', 'replace')}, "
                f"expected the input itself, {shown(document)}; send it unchanged and as UTF-8 JSON"
            )

    return check


def has_header(kind: str, names: tuple[str, ...], is_good: Callable[[str], bool], expected: str) -> Check:
    """The first request of a kind has one of these headers, with a good value."""

    def check(seen: Seen) -> Iterator[str]:
        found = seen.to(kind)
        if not found:
            yield f"no request of the kind {kind!r} was sent"
            return
        value = next((v for v in map(found[0].request_header, names) if v is not None), None)
        if value is None:
            yield f"the header {' or '.join(names)} is missing, expected {expected}; send it"
        elif not is_good(value):
            yield f"the header {names[0]} is {value!r}, expected {expected}"

    return check


def result_is(value: Callable[[Seen], Any] | Any, *path: str | int) -> Check:
    """The result, or what stands in it at a path, is this value."""

    def check(seen: Seen) -> Iterator[str]:
        if not seen.ok:
            yield from succeeds(seen)
            return
        expected = value(seen) if callable(value) else value
        found = seen.answer.get("result")
        for step in path:
            inner = isinstance(found, dict) and step in found
            found = found[step] if inner and isinstance(found, dict) else None
        if found != expected or isinstance(found, bool) != isinstance(expected, bool):
            where = f"result.{'.'.join(map(str, path))}" if path else "the result"
            yield f"{where} is {shown(found)}, expected {shown(expected)}, as the server said; hand it on unchanged"

    return check


def as_answered(kind: str) -> Callable[[Seen], Any]:
    """What the server's last answer of a kind said, as JSON."""

    def value(seen: Seen) -> Any:
        found = seen.to(kind)
        return found[-1].output if found else None

    return value


def pauses(kind: str, least_s: float, why: str, *, of: Callable[[list[float]], float] = min) -> Check:
    """Between the requests of a kind there is so much time; with `of=median`, between half of them."""

    def check(seen: Seen) -> Iterator[str]:
        gaps = gaps_s(seen.to(kind))
        if gaps and of(gaps) < least_s:
            yield (
                f"{len(gaps) + 1} requests of the kind {kind!r}, {of(gaps) * 1000:.0f} ms apart, "
                f"expected at least {least_s * 1000:.0f} ms; {why}"
            )

    return check


def refuses(what: str) -> Check:
    """The job failed, whatever the error; `what` says what could not be taken for a result."""

    def check(seen: Seen) -> Iterator[str]:
        if seen.ok:
            yield f"{what} was taken for a good answer: {shown(seen.answer.get('result'))}; report an error"

    return check
