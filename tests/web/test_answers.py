"""A user's own output over HTTP: the queue, direct requests, streams, realtime; callables run in a thread."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

import pytest

from mock_fal import File
from mock_fal.endpoint import EndpointId
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.scenario.rules import Scenario
from mock_fal.web import answers
from tests.web.conftest import NONE, OURS, RUN, SCHNELL, Fal, Serve
from tests.web.test_sockets import Connection

APP = "me/my-app"
SCENARIO = f"{OURS}/_mock/scenario?key=alice"


@pytest.fixture
def auto(serve: Serve) -> Fal:
    return serve(clock="auto-advance")


def scenario(fal: Fal) -> Scenario:
    return fal.emulator.store.tenant("alice").scenario


def call(fal: Fal, endpoint: str = APP, document: Any = NONE, **options: Any) -> Any:
    """The result of a direct request; it has to succeed."""
    response = fal.request("POST", f"{RUN}/{endpoint}", body=json.dumps(dict(document)).encode(), **options)
    assert response.status_code == 200, response.text
    return response.json()


# -- the way of an output


def test_an_app_that_fal_does_not_have_exists_with_an_output(auto: Fal) -> None:
    assert auto.request("POST", f"{RUN}/{APP}", body=b"{}").status_code == 404
    scenario(auto).respond(APP, {"text": "hello"})
    assert call(auto) == {"text": "hello"}
    assert auto.request("GET", f"{RUN}/{APP}").status_code == 405
    assert auto.request("POST", f"{RUN}/{APP}", key="bob:x", body=b"{}").status_code == 404


def test_an_output_goes_through_the_queue(fal: Fal) -> None:
    scenario(fal).add(endpoint=f"{APP}/*", output={"text": "hello"}, run=20, logs=3)
    handle = fal.submit(endpoint=f"{APP}/any/path")
    assert handle.status().json()["status"] == "IN_QUEUE"
    fal.advance(30)
    status = handle.status("?logs=1").json()
    assert (status["status"], len(status["logs"]), status["metrics"]["inference_time"]) == (
        "COMPLETED",
        3,
        20,
    )
    assert handle.result().json() == {"text": "hello"}


def test_every_way_of_setting_it_is_one_rule(auto: Fal) -> None:
    rule = {"endpoint": APP, "output": {"from": "the control API"}}
    assert auto.request("POST", SCENARIO, body=json.dumps(rule).encode()).status_code == 200
    assert call(auto) == {"from": "the control API"}
    assert call(auto, headers={"x-mock-fal": 'output={"from":"a header"}'}) == {"from": "a header"}
    assert call(auto, document={"prompt": 'a cat [mock: output={"from": "the input"}]'}) == {
        "from": "the input"
    }
    assert call(auto, "you/app", headers={"x-mock-fal": "output=[]"}) == []


def test_the_latest_output_comes_first_and_is_used_up(auto: Fal) -> None:
    scenario(auto).respond(APP, 1)
    scenario(auto).respond(APP, 2, times=1)
    assert [call(auto), call(auto)] == [2, 1]


def test_global_outputs_are_for_all_keys(auto: Fal) -> None:
    auto.emulator.scenario.respond(APP, 1)
    assert [call(auto), call(auto, key="bob:x")] == [1, 1]
    auto.emulator.reset()
    assert auto.request("POST", f"{RUN}/{APP}", body=b"{}").status_code == 404


def test_failures_and_delays_combine_with_an_output(auto: Fal) -> None:
    scenario(auto).respond(APP, {"a": 1})
    prompt = {"prompt": "[mock: error=downstream_service_error]"}
    assert auto.request("POST", f"{RUN}/{APP}", body=json.dumps(prompt).encode()).status_code == 400
    scenario(auto).add(endpoint=APP, output={"a": 1}, merge={"b": 2})
    assert call(auto) == {"a": 1, "b": 2}


def test_an_output_is_the_last_event_of_a_stream(auto: Fal) -> None:
    scenario(auto).respond(APP, {"text": "hello"})
    response = auto.request("POST", f"{RUN}/{APP}/stream", body=b"{}")
    assert response.headers["content-type"] == "text/event-stream"
    assert response.text == 'data: {"text":"hello"}\n\n'


def test_an_output_of_a_streaming_path_is_a_stream(auto: Fal) -> None:
    scenario(auto).respond(f"{APP}/stream", 1)
    assert auto.request("POST", f"{RUN}/{APP}/stream", body=b"{}").text == "data: 1\n\n"
    assert auto.request("POST", f"{RUN}/{APP}", body=b"{}").status_code == 404


def test_an_output_of_a_streaming_model_is_its_only_event(auto: Fal) -> None:
    scenario(auto).respond(SCHNELL, {"images": []})
    response = auto.request("POST", f"{RUN}/{SCHNELL}/stream", body=b'{"prompt": "a cat"}')
    assert response.text == 'data: {"images":[]}\n\n'


def test_a_model_without_a_stream_has_none_with_an_output(auto: Fal) -> None:
    scenario(auto).respond("fal-ai/whisper", {"text": "hello"})
    assert auto.request("POST", f"{RUN}/fal-ai/whisper/stream", body=b"{}").status_code == 404


def test_an_output_reaches_realtime_clients(auto: Fal) -> None:
    scenario(auto).respond(
        APP, lambda input: {"echo": input["x"], "image": File(b"png", content_type="image/png")}
    )
    connection = Connection(auto, f"wss://fal.run/{APP}/realtime")
    connection.send({"x": 1, "request_id": "a"})
    result = connection.wait_for_frames(1)[0]
    assert (result["echo"], result["request_id"], result["image"]["content"]) == (1, "a", b"png")


def test_an_app_without_an_output_has_no_socket(auto: Fal) -> None:
    scenario(auto).respond("you/app", 1)
    for url in (f"wss://fal.run/{APP}/realtime", f"wss://ws.fal.run/{APP}"):
        assert Connection(auto, url).rejection.status_code == 404


def test_a_realtime_output_may_be_any_json(auto: Fal) -> None:
    scenario(auto).respond(APP, [1, 2])
    connection = Connection(auto, f"wss://fal.run/{APP}/realtime")
    connection.send({"request_id": "a"})
    assert connection.wait_for_frames(1)[0] == [1, 2]


def test_http_over_a_socket_returns_an_output(auto: Fal) -> None:
    scenario(auto).respond(APP, {"text": "hello"})
    connection = Connection(auto, f"wss://ws.fal.run/{APP}")
    connection.send({}, msgpack_encoded=False)
    assert b'{"text":"hello"}' in connection.wait_for_frames(3)


def test_a_webhook_carries_the_output(fal: Fal) -> None:
    scenario(fal).respond(APP, {"video": File("video", duration_s=1).url})
    fal.submit(endpoint=APP, query="?fal_webhook=http://127.0.0.1:9/hook")
    fal.advance(100)
    (delivery,) = fal.emulator.deliveries
    result = delivery.request.result
    assert isinstance(result, RunnerResponse) and result.body["video"].path.endswith(".mp4")


def test_the_journal_names_the_rule_and_the_warning(auto: Fal, caplog: pytest.LogCaptureFixture) -> None:
    scenario(auto).respond("fal-ai/whisper", {"text": 5})
    body = b'{"audio_url": "https://example.com/a.mp3"}'
    with caplog.at_level(logging.WARNING, "mock_fal"):
        for _ in range(2):
            assert auto.request("POST", f"{RUN}/fal-ai/whisper", body=body).json() == {"text": 5}
    exchange = auto.journal[-1]
    assert exchange.directive == 'endpoint=fal-ai/whisper output={"text":5}'
    assert exchange.is_stubbed
    assert exchange.warning.startswith("fal-ai/whisper: the output of your own does not match")
    assert [record.getMessage() for record in caplog.records] == [f"mock-fal: {exchange.warning}"]


def test_billed_units_are_reported(auto: Fal) -> None:
    scenario(auto).respond(APP, 1, billed=2.5)
    response = auto.request("POST", f"{RUN}/{APP}", body=b"{}")
    assert response.headers["x-fal-billable-units"] == "2.50000000"


# -- files


def test_the_files_of_an_output_open(auto: Fal) -> None:
    files = {
        "own": File(b"hello", content_type="text/plain", file_name="a.txt"),
        "image": File("image", width=16, height=16),
    }
    scenario(auto).respond(APP, files)
    result = call(auto)
    own = auto.request("GET", result["own"]["url"])
    assert (own.content, own.headers["content-type"]) == (b"hello", "text/plain")
    assert auto.request("GET", result["own"]["url"], headers={"range": "bytes=1-2"}).content == b"el"
    assert auto.request("GET", result["image"]["url"]).content[:2] == b"\xff\xd8"


def test_a_file_of_an_output_is_an_input_of_another_model(auto: Fal) -> None:
    scenario(auto).respond(APP, {"image": File("image", width=64, height=48).url})
    url = call(auto)["image"]
    edited = call(auto, "fal-ai/flux/dev/image-to-image", {"prompt": "a dog", "image_url": url})
    assert (edited["images"][0]["width"], edited["images"][0]["height"]) == (64, 48)


# -- callables


def test_a_callable_runs_outside_the_event_loop(auto: Fal) -> None:
    threads: list[str] = []

    def answer(input: Any) -> Any:
        threads.append(threading.current_thread().name)
        return {"echo": input}

    scenario(auto).respond(APP, answer)
    assert call(auto, document={"a": 1}) == {"echo": {"a": 1}}
    assert len(threads) == 1
    assert threads[0].startswith("callable <callable ") and "answer" in threads[0]


def test_a_callable_is_called_for_valid_inputs_only(auto: Fal) -> None:
    calls: list[Any] = []
    scenario(auto).respond("*", calls.append)
    assert auto.request("POST", f"{RUN}/fal-ai/whisper", body=b"{}").status_code == 422
    assert auto.request("POST", f"{RUN}/{APP}", body=b"{").status_code == 422
    assert calls == []


def test_an_injected_error_calls_nothing(auto: Fal) -> None:
    calls: list[Any] = []
    scenario(auto).respond(APP, calls.append)
    body = b'{"prompt": "[mock: error=runner_disconnected]"}'
    assert auto.request("POST", f"{RUN}/{APP}", body=body).status_code == 503
    assert calls == []


def test_a_callable_that_raises_is_an_internal_error(auto: Fal) -> None:
    def answer(input: Any) -> Any:
        raise ValueError("no cats today")

    scenario(auto).respond(APP, answer)
    response = auto.request("POST", f"{RUN}/{APP}", body=b"{}")
    assert response.status_code == 500
    assert response.json()["detail"][0]["type"] == "internal_server_error"
    assert auto.journal[-1].warning.endswith("answer raised ValueError: no cats today")


def test_a_callable_may_call_a_model(auto: Fal) -> None:
    """It runs while the server answers."""
    loop_calls: list[Any] = []

    def outer(input: Any) -> Any:
        request = auto.emulator.run(EndpointId.parse("me/inner"), b"{}", "alice")
        loop_calls.append(request.result)
        return "outer"

    scenario(auto).respond("me/inner", "inner")
    scenario(auto).respond(APP, outer)
    assert call(auto) == "outer"
    assert loop_calls[0].body == "inner"


def test_a_callable_that_takes_too_long_is_an_internal_error(
    auto: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mock_fal.scenario.output.MAX_CALL_S", 0.01)
    released = threading.Event()
    scenario(auto).respond(APP, lambda input: released.wait(20))
    assert auto.request("POST", f"{RUN}/{APP}", body=b"{}").status_code == 500
    assert "took more than 0.01 s" in auto.journal[-1].warning
    released.set()


def test_the_number_of_running_callables_is_limited(auto: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "_slots", threading.BoundedSemaphore(1))
    assert answers._slots.acquire()
    scenario(auto).respond(APP, lambda input: 1)
    assert auto.request("POST", f"{RUN}/{APP}", body=b"{}").status_code == 500
    assert "are running already" in auto.journal[-1].warning
    answers._slots.release()
    assert call(auto) == 1


def test_a_used_up_callable_is_followed_by_the_next(auto: Fal) -> None:
    scenario(auto).respond(APP, lambda input: "second")
    scenario(auto).respond(APP, lambda input: "first", times=1)
    assert [call(auto), call(auto)] == ["first", "second"]


# -- limits


def test_the_rules_of_a_key_count_against_the_memory(serve: Serve) -> None:
    fal = serve(max_memory=16 << 20)
    rule = {"endpoint": APP, "output": "x" * 1_000_000}
    before = fal.emulator.store.memory.used
    assert fal.request("POST", SCENARIO, body=json.dumps(rule).encode()).status_code == 200
    assert fal.emulator.store.memory.used - before >= 4_000_000
    rules = [{**rule, "output": "x" * 3_500_000}]
    response = fal.request("POST", SCENARIO, body=json.dumps(rules).encode())
    assert (response.status_code, "--max-memory" in response.text) == (422, True)


def test_a_long_output_is_read_in_a_thread(auto: Fal) -> None:
    rule = {"endpoint": APP, "output": list(range(10_000)) + ["x" * 100_000]}
    assert auto.request("PUT", SCENARIO, body=json.dumps(rule).encode()).status_code == 200
    assert call(auto) == rule["output"]
    assert len(auto.journal[-1].directive) < 40_000


def test_queues_of_apps_without_requests_are_forgotten(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.store.MAX_QUEUES", 3)
    fal = serve(clock="auto-advance", retention=20)
    for number in range(60):
        call(fal, f"me/app-{number}", headers={"x-mock-fal": "output=1"})
    assert len(fal.emulator.store.tenant("alice").queues) <= 21


def test_a_rule_may_be_about_any_guessed_endpoint(serve: Serve) -> None:
    fal = serve(clock="auto-advance", guess_models=True)
    scenario(fal).add("error=downstream_service_error", endpoint="new/text-to-image")
    response = fal.request("POST", f"{RUN}/new/text-to-image", body=b'{"prompt": "a cat"}')
    assert response.status_code == 400


@pytest.mark.parametrize("directive", ["queue=5", "error=runner_disconnected", "logs=2 run=3", "status=503"])
def test_directives_act_on_every_endpoint(auto: Fal, directive: str) -> None:
    """Nothing about them depends on the kind of the model."""
    scenario(auto).add(directive, endpoint="fal-ai/kling-video/v2/master/text-to-video")
    body = b'{"prompt": "a cat"}'
    codes = [
        auto.request("POST", f"{RUN}/{endpoint}", body=body).status_code
        for endpoint in ("fal-ai/kling-video/v2/master/text-to-video", SCHNELL)
    ]
    assert codes == [503 if "=503" in directive or "disconnected" in directive else 200, 200]
