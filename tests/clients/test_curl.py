"""curl, with every way to address mock-fal: gateway, path, Host header, proxy; and fal's error responses."""

from __future__ import annotations

import json
from typing import Any, NamedTuple

import pytest

from mock_fal import Account, MockFal
from tests.clients.programs import mock_fal_run, run_program, tool

SUBMIT = ["-X", "POST", "-d", '{"prompt": "a cat"}']
UNKNOWN = "fal-ai/flux/requests/019f6b1b-49c3-7163-9866-2d7bdfec2232"
# The status and the content type, then the body.
SHAPE = "%{stderr}%{http_code} %{content_type} %header{allow}"


class CurlResponse(NamedTuple):
    """A response as curl prints it."""

    status: int
    kind: str
    text: str

    @property
    def json(self) -> Any:
        return json.loads(self.text)


def curl(*arguments: str, env: dict[str, str] | None = None) -> CurlResponse:
    done = run_program([tool("curl"), "--silent", "--write-out", SHAPE, *arguments], env=env)
    assert done.returncode == 0, done.stderr
    status, _, kind = done.stderr.partition(" ")
    return CurlResponse(int(status), kind.strip(), done.stdout)


@pytest.fixture
def key(mock_fal: Account) -> list[str]:
    return ["-H", f"Authorization: Key {mock_fal.key}"]


def test_through_the_gateway(mock_fal: Account, key: list[str]) -> None:
    """The body has no explicit content type, as in fal's older samples, so curl sends a form type."""
    submitted = curl(*key, *SUBMIT, "https://queue.fal.run/fal-ai/flux/schnell")
    assert (submitted.status, submitted.kind) == (200, "application/json")
    urls = [submitted.json[name] for name in ("status_url", "response_url", "cancel_url")]
    assert all(url.startswith("https://queue.fal.run/fal-ai/flux/requests/") for url in urls)
    polls = [curl(*key, urls[0]) for _ in range(3)]
    assert [(poll.status, poll.json["status"]) for poll in polls] == [
        (202, "IN_QUEUE"),
        (202, "IN_PROGRESS"),
        (200, "COMPLETED"),
    ]
    url = curl(*key, urls[1]).json["images"][0]["url"]
    assert curl("--head", url).kind == "image/jpeg"
    assert curl(*key, "-X", "PUT", urls[2]).json == {"status": "ALREADY_COMPLETED"}


def test_by_path(mock_fal: Account, key: list[str]) -> None:
    """Links use the same way."""
    base = f"{mock_fal.url}/queue.fal.run"
    submitted = curl(*key, *SUBMIT, f"{base}/fal-ai/flux/schnell", env={}).json
    assert submitted["status_url"].startswith(f"{base}/fal-ai/flux/requests/")
    direct = curl(*key, *SUBMIT, f"{mock_fal.url}/fal.run/fal-ai/flux/schnell", env={}).json
    assert direct["images"][0]["url"].startswith(f"{mock_fal.url}/v3b.fal.media/files/b/")
    assert curl("--head", direct["images"][0]["url"], env={}).status == 200


def test_by_host_header(mock_fal: Account, key: list[str]) -> None:
    response = curl(*key, *SUBMIT, "-H", "Host: queue.fal.run", f"{mock_fal.url}/fal-ai/flux/schnell", env={})
    assert response.json["status_url"].startswith("http://queue.fal.run/fal-ai/flux/requests/")


def test_by_resolving_the_name(mock_fal: Account, key: list[str]) -> None:
    port = mock_fal.url.rpartition(":")[2]
    resolve = ["--resolve", f"queue.fal.run:{port}:127.0.0.1"]
    submitted = curl(*resolve, *key, *SUBMIT, f"http://queue.fal.run:{port}/fal-ai/flux/schnell", env={}).json
    assert submitted["status_url"].startswith(f"http://queue.fal.run:{port}/fal-ai/flux/requests/")
    assert curl(*resolve, *key, submitted["status_url"], env={}).status == 202


def test_by_proxy(mock_fal: Account, key: list[str]) -> None:
    target = "x-fal-target-url: https://fal.run/fal-ai/flux/schnell"
    response = curl(*key, *SUBMIT, "-H", target, f"{mock_fal.url}/api/fal/proxy", env={})
    assert response.json["prompt"] == "a cat"


def test_by_the_tls_port_alone(mock_fal_server: MockFal, mock_fal: Account, key: list[str]) -> None:
    """For programs that can't use a proxy."""
    added, _ = mock_fal_server.environment({})
    there = ["--connect-to", f"queue.fal.run:443:{added['MOCK_FAL_TLS']}", "--cacert", added["MOCK_FAL_CA"]]
    response = curl(*there, *key, *SUBMIT, "https://queue.fal.run/fal-ai/flux/schnell", env={})
    assert response.json["status"] == "IN_QUEUE"


QUEUE = "https://queue.fal.run"
RUN = "https://fal.run"


@pytest.mark.parametrize(
    ("arguments", "response"),
    [
        pytest.param(
            [f"{QUEUE}/fal-ai/flux/schnell"],
            (405, "text/plain; charset=utf-8 POST", "405: Method Not Allowed"),
            id="GET of a submission",
        ),
        pytest.param(
            [f"{QUEUE}/fal-ai/flux/schnell/requests/{UNKNOWN[-36:]}/status"],
            (405, "text/plain; charset=utf-8 POST", "405: Method Not Allowed"),
            id="status at the whole id",
        ),
        pytest.param(
            ["-X", "POST", f"{QUEUE}/{UNKNOWN}/cancel"],
            (405, "text/plain; charset=utf-8 PUT", "405: Method Not Allowed"),
            id="POST of a cancellation",
        ),
        pytest.param(
            [*SUBMIT, f"{RUN}/fal-ai"],
            (404, "text/plain; charset=utf-8", "404: Not Found"),
            id="an owner alone",
        ),
        pytest.param(
            [f"{QUEUE}/{UNKNOWN}/status"],
            (404, "application/json", '{"status":"NOT_FOUND"}'),
            id="status of an unknown id",
        ),
        pytest.param(
            [f"{QUEUE}/{UNKNOWN}/status/"],
            (404, "application/json", '{"status":"NOT_FOUND"}'),
            id="with a slash behind",
        ),
        pytest.param(
            [f"{QUEUE}/{UNKNOWN}"],
            (404, "application/json", '{"detail":"Request not found"}'),
            id="result of an unknown id",
        ),
        pytest.param(
            ["-X", "PUT", f"{QUEUE}/{UNKNOWN}/cancel"],
            (404, "application/json", '{"status":"NOT_FOUND"}'),
            id="cancellation of an unknown id",
        ),
        pytest.param(
            [*SUBMIT, f"{QUEUE}/fal-ai/flux/schnell"],
            (
                *(401, "application/json"),
                '{"detail":"Cannot access application \\"fal-ai/flux\\". '
                'Authentication is required to access this application."}',
            ),
            id="no key",
        ),
        pytest.param(
            [*SUBMIT, "-H", "Authorization: Bearer x", f"{RUN}/fal-ai/flux/schnell"],
            (401, "application/json", '{"detail":"bearer: unable to decode issuer"}'),
            id="a bearer that is none",
        ),
    ],
)
def test_errors_of_fal(mock_fal: Account, arguments: list[str], response: tuple[int, str, str]) -> None:
    assert curl(*arguments) == response


def test_an_error_of_a_runner(mock_fal: Account, key: list[str]) -> None:
    refused = curl(*key, f"{RUN}/fal-ai/flux/schnell")
    assert refused == (405, "application/json POST", '{"detail":"Method Not Allowed"}')
    malformed = curl(*key, "-X", "POST", "-d", '{"prompt": "a cat",}', f"{RUN}/fal-ai/flux/schnell")
    assert (malformed.status, malformed.json["detail"][0]["type"]) == (422, "json_invalid")


def test_a_stream_of_status_ends_by_itself(mock_fal: Account, key: list[str]) -> None:
    submitted = curl(*key, *SUBMIT, f"{QUEUE}/fal-ai/flux/schnell").json
    streamed = curl(*key, "--no-buffer", f"{submitted['status_url']}/stream?logs=1")
    events = [json.loads(event.removeprefix("data: ")) for event in streamed.text.split("\n\n")[:-1]]
    assert streamed.kind.startswith("text/event-stream")
    assert (events[0]["status"], events[-1]["status"]) == ("IN_QUEUE", "COMPLETED")


def test_with_mock_fal_run() -> None:
    command = 'curl -s -H "Authorization: Key $FAL_KEY" -d "{\\"prompt\\":\\"a cat\\"}" https://fal.run/fal-ai/flux/dev'
    done = mock_fal_run([tool("sh"), "-c", command])
    assert json.loads(done.stdout)["prompt"] == "a cat"
    assert done.stderr.splitlines() == [
        "mock-fal: 1 request received",
        "mock-fal:   POST   fal.run/fal-ai/flux/dev  200",
        "mock-fal:   estimated cost $0.025: 1 × fal-ai/flux/dev",
    ]


def test_a_host_of_fal_that_is_not_emulated_is_blocked_and_named() -> None:
    done = mock_fal_run([tool("curl"), "-sS", "https://wma.fal.run/"])
    assert done.returncode == 56
    assert "mock-fal:   blocked: wma.fal.run:443: mock-fal does not emulate wma.fal.run\n" in done.stderr


def test_offline_other_hosts_are_blocked_and_named() -> None:
    done = mock_fal_run([tool("curl"), "-sS", "https://example.com/"], "--offline")
    assert done.returncode == 56
    assert "blocked: example.com:443: mock-fal is offline and blocks example.com\n" in done.stderr
