"""`/_mock/events`: what changes, as server-sent events.

Nothing in the core reports a change. While somebody listens, a task compares counters and the requests that are not
over with what it saw last, some times a second. Without a listener nothing is compared and nothing is kept.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

import mock_fal
from mock_fal.clock import SystemClock, steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.ids import random_secret
from mock_fal.requests.lifecycle import Queued
from mock_fal.requests.queue import ModelRequest
from mock_fal.terminal import logger
from mock_fal.web.control.wire import ControlError, query

MAX_LISTENERS: Final = 32

# Real seconds between two comparisons; a comparison that takes long is followed by a longer pause.
TICK_S: Final = 0.1
_PAUSE: Final = 9.0

# A comment keeps the connection open.
HEARTBEAT_S: Final = 15.0
_HEARTBEAT: Final = b": still here\n\n"

# The latest events, for listeners that are slow or come back.
MAX_EVENTS: Final = 500

# An event with more ids says that there are many.
MAX_IDS: Final = 200

# With more open requests than this, only their states are compared, not their positions and log lines.
MAX_WATCHED: Final = 300

# The requests that are compared before other tasks get a turn: a millisecond.
_SLICE: Final = 100

# The events that a stream may be limited to.
_MAX_LIMIT: Final = 1_000_000

Seen = tuple[Any, ...]


class Event(NamedTuple):
    """One event. Its number counts from 1 in its epoch."""

    number: int
    name: str
    data: Mapping[str, Any]


async def events(request: Request) -> Response:
    params = query(request, "limit")
    limit = params.get("limit", str(_MAX_LIMIT))
    if not (limit.isascii() and limit.isdecimal() and len(limit) < 8 and 1 <= int(limit) <= _MAX_LIMIT):
        raise ControlError(422, f"limit is {limit!r:.100}, expected a number from 1 to {_MAX_LIMIT}")
    feed = _feed(request)
    if feed.is_full:
        raise ControlError(503, f"{MAX_LISTENERS} clients listen already")
    headers = {"cache-control": "no-cache", "x-accel-buffering": "no"}
    if request.method == "HEAD":
        return Response(media_type="text/event-stream", headers=headers)
    stream = feed.stream(request.headers.get("last-event-id", ""), int(limit))
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


def _feed(request: Request) -> Feed:
    """The feed of a server. Created by the first request for it."""
    state = request.app.state
    if not hasattr(state, "feed"):
        state.feed = Feed(state.emulator, state.connections)
    feed: Feed = state.feed
    return feed


class Feed:
    """Compares the state of an emulator with what it saw last, while somebody listens."""

    def __init__(self, emulator: Emulator, connections: Callable[[], Sequence[Any]]) -> None:
        self._emulator = emulator
        self._connections = connections
        self._listeners = 0
        self._waiting: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self._looking = asyncio.Lock()
        self._begin()

    def _begin(self) -> None:
        """Forget everything: a new epoch."""
        self.epoch = random_secret()[:8]
        self._number = 0
        self._events: deque[Event] = deque(maxlen=MAX_EVENTS)
        self._open: dict[str, Seen] = {}
        self._counters: dict[str, Any] = {}
        self._submitted = self._exchange = self._deliveries = 0

    @property
    def is_full(self) -> bool:
        return self._listeners >= MAX_LISTENERS

    async def stream(self, last_id: str = "", limit: int = _MAX_LIMIT) -> AsyncGenerator[bytes, None]:
        """The text of the events from now on, or after the one with `last_id` if that is known."""
        changed = asyncio.Event()
        self._listeners += 1
        self._waiting.add(changed)
        try:
            if self._task is None:
                self._begin()
                await self._baseline()
                if self._task is None:
                    self._task = asyncio.create_task(self._run())
            position, is_known = self._position(last_id)
            yield self._hello(position, resumed=is_known)
            sent = 1
            while sent < limit:
                changed.clear()
                if self._events and self._events[0].number > position + 1:
                    position = self._number  # too slow: events were lost
                    yield self._hello(position, resumed=False)
                    sent += 1
                for event in [event for event in self._events if event.number > position][: limit - sent]:
                    position = event.number
                    yield _text(f"{self.epoch}.{position}", event.name, event.data)
                    sent += 1
                if sent < limit and self._number == position:
                    try:
                        await asyncio.wait_for(changed.wait(), HEARTBEAT_S)
                    except TimeoutError:
                        yield _HEARTBEAT
        finally:
            self._waiting.discard(changed)
            self._listeners -= 1
            if not self._listeners and self._task is not None:
                self._task.cancel()
                self._task = None
                self._begin()

    def _position(self, last_id: str) -> tuple[int, bool]:
        """The number of the last event that a listener has, and whether all later ones are known."""
        epoch, _, number = last_id.partition(".")
        if epoch != self.epoch or not (number.isascii() and number.isdecimal() and len(number) < 19):
            return self._number, False
        oldest = self._events[0].number if self._events else self._number + 1
        is_known = oldest - 1 <= int(number) <= self._number
        return (int(number), True) if is_known else (self._number, False)

    def _hello(self, position: int, *, resumed: bool) -> bytes:
        mock = self._emulator
        data = {
            "now": mock.clock.now(),
            "epoch": self.epoch,
            "resumed": resumed,
            "version": mock_fal.__version__,
            "clock": mock.settings.clock,
            "speed": speed(mock),
        }
        return _text(f"{self.epoch}.{position}", "hello", data)

    async def _run(self) -> None:
        while True:
            started_at = steady_time()
            try:
                await self.look()
            except Exception:
                logger.exception("mock-fal: internal error while looking for changes")
            await asyncio.sleep(max(TICK_S, _PAUSE * (steady_time() - started_at)))

    # -- comparing

    async def _baseline(self) -> None:
        """Note the present state, without events."""
        store = self._emulator.store
        self._counters = await self._counted()
        self._submitted, self._exchange = store.submitted, store.exchanges.last_number
        self._deliveries = store.outbox.changes if store.outbox else 0
        now = self._emulator.clock.now()
        for count, request in enumerate(list(store.requests.values()), 1):
            if request.schedule.ends_at > now:
                self._open[request.id] = self._seen(request)
            if count % (10 * _SLICE) == 0:
                await asyncio.sleep(0)

    async def look(self) -> None:
        """Compare once, and tell the listeners what has changed."""
        async with self._looking:
            before = self._number
            counters = await self._counted()
            if counters["reset"] != self._counters["reset"]:
                self._open.clear()
                self._add("reset")
            await self._look_at_calls()
            for name in ("scenario", "clock", "connections"):
                if counters[name] != self._counters[name]:
                    self._add(name, **({"speed": speed(self._emulator)} if name == "clock" else {}))
            self._counters = counters
            if self._number != before:
                for waiting in self._waiting:
                    waiting.set()

    async def _look_at_calls(self) -> None:
        store, now = self._emulator.store, self._emulator.clock.now()
        ids = dict.fromkeys(self._new_exchanges())
        ids |= dict.fromkeys(self._new_deliveries())
        for request in reversed(store.requests.values()):
            if request.submission.number <= self._submitted:
                break
            ids[request.id] = None
            if request.schedule.ends_at > now:
                self._open.setdefault(request.id, ())
        self._submitted = store.submitted
        for count, (id, seen) in enumerate(list(self._open.items()), 1):
            if count % _SLICE == 0:
                await asyncio.sleep(0)
            current = store.requests.get(id)
            if current is None or self._emulator.is_done(current):
                self._open.pop(id, None)
                ids[id] = None
            elif (latest := self._seen(current)) != seen:
                self._open[id] = latest
                ids[id] = None
        if ids:
            self._add("changed", ids=list(ids) if len(ids) <= MAX_IDS else None)

    def _new_exchanges(self) -> list[str]:
        """The calls that the exchanges since the last comparison have made."""
        journal = self._emulator.store.exchanges
        count = journal.last_number - self._exchange
        if not count:
            return []
        self._exchange = journal.last_number
        self._add("exchange", latest=self._exchange)
        return [
            exchange.request_id or f"exchange-{exchange.number}"
            for exchange in journal.latest(count)
            if exchange.is_submission
        ]

    def _new_deliveries(self) -> list[str]:
        """The requests whose webhook was sent, or is sent again, since the last comparison."""
        outbox = self._emulator.store.outbox
        count = outbox.changes - self._deliveries if outbox else 0
        if outbox is None or not count:
            return []
        self._deliveries = outbox.changes
        return list(outbox.changed)[-count:]

    def _seen(self, request: ModelRequest) -> Seen:
        """What is compared of a request that is not over. It derives no outcome."""
        schedule, now = request.schedule, self._emulator.clock.now()
        state = (schedule.leaves_queue_at > now, schedule.starts_at, schedule.ends_at)
        if len(self._open) > MAX_WATCHED:
            return state
        view = self._emulator.read(request)
        position = view.status.position if isinstance(view.status, Queued) else -1
        attempts = sum(span.starts_at <= now for span in schedule.retried)
        return (*state, position, len(view.logs), attempts)

    async def _counted(self) -> dict[str, Any]:
        """What is compared beside the calls."""
        mock = self._emulator
        connections = self._connections()
        scenarios = [tenant.scenario for tenant in mock.store.tenants if tenant.has_rules]
        if "scenario_engine" in mock.__dict__:
            scenarios.append(mock.scenario)
        rules: list[tuple[int, int, int]] = []
        for scenario in scenarios:
            rules += [(rule.number, rule.seen, rule.used) for rule in scenario.rules]
            await asyncio.sleep(0)
        is_system = isinstance(mock.clock, SystemClock)
        return {
            "reset": mock.resets,
            "scenario": hash(tuple(rules)),
            # The system clock moves by itself, and its listeners know how fast.
            "clock": (speed(mock), 0.0 if is_system else mock.clock.now()),
            "connections": (len(connections), id(connections[-1]) if connections else 0),
        }

    def _add(self, name: str, **data: Any) -> None:
        self._number += 1
        self._events.append(Event(self._number, name, {"now": self._emulator.clock.now(), **data}))


def speed(mock: Emulator) -> float:
    """How much faster than real time the clock runs."""
    return mock.clock.speed if isinstance(mock.clock, SystemClock) else mock.settings.speed


def _text(id: str, name: str, data: Mapping[str, Any]) -> bytes:
    return f"id: {id}\nevent: {name}\ndata: {json.dumps(data)}\n\n".encode()
