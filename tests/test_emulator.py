from __future__ import annotations

import json
import math
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mock_fal.clock import EPOCH, AutoAdvanceClock, ManualClock
from mock_fal.emulation.emulator import Cancellation, Emulator
from mock_fal.emulation.options import SubmitOptions
from mock_fal.endpoint import EndpointId
from mock_fal.errors import (
    JSON,
    MODEL_ERRORS,
    REQUEST_ERRORS,
    AlreadyCompleted,
    ApplicationNotFound,
    InvalidDirective,
    QueueFull,
    RequestNotFound,
    ScenarioError,
    StillInProgress,
)
from mock_fal.journal.exchanges import Exchange
from mock_fal.journal.memory import RESERVED_SHARE
from mock_fal.requests.lifecycle import REJECTION_S, Completed, Ending, Queued, Running
from mock_fal.requests.outcome import RequestFailure, RunnerResponse, media_files, model_error
from mock_fal.requests.queue import ModelRequest
from mock_fal.requests.view import View
from mock_fal.settings import Settings
from mock_fal.webhooks.payload import Webhook
from tests.strategies import bodies, deadlines, spans

DEV = EndpointId.parse("fal-ai/flux/dev")
SCHNELL = EndpointId.parse("fal-ai/flux/schnell")
A_CAT = b'{"prompt":"a cat"}'


class Fal:
    """An emulator with its clock, and helpers for tests."""

    def __init__(self, *, auto_advance: bool = False, **settings: object) -> None:
        self.clock = AutoAdvanceClock() if auto_advance else ManualClock()
        spans: dict[str, object] = {"queue_duration": 2.0, "run_duration": 8.0}
        self.emulator = Emulator(Settings(**(spans | settings)), self.clock)  # type: ignore[arg-type]

    def submit(
        self, prompt: str = "a cat", tenant: str = "alice", endpoint: EndpointId = DEV, **options: object
    ) -> ModelRequest:
        body = json.dumps({"prompt": prompt}).encode()
        return self.emulator.submit(endpoint, body, tenant, SubmitOptions()._replace(**options))  # type: ignore[arg-type]

    def run(self, prompt: str = "a cat") -> ModelRequest:
        return self.emulator.run(DEV, json.dumps({"prompt": prompt}).encode(), "alice")

    def result(self, request: ModelRequest) -> RunnerResponse | RequestFailure:
        """Advance to the end of the request and return its result."""
        self.clock.advance(max(0.0, request.schedule.ends_at - self.clock.now()))
        return self.emulator.result(request)

    def statuses(self, *requests: ModelRequest) -> list[object]:
        return [self.emulator.read(request).status for request in requests]


@pytest.fixture
def fal() -> Fal:
    return Fal()


@pytest.fixture
def busy() -> Fal:
    """An emulator with one runner."""
    return Fal(runners=1, queue_duration=0.0, run_duration=10.0)


def response(outcome: RunnerResponse | RequestFailure) -> RunnerResponse:
    assert isinstance(outcome, RunnerResponse)
    return outcome


# -- the queue


def test_a_request_waits_then_runs_then_is_completed(fal: Fal) -> None:
    request = fal.submit()
    assert fal.statuses(request) == [Queued(0)]
    fal.clock.advance(2)
    assert fal.statuses(request) == [Running()]
    fal.clock.advance(8)
    assert fal.statuses(request) == [Completed(8.0, Ending.RESPONDED)]
    assert response(fal.emulator.result(request)).status == 200


@pytest.mark.parametrize("auto_advance", [False, True])
@pytest.mark.parametrize(("queue_s", "run_s"), [(0.0, 0.0), (0.0, 8.0), (2.0, 0.0), (0.0, 1e-9)])
@pytest.mark.parametrize("prompt", ["a cat", "[mock: error=internal_error]", "[mock: queue=0 run=0]"])
def test_a_submission_is_never_completed_when_it_is_answered(
    queue_s: float, run_s: float, prompt: str, auto_advance: bool
) -> None:
    fal = Fal(queue_duration=queue_s, run_duration=run_s, auto_advance=auto_advance)
    request = fal.submit(prompt)
    fal.clock.advance(60)  # the answer was slow
    submitted = fal.emulator.submitted(request)
    assert isinstance(submitted.status, Queued | Running)
    assert submitted.failure is None
    assert isinstance(fal.emulator.read(request).status, Completed)


def test_a_submission_that_expires_at_once_was_queued(busy: Fal) -> None:
    busy.submit()
    request = busy.submit(start_timeout_s=0.0)
    assert busy.emulator.submitted(request).status == Queued(0)
    assert busy.statuses(request) == [Completed(None, Ending.TIMED_OUT)]


def test_without_a_limit_requests_do_not_wait_for_each_other(fal: Fal) -> None:
    requests = [fal.submit() for _ in range(3)]
    assert fal.statuses(*requests) == [Queued(0), Queued(1), Queued(2)]
    fal.clock.advance(2)
    assert fal.statuses(*requests) == [Running()] * 3


def test_one_runner_takes_one_request_after_the_other(busy: Fal) -> None:
    requests = [busy.submit() for _ in range(3)]
    assert busy.statuses(*requests) == [Running(), Queued(0), Queued(1)]
    busy.clock.advance(10)
    assert busy.statuses(*requests) == [Completed(10.0, Ending.RESPONDED), Running(), Queued(0)]


def test_a_direct_request_does_not_wait(fal: Fal) -> None:
    request = fal.run()
    assert fal.statuses(request) == [Running()]
    assert request.schedule.ends_at == EPOCH + 8


def test_apps_do_not_wait_for_each_other(busy: Fal) -> None:
    requests = busy.submit(), busy.submit(endpoint=EndpointId.parse("fal-ai/flux-1/dev"))
    assert busy.statuses(*requests) == [Running(), Running()]


def test_endpoints_of_one_app_share_its_runners(busy: Fal) -> None:
    assert busy.statuses(busy.submit(), busy.submit(endpoint=SCHNELL)) == [Running(), Queued(0)]


def test_low_priority_waits_behind_normal(busy: Fal) -> None:
    _, low, normal = busy.submit(), busy.submit(low_priority=True), busy.submit()
    assert busy.statuses(low, normal) == [Queued(1), Queued(0)]
    busy.clock.advance(10)
    assert busy.statuses(low, normal) == [Queued(0), Running()]
    busy.clock.advance(10)
    assert busy.statuses(low) == [Running()]


def test_a_start_exactly_at_the_deadline_is_in_time(busy: Fal) -> None:
    busy.submit()
    request = busy.submit(start_timeout_s=10.0)
    busy.clock.advance(10)
    assert busy.statuses(request) == [Running()]


def test_a_request_times_out_at_its_start_deadline(busy: Fal) -> None:
    busy.submit()
    request = busy.submit(start_timeout_s=9.75)
    busy.clock.advance(9.5)
    assert busy.statuses(request) == [Queued(0)]
    busy.clock.advance(0.25)
    failure = RequestFailure("request_timeout", by_user=True)
    assert busy.emulator.read(request) == View(request, Completed(None, Ending.TIMED_OUT), [], failure)
    assert busy.emulator.result(request) == failure


def test_the_queue_has_no_maximum_length_by_default(busy: Fal) -> None:
    assert len([busy.submit() for _ in range(50)]) == 50


def test_a_submission_may_set_a_maximum_queue_length(busy: Fal) -> None:
    requests = [busy.submit(max_queue_length=1) for _ in range(3)]  # one runs, two wait
    with pytest.raises(QueueFull):
        busy.submit(max_queue_length=1)
    assert list(busy.emulator.store.requests.values()) == requests


def test_an_unknown_app_is_rejected_at_submission(fal: Fal) -> None:
    with pytest.raises(ApplicationNotFound, match='Application "fluxx" not found'):
        fal.submit(endpoint=EndpointId.parse("fal-ai/fluxx/dev"))
    assert not fal.emulator.store.requests


def test_an_unknown_path_of_an_app_is_rejected_by_the_runner(fal: Fal) -> None:
    request = fal.submit(endpoint=EndpointId.parse("fal-ai/flux/nope"))
    assert fal.statuses(request) == [Queued(0)]
    assert fal.result(request) == RunnerResponse(404, {"detail": "Path /nope not found"}, billable_units=0)


def test_a_webhook_is_due_at_the_end_of_its_request(fal: Fal) -> None:
    request = fal.submit(webhook=Webhook("http://127.0.0.1/hook", "https://v3b.fal.media"))
    assert fal.emulator.due_deliveries() == []
    fal.clock.advance(10)
    assert [delivery.request for delivery in fal.emulator.due_deliveries()] == [request]


def test_a_cancelled_request_sends_no_webhook(fal: Fal) -> None:
    request = fal.submit(webhook=Webhook("http://127.0.0.1/hook", "https://v3b.fal.media"))
    fal.emulator.cancel(request)
    assert fal.emulator.outbox.deliveries == fal.emulator.due_deliveries() == []


def test_a_webhook_is_due_earlier_after_a_client_ahead_disconnects(busy: Fal) -> None:
    direct = busy.run()
    queued = busy.submit(webhook=Webhook("http://127.0.0.1/hook", "https://v3b.fal.media"))
    busy.emulator.abandon(direct)
    assert busy.emulator.result(direct) == RequestFailure("client_disconnected")
    busy.clock.advance(10)
    assert [delivery.request for delivery in busy.emulator.due_deliveries()] == [queued]


def test_a_webhook_of_an_overtaken_request_is_due_later(busy: Fal) -> None:
    hook = Webhook("http://127.0.0.1/hook", "https://v3b.fal.media")
    busy.submit()
    low = busy.submit(webhook=hook, low_priority=True)
    busy.submit()
    busy.clock.advance(20)
    assert busy.emulator.due_deliveries() == []
    busy.clock.advance(10)
    assert [delivery.request for delivery in busy.emulator.due_deliveries()] == [low]


def test_a_request_whose_webhook_cannot_be_stored_is_rejected() -> None:
    fal, hook = Fal(retention=1), Webhook("http://127.0.0.1/hook", "https://v3b.fal.media")
    stored = fal.submit(webhook=hook)
    fal.clock.advance(10)
    with pytest.raises(QueueFull):
        fal.submit(webhook=hook)
    assert list(fal.emulator.store.requests.values()) == [stored]


# -- results


def test_the_result_is_not_available_before_the_end(fal: Fal) -> None:
    request = fal.submit()
    with pytest.raises(StillInProgress):
        fal.emulator.result(request)
    fal.clock.advance(9.75)
    with pytest.raises(StillInProgress):
        fal.emulator.result(request)
    assert not fal.emulator.is_done(request)
    fal.clock.advance(0.25)
    assert fal.emulator.is_done(request)
    assert response(fal.emulator.result(request)).body["prompt"] == "a cat"


def test_an_invalid_input_is_accepted_and_fails_when_it_runs(fal: Fal) -> None:
    request = fal.emulator.submit(DEV, b"{}", "alice")
    assert fal.statuses(request) == [Queued(0)]
    fal.clock.advance(2 + REJECTION_S)
    view = fal.emulator.read(request)
    assert isinstance(view.status, Completed) and view.status.inference_s is not None
    assert view.status.inference_s == pytest.approx(REJECTION_S, abs=1e-6)
    assert (view.failure, view.logs) == (None, [])
    assert response(fal.emulator.result(request)).status == 422


def test_a_rejection_never_takes_longer_than_a_run() -> None:
    request = Fal(run_duration=0.001).emulator.submit(DEV, b"{}", "alice")
    assert request.submission.run_duration == 0.001


def test_every_file_of_a_result_is_stored_by_its_path(fal: Fal) -> None:
    request = fal.emulator.submit(SCHNELL, b'{"prompt":"a cat","num_images":3}', "alice")
    pictures = list(media_files(response(fal.result(request)).body))
    stored = [result.file for result in fal.emulator.store.files.values()]
    assert stored == pictures == request.files
    assert len({picture.path for picture in pictures}) == 3


@pytest.mark.parametrize(("format", "extension"), [("jpeg", ".jpg"), ("png", ".png")])
def test_a_file_has_the_extension_of_its_format(fal: Fal, format: str, extension: str) -> None:
    request = fal.emulator.submit(
        SCHNELL, json.dumps({"prompt": "", "output_format": format}).encode(), "alice"
    )
    assert request.files[0].path.startswith("/files/b/")
    assert request.files[0].path.endswith(extension)


def test_an_inline_picture_is_not_stored_as_a_file(fal: Fal) -> None:
    request = fal.emulator.submit(SCHNELL, b'{"prompt":"a cat","sync_mode":true}', "alice")
    assert [picture.inline for picture in media_files(response(fal.result(request)).body)] == [True]
    assert not fal.emulator.store.files


def test_a_run_repeats_with_the_same_seed() -> None:
    def a_run() -> list[JSON]:
        fal = Fal(seed=7)
        requests = [fal.submit("a cat"), fal.submit("a dog"), fal.submit("a cat"), fal.run()]
        return [(request.id, response(fal.result(request)).body) for request in requests]

    assert a_run() == a_run()


def test_a_seed_depends_on_the_input_and_the_number_of_its_uses() -> None:
    def seeds(fal: Fal, *prompts: str) -> list[int]:
        return [response(fal.result(fal.submit(prompt))).body["seed"] for prompt in prompts]

    cat, dog, second_cat = seeds(Fal(), "a cat", "a dog", "a cat")
    assert len({cat, dog, second_cat}) == 3
    assert seeds(Fal(), "a cat", "a cat", "a dog") == [cat, second_cat, dog]


@settings(max_examples=150)
@given(bodies(), st.sampled_from([DEV, SCHNELL]))
def test_any_body_gets_a_response(body: bytes, endpoint: EndpointId) -> None:
    fal = Fal()
    assert response(fal.result(fal.emulator.submit(endpoint, body, "alice"))).status in (200, 400, 422)


# -- finding a request


def test_a_request_is_found_under_its_app_and_key_or_without_a_key(fal: Fal) -> None:
    request = fal.submit()
    assert fal.emulator.find("fal-ai/flux", request.id, "alice") is request
    assert fal.emulator.find("fal-ai/flux", request.id, None) is request


@pytest.mark.parametrize(("app_id", "tenant"), [("fal-ai/flux-1", "alice"), ("fal-ai/flux", "bob")])
def test_a_request_of_another_app_or_key_looks_unknown(fal: Fal, app_id: str, tenant: str) -> None:
    with pytest.raises(RequestNotFound):
        fal.emulator.find(app_id, fal.submit().id, tenant)


def test_an_id_without_a_submission_is_unknown(fal: Fal) -> None:
    with pytest.raises(RequestNotFound):
        fal.emulator.find("fal-ai/flux", fal.emulator.new_request_id("alice"), "alice")


# -- cancellation


def test_cancelling_a_waiting_request_removes_it(fal: Fal) -> None:
    request = fal.submit()
    assert fal.emulator.cancel(request) is Cancellation.REMOVED
    assert fal.statuses(request) == [Completed(None, Ending.CANCELLED)]
    assert fal.emulator.result(request) == RequestFailure("client_cancelled")


def test_cancelling_a_running_request_does_not_stop_it_by_default(fal: Fal) -> None:
    request = fal.run()
    assert fal.emulator.cancel(request) is Cancellation.REQUESTED
    assert fal.statuses(request) == [Running()]
    assert response(fal.result(request)).status == 200


def test_a_runner_that_honours_a_cancellation_stops(fal: Fal) -> None:
    request = fal.run("a cat [mock: cancel=honoured]")
    fal.clock.advance(3)
    assert fal.emulator.cancel(request) is Cancellation.REQUESTED
    assert fal.statuses(request) == [Completed(3.0, Ending.STOPPED)]
    assert fal.emulator.result(request) == RunnerResponse(499, {"detail": "Request cancelled"})


@pytest.mark.parametrize("directive", ["", "[mock: error=runner_disconnected]"])
def test_a_completed_request_cannot_be_cancelled(fal: Fal, directive: str) -> None:
    request = fal.submit(directive)
    outcome = fal.result(request)
    with pytest.raises(AlreadyCompleted):
        fal.emulator.cancel(request)
    assert fal.emulator.result(request) == outcome


def test_a_cancelled_request_cannot_be_cancelled_again(fal: Fal) -> None:
    request = fal.submit()
    fal.emulator.cancel(request)
    with pytest.raises(AlreadyCompleted):
        fal.emulator.cancel(request)


def test_after_a_cancellation_the_next_request_starts_earlier(busy: Fal) -> None:
    _, second, third = (busy.submit() for _ in range(3))
    busy.emulator.cancel(second)
    assert busy.statuses(third) == [Queued(0)]
    busy.clock.advance(10)
    assert busy.statuses(third) == [Running()]


# -- polling


def test_a_video_takes_longer_than_a_picture_and_logs_frames(fal: Fal) -> None:
    video = EndpointId.parse("fal-ai/veo3")
    request = fal.submit(endpoint=video)
    assert request.schedule.run_duration == 5 * fal.submit().schedule.run_duration
    assert fal.submit("a cat [mock: run=1]", endpoint=video).schedule.run_duration == 1
    fal.result(request)
    messages = [line.message for line in fal.emulator.poll(request).logs]
    assert messages[-1].startswith("Frames: 100%|██████████| ")


def test_a_text_model_logs_nothing_unless_a_directive_asks_for_lines(fal: Fal) -> None:
    llm = EndpointId.parse("fal-ai/any-llm")
    quiet, loud = fal.submit(endpoint=llm), fal.submit("a cat [mock: logs=2]", endpoint=llm)
    fal.clock.advance(20)
    assert [len(fal.emulator.poll(request).logs) for request in (quiet, loud)] == [0, 2]


def test_a_poll_returns_the_logs_so_far(fal: Fal) -> None:
    request = fal.submit(endpoint=SCHNELL)
    fal.clock.advance(6)
    assert [line.at for line in fal.emulator.poll(request).logs] == [EPOCH + 4, EPOCH + 6]
    assert fal.emulator.poll(request, with_logs=False).logs == []


def test_three_polls_on_an_auto_advance_clock_see_the_three_states() -> None:
    fal = Fal(auto_advance=True)
    request = fal.submit()
    assert [type(fal.emulator.poll(request).status) for _ in range(4)] == [
        Queued,
        Running,
        Completed,
        Completed,
    ]


def test_requesting_the_result_counts_as_a_poll() -> None:
    fal = Fal(auto_advance=True)
    request = fal.submit()
    with pytest.raises(StillInProgress):
        fal.emulator.result(request)
    with pytest.raises(StillInProgress):
        fal.emulator.result(request)
    assert response(fal.emulator.result(request)).status == 200


def test_a_read_does_not_move_an_auto_advance_clock() -> None:
    fal = Fal(auto_advance=True)
    request = fal.submit()
    assert fal.statuses(request, request) == [Queued(0), Queued(0)]


def test_a_view_knows_when_the_request_is_completed(fal: Fal) -> None:
    request = fal.submit()
    assert not fal.emulator.read(request).is_completed
    fal.clock.advance(10)
    assert fal.emulator.read(request).is_completed


def test_a_waiting_request_may_change_when_another_leaves_the_queue(busy: Fal) -> None:
    _, second, third = (busy.submit() for _ in range(3))
    assert third.schedule.starts_at == EPOCH + 20
    assert busy.emulator.next_change_at(third) == second.schedule.starts_at == EPOCH + 10


def test_a_running_request_changes_at_each_log_line_and_at_the_end(fal: Fal) -> None:
    request = fal.emulator.run(SCHNELL, A_CAT, "alice")
    assert fal.emulator.next_change_at(request) == EPOCH + 2
    fal.clock.advance(6)
    assert fal.emulator.next_change_at(request) == EPOCH + 8
    fal.clock.advance(2)
    assert fal.emulator.next_change_at(request) == math.inf


# -- rules and directives


@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_a_directive_injects_any_model_error(fal: Fal, error_type: str) -> None:
    request = fal.submit(f"a cat [mock: error={error_type}]")
    assert fal.result(request) == model_error(error_type)
    assert fal.emulator.read(request).failure is None


@pytest.mark.parametrize("error_type", sorted(set(REQUEST_ERRORS) - {"concurrent_requests_limit"}))
def test_a_directive_injects_any_request_error(fal: Fal, error_type: str) -> None:
    request = fal.submit(f"a cat [mock: error={error_type}]")
    assert fal.emulator.read(request).failure is None
    assert fal.result(request) == fal.emulator.read(request).failure == RequestFailure(error_type)


def test_a_directive_injects_the_concurrency_error_into_direct_requests_only(fal: Fal) -> None:
    directive = "[mock: error=concurrent_requests_limit]"
    assert fal.result(fal.run(directive)) == RequestFailure("concurrent_requests_limit")
    assert response(fal.result(fal.submit(directive))).status == 200


def test_a_directive_sets_the_durations(fal: Fal) -> None:
    request = fal.submit("a cat [mock: queue=0.5 run=20]")
    assert (request.schedule.starts_at, request.schedule.ends_at) == (EPOCH + 0.5, EPOCH + 20.5)


def test_a_directive_sets_the_duration_of_an_error(fal: Fal) -> None:
    assert fal.submit("[mock: error=generation_timeout run=20]").submission.run_duration == 20
    assert fal.submit("[mock: error=generation_timeout]").submission.run_duration == REJECTION_S


def test_a_directive_may_queue_a_direct_request(fal: Fal) -> None:
    assert fal.run("[mock: queue=3]").schedule.starts_at == EPOCH + 3


def test_a_directive_marks_a_picture_as_nsfw(fal: Fal) -> None:
    assert response(fal.result(fal.submit("[mock: nsfw]"))).body["has_nsfw_concepts"] == [True]


def test_a_mistyped_directive_is_rejected_at_submission(fal: Fal) -> None:
    with pytest.raises(
        InvalidDirective, match="^mock-fal: column 14: unknown option 'rum'; did you mean 'run'?"
    ):
        fal.submit("a cat [mock: rum=5]")
    assert not fal.emulator.store.requests


def test_the_prompt_overrides_the_header_and_the_header_overrides_a_rule(fal: Fal) -> None:
    fal.emulator.store.tenant("alice").scenario.add("queue=1 run=1 nsfw")
    submission = fal.submit("[mock: run=3]", directive="queue=2 run=2").submission
    assert (submission.queue_duration, submission.run_duration) == (2, 3)


def test_a_directive_may_be_in_the_header_only(fal: Fal) -> None:
    assert fal.submit(directive="run=5").submission.run_duration == 5
    with pytest.raises(InvalidDirective):
        fal.submit(directive="rum=5")


def test_a_rule_of_a_tenant_applies_to_that_tenant_only(fal: Fal) -> None:
    fal.emulator.store.tenant("alice").scenario.add("run=1")
    assert [fal.submit(tenant=name).submission.run_duration for name in ("alice", "bob")] == [1, 8]


def test_a_rule_of_a_tenant_overrides_a_global_rule(fal: Fal) -> None:
    fal.emulator.scenario.add("run=1")
    fal.emulator.store.tenant("alice").scenario.add("queue=1", times=1)
    assert [fal.submit(tenant=name).submission.run_duration for name in ("alice", "alice", "bob")] == [
        8,
        1,
        1,
    ]


def test_a_body_that_is_not_json_holds_no_directive(fal: Fal) -> None:
    request = fal.emulator.submit(DEV, b'{"prompt":"[mock: rum=5]"', "alice")
    assert response(fal.result(request)).status == 422
    nested = fal.emulator.submit(DEV, b'"[mock: rum=5]"' + b"[" * 100_000, "alice")
    assert response(fal.result(nested)).status == 422


def test_an_invalid_rule_raises_to_the_test(fal: Fal) -> None:
    with pytest.raises(ScenarioError):
        fal.emulator.scenario.add("rum=5")


# -- the journal, resets and retention


def test_record_adds_an_exchange_to_the_journal(fal: Fal) -> None:
    exchange = Exchange(EPOCH, "alice", "GET", "fal.run", "/", "", b"", b"", 404, b"")
    fal.emulator.record(exchange)
    assert list(fal.emulator.store.exchanges) == [exchange]


def test_resetting_one_tenant_keeps_the_others_and_the_global_rules(fal: Fal) -> None:
    fal.emulator.scenario.add("run=1")
    fal.submit()
    bobs = fal.submit(tenant="bob")
    fal.emulator.reset("alice")
    assert list(fal.emulator.store.requests.values()) == [bobs]
    assert fal.submit().submission.run_duration == 1


def test_resetting_all_tenants_removes_everything(fal: Fal) -> None:
    fal.emulator.scenario.add("run=1")
    first = fal.submit()
    fal.emulator.reset()
    assert not fal.emulator.store.requests
    again = fal.submit()
    assert (again.id, again.submission.run_duration) == (first.id, 8)


def test_a_store_full_of_requests_in_flight_rejects_new_ones() -> None:
    fal = Fal(retention=3)
    stored = [fal.submit() for _ in range(3)]
    with pytest.raises(QueueFull):
        fal.submit()
    assert list(fal.emulator.store.requests.values()) == stored
    fal.clock.advance(10)
    assert [response(fal.emulator.result(request)).status for request in stored] == [200] * 3
    fal.submit()
    assert stored[0].id not in fal.emulator.store.requests


# -- any operations in any order


STAGES = [Queued, Running, Completed]


class Call(NamedTuple):
    """A submission or a direct request."""

    options: SubmitOptions
    direct: bool


def calls() -> st.SearchStrategy[Call]:
    """Calls with short durations, so that many things happen at the same moment."""
    directives = st.builds(
        "queue={} run={} cancel={}".format, spans(3), spans(3), st.sampled_from(["honoured", "ignored"])
    )
    options = st.builds(
        SubmitOptions, low_priority=st.booleans(), start_timeout_s=deadlines(), directive=directives
    )
    return st.builds(Call, options, st.booleans())


class Queue(RuleBasedStateMachine):
    """Clients submit, cancel and poll while time passes."""

    @initialize(runners=st.integers(0, 3), retention=st.sampled_from([2, 5, 100]), first=calls())
    def open(self, runners: int, retention: int, first: Call) -> None:
        self.runners, self.retention = runners, retention
        self.fal = Fal(runners=runners, retention=retention)
        self.submitted: list[ModelRequest] = []
        self.seen: dict[str, View] = {}
        self.submit(first)

    @rule(call=calls())
    def one_submits(self, call: Call) -> None:
        self.submit(call)

    @rule(several=st.lists(calls(), min_size=2, max_size=6))
    def several_submit(self, several: list[Call]) -> None:
        for call in several:
            self.submit(call)

    @rule(data=st.data())
    def one_cancels(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.submitted))
        before = self.view(request).status
        try:
            cancellation = self.fal.emulator.cancel(request)
        except AlreadyCompleted:
            assert isinstance(before, Completed)
        else:
            assert isinstance(before, Queued if cancellation is Cancellation.REMOVED else Running)

    @rule(seconds=spans(3))
    def time_passes(self, seconds: float) -> None:
        self.fal.clock.advance(seconds)

    @rule()
    def time_passes_to_the_next_change(self) -> None:
        moment = min(
            (self.fal.emulator.next_change_at(request) for request in self.in_flight()), default=math.inf
        )
        assert moment > self.fal.clock.now()
        self.fal.clock.advance(moment - self.fal.clock.now() if moment < math.inf else 0.0)

    @invariant()
    def no_request_moves_back(self) -> None:
        views = {request.id: self.fal.emulator.read(request) for request in self.submitted}
        pairs = [(self.seen[id], view) for id, view in views.items() if id in self.seen]
        self.seen = views
        assert all(STAGES.index(type(old.status)) <= STAGES.index(type(new.status)) for old, new in pairs)
        assert all(old.status == new.status for old, new in pairs if isinstance(old.status, Completed))
        assert all(new.logs[: len(old.logs)] == old.logs for old, new in pairs)
        assert all(
            new.status.position <= old.status.position
            for old, new in pairs
            if isinstance(old.status, Queued) and isinstance(new.status, Queued)
            if not old.request.submission.low_priority
        )

    @invariant()
    def the_position_is_the_number_of_requests_ahead(self) -> None:
        waiting = self.at_stage(Queued)
        assert all(
            self.view(request).status == Queued(sum(self.is_ahead(other, request) for other in waiting))
            for request in waiting
        )

    @invariant()
    def every_runner_is_busy_while_requests_are_ready(self) -> None:
        running = len(self.at_stage(Running))
        ready = [
            request
            for request in self.at_stage(Queued)
            if request.submission.ready_at <= self.fal.clock.now()
        ]
        assert not self.runners or running <= self.runners
        assert not ready or running == self.runners

    @invariant()
    def no_low_priority_request_starts_before_a_normal_one_that_is_ready(self) -> None:
        now = self.fal.clock.now()
        normal = [request for request in self.at_stage(Queued) if not request.submission.low_priority]
        low = [request for request in self.at_stage(Queued) if request.submission.low_priority]
        assert not self.runners or all(
            first.schedule.starts_at <= last.schedule.starts_at
            for first in normal
            for last in low
            if first.schedule.starts_at < math.inf
            if first.submission.ready_at <= max(now, last.submission.ready_at)
        )

    @invariant()
    def the_normal_request_submitted_and_ready_first_starts_first(self) -> None:
        started = [
            request
            for request in self.submitted
            if request.schedule.starts_at < math.inf and not request.submission.low_priority
        ]
        assert all(
            first.schedule.starts_at <= second.schedule.starts_at
            for place, first in enumerate(started)
            for second in started[place:]
            if first.submission.ready_at <= second.submission.ready_at
        )

    @invariant()
    def nothing_starts_before_it_is_ready(self) -> None:
        assert all(request.schedule.starts_at >= request.submission.ready_at for request in self.submitted)

    @invariant()
    def no_request_waits_past_its_deadline(self) -> None:
        now = self.fal.clock.now()
        assert all(
            now < request.submission.queued_at + request.submission.start_timeout_s
            or now == request.schedule.starts_at
            for request in self.at_stage(Queued)
        )

    @invariant()
    def no_request_in_flight_is_removed(self) -> None:
        stored = self.fal.emulator.store.requests
        assert all(stored[request.id] is request for request in self.in_flight())
        assert len(stored) == min(self.retention, len(self.submitted))

    @invariant()
    def as_many_requests_as_possible_are_stored(self) -> None:
        removed = [
            request.id for request in self.submitted if request.id not in self.fal.emulator.store.requests
        ]
        assert len(removed) == max(0, len(self.submitted) - self.retention)

    @invariant()
    def every_request_has_its_own_id(self) -> None:
        ids = [request.id for request in self.submitted]
        assert ids == sorted(set(ids))

    def teardown(self) -> None:
        """Every request ends, at the latest after the durations of all requests."""
        if not hasattr(self, "fal"):
            return
        total = sum(
            request.submission.queue_duration + request.submission.run_duration for request in self.submitted
        )
        self.fal.clock.advance(total)
        assert not self.in_flight()
        assert all(self.fal.emulator.result(request) for request in self.submitted)

    def submit(self, call: Call) -> None:
        """Submit a request. It is rejected if and only if the key's share of the places is in flight."""
        operation = self.fal.emulator.run if call.direct else self.fal.emulator.submit
        in_flight, places = len(self.in_flight()), self.retention - self.retention // RESERVED_SHARE
        try:
            self.submitted.append(operation(SCHNELL, A_CAT, "alice", call.options))
        except QueueFull:
            assert in_flight == places
        else:
            assert in_flight < places

    def view(self, request: ModelRequest) -> View:
        return self.fal.emulator.read(request, with_logs=False)

    def at_stage(self, stage: type) -> list[ModelRequest]:
        """The requests that are now at one stage."""
        return [request for request in self.submitted if isinstance(self.view(request).status, stage)]

    def is_ahead(self, other: ModelRequest, request: ModelRequest) -> bool:
        first, second = other.submission, request.submission
        return (first.low_priority, first.number) < (second.low_priority, second.number)

    def in_flight(self) -> list[ModelRequest]:
        return self.at_stage(Queued) + self.at_stage(Running)


Queue.TestCase.settings = settings(max_examples=120, stateful_step_count=25)
TestQueue = Queue.TestCase
