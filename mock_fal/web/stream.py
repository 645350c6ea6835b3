"""Event streams: partial outputs and the result of a request. Also ends direct requests and work on disconnect."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from mock_fal.emulation.emulator import Emulator
from mock_fal.requests.outcome import MediaFile, Outcome, Rendered, RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import ClientDisconnected, Links, Receive
from mock_fal.web.renderer import Renderer

T = TypeVar("T")


async def wait_for_start(emulator: Emulator, request: ModelRequest) -> bool:
    """Wait until a request leaves the queue. False if it has a plain response instead of a stream."""
    while emulator.clock.now() < request.schedule.leaves_queue_at:
        await emulator.clock.wait_until(request.schedule.leaves_queue_at)
    return emulator.is_streaming(request)


async def events(
    emulator: Emulator, renderer: Renderer, request: ModelRequest, links: Links
) -> AsyncIterator[bytes]:
    """The body of each event as JSON: the partial outputs, then the result as a plain run returns it.

    Only for requests for which `wait_for_start` is true. The stream of a stopped request has no result.
    """
    for due, partial in emulator.partials(request):
        await wait_for_end(emulator, request, by=due)
        # assumption: the stream of a stopped request ends without a further event.
        if due > request.schedule.ends_at:
            return
        yield wire.partial(partial, links, await renderer.rendered_in(partial))
    await wait_for_end(emulator, request)
    outcome = emulator.result(request)
    if isinstance(outcome, RunnerResponse) and outcome.status < 400:
        body = wire.workflow_output(outcome.body) if request.endpoint.is_workflow else outcome.body
        yield wire.partial(body, links, await renderer.rendered(outcome))


async def wait_for_end(emulator: Emulator, request: ModelRequest, *, by: float = math.inf) -> None:
    """Wait until a request ends, at most until the time `by`."""
    while emulator.clock.now() < min(by, request.schedule.ends_at):
        await emulator.clock.wait_until(min(by, request.schedule.ends_at))


@asynccontextmanager
async def abandon_on_disconnect(
    emulator: Emulator, request: ModelRequest, receive: Receive
) -> AsyncIterator[None]:
    """Within this context, the request ends if the client disconnects."""
    watcher = asyncio.create_task(_watch(emulator, request, receive))
    try:
        yield
    finally:
        watcher.cancel()


async def _watch(emulator: Emulator, request: ModelRequest, receive: Receive) -> None:
    await receive()  # the body has been read, so the next message is the disconnect
    emulator.abandon(request)


async def rendered(renderer: Renderer, outcome: Outcome, receive: Receive) -> Rendered:
    """The data URIs and the sizes of files that a result contains. Raises ClientDisconnected."""
    if not isinstance(outcome, RunnerResponse) or not outcome.inline:
        return {}
    return await while_connected(receive, renderer.rendered(outcome))


async def result_response(
    renderer: Renderer, outcome: Outcome, request: ModelRequest, links: Links, receive: Receive
) -> wire.Reply:
    """The response with a result, written in a thread if it has data URIs or embeddings. Raises ClientDisconnected."""
    inline = await rendered(renderer, outcome, receive)
    if not isinstance(outcome, RunnerResponse) or not outcome.inline:
        return wire.result(outcome, request, links, inline)
    request.warning = request.warning or upload_failure(inline)
    writing = renderer.in_thread(wire.result, outcome, request, links, inline)
    return await while_connected(receive, writing)


def upload_failure(inline: Rendered) -> str:
    """Why a file of a result was not uploaded to a storage of the user's own; empty if all were."""
    notes = (file.bucket.notes for file in inline if isinstance(file, MediaFile) and file.bucket is not None)
    return next((note for found in notes for note in found), "")


async def while_connected(receive: Receive, work: Coroutine[Any, Any, T]) -> T:
    """The result of `work`, which is cancelled if the client disconnects before. Raises ClientDisconnected then.

    The body of the request must have been read.
    """
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(receive))
    try:
        await asyncio.wait([working, watching], return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientDisconnected
        return working.result()
    finally:
        for task in (working, watching):
            task.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass  # the empty body of a GET
