"""An HTTP client with one connection and one key that records its requests as exchanges."""

from __future__ import annotations

import json
import shlex
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import lru_cache
from ssl import SSLContext
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Evidence
from mock_fal_contracts.target import Target

# How many of the last exchanges a failure may show.
_MAX_RECENT = 12

# How much of a request body the curl command shows.
_MAX_CURL_BODY = 300

# fal: uploads and images may take a while, a response never longer than this (fal_client 1.0.3 waits 120 s).
_TIMEOUT_S = 120.0


class HttpClient:
    """One connection. `on_exchange` is called with every exchange."""

    def __init__(self, target: Target, key: str | None, on_exchange: Callable[[Exchange], None]) -> None:
        self.target = target
        self.key = key
        self.recent: deque[Exchange] = deque(maxlen=_MAX_RECENT)
        self._on_exchange = on_exchange
        # Proxies and certificates of the environment apply to fal's own hosts only, not to a direct address.
        is_plain_http = target.base.startswith("http://")
        self._client = httpx.Client(
            timeout=_TIMEOUT_S,
            trust_env=not target.base,
            verify=False if is_plain_http else _certificates(),
        )

    def __enter__(self) -> HttpClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def send(
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
        """Send a request to one of fal's hosts; `key` says whether it carries the client's key."""
        path_and_query = f"{path}?{urlencode(query)}" if query else path
        url = self.target.url(host, path_and_query)
        return self.send_to_url(method, url, headers=headers, json=json, content=content, key=key)

    def send_to_url(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        json: Any = None,
        content: bytes | Iterable[bytes] | None = None,
        key: bool = True,
    ) -> Exchange:
        """Send a request to a URL that the server itself returned."""
        all_headers = dict(headers or {})
        if key and self.key:
            all_headers.setdefault("authorization", f"Key {self.key}")
        if json is not None:
            content = _compact_json(json)
            all_headers.setdefault("content-type", "application/json")
        body = _ChunkedBody(content) if content is not None and not isinstance(content, bytes) else content
        response = self._client.request(method, url, headers=all_headers, content=body)
        exchange = self._exchange(response, body.bytes if isinstance(body, _ChunkedBody) else body or b"")
        self.recent.append(exchange)
        self._on_exchange(exchange)
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


def evidence(exchanges: Iterable[Exchange], target: Target) -> list[Evidence]:
    """Exchanges as evidence, each with the curl command that repeats the request."""
    return [exchange.evidence(curl_command(exchange, target)) for exchange in exchanges]


def curl_command(exchange: Exchange, target: Target) -> str:
    """The curl command that repeats a request; the shell inserts the key from FAL_KEY."""
    parts = ["curl", "-si"]
    if exchange.method != "GET":
        parts += ["-X", exchange.method]
    if exchange.request_header("authorization"):
        parts += ["-H", "Authorization: Key $FAL_KEY"]
    if exchange.request_header("content-type"):
        parts += ["-H", f"Content-Type: {exchange.request_header('content-type')}"]
    if exchange.request_body:
        parts += ["--data-raw", exchange.request_body[:_MAX_CURL_BODY].decode("utf-8", "replace")]
    query = f"?{exchange.query}" if exchange.query else ""
    parts.append(target.url(exchange.host, exchange.path + query))
    line = " ".join(shlex.quote(part) for part in parts)
    return line.replace("'Authorization: Key $FAL_KEY'", '"Authorization: Key $FAL_KEY"')


@lru_cache
def _certificates() -> SSLContext:
    """Cached: loading the certificates takes longer than a hundred requests."""
    return httpx.create_ssl_context()


class _ChunkedBody:
    """A request body that is sent in chunks and kept for the exchange."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = list(chunks)

    @property
    def bytes(self) -> bytes:
        return b"".join(self._chunks)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._chunks)


def _compact_json(document: Any) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
