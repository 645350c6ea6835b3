"""fal's own server proxy, unmodified, in Express and in Hono: the official client uses it, and it uses mock-fal.

Where an adapter does not forward something, the tests assert that too: the live service would show the same.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from mock_fal import Account
from tests.clients.programs import FOLDER, Node, WithManualClock, run_program
from tests.clients.test_python_client import MISSING_PROMPT, calls, header

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")

RunCase = Callable[..., Any]


@pytest.fixture(params=["express", "hono"])
def adapter(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def run_case(newest_node: Node, mock_fal: Account) -> RunCase:
    """A function that runs a case of `proxy_server.mjs` and returns its output."""

    def run(adapter: str, case: str) -> Any:
        # The proxy warns on stderr that it is not restricted.
        script = str(FOLDER / "proxy_server.mjs")
        done = run_program([str(newest_node.binary), script, adapter, case, mock_fal.url])
        assert done.returncode == 0, done.stderr
        output = json.loads(done.stdout)
        assert output["keys"] == [None]
        return output

    return run


def test_run_works_through_the_proxy(adapter: str, run_case: RunCase, mock_fal: Account) -> None:
    output = run_case(adapter, "run")
    assert (output["data"]["prompt"], output["data"]["seed"]) == ("a cat", 7)
    assert output["requestId"] == mock_fal.requests[0].request_id


def test_the_proxy_adds_the_key_and_its_name(adapter: str, run_case: RunCase, mock_fal: Account) -> None:
    run_case(adapter, "run")
    assert header(mock_fal, "authorization") == f"Key {mock_fal.key.partition(':')[0]}:•••"
    assert header(mock_fal, "x-fal-client-proxy") == f"@fal-ai/server-proxy/{adapter}"
    assert header(mock_fal, "user-agent") == "@fal-ai/client/1.10.1"
    assert mock_fal.requests[0].host == "fal.run"


def test_subscribe_polls_through_the_proxy(adapter: str, run_case: RunCase, mock_fal: Account) -> None:
    output = run_case(adapter, "subscribe")
    assert output["updates"] == [["IN_QUEUE", None], ["IN_PROGRESS", 2], ["COMPLETED", 4]]
    assert output["requestId"] == mock_fal.requests[0].request_id
    # With the gateway files have fal's URLs.
    assert output["data"]["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")


def test_a_model_streams_through_the_proxy(adapter: str, run_case: RunCase, mock_fal: Account) -> None:
    output = run_case(adapter, "stream")
    assert len(output["prompts"]) > 1 and output["prompts"][-1] == "a cat"
    assert output["last"]["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")
    assert (mock_fal.requests[0].host, mock_fal.requests[0].path) == (
        "fal.run",
        "/fal-ai/flux/schnell/stream",
    )


def test_a_blob_is_uploaded_without_the_proxy(adapter: str, run_case: RunCase, mock_fal: Account) -> None:
    """The upload is initiated through the proxy, and sent to the URL in the response."""
    assert run_case(adapter, "upload")["text"] == "a cat"
    requests = [(exchange.method, exchange.host) for exchange in mock_fal.fal.requests]
    assert requests == [("POST", "rest.fal.ai"), ("PUT", "v3b.fal.media"), ("GET", "v3b.fal.media")]


def test_the_proxy_rejects_a_multipart_upload(adapter: str, run_case: RunCase, mock_fal: Account) -> None:
    output = run_case(adapter, "large")
    assert (output["name"], output["status"], output["body"]) == ("ApiError", 400, "Invalid request")
    assert mock_fal.fal.requests == []


def test_hono_forwards_the_status(run_case: RunCase, mock_fal: Account) -> None:
    output = run_case("hono", "invalid")
    assert (output["name"], output["status"]) == ("ValidationError", 422)
    assert output["body"]["detail"][0] == {**MISSING_PROMPT, "input": {"seed": "seven"}}


def test_express_responds_200_for_every_status(run_case: RunCase, mock_fal: Account) -> None:
    """So the client reads the error as a result."""
    output = run_case("express", "invalid")
    assert "status" not in output
    assert output["data"]["detail"][0] == {**MISSING_PROMPT, "input": {"seed": "seven"}}
    assert mock_fal.requests[0].status == 422


class TestWithManualClock(WithManualClock):
    """With a server whose clock only the program advances."""

    def test_events_pass_the_proxy_at_once(self, adapter: str, run_case: RunCase, mock_fal: Account) -> None:
        output = run_case(adapter, "streamStatus")
        assert (output["states"][0], output["states"][-1]) == ("IN_QUEUE", "COMPLETED")
        assert output["requestId"] == mock_fal.requests[0].request_id
        assert header(mock_fal, "accept", index=1) == "application/json"

    def test_express_forwards_fals_headers(self, run_case: RunCase, mock_fal: Account) -> None:
        run_case("express", "streamStatus")
        assert header(mock_fal, "x-fal-queue-priority") == "low"
        target = "https://queue.fal.run/fal-ai/flux/schnell"
        assert header(mock_fal, "x-fal-target-url") == target

    def test_hono_drops_fals_headers(self, run_case: RunCase, mock_fal: Account) -> None:
        run_case("hono", "streamStatus")
        assert header(mock_fal, "x-fal-queue-priority") is None

    def test_express_cancels(self, run_case: RunCase, mock_fal: Account) -> None:
        run_case("express", "cancel")
        assert calls(mock_fal) == [("POST", "", 200), ("PUT", "cancel", 200)]

    def test_hono_fails_at_a_put_without_a_body(self, run_case: RunCase, mock_fal: Account) -> None:
        """It parses every body as JSON, so the client can't cancel through it."""
        assert run_case("hono", "cancel")["status"] == 500
        assert calls(mock_fal) == [("POST", "", 200)]
