"""The mock that a case runs against: its scenario and journal, and the requests that a case prepares."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from mock_fal_contracts.target import CheckError

# How much faster than real time the server's clock runs: a request of 5 seconds takes half a second.
SPEED: Final = 10

_direct = build_opener(ProxyHandler({}))


class MockServer:
    """A running mock at `base`. Uses its control API, and its queue when a case needs an existing request."""

    def __init__(self, base: str, key: str) -> None:
        self.base = base
        self.key = key

    def submit(self, prompt: str) -> str:
        """Submit a request and return its id."""
        body = {"prompt": prompt, "seed": 7}
        return str(self._send("POST", "/queue.fal.run/fal-ai/flux/schnell", body)["request_id"])

    def file(self, url: str) -> tuple[bytes, str]:
        """The bytes and the content type of the file at a URL; both empty if there is none."""
        host_and_path = url.partition("://")[2]
        try:
            with _direct.open(f"{self.base}/{host_and_path}", timeout=10) as response:
                return response.read(), response.headers.get("content-type", "")
        except (HTTPError, ValueError):
            return b"", ""

    def set_rules(self, rules: Iterable[str | Mapping[str, Any]]) -> None:
        """Replace the rules of the scenario."""
        self._send("PUT", "/_mock/scenario", list(rules))

    def exchanges_since(self, exchange_id: int) -> list[Mapping[str, Any]]:
        """The exchanges in the journal after the one with this id."""
        exchanges: list[Mapping[str, Any]] = self._send("GET", f"/_mock/requests?since={exchange_id}")[
            "requests"
        ]
        return exchanges

    def last_exchange_id(self) -> int:
        """The id of the newest exchange in the journal; 0 if it is empty."""
        newest = self._send("GET", "/_mock/requests?limit=1")["requests"]
        return int(newest[-1]["id"]) if newest else 0

    def _send(self, method: str, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        headers = {"authorization": f"Key {self.key}", "content-type": "application/json"}
        request = Request(self.base + path, body, headers, method=method)
        try:
            with _direct.open(request, timeout=30) as response:
                text = response.read()
        except HTTPError as error:
            raise CheckError(f"{method} {path}: {error.code} {error.read().decode()[:300]}") from None
        return json.loads(text) if text else None
