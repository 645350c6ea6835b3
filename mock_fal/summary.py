"""What a run came to, in a few lines for a person: what was called, what failed, what was refused."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from mock_fal.hosts import QUEUE_HOSTS, RUN_HOSTS
from mock_fal.journal.exchanges import Exchange
from mock_fal.models.catalog import FAMILIES, STREAMING

if TYPE_CHECKING:
    from mock_fal.billing.usage import Usage
    from mock_fal.gateway.connect import Event

_PLANES = QUEUE_HOSTS | RUN_HOSTS
_REQUEST = re.compile(r"/requests/(?!by-endpoint)[^/]+")
_FILE = re.compile(r"/files/.*")


def summary(
    exchanges: Sequence[Exchange],
    events: Iterable[Event],
    usage: Usage | None = None,
    unused: Sequence[str] = (),
) -> str:
    """The lines, each with its end. `exchanges` may be of any number, `unused` are files of cassettes."""
    decisions = list(_decisions(events))
    headline = _headline(len(exchanges), bool(decisions))
    calls = [*_calls(exchanges), *_cost(usage)]
    failures = [*_failures(exchanges), *_advice(exchanges)]
    lines = [headline, *calls, *_cassettes(exchanges, unused), *failures, *decisions]
    return "".join(f"mock-fal: {line}\n" for line in lines)


def _headline(count: int, decided: bool) -> str:
    if not count and decided:
        return "no request answered"
    if not count:
        return "no request came; does the program call fal, and honour HTTPS_PROXY?"
    return f"{count} request{'s' if count > 1 else ''} answered"


def _calls(exchanges: Sequence[Exchange]) -> Iterable[str]:
    """One line for each address, with how often each status was its answer."""
    counts = Counter((each.method, _address(each), each.status) for each in exchanges)
    responses: dict[tuple[str, str], list[str]] = {}
    for (method, address, status), count in counts.items():
        responses.setdefault((method, address), []).append(
            _response(status) + (f" ×{count}" if count > 1 else "")
        )
    return [f"  {method:6} {address}  {', '.join(codes)}" for (method, address), codes in responses.items()]


def _response(status: int) -> str:
    return str(status) if status else "no answer"  # a connection that a test let break


def _cost(usage: Usage | None) -> Iterable[str]:
    """What the run would have cost, and for what. A run that nobody would have paid for says nothing."""
    if usage is not None and usage.items:
        parts = ", ".join(f"{item.requests} × {item.endpoint}" for item in usage.items)
        yield f"  would have cost ${_dollars(usage.cost)}: {parts}"


def _dollars(cost: float) -> str:
    """An amount to the cent, or to as many places as it takes.

    >>> _dollars(0.003), _dollars(1.5), _dollars(0.00111)
    ('0.003', '1.50', '0.00111')
    """
    whole, _, cents = f"{cost:.9f}".rstrip("0").partition(".")
    return f"{whole}.{cents:0<2}"


def _cassettes(exchanges: Sequence[Exchange], unused: Sequence[str]) -> Iterable[str]:
    """How many answers went to or came from cassettes, and which cassettes nobody asked for."""
    counts = Counter(each.playback.partition(" ")[0] for each in exchanges)
    told = [f"{counts[word]} {name}" for word, name in _PLAYED.items() if counts[word]]
    if told:
        yield f"  cassettes: {', '.join(told)}"
    if unused:
        more = f" and {len(unused) - _SHOWN} more" if len(unused) > _SHOWN else ""
        yield f"  never used: {', '.join(unused[:_SHOWN])}{more}"


# The first words of what the journal says about cassettes.
_PLAYED: Final = {"recorded": "recorded", "replayed": "replayed", "no": "without a cassette"}
_SHOWN: Final = 3

# How much of a failed answer is told.
_WORDS: Final = 300


def _failures(exchanges: Sequence[Exchange]) -> Iterable[str]:
    """The first words of each answer that says no; asking too early is no failure."""
    seen = Counter(
        f"{each.status} {each.method} {_address(each)}: {_words(each.response_body)}"
        for each in exchanges
        if each.status >= 400 and b"still in progress" not in each.response_body
    )
    return [f"  failed: {text}{f' (×{count})' if count > 1 else ''}" for text, count in seen.items()]


def _words(body: bytes) -> str:
    text = body.decode("utf-8", "replace")
    return text if len(text) <= _WORDS else text[: _WORDS - 1] + "…"


def _advice(exchanges: Sequence[Exchange]) -> Iterable[str]:
    """A line for each endpoint that was asked for and that we don't have: fal's own 404 can't tell that."""
    ours = [each for each in exchanges if each.playback in ("", "no cassette") and each.status != 501]
    asked = (each.path.strip("/") for each in ours if each.method == "POST" and each.host in _PLANES)
    for endpoint in dict.fromkeys(asked):
        if endpoint not in FAMILIES and endpoint.removesuffix("/stream") not in STREAMING:
            close = get_close_matches(endpoint, FAMILIES, 1, 0.8)
            known = f"did you mean {close[0]}?" if close else f"it has {', '.join(FAMILIES)}"
            yield f"  not emulated: {endpoint or 'an address without an endpoint'}; {known}"


def _decisions(events: Iterable[Event]) -> Iterable[str]:
    told = Counter(
        (event.kind, event.host, event.port, event.reason) for event in events if event.kind != "fal"
    )
    for (kind, host, port, reason), count in told.items():
        times = f" (×{count})" if count > 1 else ""
        yield f"  {kind}: {host}:{port}{times}{f': {reason}' if reason else ''}"


def _address(each: Exchange) -> str:
    """Where it went, without what differs from request to request."""
    path = _FILE.sub("/files/…", each.path) if each.host.endswith(".media") else each.path
    return each.host + _REQUEST.sub("/requests/…", path)
