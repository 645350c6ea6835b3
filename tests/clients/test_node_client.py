"""The official JavaScript client, unmodified, in Node 20, 22 and 24, and other HTTP clients of Node."""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trustme

from mock_fal import Account, MockFal
from tests.clients.programs import FOLDER, Node, WithManualClock, mock_fal_run
from tests.clients.test_python_client import MISSING_PROMPT, calls, header
from tests.gateway.servers import Loop, web

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")

POLLS = [("GET", "status", 202), ("GET", "status", 202), ("GET", "status", 200)]


# -- the official client


def test_run_returns_data_and_a_request_id(node: Node, mock_fal: Account) -> None:
    output = node("fal.mjs", "run")
    assert (output["data"]["prompt"], output["data"]["seed"]) == ("a cat", 7)
    assert output["requestId"] == mock_fal.requests[0].request_id
    assert header(mock_fal, "user-agent") == "@fal-ai/client/1.10.1"


def test_the_queue_functions(node: Node, mock_fal: Account) -> None:
    output = node("fal.mjs", "queue")
    request_id = output["submitted"]["request_id"]
    base = f"https://queue.fal.run/fal-ai/flux/requests/{request_id}"
    assert output["submitted"] == {
        "status": "IN_QUEUE",
        "request_id": request_id,
        "response_url": base,
        "status_url": f"{base}/status",
        "cancel_url": f"{base}/cancel",
        "logs": None,
        "metrics": {},
        "queue_position": 0,
    }
    assert (output["early"]["status"], output["early"]["body"]["detail"]) == (
        400,
        "Request is still in progress",
    )
    assert (output["running"]["status"], len(output["running"]["logs"])) == ("IN_PROGRESS", 2)
    assert (output["done"]["status"], len(output["done"]["logs"])) == ("COMPLETED", 4)
    assert (output["result"]["requestId"], output["result"]["data"]["prompt"]) == (request_id, "a cat")


def test_a_request_that_is_tried_again_is_one_request(newest_node: Node, mock_fal: Account) -> None:
    output = newest_node("fal.mjs", "triedAgain")
    request_id, *statuses = output["ids"]
    assert output["seen"]["requestId"] == request_id
    assert output["seen"]["data"]["images"]
    assert statuses[-1] == "COMPLETED" and set(statuses) == {"IN_QUEUE", "IN_PROGRESS", "COMPLETED"}
    # The client neither sees nor makes another submission; the test sees both attempts, in Python and over HTTP.
    [queued, *direct] = mock_fal.submissions
    first, second = mock_fal.attempts(request_id)
    assert (first.id, first.status, first.error_type) == (request_id, 503, "runner_disconnected")
    assert (second.status, second.error_type) == (200, None)
    assert second.id != request_id and second.starts_at >= (first.ends_at or 0)
    listed = httpx.get(f"{mock_fal.url}/_mock/requests", params={"operation": "submit"}).json()["requests"]
    [shown] = [item for item in listed if item["request_id"] == request_id]
    assert [attempt["id"] for attempt in shown["attempts"]] == [first.id, second.id]
    assert queued.request_id == request_id
    # fal does not try a direct call again; the client itself does, three times.
    assert output["direct"]["status"] == 503
    assert [(exchange.operation, exchange.status) for exchange in direct] == [("run", 503)] * 4
    assert [len(mock_fal.attempts(exchange.request_id or "")) for exchange in direct] == [1] * 4


def test_a_submission_that_ends_at_once_is_in_queue(node: Node, mock_fal: Account) -> None:
    output = node("fal.mjs", "submitAtOnce")
    assert output["submitted"]["status"] == "IN_QUEUE"
    assert output["result"]["requestId"] == output["submitted"]["request_id"]


def test_a_submission_is_never_completed_at_any_speed(newest_node: Node) -> None:
    flags = ("--speed", "10", "--queue-duration", "0", "--run-duration", "0")
    done = mock_fal_run([str(newest_node.binary), str(FOLDER / "fal.mjs"), "submitAtOnce"], *flags)
    assert json.loads(done.stdout)["submitted"]["status"] == "IN_QUEUE", done.stderr


def test_submit_sends_its_options(newest_node: Node, mock_fal: Account) -> None:
    newest_node("fal.mjs", "options")
    assert mock_fal.requests[0].query == "fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook"
    assert header(mock_fal, "x-fal-queue-priority") == "low"
    assert header(mock_fal, "x-fal-runner-hint") == "warm"
    assert header(mock_fal, "x-fal-request-timeout") == "30"


def test_stream_status_has_all_states_and_ends(node: Node, mock_fal: Account) -> None:
    output = node("fal.mjs", "streamStatus")
    states = [event["status"] for event in output["events"]]
    assert list(dict.fromkeys(states)) == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert sum(len(event["logs"] or ()) for event in output["events"]) == 4
    assert output["last"] == output["events"][-1]


def test_subscribe_polls(node: Node, mock_fal: Account) -> None:
    output = node("fal.mjs", "polling")
    assert output["updates"] == [["IN_QUEUE", None], ["IN_PROGRESS", 2], ["COMPLETED", 4]]
    assert output["enqueued"] == output["result"]["requestId"]
    assert calls(mock_fal) == [("POST", "", 200), *POLLS, ("GET", "", 200)]


def test_subscribe_streams(node: Node, mock_fal: Account) -> None:
    output = node("fal.mjs", "streaming")
    states = [state for state, _ in output["updates"]]
    assert list(dict.fromkeys(states)) == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert output["updates"][-1] == ["COMPLETED", 4]
    assert calls(mock_fal) == [("POST", "", 200), ("GET", "status/stream", 200), ("GET", "", 200)]
    assert output["result"]["data"]["prompt"] == "a cat"


def test_a_completed_request_can_not_be_cancelled(newest_node: Node, mock_fal: Account) -> None:
    output = newest_node("fal.mjs", "cancelDone")
    assert (output["status"], output["body"]) == (400, {"status": "ALREADY_COMPLETED"})


@pytest.mark.parametrize("case", ["invalidRun", "invalidSubscribe"])
def test_an_invalid_input_is_a_validation_error(node: Node, mock_fal: Account, case: str) -> None:
    output = node("fal.mjs", case)
    assert (output["name"], output["status"]) == ("ValidationError", 422)
    assert output["fields"] == [{**MISSING_PROMPT, "input": {"seed": "seven"}}]
    assert [item["loc"][-1] for item in output["body"]["detail"]] == ["prompt", "seed"]
    assert output["requestId"] == mock_fal.requests[0].request_id


def test_a_content_policy_violation_is_a_validation_error_of_the_prompt(
    newest_node: Node, mock_fal: Account
) -> None:
    (item,) = newest_node("fal.mjs", "policy")["fields"]
    assert item["type"] == "content_policy_violation"


@pytest.mark.parametrize(
    ("case", "status", "body"),
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
def test_an_error_of_fal_is_an_api_error(
    newest_node: Node, mock_fal: Account, case: str, status: int, body: dict[str, str]
) -> None:
    output = newest_node("fal.mjs", case)
    assert (output["name"], output["status"], output["body"]) == ("ApiError", status, body)
    assert output["isUserTimeout"] is (status == 504)


def test_permanent_errors_are_not_retried(
    newest_node: Node, mock_fal_server: MockFal, mock_fal: Account
) -> None:
    newest_node("fal.mjs", "startTimeout")
    assert len(mock_fal_server.requests) == 1


def test_files_are_downloaded(node: Node, mock_fal: Account) -> None:
    (first_type, first), (second_type, second) = node("fal.mjs", "files")
    assert first_type == second_type == "image/jpeg"
    assert min(first, second) > 1000


class TestWithManualClock(WithManualClock):
    """With a server whose requests never end by themselves."""

    def test_a_cancelled_request_is_completed_with_an_error(self, node: Node, mock_fal: Account) -> None:
        output = node("fal.mjs", "cancelQueued")
        assert (output["status"]["status"], output["status"]["error_type"]) == (
            "COMPLETED",
            "client_cancelled",
        )
        assert (output["result"]["status"], output["result"]["body"]["error_type"]) == (
            499,
            "client_cancelled",
        )
        assert ("PUT", "cancel", 200) in calls(mock_fal)

    def test_a_subscription_that_times_out_is_cancelled(self, node: Node, mock_fal: Account) -> None:
        output = node("fal.mjs", "subscribeTimeout")
        assert output["message"] == "Client timed out waiting for the request to complete after 100ms"
        assert ("PUT", "cancel", 200) in calls(mock_fal)

    @pytest.mark.parametrize("case", ["abortRun", "abortSubscribe"])
    def test_an_abort_ends_the_wait(self, node: Node, mock_fal: Account, case: str) -> None:
        assert node("fal.mjs", case)["name"] in ("AbortError", "TimeoutError")


@pytest.mark.parametrize("version", ["20", "22", "24"])
def test_a_program_needs_no_change(version: str) -> None:
    """With `mock-fal run`."""
    node = Node(version)
    done = mock_fal_run([str(node.binary), str(FOLDER / "fal.mjs"), "polling"])
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["updates"][-1] == ["COMPLETED", 4]
    assert "POST   queue.fal.run/fal-ai/flux/schnell  200" in done.stderr


# -- without the gateway


@pytest.mark.parametrize("way", ["proxyUrl", "requestMiddleware", "directPath"])
def test_the_client_can_use_mock_fals_address(
    node: Node, mock_fal_server: MockFal, way: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without environment variables: no preload, no proxy, no certificate."""
    account = mock_fal_server.account("proxied:key")
    account.reset()
    output = node("proxy.mjs", way, account.url, env={"PATH": os.environ["PATH"]})
    assert (output["updates"], output["last"]) == (["IN_QUEUE", "IN_PROGRESS", "COMPLETED"], "COMPLETED")
    assert output["requestId"] == account.requests[0].request_id
    assert output["url"].startswith(f"{account.url}/v3b.fal.media/files/b/")
    assert output["type"] == "image/jpeg"


# -- other HTTP clients of Node

TRANSPORTS = ("fetch", "https", "undici.fetch", "undici.request", "undici.Agent", "axios", "got", "got http2")


def test_every_transport_reaches_mock_fal(node: Node, mock_fal: Account) -> None:
    unknown = "https://queue.fal.run/fal-ai/flux/requests/019f6b1b-49c3-7163-9866-2d7bdfec2232/status"
    response = [404, {"status": "NOT_FOUND"}]
    assert node("transports.mjs", unknown) == dict.fromkeys(TRANSPORTS, response)


def test_the_summary_lists_connections_that_the_preload_blocked(node: Node) -> None:
    program = (
        "for (const host of ['mcp.fal.ai', 'example.com']) await fetch(`https://${host}/`).catch(() => {})"
    )
    command = [str(node.binary), "--input-type=module", "-e", program]
    assert mock_fal_run(command, "--offline").stderr == (
        "mock-fal: no request received\n"
        "mock-fal:   blocked: mcp.fal.ai:443: mock-fal does not emulate mcp.fal.ai\n"
        "mock-fal:   blocked: example.com:443: mock-fal is offline and blocks example.com\n"
    )


@pytest.fixture(scope="module")
def other_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[int, Path]]:
    """The port of another TLS server, and its root certificate."""
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
    output = newest_node("transports.mjs", f"https://localhost:{port}/mine", env=env)
    requests = {
        name: (status, body["target"], body["headers"]["host"]) for name, (status, body) in output.items()
    }
    assert requests == dict.fromkeys(TRANSPORTS, (200, "/mine", f"localhost:{port}"))
