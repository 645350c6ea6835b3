"""Name look-ups in threads of their own: a slow resolver delays only those who asked it, and never the exit.

asyncio would use the default executor, whose few threads everybody shares, and which is waited for at exit.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from contextlib import suppress
from ipaddress import ip_address
from threading import Thread
from typing import Any, Final, TypeVar

T = TypeVar("T")

# The number of threads that wait for the resolver at the same time.
AT_ONCE: Final = 8


class Lookups:
    """Looks up names for one part of the program."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(AT_ONCE)

    async def addresses(self, host: str, port: int) -> list[str]:
        """The IP addresses of a host, each once. Raises OSError."""
        with suppress(ValueError):
            return [str(ip_address(host))]
        results = await self.in_thread(_lookup, host, port)
        return list(dict.fromkeys(results))

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """The result of a function in a daemon thread. It counts as one of AT_ONCE until it ends, awaited or not."""
        await self._slots.acquire()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()

        def end(error: BaseException | None, result: Any) -> None:
            self._slots.release()
            if future.cancelled():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        def work() -> None:
            error, result = None, None
            try:
                result = function(*arguments)
            except Exception as raised:
                error = raised
            with suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(end, error, result)

        Thread(target=work, name="mock-fal-lookup", daemon=True).start()
        return await future


def _lookup(host: str, port: int) -> list[str]:
    return [str(result[4][0]) for result in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]
