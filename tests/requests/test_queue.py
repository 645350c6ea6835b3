from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal.clock import EPOCH
from mock_fal.requests.lifecycle import Ending, Submission, plan
from mock_fal.requests.queue import AppQueue, ModelRequest
from tests.requests.examples import model_request
from tests.strategies import queues, spans


def joined(queue: AppQueue, submission: Submission, now: float = EPOCH) -> ModelRequest:
    request = model_request(submission)
    queue.join(request, now)
    return request


@given(queues(soonest_s=0.25), st.integers(1, 3))
def test_joining_one_by_one_gives_the_plan_of_all_submissions(
    submissions: list[Submission], runners: int
) -> None:
    queue = AppQueue(runners)
    requests = [joined(queue, submission) for submission in submissions]
    planned, _ = plan(submissions, runners=runners, now=EPOCH)
    assert {request.submission.number: request.schedule for request in requests} == planned


@given(queues())
def test_without_a_limit_a_request_starts_when_it_is_ready(submissions: list[Submission]) -> None:
    queue = AppQueue(0)
    requests = [joined(queue, submission) for submission in submissions]
    assert all(
        request.schedule.starts_at == request.submission.ready_at
        or request.schedule.ending is Ending.TIMED_OUT
        for request in requests
    )


@given(queues(), st.integers(0, 3), spans(60))
def test_waiting_counts_the_requests_that_have_not_left(
    submissions: list[Submission], runners: int, passed: float
) -> None:
    queue = AppQueue(runners)
    requests = [joined(queue, submission) for submission in submissions]
    now = EPOCH + passed
    waiting = [request for request in requests if request.schedule.leaves_queue_at > now]
    assert queue.waiting(now) == len(waiting)
    assert queue.next_departure(now) == min(
        (request.schedule.leaves_queue_at for request in waiting), default=math.inf
    )


def test_every_normal_request_is_ahead_of_a_low_priority_one() -> None:
    queue = AppQueue(1)
    running = joined(queue, Submission(1, EPOCH, 0, 10))
    low = joined(queue, Submission(2, EPOCH, 0, 10, low_priority=True))
    normal = joined(queue, Submission(3, EPOCH, 0, 10))
    last = joined(queue, Submission(4, EPOCH, 0, 10, low_priority=True))
    assert [queue.ahead(request, EPOCH) for request in (running, normal, low, last)] == [0, 0, 1, 2]


def test_after_a_cancellation_the_next_request_starts_earlier() -> None:
    queue = AppQueue(1)
    _, second, third = (joined(queue, Submission(number, EPOCH, 0, 10)) for number in (1, 2, 3))
    assert third.schedule.starts_at == EPOCH + 20
    queue.cancel(second, EPOCH + 5)
    assert second.schedule.ending is Ending.CANCELLED
    assert third.schedule.starts_at == EPOCH + 10


def test_after_a_runner_stops_the_next_request_starts_earlier() -> None:
    queue = AppQueue(1)
    first = joined(queue, Submission(1, EPOCH, 0, 10, honours_cancel=True))
    second = joined(queue, Submission(2, EPOCH, 0, 10))
    queue.cancel(first, EPOCH + 5)
    assert first.schedule.ending is Ending.STOPPED
    assert second.schedule.starts_at == EPOCH + 5


@pytest.mark.parametrize("disconnected", [1, 2])
def test_after_a_disconnect_the_next_request_starts_earlier(disconnected: int) -> None:
    queue = AppQueue(1)
    requests = {number: joined(queue, Submission(number, EPOCH, 0, 10)) for number in (1, 2, 3)}
    queue.abandon(requests[disconnected], EPOCH + 5)
    assert requests[disconnected].schedule.ending is Ending.DISCONNECTED
    assert requests[3].schedule.starts_at == EPOCH + (15 if disconnected == 1 else 10)


def test_running_counts_the_requests_that_have_started_and_not_ended() -> None:
    queue = AppQueue(2)
    for number in (1, 2, 3):
        joined(queue, Submission(number, EPOCH, 0, 10 * number))
    counts = [queue.running(EPOCH + at) for at in (0, 10, 20, 39, 40)]
    assert counts == [2, 2, 1, 1, 0]


@pytest.mark.parametrize("runners", [0, 1])
def test_a_cancelled_request_leaves_the_queue(runners: int) -> None:
    queue = AppQueue(runners)
    first = joined(queue, Submission(1, EPOCH, 5, 10))
    second = joined(queue, Submission(2, EPOCH, 5, 10))
    queue.cancel(first, EPOCH + 1)
    assert (queue.waiting(EPOCH + 1), queue.ahead(second, EPOCH + 1)) == (1, 0)
    assert queue.waiting(EPOCH + 100) == 0


def test_a_request_that_is_ready_earlier_overtakes() -> None:
    queue = AppQueue(1)
    slow = joined(queue, Submission(1, EPOCH, 10, 5))
    fast = joined(queue, Submission(2, EPOCH, 0, 20))
    assert (fast.schedule.starts_at, slow.schedule.starts_at) == (EPOCH, EPOCH + 20)


def test_a_queue_drops_requests_that_have_ended() -> None:
    queue = AppQueue(1)
    moments = [EPOCH + 10 * number for number in range(200)]
    ended = [joined(queue, Submission(number, now, 0, 10), now) for number, now in enumerate(moments)]
    assert [request.schedule.starts_at for request in ended] == moments
    assert len(queue._open) < 30
