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
from tests.clients.programs import PATIENCE_S, Node, StandingClock
from tests.clients.test_python_client import MISSING_PROMPT, header

SCHNELL = "fal-ai/flux/schnell"
LLM = "fal-ai/any-llm"
CAT = {"prompt": "a cat", "seed": 7, "image_size": {"width": 64, "height": 48}}
FOUR_WORDS = ["This", "This is", "This is mock-fal,", "This is mock-fal, standing"]


def size(event: dict[str, Any]) -> tuple[int, int]:
    """The size of the picture that an event carries in itself."""
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


def test_a_text_grows(mock_fal: Account) -> None:
    events = list(fal_client.stream(LLM, {"prompt": "a cat", "max_tokens": 4}))
    assert [event["output"] for event in events] == FOUR_WORDS
    assert [event["partial"] for event in events] == [True, True, True, False]


def test_the_asynchronous_client_sees_the_same(mock_fal: Account) -> None:
    async def story() -> list[dict[str, Any]]:
        client = fal_client.AsyncClient(key=mock_fal.key)
        events = [event async for event in client.stream(SCHNELL, CAT)]
        await (await client._client).aclose()
        return events

    *previews, last = asyncio.run(story())
    assert [size(preview) for preview in previews] == [(64, 48)] * 3
    assert last["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")


@pytest.mark.parametrize(
    ("arguments", "status"), [({}, 422), ({"prompt": "[mock: error=runner_disconnected]"}, 503)]
)
def test_an_error_is_a_plain_answer(mock_fal: Account, arguments: dict[str, str], status: int) -> None:
    """The client has no error of its own for it (fal_client 1.0.3)."""
    with pytest.raises(SSEError, match="got 'application/json'"):
        list(fal_client.stream(SCHNELL, arguments))
    assert mock_fal.requests[0].status == status


# -- JavaScript


@pytest.mark.parametrize("story", ["server", "client"])
def test_the_javascript_client_streams(node: Node, mock_fal: Account, story: str) -> None:
    """With a key, and as in a browser: with a token in the address, and no key."""
    seen = node("streams.mjs", story)
    assert [size(preview) for preview in seen["events"][:-1]] == [(64, 48)] * 3
    assert seen["last"] == seen["events"][-1]
    assert seen["last"]["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")
    stream = mock_fal.requests[-1]
    assert seen["requestId"] == stream.request_id
    assert (b"authorization" in dict(stream.request_headers)) is (story == "server")


def test_the_javascript_client_reads_named_events(newest_node: Node, mock_fal: Account) -> None:
    seen = newest_node("streams.mjs", "text")
    assert [event["output"] for event in seen["events"]] == FOUR_WORDS


@pytest.mark.parametrize(
    ("story", "name", "status", "body"),
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
def test_the_javascript_client_is_told_of_an_error(
    newest_node: Node, mock_fal: Account, story: str, name: str, status: int, body: dict[str, Any]
) -> None:
    seen = newest_node("streams.mjs", story)
    assert (seen["name"], seen["isApiError"], seen["status"]) == (name, True, status)
    assert seen["body"] == body


# -- who hangs up


class TestWhereTimeStandsStill(StandingClock):
    """A server whose requests never end by themselves."""

    def test_an_aborted_stream_ends_the_request(self, newest_node: Node, mock_fal: Account) -> None:
        seen = newest_node("streams.mjs", "abort")
        assert seen["done"] == {}
        assert ending(seen["requestId"]) == "client_disconnected"

    def test_a_stream_that_is_closed_ends_the_request(self, mock_fal: Account) -> None:
        headers = {"authorization": f"Key {mock_fal.key}"}
        with httpx.stream("POST", f"https://fal.run/{SCHNELL}/stream", json=CAT, headers=headers) as response:
            assert response.headers["content-type"] == "text/event-stream"
        assert ending(response.headers["x-fal-request-id"]) == "client_disconnected"

    def test_a_caller_who_gives_up_ends_a_direct_request(self, mock_fal: Account) -> None:
        """Not asked by fal's client, which tries nine times more when it gives up (fal_client 1.0.3)."""
        headers, patience = {"authorization": f"Key {mock_fal.key}"}, httpx.Timeout(PATIENCE_S, read=0.5)
        with pytest.raises(httpx.ReadTimeout):
            httpx.post(f"https://fal.run/{SCHNELL}", json=CAT, headers=headers, timeout=patience)
        exchange = noticed(mock_fal)
        assert (exchange.status, exchange.request_id is None) == (499, False)


def ending(request_id: str) -> str:
    """How a request ended, as soon as it has."""
    url = f"https://queue.fal.run/fal-ai/flux/requests/{request_id}/status/stream"
    events = httpx.get(url, timeout=PATIENCE_S).text.split("data: ")
    told: str = json.loads(events[-1])["error_type"]
    return told


def noticed(mock_fal: Account) -> Exchange:
    """The first exchange, as soon as there is one: the server sees in its own time that somebody hung up."""
    with httpx.Client() as control:
        for _ in range(1000):
            if mock_fal.requests:
                break
            control.get(f"{mock_fal.url}/_mock/health")
    return mock_fal.requests[0]
