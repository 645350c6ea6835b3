"""One listening port, with real sockets on loopback."""

from __future__ import annotations

import asyncio
import errno
import http.client
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from mock_fal import port
from mock_fal.clock import SystemClock
from mock_fal.errors import MockFalError
from mock_fal.port import Port, event_loop, listen
from tests.gateway.servers import PATIENCE_S, Loop, connected, head_of, received

LARGE = bytes(range(256)) * 40_000


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that responds with the path, with a large body, or never; it echoes WebSocket messages."""
    if scope["type"] == "websocket":
        await echo(scope, receive, send)
        return
    body = LARGE if scope["path"] == "/large" else scope["path"].encode()
    headers = [(b"content-length", b"%d" % len(body)), (b"x-port", b"%d" % scope["server"][1])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/for/ever":
        with suppress(asyncio.CancelledError):  # as mock-fal's application does
            await asyncio.Event().wait()
        return
    await send({"type": "http.response.body", "body": body})


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Echo WebSocket messages, or reject the handshake."""
    await receive()
    if scope["path"] == "/nowhere":
        await send({"type": "websocket.http.response.start", "status": 404, "headers": [(b"x-why", b"so")]})
        await send({"type": "websocket.http.response.body", "body": b"no socket here"})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


class OpenPort:
    """A port and its event loop."""

    def __init__(self, loop: Loop, app: Any = app, **options: Any) -> None:
        self._loop = loop
        self._port = Port(app, **options)
        listening = listen("127.0.0.1", 0)
        self.number: int = listening.getsockname()[1]
        loop.run(self._port.open(listening))
        self.is_open = True

    def get(self, *paths: str, method: str = "GET") -> list[bytes]:
        """Send requests on one connection and return the bodies of the responses."""
        connection = http.client.HTTPConnection("127.0.0.1", self.number, timeout=PATIENCE_S)
        bodies = []
        for path in paths:
            connection.request(method, path)
            bodies.append(connection.getresponse().read())
        connection.close()
        return bodies

    def close(self) -> None:
        if self.is_open:
            self._loop.run(self._port.close())
        self.is_open = False


@pytest.fixture(params=[asyncio.new_event_loop, event_loop], ids=["asyncio", "default"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    loop = Loop(request.param)
    yield loop
    loop.close()


@pytest.fixture
def opened(loop: Loop) -> Iterator[OpenPort]:
    opened = OpenPort(loop)
    yield opened
    opened.close()


# -- listening


def test_port_0_is_a_free_port() -> None:
    with listen("127.0.0.1", 0) as first, listen("127.0.0.1", 0) as second:
        assert first.getsockname()[1] != second.getsockname()[1]


def test_the_error_for_a_port_in_use_has_advice() -> None:
    with listen("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(MockFalError) as error:
            listen("127.0.0.1", number)
    assert str(error.value) == (
        f"can't listen on 127.0.0.1 port {number}: Address already in use; "
        "choose another with --port, or --port 0 for a free one"
    )


@pytest.mark.parametrize("host", ["203.0.113.1", "a..b"])
def test_the_error_for_an_unusable_address_has_no_advice_about_ports(host: str) -> None:
    with pytest.raises(MockFalError, match=rf"^can't listen on {host} port 0: ") as error:
        listen(host, 0)
    assert "--port" not in str(error.value)
    assert "while attempting" not in str(error.value)


def test_an_address_with_colons_is_ipv6() -> None:
    try:
        listening = listen("::1", 0)
    except MockFalError:
        pytest.skip("this machine has no IPv6")
    with listening:
        assert listening.family is socket.AF_INET6


def test_a_port_without_connections_stops_at_once(
    loop: Loop, opened: OpenPort, monkeypatch: pytest.MonkeyPatch
) -> None:
    """uvicorn would look ten times a second whether to stop, and then wait for a tenth of a second."""

    async def sleep(seconds: float) -> None:
        raise AssertionError(f"waited for {seconds} seconds")

    monkeypatch.setattr(asyncio, "sleep", sleep)
    opened.close()
    with socket.socket() as connection:
        assert connection.connect_ex(("127.0.0.1", opened.number)) == errno.ECONNREFUSED


def test_the_date_is_that_of_the_present_second(opened: OpenPort) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", opened.number, timeout=PATIENCE_S)
    connection.request("GET", "/a")
    date = connection.getresponse().headers["date"]
    connection.close()
    assert abs(parsedate_to_datetime(date).timestamp() - SystemClock().now()) < PATIENCE_S


def test_without_a_faster_loop_asyncios_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "_config", lambda app: SimpleNamespace(get_loop_factory=lambda: None))
    loop = event_loop()
    loop.close()
    assert isinstance(loop, asyncio.SelectorEventLoop)


# -- serving


def test_requests_are_served_as_soon_as_it_is_open(opened: OpenPort) -> None:
    assert opened.get("/a") == [b"/a"]


def test_a_connection_is_kept_for_the_next_request(opened: OpenPort) -> None:
    assert opened.get("/a", "/b", "/large", "/c") == [b"/a", b"/b", LARGE, b"/c"]


def test_a_response_has_only_its_own_headers_and_the_date(opened: OpenPort) -> None:
    with connected(opened.number, b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") as client:
        head, _, body = received(client).partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert (line, body) == ("HTTP/1.1 200 OK", b"/a")
    names = [header.partition(":")[0] for header in headers]
    assert sorted(names) == ["connection", "content-length", "date", "x-port"]


def test_head_has_no_body(opened: OpenPort) -> None:
    with connected(opened.number, b"HEAD /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") as client:
        assert received(client).endswith(b"\r\n\r\n")


def test_pipelined_requests_are_answered_in_order(opened: OpenPort) -> None:
    requests = b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(20))
    last = b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with connected(opened.number, requests + last) as client:
        responses = received(client).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [response.partition(b"\r\n\r\n")[2] for response in responses] == [
        b"/%d" % n for n in range(20)
    ] + [b"/last"]


def test_invalid_http_is_a_400(opened: OpenPort) -> None:
    with connected(opened.number, b"what?\r\n\r\n") as client:
        assert received(client).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert opened.get("/a") == [b"/a"]


def test_it_serves_tls(loop: Loop) -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    opened = OpenPort(loop, tls=server)
    connection = http.client.HTTPSConnection("localhost", opened.number, timeout=PATIENCE_S, context=client)
    connection.request("GET", "/large")
    assert connection.getresponse().read() == LARGE
    connection.close()
    opened.close()


# -- closing


def test_a_closed_port_accepts_no_connections(opened: OpenPort) -> None:
    opened.get("/a")
    opened.close()
    with pytest.raises(ConnectionRefusedError):
        connected(opened.number)


def test_an_idle_connection_does_not_delay_closing(opened: OpenPort) -> None:
    with connected(opened.number, b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n") as client:
        head_of(client)
        opened.close()
        assert received(client) == b"/a"


def test_a_response_without_end_is_aborted(
    opened: OpenPort, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(port, "GRACE_S", 0.01)
    with connected(opened.number, b"GET /for/ever HTTP/1.1\r\nhost: x\r\n\r\n") as client:
        assert head_of(client).startswith("HTTP/1.1 200 OK\r\n")
        opened.close()
        with suppress(ConnectionResetError):
            assert received(client) == b""
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# -- WebSockets


def open_socket(opened: OpenPort, path: str = "/") -> Any:
    return connect(
        f"ws://127.0.0.1:{opened.number}{path}", proxy=None, open_timeout=PATIENCE_S, max_size=None
    )


# RFC 6455, section 5.2
CONTINUED, BINARY, LAST = 0x00, 0x02, 0x80


def frame_head(first: int, length: int) -> bytes:
    """The head of a frame whose mask changes nothing."""
    return bytes([first, 0x80 | 127]) + length.to_bytes(8, "big") + bytes(4)


def test_a_websocket_transfers_text_and_bytes_of_any_size(opened: OpenPort) -> None:
    with open_socket(opened) as client:
        for message in ("a", b"b", LARGE, "é" * 100_000):
            client.send(message)
            assert client.recv(PATIENCE_S) == message
    assert opened.get("/a") == [b"/a"]


def test_a_websocket_message_has_a_limit(opened: OpenPort) -> None:
    largest = bytes(port.MAX_MESSAGE_BYTES)
    with open_socket(opened) as client:
        client.send(largest)
        assert client.recv(PATIENCE_S) == largest
        # Its length is enough: bytes that the server does not read would reset the connection.
        client.socket.sendall(frame_head(BINARY | LAST, len(largest) + 1))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009
    assert opened.get("/a") == [b"/a"]


def test_a_websocket_message_in_many_fragments_has_the_same_limit(opened: OpenPort) -> None:
    part = 1 << 20
    opcodes = [BINARY, *[CONTINUED] * (port.MAX_MESSAGE_BYTES // part - 1)]
    largest = b"".join(frame_head(opcode, part) + bytes(part) for opcode in opcodes)
    with open_socket(opened) as client:
        client.socket.sendall(largest + frame_head(CONTINUED | LAST, 0))
        assert client.recv(PATIENCE_S) == bytes(port.MAX_MESSAGE_BYTES)
        client.socket.sendall(largest + frame_head(CONTINUED | LAST, 1))
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_a_websocket_works_over_tls(loop: Loop) -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.num_tickets = 0
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    opened = OpenPort(loop, tls=server)
    with connect(f"wss://localhost:{opened.number}/", ssl=client, proxy=None, max_size=None) as websocket:
        websocket.send(LARGE)
        assert websocket.recv(PATIENCE_S) == LARGE
    opened.close()


def test_a_handshake_may_be_rejected_by_http(opened: OpenPort, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus) as error:
        open_socket(opened, "/nowhere")
    response = error.value.response
    assert (response.status_code, response.headers["x-why"], response.body) == (404, "so", b"no socket here")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_closing_port_sends_close_frames(opened: OpenPort, caplog: pytest.LogCaptureFixture) -> None:
    with open_socket(opened) as client:
        client.send("a")
        client.recv(PATIENCE_S)
        opened.close()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_without_websockets_their_modules_are_not_imported() -> None:
    program = (
        "import sys, mock_fal.server as server; "
        "mock = server.MockFal(); mock.start(); mock.stop(); "
        "print([name for name in ('websockets', 'msgpack', 'mock_fal.accounts.tokens') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


# -- buffered writes


class Transport(asyncio.Transport):
    """A transport that records its calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[object] = []

    def write(self, data: Any) -> None:
        self.calls.append(data)

    def writelines(self, parts: Any) -> None:
        self.calls.append(b"".join(parts))

    def close(self) -> None:
        self.calls.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.calls


class ManualLoop:
    """An event loop that the test advances turn by turn."""

    def __init__(self) -> None:
        self.callbacks: list[Any] = []

    def call_soon(self, callback: Any) -> None:
        self.callbacks.append(callback)

    def run_turn(self) -> None:
        callbacks, self.callbacks = self.callbacks, []
        for callback in callbacks:
            callback()


@pytest.fixture
def loop_turns() -> ManualLoop:
    return ManualLoop()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def buffered(transport: Transport, loop_turns: ManualLoop) -> port._BufferedTransport:
    arguments: Any = (transport, port._Turn(), loop_turns)
    return port._BufferedTransport(*arguments)


def test_writes_in_one_turn_are_sent_as_one(
    buffered: port._BufferedTransport, transport: Transport, loop_turns: ManualLoop
) -> None:
    buffered.write(b"head ")
    buffered.write(b"body")
    assert transport.calls == []
    loop_turns.run_turn()
    assert transport.calls == [b"head body"]
    buffered.write(b"next")
    loop_turns.run_turn()
    assert transport.calls == [b"head body", b"next"]


def test_a_large_write_is_sent_at_once(
    buffered: port._BufferedTransport, transport: Transport, loop_turns: ManualLoop
) -> None:
    buffered.write(LARGE)
    assert transport.calls == [LARGE]
    assert not loop_turns.callbacks


def test_a_small_write_is_sent_with_a_following_large_one(
    buffered: port._BufferedTransport, transport: Transport, loop_turns: ManualLoop
) -> None:
    buffered.write(b"head ")
    buffered.write(LARGE)
    buffered.write(b" tail")
    loop_turns.run_turn()
    assert transport.calls == [b"head " + LARGE, b" tail"]


def test_buffered_bytes_are_sent_before_the_close(
    buffered: port._BufferedTransport, transport: Transport, loop_turns: ManualLoop
) -> None:
    buffered.write(b"last bytes")
    buffered.close()
    loop_turns.run_turn()
    assert transport.calls == [b"last bytes", "closed"]


def test_other_methods_are_those_of_the_transport(
    buffered: port._BufferedTransport, transport: Transport
) -> None:
    assert buffered.is_closing() is False
    buffered.close()
    assert buffered.is_closing() is True
