"""Routing of all hosts in one application: address forms, rejected requests, CORS and the journal."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_fal.hosts import EMULATED_HOSTS
from tests.strategies import bodies
from tests.web.conftest import (
    DEV,
    MEDIA,
    OURS,
    QUEUE,
    QUEUE_S,
    RUN,
    RUN_S,
    SCHNELL,
    Call,
    Fal,
    Serve,
    open_fal,
    scope,
)

A_CAT = b'{"prompt":"a cat"}'
PROXY = f"{OURS}/api/fal/proxy"
PAGE = "http://localhost:3000"  # a web page that uses fal

# Base URL of the queue host, and the base URLs of links: the queue, the files.
ADDRESS_FORMS = {
    "by name": (QUEUE, QUEUE, MEDIA),
    "by name, with a port": ("https://queue.fal.run:8443", "https://queue.fal.run:8443", f"{MEDIA}:8443"),
    "by name, without TLS": ("http://queue.fal.run", "http://queue.fal.run", "http://v3b.fal.media"),
    "by the backup's name": ("https://queue.falrun.com", QUEUE, MEDIA),
    "by path": (f"{OURS}/queue.fal.run", f"{OURS}/queue.fal.run", f"{OURS}/v3b.fal.media"),
    "by path, behind TLS": (
        "https://localhost/queue.fal.run",
        "https://localhost/queue.fal.run",
        "https://localhost/v3b.fal.media",
    ),
}


# -- address forms


@pytest.mark.parametrize(("base", "queue", "media"), ADDRESS_FORMS.values(), ids=ADDRESS_FORMS)
def test_links_use_the_same_address_form_as_the_request(fal: Fal, base: str, queue: str, media: str) -> None:
    handle = fal.completed(at=base, image_size={"width": 64, "height": 48})
    url = f"{queue}/fal-ai/flux/requests/{handle.id}"
    body = handle.response.json()
    assert (body["response_url"], body["status_url"], body["cancel_url"]) == (
        url,
        f"{url}/status",
        f"{url}/cancel",
    )
    assert handle.status().json()["status_url"] == f"{url}/status"
    picture = handle.result().json()["images"][0]["url"]
    assert picture.startswith(f"{media}/files/b/")
    assert fal.request("GET", picture, key=None).headers["content-type"] == "image/jpeg"


def test_links_of_one_request_differ_by_address_form(fal: Fal) -> None:
    handle = fal.submit()
    url = f"{OURS}/queue.fal.run/fal-ai/flux/requests/{handle.id}"
    assert fal.request("GET", f"{url}/status").json()["response_url"] == url
    assert fal.request("GET", url).json()["response_url"] == url
    assert handle.status().json()["response_url"] == handle.url


def proxied(fal: Fal, method: str, target: str, **options: Any) -> httpx.Response:
    return fal.request(
        method, PROXY, headers={"x-fal-target-url": target, **options.pop("headers", {})}, **options
    )


def test_a_page_generates_a_picture_through_the_proxy(auto_advance: Fal) -> None:
    submitted = proxied(auto_advance, "POST", f"{QUEUE}/{SCHNELL}", body=A_CAT).json()
    assert submitted["status_url"].startswith(f"{OURS}/queue.fal.run/fal-ai/flux/requests/")
    # The JavaScript client builds the URLs itself.
    url = f"{QUEUE}/fal-ai/flux/requests/{submitted['request_id']}"
    states = [proxied(auto_advance, "GET", f"{url}/status?logs=1").json() for _ in range(3)]
    assert [state["status"] for state in states] == ["IN_QUEUE", "IN_PROGRESS", "COMPLETED"]
    assert states[2]["logs"]
    picture = proxied(auto_advance, "GET", url).json()["images"][0]["url"]
    assert picture.startswith(f"{OURS}/v3b.fal.media/files/b/")
    assert auto_advance.request("GET", picture).status_code == 200
    assert proxied(auto_advance, "PUT", f"{url}/cancel").status_code == 400


def test_the_proxy_adds_a_key_if_the_page_sends_none(auto_advance: Fal) -> None:
    """A browser must not have a key."""
    submitted = proxied(auto_advance, "POST", f"{QUEUE}/{SCHNELL}", body=A_CAT, key=None)
    assert submitted.status_code == 200
    assert auto_advance.emulator.store.requests[submitted.json()["request_id"]].tenant == "mock"


def test_the_proxy_forwards_to_the_run_host_too(auto_advance: Fal) -> None:
    assert proxied(auto_advance, "POST", f"{RUN}/{DEV}", body=A_CAT).json()["prompt"] == "a cat"


def test_the_proxys_own_query_is_not_forwarded(fal: Fal) -> None:
    url = f"{PROXY}?fal_max_queue_length=junk"
    response = fal.request("POST", url, headers={"x-fal-target-url": f"{QUEUE}/{SCHNELL}"}, body=A_CAT)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"x-fal-target-url": ""},
        {"x-fal-target-url": "https://example.com/fal.run"},
        {"x-fal-target-url": "https://notfal.run/x"},
        {"x-fal-target-url": "/fal-ai/flux"},
        {"x-fal-target-url": "https://[/"},
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "PUT"])
def test_the_proxy_rejects_targets_that_are_not_fals_hosts(
    fal: Fal, method: str, headers: dict[str, str]
) -> None:
    response = fal.request(method, PROXY, headers=headers, body=A_CAT)
    assert (response.status_code, response.text) == (400, '"Invalid request"')
    assert response.headers["content-type"] == "application/json"


def test_a_page_of_another_origin_may_use_the_proxy(fal: Fal) -> None:
    preflight = fal.request(
        "OPTIONS",
        PROXY,
        key=None,
        headers={
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-fal-target-url",
        },
    )
    assert preflight.status_code == 200
    assert preflight.headers["access-control-allow-origin"] == PAGE
    assert preflight.headers["access-control-allow-headers"] == "content-type,x-fal-target-url"
    response = proxied(fal, "POST", f"{QUEUE}/{SCHNELL}", headers={"origin": PAGE}, body=A_CAT)
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (200, PAGE)
    assert response.headers["access-control-expose-headers"] == "*"


def test_the_proxy_forwards_the_events_of_a_status_stream_at_once(fal: Fal) -> None:
    target = f"{fal.submit().url}/status/stream"
    call = fal.start_request("GET", PROXY, headers={"origin": PAGE, "x-fal-target-url": target})
    assert call.head().headers["content-type"].startswith("text/event-stream")
    assert [event["status"] for event in call.events()] == ["IN_QUEUE"]
    fal.advance(QUEUE_S + RUN_S)
    assert call.events()[-1]["status"] == "COMPLETED"
    assert call.is_over


@pytest.mark.parametrize("form", ["by name", "by path"])
def test_result_files_can_have_a_local_base_url(fal: Fal, form: str) -> None:
    base, queue, _ = ADDRESS_FORMS[form]
    fal.app.local_media = f"{OURS}/v3b.fal.media"
    handle = fal.completed(at=base, image_size={"width": 64, "height": 48})
    picture = handle.result().json()["images"][0]["url"]
    assert handle.url.startswith(queue)
    assert picture.startswith(f"{OURS}/v3b.fal.media/files/b/")
    assert fal.request("GET", picture).status_code == 200


# -- rejected requests


@pytest.mark.parametrize(
    ("url", "headers"),
    [
        ("https://mcp.fal.ai/mcp", {}),
        ("https://mcp.fal.ai:443/mcp", {}),
        (f"{OURS}/mcp.fal.ai/mcp", {}),
        (PROXY, {"x-fal-target-url": "https://mcp.fal.ai/mcp"}),
        ("https://mcp.fal.ai/mcp", {"origin": PAGE}),
    ],
)
def test_a_host_that_is_not_emulated_gets_a_501(fal: Fal, url: str, headers: dict[str, str]) -> None:
    response = fal.request("GET", url, headers=headers)
    assert response.status_code == 501
    detail = response.json()["detail"]
    assert detail.startswith("mock-fal does not emulate 'mcp.fal.ai'; it emulates ")
    assert all(host in detail for host in EMULATED_HOSTS)


@pytest.mark.parametrize("url", [f"{QUEUE}/{SCHNELL}", f"{RUN}/{SCHNELL}"])
def test_a_too_large_content_length_is_rejected_before_reading(serve: Serve, url: str) -> None:
    call = serve(max_body=50).start_request("POST", url, headers={"content-length": "100"}, body=b"x" * 100)
    assert call.unread == 11
    response = call.response()
    assert response.status_code == 413
    assert response.text == '{"detail":"Request body is larger than 50 bytes, the limit of this mock-fal"}'
    assert response.headers["x-fal-request-id"]


@pytest.mark.parametrize("url", [f"{QUEUE}/{SCHNELL}", f"{RUN}/{SCHNELL}"])
def test_a_body_over_the_limit_is_rejected_as_soon_as_it_exceeds_it(serve: Serve, url: str) -> None:
    call = serve(max_body=50).start_request("POST", url, body=b"x" * 100)
    assert call.response().status_code == 413
    assert call.unread == 5


@pytest.mark.parametrize("url", [f"{QUEUE}/{SCHNELL}", f"{RUN}/{SCHNELL}"])
def test_a_disconnect_during_the_body_is_not_recorded(fal: Fal, url: str) -> None:
    call = fal.start_request("POST", url, body=A_CAT, ends=False)
    call.disconnect()
    assert call.is_over
    assert not call.sent
    assert not fal.journal
    assert not fal.emulator.store.requests


@pytest.mark.parametrize("origin", [{}, {"origin": PAGE}])
def test_a_cancelled_response_is_not_logged_as_an_error(
    fal: Fal, origin: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    direct = fal.start_request("POST", f"{RUN}/{SCHNELL}", headers=origin, body=A_CAT)
    watcher = fal.submit().watch(headers=origin)
    for call in (direct, watcher):
        call.cancel()
        assert call.is_over
    assert not direct.sent
    assert len(watcher.events()) == 1
    assert not caplog.records


def test_an_internal_error_is_a_500_and_logged(
    fal: Fal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(fal.emulator, "submit", None)
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", body=A_CAT)
    assert (response.status_code, response.text) == (500, '{"detail":"Internal Server Error"}')
    assert "internal error at POST /fal-ai/flux/schnell" in caplog.text
    assert [exchange.status for exchange in fal.journal] == [500]


# -- CORS

HOSTS = [
    f"{QUEUE}/{SCHNELL}",
    f"{RUN}/{SCHNELL}",
    f"{OURS}/queue.fal.run/{SCHNELL}",
    f"{OURS}/fal.run/{SCHNELL}",
]


@pytest.mark.parametrize("url", HOSTS)
def test_a_preflight_request_is_accepted_for_every_origin(fal: Fal, url: str) -> None:
    header_names = "authorization,content-type,x-fal-queue-priority,x-app-mine"
    response = fal.request(
        "OPTIONS",
        url,
        key=None,
        headers={
            "origin": PAGE,
            "access-control-request-method": "POST",
            "access-control-request-headers": header_names,
        },
    )
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert "POST" in response.headers["access-control-allow-methods"]
    assert response.headers["access-control-allow-headers"] == header_names
    assert response.headers["access-control-allow-credentials"] == "true"
    assert not fal.journal


@pytest.mark.parametrize("url", HOSTS)
def test_a_page_can_read_the_response(auto_advance: Fal, url: str) -> None:
    response = auto_advance.request("POST", url, headers={"origin": PAGE, "cookie": "a=b"}, body=A_CAT)
    assert response.status_code == 200
    assert response.headers["access-control-allow-origin"] == PAGE
    assert response.headers["access-control-allow-credentials"] == "true"
    assert response.headers["vary"] == "Origin"


@pytest.mark.parametrize("url", [f"{QUEUE}/{SCHNELL}", f"{RUN}/{SCHNELL}"])
def test_a_page_can_read_error_responses(fal: Fal, url: str) -> None:
    response = fal.request("POST", url, key=None, headers={"origin": PAGE}, body=A_CAT)
    assert (response.status_code, response.headers["access-control-allow-origin"]) == (401, PAGE)


def test_a_page_can_read_a_status_stream(fal: Fal) -> None:
    watcher = fal.submit().watch(headers={"origin": PAGE})
    assert watcher.head().headers["access-control-allow-origin"] == PAGE
    fal.advance(QUEUE_S + RUN_S)
    assert watcher.events()[-1]["status"] == "COMPLETED"


def test_without_an_origin_there_are_no_cors_headers(fal: Fal) -> None:
    headers = fal.submit().response.headers
    assert not [name for name in headers if name.startswith("access-control-")]


# -- the journal


def test_an_exchange_is_recorded_completely(fal: Fal) -> None:
    body = json.dumps({"prompt": "a cat", "seed": 7}).encode()
    handle = fal.submit(body=body, query="?fal_max_queue_length=9")
    (exchange,) = fal.journal
    assert exchange.at == fal.clock.now()
    assert (exchange.tenant, exchange.request_id) == ("alice", handle.id)
    assert (exchange.method, exchange.status) == ("POST", 200)
    assert exchange.url == "https://queue.fal.run/fal-ai/flux/schnell?fal_max_queue_length=9"
    assert (exchange.request_body, exchange.json) == (body, {"prompt": "a cat", "seed": 7})
    assert exchange.response_body == handle.response.content
    assert (b"authorization", "Key alice:•••".encode()) in exchange.request_headers
    assert (b"x-fal-request-id", handle.id.encode()) in exchange.response_headers


@pytest.mark.parametrize(("base", "queue", "media"), ADDRESS_FORMS.values(), ids=ADDRESS_FORMS)
def test_the_journal_has_fals_own_urls(fal: Fal, base: str, queue: str, media: str) -> None:
    fal.submit(at=base)
    assert fal.journal[0].url in (f"{QUEUE}/{SCHNELL}", f"https://queue.falrun.com/{SCHNELL}")


def test_a_proxied_request_is_recorded_with_its_target_url(fal: Fal) -> None:
    proxied(fal, "POST", f"{QUEUE}/{SCHNELL}?a=b", body=A_CAT)
    assert fal.journal[0].url == f"{QUEUE}/{SCHNELL}?a=b"


def test_a_poll_without_a_key_is_attributed_to_the_submitter(fal: Fal) -> None:
    handle = fal.submit(key="bob:secret")
    handle.status(key=None)
    assert [(exchange.tenant, exchange.request_id) for exchange in fal.journal] == [("bob", handle.id)] * 2


@pytest.mark.parametrize(
    ("headers", "tenant"),
    [
        ({"authorization": "Key bob:wrong"}, "bob"),
        ({"authorization": "key bob:wrong"}, "bob"),
        ({"authorization": "Bearer bob"}, ""),
        ({"authorization": "Key"}, ""),
        ({}, ""),
    ],
)
def test_a_rejected_request_is_attributed_to_the_key_id(
    serve: Serve, headers: dict[str, str], tenant: str
) -> None:
    fal = serve(key=("alice:secret",))
    response = fal.request("POST", f"{QUEUE}/{SCHNELL}", key=None, headers=headers, body=A_CAT)
    (exchange,) = fal.journal
    assert (exchange.tenant, exchange.status, exchange.request_id) == (tenant, 401, None)
    assert exchange.response_body == response.content


def test_a_poll_of_anothers_request_is_attributed_to_the_poller(fal: Fal) -> None:
    fal.submit(key="alice:secret").status(key="bob:secret")
    exchange = fal.journal[-1]
    assert (exchange.tenant, exchange.status, exchange.request_id) == ("bob", 404, None)


def test_a_direct_request_is_recorded_too(auto_advance: Fal) -> None:
    response = auto_advance.run()
    (exchange,) = auto_advance.journal
    assert exchange.url == f"{RUN}/{SCHNELL}"
    assert exchange.request_id == response.headers["x-fal-request-id"]
    assert exchange.response_body == response.content


def test_a_stream_is_recorded_as_it_is_sent(fal: Fal) -> None:
    handle = fal.submit()
    watcher = handle.watch()
    exchange = fal.journal[-1]
    first = watcher.new_text()
    assert (exchange.status, exchange.request_id) == (200, handle.id)
    assert exchange.response_body.decode() == first
    fal.advance(QUEUE_S)
    second = watcher.new_text()
    assert exchange.response_body.decode() == first + second
    watcher.disconnect()
    fal.advance(RUN_S)
    assert exchange.response_body.decode() == first + second


def test_pictures_are_not_kept_in_the_journal(fal: Fal) -> None:
    picture = fal.picture()
    assert len(fal.request("GET", picture).content) > 100
    exchange = fal.journal[-1]
    assert (exchange.url, exchange.status, exchange.response_body) == (picture, 200, b"")


def test_a_head_request_is_recorded_like_its_get(fal: Fal) -> None:
    handle = fal.submit()
    handle.status()
    fal.request("HEAD", f"{handle.url}/status")
    assert [exchange.method for exchange in fal.journal] == ["POST", "GET", "HEAD"]


def test_the_journal_forgets_the_oldest_first(serve: Serve) -> None:
    fal = serve(retention=2)
    handle = fal.submit()
    handle.status()
    handle.result()
    assert [exchange.path.rpartition("/")[2] for exchange in fal.journal] == ["status", handle.id]


# -- properties

HOST_NAMES = [
    *sorted(EMULATED_HOSTS),
    "mcp.fal.ai",
    "127.0.0.1:8325",
    "localhost",
    "mock",
    "evil.test",
    "[",
    "fal.run:x",
]
OPTIONS = [
    *EMULATED_HOSTS,
    *("fal-ai", "flux", "flux-1", "schnell", "dev", "workflows", "comfy", "requests", "status", "stream"),
    *("cancel", "response", "files", "b", "upload", "storage", "api", "fal", "proxy", "_mock", "health"),
    *("019b76da-a800-7000-a274-ff43af1a57dc", "", ".", "..", "漢", "\r\nx: y", "\x00", "\ud7ff"),
]
HEADER_NAMES = [
    *(
        "authorization",
        "content-length",
        "content-type",
        "origin",
        "cookie",
        "range",
        "if-none-match",
        "if-range",
    ),
    *("x-fal-queue-priority", "x-fal-request-timeout", "x-fal-request-start-timeout", "x-fal-target-url"),
    *("x-mock-fal", "x-fal-object-lifecycle-preference", "access-control-request-method", "x-fal-file-name"),
    *("access-control-request-headers", "host"),
]
STEMS = [
    "",
    "/fal-ai/flux/requests/{id}",
    "/queue.fal.run/fal-ai/flux/requests/{id}",
    "/v3b.fal.media",
    "{file}",
]
words = st.lists(st.sampled_from(OPTIONS) | st.text(max_size=8), max_size=6).map("/".join)
paths = st.builds("{}/{}".format, st.sampled_from(STEMS), words) | st.sampled_from(STEMS[1:])
# A server rejects line breaks and null characters.
values = st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=30) | st.sampled_from(
    ["Key alice:secret", "Bearer x", "low", "1", "bytes=0-5", "https://fal.run/fal-ai/flux/dev", "https://["]
)
queries = st.binary(max_size=20) | st.sampled_from(
    [
        b"logs=1",
        b"fal_max_queue_length=x",
        b"fal_webhook=http://127.0.0.1:9/x",
        b"storage_type=gcs",
        b"key=%ff",
        b"\x80",  # not UTF-8
    ]
)


def is_well_formed(response: httpx.Response, call: Call, method: str) -> bool:
    start, *parts = call.sent
    raw: list[tuple[bytes, bytes]] = start["headers"]
    length = response.headers.get("content-length")
    return (
        start["type"] == "http.response.start"
        and all(part["type"] == "http.response.body" for part in parts)
        and [part.get("more_body", False) for part in parts] == [True] * (len(parts) - 1) + [False]
        and all(name == name.lower() and not set(name + value) & set(b"\r\n\x00") for name, value in raw)
        and (
            length is None
            or method == "HEAD"
            or response.status_code == 304
            or int(length) == len(response.content)
        )
        and (
            response.headers.get("content-type") != "application/json"
            or not response.content
            or bool(response.json() or 1)
        )
    )


@given(
    host=st.sampled_from(HOST_NAMES) | st.text(st.characters(codec="latin-1"), max_size=8),
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"]),
    path=paths,
    query=queries,
    headers=st.lists(st.tuples(st.sampled_from(HEADER_NAMES), values), max_size=5),
    body=bodies(),
)
@settings(max_examples=400)
def test_every_request_gets_a_well_formed_response_and_never_a_500(
    host: str, method: str, path: str, query: bytes, headers: list[tuple[str, str]], body: bytes
) -> None:
    with open_fal(clock="auto-advance", max_body=100_000) as fal:
        handle = fal.submit(image_size={"width": 8, "height": 8})
        (file,) = fal.emulator.store.files
        http_scope = scope(method, "http://x/") | {
            "path": path.replace("{id}", handle.id).replace("{file}", file),
            "query_string": query,
            "headers": [
                (b"host", host.encode("latin-1")),
                *((name.encode(), value.encode("latin-1")) for name, value in headers),
            ],
        }
        call = Call(fal, http_scope, body, True)
        response = call.response()
        assert response.status_code != 500
        assert is_well_formed(response, call, method)


@given(
    body=bodies(),
    host=st.sampled_from([QUEUE, RUN]),
    endpoint=st.sampled_from([SCHNELL, DEV, "fal-ai/flux/x"]),
)
def test_the_result_can_be_read_for_every_input(body: bytes, host: str, endpoint: str) -> None:
    with open_fal(clock="auto-advance") as fal:
        call = fal.start_request("POST", f"{host}/{endpoint}", body=body)
        response = call.response()
        id = response.headers["x-fal-request-id"]
        results = [fal.request("GET", f"{QUEUE}/fal-ai/flux/requests/{id}") for _ in range(3)]
        assert {response.status_code for response in (response, *results)} <= {200, 400, 404, 422}
        assert all(result.json() for result in results)
        assert fal.request("GET", f"{OURS}/_mock/requests").json()["requests"]
        assert fal.request("GET", f"{OURS}/").status_code == 200
