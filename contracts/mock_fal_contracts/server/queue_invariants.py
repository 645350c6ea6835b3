"""Checks of the queue: any order of operations by several clients, one full lifecycle, and the status stream."""

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
from mock_fal_contracts.server import invariants
from mock_fal_contracts.server.context import Context
from mock_fal_contracts.server.http_client import HttpClient
from mock_fal_contracts.server.request_tracker import (
    QUEUE,
    STATES,
    VALID_INPUT,
    RequestTracker,
    TrackedRequest,
)

# Inputs that the queue accepts and the model rejects.
_INVALID_INPUTS: list[dict[str, Any]] = [
    {},
    {"prompt": 5},
    {"prompt": "a", "num_images": 99},
    {"prompt": "a", "num_inference_steps": 28},
    {"prompt": "a", "image_size": "huge"},
]

# The maximum number of operations in one run of the state machine.
_STEPS = 25


def any_order(context: Context) -> None:
    """Several clients submit, poll, collect and cancel in any order."""

    # Hypothesis orders rules and arguments by name: to rename one changes the runs that a seed generates.
    class Machine(RuleBasedStateMachine):
        def __init__(self) -> None:
            super().__init__()
            self.tracker = RequestTracker(context)
            self.stack = ExitStack()
            first, second = context.keys(2)
            # Two connections share a key, and so each sees the other's requests.
            self.clients = [
                self.stack.enter_context(context.http_client(key)) for key in (first, first, second)
            ]
            self.owners: dict[TrackedRequest, int] = {}

        def teardown(self) -> None:
            self.stack.close()

        def pick(self, client: int, number: int) -> tuple[HttpClient, TrackedRequest]:
            """Any request, and a client with the same key."""
            request = self.tracker.requests[number % len(self.tracker.requests)]
            owner = self.owners[request]
            http_client = self.clients[2 if owner == 2 else client % 2]
            return http_client, request

        @rule(client=st.integers(0, 2), bad_input=st.none() | st.sampled_from(_INVALID_INPUTS))
        def submit(self, client: int, bad_input: dict[str, Any] | None) -> None:
            document = VALID_INPUT if bad_input is None else bad_input
            request = self.tracker.submit(self.clients[client], document, valid=bad_input is None)
            self.owners[request] = client

        @precondition(lambda self: self.tracker.requests)
        @rule(client=st.integers(0, 1), number=st.integers(0, 9), logs=st.booleans())
        def poll(self, client: int, number: int, logs: bool) -> None:
            http_client, request = self.pick(client, number)
            self.tracker.poll(http_client, request, logs=logs)

        @precondition(lambda self: self.tracker.requests)
        @rule(client=st.integers(0, 1), number=st.integers(0, 9))
        def collect(self, client: int, number: int) -> None:
            self.tracker.collect(*self.pick(client, number))

        @precondition(lambda self: self.tracker.requests)
        @rule(client=st.integers(0, 1), number=st.integers(0, 9))
        def cancel(self, client: int, number: int) -> None:
            self.tracker.cancel(*self.pick(client, number))

        @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 3.0]))
        def wait(self, seconds: float) -> None:
            self.tracker.advance_time(seconds)

    hypothesis.seed(context.seed)(Machine)
    run_state_machine_as_test(Machine, settings=_settings(context, stateful_step_count=_STEPS))


def full_lifecycle(context: Context) -> None:
    """One request from its submission to its result; afterwards a cancellation is rejected."""
    context.budget.reserve()
    with context.http_client() as client:
        tracker = RequestTracker(context)
        request = tracker.submit(client, VALID_INPUT)
        tracker.poll(client, request)
        tracker.collect(client, request)
        tracker.finish(client, request, logs=True)
        tracker.poll(client, request, logs=True)
        tracker.collect(client, request)
        tracker.collect(client, request)
        tracker.cancel(client, request)
        tracker.poll(client, request)


def invalid_input(context: Context) -> None:
    """The queue accepts inputs that don't match the schema, and they are not billed.

    fal may bill other model errors (fal's FAQ, 2026), so they are not tried on the live service.
    """
    with context.http_client() as client:
        tracker = RequestTracker(context)
        for document in _INVALID_INPUTS[:2] if context.budget.is_limited else _INVALID_INPUTS:
            request = tracker.submit(client, document, valid=False)
            tracker.finish(client, request)
            tracker.collect(client, request)


def cancelled_in_queue(context: Context) -> None:
    """A request that is cancelled before a runner starts it; it is billed if the runner is sooner."""
    context.budget.reserve()
    with context.http_client() as client:
        tracker = RequestTracker(context)
        request = tracker.submit(client, VALID_INPUT)
        if tracker.cancel(client, request) == 200:
            context.budget.release()
            tracker.poll(client, request)
            tracker.collect(client, request)
        tracker.finish(client, request)


def queue_order(context: Context) -> None:
    """Several requests are queued and one of them is cancelled; positions never increase."""
    if context.budget.is_limited:
        context.budget.reserve(4)
    with context.http_client() as client:
        tracker = RequestTracker(context)
        requests = [tracker.submit(client, VALID_INPUT) for _ in range(4)]
        tracker.cancel(client, requests[1])
        for request in requests:
            for other in requests:
                tracker.poll(client, other)
            tracker.finish(client, request, logs=True)
            tracker.collect(client, request)


def status_stream(context: Context) -> None:
    """The status stream of a request that another client polls at the same time."""
    context.budget.reserve()
    with context.http_client() as client, context.http_client(client.key) as stream_client:
        tracker = RequestTracker(context)
        request = tracker.submit(client, VALID_INPUT)
        responses: list[Exchange] = []
        path = f"{request.path}/status/stream"
        reader = Thread(
            target=lambda: responses.append(stream_client.send("GET", QUEUE, path, query={"logs": "1"})),
            daemon=True,
        )
        reader.start()
        reader.join(0.1)  # the stream is open before time advances
        tracker.finish(client, request, logs=True)
        last_status = request.history[-1].output
        for _ in context.polls():
            reader.join(0.2)
            if not reader.is_alive():
                break
        context.findings.expect(
            invariants.STREAM,
            bool(responses),
            "the stream did not end after COMPLETED",
            *request.history[-1:],
        )
        if responses:
            _compare_with_polling(context, request, responses[0], last_status)
        tracker.collect(client, request)


def _compare_with_polling(
    context: Context, request: TrackedRequest, stream: Exchange, last_status: Any
) -> None:
    findings = context.findings
    content_type = (stream.response_header("content-type") or "").partition(";")[0]
    events = _events(stream.response_body)
    findings.expect(
        invariants.STREAM,
        stream.status == 200 and content_type == "text/event-stream" and bool(events),
        f"status {stream.status}, content type {content_type!r}, {len(events)} events; "
        "expected 200, text/event-stream and an event for each state",
        stream,
    )
    states = [STATES.index(event["status"]) for event in events if event.get("status") in STATES]
    findings.expect(
        invariants.STREAM,
        len(states) == len(events)
        and states == sorted(states)
        and states[-1:] == [2]
        and states.count(2) == 1,
        f"the stream sent {[event.get('status') for event in events]}; "
        "expected states that never move back, with COMPLETED once, at the end",
        stream,
    )
    findings.expect(
        invariants.STREAM,
        _without_logs(events[-1]) == _without_logs(last_status),
        f"the last event is {_without_logs(events[-1])}, and the last poll {_without_logs(last_status)}",
        stream,
        request.history[-1],
    )
    # fal: it is unknown whether an event has all lines so far or only the new ones; the JavaScript client joins them.
    logs = [event.get("logs") or [] for event in events]
    findings.expect(
        invariants.STREAM,
        request.logs in (logs[-1], [line for lines in logs for line in lines]),
        f"the stream has {sum(map(len, logs))} log lines, and polling {len(request.logs)}; expected the same",
        stream,
        request.history[-1],
    )


def _without_logs(event: Any) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "logs"}


def _events(body: bytes) -> list[dict[str, Any]]:
    events = []
    for line in body.decode("utf-8", "replace").splitlines():
        if line.startswith("data:"):
            try:
                event = json.loads(line.removeprefix("data:"))
            except ValueError:
                event = {"status": line}
            events.append(event if isinstance(event, dict) else {"status": line})
    return events


def _settings(context: Context, **more: Any) -> settings:
    return settings(
        max_examples=context.examples,
        database=None,
        deadline=None,
        derandomize=False,
        print_blob=False,
        # No shrinking: it takes minutes, and a violation shows the last few exchanges anyway.
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        **more,
    )
