"""The journal: HTTP requests and their responses as sent. Bounded in number and memory; totals include removed ones."""

from __future__ import annotations

import json
import math
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from sys import getsizeof
from threading import RLock
from typing import Any, Final, NamedTuple, Protocol
from urllib.parse import quote

from mock_fal.accounts.secrets import HIDDEN, HIDDEN_BYTES, Secrets, own_secret, shown_query, without
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
from mock_fal.journal.memory import EXCHANGE_BYTES, SENDER_BYTES, Memory, Ranking
from mock_fal.journal.tags import tags

RawHeaders = list[tuple[bytes, bytes]]

# Longer bodies are set aside, and searched for the secret of their request when somebody reads them: 47 MB take up to
# 33 ms, and few bodies are read.
MAX_SEARCHED_AT_ONCE: Final = 256 << 10


class SetAside(NamedTuple):
    """The bodies of an exchange that were not searched yet, and the texts to remove from them."""

    names: frozenset[str]
    texts: tuple[bytes, ...]


class Remarks(NamedTuple):
    """What is to be said about few exchanges: see the properties of `Exchange`."""

    directive: str = ""
    is_stubbed: bool = False
    warning: str = ""
    unknown_endpoint: str = ""
    playback: str = ""


NO_REMARKS: Final = Remarks()


class Exchange:
    """An HTTP request and its response. `at` is emulated time, in Unix seconds.

    `received_at` and `sent_at` are real time, from a monotonic clock; `sent_at` is None until the response is complete.
    The headers are stored as bytes: many small objects with a long life slow down garbage collection.
    """

    __slots__ = (
        "_request_body",
        "_response_body",
        "at",
        "client",
        "counted_body_bytes",
        "counted_bytes",
        "host",
        "method",
        "number",
        "path",
        "query",
        "received_at",
        "remarks",
        "repeatable",
        "request_head",
        "request_id",
        "response_head",
        "scheme",
        "searched_version",
        "sent_at",
        "set_aside",
        "status",
        "submitted_to",
        "tenant",
        "uploaded_bytes",
    )

    def __init__(
        self,
        at: float,
        tenant: str,
        method: str,
        host: str,
        path: str,
        query: str,
        request_head: bytes,
        request_body: bytes,
        status: int,
        response_head: bytes,
        response_body: bytes = b"",
        request_id: str | None = None,
        uploaded_bytes: int = 0,
        received_at: float = 0.0,
        sent_at: float | None = None,
        submitted_to: EndpointId | None = None,
        scheme: str = "https",
        client: tuple[str, int] | None = None,
        number: int = 0,
        remarks: Remarks = NO_REMARKS,
    ) -> None:
        self.at = at
        self.tenant = tenant
        self.method = method
        self.host = host
        self.path = path
        self.query = query
        self.request_head = request_head
        self._request_body = request_body
        self.status = status
        self.response_head = response_head
        self._response_body = response_body
        self.request_id = request_id
        # The size of an uploaded file, whose bytes are not stored here.
        self.uploaded_bytes = uploaded_bytes
        self.received_at = received_at
        self.sent_at = sent_at
        # The endpoint of the submission; the URLs of the queue contain only the app.
        self.submitted_to = submitted_to
        # The scheme, and the client's host and port (the same for all requests of one connection).
        self.scheme = scheme
        self.client = client
        # Unique for the server, counted from 1.
        self.number = number
        self.remarks = remarks
        # The bytes that the journal has counted for it.
        self.counted_bytes = self.counted_body_bytes = 0
        # The version of the known keys for which `hide_keys` has searched it.
        self.searched_version = -1
        # Long bodies in which the secret of the request was not looked for yet.
        self.set_aside: SetAside | None = None
        # The secret of the request, if its body contained it: the output may repeat it.
        self.repeatable: tuple[bytes, ...] = ()

    @property
    def request_body(self) -> bytes:
        """The body of the request."""
        if self.set_aside is not None:
            self._search("request_body")
        return self._request_body

    @request_body.setter
    def request_body(self, body: bytes) -> None:
        self._request_body = body

    @property
    def response_body(self) -> bytes:
        """The body of the response."""
        if self.set_aside is not None:
            self._search("response_body")
        return self._response_body

    @response_body.setter
    def response_body(self, body: bytes) -> None:
        self._response_body = body

    def _search(self, name: str) -> None:
        """Remove the secret of the request from a body that was set aside."""
        assert self.set_aside is not None
        names, texts = self.set_aside
        if name in names:
            self.set_aside = SetAside(names - {name}, texts) if len(names) > 1 else None
            self._hide(name, texts)

    def _hide(self, name: str, texts: tuple[bytes, ...]) -> None:
        """Remove the secret of the request, in all its spellings, from a body."""
        body = getattr(self, name)
        hidden = _without_all(body, texts)
        if hidden is not body:
            setattr(self, name, hidden)
            if name == "request_body":
                self.repeatable = texts

    @property
    def request_bytes(self) -> int:
        """The size of the request body; that before the search, if it was set aside."""
        return len(self._request_body)

    @property
    def response_bytes(self) -> int:
        """The size of the response body; that before the search, if it was set aside."""
        return len(self._response_body)

    def request_start(self, size: int) -> bytes:
        """The first `size` bytes of the request body; the rest is not searched for the secret of the request."""
        if self.set_aside is None or "request_body" not in self.set_aside.names:
            return self._request_body[:size]
        texts = self.set_aside.texts
        return _without_all(self._request_body[: size + max(map(len, texts))], texts)[:size]

    def without_repeated(self, output: bytes) -> bytes:
        """The output of the request without the secret that its input contained. Call it for a searched exchange."""
        return _without_all(output, self.repeatable)

    def note(self, **remarks: Any) -> None:
        """Set some of the remarks."""
        self.remarks = self.remarks._replace(**remarks)

    @property
    def directive(self) -> str:
        """The directives that changed the response."""
        return self.remarks.directive

    @property
    def is_stubbed(self) -> bool:
        """Whether the output was given by the user."""
        return self.remarks.is_stubbed

    @property
    def warning(self) -> str:
        """What the user should know about their own output."""
        return self.remarks.warning

    @property
    def unknown_endpoint(self) -> str:
        """The endpoint, if it is not known, and what may have been meant."""
        return self.remarks.unknown_endpoint

    @property
    def playback(self) -> str:
        """`recorded FILE`, `replayed FILE` or `no cassette`; empty without cassettes."""
        return self.remarks.playback

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
    def tags(self) -> dict[str, str]:
        """The valid tags in the header `X-Fal-Tags`, as fal reads them."""
        return tags(next((value for name, value in self.request_headers if name == b"x-fal-tags"), b""))

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
        return unpack_headers(self.request_head)

    @property
    def response_headers(self) -> RawHeaders:
        """The response headers, names in lower case."""
        return unpack_headers(self.response_head)


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


class Unread(Protocol):
    """A request and its response, of which an exchange can be made."""

    @property
    def at(self) -> float: ...

    def read(self) -> tuple[Exchange, str]:
        """The exchange, and the secret in the Authorization header of its request (`own_secret`)."""


# Exchanges are made when the bodies of those that are due have this size, where each counts as some more bytes: for a
# status these are some 50. They are not counted in the budget until then.
MAX_UNREAD_BYTES: Final = 64 << 10
_UNREAD_BYTES: Final = 1 << 10


class Journal:
    """The latest exchanges, oldest first. When there are too many, the key with the most loses its oldest one."""

    def __init__(self, max_exchanges: int, memory: Memory | None = None) -> None:
        self._max_exchanges = max_exchanges
        self._memory = memory or Memory()
        self._memory.add_holder(self)
        # Requests of which no exchange was made yet, oldest first, and the size of their bodies.
        self._unread: deque[Unread] = deque()
        self._unread_bytes = 0
        # Whoever reads the journal makes these exchanges, perhaps in another thread than the server's. The budget has
        # no lock: what it has to count more, by owner, waits for the next exchange that the server adds.
        self._lock = RLock()
        self._uncounted: dict[str, int] = {}
        self._number = 0
        self._body_bytes = 0
        # The sizes that were counted last.
        self._size = self._bodies = 0
        # By number. Not an OrderedDict, which takes twice as much: the oldest ones are found by their owner.
        self._stored: dict[int, Exchange] = {}
        self._of_owner: dict[str, deque[Exchange]] = {}
        self._ranking = Ranking()
        # Counts of the removed exchanges. The others are counted on demand.
        self._removed: Counter[ExchangeKind] = Counter()

    @property
    def body_bytes(self) -> int:
        """The size of the stored bodies."""
        self._read()
        return self._body_bytes

    @property
    def removed(self) -> Counter[ExchangeKind]:
        """The number of removed exchanges of each kind."""
        self._read()
        return self._removed.copy()

    def totals(self) -> Counter[ExchangeKind]:
        """The number of exchanges of each kind since the start, removed ones included."""
        return self.removed + Counter(map(kind_of, self))

    def append(self, exchange: Exchange, authorization: str | None = None) -> None:
        """Add an exchange without the secret of its authorization, and remove the oldest ones beyond the limits."""
        with self._lock:
            self._read()
            self._append(exchange, own_secret(authorization))
        self._tell_memory(exchange.at)

    def append_later(self, unread: Unread, body_bytes: int) -> None:
        """Add the exchange of a request when somebody reads the journal, or when enough of them have come together.

        To make some at once takes less than half of the time. `body_bytes` is the size of both bodies.
        """
        self._unread.append(unread)
        self._unread_bytes += body_bytes + _UNREAD_BYTES
        if self._unread_bytes >= MAX_UNREAD_BYTES:
            self.settle(unread.at)

    def _read(self) -> None:
        """Make the exchanges that are due."""
        if self._unread:
            with self._lock:
                self._unread_bytes = 0
                while self._unread:
                    self._append(*self._unread.popleft().read())

    def _tell_memory(self, now: float) -> None:
        """Count in the budget what was added, and return to its limit. Without the lock: others ask this journal."""
        with self._lock:
            uncounted, self._uncounted = self._uncounted, {}
        for owner, size in uncounted.items():
            self._memory.add(owner, size, finished=True)
        if self._memory.used > self._memory.limit:
            for owner in uncounted:
                self._memory.trim(owner, now)

    def _append(self, exchange: Exchange, secret: str) -> None:
        number = self._number = exchange.number = self._number + 1
        self._stored[number] = exchange
        owner = exchange.tenant
        exchanges = self._of_owner.get(owner)
        previous = exchanges[-1] if exchanges else None
        is_repeated = previous is not None and _repeats(exchange, previous)
        if secret and not is_repeated:
            hide_secret(exchange, secret)
        if exchanges is None:
            exchanges = self._of_owner[owner] = deque()
            self._grow(owner, SENDER_BYTES)
        if len(self._stored) <= self._max_exchanges:
            exchanges.append(exchange)
            self._ranking.set(owner, len(exchanges))
        elif self._ranking.highest == owner:
            # The usual case, with as little work as possible: it takes the place of the oldest one, and its bytes.
            oldest = exchanges.popleft()
            del self._stored[oldest.number]
            self._removed[kind_of(oldest)] += 1
            exchange.counted_bytes, exchange.counted_body_bytes = (
                oldest.counted_bytes,
                oldest.counted_body_bytes,
            )
            oldest.counted_bytes = oldest.counted_body_bytes = 0
            exchanges.append(exchange)
        else:
            exchanges.append(exchange)
            self._ranking.set(owner, len(exchanges))
            self._forget_oldest(self._ranking.highest or owner)
        # The usual case again: all have the same size.
        if not (is_repeated and previous and _is_counted_alike(exchange, previous)):
            self._count(exchange)

    def note(self, exchange: Exchange, **remarks: Any) -> None:
        """Set some of the remarks about an exchange that was added."""
        exchange.note(**remarks)
        self.update_size(exchange)

    def update_size(self, exchange: Exchange) -> None:
        """Update the size of an exchange that has grown."""
        with self._lock:
            if exchange.number in self._stored:
                self._count(exchange)
        self._tell_memory(exchange.at)

    def _count(self, exchange: Exchange) -> None:
        bodies = len(exchange._request_body) + len(exchange._response_body)
        texts = exchange.request_head, exchange.response_head, exchange.query, exchange.host, exchange.tenant
        # The path is unquoted and may have characters of four bytes; the others have one byte for each.
        size = EXCHANGE_BYTES + bodies + sum(map(len, texts)) + getsizeof(exchange.path)
        if exchange.remarks is not NO_REMARKS:
            for text in (exchange.directive, exchange.warning, exchange.unknown_endpoint):
                if text:
                    size += getsizeof(text)
        self._body_bytes += bodies - exchange.counted_body_bytes
        if size != exchange.counted_bytes:
            self._grow(exchange.tenant, size - exchange.counted_bytes)
        # Most sizes repeat, and a number takes 32 bytes.
        exchange.counted_bytes = self._size = self._size if size == self._size else size
        exchange.counted_body_bytes = self._bodies = self._bodies if bodies == self._bodies else bodies

    def _grow(self, owner: str, size: int) -> None:
        self._uncounted[owner] = self._uncounted.get(owner, 0) + size

    def settle(self, now: float) -> None:
        """Make all exchanges. Each is finished when it is stored."""
        self._read()
        self._tell_memory(now)

    def oldest_at(self, owner: str) -> float:
        """The moment of the oldest exchange of an owner; infinite without one. The latest of all is always kept."""
        exchanges = self._of_owner.get(owner)
        return math.inf if exchanges is None or exchanges[0].number == self._number else exchanges[0].at

    def forget_oldest(self, owner: str) -> None:
        """Remove the oldest exchange of an owner."""
        with self._lock:
            self._forget_oldest(owner)
            size = self._uncounted.pop(owner, 0)
        self._memory.add(owner, size, finished=True)

    def _forget_oldest(self, owner: str) -> None:
        exchanges = self._of_owner[owner]
        oldest = exchanges.popleft()
        if not exchanges:
            del self._of_owner[owner]
            self._grow(owner, -SENDER_BYTES)
        self._ranking.set(owner, len(exchanges))
        self._forget(oldest)

    def _forget(self, exchange: Exchange) -> None:
        del self._stored[exchange.number]
        self._removed[kind_of(exchange)] += 1
        self._body_bytes -= exchange.counted_body_bytes
        self._grow(exchange.tenant, -exchange.counted_bytes)
        exchange.counted_bytes = exchange.counted_body_bytes = 0

    def clear(self, tenant: str | None = None) -> None:
        """Remove all exchanges, or those of one tenant."""
        with self._lock:
            self._read()
            for owner in [*self._of_owner] if tenant is None else [tenant]:
                if (exchanges := self._of_owner.pop(owner, None)) is not None:
                    self._grow(owner, -SENDER_BYTES)
                    for exchange in exchanges:
                        self._forget(exchange)
                self._ranking.set(owner, 0)
            if not self._stored:
                self._stored = {}  # a dict keeps the space of removed items
        self._tell_memory(-math.inf)

    def __len__(self) -> int:
        self._read()
        return len(self._stored)

    def __iter__(self) -> Iterator[Exchange]:
        self._read()
        # A copy: another thread may read while the server writes.
        return iter(list(self._stored.values()))

    @property
    def last_number(self) -> int:
        """The number of the latest exchange that was ever added."""
        self._read()
        return self._number

    def find(self, number: int) -> Exchange | None:
        """The exchange of that number; None if it is not stored."""
        self._read()
        return self._stored.get(number)

    def latest(self, number: int) -> list[Exchange]:
        """The latest `number` exchanges, latest first."""
        self._read()
        return list(islice(reversed(self._stored.values()), number))


def _is_counted_alike(exchange: Exchange, other: Exchange) -> bool:
    same_size = exchange.counted_bytes == other.counted_bytes
    return same_size and exchange.counted_body_bytes == other.counted_body_bytes


def _repeats(exchange: Exchange, previous: Exchange) -> bool:
    """Whether two polls are equal, so that what is known of one is true of both.

    Their response is then kept once. It is counted twice, because either may be removed first.
    """
    if (
        # The same object, because it was the same before its secrets were hidden (`Secrets.head`): so is the key.
        exchange.request_head is not previous.request_head
        or previous.set_aside is not None
        or exchange.response_head != previous.response_head
        or exchange._response_body != previous._response_body
        or exchange.path != previous.path
        or exchange.query != previous.query
        or exchange._request_body
        or previous._request_body
        or exchange.remarks is not previous.remarks
    ):
        return False
    exchange.response_head = previous.response_head
    exchange._response_body = previous._response_body
    return True


def kind_of(exchange: Exchange) -> ExchangeKind:
    """The kind under which an exchange is counted."""
    host = exchange.host if exchange.host in EMULATED_HOSTS else "other"
    return _kind(host, _operation(exchange.host, exchange.method, exchange.path), exchange.status)


# Each removed exchange is counted. There are few kinds.
@lru_cache(maxsize=4096)
def _kind(host: str, operation: str, status: int) -> ExchangeKind:
    return ExchangeKind(host, operation, status)


def hide_secret(exchange: Exchange, secret: str) -> None:
    """Remove the secret of a request from its exchange, before it is stored. Long bodies are set aside."""
    texts = _spellings(secret)
    encoded = _encoded(texts)
    for text, data in zip(texts, encoded, strict=True):
        # Nearly no exchange has it, and to look is cheaper than to replace.
        if text in exchange.path:
            exchange.path = exchange.path.replace(text, HIDDEN)
        if text in exchange.query:
            exchange.query = exchange.query.replace(text, HIDDEN)
        if data in exchange.request_head:
            exchange.request_head = exchange.request_head.replace(data, HIDDEN_BYTES)
        if data in exchange.response_head:
            exchange.response_head = exchange.response_head.replace(data, HIDDEN_BYTES)
    long: set[str] = set()
    for name, body in ("request_body", exchange.request_body), ("response_body", exchange.response_body):
        if len(body) > MAX_SEARCHED_AT_ONCE:
            long.add(name)
        elif body and any(data in body for data in encoded):
            exchange._hide(name, encoded)
    if long:
        exchange.set_aside = SetAside(frozenset(long), encoded)


def _spellings(secret: str) -> list[str]:
    return [secret] if secret.isalnum() and secret.isascii() else [secret, quote(secret, safe="")]


def _encoded(texts: list[str]) -> tuple[bytes, ...]:
    return tuple(text.encode("utf-8", "replace") for text in texts)


def _without_all(data: bytes, texts: tuple[bytes, ...]) -> bytes:
    """Bytes without some texts, `data` itself if it has none of them."""
    for text in texts:
        data = without(data, text)
    return data


def add_part(exchange: Exchange, part: bytes, secret: str) -> None:
    """Add a part of a stream to the response, without the secret of the request, which two parts may share."""
    texts = _encoded(_spellings(secret)) if secret else ()
    body = exchange.response_body
    start = max(0, len(body) - max(map(len, texts), default=0))
    end = body[start:] + part
    for text in texts:
        end = end.replace(text, HIDDEN_BYTES)
    exchange.response_body = body[:start] + end


def hide_keys(exchange: Exchange, secrets: Secrets) -> Exchange:
    """Remove the secrets of known keys from an exchange. Whoever reads the journal calls this first.

    It is done then, since a key may become known later, and searching bodies takes time. It is repeated when more keys
    are known.
    """
    if exchange.searched_version != secrets.version:
        exchange.path = secrets.text(exchange.path)
        exchange.query = shown_query(secrets.text(exchange.query))
        if exchange.remarks is not NO_REMARKS:
            exchange.note(
                directive=secrets.text(exchange.directive),
                warning=secrets.text(exchange.warning),
                unknown_endpoint=secrets.text(exchange.unknown_endpoint),
            )
        for name in _BYTES:
            value = getattr(exchange, name)
            hidden = secrets.body(value) if name in _BODIES else secrets.plain(value)
            if hidden is not value:
                setattr(exchange, name, hidden)
        if exchange.sent_at is not None:  # else the response may grow
            exchange.searched_version = secrets.version
    return exchange


_BODIES: Final = ("request_body", "response_body")
_BYTES: Final = (*_BODIES, "request_head", "response_head")


def pack_headers(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Headers as bytes, as HTTP/1.1 has them. No name contains a colon, and no value a line break."""
    return b"\r\n".join(map(b": ".join, headers))


def unpack_headers(head: bytes) -> RawHeaders:
    """The reverse of `pack_headers`."""
    parts = [line.partition(b": ") for line in head.split(b"\r\n") if line]
    return [(name, value) for name, _, value in parts]
