"""What time it is: the one door to the computer's clock, and two clocks that a test moves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Final, Protocol

# Where the clocks that a test moves begin: 2026-01-01T00:00:00Z, so that a run repeats to the last digit.
EPOCH: Final = 1767225600.0


def real_time() -> float:
    """The computer's own time, for what others hold against theirs: certificates and signatures."""
    return time.time()


_OFFSET: Final = time.time() - time.monotonic()


def steady_time() -> float:
    """The computer's own time, in Unix seconds, that never runs backwards: for how long something took."""
    return _OFFSET + time.monotonic()


class Clock(Protocol):
    """Moments are Unix seconds. They never run backwards."""

    def now(self) -> float:
        """The present moment."""

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once. Raises ValueError for less than 0, RuntimeError where time passes by itself."""

    def polled(self, next_change: float) -> None:
        """A client has looked at a request whose story goes on at `next_change`."""

    async def wait_until(self, moment: float) -> None:
        """Return at `moment`, or earlier when something happened: ask `now` again."""

    async def watch_for(self, moment: float) -> None:
        """The same, for what nobody asked to happen: no clock moves on for it."""

    def wake(self) -> None:
        """Something happened: let everyone who waits look again."""


class _Sleepers:
    """Everyone who waits for a moment, whatever loop they run in."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._alarms: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    async def sleep(self, seconds: float | None, still: Callable[[], bool] = lambda: True) -> None:
        """Sleep until somebody calls `wake`, at most `seconds`; not at all when `still` is no longer true."""
        alarm = asyncio.Event()
        with self._lock:
            self._alarms[alarm] = asyncio.get_running_loop()
        try:
            if still():
                async with asyncio.timeout(seconds):
                    await alarm.wait()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                del self._alarms[alarm]

    def wake(self) -> None:
        with self._lock:
            alarms = list(self._alarms.items())
        for alarm, loop in alarms:
            if not loop.is_closed():
                loop.call_soon_threadsafe(alarm.set)


class SystemClock:
    """The computer's time, `speed` times as fast from the moment of its making."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._born = time.time()
        self._started = time.monotonic()
        self._sleepers = _Sleepers()

    def now(self) -> float:
        return self._born + (time.monotonic() - self._started) * self._speed

    def advance(self, seconds: float) -> None:
        raise RuntimeError("this clock moves by itself; expected clock='manual' or clock='stepping'")

    def polled(self, next_change: float) -> None:
        pass

    async def wait_until(self, moment: float) -> None:
        seconds = (moment - self.now()) / self._speed
        if seconds > 0:
            await self._sleepers.sleep(seconds)

    async def watch_for(self, moment: float) -> None:
        await self.wait_until(moment)

    def wake(self) -> None:
        self._sleepers.wake()


class ManualClock:
    """Stands still until it is told to move.

    >>> clock = ManualClock()
    >>> clock.advance(600)
    >>> clock.now() - EPOCH
    600.0
    """

    def __init__(self, start: float = EPOCH) -> None:
        self._now = start
        self._sleepers = _Sleepers()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Let `seconds` pass at once."""
        if not seconds >= 0:
            raise ValueError(f"a clock moves forward: advance({seconds!r}), expected 0 or more seconds")
        self._move_to(self._now + seconds)

    def polled(self, next_change: float) -> None:
        pass

    async def wait_until(self, moment: float) -> None:
        await self.watch_for(moment)

    async def watch_for(self, moment: float) -> None:
        if self._now < moment:
            await self._sleepers.sleep(None, still=lambda: self._now < moment)

    def wake(self) -> None:
        self._sleepers.wake()

    def _move_to(self, moment: float) -> None:
        self._now = max(self._now, moment)
        self.wake()


class AutoAdvanceClock(ManualClock):
    """A manual clock that every look at a request moves to the request's next stage.

    A client that polls sees queued, running and completed in three polls, as fast as it can ask;
    whoever waits for a moment is there at once.
    """

    def polled(self, next_change: float) -> None:
        if next_change > self._now:
            self._move_to(next_change)

    async def wait_until(self, moment: float) -> None:
        await asyncio.sleep(0)
        if moment > self._now:
            self._move_to(moment)
