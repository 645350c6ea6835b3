"""Submissions whose output a user's callable gives: it runs in a thread, off the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from threading import BoundedSemaphore, Thread
from typing import TYPE_CHECKING, Final

from mock_fal.emulation.options import SubmitOptions
from mock_fal.emulation.submissions import AnswerNeeded
from mock_fal.requests.queue import ModelRequest

if TYPE_CHECKING:
    from mock_fal.scenario.output import Output

# How many callables run at once, of all servers in this process. One that calls a model waits for another.
MAX_CALLS: Final = 64

_slots = BoundedSemaphore(MAX_CALLS)


async def answered(start: Callable[[SubmitOptions], ModelRequest], options: SubmitOptions) -> ModelRequest:
    """The request that `start` submits. It is called again with the answer of each callable that is needed."""
    while True:
        try:
            return start(options)
        except AnswerNeeded as needed:
            answer = await _call(needed.output, needed.body)
            options = options._replace(answers={**options.answers, (needed.output, needed.body): answer})


async def _call(output: Output, body: bytes) -> Output:
    """What a callable returns; an output with an error if it takes too long."""
    from mock_fal.scenario.output import MAX_CALL_S, failed_output

    slots = _slots
    if not slots.acquire(blocking=False):
        return failed_output(f"{MAX_CALLS} callables are running already")
    loop = asyncio.get_running_loop()
    future: asyncio.Future[Output] = loop.create_future()

    def finish(answer: Output) -> None:
        if not future.done():
            future.set_result(answer)

    def call() -> None:
        try:
            answer = output.called(body)
        finally:
            slots.release()
        with suppress(RuntimeError):  # the server has stopped
            loop.call_soon_threadsafe(finish, answer)

    # A daemon, since a callable may never return. The name is not that of the server's own threads: the pytest plugin
    # guards the connections of a callable like those of the test.
    Thread(target=call, name=f"callable {output.text}", daemon=True).start()
    try:
        return await asyncio.wait_for(future, MAX_CALL_S)
    except TimeoutError:
        return failed_output(f"{output.text} took more than {MAX_CALL_S:g} s")
