from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal import clock as module
from mock_fal.clock import EPOCH, AutoAdvanceClock, Clock, ManualClock, SystemClock, real_time, steady_time
from tests.strategies import moments, spans

CLOCKS: list[Callable[[], Clock]] = [SystemClock, ManualClock, AutoAdvanceClock]
every_clock = pytest.mark.parametrize("create", CLOCKS)
every_manual_clock = pytest.mark.parametrize("create", [ManualClock, AutoAdvanceClock])


class Computer(SimpleNamespace):
    """A fake of the `time` module: the wall clock and the monotonic clock."""

    wall = EPOCH
    ticks = 0.0

    def time(self) -> float:
        return self.wall

    def monotonic(self) -> float:
        return self.ticks


@pytest.fixture
def computer(monkeypatch: pytest.MonkeyPatch) -> Computer:
    computer = Computer()
    monkeypatch.setattr(module, "time", computer)
    return computer


# -- every clock


@every_clock
def test_a_clock_never_runs_backwards(create: Callable[[], Clock]) -> None:
    clock = create()
    seen = [clock.now() for _ in range(100)]
    assert seen == sorted(seen)


@every_clock
def test_a_poll_of_a_past_change_moves_no_clock_back(create: Callable[[], Clock]) -> None:
    clock = create()
    before = clock.now()
    clock.polled(before - 10)
    assert clock.now() >= before


@every_clock
def test_waiting_for_the_present_returns_at_once(create: Callable[[], Clock]) -> None:
    clock = create()
    asyncio.run(clock.wait_until(clock.now()))


@every_clock
def test_wake_without_waiters_does_nothing(create: Callable[[], Clock]) -> None:
    create().wake()


@pytest.mark.parametrize("create", [SystemClock, ManualClock])
def test_wake_ends_a_wait_before_its_moment(create: Callable[[], Clock]) -> None:
    clock = create()

    async def scenario() -> float:
        moment = clock.now() + 1e6
        waiting = asyncio.create_task(clock.wait_until(moment))
        await asyncio.sleep(0)
        clock.wake()
        await waiting
        return moment

    assert clock.now() < asyncio.run(scenario())


@pytest.mark.parametrize("create", [SystemClock, ManualClock])
def test_wake_ends_every_wait(create: Callable[[], Clock]) -> None:
    clock = create()

    async def scenario() -> None:
        waiting = asyncio.gather(*(clock.wait_until(clock.now() + 1e6) for _ in range(5)))
        await asyncio.sleep(0)
        clock.wake()
        await waiting

    asyncio.run(scenario())


@pytest.mark.parametrize("create", [SystemClock, ManualClock])
def test_wake_skips_a_waiter_whose_event_loop_is_closed(create: Callable[[], Clock]) -> None:
    clock = create()
    loop = asyncio.new_event_loop()
    waiter = clock.wait_until(clock.now() + 1e6)

    async def start() -> None:
        waiter.send(None)

    loop.run_until_complete(start())
    loop.close()
    clock.wake()
    waiter.close()


# -- the system clock


def test_the_system_clock_starts_at_the_systems_time(computer: Computer) -> None:
    assert SystemClock(speed=50).now() == EPOCH


@given(speed=st.integers(1, 1000), seconds=spans(1000))
def test_the_system_clock_runs_at_its_speed(speed: int, seconds: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        computer = Computer()
        patch.setattr(module, "time", computer)
        clock = SystemClock(speed)
        computer.ticks += seconds
        assert clock.now() == EPOCH + seconds * speed


def test_another_speed_counts_from_now_on(computer: Computer) -> None:
    clock = SystemClock(speed=2)
    computer.ticks += 10
    clock.set_speed(100)
    assert (clock.now(), clock.speed) == (EPOCH + 20, 100)
    computer.ticks += 1
    assert clock.now() == EPOCH + 120


def test_the_system_clock_ignores_changes_of_the_wall_clock(computer: Computer) -> None:
    clock = SystemClock()
    computer.wall -= 3600
    computer.ticks += 1
    assert clock.now() == EPOCH + 1


def test_a_poll_does_not_move_the_system_clock(computer: Computer) -> None:
    clock = SystemClock()
    clock.polled(EPOCH + 10)
    assert clock.now() == EPOCH


def test_a_wait_on_the_system_clock_follows_its_speed() -> None:
    clock = SystemClock(speed=1e9)

    async def scenario() -> float:
        moment = clock.now() + 1e7
        await clock.wait_until(moment)
        return moment

    assert asyncio.run(scenario()) <= clock.now()


def test_real_time_is_the_systems_time(computer: Computer) -> None:
    assert real_time() == EPOCH


# -- manual clocks


@every_manual_clock
def test_a_manual_clock_starts_in_2026(create: Callable[[], ManualClock]) -> None:
    assert create().now() == EPOCH == 1767225600.0


@every_manual_clock
def test_advance_moves_a_manual_clock(create: Callable[[], ManualClock]) -> None:
    clock = create()
    clock.advance(1.5)
    clock.advance(0)
    assert clock.now() == EPOCH + 1.5


@every_manual_clock
@pytest.mark.parametrize("seconds", [-1.0, -1e-9, math.nan])
def test_a_manual_clock_never_moves_back(create: Callable[[], ManualClock], seconds: float) -> None:
    clock = create()
    with pytest.raises(ValueError, match=r"^advance\(.*\): expected 0 or more seconds"):
        clock.advance(seconds)
    assert clock.now() == EPOCH


def test_a_poll_does_not_move_a_manual_clock() -> None:
    clock = ManualClock()
    clock.polled(EPOCH + 10)
    assert clock.now() == EPOCH


def test_advance_ends_a_wait_on_a_manual_clock() -> None:
    clock = ManualClock()

    async def scenario() -> None:
        waiting = asyncio.create_task(clock.wait_until(EPOCH + 5))
        await asyncio.sleep(0)
        clock.advance(5)
        await waiting

    asyncio.run(scenario())
    assert clock.now() == EPOCH + 5


def test_an_advance_just_before_the_wait_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    wait = clock._waiters.wait

    async def wait_too_late(seconds: float | None, condition: Callable[[], bool]) -> None:
        clock.advance(5)
        await wait(seconds, condition)

    monkeypatch.setattr(clock._waiters, "wait", wait_too_late)
    asyncio.run(clock.wait_until(EPOCH + 5))


@given(moments())
def test_each_poll_moves_an_auto_advance_clock_to_the_next_change(moment: float) -> None:
    clock = AutoAdvanceClock()
    clock.polled(moment)
    assert clock.now() == moment


def test_a_poll_of_a_past_change_does_not_move_an_auto_advance_clock() -> None:
    clock = AutoAdvanceClock(EPOCH + 10)
    clock.polled(EPOCH)
    assert clock.now() == EPOCH + 10


def test_a_wait_moves_an_auto_advance_clock() -> None:
    clock = AutoAdvanceClock()
    asyncio.run(clock.wait_until(EPOCH + 600))
    assert clock.now() == EPOCH + 600


def test_watch_for_does_not_move_an_auto_advance_clock() -> None:
    clock = AutoAdvanceClock()

    async def scenario() -> float:
        watching = asyncio.create_task(clock.watch_for(EPOCH + 5))
        await asyncio.sleep(0)
        assert clock.now() == EPOCH
        clock.polled(EPOCH + 5)
        await watching
        return clock.now()

    assert asyncio.run(scenario()) == EPOCH + 5


@every_clock
def test_watching_for_the_present_returns_at_once(create: Callable[[], Clock]) -> None:
    clock = create()
    asyncio.run(clock.watch_for(clock.now()))


def test_the_system_clock_cannot_be_advanced() -> None:
    with pytest.raises(RuntimeError, match="the system clock can't be advanced; expected clock='manual' or"):
        SystemClock().advance(1)


def test_steady_time_ignores_changes_of_the_wall_clock(computer: Computer) -> None:
    before = steady_time()
    computer.wall, computer.ticks = EPOCH - 3600, computer.ticks + 2.5
    assert steady_time() - before == pytest.approx(2.5)
