"""The answer in events, to the letter."""

from __future__ import annotations

import base64
import io
import json
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from mock_fal.errors import MODEL_ERRORS, REQUEST_ERRORS
from tests.web.conftest import DEV, QUEUE, RUN, RUN_S, SCHNELL, Call, Fal, Serve

LLM = "fal-ai/any-llm"
STREAM = f"{RUN}/{SCHNELL}/stream"
SMALL = {"prompt": "a cat", "seed": 42, "image_size": {"width": 64, "height": 48}}


def begin(fal: Fal, url: str = STREAM, **fields: object) -> Call:
    return fal.begin("POST", url, body=json.dumps({**SMALL, **fields}).encode())


def begin_text(fal: Fal, prompt: str = "a cat", **how: Any) -> Call:
    """A stream of four events in which nothing has to be drawn."""
    body = json.dumps({"prompt": prompt, "max_tokens": 4}).encode()
    return fal.begin("POST", f"{RUN}/{LLM}/stream", body=body, **how)


def texts(call: Call) -> list[str]:
    """What the events that have come since the last look say."""
    parts = call.news().split("event: event\ndata: ")[1:]
    return [json.loads(part)["output"] for part in parts]


def opened(event: dict[str, Any]) -> Image.Image:
    head, _, data = event["images"][0]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def streamed(auto_advance: Fal, url: str = STREAM, **fields: object) -> list[dict[str, Any]]:
    """All events of a stream, whatever time it takes."""
    call = begin(auto_advance, url, **fields)
    assert call.response().status_code == 200
    return call.events()


def test_the_head_says_what_comes(auto_advance: Fal) -> None:
    call = begin(auto_advance)
    headers = call.response().headers
    assert headers["content-type"] == "text/event-stream"
    assert headers["x-fal-request-id"] == auto_advance.journal[0].request_id
    assert len(headers["x-fal-served-from"]) == 32
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_each_event_is_one_line_of_data(auto_advance: Fal) -> None:
    call = begin(auto_advance)
    call.response()
    *parts, rest = call.news().split("\n\n")
    assert rest == ""
    assert len(parts) == 4
    assert all(part.startswith('data: {"images":[') and "\n" not in part for part in parts)


def test_the_last_event_is_what_a_run_answers(auto_advance: Fal) -> None:
    *_, last = streamed(auto_advance)
    ran = auto_advance.ask("POST", f"{RUN}/{SCHNELL}", body=json.dumps(SMALL).encode()).json()
    assert last["images"][0].pop("url").startswith("https://v3b.fal.media/files/b/")
    ran["images"][0].pop("url")
    assert last == ran


def test_the_events_before_it_are_whole_outputs_with_a_picture_in_them(auto_advance: Fal) -> None:
    *previews, last = streamed(auto_advance, num_images=2)
    for preview in previews:
        assert list(preview) == list(last)
        assert [list(image) for image in preview["images"]] == [list(image) for image in last["images"]]
        assert (preview["timings"], preview["seed"], preview["prompt"]) == ({}, 42, "a cat")
        assert opened(preview).size == (64, 48)


def test_the_picture_comes_out_of_the_noise(auto_advance: Fal) -> None:
    *previews, last = map(opened, streamed(auto_advance, sync_mode=True))
    distances = [sum(ImageStat.Stat(ImageChops.difference(each, last)).mean) for each in previews]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 2 * distances[-1] > 0


def test_a_preview_is_no_larger_than_a_screen(auto_advance: Fal) -> None:
    *previews, last = streamed(auto_advance, image_size={"width": 2048, "height": 64})
    size = [(image["width"], image["height"]) for each in (previews[0], last) for image in each["images"]]
    assert size == [(1024, 32), (2048, 64)]
    assert opened(previews[0]).size == (1024, 32)


def test_an_unsafe_picture_is_black_from_the_start(auto_advance: Fal) -> None:
    first, *_ = streamed(auto_advance, prompt="[mock: nsfw]")
    assert first["has_nsfw_concepts"] == [True]
    assert opened(first).getextrema() == ((0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize(("endpoint", "steps", "events"), [(SCHNELL, 1, 1), (SCHNELL, 2, 2), (DEV, 28, 5)])
def test_there_are_as_many_events_as_steps_up_to_a_few(
    auto_advance: Fal, endpoint: str, steps: int, events: int
) -> None:
    url = f"{RUN}/{endpoint}/stream"
    assert len(streamed(auto_advance, url, num_inference_steps=steps)) == events


def test_a_stream_is_the_same_in_every_run(serve: Serve) -> None:
    first, second = (streamed(serve(clock="auto-advance")) for _ in range(2))
    assert first == second


# -- when


def test_the_events_are_spread_over_the_run(fal: Fal) -> None:
    call = begin_text(fal)
    assert call.head().status_code == 200
    seen = []
    for _ in range(8):
        fal.advance(RUN_S / 8)
        seen.append(len(texts(call)))
    assert seen == [0, 1, 0, 1, 0, 1, 0, 1]
    assert call.is_over


def test_a_stream_waits_for_a_runner_before_it_begins(serve: Serve) -> None:
    fal = serve(runners=1)
    begin_text(fal)
    second = begin_text(fal)
    fal.advance(RUN_S - 1)
    assert not second.sent
    fal.advance(1 + RUN_S / 4)
    assert texts(second) == ["This"]


def test_a_text_grows(auto_advance: Fal) -> None:
    call = begin_text(auto_advance)
    call.response()
    assert texts(call) == ["This", "This is", "This is mock-fal,", "This is mock-fal, standing"]


def test_the_journal_has_all_that_was_sent(auto_advance: Fal) -> None:
    call = begin_text(auto_advance)
    call.response()
    (exchange,) = auto_advance.journal
    assert (exchange.status, exchange.path) == (200, f"/{LLM}/stream")
    assert exchange.response_body.decode() == call.news()


def test_a_streamed_request_can_be_asked_after_at_the_queue(auto_advance: Fal) -> None:
    *_, last = streamed(auto_advance)
    url = f"{QUEUE}/fal-ai/flux/requests/{auto_advance.journal[0].request_id}"
    assert auto_advance.ask("GET", url).json() == last


def test_a_rule_for_the_model_holds_for_its_stream(auto_advance: Fal) -> None:
    auto_advance.emulator.scenario.add("error=internal_error", endpoint=SCHNELL)
    assert begin(auto_advance).response().status_code == 500


# -- who ends it before


def test_a_caller_who_hangs_up_ends_the_request(fal: Fal) -> None:
    call = begin_text(fal)
    fal.advance(RUN_S / 2)
    call.hang_up()
    assert call.is_over
    (exchange,) = fal.journal
    url = f"{QUEUE}/{LLM}/requests/{exchange.request_id}"
    response = fal.ask("GET", url)
    assert (response.status_code, response.json()["error_type"]) == (499, "client_disconnected")


def test_a_caller_who_hangs_up_before_the_start_ends_the_request(serve: Serve) -> None:
    fal = serve(runners=1)
    begin_text(fal)
    begin_text(fal).hang_up()
    assert [exchange.status for exchange in fal.journal] == [200, 499]


@pytest.mark.parametrize("events", [2, 3])
def test_a_stream_that_is_cancelled_ends_without_a_result(fal: Fal, events: int) -> None:
    call = begin_text(fal, "a cat [mock: cancel=honoured]")
    fal.advance(RUN_S / 4 * events)
    (request_id,) = fal.emulator.store.requests
    fal.ask("PUT", f"{QUEUE}/{LLM}/requests/{request_id}/cancel")
    call.response()
    assert texts(call) == ["This", "This is", "This is mock-fal,"][:events]


# -- what is refused is refused with a status


def test_a_model_without_a_stream_has_no_such_path(auto_advance: Fal) -> None:
    response = begin(auto_advance, f"{RUN}/fal-ai/flux-1/dev/stream").response()
    assert (response.status_code, response.text) == (404, '{"detail":"Path /dev/stream not found"}')
    assert response.headers["content-type"] == "application/json"


def test_the_queue_has_no_streams(fal: Fal) -> None:
    response = fal.completed(endpoint=f"{SCHNELL}/stream").result()
    assert (response.status_code, response.text) == (404, '{"detail":"Path /schnell/stream not found"}')


def test_a_stream_needs_a_key(fal: Fal) -> None:
    response = begin_text(fal, key=None).response()
    assert response.status_code == 401
    assert response.json()["detail"].startswith(f'Cannot access application "{LLM}".')


def test_a_stream_takes_post_only(fal: Fal) -> None:
    response = fal.ask("GET", STREAM)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_an_input_that_does_not_fit_is_refused_at_once(auto_advance: Fal) -> None:
    response = begin(auto_advance, num_images=5).response()
    assert (response.status_code, response.json()["detail"][0]["loc"]) == (422, ["body", "num_images"])


@pytest.mark.parametrize("error_type", ["content_policy_violation", "generation_timeout"])
def test_a_models_error_comes_in_the_place_of_the_events(auto_advance: Fal, error_type: str) -> None:
    response = begin_text(auto_advance, f"[mock: error={error_type}]").response()
    assert response.status_code == MODEL_ERRORS[error_type].status
    assert response.json()["detail"][0]["type"] == error_type


@pytest.mark.parametrize("error_type", ["runner_disconnected", "request_timeout"])
def test_a_failure_comes_in_the_place_of_the_events(auto_advance: Fal, error_type: str) -> None:
    response = begin_text(auto_advance, f"[mock: error={error_type}]").response()
    assert response.status_code == REQUEST_ERRORS[error_type].status
    assert (response.headers["x-fal-error-type"], response.headers["x-fal-needs-retry"]) == (error_type, "1")


def test_a_stream_over_the_limit_is_refused(serve: Serve) -> None:
    fal = serve(concurrency=1)
    begin_text(fal)
    response = begin_text(fal).response()
    assert (response.status_code, response.json()["error_type"]) == (429, "concurrent_requests_limit")


def test_a_token_stands_in_for_a_key(auto_advance: Fal) -> None:
    token = auto_advance.emulator.tokens.issue("alice", ["flux"], 60, auto_advance.clock.now())
    call = auto_advance.begin("POST", f"{STREAM}?fal_jwt_token={token}", key=None, body=b'{"prompt":"a cat"}')
    assert call.response().status_code == 200
    assert auto_advance.journal[0].tenant == "alice"


def test_a_token_that_is_over_is_refused(fal: Fal) -> None:
    token = fal.emulator.tokens.issue("alice", ["flux"], 60, fal.clock.now())
    fal.advance(60)
    call = fal.begin("POST", f"{STREAM}?fal_jwt_token={token}", key=None, body=b'{"prompt":"a cat"}')
    assert (call.response().status_code, call.response().text) == (401, '{"detail":"Unauthorized"}')
