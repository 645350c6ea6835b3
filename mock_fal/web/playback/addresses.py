"""fal's own addresses, and those by which somebody asks who came by our direct address: one is made of the other."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from mock_fal.errors import JSON
from mock_fal.hosts import EMULATED_HOSTS, MEDIA_HOSTS, RESULT_HOST
from mock_fal.web.http_request import HttpRequest, Links

# What stands in a path as it is (RFC 3986).
_PLAIN: Final = "/:@!$&'()*+,;=~-._"


class Addresses:
    """The same hosts by both names. By the gateway they have one name only, and `differ` is false."""

    def __init__(self, links: Links) -> None:
        others = links.queue.removesuffix("queue.fal.run")
        files = links.media.removesuffix(RESULT_HOST)
        seen = {host: f"{files if host in MEDIA_HOSTS else others}{host}" for host in EMULATED_HOSTS}
        self._out = {f"https://{host}": here for host, here in seen.items() if here != f"https://{host}"}
        self._in = {here: name for name, here in self._out.items()}

    @property
    def differ(self) -> bool:
        return bool(self._out)

    def here(self, value: JSON) -> JSON:
        """An answer with the addresses by which the question came."""
        return _renamed(value, self._out) if self._out else value

    def fals(self, value: JSON) -> JSON:
        """An input with fal's addresses."""
        return _renamed(value, self._in) if self._in else value

    def line(self, line: bytes) -> bytes:
        """One line of an event stream, with the addresses by which the question came."""
        if not line.startswith(b"data:"):
            return line
        try:
            seen = json.loads(line[5:])
        except (ValueError, RecursionError):
            return line
        return b"data: " + json.dumps(self.here(seen), separators=(",", ":")).encode()


def url_of(http_request: HttpRequest) -> str:
    """A question's address in fal's own words."""
    query = f"?{http_request.query}" if http_request.query else ""
    return f"https://{http_request.host}{quote(http_request.path, safe=_PLAIN)}{query}"


def _renamed(value: JSON, names: Mapping[str, str]) -> JSON:
    if isinstance(value, str):
        old = next((name for name in names if value == name or value.startswith(f"{name}/")), "")
        return names[old] + value[len(old) :] if old else value
    if isinstance(value, dict):
        return {name: _renamed(part, names) for name, part in value.items()}
    if isinstance(value, list):
        return [_renamed(part, names) for part in value]
    return value
