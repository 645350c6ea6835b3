"""The events of a stream: what a runner shows on its way, and the result. And who hangs up on a direct request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mock_fal.emulator import Emulator
from mock_fal.line import Entry
from mock_fal.outcome import Answer
from mock_fal.web import wire
from mock_fal.web.pictures import Pictures
from mock_fal.web.question import Links, Receive


async def begins(emulator: Emulator, entry: Entry) -> bool:
    """Wait until a stream begins, and say whether it does: if not, there is a plain answer at the request's end."""
    while emulator.clock.now() < entry.schedule.leaves_queue_at:
        await emulator.clock.wait_until(entry.schedule.leaves_queue_at)
    return emulator.is_streaming(entry)


async def events(emulator: Emulator, pictures: Pictures, entry: Entry, links: Links) -> AsyncIterator[bytes]:
    """The body of each event, in JSON: the partials, and the result as a plain run would give it.

    For a request of which `begins` is true. One that is stopped on its way ends without a result.
    """
    for due, partial in emulator.partials(entry):
        await ended(emulator, entry, by=due)
        # fal: unverified, what a stream says last that is stopped on its way.
        if due > entry.schedule.ends_at:
            return
        yield wire.partial(partial, links, await pictures.inlined(partial))
    await ended(emulator, entry)
    outcome = emulator.result(entry)
    if isinstance(outcome, Answer) and outcome.status < 400:
        yield wire.partial(outcome.body, links, await pictures.data_uris(outcome))


async def ended(emulator: Emulator, entry: Entry, *, by: float = math.inf) -> None:
    """Wait for the end of a request, but no longer than to the moment `by`."""
    while emulator.clock.now() < min(by, entry.schedule.ends_at):
        await emulator.clock.wait_until(min(by, entry.schedule.ends_at))


@asynccontextmanager
async def watched(emulator: Emulator, entry: Entry, receive: Receive) -> AsyncIterator[None]:
    """While this lasts, a caller who hangs up ends the request."""
    watching = asyncio.create_task(_watch(emulator, entry, receive))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(emulator: Emulator, entry: Entry, receive: Receive) -> None:
    await receive()  # the body has been read: nothing else can come
    emulator.abandon(entry)
