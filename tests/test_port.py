"""One open port, with real sockets on loopback."""

from __future__ import annotations

import asyncio
import http.client
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import pytest
import trustme
from starlette.types import Receive, Scope, Send
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from mock_fal import port
from mock_fal.errors import MockFalError
from mock_fal.port import Port, event_loop, listen
from tests.gateway.servers import PATIENCE_S, Loop, connected, head_of, received

LARGE = bytes(range(256)) * 40_000


async def told(scope: Scope, receive: Receive, send: Send) -> None:
    """An application that says which path it was asked for, or has a lot to say, or never ends; or repeats."""
    if scope["type"] == "websocket":
        await repeated(scope, receive, send)
        return
    body = LARGE if scope["path"] == "/large" else scope["path"].encode()
    headers = [(b"content-length", b"%d" % len(body)), (b"x-port", b"%d" % scope["server"][1])]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    if scope["path"] == "/for/ever":
        with suppress(asyncio.CancelledError):  # as our application does
            await asyncio.Event().wait()
        return
    await send({"type": "http.response.body", "body": body})


async def repeated(scope: Scope, receive: Receive, send: Send) -> None:
    """A socket that says what it is told, or none at all."""
    await receive()
    if scope["path"] == "/nowhere":
        await send({"type": "websocket.http.response.start", "status": 404, "headers": [(b"x-why", b"so")]})
        await send({"type": "websocket.http.response.body", "body": b"no socket here"})
        return
    await send({"type": "websocket.accept"})
    while (message := await receive())["type"] == "websocket.receive":
        await send({"type": "websocket.send", "text": message.get("text"), "bytes": message.get("bytes")})


class Opened:
    """A port, and the loop that it lives in."""

    def __init__(self, loop: Loop, app: Any = told, **options: Any) -> None:
        self._loop = loop
        self._port = Port(app, **options)
        listening = listen("127.0.0.1", 0)
        self.number: int = listening.getsockname()[1]
        loop.run(self._port.open(listening))
        self.is_open = True

    def ask(self, *paths: str, method: str = "GET") -> list[bytes]:
        """The bodies of answers that come one after the other on one connection."""
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


@pytest.fixture(params=[asyncio.new_event_loop, event_loop], ids=["asyncio", "the fastest"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    loop = Loop(request.param)
    yield loop
    loop.close()


@pytest.fixture
def opened(loop: Loop) -> Iterator[Opened]:
    opened = Opened(loop)
    yield opened
    opened.close()


# -- listening


def test_port_0_is_any_free_one() -> None:
    with listen("127.0.0.1", 0) as first, listen("127.0.0.1", 0) as second:
        assert first.getsockname()[1] != second.getsockname()[1]


def test_a_port_in_use_is_told_with_a_way_out() -> None:
    with listen("127.0.0.1", 0) as taken:
        number = taken.getsockname()[1]
        with pytest.raises(MockFalError) as refusal:
            listen("127.0.0.1", number)
    assert str(refusal.value) == (
        f"can't listen on 127.0.0.1 port {number}: Address already in use; "
        "choose another with --port, or --port 0 for a free one"
    )


@pytest.mark.parametrize("host", ["203.0.113.1", "a..b"])
def test_an_address_that_is_not_ours_is_told_without_one(host: str) -> None:
    with pytest.raises(MockFalError, match=rf"^can't listen on {host} port 0: ") as refusal:
        listen(host, 0)
    assert "--port" not in str(refusal.value)
    assert "while attempting" not in str(refusal.value)


def test_an_address_with_colons_is_of_the_sixth_version() -> None:
    try:
        listening = listen("::1", 0)
    except MockFalError:
        pytest.skip("this machine has no IPv6")
    with listening:
        assert listening.family is socket.AF_INET6


def test_the_loop_is_asyncios_own_where_no_faster_one_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(port, "_config", lambda app: SimpleNamespace(get_loop_factory=lambda: None))
    loop = event_loop()
    loop.close()
    assert isinstance(loop, asyncio.SelectorEventLoop)


# -- serving


def test_who_asks_as_soon_as_it_is_open_is_answered(opened: Opened) -> None:
    assert opened.ask("/a") == [b"/a"]


def test_a_connection_is_kept_for_the_next_question(opened: Opened) -> None:
    assert opened.ask("/a", "/b", "/large", "/c") == [b"/a", b"/b", LARGE, b"/c"]


def test_an_answer_has_no_headers_but_its_own_and_the_date(opened: Opened) -> None:
    with connected(opened.number, b"GET /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") as client:
        head, _, body = received(client).partition(b"\r\n\r\n")
    line, *headers = head.decode().split("\r\n")
    assert (line, body) == ("HTTP/1.1 200 OK", b"/a")
    names = [header.partition(":")[0] for header in headers]
    assert sorted(names) == ["connection", "content-length", "date", "x-port"]


def test_head_has_no_body(opened: Opened) -> None:
    with connected(opened.number, b"HEAD /a HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n") as client:
        assert received(client).endswith(b"\r\n\r\n")


def test_questions_asked_at_once_are_answered_in_their_order(opened: Opened) -> None:
    asked = b"".join(b"GET /%d HTTP/1.1\r\nhost: x\r\n\r\n" % number for number in range(20))
    last = b"GET /last HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    with connected(opened.number, asked + last) as client:
        responses = received(client).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert [response.partition(b"\r\n\r\n")[2] for response in responses] == [
        b"/%d" % n for n in range(20)
    ] + [b"/last"]


def test_who_speaks_no_http_is_told_so(opened: Opened) -> None:
    with connected(opened.number, b"what?\r\n\r\n") as client:
        assert received(client).startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert opened.ask("/a") == [b"/a"]


def test_behind_tls_it_is_the_same(loop: Loop) -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    opened = Opened(loop, tls=server)
    connection = http.client.HTTPSConnection("localhost", opened.number, timeout=PATIENCE_S, context=client)
    connection.request("GET", "/large")
    assert connection.getresponse().read() == LARGE
    connection.close()
    opened.close()


# -- closing


def test_a_closed_port_answers_nobody(opened: Opened) -> None:
    opened.ask("/a")
    opened.close()
    with pytest.raises(ConnectionRefusedError):
        connected(opened.number)


def test_a_kept_connection_does_not_hold_up_the_end(opened: Opened) -> None:
    with connected(opened.number, b"GET /a HTTP/1.1\r\nhost: x\r\n\r\n") as client:
        head_of(client)
        opened.close()
        assert received(client) == b"/a"


def test_an_answer_without_end_is_cut(
    opened: Opened, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(port, "GRACE_S", 0.01)
    with connected(opened.number, b"GET /for/ever HTTP/1.1\r\nhost: x\r\n\r\n") as client:
        assert head_of(client).startswith("HTTP/1.1 200 OK\r\n")
        opened.close()
        with suppress(ConnectionResetError):
            assert received(client) == b""
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


# -- sockets


def socket_at(opened: Opened, path: str = "/") -> Any:
    return connect(
        f"ws://127.0.0.1:{opened.number}{path}", proxy=None, open_timeout=PATIENCE_S, max_size=None
    )


def test_a_socket_carries_texts_and_bytes_of_any_size(opened: Opened) -> None:
    with socket_at(opened) as client:
        for message in ("a", b"b", LARGE, "é" * 100_000):
            client.send(message)
            assert client.recv(PATIENCE_S) == message
    assert opened.ask("/a") == [b"/a"]


def test_behind_tls_a_socket_is_the_same(loop: Loop) -> None:
    authority = trustme.CA()
    server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
    server.num_tickets = 0
    authority.issue_cert("localhost").configure_cert(server)
    authority.configure_trust(client)
    opened = Opened(loop, tls=server)
    with connect(f"wss://localhost:{opened.number}/", ssl=client, proxy=None, max_size=None) as its:
        its.send(LARGE)
        assert its.recv(PATIENCE_S) == LARGE
    opened.close()


def test_a_handshake_may_be_answered_by_http(opened: Opened, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        socket_at(opened, "/nowhere")
    response = refusal.value.response
    assert (response.status_code, response.headers["x-why"], response.body) == (404, "so", b"no socket here")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_a_closing_port_says_good_bye_to_open_sockets(
    opened: Opened, caplog: pytest.LogCaptureFixture
) -> None:
    with socket_at(opened) as client:
        client.send("a")
        client.recv(PATIENCE_S)
        opened.close()
        with pytest.raises(ConnectionClosed) as closed:
            client.recv(PATIENCE_S)
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


def test_who_opens_no_socket_does_not_load_what_it_takes() -> None:
    seen = (
        "import sys, mock_fal.server as server; "
        "mock = server.MockFal(); mock.start(); mock.stop(); "
        "print([name for name in ('websockets', 'msgpack', 'mock_fal.accounts.tokens') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, timeout=PATIENCE_S)
    assert (done.stdout, done.returncode) == ("[]\n", 0), done.stderr


# -- gathering


class Transport:
    """Notes what is done to it."""

    def __init__(self) -> None:
        self.done: list[object] = []

    def write(self, data: bytes) -> None:
        self.done.append(data)

    def close(self) -> None:
        self.done.append("closed")

    def is_closing(self) -> bool:
        return "closed" in self.done


class Turn:
    """An event loop whose next turn comes when the test says so."""

    def __init__(self) -> None:
        self.next: list[Any] = []

    def call_soon(self, callback: Any) -> None:
        self.next.append(callback)

    def come(self) -> None:
        callbacks, self.next = self.next, []
        for callback in callbacks:
            callback()


@pytest.fixture
def turn() -> Turn:
    return Turn()


@pytest.fixture
def transport() -> Transport:
    return Transport()


@pytest.fixture
def gathering(transport: Transport, turn: Turn) -> port._Gathering:
    its: Any = (transport, turn)
    return port._Gathering(*its)


def test_what_is_written_in_one_turn_leaves_as_one(
    gathering: port._Gathering, transport: Transport, turn: Turn
) -> None:
    gathering.write(b"head ")
    gathering.write(b"body")
    assert transport.done == []
    turn.come()
    assert transport.done == [b"head body"]
    gathering.write(b"next")
    turn.come()
    assert transport.done == [b"head body", b"next"]


def test_what_is_large_leaves_at_once(gathering: port._Gathering, transport: Transport, turn: Turn) -> None:
    gathering.write(LARGE)
    assert transport.done == [LARGE]
    assert not turn.next


def test_what_is_small_leaves_with_what_is_large_behind_it(
    gathering: port._Gathering, transport: Transport, turn: Turn
) -> None:
    gathering.write(b"head ")
    gathering.write(LARGE)
    gathering.write(b" tail")
    turn.come()
    assert transport.done == [b"head " + LARGE, b" tail"]


def test_what_is_held_leaves_before_the_end(
    gathering: port._Gathering, transport: Transport, turn: Turn
) -> None:
    gathering.write(b"last words")
    gathering.close()
    turn.come()
    assert transport.done == [b"last words", "closed"]


def test_everything_else_is_asked_of_the_transport_itself(
    gathering: port._Gathering, transport: Transport
) -> None:
    assert gathering.is_closing() is False
    gathering.close()
    assert gathering.is_closing() is True
