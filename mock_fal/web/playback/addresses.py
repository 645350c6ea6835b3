"""Conversion between fal's URLs and the URLs that a client of mock-fal's own address uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from mock_fal.errors import JSON
from mock_fal.hosts import EMULATED_HOSTS, MEDIA_HOSTS, RESULT_HOST
from mock_fal.web.http_request import HttpRequest, Links

# Characters of a path that are not percent-encoded (RFC 3986).
_SAFE: Final = "/:@!$&'()*+,;=~-._"


class Addresses:
    """The base URLs of fal's hosts, fal's and local. Through the gateway they are the same, and `differ` is false."""

    def __init__(self, links: Links) -> None:
        base = links.queue.removesuffix("queue.fal.run")
        media_base = links.media.removesuffix(RESULT_HOST)
        local_urls = {host: f"{media_base if host in MEDIA_HOSTS else base}{host}" for host in EMULATED_HOSTS}
        self._to_local = {
            f"https://{host}": local for host, local in local_urls.items() if local != f"https://{host}"
        }
        self._to_fal = {local: url for url, local in self._to_local.items()}

    @property
    def differ(self) -> bool:
        return bool(self._to_local)

    def to_local(self, value: JSON) -> JSON:
        """JSON of a response, with the URLs that the client uses."""
        return _replaced(value, self._to_local) if self.differ else value

    def to_fal(self, value: JSON) -> JSON:
        """JSON of a request, with fal's URLs."""
        return _replaced(value, self._to_fal) if self.differ else value

    def event_line(self, line: bytes) -> bytes:
        """One line of an event stream, with the URLs that the client uses."""
        if not line.startswith(b"data:"):
            return line
        try:
            value = json.loads(line[5:])
        except (ValueError, RecursionError):
            return line
        return b"data: " + json.dumps(self.to_local(value), separators=(",", ":")).encode()


def fal_url(http_request: HttpRequest) -> str:
    """The URL of a request on fal's host."""
    query = f"?{http_request.query}" if http_request.query else ""
    return f"https://{http_request.host}{quote(http_request.path, safe=_SAFE)}{query}"


def _replaced(value: JSON, base_urls: Mapping[str, str]) -> JSON:
    if isinstance(value, str):
        old = next((url for url in base_urls if value == url or value.startswith(f"{url}/")), "")
        return base_urls[old] + value[len(old) :] if old else value
    if isinstance(value, dict):
        return {name: _replaced(part, base_urls) for name, part in value.items()}
    if isinstance(value, list):
        return [_replaced(part, base_urls) for part in value]
    return value
