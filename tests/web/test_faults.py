"""Injected faults in responses. Connection faults are tested with real sockets."""

from __future__ import annotations

import json
import socket
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mock_fal import MockFal
from mock_fal.scenario.directive import Directive
from mock_fal.scenario.options import LOCK_REASONS, SUBMIT_OPERATIONS
from mock_fal.web.faults.responses import merge_patch
from tests.strategies import directives
from tests.web.conftest import MEDIA, QUEUE, RUN, SCHNELL, Fal, Serve

REST = "https://rest.fal.ai"


def submit(fal: Fal, directive: str, base_url: str = QUEUE) -> httpx.Response:
    return fal.request(
        "POST", f"{base_url}/{SCHNELL}", body=json.dumps({"prompt": f"a cat [mock: {directive}]"}).encode()
    )


def test_a_status_directive_replaces_the_response_and_nothing_is_submitted(fal: Fal) -> None:
    response = submit(fal, "status=418 detail='no tea' header.X-Pot=1 retry_after=5")
    assert (response.status_code, response.json()) == (418, {"detail": "no tea"})
    assert (response.headers["x-pot"], response.headers["retry-after"]) == ("1", "5")
    assert response.headers["x-fal-request-id"]
    assert not fal.emulator.store.requests


@pytest.mark.parametrize(
    ("directive", "body", "content_type"),
    [
        ("status=500", b'{"detail":"Internal Server Error"}', "application/json"),
        ("status=599", b'{"detail":"HTTP 599"}', "application/json"),
        ('status=500 body={"a": 1}', b'{"a": 1}', "application/json"),
        ("status=500 body=oops", b"oops", "text/plain; charset=utf-8"),
        ("status=500 body='<p>oops</p>'", b"<p>oops</p>", "text/html; charset=utf-8"),
        ("status=500 body=x header.content-type=text/csv", b"x", "text/csv"),
        ("status=204", b"", None),
    ],
)
def test_the_content_type_follows_the_body(
    fal: Fal, directive: str, body: bytes, content_type: str | None
) -> None:
    response = submit(fal, directive)
    assert (response.content, response.headers.get("content-type")) == (body, content_type)


def test_an_ingress_error_is_html_without_a_request_id(fal: Fal) -> None:
    response = submit(fal, "ingress=502", RUN)
    assert (response.status_code, response.headers["content-type"]) == (502, "text/html")
    assert "nginx" in response.text
    assert "x-fal-request-id" not in response.headers


@pytest.mark.parametrize(
    ("account", "status", "detail"),
    [
        ("locked", 403, "User is locked. Reason: Exhausted balance."),
        ("unknown", 401, "invalid key credentials"),
        ("forbidden", 403, "This API key is not permitted to perform this action."),
    ],
)
def test_an_account_error_applies_to_every_operation(
    fal: Fal, account: str, status: int, detail: str
) -> None:
    handle = fal.completed()
    fal.emulator.store.tenant("alice").scenario.add(account=account)
    initiate = f"{REST}/storage/upload/initiate"
    responses = [
        *(handle.status(), handle.result(), handle.cancel()),
        *(fal.request("POST", f"{base_url}/{SCHNELL}", body=b"{}") for base_url in (QUEUE, RUN)),
        fal.request("POST", initiate, body=b"{}"),
        fal.request("POST", f"{REST}/storage/auth/token", body=b"{}"),
        fal.request("GET", f"{QUEUE}/fal-ai/flux/requests/none/status"),
    ]
    assert {response.status_code for response in responses} == {status}
    assert all(response.json()["detail"].startswith(detail) for response in responses)
    assert fal.request("POST", f"{QUEUE}/{SCHNELL}", key="bob:secret", body=b"{}").status_code == 200


def test_an_operation_fails_times_times_and_has_no_effect(fal: Fal) -> None:
    handle = fal.submit("[mock: status=503 operation=cancel times=1]")
    assert handle.cancel().status_code == 503
    assert handle.status().json()["status"] == "IN_QUEUE"
    assert handle.cancel().json() == {"status": "OK"}


def test_a_prompt_condition_applies_to_later_operations(fal: Fal) -> None:
    fal.emulator.scenario.add("prompt=dog operation=status status=500")
    assert [fal.submit(prompt).status().status_code for prompt in ("a cat", "a dog")] == [202, 500]


def test_only_an_existing_result_expires(fal: Fal) -> None:
    handle = fal.submit("[mock: result=expired times=1]")
    assert handle.result().status_code == 400
    fal.advance(10)
    assert (handle.result().status_code, handle.result().status_code) == (404, 200)


def test_a_file_is_missing(fal: Fal) -> None:
    url = fal.picture("[mock: file=missing times=1]")
    first, second = fal.request("GET", url, key=None), fal.request("GET", url, key=None)
    assert (first.status_code, first.json(), second.status_code) == (404, {"detail": "File not found"}, 200)
    assert first.headers["access-control-allow-origin"] == "*"


def test_an_upload_token_is_expired(fal: Fal) -> None:
    token = fal.request("POST", f"{REST}/storage/auth/token", body=b"{}").json()["token"]
    fal.emulator.store.tenant("alice").scenario.add("token=expired times=1")
    headers = {"authorization": f"Bearer {token}"}
    responses = [fal.request("POST", f"{MEDIA}/files/upload", headers=headers, body=b"a") for _ in range(2)]
    assert [response.status_code for response in responses] == [401, 200]
    fal.emulator.store.tenant("alice").scenario.add("operation=download status=410 times=1")
    url = responses[1].json()["access_url"]
    assert [fal.request("GET", url, key=None).status_code for _ in range(2)] == [410, 200]


def test_json_is_patched(fal: Fal) -> None:
    handle = fal.submit('[mock: operation=status merge={"new":{"a":1},"metrics":null} set_null=logs]')
    body = handle.status("?logs=1").json()
    assert (body["new"], body["logs"]) == ({"a": 1}, None)
    assert "metrics" not in body
    fal.advance(10)
    (first, *_) = handle.watch().events()
    assert (first["status"], first["new"]) == ("COMPLETED", {"a": 1})


@pytest.mark.parametrize("path", ["a.b", "images.9", "images.0.url", "images.x"])
def test_set_null_changes_existing_paths_only(fal: Fal, path: str) -> None:
    handle = fal.completed(f"[mock: operation=result set_null={path}]")
    url = handle.result().json()["images"][0]["url"]
    assert (url is None) == (path == "images.0.url")


@pytest.mark.parametrize(
    ("target", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
        ({"a": 1}, ["c"], ["c"]),
    ],
)
def test_merge_follows_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    assert merge_patch(target, patch) == result


@pytest.mark.parametrize("kind", ["malformed", "truncated", "empty"])
def test_json_is_corrupted_and_the_request_accepted(fal: Fal, kind: str) -> None:
    response = submit(fal, f"json={kind}")
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    assert len(fal.emulator.store.requests) == 1


def test_a_body_that_is_not_json_is_unchanged(fal: Fal) -> None:
    assert submit(fal, 'status=500 body=oops merge={"a":1}').text == "oops"


def test_a_body_is_throttled_by_the_emulated_clock(fal: Fal) -> None:
    body = b'{"prompt":"[mock: throttle=100]"}'
    call = fal.start_request("POST", f"{QUEUE}/{SCHNELL}", body=body)
    assert call.new_text() == ""
    fal.advance(1)
    first = len(call.new_text())
    assert 0 < first <= 100
    for _ in range(200):
        fal.advance(0.5)
    assert call.is_over
    assert call.response().json()["status"] == "IN_QUEUE"


def test_a_position_decreases_during_the_wait(fal: Fal) -> None:
    handle = fal.submit("[mock: position=4 queue=8]")
    positions = []
    for _ in range(4):
        positions.append(handle.status().json()["queue_position"])
        fal.advance(2)
    assert positions == [4, 3, 2, 1]
    assert handle.status().json()["status"] == "IN_PROGRESS"


def test_a_status_stream_has_each_position(fal: Fal) -> None:
    call = fal.submit("[mock: position=2 queue=8]").watch()
    assert [event["queue_position"] for event in call.events()] == [2]
    fal.advance(4)
    assert [event["queue_position"] for event in call.events()] == [1]


def test_a_runner_logs_the_given_number_of_lines(fal: Fal) -> None:
    assert len(fal.completed("[mock: logs=500]").status("?logs=1").json()["logs"]) == 500


def test_a_model_error_has_the_given_details(fal: Fal) -> None:
    options = "error=image_too_small msg=Tiny loc=body.images.0 ctx.min_width=512 retry=true"
    result = fal.completed(f"[mock: {options}]").result()
    (item,) = result.json()["detail"]
    assert (item["msg"], item["loc"]) == ("Tiny", ["body", "images", 0])
    assert item["ctx"] == {"min_height": 64, "min_width": 512}
    assert result.headers["x-fal-needs-retry"] == "true"


def test_a_request_error_has_the_given_details(fal: Fal) -> None:
    handle = fal.completed("[mock: error=runner_disconnected msg=Busy retry=false retry_after=7]")
    result = handle.result()
    assert (result.status_code, result.json()["detail"]) == (503, "Busy")
    assert (result.headers["retry-after"], result.headers["x-fal-needs-retry"]) == ("7", "0")
    assert handle.status().json()["error"] == "Busy"


def test_the_concurrency_error_applies_to_direct_requests_and_not_to_queued_ones(fal: Fal) -> None:
    prompt = "a cat [mock: error=concurrent_requests_limit]"
    assert fal.completed(prompt).result().status_code == 200
    response = fal.run(prompt)
    assert (response.status_code, response.json()["error_type"]) == (429, "concurrent_requests_limit")


def test_a_submission_with_the_concurrency_error_is_rejected_with_the_alternative(fal: Fal) -> None:
    response = submit(fal, "operation=submit error=concurrent_requests_limit")
    assert response.status_code == 400
    assert "use status=429 retry_after=1 times=1" in response.json()["detail"]
    response = submit(fal, "status=429 retry_after=1 times=1")
    assert (response.status_code, response.headers["retry-after"]) == (429, "1")


def test_the_journal_names_the_directive_of_a_changed_response(fal: Fal) -> None:
    handle = fal.completed("a [mock: error=image_too_small] [mock: status=503 operation=status times=1]")
    handle.status(), handle.status()
    fal.completed().status()
    error, status = "error=image_too_small", "times=1 operation=status status=503"
    assert [exchange.directive for exchange in fal.journal] == [error, status, error, "", ""]


def test_a_malformed_directive_is_an_error_and_nothing_is_submitted(fal: Fal) -> None:
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", body=b'{"prompt":"[mock nsfw]"}')
    assert (response.status_code, "is not a directive" in response.text) == (400, True)
    response = submit(fal, "nsfw endpoint=fal-ai/fluxx")
    assert (response.status_code, "matches no endpoint" in response.text) == (400, True)


def test_without_a_transport_a_reset_is_an_exception(fal: Fal) -> None:
    with pytest.raises(ConnectionResetError):
        submit(fal, "connection=reset")


# -- connections, with real sockets


def connection_with_request(server: MockFal, directive: str) -> socket.socket:
    """A connection on which a direct request has been sent."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"prompt": f"[mock: {directive}]"}).encode()
    connection = socket.create_connection((host, int(port)), timeout=20)
    head = f"POST /fal.run/{SCHNELL} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Key a:b\r\n"
    connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
    return connection


def test_a_reset_comes_before_any_response() -> None:
    with (
        MockFal(clock="auto-advance") as server,
        connection_with_request(server, "connection=reset") as connection,
    ):
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        (exchange,) = server.requests
        assert (exchange.status, exchange.directive) == (0, "connection=reset")


def test_a_connection_is_aborted_after_the_headers() -> None:
    with (
        MockFal(clock="auto-advance") as server,
        connection_with_request(server, "connection=reset_after_headers") as connection,
    ):
        received = b""
        while part := connection.recv(65536):
            received += part
        head, _, body = received.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert body == b""


def test_a_hang_lasts_until_the_client_disconnects_and_does_not_delay_stopping() -> None:
    with (
        MockFal(clock="auto-advance") as server,
        connection_with_request(server, "connection=hang") as connection,
    ):
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)


# -- arbitrary directives

# The statuses of fal's protocol for each operation.
ALLOWED = {
    "submit": {200},
    "run": {200, 422},
    "status": {200, 202},
    "result": {200, 400, 422, 499, 500, 502, 503, 504},
    "cancel": {200, 202, 400},
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rules=st.lists(directives(), max_size=4), inline=st.lists(directives(), max_size=2))
def test_every_response_is_one_of_fals_or_injected(
    serve: Serve, rules: list[Directive], inline: list[Directive]
) -> None:
    fal = serve(clock="auto-advance")
    harmless = [directive for directive in rules if not directive.connection]
    fal.emulator.scenario.replace(directive for directive in harmless if not directive.endpoint)
    prompt = "a cat " + " ".join(
        f"[mock: {directive}]" for directive in inline if not (directive.connection or directive.endpoint)
    )
    body = json.dumps({"prompt": prompt}).encode()
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", body=body)
    fal.request("POST", f"{RUN}/{SCHNELL}", body=body)
    try:
        url = response.json()["response_url"]
    except (ValueError, TypeError, KeyError):
        url = f"{QUEUE}/fal-ai/flux/requests/none"
    for method, path in [
        ("GET", "/status"),
        ("GET", "/status"),
        ("GET", ""),
        ("PUT", "/cancel"),
        ("GET", ""),
    ]:
        fal.request(method, url + path)
    for exchange in fal.journal:
        unknown_request = exchange.status == 404 and not exchange.request_id
        allowed = exchange.status in ALLOWED[exchange.operation] or unknown_request
        assert allowed or exchange.directive, exchange
        assert b"Internal Server Error" not in exchange.response_body or exchange.directive


def test_the_submitting_operations_are_distinguished(fal: Fal) -> None:
    fal.emulator.scenario.add("operation=submit status=501")
    fal.emulator.scenario.add("operation=run status=502")
    fal.emulator.scenario.add("operation=stream status=503")
    paths = [(QUEUE, ""), (RUN, ""), (RUN, "/stream")]
    responses = [
        fal.request("POST", f"{base_url}/{SCHNELL}{path}", body=b'{"prompt":"a"}') for base_url, path in paths
    ]
    assert [response.status_code for response in responses] == [501, 502, 503]
    assert SUBMIT_OPERATIONS == {"submit", "run", "stream", "realtime"}


# -- locked accounts


@pytest.mark.parametrize("reason", LOCK_REASONS)
def test_a_lock_states_its_reason(fal: Fal, reason: str) -> None:
    fal.emulator.store.tenant("alice").scenario.add(account="locked", reason=reason)
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", body=b"{}")
    assert (response.status_code, response.json()) == (
        403,
        {"detail": f"User is locked. Reason: {LOCK_REASONS[reason]}"},
    )


def test_a_locked_account_can_read_what_was_submitted_if_a_directive_says_so(fal: Fal) -> None:
    handle = fal.completed()
    scenario = fal.emulator.store.tenant("alice").scenario
    scenario.add("account=locked reads=allowed")
    upload = fal.request("POST", f"{REST}/storage/upload/initiate", body=b"{}")
    submission = fal.request("POST", f"{QUEUE}/{SCHNELL}", body=b"{}")
    assert [handle.status().status_code, handle.result().status_code] == [200, 200]
    assert [submission.status_code, upload.status_code, handle.cancel().status_code] == [403, 403, 403]
    scenario.add("account=locked reads=refused")
    assert [handle.status().status_code, handle.result().status_code] == [403, 403]
