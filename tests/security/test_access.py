"""Secrets of keys are shown nowhere; other machines and other users get neither the control API nor the proxy."""

from __future__ import annotations

import gzip
import json
import logging
import os
import re
import shlex
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from base64 import b64encode, urlsafe_b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZipFile

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mock_fal import Account, MockFal, MockFalError, SettingsError
from mock_fal.accounts.secrets import (
    HIDDEN,
    MAX_COMPARED,
    MAX_KEYS,
    STEP_BYTES,
    Secrets,
    shown_authorization,
    shown_key,
)
from mock_fal.cassettes.cassette import LiveResponse
from mock_fal.cli import main
from mock_fal.gateway import peer_owner
from mock_fal.gateway.addresses import FILES, check_files, checked_addresses
from mock_fal.journal.exchanges import MAX_SEARCHED_AT_ONCE, Exchange, RawHeaders, add_part
from mock_fal.server import open_remote_gateway
from mock_fal.settings import Settings
from mock_fal.summary import summary
from mock_fal.web.control.api import ROUTES
from tests.web.conftest import OURS, QUEUE, RUN, SCHNELL, Fal, open_fal

SECRET = "s3cr3t-0f-alice"
KEY = f"alice:{SECRET}"
BASIC = b64encode(KEY.encode()).decode()
TOKEN = "a-control-token"
STRANGER = "192.0.2.7"
NOBODY: dict[str, str] = {}

# The secret as a text, and in the encodings in which a body may have it.
FORMS = [
    *(SECRET, quote(SECRET, safe=""), SECRET.encode().hex(), BASIC),
    *(b64encode(SECRET.encode()).decode(), urlsafe_b64encode(f"xx{SECRET}".encode()).decode()[3:-4]),
]


@pytest.fixture
def fal() -> Iterator[Fal]:
    with open_fal() as fal:
        yield fal


def concrete(path: str) -> str:
    """A path of a route, with a value for each name. The events end after the first one."""
    path = path.replace("{path:path}", "index.html").replace("{name}", "queue")
    path = path.replace("/_mock/events", "/_mock/events?limit=1")
    return re.sub(r"{\w+(:int)?}", "1", path)


def everything_shown(fal: Fal) -> str:
    """All that the control API and the inspector respond, and the text that summaries and reports have."""
    paths = [concrete(path) for path, handlers in ROUTES.items() if "GET" in handlers]
    ids = [*fal.emulator.store.requests, *(f"exchange-{exchange.number}" for exchange in fal.journal)]
    paths += [f"/_mock/calls/{id}{rest}" for id in ids for rest in ("", "/snippet", "/snippet?as=python")]
    paths += [f"/_mock/requests/{exchange.number}" for exchange in fal.journal]
    texts = [fal.request("GET", f"{OURS}{path}", key=None).text for path in paths]
    texts += [fal.request("GET", f"{OURS}/_mock/requests?format=har", key=None).text]
    texts += [fal.request("GET", f"{OURS}/_mock/requests.har?secrets=1", key=None).text]
    for id in ids:
        zipped = fal.request("GET", f"{OURS}/_mock/calls/{id}/cassettes", key=None)
        if zipped.status_code == 200:
            with ZipFile(BytesIO(zipped.content)) as archive:
                texts += [archive.read(name).decode("utf-8", "replace") for name in archive.namelist()]
    exchanges = [fal.emulator.shown(exchange) for exchange in fal.emulator.store.exchanges]
    texts += [repr(exchange) + repr(exchange.request_headers) for exchange in exchanges]
    texts += [repr(exchange.json) for exchange in exchanges if exchange.input is not None]
    return "\n".join([*texts, summary(exchanges, [])])


def assert_hidden(text: str) -> None:
    assert [form for form in FORMS if form in text] == []


# -- the secrets of keys


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        (f"Key {KEY}", "Key alice:•••"),
        (f"key  {KEY} ", "key  alice:••• "),
        (f"Bearer {KEY}", "Bearer alice:•••"),
        (f"Basic {BASIC}", "Basic alice:•••"),
        ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIi.c2ln", "Bearer •••"),
        ("Basic not-base64", "Basic •••"),
        (KEY, "alice:•••"),
        (SECRET, "•••"),
        (f"Key {SECRET}", "Key •••"),
        (f'Key "{KEY}"', 'Key "alice:•••"'),
        (f"Key alice: {SECRET}", "Key alice: •••"),
        (f"Key {SECRET} {SECRET}", "Key ••• •••"),
        (f"Key alice:{SECRET}:{SECRET}", "Key alice:•••:•••"),
        (f"{KEY} {SECRET}", "alice:••• •••"),
        ("Key None", "Key None"),
        ("Key undefined", "Key undefined"),
        ("Key ", "Key "),
        ("Key", "Key"),
    ],
)
def test_an_authorization_is_shown_with_its_shape_and_without_its_secret(
    fal: Fal, sent: str, shown: str
) -> None:
    assert shown_authorization(sent) == shown
    fal.request("GET", f"{QUEUE}/x", key=None, headers={"authorization": sent})
    (exchange,) = fal.request("GET", f"{OURS}/_mock/requests", key=None).json()["requests"]
    assert dict(exchange["request"]["headers"])["authorization"] == shown
    (entry,) = fal.request("GET", f"{OURS}/_mock/requests.har", key=None).json()["log"]["entries"]
    assert {"name": "authorization", "value": shown} in entry["request"]["headers"]


@given(st.text("ab:\"' \t%=+/", max_size=30))
def test_no_part_of_a_key_but_its_id_is_shown(text: str) -> None:
    shown, (key_id, colon, _) = shown_key(text), text.partition(":")
    assert shown.startswith(f"{key_id}:" if colon else "")
    assert re.sub(rf"[:\"'\s]|{HIDDEN}", "", shown.removeprefix(key_id if colon else "")) == ""


@pytest.mark.parametrize(
    "url",
    [
        f"{QUEUE}/x?key={KEY}",
        f"{QUEUE}/x?fal_key={quote(KEY, safe='')}&logs=1",
        f"{QUEUE}/x?api_key={SECRET}",
        f"{RUN}/x?fal_jwt_token={SECRET}",
        f"{RUN}/x?token={SECRET}",
        f"{QUEUE}/{KEY}/x",
        f"{QUEUE}/x/{SECRET}",
        f"{QUEUE}/x?other={KEY}",
        f"{OURS}/queue.fal.run/x?callback=http://{KEY}@host/",
    ],
)
def test_a_key_in_a_url_is_not_shown(fal: Fal, url: str) -> None:
    fal.request("GET", url, key=KEY, headers={"referer": url})
    assert_hidden(everything_shown(fal))


@pytest.mark.parametrize(
    "header", ["x-api-key", "x-fal-key", "proxy-authorization", "cookie", "x-mock-fal-token", "x-other"]
)
def test_a_key_in_another_header_is_not_shown(fal: Fal, header: str) -> None:
    fal.request("GET", f"{QUEUE}/x", key=KEY, headers={header: KEY})
    fal.request(
        "GET", f"{QUEUE}/x", key=None, headers={header: f"Basic {BASIC}"} if "proxy" in header else {}
    )
    assert_hidden(everything_shown(fal))


@pytest.mark.parametrize(
    "body",
    [
        f'{{"prompt": "my key is {KEY}, keep it"}}'.encode(),
        f'{{"prompt": "{SECRET}"}}'.encode(),
        f'{{"prompt": "https://host/?key={quote(KEY, safe="")}"}}'.encode(),
        f'{{"prompt": "{BASIC}"}}'.encode(),
        f'{{"prompt": "data:text/plain;base64,{b64encode(f"key {KEY}".encode()).decode()}"}}'.encode(),
        f'{{"prompt": "{KEY.encode().hex()}"}}'.encode(),
        b"\xff\xfe" + KEY.encode() + b"\x00",
        gzip.compress(f'{{"prompt": "{KEY}"}}'.encode()),
    ],
    ids=["pair", "alone", "quoted", "base64", "data-uri", "hex", "binary", "gzip"],
)
def test_a_key_in_a_body_is_not_shown(fal: Fal, body: bytes) -> None:
    fal.request("POST", f"{QUEUE}/{SCHNELL}", key=KEY, body=body)
    shown = everything_shown(fal)
    assert_hidden(shown)
    for encoded in re.findall(r'"(H4sI[^"]+|//5h[^"]+)"', shown):
        assert SECRET.encode() not in encoded.encode()


def test_a_key_that_another_request_shows_later_is_hidden_too(fal: Fal) -> None:
    fal.request("POST", f"{QUEUE}/{SCHNELL}?x={KEY}", key=None, body=f'{{"prompt": "{KEY}"}}'.encode())
    fal.request("GET", f"{QUEUE}/x", key=KEY)
    assert_hidden(everything_shown(fal))


def test_a_key_in_a_webhook_a_rule_and_a_prompt_is_not_shown(fal: Fal) -> None:
    webhook = quote(f"http://127.0.0.1:9/?k={KEY}", safe="")
    fal.request("POST", f"{QUEUE}/{SCHNELL}?fal_webhook={webhook}", key=KEY, json={"prompt": f"a cat {KEY}"})
    rule = json.dumps([f"status=500 body='{KEY}'"])
    fal.request("POST", f"{OURS}/_mock/scenario", key=None, body=rule.encode())
    fal.advance(60)
    assert_hidden(everything_shown(fal))


def test_the_journal_does_not_keep_the_secret_of_a_request(fal: Fal) -> None:
    body = f'{{"prompt": "{SECRET}"}}'.encode()
    fal.request("POST", f"{QUEUE}/{SCHNELL}?key={KEY}", key=KEY, body=body)
    (exchange,) = fal.emulator.store.exchanges
    kept = (exchange.request_head, exchange.request_body, exchange.query.encode(), exchange.path.encode())
    assert [part for part in kept if SECRET.encode() in part] == []
    assert SECRET not in repr(vars(fal.emulator.keys)) + repr(vars(fal.emulator.keys.secrets))


@pytest.fixture
def auto_advance() -> Iterator[Fal]:
    with open_fal(clock="auto-advance") as fal:
        yield fal


@pytest.fixture
def long_call(fal: Fal) -> str:
    """The id of a call whose body is searched later, with the secret of its key at its start, in steps, and its end."""
    steps = "".join(letter * (STEP_BYTES - 8) + SECRET for letter in "xyz")
    file = BytesIO()
    Image.effect_noise((800, 800), 100).save(file, "PNG")
    image = f"data:image/png;base64,{b64encode(file.getvalue()).decode()}"
    body = json.dumps({"prompt": f"a dog {SECRET}", "image_url": image, "note": steps, "z": SECRET})
    response = fal.request("POST", f"{QUEUE}/fal-ai/flux/dev/image-to-image", key=KEY, body=body.encode())
    id: str = response.json()["request_id"]
    return id


def test_a_long_body_is_searched_for_the_secret_when_it_is_read(fal: Fal, long_call: str) -> None:
    (exchange,) = fal.emulator.store.exchanges
    assert exchange.set_aside is not None
    assert exchange.request_start(30) == f'{{"prompt": "a dog {HIDDEN}", '.encode()[:30]
    assert exchange.request_bytes > 3 * STEP_BYTES
    assert exchange.set_aside is not None  # none of this has searched all of it
    body = json.loads(exchange.request_body)
    (exchange,) = fal.emulator.store.exchanges
    assert exchange.set_aside is None
    assert (body["prompt"], body["z"]) == (f"a dog {HIDDEN}", HIDDEN)
    assert body["note"] == "".join(letter * (STEP_BYTES - 8) + HIDDEN for letter in "xyz")
    assert body["image_url"].startswith("data:image/png;base64,iVBOR")


def test_a_long_body_shows_no_secret(fal: Fal, long_call: str) -> None:
    fal.advance(60)
    assert_hidden(everything_shown(fal))


def test_a_long_input_is_listed_without_its_files_and_secrets(fal: Fal, long_call: str) -> None:
    fal.advance(60)
    url = "https://api.fal.ai/v1/models/requests/by-endpoint?endpoint_id=fal-ai/flux/dev/image-to-image"
    (item,) = fal.request("GET", f"{url}&expand=payloads", key=KEY).json()["items"]
    assert item["json_input"]["prompt"] == f"a dog {HIDDEN}"
    assert item["json_input"]["image_url"].endswith("file 1 of this input)")


def test_an_output_that_repeats_the_secret_is_shown_without_it(fal: Fal) -> None:
    fal.request("POST", f"{QUEUE}/{SCHNELL}", key=KEY, json={"prompt": f"a cat {SECRET}"})
    fal.request("POST", f"{QUEUE}/openrouter/router", key=KEY, json={"prompt": SECRET, "model": "x"})
    fal.advance(60)
    assert_hidden(everything_shown(fal))


def test_a_long_response_is_searched_when_it_is_read(auto_advance: Fal) -> None:
    fal = auto_advance
    prompt = f"{SECRET} {'x' * MAX_SEARCHED_AT_ONCE} {SECRET}"  # the output repeats it
    assert SECRET in fal.request("POST", f"{RUN}/{SCHNELL}", key=KEY, json={"prompt": prompt}).text
    (exchange,) = fal.emulator.store.exchanges
    assert exchange.set_aside is not None
    assert exchange.response_bytes > MAX_SEARCHED_AT_ONCE
    assert_hidden(everything_shown(fal))
    (exchange,) = fal.emulator.store.exchanges
    assert exchange.set_aside is None


def test_a_stream_shows_no_secret(auto_advance: Fal) -> None:
    fal = auto_advance
    body = {"prompt": f"say {SECRET}, please", "model": "x"}
    for endpoint in ("openrouter/router", SCHNELL):
        response = fal.request("POST", f"{RUN}/{endpoint}/stream", key=KEY, json=body)
        assert SECRET in response.text
    assert_hidden(everything_shown(fal))


@given(st.lists(st.integers(0, 60)))
def test_a_secret_is_found_in_any_parts_of_a_stream(cuts: list[int]) -> None:
    exchange = Exchange(0.0, "alice", "POST", "fal.run", "/", "", b"", b"", 200, b"")
    stream = f"data: {SECRET}; {quote('a/b', safe='')} and {SECRET}{SECRET}".encode()
    for start, end in pairwise([0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]):
        add_part(exchange, stream[start:end], SECRET)
        assert SECRET.encode() not in exchange.response_body
    assert exchange.response_body.decode() == stream.decode().replace(SECRET, HIDDEN)


def test_a_search_finds_no_part_of_a_secret(fal: Fal) -> None:
    fal.request("POST", f"{QUEUE}/{SCHNELL}", key="bob:another-secret", json={"prompt": f"a cat, {KEY}"})
    fal.request("GET", f"{QUEUE}/x", key=KEY)
    for text, found in (("a cat", 1), ("alice:", 1), ("alice:s3", 0), (SECRET[3:8], 0)):
        calls = fal.request("GET", f"{OURS}/_mock/calls?text={quote(text)}", key=None).json()["calls"]
        assert len(calls) == found, text


def test_a_short_secret_alone_is_an_ordinary_word(fal: Fal) -> None:
    fal.request("POST", f"{QUEUE}/{SCHNELL}", key="mock:fal", json={"prompt": "fal mock: fal, mock:fal"})
    (exchange,) = fal.request("GET", f"{OURS}/_mock/requests", key=None).json()["requests"]
    assert exchange["input"]["prompt"] == "fal mock: fal, mock:•••"
    assert exchange["host"] == "queue.fal.run"


def test_a_value_without_a_colon_names_no_account(fal: Fal) -> None:
    fal.request("GET", f"{QUEUE}/x", key=None, headers={"authorization": f"Key {SECRET}"})
    (exchange,) = fal.request("GET", f"{OURS}/_mock/requests", key=None).json()["requests"]
    assert exchange["key"] == ""


def test_assertions_compare_keys_by_their_id_and_show_no_secret() -> None:
    with MockFal(clock="auto-advance") as fal:
        account: Account = fal.account(KEY)
        headers = {"authorization": f"Key {KEY}"}
        prompt = f"with {KEY} and {SECRET}"
        httpx.post(f"{fal.url}/fal.run/{SCHNELL}", headers=headers, json={"prompt": prompt})
        account.assert_called_once_with(endpoint=SCHNELL, prompt=prompt)
        with pytest.raises(AssertionError) as error:
            account.assert_called_once_with(endpoint=SCHNELL, prompt=prompt, seed=7)
        assert_hidden(str(error.value))
        assert "with alice:••• and •••" in str(error.value)
        assert_hidden(repr(account) + repr(fal.requests) + repr(fal.settings))


def test_an_invalid_account_key_is_not_shown() -> None:
    with MockFal() as fal, pytest.raises(SettingsError) as error:
        fal.account(SECRET)
    assert_hidden(str(error.value))


def test_logs_show_no_secret(
    fal: Fal, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mock_fal.web.queue.Queue.respond", None)
    with caplog.at_level(logging.INFO):
        fal.request("GET", f"{QUEUE}/x", key=KEY)
        fal.request("GET", f"{QUEUE}/{KEY}/x", key=KEY)
    ours = "\n".join(record.getMessage() for record in caplog.records if record.name == "mock_fal")
    assert "internal error at GET" in ours
    assert_hidden(ours)


def test_the_number_of_known_keys_and_the_search_for_them_are_bounded() -> None:
    secrets = Secrets()
    for number in range(2 * MAX_KEYS):
        secrets.head(f"authorization: Key user{number}:secret".encode())
    assert len(secrets._known) == MAX_KEYS and len(secrets._shown) <= MAX_KEYS
    data = b"9:" * (10 * MAX_COMPARED)
    assert secrets.plain(data) is data
    assert (
        secrets.plain(f"x user{2 * MAX_KEYS - 1}:secret.".encode())
        == f"x user{2 * MAX_KEYS - 1}:•••.".encode()
    )


@given(st.text("alice:bo%3A secret0", max_size=40), st.text("alice:bo%3A secret0", max_size=40))
def test_only_the_secret_is_replaced(before: str, after: str) -> None:
    secrets = Secrets()
    secrets.add("alice:secret00")
    if "secret00" in before + after:
        return
    hidden = secrets.text(f"{before} alice:secret00 {after}")
    assert hidden == f"{before} alice:••• {after}"
    assert secrets.text(hidden) == hidden


# -- cassettes


class LiveService:
    """Responds with one body."""

    def __init__(self, body: bytes, content_type: str) -> None:
        self._body = body
        self._content_type = content_type

    async def __call__(
        self, method: str, url: str, headers: RawHeaders, body: bytes | AsyncIterator[bytes]
    ) -> LiveResponse:
        if not isinstance(body, bytes):
            body = b"".join([piece async for piece in body])
        response_headers = [(b"content-type", self._content_type.encode())]
        return LiveResponse(200, response_headers, _pieces(self._body))


async def _pieces(body: bytes) -> AsyncIterator[bytes]:
    yield body


LIVE_SECRET = "11112222333344445555666677778888"
LIVE_KEY = f"0f3b2c1d-1111-4222-8333-abcdefabcdef:{LIVE_SECRET}"


@pytest.mark.parametrize("offset", range(3))
@pytest.mark.parametrize(
    ("encode", "content_type"),
    [
        (lambda data: data, "application/octet-stream"),
        (gzip.compress, "application/gzip"),
        (lambda data: b64encode(data), "text/plain"),
        (lambda data: urlsafe_b64encode(data), "application/octet-stream"),
        (lambda data: data.hex().encode(), "text/plain"),
        (lambda data: data.hex().upper().encode(), "image/png"),
        (lambda data: json.dumps({"x": b64encode(data).decode()}).encode(), "application/json"),
    ],
    ids=["plain", "gzip", "base64", "base64url", "hex", "HEX", "json"],
)
def test_cassettes_have_no_secret_in_any_encoding(
    tmp_path: Path, encode: Callable[[bytes], bytes], content_type: str, offset: int
) -> None:
    content = b"x" * offset + LIVE_KEY.encode() + b" rest"
    body = encode(content)
    with open_fal(record=str(tmp_path), allow_egress=True, live_key=LIVE_KEY) as fal:
        fal.app.set_forward(LiveService(body, content_type))
        key = fal.emulator.program_key()
        for host in (RUN, "https://v3b.fal.media"):
            fal.request("POST", f"{host}/x/y", key=key, body=body, headers={"content-type": content_type})
        run_secret = key.partition(":")[2]
    written = [_unpacked(path.read_bytes()) for path in tmp_path.iterdir()]
    assert len(written) >= 2
    secrets = [encode(LIVE_SECRET.encode()), LIVE_SECRET.encode(), run_secret.encode()]
    cores = [LIVE_SECRET.encode().hex().encode(), b64encode(LIVE_SECRET.encode())[4:-8]]
    shifted = [b64encode(b"x" * at + LIVE_SECRET.encode())[4:-8] for at in (1, 2)]
    for text in written:
        assert [secret for secret in (*secrets, *cores, *shifted) if secret.lower() in text.lower()] == []


def _unpacked(data: bytes) -> bytes:
    return gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data


# -- other machines


@pytest.fixture
def open_to_others() -> Iterator[Fal]:
    with open_fal(control_token=TOKEN) as fal:
        yield fal


CONTROL = [(method, concrete(path)) for path, handlers in ROUTES.items() for method in ("GET", *handlers)]


@pytest.mark.parametrize(("method", "path"), CONTROL)
@pytest.mark.parametrize(
    "headers",
    [
        NOBODY,
        {"authorization": "Bearer wrong"},
        {"authorization": "Bearer "},
        {"x-mock-fal-token": ""},
        {"x-mock-fal-token": "wrong"},
        {"authorization": "Basic !"},
        {"x-forwarded-for": "127.0.0.1", "forwarded": "for=127.0.0.1", "x-real-ip": "127.0.0.1"},
        {"host": "127.0.0.1:8325"},
    ],
    ids=str,
)
def test_another_machine_needs_the_token(
    open_to_others: Fal, method: str, path: str, headers: dict[str, str]
) -> None:
    response = open_to_others.request(method, f"{OURS}{path}", key=None, headers=headers, peer=STRANGER)
    assert response.status_code == 401
    assert response.headers["www-authenticate"].startswith("Basic ")


@pytest.mark.parametrize(
    "headers",
    [
        {"authorization": f"Bearer {TOKEN}"},
        {"authorization": f"bearer {TOKEN}"},
        {"x-mock-fal-token": TOKEN},
        {"authorization": f"Basic {b64encode(f'any:{TOKEN}'.encode()).decode()}"},
        {"authorization": f"Bearer {TOKEN}", "host": "mock.example.com"},
    ],
    ids=str,
)
def test_another_machine_with_the_token_is_served(open_to_others: Fal, headers: dict[str, str]) -> None:
    for path in ("/", "/_mock/requests", "/_mock/health"):
        response = open_to_others.request("GET", f"{OURS}{path}", key=None, headers=headers, peer=STRANGER)
        assert response.status_code == 200


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_this_machine_needs_no_token(open_to_others: Fal, peer: str) -> None:
    assert open_to_others.request("GET", f"{OURS}/_mock/health", key=None, peer=peer).status_code == 200


@pytest.mark.parametrize(
    "peer", ["10.0.0.2", "192.168.1.1", "172.17.0.1", "fe80::1%eth0", "::ffff:10.0.0.2", "x"]
)
def test_private_and_unknown_addresses_are_other_machines(open_to_others: Fal, peer: str) -> None:
    assert open_to_others.request("GET", f"{OURS}/_mock/health", key=None, peer=peer).status_code == 401


def test_without_a_token_no_other_machine_is_served(fal: Fal) -> None:
    for headers in (NOBODY, {"x-mock-fal-token": ""}, {"authorization": "Bearer"}):
        response = fal.request("GET", f"{OURS}/_mock/health", key=None, headers=headers, peer=STRANGER)
        assert response.status_code == 401


def test_fals_hosts_are_open_to_other_machines(open_to_others: Fal) -> None:
    for base in (QUEUE, f"{OURS}/queue.fal.run"):
        response = open_to_others.request("POST", f"{base}/{SCHNELL}", json={"prompt": "a"}, peer=STRANGER)
        assert response.status_code == 200


def test_a_rebound_name_and_a_foreign_origin_are_rejected_on_this_machine(open_to_others: Fal) -> None:
    evil = [{"host": "evil.example"}, {"origin": "http://evil.example"}]
    for headers in evil:
        assert open_to_others.request("GET", f"{OURS}/", key=None, headers=headers).status_code == 403
    with_token = {**evil[1], "x-mock-fal-token": TOKEN}
    assert open_to_others.request("GET", f"{OURS}/", key=None, headers=with_token).status_code == 403


def test_our_own_webhooks_do_not_reach_the_control_api(fal: Fal) -> None:
    """Another machine may choose their address."""
    headers = {"x-fal-webhook-signature": "00"}
    assert fal.request("POST", f"{OURS}/_mock/gateway", key=None, headers=headers).status_code == 403


@pytest.mark.parametrize(("host", "is_open"), [("127.0.0.1", False), ("::1", False), ("localhost", False)])
def test_a_server_of_this_machine_needs_no_token(host: str, is_open: bool) -> None:
    assert bool(MockFal(host=host).settings.control_token) is is_open


def test_a_server_for_other_machines_has_a_random_token_unless_one_is_set() -> None:
    tokens = {MockFal(host="0.0.0.0").settings.control_token for _ in range(3)}
    assert len(tokens) == 3 and all(re.fullmatch("[0-9a-f]{32}", token) for token in tokens)
    assert MockFal(host="0.0.0.0", control_token=TOKEN).settings.control_token == TOKEN
    assert MockFal(Settings(host="::", port=0)).settings.control_token != ""


def own_address() -> str:
    """An address of this machine that is not a loopback one; skips the test without one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing
        except OSError:
            pytest.skip("this machine has no address but the loopback ones")
        address: str = probe.getsockname()[0]
    if address.startswith(("127.", "0.")):
        pytest.skip("this machine has no address but the loopback ones")
    return address


def test_the_address_of_the_connection_counts() -> None:
    address = own_address()
    with MockFal(host="0.0.0.0") as fal, httpx.Client(trust_env=False) as client:
        outside = fal.url.replace("127.0.0.1", address)
        forged = {"host": "127.0.0.1", "x-forwarded-for": "127.0.0.1"}
        assert client.get(f"{outside}/_mock/requests", headers=forged).status_code == 401
        assert client.get(f"{outside}/v3b.fal.media/files/x").status_code == 404
        authorized = {"authorization": f"Bearer {fal.settings.control_token}"}
        assert client.get(f"{outside}/_mock/requests", headers=authorized).status_code == 200
        assert client.get(f"{fal.url}/_mock/requests").status_code == 200


COMMAND = [sys.executable, "-m", "mock_fal"]


def test_serve_prints_a_random_token_on_stderr_and_env_takes_it() -> None:
    address = own_address()
    with subprocess.Popen(
        [*COMMAND, "serve", "--host", "0.0.0.0", "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as server:
        try:
            assert server.stdout is not None and server.stderr is not None
            url = server.stdout.readline().split(" at ")[1].split()[0].replace("127.0.0.1", address)
            assert "need this control token" in server.stderr.readline()
            token = server.stderr.readline().split()[-1]
            without = subprocess.run([*COMMAND, "env", "--url", url], capture_output=True, text=True)
            assert (without.returncode, without.stdout) == (2, "")
            assert "needs its control token" in without.stderr
            environ = {**os.environ, "MOCK_FAL_CONTROL_TOKEN": token}
            done = subprocess.run(
                [*COMMAND, "env", "--url", url], capture_output=True, text=True, env=environ
            )
            assert done.returncode == 0 and "is not this machine" in done.stderr
            assert token not in done.stdout
        finally:
            server.terminate()


# -- other users


def connect(proxy: str, login: str | None) -> str:
    """The first line of the response to a CONNECT request for fal."""
    host, _, port = proxy.rpartition("@")[2].removeprefix("http://").partition(":")
    authorization = (
        "" if login is None else f"Proxy-Authorization: Basic {b64encode(login.encode()).decode()}\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as client:
        client.sendall(f"CONNECT queue.fal.run:443 HTTP/1.1\r\n{authorization}\r\n".encode())
        with client.makefile("rb") as response:
            return response.readline().decode().strip()


def test_the_proxy_needs_the_password_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.gateway.connect.is_same_user", lambda client, server: False)
    with MockFal() as fal, MockFal() as other:
        login = fal.env["HTTPS_PROXY"].removeprefix("http://").partition("@")[0]
        proxy = fal.env["HTTPS_PROXY"]
        assert connect(proxy, login).endswith("200 Connection established")
        assert connect(proxy, f"anybody:{login.partition(':')[2]}").endswith("200 Connection established")
        for wrong in (None, "run:", "run", "run:wrong", other.env["HTTPS_PROXY"][7:].partition("@")[0]):
            assert "407" in connect(proxy, wrong)
        assert [event.kind for event in fal.gateway_events] == ["fal", "fal"]


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="the system has no table of sockets")
def test_a_browser_of_the_same_user_needs_no_password_and_a_wrong_one_is_refused() -> None:
    """Browsers read the proxy's address from the environment, and no password."""
    with MockFal() as fal:
        assert connect(fal.env["HTTPS_PROXY"], None).endswith("200 Connection established")
        assert "407" in connect(fal.env["HTTPS_PROXY"], "run:wrong")


def test_the_user_of_a_socket_is_read_from_the_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    head = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"
    row = "   1: {} {} 01 00000000:00000000 00:00000000 00000000 {:5} 0 1 1 0 20 4 30 10 -1\n"
    client, server = ("127.0.0.1", 40000), ("127.0.0.1", 8080)
    ends = peer_owner._hex(client), peer_owner._hex(server)
    table = tmp_path / "tcp"
    monkeypatch.setattr(peer_owner, "_TABLE", table)
    assert not peer_owner.is_same_user(client, server)  # no table
    table.write_text(head + row.format(*ends, os.getuid() + 1))
    assert not peer_owner.is_same_user(client, server)
    table.write_text(head + row.format(ends[1], ends[0], os.getuid()))  # the other end
    assert not peer_owner.is_same_user(client, server)
    table.write_text(head + row.format(*ends, os.getuid()))
    assert peer_owner.is_same_user(client, server)


def test_the_control_api_gives_neither_the_password_nor_a_key_to_other_users() -> None:
    with MockFal(key=(KEY,)) as fal:
        password = fal.env["HTTPS_PROXY"].partition(":")[2].partition("@")[0].partition(":")[2]
        response = httpx.post(f"{fal.url}/_mock/gateway").text
        assert password and password not in response and SECRET not in response
        secrets_file = Path(json.loads(response)["secrets_file"])
        assert json.loads(secrets_file.read_text("ascii")) == {"key": KEY, "proxy_password": password}
        assert stat.S_IMODE(secrets_file.stat().st_mode) == 0o600


def test_temporary_folders_are_private() -> None:
    def folders() -> set[Path]:
        return {path for path in Path(tempfile.gettempdir()).glob("mock-fal-*") if path.is_dir()}

    before = folders()
    with MockFal() as fal:
        headers = {"authorization": f"Key {KEY}"}
        started = httpx.post(
            f"{fal.url}/rest.fal.ai/storage/upload/initiate",
            headers=headers,
            json={"file_name": "x.txt", "content_type": "text/plain"},
        ).json()
        assert httpx.put(started["upload_url"], content=b"x").status_code == 200
        ca_folder = Path(fal.env["MOCK_FAL_CA"]).parent
        created = folders() - before
        assert len(created) >= 2 and created & {ca_folder, *ca_folder.parents}
        assert {stat.S_IMODE(folder.stat().st_mode) for folder in (*created, ca_folder)} == {0o700}


# -- the port of `mock-fal env`


@pytest.fixture
def addresses(tmp_path: Path) -> dict[str, Any]:
    """A valid response, with files of this user."""
    folder = tmp_path / "mock-fal-1"
    folder.mkdir(mode=0o700)
    for name in FILES:
        (folder / name).write_text(json.dumps({"key": "mock:fal", "proxy_password": "password"}))
        (folder / name).chmod(0o600)
    return {
        "proxy_url": "http://127.0.0.1:40001",
        "tls_address": ["127.0.0.1", 40002],
        **{name: str(folder / name) for name in FILES},
        "url": "http://127.0.0.1:8325",
        "gateway_host": "127.0.0.1",
        "offline": False,
        "allow_host": [],
    }


@pytest.fixture
def hostile() -> Iterator[Callable[[Any], str]]:
    """Starts a server that responds to everything with a document, and returns its URL."""
    servers = []

    def serving(document: Any) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = document if isinstance(document, bytes) else json.dumps(document).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *arguments: Any) -> None:
                pass

        server = HTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield serving
    for server in servers:
        server.shutdown()
        server.server_close()


def test_env_accepts_files_of_this_user(
    addresses: dict[str, Any], hostile: Callable[[Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["env", "--url", hostile(addresses)]) == 0
    out = capsys.readouterr().out
    assert "export HTTPS_PROXY=http://run:password@127.0.0.1:40001" in out


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxy_url", "http://127.0.0.1:1/\nexport LD_PRELOAD=/tmp/evil.so"),
        ("proxy_url", "http://$(touch /tmp/evil):1"),
        ("proxy_url", "http://127.0.0.1"),
        ("proxy_url", None),
        ("tls_address", ["127.0.0.1; reboot", 1]),
        ("tls_address", ["127.0.0.1"]),
        ("tls_address", "127.0.0.1:1"),
        ("ca_file", "relative/ca.pem"),
        ("ca_file", "/tmp/a/../b"),
        ("bundle_file", "/tmp/a\nb"),
        ("url", "javascript:alert(1)"),
        ("offline", "yes"),
        ("allow_host", ["a b"]),
        ("allow_host", "evil"),
    ],
)
def test_env_rejects_a_malformed_response(
    addresses: dict[str, Any],
    hostile: Callable[[Any], str],
    capsys: pytest.CaptureFixture[str],
    name: str,
    value: Any,
) -> None:
    assert main(["env", "--url", hostile({**addresses, name: value})]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("mock-fal: no mock-fal at") and err.count("\n") == 1


@pytest.mark.parametrize("document", [b"[" * 10_000, b"null", b"{}", b"{" + b" " * (1 << 20) + b"}", b"\xff"])
def test_env_rejects_what_is_no_response(
    hostile: Callable[[Any], str], capsys: pytest.CaptureFixture[str], document: bytes
) -> None:
    assert main(["env", "--url", hostile(document)]) == 2
    assert capsys.readouterr().out == ""


def test_env_takes_no_other_variables_from_the_server(
    addresses: dict[str, Any], hostile: Callable[[Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["env", "--url", hostile({**addresses, "LD_PRELOAD": "/evil.so", "PATH": "/evil"})]) == 0
    out = capsys.readouterr().out
    assert "evil" not in out
    names = {
        shlex.split(line)[1].partition("=")[0] for line in out.splitlines() if line.startswith("export ")
    }
    assert not names & {"LD_PRELOAD", "PATH", "BASH_ENV", "IFS"}


def test_a_value_is_one_word_for_the_shell(
    addresses: dict[str, Any], hostile: Callable[[Any], str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The key comes from a file of this user, and still can't run a command."""
    key = "a:$(id)';`id`"
    Path(addresses["secrets_file"]).write_text(json.dumps({"key": key, "proxy_password": "x"}))
    assert main(["env", "--url", hostile(addresses)]) == 0
    out = capsys.readouterr().out
    assert f"export FAL_KEY={shlex.quote(key)}" in out
    shell = subprocess.run(["sh", "-c", f'{out}\nprintf %s "$FAL_KEY"'], capture_output=True, text=True)
    assert shell.stdout == key


Tamper = Callable[[Path, Path], None]


def _link(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    file.rename(target)
    file.symlink_to(target)


def _linked_folder(file: Path, tmp_path: Path) -> None:
    target = tmp_path / "target"
    file.parent.rename(target)
    file.parent.symlink_to(target)


def _fifo(file: Path, tmp_path: Path) -> None:
    file.unlink()
    os.mkfifo(file)


TAMPERED: dict[str, Tamper] = {
    "it is a symbolic link": _link,
    "it is a symbolic link ": _linked_folder,
    "other users can change it": lambda file, tmp_path: file.chmod(0o666),
    "other users can change it ": lambda file, tmp_path: file.parent.chmod(0o777),
    "it is not a file": _fifo,
    "does not exist on this machine": lambda file, tmp_path: file.unlink(),
}


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs file owners")
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("reason", TAMPERED)
def test_env_rejects_files_that_another_user_could_have_made(
    addresses: dict[str, Any],
    hostile: Callable[[Any], str],
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    name: str,
    reason: str,
) -> None:
    TAMPERED[reason](Path(addresses[name]), tmp_path)
    assert main(["env", "--url", hostile(addresses)]) == 2
    out, err = capsys.readouterr()
    assert out == "" and reason.strip() in err and err.count("\n") == 1


@pytest.mark.skipif(not hasattr(os, "getuid"), reason="needs file owners")
@pytest.mark.parametrize("name", FILES)
def test_env_rejects_files_of_another_user(
    addresses: dict[str, Any], monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    checked = checked_addresses(addresses)
    check_files(checked, required=True)
    own = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: own + 1)
    with pytest.raises(MockFalError, match=rf"belongs to user {own}, not to {own + 1}"):
        check_files(checked, required=False)


def test_the_files_of_a_real_server_are_accepted() -> None:
    with MockFal() as fal:
        addresses = open_remote_gateway(fal.url)
        assert addresses["ca_file"] == fal.env["MOCK_FAL_CA"]
        assert [name for name in addresses if "key" in name] == [] and addresses["proxy_password"] == ""
