"""The official clients' streams, unmodified: Python and JavaScript, with a key and with a token."""

from __future__ import annotations

import asyncio
import base64
import io
import json
from typing import Any

import fal_client
import httpx
import pytest
from httpx_sse import SSEError
from PIL import Image

from mock_fal import Account, Exchange
from tests.clients.programs import PATIENCE_S, Node, WithManualClock
from tests.clients.test_python_client import MISSING_PROMPT, header

SCHNELL = "fal-ai/flux/schnell"
LLM = "fal-ai/any-llm"
CAT = {"prompt": "a cat", "seed": 7, "image_size": {"width": 64, "height": 48}}
FOUR_WORDS = ["This", "This is", "This is mock-fal,", "This is mock-fal, standing"]


def size(event: dict[str, Any]) -> tuple[int, int]:
    """The size of the picture in an event."""
    _, _, data = event["images"][0]["url"].partition("base64,")
    return Image.open(io.BytesIO(base64.b64decode(data))).size


# -- Python


def test_a_stream_shows_previews_and_ends_with_the_result(mock_fal: Account) -> None:
    *previews, last = fal_client.stream(SCHNELL, CAT)
    assert [size(preview) for preview in previews] == [(64, 48)] * 3
    assert last["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")
    assert (last["prompt"], last["seed"], last["timings"]) == ("a cat", 7, {"inference": 0.768})
    assert mock_fal.requests[0].url == f"https://fal.run/{SCHNELL}/stream"
    assert header(mock_fal, "accept") == "text/event-stream"


def test_the_text_of_a_stream_grows(mock_fal: Account) -> None:
    events = list(fal_client.stream(LLM, {"prompt": "a cat", "max_tokens": 4}))
    assert [event["output"] for event in events] == FOUR_WORDS
    assert [event["partial"] for event in events] == [True, True, True, False]


def test_the_async_client_gets_the_same_events(mock_fal: Account) -> None:
    async def case() -> list[dict[str, Any]]:
        client = fal_client.AsyncClient(key=mock_fal.key)
        events = [event async for event in client.stream(SCHNELL, CAT)]
        await (await client._client).aclose()
        return events

    *previews, last = asyncio.run(case())
    assert [size(preview) for preview in previews] == [(64, 48)] * 3
    assert last["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")


@pytest.mark.parametrize(
    ("arguments", "status"), [({}, 422), ({"prompt": "[mock: error=runner_disconnected]"}, 503)]
)
def test_an_error_is_a_plain_response(mock_fal: Account, arguments: dict[str, str], status: int) -> None:
    """The client has no specific error for it (fal_client 1.0.3)."""
    with pytest.raises(SSEError, match="got 'application/json'"):
        list(fal_client.stream(SCHNELL, arguments))
    assert mock_fal.requests[0].status == status


# -- JavaScript


@pytest.mark.parametrize("case", ["server", "client"])
def test_the_javascript_client_streams(node: Node, mock_fal: Account, case: str) -> None:
    """With a key, and as in a browser: with a token in the query and no key."""
    output = node("streams.mjs", case)
    assert [size(preview) for preview in output["events"][:-1]] == [(64, 48)] * 3
    assert output["last"] == output["events"][-1]
    assert output["last"]["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")
    stream = mock_fal.requests[-1]
    assert output["requestId"] == stream.request_id
    assert (b"authorization" in dict(stream.request_headers)) is (case == "server")


def test_the_javascript_client_reads_named_events(newest_node: Node, mock_fal: Account) -> None:
    output = newest_node("streams.mjs", "text")
    assert [event["output"] for event in output["events"]] == FOUR_WORDS


@pytest.mark.parametrize(
    ("case", "name", "status", "body"),
    [
        ("invalid", "ValidationError", 422, {"detail": [MISSING_PROMPT]}),
        ("forged", "ApiError", 401, {"detail": "Unauthorized"}),
        (
            "directive",
            "ApiError",
            503,
            {"detail": "Runner disconnected", "error_type": "runner_disconnected"},
        ),
    ],
)
def test_the_javascript_client_raises_an_error(
    newest_node: Node, mock_fal: Account, case: str, name: str, status: int, body: dict[str, Any]
) -> None:
    output = newest_node("streams.mjs", case)
    assert (output["name"], output["isApiError"], output["status"]) == (name, True, status)
    assert output["body"] == body


# -- disconnects


class TestWithManualClock(WithManualClock):
    """With a server whose requests never end by themselves."""

    def test_an_aborted_stream_ends_the_request(self, newest_node: Node, mock_fal: Account) -> None:
        output = newest_node("streams.mjs", "abort")
        assert output["done"] == {}
        assert error_type_of(output["requestId"]) == "client_disconnected"

    def test_closing_a_stream_ends_the_request(self, mock_fal: Account) -> None:
        headers = {"authorization": f"Key {mock_fal.key}"}
        with httpx.stream("POST", f"https://fal.run/{SCHNELL}/stream", json=CAT, headers=headers) as response:
            assert response.headers["content-type"] == "text/event-stream"
        assert error_type_of(response.headers["x-fal-request-id"]) == "client_disconnected"

    def test_a_client_timeout_ends_a_direct_request(self, mock_fal: Account) -> None:
        """Without fal's client, which retries nine times after a timeout (fal_client 1.0.3)."""
        headers, patience = {"authorization": f"Key {mock_fal.key}"}, httpx.Timeout(PATIENCE_S, read=0.5)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"https://fal.run/{SCHNELL}", json=CAT, headers=headers, timeout=patience)
        exchange = first_exchange(mock_fal)
        assert (exchange.status, exchange.request_id is None) == (499, False)


def error_type_of(request_id: str) -> str:
    """The error type of a request, once it has ended."""
    url = f"https://queue.fal.run/fal-ai/flux/requests/{request_id}/status/stream"
    events = httpx.get(url, timeout=PATIENCE_S).text.split("data: ")
    error_type: str = json.loads(events[-1])["error_type"]
    return error_type


def first_exchange(mock_fal: Account) -> Exchange:
    """The first exchange, once it is written: the server notices a disconnect with a delay."""
    with httpx.Client() as control:
        for _ in range(1000):
            if mock_fal.requests:
                break
            control.get(f"{mock_fal.url}/_mock/health")
    return mock_fal.requests[0]
