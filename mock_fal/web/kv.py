"""kv.fal.media: a store of values by key, for each account. Bounded in number and size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mock_fal.emulator import Emulator
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive

# fal: a value is kept for 60 seconds to 30 days, by default as long as possible (fal SDK, 2026).
_MIN_TTL_S: Final = 60
_MAX_TTL_S: Final = 2_592_000

# deviation: the limits of one server; those of fal are not known. The oldest value makes room.
MAX_VALUE_BYTES: Final = 1 << 20
MAX_VALUES: Final = 10_000
MAX_BYTES: Final = 32 << 20


@dataclass(frozen=True, slots=True)
class _Value:
    text: str
    size: int
    expires_at: float


class KeyValues:
    """The key-value host."""

    # deviation: a reset does not delete values; they last as long as the server.

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        # (account, database, key) -> value, the oldest one first.
        self._values: dict[tuple[str, str, str], _Value] = {}
        self._bytes = 0

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The HTTP response; never about a request to a model."""
        method, segments = http_request.method, http_request.segments
        if len(segments) != 3 or segments[0] not in _METHODS or not all(segments):
            return _error(404, "Not found"), None
        if method != _METHODS[segments[0]]:
            return wire.method_not_allowed(_METHODS[segments[0]]), None
        account = self._emulator.storage.token_owner(http_request.bearer or "")
        if account is None:
            # fal: a token of the CDN is needed (fal SDK, 2026). assumption: the status and the text.
            return _error(401, "Unauthorized"), None
        http_request.account = account
        name = (account, segments[1], segments[2])
        await http_request.read(receive, MAX_VALUE_BYTES)
        if method == "GET":
            return self._get(name), None
        return (self._set(name, http_request) if method == "PUT" else self._delete(name)), None

    def _get(self, name: tuple[str, str, str]) -> wire.Reply:
        value = self._values.get(name)
        if value is not None and self._emulator.clock.now() >= value.expires_at:
            self._remove(name)
            value = None
        # assumption: the text of a 404; clients look at the status.
        return _error(404, "Key not found") if value is None else wire.reply(200, {"value": value.text})

    def _set(self, name: tuple[str, str, str], http_request: HttpRequest) -> wire.Reply:
        text = http_request.params.get("ttl", str(_MAX_TTL_S))
        ttl_s = int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
        if not _MIN_TTL_S <= ttl_s <= _MAX_TTL_S:
            # assumption: the status and the text.
            expected = f"a whole number of {_MIN_TTL_S} to {_MAX_TTL_S}"
            return _error(400, f"ttl is {text!r:.100}, expected {expected}")
        try:
            value = http_request.body.decode()
        except UnicodeDecodeError:
            return _error(400, "the value is no text in UTF-8")
        self._remove(name)
        size = len(http_request.body) + 2 * sum(map(len, name))
        while self._values and (len(self._values) >= MAX_VALUES or self._bytes + size > MAX_BYTES):
            self._remove(next(iter(self._values)))
        self._values[name] = _Value(value, size, self._emulator.clock.now() + ttl_s)
        self._bytes += size
        # assumption: the body; clients read that it is JSON.
        return wire.reply(200, {"success": True})

    def _delete(self, name: tuple[str, str, str]) -> wire.Reply:
        # fal: it succeeds for an unknown key too (fal SDK, 2026).
        self._remove(name)
        return wire.reply(200, {"success": True})

    def _remove(self, name: tuple[str, str, str]) -> None:
        value = self._values.pop(name, None)
        self._bytes -= value.size if value is not None else 0


_METHODS: Final = {"get": "GET", "set": "PUT", "delete": "DELETE"}


def _error(status: int, text: str) -> wire.Reply:
    return wire.reply(status, {"error": text})
