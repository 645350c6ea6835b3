"""Which cassette answers a question: those of the same question in their order, for each account from the first on."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from difflib import get_close_matches
from urllib.parse import urlsplit

from mock_fal.cassettes.cassette import Body, Cassette, FileBody, JsonBody, Key, TextBody, key_of, one_name

_STATUS = "/status"
_STREAM = "/status/stream"
_REQUESTS = "/requests/"


class CassetteMatcher:
    """All cassettes of a folder, by file name, and how far each account is in them."""

    def __init__(self, cassettes: Mapping[str, Cassette]) -> None:
        self._cassettes = cassettes
        self._responses: defaultdict[Key, list[str]] = defaultdict(list)
        for name, cassette in cassettes.items():
            self._responses[key_of(cassette)].append(name)
        self._places = {(key.method, key.host, key.path) for key in self._responses}
        self._told: defaultdict[tuple[str, Key], int] = defaultdict(int)
        self._over: set[tuple[str, str]] = set()
        self._used: set[str] = set()

    @property
    def unused(self) -> list[str]:
        """The cassettes that answered nothing so far."""
        return [name for name in self._cassettes if name not in self._used]

    def knows(self, method: str, host: str, path: str) -> bool:
        """Whether anything was recorded there, whatever the query and the body."""
        return (method, one_name(host), path) in self._places

    def match(self, key: Key, account: str) -> str | None:
        """The cassette for a question, or None. The last of several repeats."""
        names = self._responses.get(key)
        if names is None:
            return None
        at = min(self._told[account, key], len(names) - 1)
        path = key.path.removesuffix(_STATUS)
        if path != key.path and (account, path) in self._over:
            at = len(names) - 1
        self._told[account, key] = at + 1
        # Whoever has seen the end of a request must not be told that it still runs.
        if at == len(names) - 1 and key.method == "GET" and _REQUESTS in key.path:
            self._over.add((account, key.path.removesuffix(_STREAM)))
        self._used.add(names[at])
        return names[at]

    def rewind(self, account: str | None) -> None:
        """Begin again, for one account or for all."""
        others = {each: at for each, at in self._told.items() if account not in (None, each[0])}
        self._told = defaultdict(int, others)
        self._over = {each for each in self._over if account not in (None, each[0])}

    def nearest(self, method: str, url: str, body: Body) -> str:
        """What comes nearest to a question that has no cassette, in words; empty where nothing does."""
        parts = urlsplit(url)
        place = method, one_name(parts.netloc), parts.path
        there = [name for key, names in self._responses.items() if key[:3] == place for name in names[:1]]
        if there:
            name = min(there, key=lambda name: len(_differing(body, self._cassettes[name].body)))
            return f"{name} {_difference(url, body, self._cassettes[name])}"
        asked: dict[str, str] = {}
        for name, each in self._cassettes.items():
            asked.setdefault(f"{each.method} {each.url}", name)
        close = get_close_matches(f"{method} {url}", asked, 1, 0.7)
        return f"{asked[close[0]]} answers {close[0]}" if close else ""


def _difference(url: str, body: Body, cassette: Cassette) -> str:
    members = _differing(body, cassette.body)
    if isinstance(body, JsonBody) and isinstance(cassette.body, JsonBody) and members:
        seen = [
            f"{name} {_shown(cassette.body.value, name)}, not {_shown(body.value, name)}" for name in members
        ]
        return f"has {'; '.join(seen[:3])}"
    if members:
        return "has another body"
    query = urlsplit(cassette.url).query
    return f"has the query {query!r}" if query != urlsplit(url).query else "has another Range"


def _differing(one: Body, other: Body) -> list[str]:
    """The members in which two bodies differ; a single empty name where they have none."""
    if isinstance(one, JsonBody) and isinstance(other, JsonBody):
        first, second = one.value, other.value
        if isinstance(first, dict) and isinstance(second, dict):
            names = dict.fromkeys([*first, *second])
            return [name for name in names if first.get(name, ...) != second.get(name, ...)]
    return [] if _plain(one) == _plain(other) else [""]


def _plain(body: Body) -> object:
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
