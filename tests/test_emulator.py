from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from mock_fal.clock import EPOCH, AutoAdvanceClock, ManualClock
from mock_fal.emulator import REJECTION_S, Cancellation, Emulator, SubmitOptions, View, is_over
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
from mock_fal.requests.lifecycle import Completed, Ending, Queued, Running
from mock_fal.requests.outcome import RequestFailure, RunnerResponse, model_error, pictures_in
from mock_fal.requests.queue import ModelRequest
from mock_fal.settings import Settings
from mock_fal.webhooks.webhook import Webhook
from tests.strategies import bodies, deadlines, spans

DEV = EndpointId.parse("fal-ai/flux/dev")
SCHNELL = EndpointId.parse("fal-ai/flux/schnell")
A_CAT = b'{"prompt":"a cat"}'


class Fal:
    """An emulator beside its clock, and the ways in which a test asks it."""

    def __init__(self, *, auto_advance: bool = False, **settings: object) -> None:
        self.clock = AutoAdvanceClock() if auto_advance else ManualClock()
        spans: dict[str, object] = {"queue_duration": 2.0, "run_duration": 8.0}
        self.emulator = Emulator(Settings(**(spans | settings)), self.clock)  # type: ignore[arg-type]

    def submit(
        self, prompt: str = "a cat", tenant: str = "alice", endpoint: EndpointId = DEV, **options: object
    ) -> ModelRequest:
        body = json.dumps({"prompt": prompt}).encode()
        return self.emulator.submit(endpoint, body, tenant, replace(SubmitOptions(), **options))  # type: ignore[arg-type]

    def run(self, prompt: str = "a cat") -> ModelRequest:
        return self.emulator.run(DEV, json.dumps({"prompt": prompt}).encode(), "alice")

    def result(self, request: ModelRequest) -> RunnerResponse | RequestFailure:
        """What came out at the end."""
        self.clock.advance(max(0.0, request.schedule.ends_at - self.clock.now()))
        return self.emulator.result(request)

    def statuses(self, *requests: ModelRequest) -> list[object]:
        return [self.emulator.peek(request).status for request in requests]


@pytest.fixture
def fal() -> Fal:
    return Fal()


@pytest.fixture
def busy() -> Fal:
    """A fal with one runner."""
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
    assert fal.statuses(request) == [Completed(8.0, Ending.ANSWERED)]
    assert response(fal.emulator.result(request)).status == 200


def test_without_a_limit_requests_do_not_wait_for_each_other(fal: Fal) -> None:
    requests = [fal.submit() for _ in range(3)]
    assert fal.statuses(*requests) == [Queued(0), Queued(1), Queued(2)]
    fal.clock.advance(2)
    assert fal.statuses(*requests) == [Running()] * 3


def test_a_runner_takes_one_after_the_other(busy: Fal) -> None:
    requests = [busy.submit() for _ in range(3)]
    assert busy.statuses(*requests) == [Running(), Queued(0), Queued(1)]
    busy.clock.advance(10)
    assert busy.statuses(*requests) == [Completed(10.0, Ending.ANSWERED), Running(), Queued(0)]


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


def test_a_runner_that_comes_exactly_at_the_deadline_is_in_time(busy: Fal) -> None:
    busy.submit()
    request = busy.submit(start_timeout_s=10.0)
    busy.clock.advance(10)
    assert busy.statuses(request) == [Running()]


def test_a_request_that_no_runner_took_in_time_fails(busy: Fal) -> None:
    busy.submit()
    request = busy.submit(start_timeout_s=9.75)
    busy.clock.advance(9.5)
    assert busy.statuses(request) == [Queued(0)]
    busy.clock.advance(0.25)
    failure = RequestFailure("request_timeout", by_user=True)
    assert busy.emulator.peek(request) == View(request, Completed(None, Ending.TIMED_OUT), [], failure)
    assert busy.emulator.result(request) == failure


def test_more_may_wait_than_the_length_that_nobody_set(busy: Fal) -> None:
    assert len([busy.submit() for _ in range(50)]) == 50


def test_a_caller_may_refuse_to_wait_behind_too_many(busy: Fal) -> None:
    requests = [busy.submit(max_queue_length=1) for _ in range(3)]  # one runs, two wait
    with pytest.raises(QueueFull):
        busy.submit(max_queue_length=1)
    assert list(busy.emulator.store.requests.values()) == requests


def test_an_unknown_app_is_refused_at_once(fal: Fal) -> None:
    with pytest.raises(ApplicationNotFound, match='Application "fluxx" not found'):
        fal.submit(endpoint=EndpointId.parse("fal-ai/fluxx/dev"))
    assert not fal.emulator.store.requests


def test_a_path_that_an_app_does_not_have_is_the_runners_to_refuse(fal: Fal) -> None:
    request = fal.submit(endpoint=EndpointId.parse("fal-ai/flux/nope"))
    assert fal.statuses(request) == [Queued(0)]
    assert fal.result(request) == RunnerResponse(404, {"detail": "Path /nope not found"}, billable_units=0)


def test_the_webhook_is_owed(fal: Fal) -> None:
    request = fal.submit(webhook=Webhook("http://127.0.0.1/hook", "https://v3b.fal.media"))
    assert fal.emulator.due_deliveries() == []
    fal.clock.advance(10)
    assert [each.request for each in fal.emulator.due_deliveries()] == [request]


def test_a_cancelled_request_owes_no_webhook(fal: Fal) -> None:
    request = fal.submit(webhook=Webhook("http://127.0.0.1/hook", "https://v3b.fal.media"))
    fal.emulator.cancel(request)
    assert fal.emulator.outbox.deliveries == fal.emulator.due_deliveries() == []


def test_a_webhook_comes_sooner_when_a_caller_in_front_hangs_up(busy: Fal) -> None:
    direct = busy.run()
    behind = busy.submit(webhook=Webhook("http://127.0.0.1/hook", "https://v3b.fal.media"))
    busy.emulator.abandon(direct)
    assert busy.emulator.result(direct) == RequestFailure("client_disconnected")
    busy.clock.advance(10)
    assert [each.request for each in busy.emulator.due_deliveries()] == [behind]


def test_a_webhook_waits_for_a_request_that_was_overtaken(busy: Fal) -> None:
    hook = Webhook("http://127.0.0.1/hook", "https://v3b.fal.media")
    busy.submit()
    low = busy.submit(webhook=hook, low_priority=True)
    busy.submit()
    busy.clock.advance(20)
    assert busy.emulator.due_deliveries() == []
    busy.clock.advance(10)
    assert [delivery.request for delivery in busy.emulator.due_deliveries()] == [low]


def test_a_request_whose_webhook_cannot_be_remembered_is_refused() -> None:
    fal, hook = Fal(retention=1), Webhook("http://127.0.0.1/hook", "https://v3b.fal.media")
    held = fal.submit(webhook=hook)
    fal.clock.advance(10)
    with pytest.raises(QueueFull):
        fal.submit(webhook=hook)
    assert list(fal.emulator.store.requests.values()) == [held]


# -- results


def test_the_result_is_not_there_before_the_end(fal: Fal) -> None:
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


def test_a_wrong_input_is_accepted_and_fails_when_it_runs(fal: Fal) -> None:
    request = fal.emulator.submit(DEV, b"{}", "alice")
    assert fal.statuses(request) == [Queued(0)]
    fal.clock.advance(2 + REJECTION_S)
    view = fal.emulator.peek(request)
    assert isinstance(view.status, Completed) and view.status.inference_s is not None
    assert view.status.inference_s == pytest.approx(REJECTION_S, abs=1e-6)
    assert (view.failure, view.logs) == (None, [])
    assert response(fal.emulator.result(request)).status == 422


def test_a_refusal_never_takes_longer_than_a_run() -> None:
    request = Fal(run_duration=0.001).emulator.submit(DEV, b"{}", "alice")
    assert request.submission.run_duration == 0.001


def test_every_file_of_a_result_is_kept_under_its_path(fal: Fal) -> None:
    request = fal.emulator.submit(SCHNELL, b'{"prompt":"a cat","num_images":3}', "alice")
    pictures = list(pictures_in(response(fal.result(request)).body))
    kept = [result.picture for result in fal.emulator.store.files.values()]
    assert kept == pictures == request.files
    assert len({picture.path for picture in pictures}) == 3


@pytest.mark.parametrize(("format", "extension"), [("jpeg", ".jpg"), ("png", ".png")])
def test_a_file_has_the_extension_of_its_format(fal: Fal, format: str, extension: str) -> None:
    request = fal.emulator.submit(
        SCHNELL, json.dumps({"prompt": "", "output_format": format}).encode(), "alice"
    )
    assert request.files[0].path.startswith("/files/b/")
    assert request.files[0].path.endswith(extension)


def test_an_inline_picture_is_no_file(fal: Fal) -> None:
    request = fal.emulator.submit(SCHNELL, b'{"prompt":"a cat","sync_mode":true}', "alice")
    assert [picture.inline for picture in pictures_in(response(fal.result(request)).body)] == [True]
    assert not fal.emulator.store.files


def test_a_whole_run_repeats() -> None:
    def a_run() -> list[JSON]:
        fal = Fal(seed=7)
        requests = [fal.submit("a cat"), fal.submit("a dog"), fal.submit("a cat"), fal.run()]
        return [(request.id, response(fal.result(request)).body) for request in requests]

    assert a_run() == a_run()


def test_seeds_follow_from_the_input_and_how_often_it_was_seen() -> None:
    def seeds(fal: Fal, *prompts: str) -> list[int]:
        return [response(fal.result(fal.submit(prompt))).body["seed"] for prompt in prompts]

    cat, dog, second_cat = seeds(Fal(), "a cat", "a dog", "a cat")
    assert len({cat, dog, second_cat}) == 3
    assert seeds(Fal(), "a cat", "a cat", "a dog") == [cat, second_cat, dog]


@settings(max_examples=150)
@given(bodies(), st.sampled_from([DEV, SCHNELL]))
def test_any_body_comes_to_an_answer(body: bytes, endpoint: EndpointId) -> None:
    fal = Fal()
    assert response(fal.result(fal.emulator.submit(endpoint, body, "alice"))).status in (200, 400, 422)


# -- finding a request


def test_a_request_is_found_under_its_app_and_key_or_without_a_key(fal: Fal) -> None:
    request = fal.submit()
    assert fal.emulator.find("fal-ai/flux", request.id, "alice") is request
    assert fal.emulator.find("fal-ai/flux", request.id, None) is request


@pytest.mark.parametrize(("app_id", "tenant"), [("fal-ai/flux-1", "alice"), ("fal-ai/flux", "bob")])
def test_a_request_of_another_looks_unknown(fal: Fal, app_id: str, tenant: str) -> None:
    with pytest.raises(RequestNotFound):
        fal.emulator.find(app_id, fal.submit().id, tenant)


def test_an_id_that_nobody_submitted_is_unknown(fal: Fal) -> None:
    with pytest.raises(RequestNotFound):
        fal.emulator.find("fal-ai/flux", fal.emulator.new_request_id("alice"), "alice")


# -- cancellation


def test_a_request_that_waits_is_removed(fal: Fal) -> None:
    request = fal.submit()
    assert fal.emulator.cancel(request) is Cancellation.REMOVED
    assert fal.statuses(request) == [Completed(None, Ending.CANCELLED)]
    assert fal.emulator.result(request) == RequestFailure("client_cancelled")


def test_a_runner_is_told_and_goes_on(fal: Fal) -> None:
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
def test_what_is_over_cannot_be_cancelled(fal: Fal, directive: str) -> None:
    request = fal.submit(directive)
    outcome = fal.result(request)
    with pytest.raises(AlreadyCompleted):
        fal.emulator.cancel(request)
    assert fal.emulator.result(request) == outcome


def test_what_was_cancelled_cannot_be_cancelled_again(fal: Fal) -> None:
    request = fal.submit()
    fal.emulator.cancel(request)
    with pytest.raises(AlreadyCompleted):
        fal.emulator.cancel(request)


def test_a_cancellation_lets_the_next_request_start_sooner(busy: Fal) -> None:
    _, second, third = (busy.submit() for _ in range(3))
    busy.emulator.cancel(second)
    assert busy.statuses(third) == [Queued(0)]
    busy.clock.advance(10)
    assert busy.statuses(third) == [Running()]


# -- looking


def test_a_look_shows_what_was_printed(fal: Fal) -> None:
    request = fal.submit(endpoint=SCHNELL)
    fal.clock.advance(6)
    assert [line.at for line in fal.emulator.look(request).logs] == [EPOCH + 4, EPOCH + 6]
    assert fal.emulator.look(request, with_logs=False).logs == []


def test_three_looks_at_a_stepping_clock_see_the_three_states() -> None:
    fal = Fal(auto_advance=True)
    request = fal.submit()
    assert [type(fal.emulator.look(request).status) for _ in range(4)] == [
        Queued,
        Running,
        Completed,
        Completed,
    ]


def test_asking_for_the_result_is_a_look_too() -> None:
    fal = Fal(auto_advance=True)
    request = fal.submit()
    with pytest.raises(StillInProgress):
        fal.emulator.result(request)
    with pytest.raises(StillInProgress):
        fal.emulator.result(request)
    assert response(fal.emulator.result(request)).status == 200


def test_a_peek_moves_no_clock() -> None:
    fal = Fal(auto_advance=True)
    request = fal.submit()
    assert fal.statuses(request, request) == [Queued(0), Queued(0)]


def test_it_is_over_when_there_is_nothing_more_to_tell(fal: Fal) -> None:
    request = fal.submit()
    assert not is_over(fal.emulator.peek(request))
    fal.clock.advance(10)
    assert is_over(fal.emulator.peek(request))


def test_the_next_news_of_one_that_waits_may_be_anothers_departure(busy: Fal) -> None:
    _, second, third = (busy.submit() for _ in range(3))
    assert third.schedule.starts_at == EPOCH + 20
    assert busy.emulator.next_change_at(third) == second.schedule.starts_at == EPOCH + 10


def test_the_next_news_of_one_that_runs_is_a_line_then_the_end(fal: Fal) -> None:
    request = fal.emulator.run(SCHNELL, A_CAT, "alice")
    assert fal.emulator.next_change_at(request) == EPOCH + 2
    fal.clock.advance(6)
    assert fal.emulator.next_change_at(request) == EPOCH + 8
    fal.clock.advance(2)
    assert fal.emulator.next_change_at(request) == math.inf


# -- what a test asks for


@pytest.mark.parametrize("error_type", MODEL_ERRORS)
def test_a_directive_asks_for_any_error_of_the_model(fal: Fal, error_type: str) -> None:
    request = fal.submit(f"a cat [mock: error={error_type}]")
    assert fal.result(request) == model_error(error_type)
    assert fal.emulator.peek(request).failure is None


@pytest.mark.parametrize("error_type", REQUEST_ERRORS)
def test_a_directive_asks_for_any_failure_of_the_request(fal: Fal, error_type: str) -> None:
    request = fal.submit(f"a cat [mock: error={error_type}]")
    assert fal.emulator.peek(request).failure is None
    assert fal.result(request) == fal.emulator.peek(request).failure == RequestFailure(error_type)


def test_a_directive_sets_the_spans(fal: Fal) -> None:
    request = fal.submit("a cat [mock: queue=0.5 run=20]")
    assert (request.schedule.starts_at, request.schedule.ends_at) == (EPOCH + 0.5, EPOCH + 20.5)


def test_a_directive_lets_an_error_take_its_time(fal: Fal) -> None:
    assert fal.submit("[mock: error=generation_timeout run=20]").submission.run_duration == 20
    assert fal.submit("[mock: error=generation_timeout]").submission.run_duration == REJECTION_S


def test_a_directive_may_let_even_a_direct_request_wait(fal: Fal) -> None:
    assert fal.run("[mock: queue=3]").schedule.starts_at == EPOCH + 3


def test_a_directive_makes_a_picture_unsafe(fal: Fal) -> None:
    assert response(fal.result(fal.submit("[mock: nsfw]"))).body["has_nsfw_concepts"] == [True]


def test_a_mistyped_directive_is_told_at_once_and_nothing_is_submitted(fal: Fal) -> None:
    with pytest.raises(
        InvalidDirective, match="^mock-fal: column 14: unknown word 'rum'; did you mean 'run'?"
    ):
        fal.submit("a cat [mock: rum=5]")
    assert not fal.emulator.store.requests


def test_the_prompt_says_more_than_the_header_and_the_header_more_than_a_rule(fal: Fal) -> None:
    fal.emulator.store.tenant("alice").scenario.add("queue=1 run=1 nsfw")
    submission = fal.submit("[mock: run=3]", directive="queue=2 run=2").submission
    assert (submission.queue_duration, submission.run_duration) == (2, 3)


def test_a_header_alone_is_enough(fal: Fal) -> None:
    assert fal.submit(directive="run=5").submission.run_duration == 5
    with pytest.raises(InvalidDirective):
        fal.submit(directive="rum=5")


def test_a_rule_holds_for_its_tenant_alone(fal: Fal) -> None:
    fal.emulator.store.tenant("alice").scenario.add("run=1")
    assert [fal.submit(tenant=name).submission.run_duration for name in ("alice", "bob")] == [1, 8]


def test_a_rule_for_everybody_gives_way_to_a_tenants_own(fal: Fal) -> None:
    fal.emulator.scenario.add("run=1")
    fal.emulator.store.tenant("alice").scenario.add("queue=1", times=1)
    assert [fal.submit(tenant=name).submission.run_duration for name in ("alice", "alice", "bob")] == [
        8,
        1,
        1,
    ]


def test_what_is_no_json_holds_no_directive(fal: Fal) -> None:
    request = fal.emulator.submit(DEV, b'{"prompt":"[mock: rum=5]"', "alice")
    assert response(fal.result(request)).status == 422
    deep = fal.emulator.submit(DEV, b'"[mock: rum=5]"' + b"[" * 100_000, "alice")
    assert response(fal.result(deep)).status == 422


def test_a_rule_that_cannot_be_read_is_the_tests_mistake(fal: Fal) -> None:
    with pytest.raises(ScenarioError):
        fal.emulator.scenario.add("rum=5")


# -- forgetting


def test_the_journal_is_written_by_recording(fal: Fal) -> None:
    exchange = Exchange(EPOCH, "alice", "GET", "fal.run", "/", "", b"", b"", 404, b"")
    fal.emulator.record(exchange)
    assert list(fal.emulator.store.exchanges) == [exchange]


def test_resetting_one_tenant_leaves_the_others_and_the_rules_for_everybody(fal: Fal) -> None:
    fal.emulator.scenario.add("run=1")
    fal.submit()
    theirs = fal.submit(tenant="bob")
    fal.emulator.reset("alice")
    assert list(fal.emulator.store.requests.values()) == [theirs]
    assert fal.submit().submission.run_duration == 1


def test_resetting_all_leaves_nothing(fal: Fal) -> None:
    fal.emulator.scenario.add("run=1")
    first = fal.submit()
    fal.emulator.reset()
    assert not fal.emulator.store.requests
    again = fal.submit()
    assert (again.id, again.submission.run_duration) == (first.id, 8)


def test_a_full_memory_of_requests_in_flight_refuses_and_loses_nothing() -> None:
    fal = Fal(retention=3)
    held = [fal.submit() for _ in range(3)]
    with pytest.raises(QueueFull):
        fal.submit()
    assert list(fal.emulator.store.requests.values()) == held
    fal.clock.advance(10)
    assert [response(fal.emulator.result(request)).status for request in held] == [200] * 3
    fal.submit()
    assert held[0].id not in fal.emulator.store.requests


# -- whatever happens, in whatever order


STAGES = [Queued, Running, Completed]


class InjectedFault(NamedTuple):
    """One submission."""

    options: SubmitOptions
    direct: bool


def askings() -> st.SearchStrategy[InjectedFault]:
    """Submissions with short spans, so that many things happen at the same moment."""
    words = st.builds(
        "queue={} run={} cancel={}".format, spans(3), spans(3), st.sampled_from(["honoured", "ignored"])
    )
    options = st.builds(
        SubmitOptions, low_priority=st.booleans(), start_timeout_s=deadlines(), directive=words
    )
    return st.builds(InjectedFault, options, st.booleans())


class Queue(RuleBasedStateMachine):
    """Anybody submits, cancels and looks, and time passes."""

    @initialize(runners=st.integers(0, 3), retention=st.sampled_from([2, 5, 100]), first=askings())
    def open(self, runners: int, retention: int, first: InjectedFault) -> None:
        self.runners, self.retention = runners, retention
        self.fal = Fal(runners=runners, retention=retention)
        self.submitted: list[ModelRequest] = []
        self.seen: dict[str, View] = {}
        self.submit(first)

    @rule(asked=askings())
    def one_submits(self, asked: InjectedFault) -> None:
        self.submit(asked)

    @rule(several=st.lists(askings(), min_size=2, max_size=6))
    def several_submit(self, several: list[InjectedFault]) -> None:
        for asked in several:
            self.submit(asked)

    @rule(data=st.data())
    def one_cancels(self, data: st.DataObject) -> None:
        request = data.draw(st.sampled_from(self.submitted))
        before = self.view(request).status
        try:
            came_to = self.fal.emulator.cancel(request)
        except AlreadyCompleted:
            assert isinstance(before, Completed)
        else:
            assert isinstance(before, Queued if came_to is Cancellation.REMOVED else Running)

    @rule(seconds=spans(3))
    def time_passes(self, seconds: float) -> None:
        self.fal.clock.advance(seconds)

    @rule()
    def something_happens(self) -> None:
        news = min(
            (self.fal.emulator.next_change_at(request) for request in self.in_flight()), default=math.inf
        )
        assert news > self.fal.clock.now()
        self.fal.clock.advance(news - self.fal.clock.now() if news < math.inf else 0.0)

    @invariant()
    def no_request_moves_back(self) -> None:
        views = {request.id: self.fal.emulator.peek(request) for request in self.submitted}
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
    def the_position_is_the_number_of_those_in_front(self) -> None:
        waiting = self.these(Queued)
        assert all(
            self.view(request).status == Queued(sum(self.is_ahead(other, request) for other in waiting))
            for request in waiting
        )

    @invariant()
    def runners_are_neither_too_many_nor_idle(self) -> None:
        running = len(self.these(Running))
        ready = [
            request for request in self.these(Queued) if request.submission.ready_at <= self.fal.clock.now()
        ]
        assert not self.runners or running <= self.runners
        assert not ready or running == self.runners

    @invariant()
    def no_low_request_starts_before_a_normal_one_that_is_ready(self) -> None:
        now = self.fal.clock.now()
        normal = [request for request in self.these(Queued) if not request.submission.low_priority]
        low = [request for request in self.these(Queued) if request.submission.low_priority]
        assert not self.runners or all(
            first.schedule.starts_at <= last.schedule.starts_at
            for first in normal
            for last in low
            if first.schedule.starts_at < math.inf
            if first.submission.ready_at <= max(now, last.submission.ready_at)
        )

    @invariant()
    def of_two_normal_requests_the_one_submitted_and_ready_first_starts_first(self) -> None:
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
    def nobody_waits_past_the_deadline(self) -> None:
        now = self.fal.clock.now()
        assert all(
            now < request.submission.queued_at + request.submission.start_timeout_s
            or now == request.schedule.starts_at
            for request in self.these(Queued)
        )

    @invariant()
    def nothing_in_flight_is_forgotten(self) -> None:
        remembered = self.fal.emulator.store.requests
        assert all(remembered[request.id] is request for request in self.in_flight())
        assert len(remembered) == min(self.retention, len(self.submitted))

    @invariant()
    def the_newest_of_those_that_are_over_are_remembered(self) -> None:
        forgotten = [
            request.id for request in self.submitted if request.id not in self.fal.emulator.store.requests
        ]
        assert len(forgotten) == max(0, len(self.submitted) - self.retention)

    @invariant()
    def every_request_has_its_own_id(self) -> None:
        ids = [request.id for request in self.submitted]
        assert ids == sorted(set(ids))

    def teardown(self) -> None:
        """Every request ends, and nobody has to wait longer than for all the others."""
        if not hasattr(self, "fal"):
            return
        work = sum(
            request.submission.queue_duration + request.submission.run_duration for request in self.submitted
        )
        self.fal.clock.advance(work)
        assert not self.in_flight()
        assert all(self.fal.emulator.result(request) for request in self.submitted)

    def submit(self, asked: InjectedFault) -> None:
        """Submit, or be refused: exactly when all that can be remembered is in flight."""
        take = self.fal.emulator.run if asked.direct else self.fal.emulator.submit
        in_flight = len(self.in_flight())
        try:
            self.submitted.append(take(SCHNELL, A_CAT, "alice", asked.options))
        except QueueFull:
            assert in_flight == self.retention
        else:
            assert in_flight < self.retention

    def view(self, request: ModelRequest) -> View:
        return self.fal.emulator.peek(request, with_logs=False)

    def these(self, stage: type) -> list[ModelRequest]:
        """The requests that are now at one stage."""
        return [request for request in self.submitted if isinstance(self.view(request).status, stage)]

    def is_ahead(self, other: ModelRequest, request: ModelRequest) -> bool:
        ours, theirs = request.submission, other.submission
        return (theirs.low_priority, theirs.number) < (ours.low_priority, ours.number)

    def in_flight(self) -> list[ModelRequest]:
        return self.these(Queued) + self.these(Running)


Queue.TestCase.settings = settings(max_examples=120, stateful_step_count=25)
TestQueue = Queue.TestCase
