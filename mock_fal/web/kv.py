"""kv.fal.media: values by key, for each account."""

from __future__ import annotations

from typing import Final

from mock_fal.accounts.key_values import MAX_VALUE_BYTES, Name
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive

# fal: a value is kept for 60 seconds to 30 days, by default as long as possible (fal SDK, 2026).
_MIN_TTL_S: Final = 60
_MAX_TTL_S: Final = 2_592_000


class KeyValues:
    """The key-value host."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._values = emulator.store.workspaces.key_values

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The HTTP response; never about a request to a model."""
        method, segments = http_request.method, http_request.segments
        if len(segments) != 3 or segments[0] not in METHODS or not all(segments):
            return _error(404, "Not found"), None
        if method != METHODS[segments[0]]:
            return wire.method_not_allowed(METHODS[segments[0]]), None
        account = self._emulator.storage.token_owner(http_request.bearer or "")
        if account is None:
            # fal: a token of the CDN is needed (fal SDK, 2026). assumption: the status and the text.
            return _error(401, "Unauthorized"), None
        http_request.account = account
        name = Name(account, segments[1], segments[2])
        try:
            await http_request.read(receive, MAX_VALUE_BYTES)
        except FalError as error:
            return _error(error.status, error.detail), None
        if method == "GET":
            return self._get(name), None
        return (self._set(name, http_request) if method == "PUT" else self._delete(name)), None

    def _get(self, name: Name) -> wire.Reply:
        text = self._values.get(name, self._emulator.clock.now())
        # assumption: the text of a 404; clients look at the status.
        return _error(404, "Key not found") if text is None else wire.reply(200, {"value": text})

    def _set(self, name: Name, http_request: HttpRequest) -> wire.Reply:
        ttl = http_request.params.get("ttl", str(_MAX_TTL_S))
        ttl_s = int(ttl) if ttl.isascii() and ttl.isdecimal() and len(ttl) < 10 else 0
        if not _MIN_TTL_S <= ttl_s <= _MAX_TTL_S:
            # assumption: the status and the text.
            expected = f"a whole number of {_MIN_TTL_S} to {_MAX_TTL_S}"
            return _error(400, f"ttl is {ttl!r:.100}, expected {expected}")
        try:
            text = http_request.body.decode()
        except UnicodeDecodeError:
            return _error(400, "the value is no text in UTF-8")
        self._values.set(name, text, len(http_request.body), self._emulator.clock.now() + ttl_s)
        # assumption: the body; clients read that it is JSON.
        return wire.reply(200, {"success": True})

    def _delete(self, name: Name) -> wire.Reply:
        # fal: it succeeds for an unknown key too (fal SDK, 2026).
        self._values.delete(name)
        return wire.reply(200, {"success": True})


# First part of the path -> method.
METHODS: Final = {"get": "GET", "set": "PUT", "delete": "DELETE"}


def _error(status: int, text: str) -> wire.Reply:
    return wire.reply(status, {"error": text})
