"""One HTTP request: whom of fal's hosts it asks, and by which way it came.

There are three ways to ask a host of fal here, and the links in an answer follow the way of the question:

    by name     Host: queue.fal.run                   -> https://queue.fal.run/…        (through the gateway)
    by path     http://127.0.0.1:8325/queue.fal.run/  -> http://127.0.0.1:8325/queue.fal.run/…
    by proxy    /api/fal/proxy, x-fal-target-url      -> as by path: a browser must reach the files
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from mock_fal.endpoint import EndpointId
from mock_fal.errors import BodyTooLarge
from mock_fal.hosts import EMULATED_HOSTS, RESULT_HOST, belongs_to_fal

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

# fal: the default path of @fal-ai/server-proxy 1.2.1.
PROXY_PATH: Final = "/api/fal/proxy"

_WEB_PORTS: Final = {"http": (None, 80), "https": (None, 443)}


@dataclass(frozen=True, slots=True)
class Links:
    """Where an answer points: the address of a host of fal, as seen by whoever asked."""

    queue: str
    media: str


class HttpRequest:
    """A request to `host` (one of fal's, or "" for our own address) for `path`, as fal would have seen it."""

    __slots__ = (
        "account",
        "body",
        "by_proxy",
        "headers",
        "host",
        "links",
        "method",
        "path",
        "playback",  # what became of it with cassettes; there only where there are some
        "query",
        "raw_headers",
        "uploaded_bytes",
    )

    playback: str

    def __init__(self, scope: Scope, *, local_media: str = "", proxy_key: str = "") -> None:
        # Not the scope itself: it is where the application keeps us, and a circle would be litter for the collector.
        self.raw_headers: list[tuple[bytes, bytes]] = scope["headers"]
        self.method: str = scope["method"]
        self.headers: dict[bytes, bytes] = dict(self.raw_headers)
        self.body = b""
        # Whom it turned out to come from, where that is not in a key; and what `pieces` has let through.
        self.account = ""
        self.uploaded_bytes = 0
        self.query: str = scope["query_string"].decode("latin-1")
        path: str = scope["path"]
        named = self.headers.get(b"host", b"").decode("latin-1").lower()
        self.by_proxy = path.startswith(PROXY_PATH) and path.rstrip("/") == PROXY_PATH
        if self.by_proxy:
            self.host, self.path, self.query = _target(self.raw_headers)
            # fal: the proxy adds its own key where the caller has none (@fal-ai/server-proxy 1.2.1).
            if not self.headers.get(b"authorization"):
                self.headers[b"authorization"] = f"Key {proxy_key}".encode("latin-1")
        else:
            self.host, self.path = _address(named.partition(":")[0], path)
        self.links = _links(scope["scheme"], named, self.host, local_media)

    def header(self, name: bytes) -> str:
        """A header's value, or an empty string. `name` is in lower case."""
        return self.headers.get(name, b"").decode("latin-1")

    @property
    def segments(self) -> list[str]:
        """The parts of the path."""
        return self.path.strip("/").split("/")

    @property
    def endpoint(self) -> EndpointId | None:
        """The endpoint that the path spells, or None when it is too short."""
        return _endpoint(self.path)

    @property
    def authorization(self) -> str | None:
        """The Authorization header, or None."""
        value = self.headers.get(b"authorization")
        return value.decode("latin-1") if value is not None else None

    @property
    def named_account(self) -> str:
        """The name of the key that was sent, good or not; empty where there is none."""
        scheme, _, key = (self.authorization or "").partition(" ")
        return key.strip().partition(":")[0] if scheme.lower() == "key" else ""

    @property
    def bearer(self) -> str | None:
        """The token of a Bearer authorization, or None for any other."""
        scheme, _, token = (self.authorization or "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else None

    @property
    def params(self) -> Mapping[str, str]:
        """The query's parameters; of one that is given twice, the last."""
        return _params(self.query)

    async def read(self, receive: Receive, limit_bytes: int) -> bytes:
        """The whole body. Raises BodyTooLarge as soon as it is known to be."""
        if self.announced_bytes > limit_bytes:
            raise BodyTooLarge(limit_bytes)
        parts: list[bytes] = []
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            parts.append(message.get("body", b""))
            size += len(parts[-1])
            if size > limit_bytes:
                raise BodyTooLarge(limit_bytes)
            more = message.get("more_body", False)
        self.body = parts[0] if len(parts) == 1 else b"".join(parts)
        return self.body

    @property
    def announced_bytes(self) -> int:
        """How large the body says that it is; 0 if it doesn't."""
        announced = self.headers.get(b"content-length", b"0")
        return int(announced) if announced.isdigit() else 0

    async def pieces(self, receive: Receive) -> AsyncIterator[bytes]:
        """The body as it comes, for what is larger than memory. It is not kept. Raises Gone."""
        more = True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise Gone
            piece: bytes = message.get("body", b"")
            self.uploaded_bytes += len(piece)
            if piece:
                yield piece
            more = message.get("more_body", False)


# Clients ask at the same addresses again and again: polling one costs a look into these tables.
@lru_cache(maxsize=4096)
def _address(name: str, path: str) -> tuple[str, str]:
    """The host of fal that is asked, by name or as the first part of the path, and the path there."""
    first, _, rest = path[1:].partition("/")
    if name in EMULATED_HOSTS:
        return name, path
    if first in EMULATED_HOSTS:
        return first, "/" + rest
    if belongs_to_fal(name):
        return name, path
    if belongs_to_fal(first):
        return first, "/" + rest
    return "", path


def _target(headers: list[tuple[bytes, bytes]]) -> tuple[str, str, str]:
    """The host, the path and the query that a proxy is to ask; none of them where that can't be said."""
    # deviation: the npm proxy lets pass fal.run, queue.fal.run and two addresses of rest.fal.ai; here every host that
    # is emulated may be asked, so that uploads in parts and tokens work too.
    # deviation: it fails at what fetch() refuses (another scheme, user information, no address at all), and makes one
    # address of a header that is given twice; here that is an invalid request, as another port is (1.2.1).
    named = [value for name, value in headers if name == b"x-fal-target-url"]
    try:
        target = urlsplit(named[0].decode("latin-1") if len(named) == 1 else "")
        usable = target.port in _WEB_PORTS.get(target.scheme, ()) and "@" not in target.netloc
    except ValueError:
        usable = False
    return (target.hostname or "", unquote(target.path) or "/", target.query) if usable else ("", "", "")


class Gone(Exception):
    """Whoever asked has hung up."""


@lru_cache(maxsize=1024)
def _endpoint(path: str) -> EndpointId | None:
    return EndpointId.of([part for part in path.split("/") if part])


@lru_cache(maxsize=1024)
def _params(query: str) -> Mapping[str, str]:
    return dict(parse_qsl(query, keep_blank_values=True))


@lru_cache(maxsize=256)
def _links(scheme: str, named: str, host: str, local_media: str) -> Links:
    """The links for a question to `host` that came with the Host header `named`: by name, if they are the same."""
    name, colon, port = named.partition(":")
    if name != host:
        base = f"{scheme}://{named}"
        return Links(f"{base}/queue.fal.run", local_media or f"{base}/{RESULT_HOST}")
    return Links(
        f"{scheme}://queue.fal.run{colon}{port}", local_media or f"{scheme}://{RESULT_HOST}{colon}{port}"
    )
