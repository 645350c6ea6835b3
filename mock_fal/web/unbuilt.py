"""Outputs that nobody has looked at yet: those who list or search all results need them."""

from __future__ import annotations

import asyncio
from typing import Final

from mock_fal.store import Store

# Outputs that are built before other requests get a turn: about two milliseconds.
_SLICE: Final = 20


async def build_all(store: Store) -> None:
    """Build the outputs of all requests, in slices."""
    for count, _ in enumerate(store.build_all(), 1):
        if count % _SLICE == 0:
            await asyncio.sleep(0)
