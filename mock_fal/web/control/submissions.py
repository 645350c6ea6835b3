"""Which exchange made which call. Read from the journal when somebody asks, each exchange once."""

from __future__ import annotations

import asyncio
from typing import Final

from mock_fal.emulation.emulator import Emulator
from mock_fal.journal.exchanges import Exchange

# The exchanges that are looked at before other requests get a turn: a millisecond.
_SLICE: Final = 500

# Numbers of removed exchanges that may be kept.
_MAX_REMOVED: Final = 1000


class Submissions:
    """The exchanges that call a model: by the id of the request that they made, and those that made none."""

    def __init__(self, emulator: Emulator) -> None:
        self._journal = emulator.store.exchanges
        self._seen = 0
        self._numbers: dict[str, int] = {}
        self._refused: list[int] = []

    async def update(self) -> None:
        """Look at the exchanges since the last call."""
        new = self._journal.latest(self._journal.last_number - self._seen)
        for count, exchange in enumerate(reversed(new), 1):
            if exchange.number > self._seen:  # another task may have come before
                self._seen = exchange.number
                self._note(exchange)
            if count % _SLICE == 0:
                await asyncio.sleep(0)
        if len(self._numbers) + len(self._refused) > len(self._journal) + _MAX_REMOVED:
            find = self._journal.find
            self._numbers = {id: number for id, number in self._numbers.items() if find(number)}
            self._refused = [number for number in self._refused if find(number)]

    def of(self, request_id: str) -> Exchange | None:
        """The exchange that made a request; None if it is not stored, or if there is none."""
        return self._journal.find(self._numbers.get(request_id, 0))

    @property
    def refused(self) -> list[int]:
        """The numbers of the exchanges that made no request, oldest first. Some may not be stored any longer."""
        return list(self._refused)

    def _note(self, exchange: Exchange) -> None:
        if not exchange.is_submission:
            return
        if exchange.request_id:
            self._numbers.setdefault(exchange.request_id, exchange.number)
        else:
            self._refused.append(exchange.number)
