"""The summary of a run: requests, estimated cost, cassettes, failures, webhooks and connections, a few lines in all."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from mock_fal.hosts import MEDIA_HOSTS, is_out_of_reach
from mock_fal.journal.exchanges import Exchange
from mock_fal.terminal import printable
from mock_fal.webhooks.retry_policy import AttemptResult, classify

if TYPE_CHECKING:
    from mock_fal.billing.usage import Usage
    from mock_fal.gateway.connect import Event
    from mock_fal.webhooks.outbox import Delivery

_REQUEST: Final = re.compile(r"/requests/(?!by-endpoint)[^/]+")
_FILE: Final = re.compile(r"/files/.*")

# A string of an input that is a URL, and the beginning of one that is a data URI.
# PHP and others write a slash in JSON as `\/`.
_INPUT_URL: Final = re.compile(rb'"(https?:\\?/\\?/(?:[^"\\\s]|\\/){1,2000})"')
_DATA_URI: Final = re.compile(rb'"data:')
# fal: clients advise to upload larger files (documentation and reports, 2026: 3 to 10 MB). No limit is documented.
MAX_DATA_URI_BYTES: Final = 10_000_000
# How many characters of a URL in an input are shown.
_MAX_INPUT_LENGTH: Final = 120

# How many unused cassettes are named.
_MAX_CASSETTES: Final = 3
# How many characters of a failed response are shown.
_MAX_BODY_LENGTH: Final = 300
# How many characters of a webhook's URL, and of the reason why it failed, are shown.
_MAX_WEBHOOK_LENGTH: Final = 80


def summary(
    exchanges: Sequence[Exchange],
    events: Iterable[Event],
    usage: Usage | None = None,
    unused: Sequence[str] = (),
    deliveries: Iterable[Delivery] = (),
) -> str:
    """The summary, each line with its line break. `unused` are the names of cassettes that no request matched."""
    connections = list(_connections(events))
    lines = [
        _headline(len(exchanges), bool(connections)),
        *_calls(exchanges),
        *_cost(usage),
        *_cassettes(exchanges, unused),
        *_failures(exchanges),
        *_warnings(exchanges),
        *_inputs(exchanges),
        *_unknown_endpoints(exchanges),
        *_failed_webhooks(deliveries),
        *connections,
    ]
    return "".join(f"mock-fal: {printable(line)}\n" for line in lines)


def _headline(count: int, has_connections: bool) -> str:
    if not count and has_connections:
        return "no request received"
    if not count:
        return "no request received; does the program call fal, and honour HTTPS_PROXY?"
    return f"{count} request{'s' if count > 1 else ''} received"


def _calls(exchanges: Sequence[Exchange]) -> Iterable[str]:
    """A line for each method and URL, with the number of each status."""
    counts = Counter((exchange.method, _target(exchange), exchange.status) for exchange in exchanges)
    statuses: dict[tuple[str, str], list[str]] = {}
    for (method, target, status), count in counts.items():
        statuses.setdefault((method, target), []).append(_status(status) + _times(count, "×{}"))
    return [f"  {method:6} {target}  {', '.join(items)}" for (method, target), items in statuses.items()]


def _status(status: int) -> str:
    return str(status) if status else "no response"  # the connection was broken by an injected fault


def _times(count: int, form: str) -> str:
    return " " + form.format(count) if count > 1 else ""


def _cost(usage: Usage | None) -> Iterable[str]:
    """The estimated cost of the run, and of what; nothing if it was free."""
    if usage is None or not usage.items:
        return
    priced = ", ".join(f"{item.requests} × {item.endpoint}" for item in usage.items if item.cost is not None)
    if priced:
        yield f"  estimated cost ${_dollars(usage.cost)}: {priced}"
    if usage.unpriced:
        unknown = ", ".join(f"{item.requests} × {item.endpoint}" for item in usage.items if item.cost is None)
        more = " more" if priced else ""
        count = f"{usage.unpriced}{more} {'requests' if usage.unpriced > 1 else 'request'}"
        yield f"  price not known of {count}: {unknown}"


def _dollars(cost: float) -> str:
    """An amount with at least two decimals.

    >>> _dollars(0.003), _dollars(1.5), _dollars(0.00111)
    ('0.003', '1.50', '0.00111')
    """
    whole, _, cents = f"{cost:.9f}".rstrip("0").partition(".")
    return f"{whole}.{cents:0<2}"


def _cassettes(exchanges: Sequence[Exchange], unused: Sequence[str]) -> Iterable[str]:
    """The number of recorded and replayed responses, and the unused cassettes."""
    counts = Counter(exchange.playback.partition(" ")[0] for exchange in exchanges)
    items = [f"{counts[word]} {name}" for word, name in _PLAYBACK.items() if counts[word]]
    if items:
        yield f"  cassettes: {', '.join(items)}"
    if unused:
        more = f" and {len(unused) - _MAX_CASSETTES} more" if len(unused) > _MAX_CASSETTES else ""
        yield f"  unused cassettes: {', '.join(unused[:_MAX_CASSETTES])}{more}"


# The first word of `Exchange.playback`, and its name here.
_PLAYBACK: Final = {"recorded": "recorded", "replayed": "replayed", "no": "without a cassette"}


def _failures(exchanges: Sequence[Exchange]) -> Iterable[str]:
    """A line for each error response. A result that was requested too early is not a failure."""
    counts = Counter(
        f"{exchange.status} {exchange.method} {_target(exchange)}: {_body(exchange)}"
        for exchange in exchanges
        if exchange.status >= 400 and b"still in progress" not in exchange.response_body
    )
    return [f"  failed: {text}{_times(count, '(×{})')}" for text, count in counts.items()]


def _warnings(exchanges: Sequence[Exchange]) -> Iterable[str]:
    """A line for each warning about an output of the user's own."""
    for warning in dict.fromkeys(exchange.warning for exchange in exchanges):
        if warning:
            yield f"  output: {warning}"


def _inputs(exchanges: Sequence[Exchange]) -> Iterable[str]:
    """A line for each file in an input that fal can't reach, or that is too long for a data URI."""
    notes: Counter[str] = Counter()
    for exchange in exchanges:
        if not exchange.is_submission:
            continue
        for match in _INPUT_URL.finditer(exchange.request_body):
            url = match[1].replace(b"\\/", b"/").decode("utf-8", "replace")
            if _is_out_of_reach(url):
                notes[f"{_cut(url, _MAX_INPUT_LENGTH)}: fal can't reach this address"] += 1
        for match in _DATA_URI.finditer(exchange.request_body):
            size = exchange.request_body.find(b'"', match.end()) - match.start()
            if size > MAX_DATA_URI_BYTES:
                notes[
                    f"a data URI of {size / 1e6:.1f} MB for {exchange.endpoint}: fal may reject it; upload files of "
                    f"more than {MAX_DATA_URI_BYTES // 10**6} MB"
                ] += 1
    return [f"  input: {note}{_times(count, '(×{})')}" for note, count in notes.items()]


def _is_out_of_reach(url: str) -> bool:
    """Whether fal can't reach a URL. A file of the emulator's own media host is not out of reach."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    is_own = parts.path.split("/")[1:2] and parts.path.split("/")[1] in MEDIA_HOSTS
    return bool(parts.hostname) and not is_own and is_out_of_reach(parts.hostname or "")


def _body(exchange: Exchange) -> str:
    return _cut(exchange.response_body.decode("utf-8", "replace"), _MAX_BODY_LENGTH)


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"


def _unknown_endpoints(exchanges: Sequence[Exchange]) -> Iterable[str]:
    """A line for each endpoint that is not emulated, and what to do: fal's own 404 does not say whether fal has it."""
    unknown = dict.fromkeys(exchange.unknown_endpoint for exchange in exchanges if exchange.unknown_endpoint)
    yield from (f"  not emulated: {hint}" for hint in unknown)
    if unknown:
        from mock_fal.models.catalog import WAYS_ON

        yield f"  for what is not emulated: {WAYS_ON}"


def _failed_webhooks(deliveries: Iterable[Delivery]) -> Iterable[str]:
    """A line for each webhook whose last attempt failed, with its URL and the reason."""
    counts = Counter(
        (_cut(delivery.url, _MAX_WEBHOOK_LENGTH), _cut(reason, _MAX_WEBHOOK_LENGTH))
        for delivery in deliveries
        if (reason := _failure_reason(delivery))
    )
    for (url, reason), count in counts.items():
        yield f"  webhook not delivered: {url}: {reason}{_times(count, '(×{})')}"


def _failure_reason(delivery: Delivery) -> str:
    """Why the last attempt failed; empty if it did not, or if there was none."""
    last = delivery.attempts[-1] if delivery.attempts else None
    if last is None or (last.status is not None and classify(last.status) is AttemptResult.DELIVERED):
        return ""
    return f"HTTP {last.status}" if last.status is not None else last.error


def _connections(events: Iterable[Event]) -> Iterable[str]:
    """A line for each host to which connections were forwarded or blocked."""
    counts = Counter(
        (event.kind, event.host, event.port, event.reason) for event in events if event.kind != "fal"
    )
    for (kind, host, port, reason), count in counts.items():
        yield f"  {kind}: {host}:{port}{_times(count, '(×{})')}{f': {reason}' if reason else ''}"


def _target(exchange: Exchange) -> str:
    """Host and path, without the parts that differ in each request."""
    path = _FILE.sub("/files/…", exchange.path) if exchange.host.endswith(".media") else exchange.path
    return exchange.host + _REQUEST.sub("/requests/…", path)
