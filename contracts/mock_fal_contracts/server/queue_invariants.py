"""The laws of the queue: any order of acts by several clients, one request from end to end, and its stream."""

from __future__ import annotations

import json
from contextlib import ExitStack
from threading import Thread
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server import invariants as invariants
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.http_client import HttpClient
from mock_fal_contracts.server.request_tracker import GOOD_INPUT, QUEUE, STATES, RequestTracker, Seen

# Inputs that the queue takes, and the model does not.
_BAD_INPUTS: list[dict[str, Any]] = [
    {},
    {"prompt": 5},
    {"prompt": "a", "num_images": 99},
    {"prompt": "a", "num_inference_steps": 28},
    {"prompt": "a", "image_size": "huge"},
]

# So many things happen in one run of the machine at most.
_STEPS = 25


def any_order(context: Context) -> None:
    """Several clients submit, poll, collect and cancel in any order."""

    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.tracker = RequestTracker(context)
            self.stack = ExitStack()
            first, second = context.keys(2)
            # Two connections share a key and so see each other's requests.
            self.clients = [
                self.stack.enter_context(context.http_client(key)) for key in (first, first, second)
            ]
            self.owners: dict[Seen, int] = {}

        def teardown(self) -> None:
            self.stack.close()

        def pick(self, client: int, which: int) -> tuple[HttpClient, Seen]:
            """Any request, and a client of the same key."""
            request = self.tracker.requests[which % len(self.tracker.requests)]
            owner = self.owners[request]
            http_client = self.clients[2 if owner == 2 else client % 2]
            return http_client, request

        @rule(client=st.integers(0, 2), bad=st.none() | st.sampled_from(_BAD_INPUTS))
        def submit(self, client: int, bad: dict[str, Any] | None) -> None:
            document = GOOD_INPUT if bad is None else bad
            request = self.tracker.submit(self.clients[client], document, good=bad is None)
            self.owners[request] = client

        @precondition(lambda self: self.tracker.requests)
        @rule(client=st.integers(0, 1), which=st.integers(0, 9), logs=st.booleans())
        def poll(self, client: int, which: int, logs: bool) -> None:
            http_client, request = self.pick(client, which)
            self.tracker.poll(http_client, request, logs=logs)

        @precondition(lambda self: self.tracker.requests)
        @rule(client=st.integers(0, 1), which=st.integers(0, 9))
        def collect(self, client: int, which: int) -> None:
            self.tracker.collect(*self.pick(client, which))

        @precondition(lambda self: self.tracker.requests)
        @rule(client=st.integers(0, 1), which=st.integers(0, 9))
        def cancel(self, client: int, which: int) -> None:
            self.tracker.cancel(*self.pick(client, which))

        @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
        def wait(self, seconds: float) -> None:
            self.tracker.pass_time(seconds)

    hypothesis.seed(context.seed)(Machine)
    run_state_machine_as_test(Machine, settings=_settings(context, stateful_step_count=_STEPS))


def whole_story(context: Context) -> None:
    """One request from its submission to its result, with others behind it; then it can't be cancelled."""
    context.budget.reserve()
    with context.http_client() as client:
        tracker = RequestTracker(context)
        request = tracker.submit(client, GOOD_INPUT)
        tracker.poll(client, request)
        tracker.collect(client, request)
        tracker.finish(client, request, logs=True)
        tracker.poll(client, request, logs=True)
        tracker.collect(client, request)
        tracker.collect(client, request)
        tracker.cancel(client, request)
        tracker.poll(client, request)


def wrong_input(context: Context) -> None:
    """Wrong inputs are taken, and cost nothing."""
    with context.http_client() as client:
        tracker = RequestTracker(context)
        for document in _BAD_INPUTS[:2] if context.budget.is_counted else _BAD_INPUTS:
            request = tracker.submit(client, document, good=False)
            tracker.finish(client, request)
            tracker.collect(client, request)


def cancelled_at_once(context: Context) -> None:
    """A request that is cancelled before a runner has it."""
    with context.http_client() as client:
        tracker = RequestTracker(context)
        request = tracker.submit(client, GOOD_INPUT)
        if tracker.cancel(client, request) == 200:
            tracker.poll(client, request)
            tracker.collect(client, request)
        tracker.finish(client, request)


def one_behind_the_other(context: Context) -> None:
    """Several requests wait; each moves up, also when one in front is cancelled."""
    if context.budget.is_counted:
        context.budget.reserve(4)
    with context.http_client() as client:
        tracker = RequestTracker(context)
        requests = [tracker.submit(client, GOOD_INPUT) for _ in range(4)]
        tracker.cancel(client, requests[1])
        for request in requests:
            for other in requests:
                tracker.poll(client, other)
            tracker.finish(client, request, logs=True)
            tracker.collect(client, request)


def streamed(context: Context) -> None:
    """The status stream, beside a client that polls."""
    context.budget.reserve()
    with context.http_client() as client, context.http_client(client.key) as listener:
        tracker = RequestTracker(context)
        request = tracker.submit(client, GOOD_INPUT)
        heard: list[Exchange] = []
        stream = Thread(
            target=lambda: heard.append(
                listener.ask("GET", QUEUE, f"{request.path}/status/stream", query={"logs": "1"})
            ),
            daemon=True,
        )
        stream.start()
        stream.join(0.1)  # it begins to listen before the clock is moved
        tracker.finish(client, request, logs=True)
        last = request.history[-1].output
        for _ in context.polls():
            stream.join(0.2)
            if not stream.is_alive():
                break
        context.findings.expect(
            invariants.STREAM,
            bool(heard),
            "the stream did not end after COMPLETED",
            *request.history[-1:],
        )
        if heard:
            _same_story(context, request, heard[0], last)
        tracker.collect(client, request)


def _same_story(context: Context, request: Seen, stream: Exchange, last: Any) -> None:
    its = context.findings
    kind = (stream.response_header("content-type") or "").partition(";")[0]
    events = _events(stream.response_body)
    its.expect(
        invariants.STREAM,
        stream.status == 200 and kind == "text/event-stream" and bool(events),
        f"status {stream.status}, content type {kind!r}, {len(events)} events; expected 200, text/event-stream "
        "and an event for each state",
        stream,
    )
    ranks = [STATES.index(event["status"]) for event in events if event.get("status") in STATES]
    its.expect(
        invariants.STREAM,
        len(ranks) == len(events) and ranks == sorted(ranks) and ranks[-1:] == [2] and ranks.count(2) == 1,
        f"the stream tells {[event.get('status') for event in events]}; expected states that only move on, "
        "with COMPLETED once, at the end",
        stream,
    )
    its.expect(
        invariants.STREAM,
        _without_logs(events[-1]) == _without_logs(last),
        f"the stream ends with {_without_logs(events[-1])}, and polling with {_without_logs(last)}",
        stream,
        request.history[-1],
    )
    # fal: whether an event has all lines so far or those since the last is unknown; the JavaScript client joins them.
    told = [event.get("logs") or [] for event in events]
    its.expect(
        invariants.STREAM,
        request.logs in (told[-1], [line for lines in told for line in lines]),
        f"the stream tells {sum(map(len, told))} lines of logs, and polling {len(request.logs)}; expected the same",
        stream,
        request.history[-1],
    )


def _without_logs(event: Any) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "logs"}


def _events(body: bytes) -> list[dict[str, Any]]:
    lines = body.decode("utf-8", "replace").splitlines()
    found = []
    for line in lines:
        if line.startswith("data:"):
            try:
                event = json.loads(line.removeprefix("data:"))
            except ValueError:
                event = {"status": line}
            found.append(event if isinstance(event, dict) else {"status": line})
    return found


def _settings(context: Context, **more: Any) -> settings:
    return settings(
        max_examples=context.examples,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        # What is shown are the last few exchanges, and to find shorter ways to them takes minutes.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        **more,
    )
