"""Matches requests with cassettes: equal requests get the recorded responses in order, separately for each account."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Final
from urllib.parse import urlsplit

from mock_fal.cassettes.cassette import (
    Body,
    Cassette,
    FileBody,
    JsonBody,
    MatchKey,
    TextBody,
    canonical_host,
    cassette_key,
)

_STATUS = "/status"
_STREAM = "/status/stream"
_REQUESTS = "/requests/"

# Positions of all accounts: of the least recently used one nothing is known, and it starts again.
MAX_POSITIONS: Final = 20_000


class CassetteMatcher:
    """The cassettes of a folder by file name, and the position of each account in them."""

    def __init__(self, cassettes: Mapping[str, Cassette]) -> None:
        self._cassettes = cassettes
        self._responses: defaultdict[MatchKey, list[str]] = defaultdict(list)
        for name, cassette in cassettes.items():
            self._responses[cassette_key(cassette)].append(name)
        self._targets = {(key.method, key.host, key.path) for key in self._responses}
        self._next: defaultdict[tuple[str, MatchKey], int] = defaultdict(int)
        self._completed: dict[tuple[str, str], None] = {}
        self._used: set[str] = set()

    @property
    def unused(self) -> list[str]:
        """The cassettes that no request has matched so far."""
        return [name for name in self._cassettes if name not in self._used]

    def knows(self, method: str, host: str, path: str) -> bool:
        """Whether there is a cassette for the path, with any query and body."""
        return (method, canonical_host(host), path) in self._targets

    def match(self, key: MatchKey, account: str) -> str | None:
        """The cassette for a request, or None. After the last of several, it is repeated."""
        names = self._responses.get(key)
        if names is None:
            return None
        at = min(self._next[account, key], len(names) - 1)
        path = key.path.removesuffix(_STATUS)
        if path != key.path and (account, path) in self._completed:
            at = len(names) - 1
        self._next.pop((account, key))
        self._next[account, key] = at + 1  # the latest one is the last
        if len(self._next) > MAX_POSITIONS:
            del self._next[next(iter(self._next))]
        # After the last response about a request, its status must not go back to an earlier one.
        if at == len(names) - 1 and key.method == "GET" and _REQUESTS in key.path:
            self._completed[account, key.path.removesuffix(_STREAM)] = None
            if len(self._completed) > MAX_POSITIONS:
                del self._completed[next(iter(self._completed))]
        self._used.add(names[at])
        return names[at]

    def rewind(self, account: str | None) -> None:
        """Start again with the first cassettes, for one account or for all."""
        others = {place: at for place, at in self._next.items() if account not in (None, place[0])}
        self._next = defaultdict(int, others)
        self._completed = {place: None for place in self._completed if account not in (None, place[0])}

    def nearest(self, method: str, url: str, body: Body) -> str:
        """Describes the closest cassette for a request that matches none; empty if nothing is close."""
        parts = urlsplit(url)
        target = method, canonical_host(parts.netloc), parts.path
        candidates = [names[0] for key, names in self._responses.items() if key[:3] == target]
        if candidates:
            name = min(
                candidates, key=lambda name: len(_different_members(body, self._cassettes[name].request_body))
            )
            return f"{name} {_difference(url, body, self._cassettes[name])}"
        names: dict[str, str] = {}
        for name, cassette in self._cassettes.items():
            names.setdefault(f"{cassette.method} {cassette.url}", name)
        close = get_close_matches(f"{method} {url}", names, 1, 0.7)
        return f"{names[close[0]]} matches {close[0]}" if close else ""


def _difference(url: str, body: Body, cassette: Cassette) -> str:
    members = _different_members(body, cassette.request_body)
    if isinstance(body, JsonBody) and isinstance(cassette.request_body, JsonBody) and members:
        differences = [
            f"{name} {_shown(cassette.request_body.value, name)}, not {_shown(body.value, name)}"
            for name in members
        ]
        return f"has {'; '.join(differences[:3])}"
    if members:
        return "has another body"
    query = urlsplit(cassette.url).query
    return f"has the query {query!r}" if query != urlsplit(url).query else "has another Range"


def _different_members(one: Body, other: Body) -> list[str]:
    """The members in which two bodies differ; one empty name if they differ and are not JSON objects."""
    if isinstance(one, JsonBody) and isinstance(other, JsonBody):
        first, second = one.value, other.value
        if isinstance(first, dict) and isinstance(second, dict):
            names = dict.fromkeys([*first, *second])
            return [name for name in names if first.get(name, ...) != second.get(name, ...)]
    return [] if _comparable(one) == _comparable(other) else [""]


def _comparable(body: Body) -> object:
    match body:
        case FileBody(_, digest):
            return ("file", digest)
        case JsonBody(value):
            return ("json", value)
        case TextBody(text):
            return ("text", text)


def _shown(value: object, name: str) -> str:
    if isinstance(value, dict):
        if name not in value:
            return "missing"
        value = value[name]
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else text[:57] + "…"
