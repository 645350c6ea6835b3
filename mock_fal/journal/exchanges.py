"""The journal: every question and its answer, as they went over the wire. Bounded by number and by size.

What is forgotten is still counted: `totals` never go down.
"""

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

# What the bodies of all exchanges may come to: enough for a long test run with some data URIs in it.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024


@dataclass(slots=True, eq=False, repr=False)
class Exchange:
    """One question and its answer. `at` is a moment of the emulated clock, in Unix seconds.

    `asked_at` and `answered_at` are real time, from one clock that never runs backwards; the latter is None while
    the answer goes on. The heads are kept in one piece each: many small things that live long cost a busy server
    more than writing them.
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
    # The size of an uploaded file, whose bytes are not kept here.
    uploaded_bytes: int = 0
    received_at: float = 0.0
    sent_at: float | None = None
    # What the request was submitted to: the addresses of the queue name its app only.
    submitted_to: EndpointId | None = None
    # By which way it came: the scheme, and whose connection it was (host and port; the same for one that is kept).
    scheme: str = "https"
    client: tuple[str, int] | None = None
    # Its place in the journal, from 1 on; no other exchange of a server ever has the same.
    number: int = 0
    # What a test had asked for, in the words of its rules, where that changed the answer.
    directive: str = ""
    # `recorded FILE`, `replayed FILE` or `no cassette`, where there are cassettes at all.
    playback: str = ""

    def __repr__(self) -> str:
        return f"<{self.method} {self.url} → {self.status}>"

    @property
    def url(self) -> str:
        """The address in fal's own words, whichever way it came."""
        query = f"?{self.query}" if self.query else ""
        scheme = "wss" if self.method == "WS" else "https"
        return f"{scheme}://{self.host}{self.path}{query}"

    @property
    def json(self) -> Any:
        """The body of the question. Raises ValueError when it is no JSON."""
        return json.loads(self.request_body)

    @property
    def input(self) -> Any:
        """The body of the question as JSON, or None when it is none."""
        try:
            return json.loads(self.request_body)
        except (ValueError, RecursionError):
            return None

    @property
    def endpoint(self) -> str | None:
        """The endpoint that it is about, such as `fal-ai/flux/schnell`; None for files and the like."""
        if self.submitted_to is not None:
            return str(self.submitted_to)
        if self.host not in _MODEL_HOSTS:
            return None
        named = EndpointId.of([part for part in self.path.partition("/requests/")[0].split("/") if part])
        return None if named is None else str(named)

    @property
    def operation(self) -> str:
        """What was asked for: one of OPERATIONS."""
        return _operation(self.host, self.method, self.path)

    @property
    def is_submission(self) -> bool:
        """Whether it calls a model, in whatever way."""
        return self.operation in SUBMISSIONS

    @property
    def duration_s(self) -> float | None:
        """How long the whole answer took, in real seconds; None while it goes on."""
        return None if self.sent_at is None else self.sent_at - self.received_at

    @property
    def way(self) -> str:
        """How it came: `gateway` (by fal's name, with TLS), `direct` (below our own address) or `proxy` (fal's)."""
        headers = dict(self.request_headers)
        if headers.get(b"host", b"").decode("latin-1").lower().partition(":")[0] == self.host:
            return "gateway"
        return "proxy" if b"x-fal-target-url" in headers else "direct"

    @property
    def request_headers(self) -> RawHeaders:
        """The question's headers, names in lower case."""
        return _unpacked(self.request_head)

    @property
    def response_headers(self) -> RawHeaders:
        """The answer's headers, names in lower case."""
        return _unpacked(self.response_head)


SUBMISSIONS: Final = ("submit", "run", "stream", "realtime")  # calls of models
OPERATIONS: Final = (
    *SUBMISSIONS,
    *("status", "status_stream", "result", "cancel"),  # about a request in the queue
    *("upload", "download"),  # of a file
    *("rest", "platform", "other"),
)

_MODEL_HOSTS: Final = QUEUE_HOSTS | RUN_HOSTS | WS_HOSTS

# What the exchanges of a request are, by what stands behind its id.
_QUEUE_OPERATIONS: Final = {
    "status": "status",
    "status/stream": "status_stream",
    "cancel": "cancel",
    "": "result",
    "response": "result",
}


# Clients ask at the same addresses again and again, and each exchange that is forgotten is counted.
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


class Kind(NamedTuple):
    """What exchanges are counted by. There are few: a host that we don't emulate is `other`."""

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
        self._kept: deque[tuple[Exchange, int]] = deque()
        # Of those that are kept no more. The others are counted when somebody asks.
        self._forgotten: Counter[Kind] = Counter()

    @property
    def body_bytes(self) -> int:
        """What the bodies that are kept come to, but for those of streams that go on."""
        return self._bytes

    def totals(self) -> Counter[Kind]:
        """How many exchanges of each kind there ever were."""
        return self._forgotten + Counter(map(_kind, self))

    def append(self, exchange: Exchange) -> None:
        """Write an exchange down, and forget as many of the oldest as that takes."""
        self._number += 1
        exchange.number = self._number
        self._keep(exchange)

    def _keep(self, exchange: Exchange) -> None:
        size = len(exchange.request_body) + len(exchange.response_body)
        self._kept.append((exchange, size))
        self._bytes += size
        self._make_room()

    def weigh(self, exchange: Exchange) -> None:
        """Count a body again that grew after it was written down: that of a stream."""
        for at in range(len(self._kept) - 1, -1, -1):
            known, size = self._kept[at]
            if known is exchange:
                grown = len(exchange.request_body) + len(exchange.response_body)
                self._kept[at] = exchange, grown
                self._bytes += grown - size
                self._make_room()
                return

    def _make_room(self) -> None:
        while len(self._kept) > self._max_exchanges or (
            self._bytes > self._max_bytes and len(self._kept) > 1
        ):
            oldest, size = self._kept.popleft()
            self._bytes -= size
            self._forgotten[_kind(oldest)] += 1

    def clear(self, tenant: str | None = None) -> None:
        """Forget all exchanges, or those of one tenant."""
        known = list(self)
        self._kept.clear()
        self._bytes = 0
        for exchange in known:
            if tenant in (None, exchange.tenant):
                self._forgotten[_kind(exchange)] += 1
            else:
                self._keep(exchange)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Exchange]:
        # A copy: another thread may read while the server writes.
        return iter([exchange for exchange, _ in list(self._kept)])

    def latest(self, number: int) -> list[Exchange]:
        """The last so many, latest first."""
        return [exchange for exchange, _ in list(self._kept)[: -number - 1 : -1]]


def _kind(exchange: Exchange) -> Kind:
    host = exchange.host if exchange.host in EMULATED_HOSTS else "other"
    return Kind(host, exchange.operation, exchange.status)


def packed(headers: RawHeaders) -> bytes:
    """Headers in one piece. No name holds a colon, and no value a line feed."""
    return b"\n".join(map(b":".join, headers))


def _unpacked(head: bytes) -> RawHeaders:
    parts = [line.partition(b":") for line in head.split(b"\n") if line]
    return [(name, value) for name, _, value in parts]
