"""The official JavaScript client, unmodified, in Node 20, 22 and 24; and what else reaches fal from there."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from mock_fal import Account, MockFal
from tests.clients.programs import FOLDER, Node, StandingClock, mock_fal_run
from tests.clients.test_python_client import MISSING_PROMPT, calls, header
from tests.gateway.servers import Loop, web

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="Node on Windows wants more of an environment than ours"
)

LOOKS = [("GET", "status", 202), ("GET", "status", 202), ("GET", "status", 200)]


# -- the official client


def test_run_answers_with_data_and_a_request_id(node: Node, mock_fal: Account) -> None:
    seen = node("fal.mjs", "run")
    assert (seen["data"]["prompt"], seen["data"]["seed"]) == ("a cat", 7)
    assert seen["requestId"] == mock_fal.requests[0].request_id
    assert header(mock_fal, "user-agent") == "@fal-ai/client/1.10.1"


def test_the_queue_is_followed_step_by_step(node: Node, mock_fal: Account) -> None:
    seen = node("fal.mjs", "queue")
    request_id = seen["submitted"]["request_id"]
    base = f"https://queue.fal.run/fal-ai/flux/requests/{request_id}"
    assert seen["submitted"] == {
        "status": "IN_QUEUE",
        "request_id": request_id,
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
        "logs": None,
        "metrics": {},
        "queue_position": 0,
    }
    assert (seen["early"]["status"], seen["early"]["body"]["detail"]) == (400, "Request is still in progress")
    assert (seen["running"]["status"], len(seen["running"]["logs"])) == ("IN_PROGRESS", 2)
    assert (seen["done"]["status"], len(seen["done"]["logs"])) == ("COMPLETED", 4)
    assert (seen["result"]["requestId"], seen["result"]["data"]["prompt"]) == (request_id, "a cat")


def test_submit_sends_its_options(newest_node: Node, mock_fal: Account) -> None:
    newest_node("fal.mjs", "options")
    assert mock_fal.requests[0].query == "fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook"
    assert header(mock_fal, "x-fal-queue-priority") == "low"
    assert header(mock_fal, "x-fal-runner-hint") == "warm"
    assert header(mock_fal, "x-fal-request-timeout") == "30"


def test_stream_status_tells_the_story_and_ends(node: Node, mock_fal: Account) -> None:
    seen = node("fal.mjs", "streamStatus")
    states = [event["status"] for event in seen["events"]]
    assert list(dict.fromkeys(states)) == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert sum(len(event["logs"] or ()) for event in seen["events"]) == 4
    assert seen["last"] == seen["events"][-1]


def test_subscribe_polls(node: Node, mock_fal: Account) -> None:
    seen = node("fal.mjs", "polling")
    assert seen["updates"] == [["IN_QUEUE", None], ["IN_PROGRESS", 2], ["COMPLETED", 4]]
    assert seen["enqueued"] == seen["result"]["requestId"]
    assert calls(mock_fal) == [("POST", "", 200), *LOOKS, ("GET", "", 200)]


def test_subscribe_streams(node: Node, mock_fal: Account) -> None:
    seen = node("fal.mjs", "streaming")
    states = [state for state, _ in seen["updates"]]
    assert list(dict.fromkeys(states)) == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert seen["updates"][-1] == ["COMPLETED", 4]
    assert calls(mock_fal) == [("POST", "", 200), ("GET", "status/stream", 200), ("GET", "", 200)]
    assert seen["result"]["data"]["prompt"] == "a cat"


def test_what_is_over_can_not_be_cancelled(newest_node: Node, mock_fal: Account) -> None:
    seen = newest_node("fal.mjs", "cancelDone")
    assert (seen["status"], seen["body"]) == (400, {"status": "ALREADY_COMPLETED"})


@pytest.mark.parametrize("story", ["invalidRun", "invalidSubscribe"])
def test_a_wrong_input_is_a_validation_error(node: Node, mock_fal: Account, story: str) -> None:
    seen = node("fal.mjs", story)
    assert (seen["name"], seen["status"]) == ("ValidationError", 422)
    assert seen["fields"] == [{**MISSING_PROMPT, "input": {"seed": "seven"}}]
    assert [item["loc"][-1] for item in seen["body"]["detail"]] == ["prompt", "seed"]
    assert seen["requestId"] == mock_fal.requests[0].request_id


def test_a_refused_prompt_is_a_validation_error_of_the_prompt(newest_node: Node, mock_fal: Account) -> None:
    (item,) = newest_node("fal.mjs", "policy")["fields"]
    assert item["type"] == "content_policy_violation"


@pytest.mark.parametrize(
    ("story", "status", "body"),
    [
        ("unknownApp", 404, {"detail": 'Application "fluxx" not found'}),
        ("unknownId", 404, {"detail": "Request not found"}),
        ("startTimeout", 504, {"detail": "Request timed out", "error_type": "request_timeout"}),
        (
            "noKey",
            401,
            {
                "detail": 'Cannot access application "fal-ai/flux". '
                "Authentication is required to access this application."
            },
        ),
    ],
)
def test_what_fal_refuses_is_an_api_error(
    newest_node: Node, mock_fal: Account, story: str, status: int, body: dict[str, str]
) -> None:
    seen = newest_node("fal.mjs", story)
    assert (seen["name"], seen["status"], seen["body"]) == ("ApiError", status, body)
    assert seen["isUserTimeout"] is (status == 504)


def test_nothing_that_is_refused_for_good_is_tried_again(
    newest_node: Node, mock_fal_server: MockFal, mock_fal: Account
) -> None:
    newest_node("fal.mjs", "startTimeout")
    assert len(mock_fal_server.requests) == 1


def test_files_are_fetched_as_any_others(node: Node, mock_fal: Account) -> None:
    (first_type, first), (second_type, second) = node("fal.mjs", "files")
    assert first_type == second_type == "image/jpeg"
    assert min(first, second) > 1000


class TestWhereTimeStandsStill(StandingClock):
    """A server whose requests never end by themselves."""

    def test_a_cancelled_request_is_completed_with_an_error(self, node: Node, mock_fal: Account) -> None:
        seen = node("fal.mjs", "cancelQueued")
        assert (seen["status"]["status"], seen["status"]["error_type"]) == ("COMPLETED", "client_cancelled")
        assert (seen["result"]["status"], seen["result"]["body"]["error_type"]) == (499, "client_cancelled")
        assert ("PUT", "cancel", 200) in calls(mock_fal)

    def test_a_subscription_that_lasts_too_long_is_cancelled(self, node: Node, mock_fal: Account) -> None:
        seen = node("fal.mjs", "subscribeTimeout")
        assert seen["message"] == "Client timed out waiting for the request to complete after 100ms"
        assert ("PUT", "cancel", 200) in calls(mock_fal)

    @pytest.mark.parametrize("story", ["abortRun", "abortSubscribe"])
    def test_an_abort_ends_the_wait(self, node: Node, mock_fal: Account, story: str) -> None:
        assert node("fal.mjs", story)["name"] in ("AbortError", "TimeoutError")


@pytest.mark.parametrize("version", ["20", "22", "24"])
def test_a_program_needs_no_change(version: str) -> None:
    """Under `mock-fal run`, the one way that people use most."""
    node = Node(version)
    done = mock_fal_run([str(node.binary), str(FOLDER / "fal.mjs"), "polling"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["updates"][-1] == ["COMPLETED", 4]
    assert "POST   queue.fal.run/fal-ai/flux/schnell  200" in done.stderr


# -- without the gateway


@pytest.mark.parametrize("way", ["proxyUrl", "requestMiddleware", "directPath"])
def test_the_client_can_be_pointed_at_our_address(
    node: Node, mock_fal_server: MockFal, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No environment at all: no preload, no proxy, no certificate."""
    account = mock_fal_server.account("proxied:key")
    account.reset()
    seen = node("proxy.mjs", way, account.url, env={"PATH": os.environ["PATH"]})
    assert (seen["updates"], seen["last"]) == (["IN_QUEUE", "IN_PROGRESS", "COMPLETED"], "COMPLETED")
    assert seen["requestId"] == account.requests[0].request_id
    assert seen["url"].startswith(f"{account.url}/v3b.fal.media/files/b/")
    assert seen["type"] == "image/jpeg"


# -- every other client of Node

TRANSPORTS = ("fetch", "https", "undici.fetch", "undici.request", "undici.Agent", "axios", "got", "got http2")


def test_every_transport_reaches_us(node: Node, mock_fal: Account) -> None:
    unknown = "https://queue.fal.run/fal-ai/flux/requests/019f6b1b-49c3-7163-9866-2d7bdfec2232/status"
    response = [404, {"status": "NOT_FOUND"}]
    assert node("transports.mjs", unknown) == dict.fromkeys(TRANSPORTS, response)


def test_the_summary_tells_what_was_refused_within_node(node: Node) -> None:
    program = (
        "for (const host of ['mcp.fal.ai', 'example.com']) await fetch(`https://${host}/`).catch(() => {})"
    )
    command = [str(node.binary), "--input-type=module", "-e", program]
    assert mock_fal_run(command, "--offline").stderr == (
        "mock-fal: no request answered\n"
        "mock-fal:   refused: mcp.fal.ai:443: mock-fal does not emulate mcp.fal.ai\n"
        "mock-fal:   refused: example.com:443: mock-fal is offline and refuses example.com\n"
    )


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of a TLS server that is not ours, and its roots."""
    own = trustme.CA()
    roots = tmp_path_factory.mktemp("other") / "roots.pem"
    own.cert_pem.write_to_path(roots)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    own.issue_cert("localhost").configure_cert(context)
    loop = Loop()
    with loop.serving(web, context) as port:
        yield port, roots
    loop.close()


def test_another_server_is_left_alone(
    newest_node: Node, mock_fal_server: MockFal, other_server: tuple[int, Path]
) -> None:
    port, roots = other_server
    added, _ = mock_fal_server.environment({})
    env = {**added, "PATH": os.environ["PATH"], "NODE_EXTRA_CA_CERTS": str(roots)}
    seen = newest_node("transports.mjs", f"https://localhost:{port}/mine", env=env)
    told = {name: (status, body["target"], body["headers"]["host"]) for name, (status, body) in seen.items()}
    assert told == dict.fromkeys(TRANSPORTS, (200, "/mine", f"localhost:{port}"))


# -- Vercel's AI SDK


def test_the_ai_sdk_makes_pictures(node: Node, mock_fal: Account) -> None:
    """One call for each picture, and a GET without a key for each file."""
    seen = node("ai.mjs", "image")
    assert [kind for kind, _ in seen["told"]] == ["image/jpeg", "image/jpeg"]
    assert seen["warnings"] == []
    assert mock_fal.requests[0].json["image_size"] == {"width": 512, "height": 512}
    (first, *_) = seen["metadata"]["images"]
    assert first == {"width": 512, "height": 512, "contentType": "image/jpeg", "nsfw": False}


def test_the_ai_sdk_shows_what_is_wrong_with_an_input(newest_node: Node, mock_fal: Account) -> None:
    seen = newest_node("ai.mjs", "invalid")
    wrong = "body.num_inference_steps: Input should be less than or equal to 12"
    assert (seen["name"], seen["statusCode"], seen["message"]) == ("AI_APICallError", 422, wrong)


def test_the_ai_sdk_polls_the_result_until_it_is_there(node: Node, mock_fal: Account) -> None:
    """It goes on only for the exact words of a request that is still in progress."""
    seen = node("ai.mjs", "video")
    assert calls(mock_fal) == [("POST", "", 200), ("GET", "", 400), ("GET", "", 400), ("GET", "", 200)]
    assert seen == {"name": "FAL_VIDEO_GENERATION_ERROR", "message": "No video URL in response"}
