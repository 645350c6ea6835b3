"""What a test asks for the answers on the wire. Connections that break are shown with real sockets."""

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
from mock_fal.scenario.options import POSTS
from mock_fal.web.faults.responses import merged
from tests.strategies import directives
from tests.web.conftest import MEDIA, QUEUE, RUN, SCHNELL, Fal, Serve

REST = "https://rest.fal.ai"


def ask(fal: Fal, directive: str, at: str = QUEUE) -> httpx.Response:
    return fal.ask(
        "POST", f"{at}/{SCHNELL}", body=json.dumps({"prompt": f"a cat [mock: {directive}]"}).encode()
    )


def test_a_status_is_answered_as_asked_for_and_nothing_is_submitted(fal: Fal) -> None:
    response = ask(fal, "status=418 detail='no tea' header.X-Pot=1 retry_after=5")
    assert (response.status_code, response.json()) == (418, {"detail": "no tea"})
    assert (response.headers["x-pot"], response.headers["retry-after"]) == ("1", "5")
    assert response.headers["x-fal-request-id"]
    assert not fal.emulator.store.requests


@pytest.mark.parametrize(
    ("words", "body", "content_type"),
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
def test_the_body_says_what_it_is(fal: Fal, words: str, body: bytes, content_type: str | None) -> None:
    response = ask(fal, words)
    assert (response.content, response.headers.get("content-type")) == (body, content_type)


def test_the_ingress_answers_in_html_and_knows_no_request(fal: Fal) -> None:
    response = ask(fal, "ingress=502", RUN)
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
def test_an_account_is_refused_at_every_step(fal: Fal, account: str, status: int, detail: str) -> None:
    handle = fal.completed()
    fal.emulator.store.tenant("alice").scenario.add(account=account)
    initiate = f"{REST}/storage/upload/initiate"
    responses = [
        *(handle.status(), handle.result(), handle.cancel()),
        *(fal.ask("POST", f"{at}/{SCHNELL}", body=b"{}") for at in (QUEUE, RUN)),
        fal.ask("POST", initiate, body=b"{}"),
        fal.ask("POST", f"{REST}/storage/auth/token", body=b"{}"),
        fal.ask("GET", f"{QUEUE}/fal-ai/flux/requests/none/status"),
    ]
    assert {response.status_code for response in responses} == {status}
    assert all(response.json()["detail"].startswith(detail) for response in responses)
    assert fal.ask("POST", f"{QUEUE}/{SCHNELL}", key="bob:secret", body=b"{}").status_code == 200


def test_a_step_fails_as_often_as_asked_and_does_not_happen(fal: Fal) -> None:
    handle = fal.submit("[mock: status=503 operation=cancel times=1]")
    assert handle.cancel().status_code == 503
    assert handle.status().json()["status"] == "IN_QUEUE"
    assert handle.cancel().json() == {"status": "OK"}


def test_a_prompt_of_before_is_known_at_later_steps(fal: Fal) -> None:
    fal.emulator.scenario.add("prompt=dog operation=status status=500")
    assert [fal.submit(prompt).status().status_code for prompt in ("a cat", "a dog")] == [202, 500]


def test_a_result_expires_when_it_is_there(fal: Fal) -> None:
    handle = fal.submit("[mock: result=expired times=1]")
    assert handle.result().status_code == 400
    fal.advance(10)
    assert (handle.result().status_code, handle.result().status_code) == (404, 200)


def test_files_are_gone(fal: Fal) -> None:
    url = fal.picture("[mock: file=missing times=1]")
    first, second = fal.ask("GET", url, key=None), fal.ask("GET", url, key=None)
    assert (first.status_code, first.json(), second.status_code) == (404, {"detail": "File not found"}, 200)
    assert first.headers["access-control-allow-origin"] == "*"


def test_an_uploads_token_is_over(fal: Fal) -> None:
    token = fal.ask("POST", f"{REST}/storage/auth/token", body=b"{}").json()["token"]
    fal.emulator.store.tenant("alice").scenario.add("token=expired times=1")
    headers = {"authorization": f"Bearer {token}"}
    responses = [fal.ask("POST", f"{MEDIA}/files/upload", headers=headers, body=b"a") for _ in range(2)]
    assert [response.status_code for response in responses] == [401, 200]
    fal.emulator.store.tenant("alice").scenario.add("operation=download status=410 times=1")
    url = responses[1].json()["access_url"]
    assert [fal.ask("GET", url, key=None).status_code for _ in range(2)] == [410, 200]


def test_json_is_patched(fal: Fal) -> None:
    handle = fal.submit('[mock: operation=status merge={"new":{"a":1},"metrics":null} set_null=logs]')
    body = handle.status("?logs=1").json()
    assert (body["new"], body["logs"]) == ({"a": 1}, None)
    assert "metrics" not in body
    fal.advance(10)
    (first, *_) = handle.watch().events()
    assert (first["status"], first["new"]) == ("COMPLETED", {"a": 1})


@pytest.mark.parametrize("path", ["a.b", "images.9", "images.0.url", "images.x"])
def test_null_stands_where_there_is_a_place(fal: Fal, path: str) -> None:
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
def test_a_merge_patch_is_that_of_rfc_7396(target: Any, patch: Any, result: Any) -> None:
    assert merged(target, patch) == result


@pytest.mark.parametrize("spoiled", ["malformed", "truncated", "empty"])
def test_json_is_spoiled_and_the_request_taken(fal: Fal, spoiled: str) -> None:
    response = ask(fal, f"json={spoiled}")
    with pytest.raises(json.JSONDecodeError):
        response.json()
    assert response.status_code == 200
    assert int(response.headers["content-length"]) == len(response.content)
    assert len(fal.emulator.store.requests) == 1


def test_what_is_no_json_is_left_as_it_is(fal: Fal) -> None:
    assert ask(fal, 'status=500 body=oops merge={"a":1}').text == "oops"


def test_a_body_drips_by_the_emulated_clock(fal: Fal) -> None:
    body = b'{"prompt":"[mock: throttle=100]"}'
    call = fal.begin("POST", f"{QUEUE}/{SCHNELL}", body=body)
    assert call.news() == ""
    fal.advance(1)
    first = len(call.news())
    assert 0 < first <= 100
    for _ in range(200):
        fal.advance(0.5)
    assert call.is_over
    assert call.response().json()["status"] == "IN_QUEUE"


def test_a_position_falls_as_the_wait_goes_on(fal: Fal) -> None:
    handle = fal.submit("[mock: position=4 queue=8]")
    seen = []
    for _ in range(4):
        seen.append(handle.status().json()["queue_position"])
        fal.advance(2)
    assert seen == [4, 3, 2, 1]
    assert handle.status().json()["status"] == "IN_PROGRESS"


def test_a_stream_of_the_status_tells_each_position(fal: Fal) -> None:
    call = fal.submit("[mock: position=2 queue=8]").watch()
    assert [event["queue_position"] for event in call.events()] == [2]
    fal.advance(4)
    assert [event["queue_position"] for event in call.events()] == [1]


def test_a_runner_prints_as_many_lines_as_asked(fal: Fal) -> None:
    assert len(fal.completed("[mock: logs=500]").status("?logs=1").json()["logs"]) == 500


def test_an_error_looks_as_asked(fal: Fal) -> None:
    words = "error=image_too_small msg=Tiny loc=body.images.0 ctx.min_width=512 retry=true"
    result = fal.completed(f"[mock: {words}]").result()
    (item,) = result.json()["detail"]
    assert (item["msg"], item["loc"]) == ("Tiny", ["body", "images", 0])
    assert item["ctx"] == {"min_height": 64, "min_width": 512}
    assert result.headers["x-fal-needs-retry"] == "true"


def test_a_request_error_looks_as_asked(fal: Fal) -> None:
    handle = fal.completed("[mock: error=concurrent_requests_limit msg=Busy retry=false retry_after=7]")
    result = handle.result()
    assert (result.status_code, result.json()["detail"]) == (429, "Busy")
    assert (result.headers["retry-after"], result.headers["x-fal-needs-retry"]) == ("7", "0")
    assert handle.status().json()["error"] == "Busy"


def test_an_answer_that_was_changed_says_so_in_the_journal(fal: Fal) -> None:
    handle = fal.completed("a [mock: error=image_too_small] [mock: status=503 operation=status times=1]")
    handle.status(), handle.status()
    fal.completed().status()
    error, status = "error=image_too_small", "times=1 operation=status status=503"
    assert [each.directive for each in fal.journal] == [error, status, error, "", ""]


def test_a_near_miss_is_told_and_nothing_is_submitted(fal: Fal) -> None:
    response = fal.ask("POST", f"{QUEUE}/{SCHNELL}", body=b'{"prompt":"[mock nsfw]"}')
    assert (response.status_code, "is no directive" in response.text) == (400, True)
    response = ask(fal, "nsfw endpoint=fal-ai/fluxx")
    assert (response.status_code, "is like no endpoint" in response.text) == (400, True)


def test_without_a_socket_a_connection_breaks_as_an_error(fal: Fal) -> None:
    with pytest.raises(ConnectionResetError):
        ask(fal, "connection=reset")


# -- connections, with real sockets


def raw(server: MockFal, directive: str) -> socket.socket:
    """A connection on which a direct request has been asked for."""
    host, port = server.url.removeprefix("http://").split(":")
    body = json.dumps({"prompt": f"[mock: {directive}]"}).encode()
    connection = socket.create_connection((host, int(port)), timeout=20)
    head = f"POST /fal.run/{SCHNELL} HTTP/1.1\r\nhost: {host}:{port}\r\nauthorization: Key a:b\r\n"
    connection.sendall(head.encode() + b"content-length: %d\r\n\r\n" % len(body) + body)
    return connection


def test_a_reset_comes_before_any_answer() -> None:
    with MockFal(clock="auto-advance") as server, raw(server, "connection=reset") as connection:
        with pytest.raises(ConnectionResetError):
            connection.recv(1)
        (exchange,) = server.requests
        assert (exchange.status, exchange.directive) == (0, "connection=reset")


def test_a_connection_breaks_behind_the_headers() -> None:
    with (
        MockFal(clock="auto-advance") as server,
        raw(server, "connection=reset_after_headers") as connection,
    ):
        told = b""
        while part := connection.recv(65536):
            told += part
        head, _, body = told.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200 OK")
        assert body == b""


def test_a_hang_lasts_until_the_caller_leaves_and_holds_no_server_up() -> None:
    with MockFal(clock="auto-advance") as server, raw(server, "connection=hang") as connection:
        connection.settimeout(0.05)
        with pytest.raises(TimeoutError):
            connection.recv(1)


# -- whatever is asked for

# What fal's protocol knows of, for the questions below.
ALLOWED = {
    "submit": {200},
    "run": {200, 422},
    "status": {200, 202},
    "result": {200, 400, 422, 499, 500, 502, 503, 504},
    "cancel": {200, 202, 400},
}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(rules=st.lists(directives(), max_size=4), inline=st.lists(directives(), max_size=2))
def test_every_answer_is_one_of_fals_or_asked_for(
    serve: Serve, rules: list[Directive], inline: list[Directive]
) -> None:
    fal = serve(clock="auto-advance")
    harmless = [directive for directive in rules if not directive.connection]
    fal.emulator.scenario.replace(directive for directive in harmless if not directive.endpoint)
    prompt = "a cat " + " ".join(
        f"[mock: {directive}]" for directive in inline if not (directive.connection or directive.endpoint)
    )
    body = json.dumps({"prompt": prompt}).encode()
    response = fal.ask("POST", f"{QUEUE}/{SCHNELL}", body=body)
    fal.ask("POST", f"{RUN}/{SCHNELL}", body=body)
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
        fal.ask(method, url + path)
    for each in fal.journal:
        known = each.status in ALLOWED[each.operation] or (each.status == 404 and not each.request_id)
        assert known or each.directive, each
        assert b"Internal Server Error" not in each.response_body or each.directive


def test_the_steps_that_take_requests_are_told_apart(fal: Fal) -> None:
    fal.emulator.scenario.add("operation=submit status=501")
    fal.emulator.scenario.add("operation=run status=502")
    fal.emulator.scenario.add("operation=stream status=503")
    paths = [(QUEUE, ""), (RUN, ""), (RUN, "/stream")]
    responses = [fal.ask("POST", f"{at}/{SCHNELL}{path}", body=b'{"prompt":"a"}') for at, path in paths]
    assert [response.status_code for response in responses] == [501, 502, 503]
    assert len(POSTS) == 3
