"""One HTTP request: which of fal's hosts it is for, and how it was addressed.

There are three ways to address a host of fal. Links in a response use the same way as the request:

    by name     Host: queue.fal.run                   -> https://queue.fal.run/…        (through the gateway)
    by path     http://127.0.0.1:8325/queue.fal.run/  -> http://127.0.0.1:8325/queue.fal.run/…
    by proxy    /api/fal/proxy, x-fal-target-url      -> as by path, so that a browser can reach the files
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from functools import lru_cache
from io import SEEK_END, BytesIO
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from mock_fal.accounts.secrets import own_secret
from mock_fal.endpoint import EndpointId
from mock_fal.errors import BodyTooLarge
from mock_fal.hosts import EMULATED_HOSTS, RESULT_HOST, belongs_to_fal
from mock_fal.journal.memory import Memory
from mock_fal.web.isolation import foreign_origin, is_local_host

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# fal: the default path of @fal-ai/server-proxy 1.2.1.
PROXY_PATH: Final = "/api/fal/proxy"

_WEB_PORTS: Final = {"http": (None, 80), "https": (None, 443)}


class Links(NamedTuple):
    """Base URLs for the links in a response, as the client can reach them."""

    queue: str
    media: str


class Head:
    """The header fields of a request, and where it came from.

    Requests of one connection that repeat the fields share the object, so what follows from them is worked out once.
    """

    __slots__ = ("authorization", "client", "fields", "host", "raw", "scheme", "secret", "shown")

    def __init__(self, scope: Scope) -> None:
        self.raw: list[tuple[bytes, bytes]] = scope["headers"]
        # Names in lower case. If a field is repeated, its last value counts.
        self.fields = dict(self.raw)
        self.host = self.fields.get(b"host", b"").decode("latin-1").lower()
        value = self.fields.get(b"authorization")
        self.authorization = value.decode("latin-1") if value is not None else None
        self.secret = own_secret(self.authorization)
        self.scheme: str = scope["scheme"]
        self.client: tuple[str, int] | None = scope.get("client")
        # The fields as the journal shows them; set by the first exchange.
        self.shown = b""


class HttpRequest:
    """A request to `host` (one of fal's, or "" for mock-fal's own address) and `path`, as fal would receive it."""

    __slots__ = (
        "account",
        "authorization",
        "body",
        "by_name",
        "by_proxy",
        "head",
        "headers",
        "held_bytes",
        "host",
        "links",
        "memory",
        "method",
        "path",
        "playback",  # what was recorded or replayed; set only with cassettes
        "query",
        "uploaded_bytes",
    )

    playback: str

    def __init__(
        self,
        head: Head,
        method: str,
        path: str,
        query: str,
        local_media: str = "",
        proxy_key: str = "",
        memory: Memory | None = None,
    ) -> None:
        self.head = head
        self.headers: Mapping[bytes, bytes] = head.fields
        # The Authorization header, or None; perhaps one that the client has not sent.
        self.authorization = head.authorization
        self.method = method
        self.query = query
        self.body = b""
        # The account, if it follows from something other than a key; and the number of bytes read by `chunks`.
        self.account = ""
        self.uploaded_bytes = 0
        # The budget for a body in more than one part, and its bytes there; `App` gives them back.
        self.memory = memory
        self.held_bytes = 0
        self.by_proxy = path.startswith(PROXY_PATH) and path.rstrip("/") == PROXY_PATH
        if self.by_proxy:
            self.host, self.path, self.query = _target(head.raw)
            self.by_name = False
            self.links = _links(head.scheme, head.host, self.host, local_media)
            # fal: the proxy adds its own key if the client sends none (@fal-ai/server-proxy 1.2.1).
            if proxy_key and not head.authorization:
                self.add_key(proxy_key)
        else:
            # All that counts stands before the id of a request, which is a new one in most calls.
            base = path.partition("/requests/")[0]
            is_short = len(head.host) + len(base) <= _MAX_CACHED_CHARS
            address = _address if is_short else _address.__wrapped__
            self.host, base_path, self.by_name, self.links = address(
                head.scheme, head.host, base, local_media
            )
            # The journal keeps it: that of a submission is the same object for each.
            self.path = base_path + path[len(base) :] or "/"

    @classmethod
    def of(
        cls, scope: Scope, local_media: str = "", proxy_key: str = "", memory: Memory | None = None
    ) -> HttpRequest:
        """The request of an ASGI scope."""
        query = scope["query_string"].decode("latin-1")
        return cls(Head(scope), scope["method"], scope["path"], query, local_media, proxy_key, memory)

    def add_key(self, key: str) -> None:
        """Let the request have a key that its client has not sent."""
        self.authorization = f"Key {key}"
        self.headers = {**self.headers, b"authorization": self.authorization.encode("latin-1")}

    @property
    def raw_headers(self) -> list[tuple[bytes, bytes]]:
        """The header fields as they were sent, in order."""
        return self.head.raw

    def header(self, name: bytes) -> str:
        """A header's value, or an empty string. `name` is in lower case."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def foreign_origin(self) -> str:
        """The Origin if a page of another machine sent the request, else an empty string."""
        return foreign_origin(self.headers.get(b"origin"), self.headers.get(b"host", b""))

    @property
    def has_foreign_host(self) -> bool:
        """Whether the request names mock-fal's own address by what may be a public name (DNS rebinding)."""
        return not self.by_name and not is_local_host(self.header(b"host"))

    @property
    def key_was_sent(self) -> bool:
        """Whether the client sent an Authorization header: the proxy adds a key if it did not."""
        return bool(self.head.authorization)

    @property
    def segments(self) -> list[str]:
        """The parts of the path."""
        return self.path.strip("/").split("/")

    @property
    def endpoint(self) -> EndpointId | None:
        """The endpoint that the path names, or None if the path is too short."""
        return (_endpoint if len(self.path) <= _MAX_CACHED_CHARS else _endpoint.__wrapped__)(self.path)

    @property
    def named_account(self) -> str:
        """The id of the key that was sent, valid or not; empty without one: a text without a colon may be a secret."""
        scheme, _, key = (self.authorization or "").partition(" ")
        key_id, colon, _ = key.strip().partition(":")
        return key_id if colon and scheme.lower() == "key" else ""

    @property
    def bearer(self) -> str | None:
        """The token of a Bearer authorization; None for other schemes."""
        scheme, _, token = (self.authorization or "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    @property
    def params(self) -> Mapping[str, str]:
        """The query parameters. If one is repeated, the last value counts."""
        return (_params if len(self.query) <= _MAX_CACHED_CHARS else _params.__wrapped__)(self.query)

    async def read(self, receive: Receive, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLarge as soon as it exceeds the limit, MemoryFull, and ClientDisconnected."""
        if self.content_length > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        # A BytesIO grows in place and gives its buffer away; joining 60 MB holds the event loop for 40 ms.
        rest: BytesIO | None = None
        body, more = b"", True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            part: bytes = message.get("body", b"")
            if rest is None and not body:
                body = part
            else:
                rest = rest or BytesIO(body)
                rest.seek(0, SEEK_END)
                rest.write(part)
            size = rest.tell() if rest else len(body)
            if size > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            if rest and self.memory:
                self.memory.receive(size - self.held_bytes)
                self.held_bytes = size
            more = message.get("more_body", False)
        self.body = rest.getvalue() if rest else body
        return self.body

    @property
    def content_length(self) -> int:
        """The Content-Length in bytes; 0 if it is missing or invalid."""
        length = self.headers.get(b"content-length", b"0")
        return int(length) if length.isdigit() else 0

    async def chunks(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body in chunks, for uploads larger than memory; it is not kept. Raises ClientDisconnected."""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ClientDisconnected
            chunk: bytes = message.get("body", b"")
            self.uploaded_bytes += len(chunk)
            if chunk:
                yield chunk
            more = message.get("more_body", False)


# Clients use the same URLs many times, so parsed ones are cached; longer ones are not, so that a cache is bounded.
_MAX_CACHED_CHARS: Final = 256


@lru_cache(maxsize=4096)
def _address(scheme: str, host_header: str, path: str, local_media: str) -> tuple[str, str, bool, Links]:
    """The host of fal, the path on that host, whether the Host header names it, and the links.

    The end of the path may be missing; that on the host is empty if it is missing there.
    """
    name = host_header.partition(":")[0]
    host, path = _host_and_path(name, path)
    return host, path, host == name != "", _links(scheme, host_header, host, local_media)


def _host_and_path(name: str, path: str) -> tuple[str, str]:
    """The host of fal, named by the Host header or by the first path segment, and the path on that host."""
    first = path[1:].partition("/")[0]
    if name in EMULATED_HOSTS:
        return name, path
    if first in EMULATED_HOSTS:
        return first, path[1 + len(first) :]
    if belongs_to_fal(name):
        return name, path
    if belongs_to_fal(first):
        return first, path[1 + len(first) :]
    return "", path


def _target(headers: list[tuple[bytes, bytes]]) -> tuple[str, str, str]:
    """The host, path and query of a proxy's target; empty strings if the target is missing or invalid."""
    # deviation: the npm proxy forwards to fal.run, queue.fal.run and two URLs of rest.fal.ai only. Here it forwards to
    # every emulated host, so that multipart uploads and tokens work too.
    # deviation: the npm proxy fails for URLs that fetch() rejects (another scheme, user information, no URL at all) and
    # joins a repeated header into one URL. Here these are invalid requests, as another port is (1.2.1).
    targets = [value for name, value in headers if name == b"x-fal-target-url"]
    try:
        target = urlsplit(targets[0].decode("latin-1") if len(targets) == 1 else "")
        is_valid = target.port in _WEB_PORTS.get(target.scheme, ()) and "@" not in target.netloc
    except ValueError:
        is_valid = False
    return (target.hostname or "", unquote(target.path) or "/", target.query) if is_valid else ("", "", "")


class ClientDisconnected(Exception):
    """The client has closed the connection."""


@lru_cache(maxsize=1024)
def _endpoint(path: str) -> EndpointId | None:
    return EndpointId.of([part for part in path.split("/") if part])


@lru_cache(maxsize=1024)
def _params(query: str) -> Mapping[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


def _links(scheme: str, host_header: str, host: str, local_media: str) -> Links:
    """The links for a request to `host`: by name if the Host header is that host, else by path."""
    name, colon, port = host_header.partition(":")
    if name != host:
        base = f"{scheme}://{host_header}"
        return Links(f"{base}/queue.fal.run", local_media or f"{base}/{RESULT_HOST}")
    return Links(
        f"{scheme}://queue.fal.run{colon}{port}", local_media or f"{scheme}://{RESULT_HOST}{colon}{port}"
    )
