"""One question and its answer, as the journal of a mock tells them, or as a check itself put them."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from mock_fal_contracts.results import Evidence

Headers = Sequence[tuple[str, str]]

# What is shown of a body.
_SHOWN = 2000


@dataclass(frozen=True, slots=True)
class Exchange:
    """A question to one of fal's hosts, and its answer. `at` is in seconds; headers keep their order and case.

    `directive` says what a rule of the scenario did to the answer, `duration_s` how long it took. `asked_at` is real time,
    in Unix seconds; `is_open` says that the answer was still going on; `operation`, `endpoint` and `state` are the
    journal's words for what was asked, about what, and what has become of it.
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
        """The query's parameters, in their order."""
        return parse_qsl(self.query, keep_blank_values=True)

    def request_header(self, name: str) -> str | None:
        """A header of the question, by its name in any case; None when it was not sent."""
        return _header(self.request_headers, name)

    def response_header(self, name: str) -> str | None:
        """A header of the answer."""
        return _header(self.response_headers, name)

    @property
    def requested_id(self) -> str:
        """The request's id in the address; empty where that names none."""
        return self.path.partition("/requests/")[2].partition("/")[0]

    @property
    def input(self) -> Any:
        """The question's body as JSON; None when it is none."""
        return _json(self.request_body)

    @property
    def output(self) -> Any:
        """The answer's body as JSON; None when it is none."""
        return _json(self.response_body)

    @property
    def url(self) -> str:
        """The address that was asked."""
        return f"https://{self.host}{self.path}" + (f"?{self.query}" if self.query else "")

    def evidence(self, note: str = "") -> Evidence:
        """The exchange as text; secrets are masked."""
        return Evidence(
            _text(f"{self.method} {self.url}", self.request_headers, self.request_body),
            _text(
                f"{self.status}" if self.status else "(no answer)", self.response_headers, self.response_body
            ),
            note,
        )


def from_journal(entry: Mapping[str, Any]) -> Exchange:
    """One of `requests` in the answer of `GET /_mock/requests`."""
    request_key, answer = entry["request"], entry["response"]
    return Exchange(
        at=entry["at"],
        method=entry["method"],
        host=entry["host"],
        path=entry["path"],
        query=entry["query"],
        request_headers=[(name, value) for name, value in request_key["headers"]],
        request_body=_bytes(request_key),
        status=entry["status"],
        response_headers=[(name, value) for name, value in answer["headers"]],
        response_body=_bytes(answer),
        request_id=entry.get("request_id") or "",
        duration_s=entry.get("duration_s") or 0.0,
        directive=entry.get("directive") or "",
        received_at=entry.get("asked_at") or 0.0,
        is_open="duration_s" in entry and entry["duration_s"] is None,
        operation=entry.get("operation") or "",
        endpoint=entry.get("endpoint") or "",
        state=entry.get("state") or "",
    )


def _bytes(message: Mapping[str, Any]) -> bytes:
    """A body: text, or base64 where it is none."""
    body = message.get("body") or ""
    if message.get("encoding") == "base64":
        return base64.b64decode(body)
    return str(body).encode("utf-8", "surrogatepass")


def _header(headers: Headers, name: str) -> str | None:
    return next((value for each, value in headers if each.lower() == name.lower()), None)


def _json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else None
    except (ValueError, RecursionError):
        return None


def _text(first: str, headers: Headers, body: bytes) -> str:
    lines = [f"{name}: {_masked(name, value)}" for name, value in headers]
    text = body.decode("utf-8", "replace")
    more = f"… {len(text) - _SHOWN} more characters" if len(text) > _SHOWN else ""
    return "\n".join([first, *lines, "", text[:_SHOWN] + more]).rstrip()


def _masked(name: str, value: str) -> str:
    """A header's value without the secret half of a key, and without a token."""
    if name.lower() != "authorization":
        return value
    scheme, space, secret = value.partition(" ")
    if not space:
        scheme, secret = "(no scheme)", value
    public, colon, _ = secret.partition(":")
    return f"{scheme} {public}:***" if colon else f"{scheme} ***"
