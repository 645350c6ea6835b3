"""The journal: every question and its answer, as they went over the wire. Bounded by number and by size."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

RawHeaders = list[tuple[bytes, bytes]]

# What the bodies of all exchanges may come to: enough for a long test run with some data URIs in it.
MAX_BODY_BYTES: Final = 64 * 1024 * 1024


@dataclass(slots=True, eq=False, repr=False)
class Exchange:
    """One question and its answer. `at` is a moment of the emulated clock, in Unix seconds.

    The heads are kept in one piece each: many small things that live long cost a busy server more than writing them.
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

    def __repr__(self) -> str:
        return f"<{self.method} {self.url} → {self.status}>"

    @property
    def url(self) -> str:
        """The address in fal's own words, whichever way it came."""
        query = f"?{self.query}" if self.query else ""
        return f"https://{self.host}{self.path}{query}"

    @property
    def json(self) -> Any:
        """The body of the question. Raises ValueError when it is no JSON."""
        return json.loads(self.request_body)

    @property
    def request_headers(self) -> RawHeaders:
        """The question's headers, names in lower case."""
        return _unpacked(self.request_head)

    @property
    def response_headers(self) -> RawHeaders:
        """The answer's headers, names in lower case."""
        return _unpacked(self.response_head)


class Journal:
    """The latest exchanges, oldest first."""

    def __init__(self, max_exchanges: int, max_bytes: int = MAX_BODY_BYTES) -> None:
        self._max_exchanges = max_exchanges
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: deque[tuple[Exchange, int]] = deque()

    def append(self, exchange: Exchange) -> None:
        """Write an exchange down, and forget as many of the oldest as that takes."""
        size = len(exchange.request_body) + len(exchange.response_body)
        self._kept.append((exchange, size))
        self._bytes += size
        while len(self._kept) > self._max_exchanges or (
            self._bytes > self._max_bytes and len(self._kept) > 1
        ):
            self._bytes -= self._kept.popleft()[1]

    def clear(self, tenant: str | None = None) -> None:
        """Forget all exchanges, or those of one tenant."""
        kept = [] if tenant is None else [each for each in self if each.tenant != tenant]
        self._kept.clear()
        self._bytes = 0
        for exchange in kept:
            self.append(exchange)

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Exchange]:
        # A copy: another thread may read while the server writes.
        return iter([exchange for exchange, _ in list(self._kept)])

    def latest(self, number: int) -> list[Exchange]:
        """The last so many, latest first."""
        return [exchange for exchange, _ in list(self._kept)[: -number - 1 : -1]]


def packed(headers: RawHeaders) -> bytes:
    """Headers in one piece. No name holds a colon, and no value a line feed."""
    return b"\n".join(map(b":".join, headers))


def _unpacked(head: bytes) -> RawHeaders:
    parts = [line.partition(b":") for line in head.split(b"\n") if line]
    return [(name, value) for name, _, value in parts]
