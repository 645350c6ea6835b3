"""fal's own server proxy, unmodified, in Express and in Hono: the official client asks it, and it asks us.

Where the two don't relay what they should, the tests show it as it is: so it would be with the live service.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from mock_fal import Account
from tests.clients.programs import FOLDER, Node, StandingClock, finished
from tests.clients.test_python_client import MISSING_PROMPT, calls, header

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="Node on Windows wants more of an environment than ours"
)

Tell = Callable[..., Any]


@pytest.fixture(params=["express", "hono"])
def adapter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def tell(newest_node: Node, mock_fal: Account) -> Tell:
    """What a story of `proxy_server.mjs` tells."""

    def told(adapter: str, story: str) -> Any:
        # The proxy warns on stderr, as soon as it is loaded, that nobody has restricted it.
        script = str(FOLDER / "proxy_server.mjs")
        done = finished([str(newest_node.binary), script, adapter, story, mock_fal.url])
        assert done.returncode == 0, done.stderr
        seen = json.loads(done.stdout)
        assert seen["keys"] == [None]
        return seen

    return told


def test_run_answers_by_the_proxy(adapter: str, tell: Tell, mock_fal: Account) -> None:
    seen = tell(adapter, "run")
    assert (seen["data"]["prompt"], seen["data"]["seed"]) == ("a cat", 7)
    assert seen["requestId"] == mock_fal.requests[0].request_id


def test_the_proxy_adds_the_key_and_its_name(adapter: str, tell: Tell, mock_fal: Account) -> None:
    tell(adapter, "run")
    assert header(mock_fal, "authorization") == f"Key {mock_fal.key}"
    assert header(mock_fal, "x-fal-client-proxy") == f"@fal-ai/server-proxy/{adapter}"
    assert header(mock_fal, "user-agent") == "@fal-ai/client/1.10.1"
    assert mock_fal.requests[0].host == "fal.run"


def test_subscribe_polls_by_the_proxy(adapter: str, tell: Tell, mock_fal: Account) -> None:
    seen = tell(adapter, "subscribe")
    assert seen["updates"] == [["IN_QUEUE", None], ["IN_PROGRESS", 2], ["COMPLETED", 4]]
    assert seen["requestId"] == mock_fal.requests[0].request_id
    # Behind the gateway a file has fal's own address, whoever fetches it.
    assert seen["data"]["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")


def test_a_model_streams_by_the_proxy(adapter: str, tell: Tell, mock_fal: Account) -> None:
    seen = tell(adapter, "stream")
    assert len(seen["prompts"]) > 1 and seen["prompts"][-1] == "a cat"
    assert seen["last"]["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")
    assert (mock_fal.requests[0].host, mock_fal.requests[0].path) == (
        "fal.run",
        "/fal-ai/flux/schnell/stream",
    )


def test_a_blob_is_uploaded_past_the_proxy(adapter: str, tell: Tell, mock_fal: Account) -> None:
    """It is announced by the proxy, and sent to where the answer says."""
    assert tell(adapter, "upload")["text"] == "a cat"
    asked = [(each.method, each.host) for each in mock_fal.fal.requests]
    assert asked == [("POST", "rest.fal.ai"), ("PUT", "v3b.fal.media"), ("GET", "v3b.fal.media")]


def test_an_upload_in_parts_is_nothing_that_the_proxy_lets_pass(
    adapter: str, tell: Tell, mock_fal: Account
) -> None:
    seen = tell(adapter, "large")
    assert (seen["name"], seen["status"], seen["body"]) == ("ApiError", 400, "Invalid request")
    assert mock_fal.fal.requests == []


def test_hono_relays_a_status(tell: Tell, mock_fal: Account) -> None:
    seen = tell("hono", "invalid")
    assert (seen["name"], seen["status"]) == ("ValidationError", 422)
    assert seen["body"]["detail"][0] == {**MISSING_PROMPT, "input": {"seed": "seven"}}


def test_express_answers_200_to_every_status(tell: Tell, mock_fal: Account) -> None:
    """And so the error is taken for a result."""
    seen = tell("express", "invalid")
    assert "status" not in seen
    assert seen["data"]["detail"][0] == {**MISSING_PROMPT, "input": {"seed": "seven"}}
    assert mock_fal.requests[0].status == 422


class TestWhereTimeStandsStill(StandingClock):
    """A server whose clock only the story moves."""

    def test_events_come_through_the_proxy_as_they_happen(
        self, adapter: str, tell: Tell, mock_fal: Account
    ) -> None:
        seen = tell(adapter, "streamStatus")
        assert (seen["states"][0], seen["states"][-1]) == ("IN_QUEUE", "COMPLETED")
        assert seen["requestId"] == mock_fal.requests[0].request_id
        assert header(mock_fal, "accept", at=1) == "application/json"

    def test_express_passes_on_what_is_fals(self, tell: Tell, mock_fal: Account) -> None:
        tell("express", "streamStatus")
        assert header(mock_fal, "x-fal-queue-priority") == "low"
        target = "https://queue.fal.run/fal-ai/flux/schnell"
        assert header(mock_fal, "x-fal-target-url") == target

    def test_hono_keeps_back_what_is_fals(self, tell: Tell, mock_fal: Account) -> None:
        tell("hono", "streamStatus")
        assert header(mock_fal, "x-fal-queue-priority") is None

    def test_express_cancels(self, tell: Tell, mock_fal: Account) -> None:
        tell("express", "cancel")
        assert calls(mock_fal) == [("POST", "", 200), ("PUT", "cancel", 200)]

    def test_hono_fails_at_a_put_without_a_body(self, tell: Tell, mock_fal: Account) -> None:
        """It reads one as JSON; so the client can't cancel by it."""
        assert tell("hono", "cancel")["status"] == 500
        assert calls(mock_fal) == [("POST", "", 200)]
