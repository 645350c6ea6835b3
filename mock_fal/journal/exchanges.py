"""The journal: HTTP requests and their responses as sent. Bounded by number and size; totals include removed ones."""

from __future__ import annotations

import json
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final, NamedTuple

from mock_fal.endpoint import EndpointId
from mock_fal.hosts import (
    EMULATED_HOSTS,
    MEDIA_HOSTS,
    PLATFORM_HOSTS,
    QUEUE_HOSTS,
    REST_HOSTS,
    RUN_HOSTS,
    WS_HOSTS,
)

RawHeaders = list[tuple[bytes, bytes]]

# The size of all bodies in the journal: enough for a long test run with some data URIs.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024


@dataclass(slots=True, eq=False, repr=False)
class Exchange:
    """An HTTP request and its response. `at` is emulated time, in Unix seconds.

    `received_at` and `sent_at` are real time, from a monotonic clock; `sent_at` is None until the response is complete.
    The headers are stored as bytes: many small objects with a long life slow down garbage collection.
    """

    at: float
    tenant: str
    method: str
    host: str
    path: str
    query: str
    request_head: bytes
    request_body: bytes
    status: int
    response_head: bytes
    response_body: bytes = b""
    request_id: str | None = None
    # The size of an uploaded file, whose bytes are not stored here.
    uploaded_bytes: int = 0
    received_at: float = 0.0
    sent_at: float | None = None
    # The endpoint of the submission; the URLs of the queue contain only the app.
    submitted_to: EndpointId | None = None
    # The scheme, and the client's host and port (the same for all requests of one connection).
    scheme: str = "https"
    client: tuple[str, int] | None = None
    # Unique for the server, counted from 1.
    number: int = 0
    # The directives that changed the response.
    directive: str = ""
    # `recorded FILE`, `replayed FILE` or `no cassette`; empty without cassettes.
    playback: str = ""

    def __repr__(self) -> str:
        return f"<{self.method} {self.url} → {self.status}>"

    @property
    def url(self) -> str:
        """The URL with fal's host, even if the client used another."""
        query = f"?{self.query}" if self.query else ""
        scheme = "wss" if self.method == "WS" else "https"
        return f"{scheme}://{self.host}{self.path}{query}"

    @property
    def json(self) -> Any:
        """The request body as JSON. Raises ValueError."""
        return json.loads(self.request_body)

    @property
    def input(self) -> Any:
        """The request body as JSON, or None if it isn't JSON."""
        try:
            return json.loads(self.request_body)
        except (ValueError, RecursionError):
            return None

    @property
    def endpoint(self) -> str | None:
        """The endpoint, such as `fal-ai/flux/schnell`; None for a request that is not about a model."""
        if self.submitted_to is not None:
            return str(self.submitted_to)
        if self.host not in _MODEL_HOSTS:
            return None
        endpoint = EndpointId.of([part for part in self.path.partition("/requests/")[0].split("/") if part])
        return None if endpoint is None else str(endpoint)

    @property
    def operation(self) -> str:
        """The operation: one of OPERATIONS."""
        return _operation(self.host, self.method, self.path)

    @property
    def is_submission(self) -> bool:
        """Whether it calls a model, queued or direct."""
        return self.operation in SUBMISSIONS

    @property
    def duration_s(self) -> float | None:
        """The time until the response was complete, in real seconds; None before."""
        return None if self.sent_at is None else self.sent_at - self.received_at

    @property
    def way(self) -> str:
        """How it arrived: `gateway` (fal's hostname), `direct` (mock-fal's URL) or `proxy` (fal's proxy protocol)."""
        headers = dict(self.request_headers)
        if headers.get(b"host", b"").decode("latin-1").lower().partition(":")[0] == self.host:
            return "gateway"
        return "proxy" if b"x-fal-target-url" in headers else "direct"

    @property
    def request_headers(self) -> RawHeaders:
        """The request headers, names in lower case."""
        return _unpack_headers(self.request_head)

    @property
    def response_headers(self) -> RawHeaders:
        """The response headers, names in lower case."""
        return _unpack_headers(self.response_head)


SUBMISSIONS: Final = ("submit", "run", "stream", "realtime")  # calls of models
OPERATIONS: Final = (
    *SUBMISSIONS,
    *("status", "status_stream", "result", "cancel"),  # about a request in the queue
    *("upload", "download"),  # of a file
    *("rest", "platform", "other"),
)

_MODEL_HOSTS: Final = QUEUE_HOSTS | RUN_HOSTS | WS_HOSTS

# The operation, by the rest of the path after the request id.
_QUEUE_OPERATIONS: Final = {
    "status": "status",
    "status/stream": "status_stream",
    "cancel": "cancel",
    "": "result",
    "response": "result",
}


# Clients poll the same URLs, and the operation of each removed exchange is counted.
@lru_cache(maxsize=4096)
def _operation(host: str, method: str, path: str) -> str:
    if host in QUEUE_HOSTS:
        _, inside, rest = path.partition("/requests/")
        if not inside:
            return "submit" if method == "POST" else "other"
        return _QUEUE_OPERATIONS.get(rest.strip("/").partition("/")[2], "other")
    if host in _MODEL_HOSTS:
        if method == "POST":
            return "stream" if path.endswith("/stream") else "run"
        return "realtime" if method == "WS" and host in RUN_HOSTS else "other"
    if host in MEDIA_HOSTS:
        return "download" if method in ("GET", "HEAD") else "upload"
    if host in REST_HOSTS:
        return "rest"
    return "platform" if host in PLATFORM_HOSTS else "other"


class ExchangeKind(NamedTuple):
    """The labels of the totals. There are few: a host that is not emulated is `other`."""

    host: str
    operation: str
    status: int


class Journal:
    """The latest exchanges, oldest first."""

    def __init__(self, max_exchanges: int, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_exchanges = max_exchanges
        self._max_bytes = max_bytes
        self._bytes = 0
        self._number = 0
        self._stored: deque[tuple[Exchange, int]] = deque()
        # Counts of the removed exchanges. The others are counted on demand.
        self._removed: Counter[ExchangeKind] = Counter()

    @property
    def body_bytes(self) -> int:
        """The size of the stored bodies, without streams that are not complete."""
        return self._bytes

    def totals(self) -> Counter[ExchangeKind]:
        """The number of exchanges of each kind since the start, removed ones included."""
        return self._removed + Counter(map(_kind, self))

    def append(self, exchange: Exchange) -> None:
        """Add an exchange, and remove the oldest ones to stay within the limits."""
        self._number += 1
        exchange.number = self._number
        self._store(exchange)

    def _store(self, exchange: Exchange) -> None:
        size = len(exchange.request_body) + len(exchange.response_body)
        self._stored.append((exchange, size))
        self._bytes += size
        self._make_room()

    def update_size(self, exchange: Exchange) -> None:
        """Update the size of an exchange whose response body has grown: that of a stream."""
        for at in range(len(self._stored) - 1, -1, -1):
            stored, size = self._stored[at]
            if stored is exchange:
                new_size = len(exchange.request_body) + len(exchange.response_body)
                self._stored[at] = exchange, new_size
                self._bytes += new_size - size
                self._make_room()
                return

    def _make_room(self) -> None:
        while len(self._stored) > self._max_exchanges or (
            self._bytes > self._max_bytes and len(self._stored) > 1
        ):
            oldest, size = self._stored.popleft()
            self._bytes -= size
            self._removed[_kind(oldest)] += 1

    def clear(self, tenant: str | None = None) -> None:
        """Remove all exchanges, or those of one tenant."""
        exchanges = list(self)
        self._stored.clear()
        self._bytes = 0
        for exchange in exchanges:
            if tenant in (None, exchange.tenant):
                self._removed[_kind(exchange)] += 1
            else:
                self._store(exchange)

    def __len__(self) -> int:
        return len(self._stored)

    def __iter__(self) -> Iterator[Exchange]:
        # A copy: another thread may read while the server writes.
        return iter([exchange for exchange, _ in list(self._stored)])

    def latest(self, number: int) -> list[Exchange]:
        """The latest `number` exchanges, latest first."""
        return [exchange for exchange, _ in list(self._stored)[: -number - 1 : -1]]


def _kind(exchange: Exchange) -> ExchangeKind:
    host = exchange.host if exchange.host in EMULATED_HOSTS else "other"
    return ExchangeKind(host, exchange.operation, exchange.status)


def pack_headers(headers: RawHeaders) -> bytes:
    """Headers as bytes. No name contains a colon, and no value a line feed."""
    return b"\n".join(map(b":".join, headers))


def _unpack_headers(head: bytes) -> RawHeaders:
    parts = [line.partition(b":") for line in head.split(b"\n") if line]
    return [(name, value) for name, _, value in parts]
