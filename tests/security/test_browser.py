"""Web pages in a browser on this machine get no script on mock-fal's origin, no live key and no webhook to others."""

from __future__ import annotations

import json
import logging
from collections.abc import AsyncIterator, Iterator
from itertools import product
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mock_fal import Account, MockFal, SettingsError
from mock_fal.cassettes.cassette import LiveResponse
from mock_fal.hosts import EMULATED_HOSTS
from mock_fal.journal.exchanges import RawHeaders
from mock_fal.settings import Settings
from mock_fal.summary import summary
from mock_fal.web.control.api import ROUTES
from mock_fal.web.isolation import INLINE_TYPES, foreign_origin
from mock_fal.webhooks.outbox import Delivery, DeliveryState
from mock_fal.webhooks.receiver import WebhookReceiver
from tests.web.conftest import MEDIA, OURS, QUEUE, RUN, SCHNELL, Fal, open_fal, send
from tests.web.test_sockets import Connection

EVIL = {"origin": "http://evil.test"}
KEY = {"authorization": "Key alice:secret"}
TEXT = {"content-type": "text/plain"}  # what a page may send without a preflight request
PROXY = f"{OURS}/api/fal/proxy"
SCRIPT = "<script>fetch(`/_mock/requests`)</script>"
A_CAT = b'{"prompt":"a cat"}'

# Content types of the attack, and others that a browser takes for a page, a program or a reason to guess.
SCRIPTABLE = [
    *("TEXT/HTML", "image/SVG+XML", "text/xsl", "application/unknown", "unknown/unknown", "text/html; charset=x"),
    *("application/xhtml+xml", "image/png+xml", "text/xml", "application/pdf", "application/octet-stream", "*/*"),
    *("multipart/x-mixed-replace; boundary=x", "image/png, text/html", "image/png;a=b,text/html", "text", "x"),
    *("text/javascript", "text/css", "application/x-shockwave-flash", "message/rfc822", "multipart/related"),
]  # fmt: skip


@pytest.fixture
def fal() -> Iterator[Fal]:
    with open_fal() as fal:
        yield fal


@pytest.fixture
def auto_advance() -> Iterator[Fal]:
    with open_fal(clock="auto-advance") as fal:
        yield fal


def assert_isolated(response: httpx.Response, *, inline: bool | None = None) -> None:
    """The response has no origin and an exact type; with `inline`, whether a browser shows it."""
    headers = response.headers
    assert headers.get_list("content-security-policy") == ["sandbox"]
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    if inline is not None:
        assert headers.get_list("content-disposition") == ([] if inline else ["attachment"])


def injected(fal: Fal, directive: str, at: str = f"{OURS}/queue.fal.run") -> httpx.Response:
    """The status of a request whose prompt holds a directive, as a page submits it and then opens the status URL."""
    body = json.dumps({"prompt": f"[mock: {directive}]"}).encode()
    submitted = send(fal, "POST", f"{at}/{SCHNELL}", {**TEXT, **EVIL, **KEY}, content=body)
    return send(fal, "GET", submitted.json()["status_url"])


def upload(fal: Fal, content_type: str, at: str = f"{OURS}/v3b.fal.media") -> httpx.Response:
    """An uploaded file, as a browser reads it."""
    headers = {"content-type": content_type, **EVIL, **KEY}
    url = send(fal, "POST", f"{at}/files/upload", headers, content=SCRIPT.encode()).json()["access_url"]
    response = send(fal, "GET", url)
    assert response.content == SCRIPT.encode()
    return response


# -- scripts on our origin


def test_an_injected_page_has_no_origin(fal: Fal) -> None:
    response = injected(fal, f"operation=status status=200 body='{SCRIPT}'")
    assert (response.status_code, response.text) == (200, SCRIPT)
    assert response.headers["content-type"].startswith("text/html")
    assert_isolated(response, inline=False)


@pytest.mark.parametrize("content_type", SCRIPTABLE)
def test_an_uploaded_page_has_no_origin_and_is_not_shown(fal: Fal, content_type: str) -> None:
    assert_isolated(upload(fal, content_type), inline=False)


@pytest.mark.parametrize("content_type", SCRIPTABLE)
def test_an_injected_content_type_is_not_shown(fal: Fal, content_type: str) -> None:
    directive = f"operation=status header.content-type={json.dumps(content_type)}"
    response = injected(fal, directive)
    assert response.headers["content-type"] == content_type
    assert_isolated(response, inline=False)


@pytest.mark.parametrize(
    "header",
    [
        "content-security-policy=script-src 'unsafe-inline'",
        "content-security-policy=sandbox allow-scripts allow-same-origin",
        "Content-Security-Policy=",
        "x-content-type-options=",
        "x-content-type-options=x",
        "content-disposition=inline",
        "set-cookie=session=evil",
        "clear-site-data=*",
    ],
)
def test_a_rule_cannot_weaken_the_isolation(fal: Fal, header: str) -> None:
    """A browser keeps cookies for all ports of this machine."""
    name, _, value = header.partition("=")
    response = injected(fal, f"operation=status status=200 body='{SCRIPT}' header.{name}={json.dumps(value)}")
    assert response.text == SCRIPT
    assert_isolated(response, inline=False)
    assert not {"set-cookie", "clear-site-data"} & response.headers.keys()


@pytest.mark.parametrize("tail", ["", "; charset=utf-8", " ;a=b"])
def test_types_that_hold_no_script_are_shown(fal: Fal, tail: str) -> None:
    for content_type in INLINE_TYPES:
        assert_isolated(upload(fal, content_type.decode().upper() + tail), inline=True)


def test_json_streams_and_pictures_are_shown(fal: Fal) -> None:
    handle = fal.completed(at=f"{OURS}/queue.fal.run", image_size={"width": 64, "height": 48})
    assert_isolated(handle.response, inline=True)
    assert_isolated(handle.status(), inline=True)
    assert_isolated(handle.watch().response(), inline=True)
    picture = handle.result().json()["images"][0]["url"]
    assert_isolated(fal.request("GET", picture), inline=True)
    assert_isolated(fal.request("HEAD", picture), inline=True)
    assert_isolated(fal.request("GET", picture, headers={"range": "bytes=0-5"}), inline=True)
    # It keeps the type of the response that the browser has.
    assert_isolated(fal.request("GET", picture, headers={"if-none-match": "*"}), inline=True)


@pytest.mark.parametrize("host", [*sorted(EMULATED_HOSTS), "mcp.fal.ai", "unknown.test"])
def test_every_response_of_every_host_is_isolated(auto_advance: Fal, host: str) -> None:
    """Also errors, preflight requests, missing keys and hosts that are not emulated."""
    paths = ("/", f"/{SCHNELL}", "/fal-ai/flux/requests/1/status", "/files/b/x", "/v1/models")
    methods = ("GET", "POST", "OPTIONS", "HEAD", "DELETE")
    for method, path, origin in product(methods, paths, ({}, EVIL)):
        headers = {**origin, "access-control-request-method": "POST"}
        target = {"x-fal-target-url": f"https://{host}{path}"}
        assert_isolated(send(auto_advance, method, PROXY, {**headers, **target}))
        if host != "unknown.test":
            assert_isolated(send(auto_advance, method, f"{OURS}/{host}{path}", headers))


def test_a_large_body_and_an_internal_error_are_isolated(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"{OURS}/queue.fal.run/{SCHNELL}"
    assert_isolated(fal.request("POST", url, headers={"content-length": "9999999999"}, body=b"{}"))
    monkeypatch.setattr(fal.emulator, "submit", None)
    response = fal.request("POST", url, body=A_CAT)
    assert response.status_code == 500
    assert_isolated(response)


@pytest.mark.parametrize(
    "fault", ["status=502", "ingress=502", "account=locked", "status=204", "json=malformed"]
)
def test_injected_faults_are_isolated(fal: Fal, fault: str) -> None:
    assert_isolated(injected(fal, f"operation=status {fault}"))


def test_a_rejected_handshake_is_isolated(fal: Fal) -> None:
    assert_isolated(Connection(fal, f"ws://127.0.0.1:8325/ws.fal.run/{SCHNELL}", key=None).rejection)
    response = Connection(fal, f"wss://ws.fal.run/{SCHNELL}", key=None).rejection
    assert "content-security-policy" not in response.headers


def test_behind_the_gateway_responses_have_fals_headers_only(fal: Fal) -> None:
    """There a browser has another origin than ours: that of the host, as in production."""
    added = {"content-security-policy", "x-content-type-options", "content-disposition"}
    for response in (
        upload(fal, "text/html", MEDIA),
        injected(fal, f"operation=status status=200 body='{SCRIPT}'", QUEUE),
        send(fal, "GET", f"{QUEUE}/{SCHNELL}"),
        send(fal, "OPTIONS", f"{RUN}/{SCHNELL}", {**EVIL, "access-control-request-method": "POST"}),
        fal.submit().response,
    ):
        assert not added & response.headers.keys()
    response = injected(
        fal, "operation=status header.set-cookie='a=b' header.content-security-policy=x", QUEUE
    )
    assert (response.headers["set-cookie"], response.headers["content-security-policy"]) == ("a=b", "x")


def test_another_name_of_fal_in_host_is_no_way_around_it(fal: Fal) -> None:
    """The Host is one of fal's, but the path names another."""
    response = send(fal, "GET", f"https://mcp.fal.ai/queue.fal.run/{SCHNELL}")
    assert_isolated(response)


@pytest.mark.parametrize("path", ROUTES)
def test_the_control_api_is_not_sniffed_and_runs_no_scripts(fal: Fal, path: str) -> None:
    fal.submit(SCRIPT)
    for method in ("GET", "OPTIONS"):
        # A stream of events has no end of its own.
        query = "?limit=1" if path == "/_mock/events" else ""
        response = send(fal, method, OURS + path.replace("{name}", "queue") + query)
        assert response.headers.get_list("x-content-type-options") == ["nosniff"]
        assert response.headers["cross-origin-resource-policy"] == "same-origin"
        [policy] = response.headers.get_list("content-security-policy")
        assert policy.startswith("default-src 'none'; ") and "frame-ancestors 'none'" in policy
        assert "form-action 'none'" in policy and "base-uri 'none'" in policy
        assert ("sandbox" in policy) == (response.headers.get("content-type") != "text/html; charset=utf-8")


@pytest.mark.parametrize("headers", [{"host": "evil.test"}, EVIL])
def test_rejected_and_unknown_requests_to_the_control_api_have_the_policy_too(
    fal: Fal, headers: dict[str, str]
) -> None:
    for path in ("/_mock/requests", "/nothing"):
        response = send(fal, "GET", OURS + path, headers)
        assert response.headers["x-content-type-options"] == "nosniff"
        assert response.headers["content-security-policy"].startswith("default-src 'none'; ")


# -- foreign origins


@pytest.mark.parametrize(
    "origin",
    ["http://localhost:3000", "http://127.0.0.1:5173", "http://127.9.9.9", "https://app.localhost", "http://[::1]:3000",
     "http://0.0.0.0:3000", "http://127.0.0.1:8325", "tauri://localhost"],
)  # fmt: skip
def test_an_origin_on_this_machine_is_not_foreign(origin: str) -> None:
    assert foreign_origin(origin.encode(), b"127.0.0.1:8325") == ""


@pytest.mark.parametrize(
    "host", ["mock:8325", "192.168.1.5:8325", "localhost:8325", "host.docker.internal:8325"]
)
def test_our_own_address_is_not_foreign(host: str) -> None:
    assert foreign_origin(f"http://{host}".encode(), host.encode()) == ""
    assert foreign_origin(b"http://mock:1", host.encode()) == "http://mock:1"


@pytest.mark.parametrize("host", ["127.0.0.1:8325", "queue.fal.run", "evil.test", "evil.test:8325", ""])
@pytest.mark.parametrize(
    "origin",
    ["http://evil.test", "http://evil.test:8325", "null", "", "http://[", "http://localhost.evil.test", "file://",
     "http://127.0.0.1.evil.test", "http://192.168.1.1", "https://fal.ai", "chrome-extension://abcdef", "http://xlocalhost"],
)  # fmt: skip
def test_other_origins_are_foreign_whatever_the_host(origin: str, host: str) -> None:
    """With DNS rebinding the Host is the name of the page."""
    assert foreign_origin(origin.encode(), host.encode()) == (origin or "null")


def test_without_an_origin_a_request_is_of_a_program() -> None:
    assert foreign_origin(None, b"evil.test") == ""


@given(origin=st.text(st.characters(codec="latin-1")), host=st.text(st.characters(codec="latin-1")))
def test_every_origin_can_be_judged(origin: str, host: str) -> None:
    assert foreign_origin(origin.encode("latin-1"), host.encode("latin-1")) in ("", origin, "null")


# -- recording


LIVE_KEY = "live:4fd1c0ffee4fd1c0ffee"


class Recorder:
    """An application that records, and the requests that it would have sent to the live service."""

    def __init__(self, fal: Fal) -> None:
        self.fal = fal
        self.forwarded: list[tuple[str, dict[bytes, bytes]]] = []
        fal.app.set_forward(self._forward)
        self.key = {"authorization": f"Key {fal.emulator.program_key()}"}

    async def _forward(
        self, method: str, url: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]
    ) -> LiveResponse:
        if not isinstance(body, bytes):
            _ = [piece async for piece in body]
        self.forwarded.append((url, dict(headers)))

        async def nothing() -> AsyncIterator[bytes]:
            yield b"{}"

        return LiveResponse(200, [(b"content-type", b"application/json")], nothing())


@pytest.fixture
def recorder(tmp_path: Path) -> Iterator[Recorder]:
    with open_fal(record=str(tmp_path / "cassettes"), live_key=LIVE_KEY, allow_egress=True) as fal:
        yield Recorder(fal)


# Every way to the live service: method, URL, headers.
WAYS: list[tuple[str, str, dict[str, str]]] = [
    ("POST", f"{OURS}/fal.run/{SCHNELL}", {}),
    ("POST", f"{OURS}/queue.fal.run/{SCHNELL}", {}),
    ("PUT", f"{OURS}/queue.fal.run/fal-ai/flux/requests/1/cancel", {}),
    ("POST", f"{OURS}/rest.fal.ai/storage/upload/initiate", {}),
    ("PUT", f"{OURS}/v3b.fal.media/files/b/1/x.png", {}),
    ("GET", f"{OURS}/v3b.fal.media/files/b/1/x.png", {}),
    ("GET", f"{OURS}/api.fal.ai/v1/models", {}),
    ("POST", f"{RUN}/{SCHNELL}", {}),
    ("POST", f"{QUEUE}/{SCHNELL}", {}),
    ("GET", f"{MEDIA}/files/b/1/x.png", {}),
    ("POST", PROXY, {"x-fal-target-url": f"{RUN}/{SCHNELL}"}),
]


@pytest.mark.parametrize("origin", ["http://evil.test", "null", "", "http://127.0.0.1.evil.test"])
@pytest.mark.parametrize(("method", "url", "headers"), WAYS)
def test_a_foreign_page_cannot_spend_money(
    recorder: Recorder, method: str, url: str, headers: dict[str, str], origin: str
) -> None:
    for key in ({}, KEY, recorder.key, {"authorization": "Bearer x"}):
        response = send(recorder.fal, method, url, {**headers, **key, "origin": origin}, content=A_CAT)
        assert response.status_code == 403
        assert "mock-fal: not forwarded to fal" in response.json()["detail"]
    assert recorder.forwarded == []


@pytest.mark.parametrize(
    "host", ["evil.test", "evil.test:8325", "localhost.evil.test", "mcp.fal.ai.evil.test"]
)
@pytest.mark.parametrize(("method", "url", "headers"), [way for way in WAYS if way[1].startswith(OURS)])
def test_a_rebound_name_cannot_spend_money(
    recorder: Recorder, method: str, url: str, headers: dict[str, str], host: str
) -> None:
    for origin in ({}, {"origin": f"http://{host}"}):
        sent = {**headers, **recorder.key, **origin, "host": host}
        assert send(recorder.fal, method, url, sent, content=A_CAT).status_code == 403
    assert recorder.forwarded == []


@pytest.mark.parametrize(("method", "url", "headers"), WAYS)
@pytest.mark.parametrize("key", ["mock:fal", "alice:secret", LIVE_KEY, "mock:", "mock:x"])
def test_only_the_random_key_of_the_run_is_replaced_by_the_live_one(
    recorder: Recorder, method: str, url: str, headers: dict[str, str], key: str
) -> None:
    other = {**headers, "authorization": f"Key {key}"}
    response = send(recorder.fal, method, url, other, content=A_CAT)
    assert (response.status_code, recorder.forwarded) == (401, [])
    assert LIVE_KEY not in response.text
    assert send(recorder.fal, method, url, {**headers, **recorder.key}, content=A_CAT).status_code == 200
    [(_, sent)] = recorder.forwarded
    assert sent[b"authorization"] == f"Key {LIVE_KEY}".encode()


def test_the_message_names_the_key_id_and_where_the_right_key_is(recorder: Recorder) -> None:
    response = send(recorder.fal, "POST", f"{RUN}/{SCHNELL}", KEY, content=A_CAT)
    assert response.json() == {
        "detail": "mock-fal: not forwarded to fal: the key with the id 'alice' is not the one of this recording; "
        "use the FAL_KEY that mock-fal run and mock-fal env set"
    }


def test_the_proxy_adds_no_key_while_recording(recorder: Recorder) -> None:
    for origin in ({}, {"origin": "http://localhost:3000"}):
        headers = {"x-fal-target-url": f"{RUN}/{SCHNELL}", **origin}
        assert send(recorder.fal, "POST", PROXY, headers, content=A_CAT).status_code == 401
    assert recorder.forwarded == []


def test_a_page_of_this_machine_may_record_with_the_key(recorder: Recorder) -> None:
    for origin in ("http://localhost:3000", OURS):
        headers = {**recorder.key, "origin": origin}
        response = send(recorder.fal, "POST", f"{OURS}/fal.run/{SCHNELL}", headers, content=A_CAT)
        assert response.status_code == 200
        assert response.headers["access-control-allow-origin"] == origin
    assert len(recorder.forwarded) == 2


def test_the_key_of_a_recording_is_random(tmp_path: Path) -> None:
    keys = set()
    for name in ("a", "b"):
        with MockFal(record=str(tmp_path / name), live_key=LIVE_KEY, allow_egress=True) as fal:
            accounts = [fal.account(), fal.account("main-test:test")]
            assert [account.key.partition(":")[0] for account in accounts] == ["mock", "main-test"]
            assert all(account.env["FAL_KEY"] == account.key for account in accounts)
            assert fal.env["FAL_KEY"] == fal.account().key
            keys |= {account.key.partition(":")[2] for account in accounts}
    assert len(keys) == 2 and all(len(secret) == 32 for secret in keys)


def test_without_a_recording_keys_are_as_documented() -> None:
    with MockFal() as fal:
        assert (fal.account().key, fal.account("a:b").key, fal.env["FAL_KEY"]) == (
            "mock:fal",
            "a:b",
            "mock:fal",
        )


def test_a_recording_takes_no_key_of_a_user() -> None:
    with pytest.raises(SettingsError, match="a random key.*; expected no --key"):
        Settings(record="a", live_key=LIVE_KEY, allow_egress=True, key=("a:b",))


# -- webhooks


@pytest.fixture
def receiver() -> Iterator[WebhookReceiver]:
    """A service on this machine that a page wants to reach."""
    with WebhookReceiver("http://127.0.0.1:9/unused") as receiver:
        yield receiver


def requested(fal: MockFal, url: str, headers: dict[str, str], *, by_proxy: bool = False) -> Delivery:
    """The delivery of the webhook of a submission with these headers, once it was attempted or blocked."""
    path = f"queue.fal.run/{SCHNELL}"
    if by_proxy:
        headers = {**headers, "x-fal-target-url": f"https://{path}?fal_webhook={url}"}
        submission = f"{fal.url}/api/fal/proxy"
    else:
        submission = f"{fal.url}/{path}?fal_webhook={url}"
    response = httpx.post(submission, headers={**TEXT, **headers}, content=A_CAT, trust_env=False)
    assert response.status_code == 200, response.text
    return fal.wait_for_deliveries()[-1]


@pytest.mark.parametrize(
    "origin", ["http://evil.test", "null", "http://192.168.1.1", "http://127.0.0.1.evil.test"]
)
@pytest.mark.parametrize("key", ["a:b", "mock:fal"])
def test_a_foreign_page_gets_no_webhook_to_this_machine(
    receiver: WebhookReceiver, origin: str, key: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    with MockFal(clock="auto-advance") as fal:
        for name in ("127.0.0.1", "localhost"):
            url = receiver.url.replace("127.0.0.1", name) + "/admin/delete?all=1"
            delivery = requested(fal, url, {"authorization": f"Key {key}", "origin": origin})
            assert delivery.state is DeliveryState.FAILED
            [attempt] = delivery.attempts
            assert attempt.error == (f"requested by a web page of '{origin}', and not with a key of --key")
        assert receiver.received == []
        text = summary(fal.requests, fal.gateway_events, deliveries=fal.deliveries)
        assert f"webhook not delivered: {receiver.url}" in text and f"a web page of '{origin}'" in text
    assert f"requested by a web page of '{origin}'" in caplog.text


@pytest.mark.parametrize(
    "url",
    [
        "http://10.0.0.1/",
        "http://[::1]:9/",
        "http://0.0.0.0:9/",
        "http://169.254.169.254/",
        "http://100.64.0.1/",
    ],
)
def test_a_foreign_page_gets_no_webhook_into_a_private_network_with_egress(url: str) -> None:
    with MockFal(clock="auto-advance", allow_egress=True) as fal:
        delivery = requested(fal, url, {**KEY, **EVIL})
        assert "requested by a web page" in delivery.attempts[0].error


@pytest.mark.parametrize(
    "origin", [{}, {"origin": "http://localhost:3000"}, {"origin": "http://127.0.0.1:5173"}]
)
def test_programs_and_pages_of_this_machine_get_webhooks(
    receiver: WebhookReceiver, origin: dict[str, str]
) -> None:
    with MockFal(clock="auto-advance") as fal:
        for by_proxy in (False, True):
            assert (
                requested(fal, receiver.url, {**KEY, **origin}, by_proxy=by_proxy).state
                is DeliveryState.DELIVERED
            )


def test_a_foreign_page_with_a_key_of_the_run_gets_webhooks(receiver: WebhookReceiver) -> None:
    with MockFal(clock="auto-advance", key=("alice:secret", "mock:fal")) as fal:
        assert requested(fal, receiver.url, {**KEY, **EVIL}).state is DeliveryState.DELIVERED
        public = {"authorization": "Key mock:fal"}
        assert requested(fal, receiver.url, {**public, **EVIL}).state is DeliveryState.FAILED


def test_the_key_that_the_proxy_adds_is_not_that_of_the_page(receiver: WebhookReceiver) -> None:
    with MockFal(clock="auto-advance", key=("alice:secret",)) as fal:
        assert requested(fal, receiver.url, EVIL, by_proxy=True).state is DeliveryState.FAILED
    assert receiver.received == []


def test_the_account_of_a_fixture_gets_its_webhooks(receiver: WebhookReceiver) -> None:
    with MockFal(clock="auto-advance") as fal:
        account: Account = fal.account("main-test:test")
        delivery = requested(fal, receiver.url, {"authorization": f"Key {account.key}"})
        assert delivery.state is DeliveryState.DELIVERED
