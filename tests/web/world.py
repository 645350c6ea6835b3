"""The application without a socket, and a clock that stands still."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx

from mock_fal.clock import ManualClock
from mock_fal.emulator import Emulator
from mock_fal.journal.exchanges import Exchange
from mock_fal.pictures.render import PictureCache
from mock_fal.settings import Settings
from mock_fal.web.app import App
from mock_fal.web.pictures import Pictures

ANA = {"authorization": "Key ana:secret"}
BOB = {"authorization": "Key bob:secret"}
EVE = {"authorization": "Key eve:secret"}


class World:
    """What a client sees: hosts that answer."""

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.emulator = Emulator(Settings(**settings), self.clock)
        self.pictures = Pictures(PictureCache())
        self.app = App(self.emulator, self.pictures, self._no_gateway)

    def close(self) -> None:
        self.app.close()
        self.emulator.storage.file_store.close()

    def __call__(
        self, method: str, url: str, headers: Mapping[str, str] | None = None, **options: Any
    ) -> httpx.Response:
        """One question and its answer."""
        return asyncio.run(self._ask(method, url, headers=headers, **options))

    @property
    def journal(self) -> list[Exchange]:
        return list(self.emulator.store.exchanges)

    async def _ask(self, method: str, url: str, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport) as client:
            return await client.request(method, url, **options)

    async def _no_gateway(self) -> dict[str, Any]:
        raise NotImplementedError


async def pieces(data: bytes, size: int) -> AsyncIterator[bytes]:
    """A body that comes bit by bit, and does not say how long it is."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
