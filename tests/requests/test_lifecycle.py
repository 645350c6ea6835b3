from __future__ import annotations

import math
from dataclasses import replace
from itertools import accumulate, islice, repeat, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.requests.lifecycle import (
    Completed,
    Ending,
    LogLine,
    Queued,
    Running,
    Schedule,
    Status,
    Submission,
    logs,
    next_change,
    next_stage,
    part_due,
    plan,
    schedule,
    status,
)
from tests.strategies import moments, queues_of_tickets, schedules, spans, submissions


def stage(state: Status) -> int:
    return [Queued, Running, Completed].index(type(state))


def changes(its: Schedule, steps: int) -> list[float]:
    """The moments of a life: its beginning, and each change after the one before, as far as there are any."""
    endless = accumulate(repeat(steps), lambda now, _: next_change(its, steps, now), initial=its.queued_at)
    return list(takewhile(lambda moment: moment < math.inf, islice(endless, steps + 10)))


def story(queue_duration: float = 2, run_duration: float = 8, **options: float) -> Submission:
    """A request that was submitted at the clocks' epoch."""
    return replace(Submission(1, EPOCH, queue_duration, run_duration), **options)  # type: ignore[arg-type]


# -- the life of one request


def test_a_request_waits_then_runs_then_is_completed() -> None:
    its = schedule(story(), EPOCH + 2)
    assert status(its, EPOCH, ahead=3) == Queued(3)
    assert status(its, EPOCH + 1.75) == Queued(0)
    assert status(its, EPOCH + 2) == Running()
    assert status(its, EPOCH + 9.75) == Running()
    assert status(its, EPOCH + 10) == Completed(8.0, Ending.ANSWERED)
    assert status(its, EPOCH + 1e6) == Completed(8.0, Ending.ANSWERED)


@given(schedules(), moments(), spans(100))
def test_a_request_never_moves_back(its: Schedule, now: float, later: float) -> None:
    assert stage(status(its, now)) <= stage(status(its, now + later))


@given(schedules())
def test_every_request_ends(its: Schedule) -> None:
    assert its.ends_at < math.inf
    assert isinstance(status(its, its.ends_at), Completed)


@given(submissions(), spans())
def test_nothing_happens_before_it_was_asked_for(submission: Submission, wait_s: float) -> None:
    its = schedule(submission, submission.ready_at + wait_s)
    assert submission.queued_at <= its.leaves_queue_at <= its.ends_at


@given(schedules())
def test_a_request_that_never_started_has_no_inference_time(its: Schedule) -> None:
    over = status(its, its.ends_at)
    assert isinstance(over, Completed)
    assert (over.inference_s is None) == (its.ending in (Ending.TIMED_OUT, Ending.CANCELLED))


def test_a_request_without_waiting_and_work_is_completed_at_once() -> None:
    its = schedule(story(queue_duration=0, run_duration=0), EPOCH)
    assert status(its, EPOCH) == Completed(0.0, Ending.ANSWERED)


# -- the start deadline


def test_a_runner_that_comes_exactly_at_the_deadline_is_in_time() -> None:
    its = schedule(story(start_timeout_s=2), EPOCH + 2)
    assert its.ending is Ending.ANSWERED


def test_a_request_gives_up_at_its_deadline() -> None:
    its = schedule(story(start_timeout_s=2), EPOCH + 2.25)
    assert status(its, EPOCH + 1.75) == Queued(0)
    assert status(its, EPOCH + 2) == Completed(None, Ending.TIMED_OUT)


def test_the_deadline_no_longer_counts_once_a_runner_started() -> None:
    its = schedule(story(start_timeout_s=2), EPOCH + 1)
    assert status(its, EPOCH + 9) == Completed(8.0, Ending.ANSWERED)


# -- cancellation


def test_a_request_that_waits_is_gone_when_it_is_cancelled() -> None:
    its = schedule(story(cancelled_at=EPOCH + 1), EPOCH + 2)
    assert status(its, EPOCH + 0.75) == Queued(0)
    assert status(its, EPOCH + 1) == Completed(None, Ending.CANCELLED)


def test_a_runner_that_does_not_care_goes_on() -> None:
    its = schedule(story(cancelled_at=EPOCH + 5), EPOCH + 2)
    assert status(its, EPOCH + 10) == Completed(8.0, Ending.ANSWERED)


def test_a_runner_that_honours_a_cancellation_stops() -> None:
    its = schedule(replace(story(cancelled_at=EPOCH + 5), honours_cancel=True), EPOCH + 2)
    assert status(its, EPOCH + 4.75) == Running()
    assert status(its, EPOCH + 5) == Completed(3.0, Ending.STOPPED)


@pytest.mark.parametrize("left_s", [1, 5])
def test_a_request_is_over_when_its_caller_leaves(left_s: float) -> None:
    left = story(cancelled_at=EPOCH + left_s, honours_cancel=True, caller_left=True)
    its = schedule(left, EPOCH + 2)
    assert (its.ends_at, its.ending) == (EPOCH + left_s, Ending.LEFT)


def test_the_parts_of_a_stream_are_spread_evenly_and_end_with_the_run() -> None:
    its = schedule(story(), EPOCH + 2)
    assert [part_due(its, number, 4) for number in (1, 2, 3, 4)] == [EPOCH + at for at in (4, 6, 8, 10)]


def test_a_cancellation_at_the_start_finds_it_running() -> None:
    its = schedule(replace(story(cancelled_at=EPOCH + 2), honours_cancel=True), EPOCH + 2)
    assert status(its, EPOCH + 2) == Completed(0.0, Ending.STOPPED)


def test_a_cancellation_at_the_end_is_too_late() -> None:
    its = schedule(replace(story(cancelled_at=EPOCH + 10), honours_cancel=True), EPOCH + 2)
    assert its.ending is Ending.ANSWERED


def test_what_gave_up_before_was_not_cancelled() -> None:
    assert schedule(story(start_timeout_s=1, cancelled_at=EPOCH + 1), math.inf).ending is Ending.TIMED_OUT


def test_what_was_cancelled_before_did_not_give_up() -> None:
    its = schedule(story(start_timeout_s=1, cancelled_at=EPOCH + 0.75), math.inf)
    assert (its.ending, its.ends_at) == (Ending.CANCELLED, EPOCH + 0.75)


# -- many requests


@given(queues_of_tickets(), st.integers(1, 3))
def test_a_plan_is_about_every_ticket(line: list[Submission], runners: int) -> None:
    planned, free = plan(line, runners=runners, now=EPOCH)
    assert sorted(planned) == [submission.number for submission in line]
    assert len(free) == runners


@given(queues_of_tickets(), st.integers(1, 3), spans(), st.lists(spans(), max_size=3))
def test_no_schedule_starts_before_its_plan_was_made(
    line: list[Submission], runners: int, passed: float, busy: list[float]
) -> None:
    now = EPOCH + passed
    planned, _ = plan(line, runners=runners, now=now, busy_until=[now + span for span in busy[:runners]])
    assert all(its.starts_at >= now for its in planned.values())


@given(queues_of_tickets(), st.integers(1, 3))
def test_no_runner_takes_a_request_before_it_is_ready(line: list[Submission], runners: int) -> None:
    planned, _ = plan(line, runners=runners, now=EPOCH)
    assert all(planned[submission.number].starts_at >= submission.ready_at for submission in line)


def test_two_runners_wait_for_two_requests_that_get_ready_together() -> None:
    line = [Submission(number, EPOCH, 5, 10) for number in (1, 2)]
    planned, _ = plan(line, runners=2, now=EPOCH)
    assert [planned[number].starts_at for number in (1, 2)] == [EPOCH + 5, EPOCH + 5]


@given(queues_of_tickets(), st.integers(1, 3))
def test_never_more_run_at_a_time_than_there_are_runners(line: list[Submission], runners: int) -> None:
    planned, _ = plan(line, runners=runners, now=EPOCH)
    lives = planned.values()
    assert all(
        sum(other.starts_at <= its.starts_at < other.ends_at for other in lives) <= runners
        for its in lives
        if its.starts_at < math.inf
    )


@given(queues_of_tickets(), st.integers(1, 3))
def test_of_two_normal_requests_the_one_submitted_and_ready_first_starts_first(
    line: list[Submission], runners: int
) -> None:
    planned, _ = plan(line, runners=runners, now=EPOCH)
    started = [
        (submission.ready_at, planned[submission.number].starts_at)
        for submission in line
        if not submission.low_priority and planned[submission.number].starts_at < math.inf
    ]
    assert all(
        starts <= later_starts
        for place, (ready, starts) in enumerate(started)
        for later_ready, later_starts in started[place:]
        if ready <= later_ready
    )


def test_a_low_request_waits_behind_every_normal_one() -> None:
    low = Submission(1, EPOCH, 1, 10, low_priority=True)
    normal = [Submission(number, EPOCH, 1, 10) for number in (2, 3)]
    planned, _ = plan([low, *normal], runners=1, now=EPOCH)
    assert [planned[number].starts_at - EPOCH for number in (2, 3, 1)] == [1, 11, 21]


def test_a_low_request_starts_when_nobody_else_is_ready() -> None:
    low = Submission(1, EPOCH, 0, 10, low_priority=True)
    planned, _ = plan([low, Submission(2, EPOCH, 1, 10)], runners=1, now=EPOCH)
    assert [planned[number].starts_at - EPOCH for number in (1, 2)] == [0, 10]


def test_who_gave_up_keeps_no_runner_busy() -> None:
    line = [
        Submission(1, EPOCH, 0, 10),
        Submission(2, EPOCH, 0, 10, start_timeout_s=5),
        Submission(3, EPOCH, 0, 10),
    ]
    planned, free = plan(line, runners=1, now=EPOCH)
    assert planned[2].ending is Ending.TIMED_OUT
    assert planned[3].starts_at == EPOCH + 10
    assert free == [EPOCH + 20]


def test_a_runner_at_work_is_waited_for() -> None:
    planned, free = plan([Submission(1, EPOCH, 0, 10)], runners=1, now=EPOCH, busy_until=[EPOCH + 7])
    assert planned[1].starts_at == EPOCH + 7
    assert free == [EPOCH + 17]


# -- logs


def test_a_runner_prints_a_line_for_each_step() -> None:
    its = schedule(story(), EPOCH + 2)
    assert logs(its, 4, EPOCH + 4.75) == [LogLine(" 25%|██        | 1/4 [00:02,  0.50it/s]", EPOCH + 4.0)]
    assert logs(its, 4, EPOCH + 10)[-1] == LogLine("100%|██████████| 4/4 [00:08,  0.50it/s]", EPOCH + 10.0)


def test_a_runner_without_work_prints_all_at_once() -> None:
    its = schedule(story(run_duration=0), EPOCH + 2)
    assert [line.message for line in logs(its, 2, EPOCH + 2)] == [
        " 50%|█████     | 1/2 [00:00,  0.00it/s]",
        "100%|██████████| 2/2 [00:00,  0.00it/s]",
    ]


@given(schedules(), st.integers(0, 50), moments(), spans(100))
def test_lines_are_never_taken_back(its: Schedule, steps: int, now: float, later: float) -> None:
    before = logs(its, steps, now)
    assert logs(its, steps, now + later)[: len(before)] == before


@given(schedules(), st.integers(0, 50), moments())
def test_lines_are_printed_while_the_runner_works(its: Schedule, steps: int, now: float) -> None:
    printed = [line.at for line in logs(its, steps, now)]
    assert printed == sorted(printed)
    assert all(its.starts_at <= at <= min(its.ends_at, now) for at in printed)


@given(st.floats(0, 1e5), st.integers(0, 50), st.floats(0, 1e5))
def test_a_runner_that_answered_has_printed_every_step(
    starts_at: float, steps: int, run_duration: float
) -> None:
    its = Schedule(starts_at, starts_at, starts_at + run_duration, run_duration)
    assert len(logs(its, steps, its.ends_at)) == steps


def test_a_runner_that_was_stopped_has_printed_what_it_had_done() -> None:
    its = schedule(replace(story(cancelled_at=EPOCH + 7), honours_cancel=True), EPOCH + 2)
    assert len(logs(its, 4, EPOCH + 100)) == 2


# -- what comes next


@given(schedules(), st.integers(0, 50), moments())
def test_nothing_changes_before_the_next_change(its: Schedule, steps: int, now: float) -> None:
    just_before = math.nextafter(min(next_change(its, steps, now), EPOCH + 1000), 0)
    later = max(now, just_before)
    assert status(its, later) == status(its, now)
    assert logs(its, steps, later) == logs(its, steps, now)


@given(schedules(), st.integers(0, 50))
def test_from_change_to_change_one_comes_to_the_end(its: Schedule, steps: int) -> None:
    seen = changes(its, steps)
    assert seen == sorted(set(seen))
    assert seen[-1] == its.ends_at
    assert len(seen) <= steps + 3


def test_three_polls_see_the_three_states() -> None:
    its = schedule(story(), EPOCH + 2)
    second = next_stage(its, EPOCH)
    third = next_stage(its, second)
    assert [status(its, moment) for moment in (EPOCH, second, third)] == [
        Queued(0),
        Running(),
        Completed(8.0, Ending.ANSWERED),
    ]
    assert 0 < len(logs(its, 4, second)) < 4


@given(schedules())
def test_two_stages_lead_from_the_queue_to_the_end(its: Schedule) -> None:
    assert next_stage(its, next_stage(its, its.queued_at)) == its.ends_at


@pytest.mark.parametrize("later", [0, 1, 1e6])
def test_at_the_end_no_stage_is_left(later: float) -> None:
    its = schedule(story(), EPOCH + 2)
    assert next_stage(its, its.ends_at + later) == its.ends_at
