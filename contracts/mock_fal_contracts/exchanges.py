"""One HTTP exchange: read from the journal of a mock, or recorded by a check that sent the request itself."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from mock_fal_contracts.results import Evidence

Headers = Sequence[tuple[str, str]]

# Characters of a body that evidence shows.
_MAX_BODY = 2000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request to one of fal's hosts and its response. Headers keep their order and case.

    `at` is the time of the request in seconds on the server's clock, `received_at` the same on the real clock, and
    `duration_s` the real time until the response ended. `is_open`: the response had not ended yet. `directive` is
    what a rule of the scenario did to the response. `operation`, `endpoint` and `state` have the journal's names.
    """

    at: float
    method: str
    host: str
    path: str
    query: str
    request_headers: Headers
    request_body: bytes
    status: int
    response_headers: Headers
    response_body: bytes
    request_id: str = ""
    duration_s: float = 0.0
    directive: str = ""
    received_at: float = 0.0
    is_open: bool = False
    operation: str = ""
    endpoint: str = ""
    state: str = ""

    @property
    def params(self) -> list[tuple[str, str]]:
        """The parameters of the query, in order."""
        return parse_qsl(self.query, keep_blank_values=True)

    def request_header(self, name: str) -> str | None:
        """A header of the request, by its case-insensitive name; None if it was not sent."""
        return _header(self.request_headers, name)

    def response_header(self, name: str) -> str | None:
        """A header of the response, by its case-insensitive name; None if it was not sent."""
        return _header(self.response_headers, name)

    @property
    def requested_id(self) -> str:
        """The request id in the URL; empty if the URL has none."""
        return self.path.partition("/requests/")[2].partition("/")[0]

    @property
    def input(self) -> Any:
        """The request body as JSON; None if it is not JSON."""
        return _json(self.request_body)

    @property
    def output(self) -> Any:
        """The response body as JSON; None if it is not JSON."""
        return _json(self.response_body)

    @property
    def url(self) -> str:
        """The URL of the request, with fal's own host."""
        return f"https://{self.host}{self.path}" + (f"?{self.query}" if self.query else "")

    def evidence(self, note: str = "") -> Evidence:
        """The exchange as text, with secrets masked."""
        return Evidence(
            _text(f"{self.method} {self.url}", self.request_headers, self.request_body),
            _text(
                f"{self.status}" if self.status else "(no response)",
                self.response_headers,
                self.response_body,
            ),
            note,
        )


def from_journal(record: Mapping[str, Any]) -> Exchange:
    """Parse one of the `requests` in the response of `GET /_mock/requests`."""
    request, response = record["request"], record["response"]
    return Exchange(
        at=record["at"],
        method=record["method"],
        host=record["host"],
        path=record["path"],
        query=record["query"],
        request_headers=[(name, value) for name, value in request["headers"]],
        request_body=_bytes(request),
        status=record["status"],
        response_headers=[(name, value) for name, value in response["headers"]],
        response_body=_bytes(response),
        request_id=record.get("request_id") or "",
        duration_s=record.get("duration_s") or 0.0,
        directive=record.get("directive") or "",
        received_at=record.get("received_at") or 0.0,
        is_open="duration_s" in record and record["duration_s"] is None,
        operation=record.get("operation") or "",
        endpoint=record.get("endpoint") or "",
        state=record.get("state") or "",
    )


def _bytes(message: Mapping[str, Any]) -> bytes:
    """The body of a message; the journal stores it as text, or as base64 if it is not UTF-8."""
    body = message.get("body") or ""
    if message.get("encoding") == "base64":
        return base64.b64decode(body)
    return str(body).encode("utf-8", "surrogatepass")


def _header(headers: Headers, name: str) -> str | None:
    return next((value for header, value in headers if header.lower() == name.lower()), None)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


def _text(start_line: str, headers: Headers, body: bytes) -> str:
    lines = [f"{name}: {_masked(name, value)}" for name, value in headers]
    text = body.decode("utf-8", "replace")
    more = f"… {len(text) - _MAX_BODY} more characters" if len(text) > _MAX_BODY else ""
    return "\n".join([start_line, *lines, "", text[:_MAX_BODY] + more]).rstrip()


def _masked(name: str, value: str) -> str:
    """The value of a header; in Authorization, the secret half of a key and any token are masked."""
    if name.lower() != "authorization":
        return value
    scheme, space, secret = value.partition(" ")
    if not space:
        scheme, secret = "(no scheme)", value
    public, colon, _ = secret.partition(":")
    return f"{scheme} {public}:***" if colon else f"{scheme} ***"
