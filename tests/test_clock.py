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

BODIES: list[Callable[[], Clock]] = [SystemClock, ManualClock, AutoAdvanceClock]
every_clock = pytest.mark.parametrize("make", BODIES)
every_manual_clock = pytest.mark.parametrize("make", [ManualClock, AutoAdvanceClock])


class Computer(SimpleNamespace):
    """Stands for the computer's own clocks: the wall's, and the one that only goes forward."""

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


# -- what every clock promises


@every_clock
def test_a_clock_never_runs_backwards(make: Callable[[], Clock]) -> None:
    clock = make()
    seen = [clock.now() for _ in range(100)]
    assert seen == sorted(seen)


@every_clock
def test_a_look_at_something_past_moves_no_clock_back(make: Callable[[], Clock]) -> None:
    clock = make()
    before = clock.now()
    clock.polled(before - 10)
    assert clock.now() >= before


@every_clock
def test_a_moment_that_has_come_is_not_waited_for(make: Callable[[], Clock]) -> None:
    clock = make()
    asyncio.run(clock.wait_until(clock.now()))


@every_clock
def test_waking_when_nobody_sleeps_does_nothing(make: Callable[[], Clock]) -> None:
    make().wake()


@pytest.mark.parametrize("make", [SystemClock, ManualClock])
def test_whoever_waits_is_woken_before_the_moment(make: Callable[[], Clock]) -> None:
    clock = make()

    async def story() -> float:
        moment = clock.now() + 1e6
        waiting = asyncio.create_task(clock.wait_until(moment))
        await asyncio.sleep(0)
        clock.wake()
        await waiting
        return moment

    assert clock.now() < asyncio.run(story())


@pytest.mark.parametrize("make", [SystemClock, ManualClock])
def test_everyone_who_waits_is_woken(make: Callable[[], Clock]) -> None:
    clock = make()

    async def story() -> None:
        waiting = asyncio.gather(*(clock.wait_until(clock.now() + 1e6) for _ in range(5)))
        await asyncio.sleep(0)
        clock.wake()
        await waiting

    asyncio.run(story())


@pytest.mark.parametrize("make", [SystemClock, ManualClock])
def test_a_loop_that_was_closed_over_a_sleeper_is_not_woken(make: Callable[[], Clock]) -> None:
    clock = make()
    loop = asyncio.new_event_loop()
    sleeper = clock.wait_until(clock.now() + 1e6)

    async def lie_down() -> None:
        sleeper.send(None)

    loop.run_until_complete(lie_down())
    loop.close()
    clock.wake()
    sleeper.close()


# -- the computer's clock


def test_the_system_clock_begins_with_the_wall(computer: Computer) -> None:
    assert SystemClock(speed=50).now() == EPOCH


@given(speed=st.integers(1, 1000), seconds=spans(1000))
def test_the_system_clock_runs_as_fast_as_it_was_told(speed: int, seconds: float) -> None:
    with pytest.MonkeyPatch.context() as patch:
        computer = Computer()
        patch.setattr(module, "time", computer)
        clock = SystemClock(speed)
        computer.ticks += seconds
        assert clock.now() == EPOCH + seconds * speed


def test_setting_the_wall_clock_back_does_not_reach_the_system_clock(computer: Computer) -> None:
    clock = SystemClock()
    computer.wall -= 3600
    computer.ticks += 1
    assert clock.now() == EPOCH + 1


def test_a_look_does_not_move_the_system_clock(computer: Computer) -> None:
    clock = SystemClock()
    clock.polled(EPOCH + 10)
    assert clock.now() == EPOCH


def test_the_system_clock_waits_as_long_as_its_speed_says() -> None:
    clock = SystemClock(speed=1e9)

    async def story() -> float:
        moment = clock.now() + 1e7
        await clock.wait_until(moment)
        return moment

    assert asyncio.run(story()) <= clock.now()


def test_others_may_ask_for_the_real_time(computer: Computer) -> None:
    assert real_time() == EPOCH


# -- the clocks that a test moves


@every_manual_clock
def test_a_manual_clock_begins_with_2026(make: Callable[[], ManualClock]) -> None:
    assert make().now() == EPOCH == 1767225600.0


@every_manual_clock
def test_a_manual_clock_goes_as_far_as_it_is_moved(make: Callable[[], ManualClock]) -> None:
    clock = make()
    clock.advance(1.5)
    clock.advance(0)
    assert clock.now() == EPOCH + 1.5


@every_manual_clock
@pytest.mark.parametrize("seconds", [-1.0, -1e-9, math.nan])
def test_a_manual_clock_refuses_to_go_back(make: Callable[[], ManualClock], seconds: float) -> None:
    clock = make()
    with pytest.raises(ValueError, match="a clock moves forward: advance.*, expected 0 or more seconds"):
        clock.advance(seconds)
    assert clock.now() == EPOCH


def test_a_look_does_not_move_a_manual_clock() -> None:
    clock = ManualClock()
    clock.polled(EPOCH + 10)
    assert clock.now() == EPOCH


def test_advancing_a_manual_clock_wakes_whoever_waits() -> None:
    clock = ManualClock()

    async def story() -> None:
        waiting = asyncio.create_task(clock.wait_until(EPOCH + 5))
        await asyncio.sleep(0)
        clock.advance(5)
        await waiting

    asyncio.run(story())
    assert clock.now() == EPOCH + 5


def test_a_moment_that_comes_as_one_lies_down_is_not_slept_through(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = ManualClock()
    sleep = clock._sleepers.sleep

    async def sleep_too_late(seconds: float | None, still: Callable[[], bool]) -> None:
        clock.advance(5)
        await sleep(seconds, still)

    monkeypatch.setattr(clock._sleepers, "sleep", sleep_too_late)
    asyncio.run(clock.wait_until(EPOCH + 5))


@given(moments())
def test_a_look_moves_a_stepping_clock_to_what_comes_next(moment: float) -> None:
    clock = AutoAdvanceClock()
    clock.polled(moment)
    assert clock.now() == moment


def test_a_look_at_what_has_nothing_to_come_leaves_a_stepping_clock_alone() -> None:
    clock = AutoAdvanceClock(EPOCH + 10)
    clock.polled(EPOCH)
    assert clock.now() == EPOCH + 10


def test_whoever_waits_on_a_stepping_clock_is_there_at_once() -> None:
    clock = AutoAdvanceClock()
    asyncio.run(clock.wait_until(EPOCH + 600))
    assert clock.now() == EPOCH + 600


def test_who_only_watches_moves_no_stepping_clock() -> None:
    clock = AutoAdvanceClock()

    async def story() -> float:
        watching = asyncio.create_task(clock.watch_for(EPOCH + 5))
        await asyncio.sleep(0)
        assert clock.now() == EPOCH
        clock.polled(EPOCH + 5)
        await watching
        return clock.now()

    assert asyncio.run(story()) == EPOCH + 5


@every_clock
def test_a_moment_that_has_come_is_not_watched_for(make: Callable[[], Clock]) -> None:
    clock = make()
    asyncio.run(clock.watch_for(clock.now()))


def test_the_systems_clock_is_not_moved_by_hand() -> None:
    with pytest.raises(RuntimeError, match="this clock moves by itself; expected clock='manual' or"):
        SystemClock().advance(1)


def test_the_steady_time_goes_on_when_the_computers_is_set_back(computer: Computer) -> None:
    before = steady_time()
    computer.wall, computer.ticks = EPOCH - 3600, computer.ticks + 2.5
    assert steady_time() - before == pytest.approx(2.5)
