"""Asks a server over HTTP as one client with one key, and keeps what it asked as exchanges."""

from __future__ import annotations

import json
import shlex
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from ssl import SSLContext
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Evidence
from mock_fal_contracts.target import Target

# How many of the last exchanges a failure may show.
_KEPT = 12

# fal: uploads and pictures may take a while, an answer never longer than this (fal_client 1.0.3 waits 120 s).
_TIMEOUT_S = 120.0


class HttpClient:
    """One connection. `seen` is called with every exchange."""

    def __init__(self, target: Target, key: str | None, seen: Callable[[Exchange], None]) -> None:
        self.target = target
        self.key = key
        self.recent: deque[Exchange] = deque(maxlen=_KEPT)
        self._seen = seen
        # The environment says how fal's own hosts are reached; a direct address needs none of it.
        local = target.base.startswith("http://")
        self._client = httpx.Client(
            timeout=_TIMEOUT_S, trust_env=not target.base, verify=False if local else _certificates()
        )

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(
        self,
        method: str,
        host: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | Iterable[bytes] | None = None,
        key: bool = True,
    ) -> Exchange:
        """Ask one of fal's hosts; `key` says whether the question carries one."""
        text = f"{path}?{urlencode(query)}" if query else path
        return self.follow(
            method, self.target.url(host, text), headers=headers, json=json, content=content, key=key
        )

    def follow(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | Iterable[bytes] | None = None,
        key: bool = True,
    ) -> Exchange:
        """Ask an address that the server itself has given."""
        sent = dict(headers or {})
        if key and self.key:
            sent.setdefault("authorization", f"Key {self.key}")
        if json is not None:
            content, _ = _dumped(json), sent.setdefault("content-type", "application/json")
        body = _Kept(content) if content is not None and not isinstance(content, bytes) else content
        response = self._client.request(method, url, headers=sent, content=body)
        asked = body.bytes if isinstance(body, _Kept) else body or b""
        exchange = self._exchange(response, asked)
        self.recent.append(exchange)
        self._seen(exchange)
        return exchange

    def _exchange(self, response: httpx.Response, body: bytes) -> Exchange:
        request = response.request
        url = str(request.url)
        parts = urlsplit(url)
        host, path = parts.netloc, parts.path
        if self.target.base and url.startswith(self.target.base + "/"):
            base_path = urlsplit(self.target.base).path
            host, _, rest = path.removeprefix(base_path).lstrip("/").partition("/")
            path = f"/{rest}"
        return Exchange(
            at=0.0,
            method=request.method,
            host=host,
            path=path,
            query=parts.query,
            request_headers=list(request.headers.items()),
            request_body=body,
            status=response.status_code,
            response_headers=list(response.headers.multi_items()),
            response_body=response.content,
            request_id=response.headers.get("x-fal-request-id", ""),
            duration_s=response.elapsed.total_seconds(),
        )


def shown(exchanges: Iterable[Exchange], target: Target) -> list[Evidence]:
    """Exchanges as evidence, each with the curl line that asks the same."""
    return [exchange.evidence(curl(exchange, target)) for exchange in exchanges]


def curl(exchange: Exchange, target: Target) -> str:
    """The command that asks the same; the key is left to the shell."""
    parts = ["curl", "-si"]
    if exchange.method != "GET":
        parts += ["-X", exchange.method]
    if exchange.request_header("authorization"):
        parts += ["-H", "Authorization: Key $FAL_KEY"]
    if exchange.request_header("content-type"):
        parts += ["-H", f"Content-Type: {exchange.request_header('content-type')}"]
    if exchange.request_body:
        text = exchange.request_body[:300].decode("utf-8", "replace")
        parts += ["--data-raw", text]
    query = f"?{exchange.query}" if exchange.query else ""
    parts.append(target.url(exchange.host, exchange.path + query))
    line = " ".join(shlex.quote(part) for part in parts)
    return line.replace("'Authorization: Key $FAL_KEY'", '"Authorization: Key $FAL_KEY"')


@lru_cache
def _certificates() -> SSLContext:
    """Reading them takes longer than a hundred questions."""
    return httpx.create_ssl_context()


class _Kept:
    """A body that is sent piece by piece, and remembered."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = list(pieces)

    @property
    def bytes(self) -> bytes:
        return b"".join(self._pieces)

    def __iter__(self) -> Any:
        return iter(self._pieces)


def _dumped(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
