"""The events of a stream: what a runner shows on its way, and the result. And who hangs up on a direct request."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mock_fal.emulator import Emulator
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import Links, Receive
from mock_fal.web.pictures import Pictures


async def begins(emulator: Emulator, request: ModelRequest) -> bool:
    """Wait until a stream begins, and say whether it does: if not, there is a plain answer at the request's end."""
    while emulator.clock.now() < request.schedule.leaves_queue_at:
        await emulator.clock.wait_until(request.schedule.leaves_queue_at)
    return emulator.is_streaming(request)


async def events(
    emulator: Emulator, pictures: Pictures, request: ModelRequest, links: Links
) -> AsyncIterator[bytes]:
    """The body of each event, in JSON: the partials, and the result as a plain run would give it.

    For a request of which `begins` is true. One that is stopped on its way ends without a result.
    """
    for due, partial in emulator.partials(request):
        await ended(emulator, request, by=due)
        # assumption: what a stream says last that is stopped on its way.
        if due > request.schedule.ends_at:
            return
        yield wire.partial(partial, links, await pictures.inlined(partial))
    await ended(emulator, request)
    outcome = emulator.result(request)
    if isinstance(outcome, RunnerResponse) and outcome.status < 400:
        yield wire.partial(outcome.body, links, await pictures.data_uris(outcome))


async def ended(emulator: Emulator, request: ModelRequest, *, by: float = math.inf) -> None:
    """Wait for the end of a request, but no longer than to the moment `by`."""
    while emulator.clock.now() < min(by, request.schedule.ends_at):
        await emulator.clock.wait_until(min(by, request.schedule.ends_at))


@asynccontextmanager
async def watched(emulator: Emulator, request: ModelRequest, receive: Receive) -> AsyncIterator[None]:
    """While this lasts, a caller who hangs up ends the request."""
    watching = asyncio.create_task(_watch(emulator, request, receive))
    try:
        yield
    finally:
        watching.cancel()


async def _watch(emulator: Emulator, request: ModelRequest, receive: Receive) -> None:
    await receive()  # the body has been read: nothing else can come
    emulator.abandon(request)
