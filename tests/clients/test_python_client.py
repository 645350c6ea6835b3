"""The official Python client, unmodified: every call of its queue and run protocol."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fal_client
import httpx
import pytest
from fal_client import Completed, FalClientHTTPError, InProgress, Queued
from PIL import Image

from mock_fal import Account, MockFal
from tests.clients.programs import WithManualClock, mock_fal_run

SCHNELL = "fal-ai/flux/schnell"
CAT = {"prompt": "a cat"}
# The client polls every 100 ms by default; the tests poll at once.
AT_ONCE = 0.001


def picture(result: dict[str, Any], index: int = 0) -> bytes:
    """Download a file of a result."""
    response = httpx.get(result["images"][index]["url"])
    assert response.status_code == 200
    return response.content


def header(mock_fal: Account, name: str, index: int = 0) -> str | None:
    """A header of a request of the client."""
    sent = dict(mock_fal.requests[index].request_headers)
    value: bytes | None = sent.get(name.encode())
    return None if value is None else value.decode()


def calls(mock_fal: Account) -> list[tuple[str, str, int]]:
    """The client's requests: method, path after the request id, and status of the response."""
    return [
        (exchange.method, exchange.path.partition("/requests/")[2].partition("/")[2], exchange.status)
        for exchange in mock_fal.requests
    ]


# -- run


def test_run_returns_the_models_output(mock_fal: Account) -> None:
    result = fal_client.run(SCHNELL, CAT)
    assert list(result) == ["images", "timings", "seed", "has_nsfw_concepts", "prompt"]
    assert list(result["images"][0]) == ["url", "width", "height", "content_type"]
    assert result["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")
    assert (result["prompt"], result["has_nsfw_concepts"]) == ("a cat", [False])


def test_run_accepts_a_path_separate_from_the_app(mock_fal: Account) -> None:
    fal_client.run("fal-ai/flux", CAT, path="/schnell")
    assert mock_fal.requests[0].url == "https://fal.run/fal-ai/flux/schnell"


def test_run_sends_a_hint_and_a_start_timeout(mock_fal: Account) -> None:
    fal_client.run(SCHNELL, CAT, hint="warm", start_timeout=30)
    assert header(mock_fal, "x-fal-runner-hint") == "warm"
    assert header(mock_fal, "x-fal-request-timeout") == "30.0"


def test_the_picture_has_the_size_of_the_result(mock_fal: Account) -> None:
    result = fal_client.run(SCHNELL, CAT)
    image = Image.open(io.BytesIO(picture(result)))
    assert (image.format, image.size) == ("JPEG", (1024, 768))
    assert (result["images"][0]["width"], result["images"][0]["height"]) == (1024, 768)


def test_the_same_seed_gives_the_same_bytes(mock_fal: Account) -> None:
    first, second = (fal_client.run(SCHNELL, {**CAT, "seed": 42}) for _ in range(2))
    assert first["images"][0]["url"] != second["images"][0]["url"]
    assert picture(first) == picture(second)


def test_four_pictures_differ_from_each_other(mock_fal: Account) -> None:
    result = fal_client.run(SCHNELL, {**CAT, "num_images": 4, "image_size": "square"})
    assert len({picture(result, index) for index in range(4)}) == 4


def test_a_png_is_a_png(mock_fal: Account) -> None:
    result = fal_client.run(SCHNELL, {**CAT, "output_format": "png", "image_size": "square"})
    assert result["images"][0]["content_type"] == "image/png"
    assert Image.open(io.BytesIO(picture(result))).format == "PNG"


def test_sync_mode_returns_the_picture_itself(mock_fal: Account) -> None:
    arguments = {**CAT, "seed": 42, "sync_mode": True, "image_size": "square"}
    url = fal_client.run(SCHNELL, arguments)["images"][0]["url"]
    head, _, data = url.partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(data) == picture(fal_client.run(SCHNELL, {**arguments, "sync_mode": False}))


def test_an_unsafe_picture_is_black_and_flagged(mock_fal: Account) -> None:
    result = fal_client.run(SCHNELL, {"prompt": "[mock: nsfw]", "output_format": "png"})
    assert result["has_nsfw_concepts"] == [True]
    assert Image.open(io.BytesIO(picture(result))).convert("RGB").getextrema() == ((0, 0),) * 3


# -- queue


def test_a_request_is_followed_from_the_queue_to_its_result(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, CAT)
    assert handle.status() == Queued(position=0)
    assert handle.status() == InProgress(logs=None)
    done = handle.status()
    assert isinstance(done, Completed)
    assert (done.logs, done.metrics, done.error) == (None, {"inference_time": pytest.approx(0.8)}, None)
    assert handle.get(interval=AT_ONCE)["prompt"] == "a cat"


def test_a_submission_that_ends_at_once_is_in_queue(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "[mock: queue=0 run=0]"})
    assert json.loads(mock_fal.requests[0].response_body)["status"] == "IN_QUEUE"
    assert handle.status() == Completed(logs=None, metrics={"inference_time": 0.0})
    assert handle.get(interval=AT_ONCE)["seed"]


def test_logs_are_included_on_request(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, CAT)
    queued, running, done = handle.iter_events(with_logs=True, interval=AT_ONCE)
    assert isinstance(queued, Queued)
    assert isinstance(running, InProgress)
    assert isinstance(done, Completed)
    assert running.logs and done.logs
    assert done.logs[: len(running.logs)] == running.logs
    assert len(done.logs) == 4
    assert list(done.logs[0]) == ["message", "level", "source", "timestamp"]


def test_a_request_is_found_by_its_id(mock_fal: Account) -> None:
    request_id = fal_client.submit(SCHNELL, CAT).request_id
    assert fal_client.status(SCHNELL, request_id, with_logs=True) == Queued(position=0)
    assert fal_client.result(SCHNELL, request_id)["prompt"] == "a cat"


def test_the_position_is_the_number_of_requests_ahead(mock_fal: Account) -> None:
    handles = [fal_client.submit(SCHNELL, CAT) for _ in range(3)]
    assert handles[2].status() == Queued(position=2)


def test_low_priority_requests_wait_for_later_ones(mock_fal: Account) -> None:
    low = fal_client.submit(SCHNELL, CAT, priority="low")
    fal_client.submit(SCHNELL, CAT)
    assert header(mock_fal, "x-fal-queue-priority") == "low"
    assert low.status() == Queued(position=1)


def test_submit_accepts_a_path_a_hint_and_a_webhook(mock_fal: Account) -> None:
    webhook = "http://127.0.0.1:9/hook?a=1&b=2"
    fal_client.submit("fal-ai/flux", CAT, path="schnell", hint="warm", webhook_url=webhook)
    assert mock_fal.requests[0].path == "/fal-ai/flux/schnell"
    assert httpx.QueryParams(mock_fal.requests[0].query) == httpx.QueryParams(fal_webhook=webhook)
    assert header(mock_fal, "x-fal-runner-hint") == "warm"


def test_a_start_timeout_ends_the_wait_and_is_not_retried(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "[mock: queue=60]"}, start_timeout=1.5)
    queued, done = handle.iter_events(interval=AT_ONCE)
    assert queued == Queued(position=0)
    assert isinstance(done, Completed)
    assert (done.error, done.error_type) == ("Request timed out", "request_timeout")
    with pytest.raises(FalClientHTTPError) as caught:
        handle.get(interval=AT_ONCE)
    error = caught.value
    assert (error.status_code, error.message, error.error_type) == (
        *(504, "Request timed out", "request_timeout"),
    )
    assert error.response_headers["x-fal-request-timeout-type"] == "user"
    assert calls(mock_fal).count(("GET", "", 504)) == 1


def test_a_direct_call_has_a_start_timeout_too(mock_fal: Account) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        fal_client.run(SCHNELL, {"prompt": "[mock: queue=60]"}, start_timeout=1.5)
    assert (caught.value.status_code, caught.value.error_type) == (504, "request_timeout")
    assert len(mock_fal.requests) == 1


def test_a_completed_request_can_not_be_cancelled(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, CAT)
    handle.get(interval=AT_ONCE)
    with pytest.raises(FalClientHTTPError) as caught:
        handle.cancel()
    assert caught.value.status_code == 400
    assert caught.value.response.json() == {"status": "ALREADY_COMPLETED"}


# -- subscribe


def test_subscribe_reports_every_status(mock_fal: Account) -> None:
    ids: list[str] = []
    statuses: list[fal_client.Status] = []
    result = fal_client.subscribe(
        SCHNELL, CAT, with_logs=True, on_enqueue=ids.append, on_queue_update=statuses.append
    )
    assert [type(status) for status in statuses] == [Queued, InProgress, Completed]
    assert isinstance(statuses[1], InProgress) and statuses[1].logs
    assert ids == [mock_fal.requests[0].request_id]
    assert len(picture(result)) > 1000


def test_the_journal_has_all_requests(mock_fal: Account) -> None:
    fal_client.subscribe(SCHNELL, CAT, interval=AT_ONCE)
    assert mock_fal.requests[0].json == CAT
    polls = [("GET", "status", 202), ("GET", "status", 202), ("GET", "status", 200)]
    assert calls(mock_fal) == [("POST", "", 200), *polls, ("GET", "", 200)]


# -- errors

MISSING_PROMPT = {"type": "missing", "loc": ["body", "prompt"], "msg": "Field required", "input": {}}
TOO_MANY_STEPS = {
    "type": "less_than_equal",
    "loc": ["body", "num_inference_steps"],
    "msg": "Input should be less than or equal to 12",
    "input": 28,
    "ctx": {"le": 12},
}
WRONG_FORMAT = {
    "type": "literal_error",
    "loc": ["body", "output_format"],
    "msg": "Input should be 'jpeg' or 'png'",
    "input": "webp",
    "ctx": {"expected": "'jpeg' or 'png'"},
}


@pytest.mark.parametrize(
    ("arguments", "detail"),
    [
        pytest.param({}, [MISSING_PROMPT], id="no prompt"),
        pytest.param({**CAT, "num_inference_steps": 28}, [TOO_MANY_STEPS], id="too many steps"),
        pytest.param(
            {"num_inference_steps": 28, "prompt": "a cat", "output_format": "webp"},
            [TOO_MANY_STEPS, WRONG_FORMAT],
            id="two at once",
        ),
    ],
)
@pytest.mark.parametrize("call", ["run", "subscribe"])
def test_the_error_of_an_invalid_input_is_exactly_fals(
    mock_fal: Account, call: str, arguments: dict[str, Any], detail: list[dict[str, Any]]
) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        getattr(fal_client, call)(SCHNELL, arguments)
    error = caught.value
    assert (error.status_code, error.error_type) == (422, None)
    assert error.response.text == json.dumps({"detail": detail}, separators=(",", ":"))
    assert error.response_headers["x-fal-billable-units"] == "0"


def test_a_request_with_an_invalid_input_is_completed(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {})
    *_, done = handle.iter_events(interval=AT_ONCE)
    assert isinstance(done, Completed)
    assert (done.error, done.error_type) == (None, None)


def test_a_directive_injects_a_model_error(mock_fal: Account) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        fal_client.subscribe(SCHNELL, {"prompt": "[mock: error=content_policy_violation]"})
    (item,) = caught.value.response.json()["detail"]
    assert (caught.value.status_code, item["type"]) == (422, "content_policy_violation")


def test_a_directive_injects_a_request_error(mock_fal: Account) -> None:
    handle = fal_client.submit(SCHNELL, {"prompt": "[mock: error=runner_server_error]"})
    *_, done = handle.iter_events(interval=AT_ONCE)
    assert isinstance(done, Completed)
    assert done.error_type == "runner_server_error"
    with pytest.raises(FalClientHTTPError) as caught:
        handle.get(interval=AT_ONCE)
    assert (caught.value.status_code, caught.value.error_type) == (500, "runner_server_error")


@pytest.mark.parametrize("call", ["run", "submit"])
def test_an_unknown_app_is_rejected_at_submission(mock_fal: Account, call: str) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        getattr(fal_client, call)("fal-ai/fluxx/schnell", CAT)
    assert (caught.value.status_code, caught.value.message) == (404, 'Application "fluxx" not found')


def test_an_unknown_path_is_an_error_of_the_runner(mock_fal: Account) -> None:
    with pytest.raises(FalClientHTTPError) as caught:
        fal_client.subscribe("fal-ai/flux/nope", CAT, interval=AT_ONCE)
    assert (caught.value.status_code, caught.value.message) == (404, "Path /nope not found")


def test_an_unknown_id_is_not_found(mock_fal: Account) -> None:
    unknown = "019f6b1b-49c3-7163-9866-2d7bdfec2232"
    with pytest.raises(FalClientHTTPError) as caught:
        fal_client.status(SCHNELL, unknown)
    assert (caught.value.status_code, caught.value.response.json()) == (404, {"status": "NOT_FOUND"})


@pytest.mark.parametrize("call", ["run", "submit"])
def test_an_invalid_key_is_rejected(mock_fal: Account, call: str) -> None:
    client = fal_client.SyncClient(key="YOUR_API_KEY")
    with pytest.raises(FalClientHTTPError) as caught:
        getattr(client, call)(SCHNELL, CAT)
    assert (caught.value.status_code, caught.value.message) == (
        401,
        'Cannot access application "fal-ai/flux". Authentication is required to access this application.',
    )
    client._client.close()


@pytest.mark.parametrize("host", ["fal.run", "queue.fal.run"])
def test_a_request_without_a_key_is_rejected(mock_fal: Account, host: str) -> None:
    response = httpx.post(f"https://{host}/{SCHNELL}", json=CAT)
    assert response.status_code == 401
    assert "Authentication is required" in response.json()["detail"]


class TestWithOneKeyOnly:
    """With a server that was started with --key."""

    @pytest.fixture(scope="class")
    @classmethod
    def mock_fal_server(cls) -> Iterator[MockFal]:
        with MockFal(clock="auto-advance", key=("alice:secret",)) as fal:
            yield fal

    @pytest.mark.parametrize("call", ["run", "submit"])
    def test_another_key_is_invalid(self, mock_fal: Account, call: str) -> None:
        with pytest.raises(FalClientHTTPError) as caught:
            getattr(fal_client, call)(SCHNELL, CAT)
        assert (caught.value.status_code, caught.value.message) == (401, "invalid key credentials")

    def test_that_key_is_valid(self, mock_fal: Account, mock_fal_server: MockFal) -> None:
        client = fal_client.SyncClient(key="alice:secret")
        assert client.run(SCHNELL, CAT)["prompt"] == "a cat"
        assert [exchange.tenant for exchange in mock_fal_server.requests] == ["alice"]
        client._client.close()


class TestWithManualClock(WithManualClock):
    """With a server whose requests never end by themselves."""

    def test_a_queued_request_is_removed(self, mock_fal: Account) -> None:
        handle = fal_client.submit(SCHNELL, CAT)
        handle.cancel()
        done = handle.status()
        assert isinstance(done, Completed)
        assert (done.metrics, done.error_type) == ({}, "client_cancelled")
        with pytest.raises(FalClientHTTPError) as caught:
            handle.get(interval=AT_ONCE)
        assert (caught.value.status_code, caught.value.error_type) == (499, "client_cancelled")
        assert ("PUT", "cancel", 200) in calls(mock_fal)

    def test_a_running_request_may_continue(self, mock_fal: Account) -> None:
        """fal forwards the cancellation to the app, and most apps ignore it."""
        handle = fal_client.submit(SCHNELL, {"prompt": "[mock: queue=0]"})
        assert isinstance(handle.status(), InProgress)
        fal_client.cancel(SCHNELL, handle.request_id)
        assert calls(mock_fal)[-1] == ("PUT", "cancel", 202)
        assert isinstance(handle.status(), InProgress)

    def test_a_request_of_an_app_that_cancels_is_a_499(self, mock_fal: Account) -> None:
        handle = fal_client.submit(SCHNELL, {"prompt": "[mock: queue=0 cancel=honoured]"})
        handle.cancel()
        assert calls(mock_fal)[-1] == ("PUT", "cancel", 202)
        with pytest.raises(FalClientHTTPError) as caught:
            handle.get(interval=AT_ONCE)
        assert (caught.value.status_code, caught.value.message) == (499, "Request cancelled")

    def test_a_client_timeout_cancels_the_request(
        self, mock_fal: Account, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """The client's worker is not stopped: it polls until the request ends, here by the cancellation."""
        arguments = {"prompt": "[mock: queue=0 cancel=honoured]"}
        with ThreadPoolExecutor() as workers:  # to wait for the worker
            monkeypatch.setattr("fal_client.client.EXECUTOR", workers)
            with pytest.raises(fal_client.FalClientTimeoutError) as caught:
                fal_client.subscribe(SCHNELL, arguments, client_timeout=1.01)
        assert caught.value.request_id == mock_fal.requests[0].request_id
        assert header(mock_fal, "x-fal-request-timeout") == "1.01"
        assert ("PUT", "cancel", 202) in calls(mock_fal)
        assert calls(mock_fal)[-1] == ("GET", "", 499)

    def test_an_async_client_timeout_cancels_the_request(self, mock_fal: Account) -> None:
        with pytest.raises(fal_client.FalClientTimeoutError):
            asyncio.run(fal_client.subscribe_async(SCHNELL, CAT, client_timeout=1.01))
        assert calls(mock_fal)[-1] == ("PUT", "cancel", 200)


# -- client objects


def test_a_client_with_another_key_is_another_account(mock_fal: Account, mock_fal_server: MockFal) -> None:
    client = fal_client.SyncClient(key="bob:secret")
    client.subscribe(SCHNELL, CAT, interval=AT_ONCE)
    client._client.close()
    assert mock_fal.requests == []
    assert len(mock_fal_server.account("bob:secret").requests) == 5


def test_the_async_client_has_the_same_functions(mock_fal: Account) -> None:
    async def case() -> tuple[list[type], list[type], dict[str, Any], dict[str, Any]]:
        client = fal_client.AsyncClient(key=mock_fal.key)
        handle = await client.submit(SCHNELL, CAT)
        polled = [type(status) async for status in handle.iter_events(with_logs=True, interval=AT_ONCE)]
        updates: list[type] = []
        subscribed = await client.subscribe(
            SCHNELL, CAT, on_queue_update=lambda status: updates.append(type(status)), interval=AT_ONCE
        )
        direct = await client.run(SCHNELL, CAT)
        with pytest.raises(FalClientHTTPError, match="Field required"):
            await client.run(SCHNELL, {})
        with pytest.raises(FalClientHTTPError):
            await handle.cancel()
        await (await client._client).aclose()
        return polled, updates, subscribed, direct

    polled, updates, subscribed, direct = asyncio.run(case())
    assert polled == updates == [Queued, InProgress, Completed]
    assert subscribed["prompt"] == direct["prompt"] == "a cat"


def test_the_async_functions_work_in_several_event_loops(mock_fal: Account) -> None:
    assert asyncio.run(fal_client.run_async(SCHNELL, CAT))["prompt"] == "a cat"


def test_the_async_functions_work_in_another_test(mock_fal: Account) -> None:
    assert asyncio.run(fal_client.subscribe_async(SCHNELL, CAT))["prompt"] == "a cat"


# -- as a separate program

PROGRAM = """
import json, sys
import fal_client

kinds = []
result = fal_client.subscribe(
    "fal-ai/flux/schnell",
    {"prompt": "a cat", "seed": 7},
    with_logs=True,
    on_queue_update=lambda status: kinds.append(type(status).__name__),
)
print(json.dumps([kinds, result]))
sys.exit(3)
"""


def test_a_program_needs_no_change(tmp_path: Path) -> None:
    """At fifty times the speed, with durations that are longer than the program's poll interval."""
    (tmp_path / "app.py").write_text(PROGRAM)
    done = mock_fal_run(
        [sys.executable, "app.py"], "--queue-duration", "20", "--run-duration", "40", cwd=tmp_path
    )
    assert done.returncode == 3, done.stderr
    kinds, result = json.loads(done.stdout)
    assert list(dict.fromkeys(kinds)) == ["Queued", "InProgress", "Completed"]
    assert (result["seed"], result["prompt"]) == (7, "a cat")
    assert "POST   queue.fal.run/fal-ai/flux/schnell  200" in done.stderr
