"""The clock of a server: the system's time, or one that a test advances. The only module that reads the time."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from typing import Final, Protocol

# Manual clocks start at 2026-01-01T00:00:00Z, so that a run repeats to the last digit.
EPOCH: Final = 1767225600.0

# Every clock ends with the year 8999, and a duration in settings is at most 1e9 seconds, 31 years: what follows from
# a moment can then be written as a date. Python's dates end with the year 9999.
END: Final = 221_845_392_000.0
_LAST_DATE: Final = 253_402_041_600.0  # 9999-12-29: some days are left for time zones and the end of a week


def date(moment: float, zone: tzinfo = UTC) -> datetime:
    """The date and time of a moment. One before 1970 or after the last date counts as that, never as an error."""
    return datetime.fromtimestamp(min(max(moment, 0.0), _LAST_DATE), zone)


def real_time() -> float:
    """The system's time, for what other parties compare with theirs: certificates and signatures."""
    return time.time()


_OFFSET: Final = time.time() - time.monotonic()


def steady_time() -> float:
    """The system's time in Unix seconds that never runs backwards, for measuring durations."""
    return _OFFSET + time.monotonic()


class Clock(Protocol):
    """A source of time. Moments are Unix seconds and never run backwards."""

    def now(self) -> float:
        """The current time."""

    def advance(self, seconds: float) -> None:
        """Move the clock forward. Raises ValueError for less than 0, RuntimeError for a clock that runs by itself."""

    def polled(self, next_change: float) -> None:
        """A client has polled a request whose next stage begins at `next_change`."""

    async def wait_until(self, moment: float) -> None:
        """Return at `moment`, or earlier after `wake`: read `now` again."""

    async def watch_for(self, moment: float) -> None:
        """Like `wait_until`, without advancing an auto-advance clock."""

    def wake(self) -> None:
        """Let everyone who waits return, because something has changed."""


class _Waiters:
    """The tasks that wait for a moment, in any event loop."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._events: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}

    async def wait(self, seconds: float | None, condition: Callable[[], bool] = lambda: True) -> None:
        """Wait for a call of `wake`, at most `seconds`. Return at once when `condition` no longer holds."""
        event = asyncio.Event()
        with self._lock:
            self._events[event] = asyncio.get_running_loop()
        try:
            # Checked after the event was registered: a change before that has called `wake` already.
            if condition():
                async with asyncio.timeout(seconds):
                    await event.wait()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                del self._events[event]

    def wake(self) -> None:
        with self._lock:
            events = list(self._events.items())
        for event, loop in events:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


class SystemClock:
    """The system's time, `speed` times as fast from the moment the clock was created."""

    def __init__(self, speed: float = 1.0) -> None:
        self._speed = speed
        self._created = time.time()
        self._started = time.monotonic()
        self._waiters = _Waiters()

    @property
    def speed(self) -> float:
        """Emulated seconds in each real one."""
        return self._speed

    def set_speed(self, speed: float) -> None:
        """Run `speed` times as fast as real time from now on."""
        # One assignment after the other: a thread that reads in between sees a clock that stands still for a moment.
        now, real = self.now(), time.monotonic()
        self._created, self._started, self._speed = now, real, speed
        self.wake()

    def now(self) -> float:
        now = self._created + (time.monotonic() - self._started) * self._speed
        return now if now < END else END

    def advance(self, seconds: float) -> None:
        raise RuntimeError(
            "the system clock can't be advanced; expected clock='manual' or clock='auto-advance'"
        )

    def polled(self, next_change: float) -> None:
        pass

    async def wait_until(self, moment: float) -> None:
        seconds = (moment - self.now()) / self._speed
        if seconds > 0:
            await self._waiters.wait(seconds)

    async def watch_for(self, moment: float) -> None:
        await self.wait_until(moment)

    def wake(self) -> None:
        self._waiters.wake()


class ManualClock:
    """A clock that stands still until `advance` is called.

    >>> clock = ManualClock()
    >>> clock.advance(600)
    >>> clock.now() - EPOCH
    600.0
    """

    def __init__(self, start: float = EPOCH) -> None:
        self._now = start
        self._waiters = _Waiters()

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        """Move the clock forward by `seconds`. Raises ValueError for less than 0, or beyond the year 8999."""
        if not seconds >= 0:
            raise ValueError(
                f"advance({seconds!r}): expected 0 or more seconds; a clock never runs backwards"
            )
        if self._now + seconds > END:
            raise ValueError(f"advance({seconds!r}): the new time is after the year 8999")
        self._move_to(self._now + seconds)

    def polled(self, next_change: float) -> None:
        pass

    async def wait_until(self, moment: float) -> None:
        await self.watch_for(moment)

    async def watch_for(self, moment: float) -> None:
        if self._now < moment:
            await self._waiters.wait(None, condition=lambda: self._now < moment)

    def wake(self) -> None:
        self._waiters.wake()

    def _move_to(self, moment: float) -> None:
        self._now = max(self._now, min(moment, END))
        self.wake()


class AutoAdvanceClock(ManualClock):
    """A manual clock that advances with each poll to the next stage of the polled request.

    A client that polls sees queued, running and completed in three polls. `wait_until` advances the clock
    and returns at once, unless `moment` is beyond the year 8999.
    """

    def polled(self, next_change: float) -> None:
        if next_change > self._now:
            self._move_to(next_change)

    async def wait_until(self, moment: float) -> None:
        await asyncio.sleep(0)
        if moment > END:
            await self.watch_for(moment)
        elif moment > self._now:
            self._move_to(moment)
