from __future__ import annotations

import math
from itertools import accumulate, islice, repeat, takewhile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.requests.lifecycle import (
    Completed,
    Ending,
    FailedRun,
    LogLine,
    Queued,
    Running,
    Schedule,
    Status,
    Submission,
    logs,
    next_change,
    next_stage,
    part_sent_at,
    plan,
    schedule,
    status,
)
from tests.strategies import moments, queues, schedules, spans, submissions


def stage(state: Status) -> int:
    return [Queued, Running, Completed].index(type(state))


def changes(timetable: Schedule, steps: int) -> list[float]:
    """The moment of submission and all later changes."""
    moments = accumulate(
        repeat(steps), lambda now, _: next_change(timetable, steps, now), initial=timetable.queued_at
    )
    return list(takewhile(lambda moment: moment < math.inf, islice(moments, steps + 10)))


def submitted(queue_duration: float = 2, run_duration: float = 8, **options: float) -> Submission:
    """A request submitted at EPOCH."""
    return Submission(1, EPOCH, queue_duration, run_duration)._replace(**options)  # type: ignore[arg-type]


# -- the lifecycle of one request


def test_a_request_waits_then_runs_then_is_completed() -> None:
    timetable = schedule(submitted(), EPOCH + 2)
    assert status(timetable, EPOCH, ahead=3) == Queued(3)
    assert status(timetable, EPOCH + 1.75) == Queued(0)
    assert status(timetable, EPOCH + 2) == Running()
    assert status(timetable, EPOCH + 9.75) == Running()
    assert status(timetable, EPOCH + 10) == Completed(8.0, Ending.RESPONDED)
    assert status(timetable, EPOCH + 1e6) == Completed(8.0, Ending.RESPONDED)


@given(schedules(), moments(), spans(100))
def test_a_request_never_moves_back(timetable: Schedule, now: float, later: float) -> None:
    assert stage(status(timetable, now)) <= stage(status(timetable, now + later))


@given(schedules())
def test_every_request_ends(timetable: Schedule) -> None:
    assert timetable.ends_at < math.inf
    assert isinstance(status(timetable, timetable.ends_at), Completed)


@given(submissions(), spans())
def test_no_change_precedes_the_submission(submission: Submission, wait_s: float) -> None:
    timetable = schedule(submission, submission.ready_at + wait_s)
    assert submission.queued_at <= timetable.leaves_queue_at <= timetable.ends_at


@given(schedules())
def test_a_request_that_never_started_has_no_inference_time(timetable: Schedule) -> None:
    completed = status(timetable, timetable.ends_at)
    assert isinstance(completed, Completed)
    assert (completed.inference_s is None) == (timetable.ending in (Ending.TIMED_OUT, Ending.CANCELLED))


def test_a_request_without_durations_is_completed_at_once() -> None:
    timetable = schedule(submitted(queue_duration=0, run_duration=0), EPOCH)
    assert status(timetable, EPOCH) == Completed(0.0, Ending.RESPONDED)


# -- the start deadline


def test_a_start_exactly_at_the_deadline_is_in_time() -> None:
    timetable = schedule(submitted(start_timeout_s=2), EPOCH + 2)
    assert timetable.ending is Ending.RESPONDED


def test_a_request_times_out_at_its_deadline() -> None:
    timetable = schedule(submitted(start_timeout_s=2), EPOCH + 2.25)
    assert status(timetable, EPOCH + 1.75) == Queued(0)
    assert status(timetable, EPOCH + 2) == Completed(None, Ending.TIMED_OUT)


def test_the_deadline_has_no_effect_after_the_start() -> None:
    timetable = schedule(submitted(start_timeout_s=2), EPOCH + 1)
    assert status(timetable, EPOCH + 9) == Completed(8.0, Ending.RESPONDED)


# -- cancellation


def test_a_waiting_request_ends_when_it_is_cancelled() -> None:
    timetable = schedule(submitted(cancelled_at=EPOCH + 1), EPOCH + 2)
    assert status(timetable, EPOCH + 0.75) == Queued(0)
    assert status(timetable, EPOCH + 1) == Completed(None, Ending.CANCELLED)


def test_a_runner_ignores_a_cancellation_by_default() -> None:
    timetable = schedule(submitted(cancelled_at=EPOCH + 5), EPOCH + 2)
    assert status(timetable, EPOCH + 10) == Completed(8.0, Ending.RESPONDED)


def test_a_runner_that_honours_a_cancellation_stops() -> None:
    timetable = schedule(submitted(cancelled_at=EPOCH + 5)._replace(honours_cancel=True), EPOCH + 2)
    assert status(timetable, EPOCH + 4.75) == Running()
    assert status(timetable, EPOCH + 5) == Completed(3.0, Ending.STOPPED)


@pytest.mark.parametrize("left_s", [1, 5])
def test_a_request_ends_when_its_client_disconnects(left_s: float) -> None:
    disconnected = submitted(cancelled_at=EPOCH + left_s, honours_cancel=True, client_disconnected=True)
    timetable = schedule(disconnected, EPOCH + 2)
    assert (timetable.ends_at, timetable.ending) == (EPOCH + left_s, Ending.DISCONNECTED)


def test_the_parts_of_a_stream_are_spread_evenly_over_the_run() -> None:
    timetable = schedule(submitted(), EPOCH + 2)
    assert [part_sent_at(timetable, number, 4) for number in (1, 2, 3, 4)] == [
        EPOCH + at for at in (4, 6, 8, 10)
    ]


def test_a_cancellation_at_the_start_stops_a_running_request() -> None:
    timetable = schedule(submitted(cancelled_at=EPOCH + 2)._replace(honours_cancel=True), EPOCH + 2)
    assert status(timetable, EPOCH + 2) == Completed(0.0, Ending.STOPPED)


def test_a_cancellation_at_the_end_is_too_late() -> None:
    timetable = schedule(submitted(cancelled_at=EPOCH + 10)._replace(honours_cancel=True), EPOCH + 2)
    assert timetable.ending is Ending.RESPONDED


def test_a_request_that_timed_out_cannot_be_cancelled() -> None:
    assert schedule(submitted(start_timeout_s=1, cancelled_at=EPOCH + 1), math.inf).ending is Ending.TIMED_OUT


def test_a_cancelled_request_does_not_time_out() -> None:
    timetable = schedule(submitted(start_timeout_s=1, cancelled_at=EPOCH + 0.75), math.inf)
    assert (timetable.ending, timetable.ends_at) == (Ending.CANCELLED, EPOCH + 0.75)


# -- many requests


@given(queues(), st.integers(1, 3))
def test_a_plan_schedules_every_submission(queue: list[Submission], runners: int) -> None:
    planned, free = plan(queue, runners=runners, now=EPOCH)
    assert sorted(planned) == [submission.number for submission in queue]
    assert len(free) == runners


@given(queues(), st.integers(1, 3), spans(), st.lists(spans(), max_size=3))
def test_no_request_starts_before_the_moment_of_planning(
    queue: list[Submission], runners: int, passed: float, busy: list[float]
) -> None:
    now = EPOCH + passed
    planned, _ = plan(queue, runners=runners, now=now, busy_until=[now + span for span in busy[:runners]])
    assert all(timetable.starts_at >= now for timetable in planned.values())


@given(queues(), st.integers(1, 3))
def test_no_request_starts_before_it_is_ready(queue: list[Submission], runners: int) -> None:
    planned, _ = plan(queue, runners=runners, now=EPOCH)
    assert all(planned[submission.number].starts_at >= submission.ready_at for submission in queue)


def test_two_runners_start_two_requests_that_are_ready_together() -> None:
    queue = [Submission(number, EPOCH, 5, 10) for number in (1, 2)]
    planned, _ = plan(queue, runners=2, now=EPOCH)
    assert [planned[number].starts_at for number in (1, 2)] == [EPOCH + 5, EPOCH + 5]


@given(queues(), st.integers(1, 3))
def test_never_more_requests_run_than_there_are_runners(queue: list[Submission], runners: int) -> None:
    planned, _ = plan(queue, runners=runners, now=EPOCH)
    schedules = planned.values()
    assert all(
        sum(other.starts_at <= timetable.starts_at < other.ends_at for other in schedules) <= runners
        for timetable in schedules
        if timetable.starts_at < math.inf
    )


@given(queues(), st.integers(1, 3))
def test_the_normal_request_submitted_and_ready_first_starts_first(
    queue: list[Submission], runners: int
) -> None:
    planned, _ = plan(queue, runners=runners, now=EPOCH)
    started = [
        (submission.ready_at, planned[submission.number].starts_at)
        for submission in queue
        if not submission.low_priority and planned[submission.number].starts_at < math.inf
    ]
    assert all(
        starts <= later_starts
        for place, (ready, starts) in enumerate(started)
        for later_ready, later_starts in started[place:]
        if ready <= later_ready
    )


def test_a_low_priority_request_waits_behind_every_normal_one() -> None:
    low = Submission(1, EPOCH, 1, 10, low_priority=True)
    normal = [Submission(number, EPOCH, 1, 10) for number in (2, 3)]
    planned, _ = plan([low, *normal], runners=1, now=EPOCH)
    assert [planned[number].starts_at - EPOCH for number in (2, 3, 1)] == [1, 11, 21]


def test_a_low_priority_request_starts_if_no_other_is_ready() -> None:
    low = Submission(1, EPOCH, 0, 10, low_priority=True)
    planned, _ = plan([low, Submission(2, EPOCH, 1, 10)], runners=1, now=EPOCH)
    assert [planned[number].starts_at - EPOCH for number in (1, 2)] == [0, 10]


def test_a_request_that_timed_out_occupies_no_runner() -> None:
    queue = [
        Submission(1, EPOCH, 0, 10),
        Submission(2, EPOCH, 0, 10, start_timeout_s=5),
        Submission(3, EPOCH, 0, 10),
    ]
    planned, free = plan(queue, runners=1, now=EPOCH)
    assert planned[2].ending is Ending.TIMED_OUT
    assert planned[3].starts_at == EPOCH + 10
    assert free == [EPOCH + 20]


def test_a_request_waits_for_a_busy_runner() -> None:
    planned, free = plan([Submission(1, EPOCH, 0, 10)], runners=1, now=EPOCH, busy_until=[EPOCH + 7])
    assert planned[1].starts_at == EPOCH + 7
    assert free == [EPOCH + 17]


# -- logs


def test_a_runner_logs_a_line_for_each_step() -> None:
    timetable = schedule(submitted(), EPOCH + 2)
    assert logs(timetable, 4, EPOCH + 4.75) == [
        LogLine(" 25%|██        | 1/4 [00:02,  0.50it/s]", EPOCH + 4.0)
    ]
    assert logs(timetable, 4, EPOCH + 10)[-1] == LogLine(
        "100%|██████████| 4/4 [00:08,  0.50it/s]", EPOCH + 10.0
    )


def test_a_run_without_duration_logs_all_lines_at_once() -> None:
    timetable = schedule(submitted(run_duration=0), EPOCH + 2)
    assert [line.message for line in logs(timetable, 2, EPOCH + 2)] == [
        " 50%|█████     | 1/2 [00:00,  0.00it/s]",
        "100%|██████████| 2/2 [00:00,  0.00it/s]",
    ]


@given(schedules(), st.integers(0, 50), moments(), spans(100))
def test_lines_are_never_removed(timetable: Schedule, steps: int, now: float, later: float) -> None:
    before = logs(timetable, steps, now)
    assert logs(timetable, steps, now + later)[: len(before)] == before


@given(schedules(), st.integers(0, 50), moments())
def test_lines_are_logged_during_the_run(timetable: Schedule, steps: int, now: float) -> None:
    logged = [line.at for line in logs(timetable, steps, now)]
    assert logged == sorted(logged)
    assert all(timetable.starts_at <= at <= min(timetable.ends_at, now) for at in logged)


@given(st.floats(0, 1e5), st.integers(0, 50), st.floats(0, 1e5))
def test_a_finished_run_has_logged_every_step(starts_at: float, steps: int, run_duration: float) -> None:
    timetable = Schedule(starts_at, starts_at, starts_at + run_duration, run_duration)
    assert len(logs(timetable, steps, timetable.ends_at)) == steps


def test_a_stopped_run_has_logged_the_steps_before_the_stop() -> None:
    timetable = schedule(submitted(cancelled_at=EPOCH + 7)._replace(honours_cancel=True), EPOCH + 2)
    assert len(logs(timetable, 4, EPOCH + 100)) == 2


# -- the next change


@given(schedules(), st.integers(0, 50), moments())
def test_nothing_changes_before_the_next_change(timetable: Schedule, steps: int, now: float) -> None:
    just_before = math.nextafter(min(next_change(timetable, steps, now), EPOCH + 1000), 0)
    later = max(now, just_before)
    assert status(timetable, later) == status(timetable, now)
    assert logs(timetable, steps, later) == logs(timetable, steps, now)


@given(schedules(), st.integers(0, 50))
def test_the_changes_lead_to_the_end(timetable: Schedule, steps: int) -> None:
    seen = changes(timetable, steps)
    assert seen == sorted(set(seen))
    assert seen[-1] == timetable.ends_at
    assert len(seen) <= steps + 3


def test_three_polls_see_the_three_states() -> None:
    timetable = schedule(submitted(), EPOCH + 2)
    second = next_stage(timetable, EPOCH)
    third = next_stage(timetable, second)
    assert [status(timetable, moment) for moment in (EPOCH, second, third)] == [
        Queued(0),
        Running(),
        Completed(8.0, Ending.RESPONDED),
    ]
    assert 0 < len(logs(timetable, 4, second)) < 4


@given(schedules())
def test_two_stages_lead_from_the_queue_to_the_end(timetable: Schedule) -> None:
    assert next_stage(timetable, next_stage(timetable, timetable.queued_at)) == timetable.ends_at


@pytest.mark.parametrize("later", [0, 1, 1e6])
def test_a_completed_request_has_no_next_stage(later: float) -> None:
    timetable = schedule(submitted(), EPOCH + 2)
    assert next_stage(timetable, timetable.ends_at + later) == timetable.ends_at


# -- several attempts


def retried(*failed: tuple[float, float], **options: float) -> Schedule:
    """The schedule of a request whose attempts fail after some seconds, each with a wait, before a run of 8 s."""
    submission = submitted(**options)._replace(failed=tuple(FailedRun(*run) for run in failed))
    return schedule(submission, submission.ready_at)


def test_a_request_runs_again_after_a_failed_run_and_a_wait() -> None:
    timetable = retried((5, 1), (3, 2))
    assert [(span.starts_at - EPOCH, span.ends_at - EPOCH) for span in timetable.spans] == [
        (2, 7),
        (8, 11),
        (13, 21),
    ]
    assert status(timetable, EPOCH + 7.5) == Running()
    assert status(timetable, EPOCH + 21) == Completed(8.0, Ending.RESPONDED)


def test_a_request_with_several_attempts_has_the_logs_of_each() -> None:
    timetable = retried((4, 1))
    lines = logs(timetable, 2, EPOCH + 100, earlier=[4])
    assert [line.at - EPOCH for line in lines] == [3, 4, 5, 6, 11, 15]
    assert logs(timetable, 2, EPOCH + 6.5, earlier=[4]) == lines[:4]
    assert next_change(timetable, 2, EPOCH + 6.5, earlier=[4]) == EPOCH + 11


@pytest.mark.parametrize(("deadline_s", "ends_s"), [(3, 7), (7.5, 7.5), (7.75, 7.75)])
def test_no_attempt_starts_after_the_deadline(deadline_s: float, ends_s: float) -> None:
    timetable = retried((5, 1), start_timeout_s=deadline_s)
    assert status(timetable, EPOCH + ends_s) == Completed(None, Ending.TIMED_OUT)
    assert timetable.ends_at == EPOCH + ends_s
    assert len(timetable.spans) == 1


def test_an_attempt_exactly_at_the_deadline_is_in_time() -> None:
    assert retried((5, 1), start_timeout_s=8).ending is Ending.RESPONDED


@pytest.mark.parametrize(("cancelled_s", "ends_s"), [(3, 7), (7.5, 7.5)])
def test_no_attempt_starts_after_a_cancellation(cancelled_s: float, ends_s: float) -> None:
    timetable = retried((5, 1), cancelled_at=EPOCH + cancelled_s)
    assert (timetable.ends_at, timetable.ending) == (EPOCH + ends_s, Ending.CANCELLED)


def test_a_runner_that_honours_a_cancellation_stops_in_any_attempt() -> None:
    first = retried((5, 1), cancelled_at=EPOCH + 3, honours_cancel=True)
    second = retried((5, 1), cancelled_at=EPOCH + 9, honours_cancel=True)
    assert (first.ends_at, first.ending) == (EPOCH + 3, Ending.STOPPED)
    assert (second.ends_at, second.ending, second.inference_s) == (EPOCH + 9, Ending.STOPPED, 1.0)
