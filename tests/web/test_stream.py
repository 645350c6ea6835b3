"""fal.run: exact events of streams."""

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


def start_stream(fal: Fal, url: str = STREAM, **fields: object) -> Call:
    return fal.start_request("POST", url, body=json.dumps({**SMALL, **fields}).encode())


def start_text_stream(fal: Fal, prompt: str = "a cat", **options: Any) -> Call:
    """A stream of four events without pictures."""
    body = json.dumps({"prompt": prompt, "max_tokens": 4}).encode()
    return fal.start_request("POST", f"{RUN}/{LLM}/stream", body=body, **options)


def texts(call: Call) -> list[str]:
    """The outputs of the events since the last call."""
    parts = call.new_text().split("event: event\ndata: ")[1:]
    return [json.loads(part)["output"] for part in parts]


def decoded(event: dict[str, Any]) -> Image.Image:
    head, _, data = event["images"][0]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def streamed(auto_advance: Fal, url: str = STREAM, **fields: object) -> list[dict[str, Any]]:
    """All events of a stream."""
    call = start_stream(auto_advance, url, **fields)
    assert call.response().status_code == 200
    return call.events()


def test_a_stream_has_the_headers_of_an_event_stream(auto_advance: Fal) -> None:
    call = start_stream(auto_advance)
    headers = call.response().headers
    assert headers["content-type"] == "text/event-stream"
    assert headers["x-fal-request-id"] == auto_advance.journal[0].request_id
    assert len(headers["x-fal-served-from"]) == 32
    assert headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"


def test_each_event_is_one_line_of_data(auto_advance: Fal) -> None:
    call = start_stream(auto_advance)
    call.response()
    *parts, rest = call.new_text().split("\n\n")
    assert rest == ""
    assert len(parts) == 4
    assert all(part.startswith('data: {"images":[') and "\n" not in part for part in parts)


def test_the_last_event_is_the_result_of_a_run(auto_advance: Fal) -> None:
    *_, last = streamed(auto_advance)
    ran = auto_advance.request("POST", f"{RUN}/{SCHNELL}", body=json.dumps(SMALL).encode()).json()
    assert last["images"][0].pop("url").startswith("https://v3b.fal.media/files/b/")
    ran["images"][0].pop("url")
    assert last == ran


def test_earlier_events_are_complete_outputs_with_an_inline_picture(auto_advance: Fal) -> None:
    *previews, last = streamed(auto_advance, num_images=2)
    for preview in previews:
        assert list(preview) == list(last)
        assert [list(image) for image in preview["images"]] == [list(image) for image in last["images"]]
        assert (preview["timings"], preview["seed"], preview["prompt"]) == ({}, 42, "a cat")
        assert decoded(preview).size == (64, 48)


def test_previews_become_more_similar_to_the_picture(auto_advance: Fal) -> None:
    *previews, last = map(decoded, streamed(auto_advance, sync_mode=True))
    distances = [sum(ImageStat.Stat(ImageChops.difference(preview, last)).mean) for preview in previews]
    assert distances == sorted(distances, reverse=True)
    assert distances[0] > 2 * distances[-1] > 0


def test_previews_are_limited_in_size(auto_advance: Fal) -> None:
    *previews, last = streamed(auto_advance, image_size={"width": 2048, "height": 64})
    size = [(image["width"], image["height"]) for event in (previews[0], last) for image in event["images"]]
    assert size == [(1024, 32), (2048, 64)]
    assert decoded(previews[0]).size == (1024, 32)


def test_all_previews_of_an_unsafe_picture_are_black(auto_advance: Fal) -> None:
    first, *_ = streamed(auto_advance, prompt="[mock: nsfw]")
    assert first["has_nsfw_concepts"] == [True]
    assert decoded(first).getextrema() == ((0, 0), (0, 0), (0, 0))


@pytest.mark.parametrize(("endpoint", "steps", "events"), [(SCHNELL, 1, 1), (SCHNELL, 2, 2), (DEV, 28, 5)])
def test_the_number_of_events_follows_the_steps_up_to_a_limit(
    auto_advance: Fal, endpoint: str, steps: int, events: int
) -> None:
    url = f"{RUN}/{endpoint}/stream"
    assert len(streamed(auto_advance, url, num_inference_steps=steps)) == events


def test_streams_are_reproducible(serve: Serve) -> None:
    first, second = (streamed(serve(clock="auto-advance")) for _ in range(2))
    assert first == second


# -- timing


def test_the_events_are_distributed_over_the_run(fal: Fal) -> None:
    call = start_text_stream(fal)
    assert call.head().status_code == 200
    numbers = []
    for _ in range(8):
        fal.advance(RUN_S / 8)
        numbers.append(len(texts(call)))
    assert numbers == [0, 1, 0, 1, 0, 1, 0, 1]
    assert call.is_over


def test_a_stream_waits_for_a_runner_before_it_begins(serve: Serve) -> None:
    fal = serve(runners=1)
    start_text_stream(fal)
    second = start_text_stream(fal)
    fal.advance(RUN_S - 1)
    assert not second.sent
    fal.advance(1 + RUN_S / 4)
    assert texts(second) == ["This"]


def test_each_event_extends_the_text(auto_advance: Fal) -> None:
    call = start_text_stream(auto_advance)
    call.response()
    assert texts(call) == ["This", "This is", "This is mock-fal,", "This is mock-fal, standing"]


def test_the_journal_has_all_events(auto_advance: Fal) -> None:
    call = start_text_stream(auto_advance)
    call.response()
    (exchange,) = auto_advance.journal
    assert (exchange.status, exchange.path) == (200, f"/{LLM}/stream")
    assert exchange.response_body.decode() == call.new_text()


def test_the_result_of_a_streamed_request_is_available_at_the_queue(auto_advance: Fal) -> None:
    *_, last = streamed(auto_advance)
    url = f"{QUEUE}/fal-ai/flux/requests/{auto_advance.journal[0].request_id}"
    assert auto_advance.request("GET", url).json() == last


def test_a_rule_for_an_endpoint_applies_to_its_stream(auto_advance: Fal) -> None:
    auto_advance.emulator.scenario.add("error=internal_error", endpoint=SCHNELL)
    assert start_stream(auto_advance).response().status_code == 500


# -- disconnects and cancellations


def test_a_disconnect_ends_the_request(fal: Fal) -> None:
    call = start_text_stream(fal)
    fal.advance(RUN_S / 2)
    call.disconnect()
    assert call.is_over
    (exchange,) = fal.journal
    url = f"{QUEUE}/{LLM}/requests/{exchange.request_id}"
    response = fal.request("GET", url)
    assert (response.status_code, response.json()["error_type"]) == (499, "client_disconnected")


def test_a_disconnect_before_the_start_ends_the_request(serve: Serve) -> None:
    fal = serve(runners=1)
    start_text_stream(fal)
    start_text_stream(fal).disconnect()
    assert [exchange.status for exchange in fal.journal] == [200, 499]


@pytest.mark.parametrize("events", [2, 3])
def test_a_stream_that_is_cancelled_ends_without_a_result(fal: Fal, events: int) -> None:
    call = start_text_stream(fal, "a cat [mock: cancel=honoured]")
    fal.advance(RUN_S / 4 * events)
    (request_id,) = fal.emulator.store.requests
    fal.request("PUT", f"{QUEUE}/{LLM}/requests/{request_id}/cancel")
    call.response()
    assert texts(call) == ["This", "This is", "This is mock-fal,"][:events]


# -- errors before the stream


def test_a_model_without_a_stream_has_no_such_path(auto_advance: Fal) -> None:
    response = start_stream(auto_advance, f"{RUN}/fal-ai/flux-pro/kontext/stream").response()
    assert (response.status_code, response.text) == (404, '{"detail":"Path /kontext/stream not found"}')
    assert response.headers["content-type"] == "application/json"


def test_the_queue_has_no_streams(fal: Fal) -> None:
    response = fal.completed(endpoint=f"{SCHNELL}/stream").result()
    assert (response.status_code, response.text) == (404, '{"detail":"Path /schnell/stream not found"}')


def test_a_stream_needs_a_key(fal: Fal) -> None:
    response = start_text_stream(fal, key=None).response()
    assert response.status_code == 401
    assert response.json()["detail"].startswith(f'Cannot access application "{LLM}".')


def test_a_stream_takes_post_only(fal: Fal) -> None:
    response = fal.request("GET", STREAM)
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


def test_an_invalid_input_is_rejected_at_once(auto_advance: Fal) -> None:
    response = start_stream(auto_advance, num_images=5).response()
    assert (response.status_code, response.json()["detail"][0]["loc"]) == (422, ["body", "num_images"])


@pytest.mark.parametrize("error_type", ["content_policy_violation", "generation_timeout"])
def test_a_model_error_replaces_the_events(auto_advance: Fal, error_type: str) -> None:
    response = start_text_stream(auto_advance, f"[mock: error={error_type}]").response()
    assert response.status_code == MODEL_ERRORS[error_type].status
    assert response.json()["detail"][0]["type"] == error_type


@pytest.mark.parametrize("error_type", ["runner_disconnected", "request_timeout"])
def test_an_infrastructure_failure_replaces_the_events(auto_advance: Fal, error_type: str) -> None:
    response = start_text_stream(auto_advance, f"[mock: error={error_type}]").response()
    assert response.status_code == REQUEST_ERRORS[error_type].status
    assert (response.headers["x-fal-error-type"], response.headers["x-fal-needs-retry"]) == (error_type, "1")


def test_a_stream_over_the_limit_is_rejected(serve: Serve) -> None:
    fal = serve(concurrency=1)
    start_text_stream(fal)
    response = start_text_stream(fal).response()
    assert (response.status_code, response.json()["error_type"]) == (429, "concurrent_requests_limit")


def test_a_token_is_accepted_in_place_of_a_key(auto_advance: Fal) -> None:
    token = auto_advance.emulator.tokens.issue("alice", ["flux"], 60, auto_advance.clock.now())
    call = auto_advance.start_request(
        "POST", f"{STREAM}?fal_jwt_token={token}", key=None, body=b'{"prompt":"a cat"}'
    )
    assert call.response().status_code == 200
    assert auto_advance.journal[0].tenant == "alice"


def test_an_expired_token_is_rejected(fal: Fal) -> None:
    token = fal.emulator.tokens.issue("alice", ["flux"], 60, fal.clock.now())
    fal.advance(60)
    call = fal.start_request("POST", f"{STREAM}?fal_jwt_token={token}", key=None, body=b'{"prompt":"a cat"}')
    assert (call.response().status_code, call.response().text) == (401, '{"detail":"Unauthorized"}')
