"""WebSockets through ASGI: handshake, messages and close, with a manual clock."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import httpx
import msgpack  # type: ignore[import-untyped]  # it brings no types
import pytest
from websockets.exceptions import ConnectionClosedError, InvalidMessage
from websockets.sync.client import ClientConnection, connect

from mock_fal import MockFal
from mock_fal.web.sockets.realtime import Realtime
from tests.web.conftest import NONE, RUN_S, Fal, Serve, scope

LCM = "wss://fal.run/fal-ai/fast-lcm-diffusion/realtime"
KLEIN = "wss://fal.run/fal-ai/flux-2/klein/realtime"
SCHNELL = "wss://ws.fal.run/fal-ai/flux/schnell"
LLM_STREAM = "wss://ws.fal.run/fal-ai/any-llm/stream"
CAT = {"prompt": "a cat", "seed": 7, "image_size": {"width": 64, "height": 48}}
DOT = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAUAAAAFCAYAAACNbyblAAAAHElEQVQI12P4//8/w38GIAXDIBKE0DHxgljNBAAO9TXL0"
    "Y4OHwAAAABJRU5ErkJggg=="
)
TIMEOUT = {"type": "x-fal-error", "error": "TIMEOUT", "reason": "no inputs, reconnect when needed!"}

# A timeout, so that a test that hangs fails.
PATIENCE_S = 20.0


class Connection:
    """A client's WebSocket connection and the events that it has received."""

    def __init__(
        self, fal: Fal, url: str, *, key: str | None = "alice:secret", headers: Mapping[str, str] = NONE
    ) -> None:
        credentials = {"authorization": f"Key {key}"} if key else {}
        self._fal = fal
        self._incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._incoming.put_nowait({"type": "websocket.connect"})
        self._changed = asyncio.Event()
        self._sent: list[dict[str, Any]] = []
        handshake = {**scope("GET", url, {**credentials, **headers}), "type": "websocket"}
        self._task = fal.start_task(fal.app(handshake, self._incoming.get, self._send))

    def send(self, message: object, *, msgpack_encoded: bool = True) -> None:
        """Send an input, in msgpack or JSON; strings and bytes are sent unchanged."""
        if not isinstance(message, str | bytes):
            message = msgpack.packb(message) if msgpack_encoded else json.dumps(message)
        name = "text" if isinstance(message, str) else "bytes"
        self._incoming.put_nowait({"type": "websocket.receive", name: message})
        self._fal.run_until_idle()

    def disconnect(self) -> None:
        self._incoming.put_nowait({"type": "websocket.disconnect", "code": 1005})
        self._end()

    def _end(self) -> None:
        self._fal.wait_for(asyncio.wait_for(self._task, PATIENCE_S))

    @property
    def events(self) -> list[dict[str, Any]]:
        """The ASGI events, the first of which accepts the handshake."""
        return list(self._sent)

    @property
    def frames(self) -> list[Any]:
        """The received messages: decoded from msgpack or JSON; other binary messages as bytes."""
        return [_decoded(event) for event in self._sent if event["type"] == "websocket.send"]

    def wait_for_frames(self, number: int) -> list[Any]:
        """Wait until `number` messages have been received."""

        self._fal.wait_for(self.received(number))
        return self.frames

    async def received(self, number: int) -> None:
        """Return when `number` messages have been received, which may be unreadable."""
        async with asyncio.timeout(PATIENCE_S):
            while len([event for event in self._sent if event["type"] == "websocket.send"]) < number:
                self._changed.clear()
                await self._changed.wait()

    @property
    def accepted(self) -> bool:
        return bool(self._sent[0]["type"] == "websocket.accept")

    @property
    def closed(self) -> tuple[int, str] | None:
        """Code and reason of the close frame."""
        last = self._sent[-1]
        return (last["code"], last["reason"]) if last["type"] == "websocket.close" else None

    @property
    def rejection(self) -> httpx.Response:
        """The HTTP response that rejected the handshake."""
        self._end()
        head, body = self._sent
        assert (head["type"], body["type"]) == (
            "websocket.http.response.start",
            "websocket.http.response.body",
        )
        return httpx.Response(head["status"], headers=head["headers"], content=body["body"])

    async def _send(self, event: Any) -> None:
        self._sent.append(event)
        self._changed.set()


def _decoded(event: dict[str, Any]) -> Any:
    if "text" in event:
        return json.loads(event["text"])
    data: bytes = event["bytes"]
    return data if data[:1] in (b"{", b"d", b"e") else msgpack.unpackb(data)


def token(fal: Fal, *apps: str, lifetime_s: float = 120, key: str = "alice:secret") -> str:
    body = json.dumps({"allowed_apps": list(apps), "token_expiration": lifetime_s}).encode()
    issued: str = fal.request("POST", "https://rest.fal.ai/tokens/", key=key, body=body).json()
    return issued


# -- realtime: results


def test_a_result_is_msgpack_with_the_picture_as_bytes(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    connection.send(CAT)
    assert connection.frames == []
    fal.advance(RUN_S)
    result, timings = connection.wait_for_frames(2)
    [image] = result["images"]
    assert list(image) == ["content", "content_type", "height", "width"]
    assert image["content"].startswith(b"\xff\xd8\xff")
    assert (image["content_type"], image["height"], image["width"]) == ("image/jpeg", 48, 64)
    assert (result["seed"], result["prompt"], result["has_nsfw_concepts"]) == (7, "a cat", [False])
    assert timings == {"type": "x-fal-message", "action": "timings", "timing": RUN_S}


def test_a_text_message_is_read_as_json(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    connection.send(CAT, msgpack_encoded=False)
    fal.advance(RUN_S)
    assert connection.wait_for_frames(2)[0]["seed"] == 7


def test_klein_has_its_published_path(fal: Fal) -> None:
    connection = Connection(fal, KLEIN)
    connection.send({"image_url": DOT, "seed": 9})
    fal.advance(RUN_S)
    result, _ = connection.wait_for_frames(2)
    assert list(result) == ["images", "seed"]
    assert list(result["images"][0]) == ["content", "content_type", "height", "width"]
    assert fal.journal[0].endpoint == "fal-ai/flux-2/klein/realtime"


def test_bytes_in_an_input_become_a_data_uri(fal: Fal) -> None:
    connection = Connection(fal, KLEIN)
    connection.send({"image_url": b"GIF89a"})
    assert fal.journal == []
    fal.advance(RUN_S)
    connection.wait_for_frames(1)
    assert fal.journal[0].json == {"image_url": "data:application/octet-stream;base64,R0lGODlh"}


def test_a_result_has_the_request_id_of_its_input(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    connection.send({**CAT, "request_id": "first"})
    fal.advance(RUN_S)
    assert connection.wait_for_frames(2)[0]["request_id"] == "first"


def test_inputs_are_processed_in_order(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    for seed in (1, 2, 3):
        connection.send({**CAT, "seed": seed})
    fal.advance(RUN_S)
    assert [frame["seed"] for frame in connection.wait_for_frames(2)[::2]] == [1]
    fal.run_until_idle()
    fal.advance(RUN_S)
    assert [frame["seed"] for frame in connection.wait_for_frames(4)[::2]] == [1, 2]
    fal.run_until_idle()
    fal.advance(RUN_S)
    assert [frame["seed"] for frame in connection.wait_for_frames(6)[::2]] == [1, 2, 3]


def test_the_oldest_waiting_input_is_dropped_if_the_buffer_is_full(fal: Fal) -> None:
    connection = Connection(fal, f"{LCM}?max_buffering=2")
    for seed in (1, 2, 3, 4, 5):
        connection.send({**CAT, "seed": seed})
    for frames in (2, 4, 6):
        fal.advance(RUN_S)
        connection.wait_for_frames(frames)
        fal.run_until_idle()
    assert [frame["seed"] for frame in connection.frames[::2]] == [1, 4, 5]


def test_an_auto_advance_clock_advances_with_each_input_and_not_while_idle(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, LCM)
    auto_advance.run_until_idle()
    assert connection.accepted and connection.closed is None
    connection.send(CAT)
    assert connection.wait_for_frames(2)[0]["seed"] == 7
    assert connection.closed is None


# -- realtime: close


def test_a_client_that_is_idle_for_half_a_minute_is_disconnected(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    fal.advance(29.9)
    assert connection.frames == []
    fal.advance(0.1)
    assert connection.frames == [TIMEOUT]
    assert connection.closed == (1000, "")


def test_each_input_restarts_the_idle_timeout(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    fal.advance(20)
    connection.send(CAT)
    fal.advance(RUN_S)
    connection.wait_for_frames(2)
    fal.advance(21)
    assert connection.closed is None
    fal.advance(1)
    assert connection.frames[2:] == [TIMEOUT]


def test_a_running_input_is_completed_before_the_close(serve: Serve) -> None:
    fal = serve(run_duration=40)
    connection = Connection(fal, LCM)
    connection.send(CAT)
    fal.advance(30)
    assert connection.frames == []
    fal.advance(10)
    result, timings, end = connection.wait_for_frames(3)
    assert (result["seed"], timings["timing"], end) == (7, 40, TIMEOUT)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"seed": 1}, "1 validation error\nprompt\n  Field required [type=missing]"),
        (
            {"seed": "x"},
            "2 validation errors\nprompt\n  Field required [type=missing]\n"
            "seed\n  Input should be a valid integer, unable to parse string as an integer [type=int_parsing]",
        ),
        ([1], "argument after ** must be a mapping, not list"),
        (b"\xc1", "FormatError"),
        (b"\xa5ab", "Unpack failed: incomplete input"),
        ("{", "Expecting property name enclosed in double quotes: line 1 column 2 (char 1)"),
        (b"\x81\xa1a\xd6\xff\x00\x00\x00\x01", "Timestamp is not allowed in an input"),
        ({"prompt": "[mock: error=content_policy_violation]"}, "1 validation error\nprompt\n  The content"),
        ({"prompt": "[mock: error=runner_disconnected]"}, "Runner disconnected"),
    ],
)
def test_an_input_that_fails_ends_the_session_with_its_reason(fal: Fal, message: object, reason: str) -> None:
    connection = Connection(fal, LCM)
    connection.send(message)
    fal.advance(RUN_S)
    [error] = connection.wait_for_frames(1)
    assert (error["type"], error["error"]) == ("x-fal-error", "INTERNAL_ERROR")
    assert error["reason"].startswith(reason)
    fal.run_until_idle()
    assert connection.closed == (1000, "")


@pytest.mark.parametrize(
    "message", [{**CAT, "seed": 1 << 64}, {**CAT, "prompt": "\ud800"}, {**CAT, "request_id": -1 << 70}]
)
def test_a_result_that_msgpack_cannot_encode_ends_the_session(fal: Fal, message: object) -> None:
    connection = Connection(fal, LCM)
    connection.send(message, msgpack_encoded=False)
    fal.advance(RUN_S)
    [error] = connection.wait_for_frames(1)
    assert error["error"] == "INTERNAL_ERROR"


def test_an_invalid_directive_is_an_error(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    connection.send({"prompt": "[mock: wait=1]"})
    [error] = connection.wait_for_frames(1)
    assert error["reason"].startswith("mock-fal: ")
    assert fal.journal[0].status == 400


@pytest.mark.parametrize("directive", ["status=429", "account=locked", "error=internal_error"])
def test_a_directive_that_replaces_the_response_ends_the_session(fal: Fal, directive: str) -> None:
    connection = Connection(fal, LCM)
    connection.send({"prompt": f"[mock: {directive}]"})
    fal.advance(RUN_S)
    assert connection.wait_for_frames(1)[0]["type"] == "x-fal-error"
    assert fal.journal[0].status >= 400


@pytest.mark.parametrize("directive", ["status=503", "connection=hang"])
def test_a_rule_for_realtime_inputs_leaves_direct_requests_alone(auto_advance: Fal, directive: str) -> None:
    auto_advance.emulator.scenario.add(f"{directive} operation=realtime")
    assert auto_advance.run().status_code == 200
    connection = Connection(auto_advance, LCM)
    connection.send(CAT)
    assert [frame["type"] for frame in connection.frames] == ["x-fal-error"] * (
        directive != "connection=hang"
    )
    assert auto_advance.journal[-1].directive == f"operation=realtime {directive}"


def test_a_rule_for_direct_requests_leaves_realtime_inputs_alone(auto_advance: Fal) -> None:
    auto_advance.emulator.scenario.add("status=503 operation=run")
    connection = Connection(auto_advance, LCM)
    connection.send(CAT)
    assert connection.wait_for_frames(2)[0]["seed"] == 7


def test_a_hanging_session_answers_nothing_and_has_no_timeout(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    connection.send({"prompt": "[mock: connection=hang times=1]"})
    connection.send(CAT)
    fal.advance(600)
    assert (connection.frames, connection.closed) == ([], None)
    [exchange] = fal.journal
    assert (exchange.method, exchange.status, exchange.directive) == ("WS", 0, "times=1 connection=hang")
    connection.disconnect()


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_a_result_is_throttled_by_the_emulated_clock(fal: Fal, url: str) -> None:
    connection = Connection(fal, url)
    connection.send({**CAT, "prompt": "[mock: throttle=800 run=0]"}, msgpack_encoded=url == LCM)
    fal.advance(0.125)
    fal.wait_for(asyncio.sleep(0.2))  # the picture is rendered in a thread
    fal.advance(0.125)
    parts = [event for event in connection.events if "more" in event]
    assert [(len(part["bytes"]), part["more"]) for part in parts] == [(100, True)] * len(parts) != []
    for _ in range(200):
        fal.advance(0.125)
    parts = [event for event in connection.events if "more" in event]
    assert [part["more"] for part in parts] == [True] * (len(parts) - 1) + [False]
    message = b"".join(part["bytes"] for part in parts)
    assert (msgpack.unpackb if url == LCM else json.loads)(message)["seed"] == 7


def test_a_result_is_patched(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, LCM)
    connection.send({**CAT, "prompt": '[mock: merge={"new":1,"timings":null} set_null=images.0.width]'})
    result, _ = connection.wait_for_frames(2)
    assert (result["new"], "timings" in result, result["images"][0]["width"]) == (1, False, None)
    assert result["images"][0]["content"].startswith(b"\xff\xd8")


@pytest.mark.parametrize("kind", ["malformed", "truncated", "empty"])
def test_a_result_is_corrupted(auto_advance: Fal, kind: str) -> None:
    connection = Connection(auto_advance, LCM)
    connection.send({**CAT, "prompt": f"[mock: json={kind}]"})
    auto_advance.wait_for(connection.received(2))
    message = connection.events[1]["bytes"]
    with pytest.raises((ValueError, msgpack.UnpackException)):
        msgpack.unpackb(message)
    assert (message == b"") is (kind == "empty")


# -- realtime: the handshake


@pytest.mark.parametrize(
    ("directive", "status"),
    [("status=503", 503), ("account=locked", 403), ("account=unknown", 401), ("ingress=502", 502)],
)
@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_a_directive_rejects_a_handshake(fal: Fal, url: str, directive: str, status: int) -> None:
    fal.emulator.store.tenant("alice").scenario.add(f"{directive} operation=handshake times=1")
    assert Connection(fal, url).rejection.status_code == status
    [exchange] = fal.journal
    assert (exchange.status, exchange.directive) == (status, f"times=1 operation=handshake {directive}")
    assert Connection(fal, url).accepted


def test_a_handshake_hangs(fal: Fal) -> None:
    fal.emulator.scenario.add("connection=hang operation=handshake")
    connection = Connection(fal, LCM)
    fal.advance(600)
    assert connection.events == []
    connection.disconnect()


def test_a_directive_lets_a_realtime_token_expire(fal: Fal) -> None:
    """The account is that of the token; a connection with a key is left alone, and not counted."""
    url = f"{LCM}?fal_jwt_token={token(fal, 'fast-lcm-diffusion')}"
    fal.emulator.store.tenant("alice").scenario.add("token=expired times=1")
    assert Connection(fal, LCM).closed is None
    connection = Connection(fal, url, key=None)
    assert (connection.frames, connection.closed) == (
        [{"status": "error", "error": "Unauthorized"}],
        (1008, "Unauthorized"),
    )
    assert (fal.journal[-1].status, fal.journal[-1].directive) == (401, "times=1 token=expired")
    assert Connection(fal, url, key=None).closed is None


def test_a_token_of_another_account_does_not_expire(fal: Fal) -> None:
    fal.emulator.store.tenant("alice").scenario.add("token=expired")
    tokens = [token(fal, "fast-lcm-diffusion", key="bob:secret"), "made.up.one"]
    good, bad = (Connection(fal, f"{LCM}?fal_jwt_token={text}", key=None) for text in tokens)
    assert (good.closed, bad.closed) == (None, (1008, "Unauthorized"))
    assert {exchange.directive for exchange in fal.journal} == {""}


def test_a_token_for_http_over_websocket_expires_too(fal: Fal) -> None:
    fal.emulator.scenario.add("token=expired")
    assert (
        Connection(fal, f"{SCHNELL}?fal_jwt_token={token(fal, 'flux')}", key=None).rejection.status_code
        == 401
    )


# -- connections, with real sockets


def connect_to(server: MockFal, url: str) -> AbstractContextManager[ClientConnection]:
    address = url.replace("wss://", f"{server.url.replace('http', 'ws')}/")
    return connect(address, additional_headers={"authorization": "Key a:b"}, proxy=None)


@contextmanager
def sent(server: MockFal, url: str, directive: str) -> Iterator[ClientConnection]:
    """A connection on which an input has been sent."""
    with connect_to(server, url) as connection:
        message = {**CAT, "prompt": f"[mock: {directive}]"}
        connection.send(msgpack.packb(message) if url == LCM else json.dumps(message))
        yield connection


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_a_reset_breaks_the_socket_without_a_close_frame(url: str) -> None:
    with MockFal(clock="auto-advance") as server, sent(server, url, "connection=reset") as connection:
        with pytest.raises(ConnectionClosedError) as error:
            connection.recv(PATIENCE_S)
        assert (error.value.rcvd, type(error.value.__cause__)) == (None, ConnectionResetError)
        (exchange,) = server.requests
        assert (exchange.status, exchange.directive) == (0, "connection=reset")


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_a_socket_breaks_after_the_request_has_run(url: str) -> None:
    directive = "connection=reset_after_headers"
    with MockFal(clock="auto-advance") as server, sent(server, url, directive) as connection:
        if url == SCHNELL:
            assert json.loads(connection.recv(PATIENCE_S))["type"] == "start"
        with pytest.raises(ConnectionClosedError) as error:
            connection.recv(PATIENCE_S)
        assert error.value.rcvd is None
        (exchange,) = server.requests
        assert (exchange.status, exchange.directive) == (200, directive)


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_a_reset_breaks_the_handshake(url: str) -> None:
    with MockFal(clock="auto-advance") as server:
        server.scenario.add("connection=reset operation=handshake")
        with pytest.raises((ConnectionResetError, InvalidMessage)), connect_to(server, url):
            pass


def test_a_throttled_result_arrives_in_fragments() -> None:
    with MockFal(clock="auto-advance") as server, sent(server, LCM, "throttle=8000") as connection:
        fragments = list(connection.recv_streaming(decode=False))
        assert len(fragments) > 1
        assert msgpack.unpackb(b"".join(fragments))["seed"] == 7
        assert json.loads(connection.recv(PATIENCE_S))["action"] == "timings"


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_a_hanging_socket_does_not_delay_stopping(url: str) -> None:
    with MockFal(clock="auto-advance") as server, sent(server, url, "connection=hang") as connection:
        with pytest.raises(TimeoutError):
            connection.recv(0.05)


def test_a_disconnect_ends_the_running_input(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    connection.send(CAT)
    connection.disconnect()
    [exchange] = fal.journal
    assert (exchange.method, exchange.status) == ("WS", 499)
    assert exchange.request_id is not None
    request = fal.emulator.store.requests[exchange.request_id]
    assert request.schedule.ends_at == fal.clock.now()


def test_a_disconnect_without_a_running_input_is_not_in_the_journal(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    connection.disconnect()
    assert connection.accepted and fal.journal == []


# -- realtime: authentication


def test_a_token_authenticates_its_account(fal: Fal) -> None:
    token_value = token(fal, "fast-lcm-diffusion", key="bob:secret")
    connection = Connection(fal, f"{LCM}?fal_jwt_token={token_value}&max_buffering=60", key=None)
    connection.send(CAT)
    fal.advance(RUN_S)
    connection.wait_for_frames(2)
    assert fal.journal[-1].tenant == "bob"


def test_a_realtime_token_is_accepted(fal: Fal) -> None:
    body = b'{"allowed_apps": ["fal-ai/flux-2/klein/realtime"], "duration": 120}'
    token_value = fal.request("POST", "https://rest.fal.ai/tokens/realtime", body=body).json()["token"]
    assert Connection(fal, f"{KLEIN}?fal_jwt_token={token_value}", key=None).closed is None


@pytest.mark.parametrize("expired", [True, False], ids=["expired", "invalid"])
def test_a_bad_token_is_reported_in_a_frame(fal: Fal, expired: bool) -> None:
    token_value = token(fal, "fast-lcm-diffusion", lifetime_s=10) if expired else "made.up.one"
    fal.advance(10)
    connection = Connection(fal, f"{LCM}?fal_jwt_token={token_value}", key=None)
    assert connection.frames == [{"status": "error", "error": "Unauthorized"}]
    assert connection.closed == (1008, "Unauthorized")
    assert (fal.journal[-1].method, fal.journal[-1].status) == ("WS", 401)


def test_a_token_for_another_app_is_forbidden(fal: Fal) -> None:
    token_value = token(fal, "flux")
    connection = Connection(fal, f"{LCM}?fal_jwt_token={token_value}", key=None)
    assert (connection.frames, connection.closed) == ([], (1008, "Forbidden"))
    assert fal.journal[-1].status == 403


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_a_handshake_without_credentials_is_rejected(fal: Fal, url: str) -> None:
    response = Connection(fal, url, key=None).rejection
    assert response.status_code == 401
    assert response.json()["detail"].startswith('Cannot access application "fal-ai/f')
    assert (fal.journal[0].method, fal.journal[0].status) == ("WS", 401)
    assert fal.journal[0].url == url


@pytest.mark.parametrize("url", [LCM, SCHNELL])
def test_a_handshake_with_a_bad_key_is_rejected(serve: Serve, url: str) -> None:
    response = Connection(serve(key=("alice:secret",)), url, key="eve:guess").rejection
    assert (response.status_code, response.json()) == (401, {"detail": "invalid key credentials"})


@pytest.mark.parametrize("host", ["wss://fal.run", "wss://ws.fal.run"])
def test_an_unknown_app_is_not_found(fal: Fal, host: str) -> None:
    response = Connection(fal, f"{host}/fal-ai/fluxx/realtime").rejection
    assert (response.status_code, response.json()) == (404, {"detail": 'Application "fluxx" not found'})


@pytest.mark.parametrize("host", ["wss://fal.run", "wss://ws.fal.run"])
def test_a_path_without_an_app_is_not_found(fal: Fal, host: str) -> None:
    response = Connection(fal, f"{host}/fal-ai").rejection
    assert (response.status_code, response.text) == (404, "404: Not Found")


@pytest.mark.parametrize(
    "path", ["/fal-ai/flux/schnell", "/fal-ai/flux/schnell/realtime", "/fal-ai/flux-2/klein"]
)
def test_the_response_for_a_path_without_a_websocket_names_those_with_one(fal: Fal, path: str) -> None:
    response = Connection(fal, f"wss://fal.run{path}").rejection
    assert response.status_code == 404
    detail = response.json()["detail"]
    assert detail.startswith(f"mock-fal: no WebSocket at {path}; expected one of ")
    assert "fal-ai/fast-lcm-diffusion/realtime" in detail


@pytest.mark.parametrize("value", ["0", "61", "-1", "x", "", "1" * 5000])
def test_buffering_is_a_number_from_1_to_60(fal: Fal, value: str) -> None:
    response = Connection(fal, f"{LCM}?max_buffering={value}").rejection
    assert response.status_code == 422
    assert response.json()["detail"] == f"max_buffering is {value!r}, expected a whole number from 1 to 60"


# -- realtime: the journal


def test_an_input_and_its_result_are_an_exchange(fal: Fal) -> None:
    connection = Connection(fal, LCM)
    connection.send(CAT)
    fal.advance(RUN_S)
    size = len(connection.wait_for_frames(2)[0]["images"][0]["content"])
    [exchange] = fal.journal
    assert (exchange.method, exchange.url, exchange.status) == ("WS", LCM, 200)
    assert (exchange.tenant, exchange.operation, exchange.json) == ("alice", "realtime", CAT)
    assert exchange.endpoint == "fal-ai/fast-lcm-diffusion"
    assert exchange.is_submission
    image = json.loads(exchange.response_body)["images"][0]
    assert image == {"content": f"<{size} bytes>", "content_type": "image/jpeg", "height": 48, "width": 64}
    assert exchange.request_id in fal.emulator.store.requests


# -- HTTP over WebSocket


def test_a_response_is_sent_between_start_and_end_frames(fal: Fal) -> None:
    connection = Connection(fal, SCHNELL)
    connection.send(CAT, msgpack_encoded=False)
    assert connection.frames == []
    fal.advance(RUN_S)
    start, body, end = connection.wait_for_frames(3)
    request_id = fal.journal[0].request_id
    assert list(start) == ["type", "request_id", "status", "headers"]
    assert (start["type"], start["request_id"], start["status"]) == ("start", request_id, 200)
    assert start["headers"]["Content-Type"] == "application/json"
    assert start["headers"]["X-Fal-Request-Id"] == request_id
    assert json.loads(body)["images"][0]["url"].startswith("https://v3b.fal.media/files/b/")
    assert end == {
        "type": "end",
        "request_id": request_id,
        "status": 200,
        "time_to_first_byte_seconds": RUN_S,
    }


def test_requests_are_processed_in_order(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, SCHNELL)
    for seed in (1, 2, 3):
        connection.send({**CAT, "seed": seed}, msgpack_encoded=False)
    frames = connection.wait_for_frames(9)
    assert [json.loads(body)["seed"] for body in frames[1::3]] == [1, 2, 3]
    assert [frame["type"] for frame in frames[::3] + frames[2::3]] == ["start"] * 3 + ["end"] * 3


def test_a_request_may_be_a_binary_message(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, SCHNELL)
    connection.send(json.dumps(CAT).encode())
    assert json.loads(connection.wait_for_frames(3)[1])["seed"] == 7


def test_a_stream_is_sent_in_many_frames(fal: Fal) -> None:
    connection = Connection(fal, LLM_STREAM)
    connection.send({"prompt": "a cat", "max_tokens": 4}, msgpack_encoded=False)
    fal.advance(RUN_S / 4)
    assert connection.frames[0]["headers"]["Content-Type"].startswith("text/event-stream")
    assert len(connection.frames) == 2
    fal.advance(RUN_S)
    start, *events, end = connection.frames
    assert len(events) == 4 and all(b"data: {" in event for event in events)
    assert (start["type"], end["type"], end["time_to_first_byte_seconds"]) == ("start", "end", RUN_S / 4)
    assert fal.journal[0].response_body == b"".join(events)


@pytest.mark.parametrize(
    ("message", "status"), [("{", 422), ("{}", 422), ('{"prompt": "[mock: error=runner_disconnected]"}', 503)]
)
def test_an_error_is_sent_in_the_same_frames(fal: Fal, message: str, status: int) -> None:
    connection = Connection(fal, SCHNELL)
    connection.send(message)
    fal.advance(RUN_S)
    start, body, end = connection.wait_for_frames(3)
    assert (start["status"], end["status"]) == (status, status)
    assert start["request_id"] == end["request_id"]
    assert "detail" in json.loads(body)
    connection.send(CAT, msgpack_encoded=False)
    fal.advance(RUN_S)
    assert connection.wait_for_frames(6)[3]["status"] == 200


def test_a_request_that_is_too_large_is_a_413(serve: Serve) -> None:
    connection = Connection(serve(max_body=100), SCHNELL)
    connection.send({"prompt": "x" * 100}, msgpack_encoded=False)
    assert [frame["status"] for frame in connection.wait_for_frames(3)[::2]] == [413, 413]


def test_a_lone_surrogate_is_passed_to_the_runner(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, SCHNELL)
    connection.send('{"prompt": "\ud800"}')
    assert connection.wait_for_frames(3)[0]["status"] in (200, 422)


def test_a_disconnect_ends_the_running_request(fal: Fal) -> None:
    connection = Connection(fal, SCHNELL)
    connection.send(CAT, msgpack_encoded=False)
    connection.send(CAT, msgpack_encoded=False)
    connection.disconnect()
    [exchange] = fal.journal
    assert (exchange.method, exchange.host, exchange.status) == ("POST", "ws.fal.run", 499)


def test_a_disconnect_ends_the_running_stream(fal: Fal) -> None:
    connection = Connection(fal, LLM_STREAM)
    connection.send({"prompt": "a cat", "max_tokens": 4}, msgpack_encoded=False)
    fal.advance(RUN_S / 4)
    received = len(connection.frames)
    connection.disconnect()
    [exchange] = fal.journal
    assert exchange.request_id is not None
    assert fal.emulator.store.requests[exchange.request_id].schedule.ends_at == fal.clock.now()
    assert len(connection.frames) == received


def test_each_message_is_an_exchange(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, SCHNELL)
    connection.send(CAT, msgpack_encoded=False)
    _, body, _ = connection.wait_for_frames(3)
    [exchange] = auto_advance.journal
    assert (exchange.method, exchange.host, exchange.path) == ("POST", "ws.fal.run", "/fal-ai/flux/schnell")
    assert (exchange.operation, exchange.json, exchange.response_body) == ("run", CAT, body)


def test_a_plain_request_gets_426_upgrade_required(fal: Fal) -> None:
    response = fal.request("POST", "https://ws.fal.run/fal-ai/flux/schnell", body=b"{}")
    assert (response.status_code, response.headers["upgrade"]) == (426, "websocket")


def test_directives_apply_to_the_frames(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, SCHNELL)
    connection.send({"prompt": "[mock: status=429]"}, msgpack_encoded=False)
    connection.send({"prompt": "[mock: header.x-why=so]"}, msgpack_encoded=False)
    first, _, _, second, _, _ = connection.wait_for_frames(6)
    assert (first["status"], second["status"], second["headers"]["X-Why"]) == (429, 200, "so")


def test_a_directive_leaves_a_message_without_a_response(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, SCHNELL)
    connection.send({"prompt": "[mock: connection=hang]"}, msgpack_encoded=False)
    connection.send({"prompt": "a cat"}, msgpack_encoded=False)
    auto_advance.run_until_idle()
    assert (connection.frames, connection.closed) == ([], None)
    connection.disconnect()


def test_without_a_transport_a_reset_is_an_exception(auto_advance: Fal) -> None:
    connection = Connection(auto_advance, SCHNELL)
    connection.send({"prompt": "[mock: connection=reset]"}, msgpack_encoded=False)
    with pytest.raises(ConnectionResetError):
        connection.disconnect()


# -- addresses


def test_realtime_is_served_below_our_address(fal: Fal) -> None:
    connection = Connection(fal, "ws://127.0.0.1:8325/fal.run/fal-ai/fast-lcm-diffusion/realtime")
    connection.send(CAT)
    fal.advance(RUN_S)
    assert connection.wait_for_frames(2)[0]["seed"] == 7


def test_pages_of_other_origins_may_connect(fal: Fal) -> None:
    assert Connection(fal, LCM, headers={"origin": "https://example.com"}).accepted


@pytest.mark.parametrize(
    ("url", "host_name"),
    [
        ("wss://queue.fal.run/fal-ai/flux/schnell", "queue.fal.run"),
        ("wss://wma.fal.run/", "wma.fal.run"),
        ("ws://127.0.0.1:8325/", "this address"),
        ("ws://127.0.0.1:8325/api/fal/proxy", "this address"),
    ],
)
def test_websockets_to_other_hosts_are_closed_with_advice(fal: Fal, url: str, host_name: str) -> None:
    connection = Connection(fal, url)
    reason = f"mock-fal: no WebSocket at {host_name}; expected ws.fal.run or fal.run/…/realtime"
    assert connection.closed == (1008, reason)


def test_a_close_reason_is_cut_to_fit_its_frame(fal: Fal) -> None:
    code, reason = Connection(fal, f"wss://{'é' * 90}.fal.run/").closed or (0, "")
    assert code == 1008
    assert 120 < len(reason.encode()) <= 123


def test_the_server_proxy_has_no_websockets(fal: Fal) -> None:
    target = {"x-fal-target-url": "https://fal.run/fal-ai/fast-lcm-diffusion/realtime"}
    assert Connection(fal, "ws://127.0.0.1:8325/api/fal/proxy", headers=target).closed is not None


# -- internal errors


def test_an_internal_error_is_logged_and_closes_the_socket(
    fal: Fal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    connection = Connection(fal, SCHNELL)
    monkeypatch.setattr(fal.emulator, "run", None)
    with caplog.at_level(logging.ERROR):
        connection.send(CAT, msgpack_encoded=False)
    assert connection.closed == (1011, "mock-fal: internal error")
    assert caplog.messages == ["mock-fal: internal error at WebSocket /fal-ai/flux/schnell"]


def test_an_internal_error_at_the_handshake_is_a_500(
    fal: Fal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Realtime, "serve", None)
    with caplog.at_level(logging.ERROR):
        assert Connection(fal, LCM).rejection.status_code == 500
    assert len(caplog.messages) == 1


def test_a_client_that_has_disconnected_is_sent_nothing(fal: Fal) -> None:
    async def disconnect_event() -> dict[str, Any]:
        return {"type": "websocket.disconnect", "code": 1006}

    async def send(event: Any) -> None:
        raise AssertionError(event)

    handshake = {**scope("GET", LCM, {"authorization": "Key a:b"}), "type": "websocket"}
    fal.wait_for(fal.app(handshake, disconnect_event, send))


def test_a_write_error_is_a_disconnect(fal: Fal, caplog: pytest.LogCaptureFixture) -> None:
    async def send(event: Any) -> None:
        raise OSError("broken pipe")

    async def connect() -> dict[str, Any]:
        return {"type": "websocket.connect"}

    handshake = {**scope("GET", LCM, {"authorization": "Key a:b"}), "type": "websocket"}
    fal.wait_for(fal.app(handshake, connect, send))
    assert caplog.messages == []
