"""Requests that an application answers at once, without a task, on real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from mock_fal import ManualClock, MockFal, Settings, port
from mock_fal.clock import SystemClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.port import MAX_WHOLE_BYTES, WholeResponse, event_loop
from mock_fal.web.app import App
from mock_fal.web.wire import Reply
from tests.gateway.servers import PATIENCE_S, Loop
from tests.test_port import OpenPort

HEAD = b"Host: localhost\r\n"


class Answering:
    """Answers at once, except paths that begin with `/task`. The body says how, and what was read."""

    def at_once(self, scope: Scope, method: str, path: str, query: str, body: bytes) -> WholeResponse | None:
        if path.startswith("/task"):
            return None
        reply = self._reply("at once", path, query.encode(), body)
        return reply.status_code, reply.head, reply.body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        await self._reply("by a task", scope["path"], scope["query_string"], body)(scope, receive, send)

    def _reply(self, how: str, path: str, query: bytes, body: bytes) -> Reply:
        text = f"{how}: {path}?{query.decode()} {len(body)} {body[:9].decode()}".encode()
        return Reply(200, text, b"content-length: %d" % len(text))


@pytest.fixture(params=[asyncio.new_event_loop, event_loop], ids=["asyncio", "default"])
def opened(request: pytest.FixtureRequest) -> Iterator[OpenPort]:
    loop = Loop(request.param)
    opened = OpenPort(loop, Answering())
    yield opened
    opened.close()
    loop.close()


def exchange(opened: OpenPort, *parts: bytes, end: bytes) -> bytes:
    """What the server sends for some parts, up to `end` or to the end of the connection."""
    with socket.create_connection(("127.0.0.1", opened.number), timeout=PATIENCE_S) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for part in parts:
            connection.sendall(part)
        data = b""
        while not data.endswith(end) or not end:
            received = connection.recv(65536)
            if not received:
                break
            data += received
        return data


def test_path_and_query_are_those_of_asgi(opened: OpenPort) -> None:
    assert opened.get("/a%20b/c?x=%31", "/task/%C3%A9?y") == [
        b"at once: /a b/c?x=%31 0 ",
        "by a task: /task/é?y 0 ".encode(),
    ]


@pytest.mark.parametrize(
    ("path", "size", "how"),
    [
        ("/a", 5, "at once"),
        ("/a", MAX_WHOLE_BYTES, "at once"),
        ("/a", MAX_WHOLE_BYTES + 1, "by a task"),
        ("/task", 5, "by a task"),
        ("/task", MAX_WHOLE_BYTES, "by a task"),
    ],
)
def test_a_body_is_whole_in_both_ways(opened: OpenPort, path: str, size: int, how: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", opened.number, timeout=PATIENCE_S)
    for body in (
        b"x" * size,
        iter([b"x" * (size // 2), b"x" * (size - size // 2)]),
    ):  # with a length, and chunked
        connection.request("POST", path, body)
        expected = f"{how}: {path}? {size} {'x' * min(size, 9)}"
        assert connection.getresponse().read().decode() == expected
    connection.close()


def test_a_body_in_parts_is_awaited(opened: OpenPort) -> None:
    head = b"POST /a HTTP/1.1\r\n" + HEAD + b"Content-Length: 6\r\n\r\nabc"
    assert exchange(opened, head, b"de", b"f", end=b"abcdef").endswith(b"at once: /a? 6 abcdef")


def test_pipelined_requests_are_answered_in_order(opened: OpenPort) -> None:
    paths = [b"/1", b"/task/2", b"/3", b"/4", b"/task/5", b"/6"]
    sent = b"".join(b"GET %b HTTP/1.1\r\n" % path + HEAD + b"\r\n" for path in paths)
    data = exchange(opened, sent, end=b"/6? 0 ")
    assert [data.index(path + b"?") for path in paths] == sorted(data.index(path + b"?") for path in paths)


@pytest.mark.parametrize("path", [b"/a", b"/task"])
@pytest.mark.parametrize(
    ("version", "header", "closes"),
    [
        (b"1.1", b"", False),
        (b"1.1", b"Connection: close\r\n", True),
        (b"1.0", b"", True),
        (b"1.0", b"Connection: keep-alive\r\n", True),
    ],
)
def test_the_connection_is_kept_or_closed_in_the_same_way(
    opened: OpenPort, path: bytes, version: bytes, header: bytes, closes: bool
) -> None:
    sent = b"GET %b HTTP/%b\r\n" % (path, version) + HEAD + header + b"\r\n"
    data = exchange(opened, sent, end=b"" if closes else b" 0 ")
    assert (b"\r\nconnection: close\r\n" in data) == closes


def test_head_has_no_body(opened: OpenPort) -> None:
    assert opened.get("/a", method="HEAD") == [b""]


def test_a_client_that_asks_before_it_sends_is_told_to_continue(opened: OpenPort) -> None:
    head = b"POST /a HTTP/1.1\r\n" + HEAD + b"Content-Length: 3\r\nExpect: 100-continue\r\n\r\n"
    data = exchange(opened, head, b"abc", end=b" 3 abc")
    assert data.startswith(b"HTTP/1.1 100 Continue\r\n\r\n")


def test_an_invalid_body_is_a_400(opened: OpenPort) -> None:
    head = b"POST /a HTTP/1.1\r\n" + HEAD + b"Transfer-Encoding: chunked\r\n\r\nno size\r\n"
    assert exchange(opened, head, end=b"").startswith(b"HTTP/1.1 400 ")


class FakeLoop(asyncio.SelectorEventLoop):
    """A loop whose time stands, and whose timers are called by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.timers = 0.0, list[Any]()

    def time(self) -> float:
        return self.now

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Any, *args: Any, context: Any = None
    ) -> asyncio.TimerHandle:
        self.timers.append((self.now + delay, callback))
        return super().call_later(delay, callback, *args)


class Transport(asyncio.Transport):
    """Keeps what is written, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.data, self.closed = b"", False

    def write(self, data: Any) -> None:
        self.data += data

    def close(self) -> None:
        self.closed = True

    abort = close

    def is_closing(self) -> bool:
        return self.closed

    def can_write_eof(self) -> bool:
        return False

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self.protocol


class Connection:
    """A connection of an application, without a socket."""

    def __init__(self, app: Any, turn: port._Turn, loop: asyncio.AbstractEventLoop) -> None:
        config = port._config(app)
        config.load()
        options: Any = {"config": config, "server_state": ServerState(), "app_state": {}, "_loop": loop}
        self.protocol = port._Protocol(turn=turn, **options)
        self.transport = Transport()
        self.transport.set_protocol(self.protocol)
        self.protocol.connection_made(self.transport)


def test_a_connection_is_closed_when_it_was_idle_for_long_enough() -> None:
    loop = FakeLoop()
    connection = Connection(Answering(), port._Turn(), loop)
    protocol, transport = connection.protocol, connection.transport

    def receive(data: bytes) -> None:
        protocol.data_received(data)
        protocol.take_received()

    for loop.now in (0.0, 50.0, 100.0):
        receive(b"GET /a HTTP/1.1\r\n" + HEAD + b"\r\n")
    [(due, close)] = loop.timers  # one for all answers
    loop.now = due
    close()
    assert not transport.is_closing()
    (_, _), (due, close) = loop.timers
    assert due == 100 + port.KEEP_ALIVE_S
    receive(b"GET /a HT")  # a request begins
    loop.now = due
    close()
    assert not transport.is_closing()
    receive(b"TP/1.1\r\n" + HEAD + b"\r\n")
    due, close = loop.timers[-1]
    loop.now = due
    close()
    assert transport.is_closing()
    loop.close()


# The header fields of a request and what follows them, so that some announce another body than they have.
ENDS = (
    b"\r\n",
    b"Content-Length: 2\r\n\r\nab",
    b"Content-Length: 2\r\n\r\ncd",
    b"Content-Length: 3\r\n\r\nabc",
    b"Content-Length: 0\r\n\r\n",
    b"Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n",
    b"Connection: keep-alive\r\n\r\n",
    b"Connection: close\r\n\r\n",
    b"X: 1\r\nX: 2\r\n\r\n",
    b"Content-Length: 2\r\n\r\na",
    b"Content-Length: 2\r\n\r\nabGET /",
    b"",
    b"\n",
    b"\n\nX: 1\r\n\r\n",
    b"X: \r\n\r\n",
)
LINES = (
    b"GET /a HTTP/1.1",
    b"GET /a/b-1.x HTTP/1.1",
    b"POST /a HTTP/1.1",
    b"PUT /a HTTP/1.1",
    b"HEAD /a HTTP/1.1",
    b"GET /a?q=1 HTTP/1.1",
    b"GET /%61 HTTP/1.1",
    b"GET //a HTTP/1.1",
    b"GET /a//b/../ HTTP/1.1",
    b"GET / HTTP/1.1",
    b"GET /a HTTP/1.0",
    b"GET /a",
    b"",
)
FIRST = [line + b"\r\n" + HEAD + end for line in (LINES[0], LINES[2]) for end in ENDS]
SECOND = [line + b"\r\n" + HEAD + end for line in LINES for end in ENDS]
SECOND += [one + two for one in FIRST[:3] for two in FIRST[::4]]
SECOND.append(FIRST[0].removesuffix(b"\r\n\r\n"))


class Frames(asyncio.Protocol):
    """The protocol of a WebSocket: keeps what it receives."""

    def __init__(self) -> None:
        self.received = list[bytes]()

    def data_received(self, data: bytes) -> None:
        self.received.append(data)


def sent_for(parts: list[bytes]) -> bytes:
    """What one connection sends for these parts, each received in a turn of its own."""

    async def connection() -> bytes:
        opened = Connection(Answering(), port._Turn(), asyncio.get_running_loop())
        for part in parts:
            if opened.transport.is_closing():
                break
            opened.protocol.data_received(part)
            await asyncio.sleep(0)
            await asyncio.sleep(0)
        opened.protocol.connection_lost(None)
        return opened.transport.data

    return asyncio.run(connection())


@pytest.mark.parametrize("first", FIRST)
def test_repeated_header_fields_change_no_answer(first: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = LINES[0] + b"\r\n" + HEAD + b"\r\n"
    with monkeypatch.context() as patch:
        patch.setattr(port, "_SHARED_BY", 0)  # they wait for the end of the turn
        repeated = [sent_for([first, second, rest]) for second in SECOND]
    monkeypatch.setattr(port, "_MAX_KNOWN_BYTES", -1)  # all are parsed, at once
    for second, sent in zip(SECOND, repeated, strict=True):
        assert sent_for([first, second, rest]) == sent, second


def shared_turn() -> port._Turn:
    """A turn like one of many connections."""
    turn = port._Turn()
    turn.is_shared = True
    return turn


@pytest.fixture
def fake_loop() -> Iterator[FakeLoop]:
    loop = FakeLoop()
    yield loop
    loop.close()


REQUEST = b"GET /a HTTP/1.1\r\n" + HEAD + b"\r\n"


def test_a_request_that_repeats_its_fields_is_not_parsed(
    fake_loop: FakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = Connection(Answering(), turn := port._Turn(), fake_loop)
    parsed: list[bytes] = []
    parse = port._Protocol._parse

    def noting(self: port._Protocol, data: bytes) -> None:
        parsed.append(data)
        parse(self, data)

    monkeypatch.setattr(port._Protocol, "_parse", noting)
    other = REQUEST.replace(b"/a", b"/other")
    for data in (REQUEST, other, REQUEST.replace(b"localhost", b"127.0.0.1"), other):
        connection.protocol.data_received(data)
        turn.run()
    assert len(parsed) == 2
    assert connection.transport.data.count(b"at once: /other? 0 ") == 2


def test_a_connection_remembers_few_heads(fake_loop: FakeLoop) -> None:
    connection = Connection(Answering(), turn := port._Turn(), fake_loop)
    for number in range(3 * port._MAX_KNOWN):
        connection.protocol.data_received(b"GET /a HTTP/1.1\r\nHost: %d\r\n\r\n" % number)
        turn.run()
        assert 0 < len(connection.protocol._known) <= port._MAX_KNOWN
    long = b"GET /a HTTP/1.1\r\nHost: localhost\r\nX: %b\r\n\r\n" % (b"x" * port._MAX_KNOWN_BYTES)
    before = dict(connection.protocol._known)
    connection.protocol.data_received(long)
    turn.run()
    assert connection.protocol._known == before


def test_connections_answer_together_and_then_send(fake_loop: FakeLoop) -> None:
    turn, seen = shared_turn(), list[str]()

    class Noting(Answering):
        def at_once(
            self, scope: Scope, method: str, path: str, query: str, body: bytes
        ) -> WholeResponse | None:
            seen.append(path)
            if path == "/bug":
                raise ValueError
            return super().at_once(scope, method, path, query, body)

    first, broken, last = [Connection(Noting(), turn, fake_loop) for _ in range(3)]
    for paths in ((b"/1", b"/2", b"/3"), (b"/4", b"/bug", b"/5")):
        before = list(seen)
        for connection, path in zip((first, broken, last), paths, strict=True):
            connection.protocol.data_received(b"GET %b HTTP/1.1\r\n" % path + HEAD + b"\r\n")
        assert seen == before
        turn.run()
    assert seen == ["/1", "/2", "/3", "/4", "/5", "/bug"]
    assert b"at once: /4?" in first.transport.data and b"at once: /5?" in last.transport.data
    assert broken.transport.is_closing() and broken.transport.data.count(b"HTTP/1.1 200") == 1


def test_requests_that_read_the_same_follow_each_other_and_others_keep_their_order(
    fake_loop: FakeLoop,
) -> None:
    turn, seen = shared_turn(), list[str]()

    class Noting(Answering):
        def at_once(
            self, scope: Scope, method: str, path: str, query: str, body: bytes
        ) -> WholeResponse | None:
            seen.append(f"{method} {path}")
            return super().at_once(scope, method, path, query, body)

    lines = [b"GET /1/status", b"POST /long", b"GET /1", b"POST /a", b"GET /2/status", b"PUT /b", b"GET /2"]
    connections = [Connection(Noting(), turn, fake_loop) for _ in lines]
    for connection, line in zip(connections, lines, strict=True):
        connection.protocol.data_received(line + b" HTTP/1.1\r\n" + HEAD + b"Content-Length: 0\r\n\r\n")
    turn.run()
    reads = ["GET /1", "GET /2", "GET /1/status", "GET /2/status"]
    assert seen == ["POST /long", "POST /a", "PUT /b", *reads]


def test_a_connection_that_is_alone_does_not_wait(fake_loop: FakeLoop) -> None:
    turn, seen = port._Turn(), list[bool]()
    one, other = Connection(Answering(), turn, fake_loop), Connection(Answering(), turn, fake_loop)
    for connections in ([one], [one, other], [one, other], [one], [one]):
        for connection in connections:
            connection.protocol.data_received(REQUEST)
        seen.append(connections[-1].protocol._received is None)
        turn.run()
    # The first turn with two of them, and the first one without the other, are not known before.
    assert seen == [True, True, False, False, True]


@pytest.mark.parametrize(
    "end", [lambda protocol: protocol.eof_received(), lambda protocol: protocol.shutdown()]
)
def test_what_was_received_is_answered_before_the_end(fake_loop: FakeLoop, end: Any) -> None:
    connection = Connection(Answering(), turn := shared_turn(), fake_loop)
    connection.protocol.data_received(REQUEST)
    end(connection.protocol)
    turn.run()
    assert b"at once: /a? 0 " in connection.transport.data


def test_frames_in_the_turn_of_the_handshake_reach_the_websocket(
    fake_loop: FakeLoop, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection, frames = Connection(Answering(), turn := shared_turn(), fake_loop), Frames()
    monkeypatch.setattr(
        port._Protocol, "handle_websocket_upgrade", lambda self: self.transport.set_protocol(frames)
    )
    connection.protocol.data_received(REQUEST)
    connection.protocol.data_received(REQUEST.replace(b"/a", b"/next"))  # two requests in one turn
    turn.run()
    turn.is_shared = True
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"
    connection.protocol.data_received(REQUEST.removesuffix(b"\r\n") + upgrade)
    connection.protocol.data_received(b"frame")
    turn.run()
    assert [path in connection.transport.data for path in (b"/a?", b"/next?")] == [True, True]
    assert frames.received == [b"frame"]


# How many functions in Python a request calls, at most. That is what it costs: each call takes some 0.5 µs, and what is
# in C next to nothing. Beside it, some 15 for each exchange that the journal makes later, and for what is forgotten.
MOST_CALLS = {"submission": 115, "status": 60, "result": 60, "first result": 85}


def test_a_request_calls_few_functions(fake_loop: FakeLoop) -> None:
    none: Any = None
    emulator = Emulator(Settings(queue_duration=0.0, run_duration=0.0, retention=50), SystemClock())
    app = App(emulator, none, none, none)
    app._host("queue.fal.run")  # the first request would be a task, which makes it
    connection = Connection(app, turn := port._Turn(), fake_loop)
    calls: dict[str, int] = {}
    head = b" HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Key ana:secret\r\n"

    def send(name: str, data: bytes) -> bytes:
        emulator.store.exchanges.settle(0)  # what is made later is not counted
        _ = emulator.store.ledger
        connection.transport.data = b""
        counted = 0

        def count(frame: Any, event: str, argument: Any) -> None:
            nonlocal counted
            counted += event == "call"

        sys.setprofile(count)
        try:
            connection.protocol.data_received(data)
            turn.run()
        finally:
            sys.setprofile(None)
        calls[name] = counted
        assert connection.transport.data.startswith(b"HTTP/1.1 20")
        return connection.transport.data.partition(b"\r\n\r\n")[2]

    for number in range(70):  # the last ones are the usual case: all that can be remembered is
        body = b'{"prompt":"number %d"}' % (100 + number)
        post = b"POST /queue.fal.run/fal-ai/flux/schnell" + head
        submitted = json.loads(send("submission", post + b"Content-Length: %d\r\n\r\n" % len(body) + body))
        get = b"GET /queue.fal.run/fal-ai/flux/requests/" + submitted["request_id"].encode()
        send("first status", get + b"/status" + head + b"\r\n")
        send("status", get + b"/status" + head + b"\r\n")
        send("first result", get + head + b"\r\n")
        send("second result", get + head + b"\r\n")  # builds the output
        send("result", get + head + b"\r\n")
    assert {name: calls[name] for name in MOST_CALLS if calls[name] > MOST_CALLS[name]} == {}
    assert min(calls.values()) > 30  # they were counted


SUBMIT = ("POST", "/queue.fal.run/fal-ai/flux/schnell", b'{"prompt":"a cat"}')


def test_both_ways_send_and_record_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """All operations of the queue, by path and by name, with errors, once at once and once as ASGI has it."""

    def transcript() -> list[Any]:
        with MockFal(clock="manual", port=0) as mock:
            seen: list[Any] = []
            number = mock.url.rpartition(":")[2]
            connection = http.client.HTTPConnection("127.0.0.1", int(number), timeout=PATIENCE_S)

            def call(method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
                key = {"Authorization": "Key ana:secret", "Content-Type": "application/json"}
                connection.request(method, path, body, {**key, **headers})
                response = connection.getresponse()
                data = response.read()
                shown = [item for item in response.getheaders() if item[0] != "date"]
                seen.append((response.status, shown, data.replace(number.encode(), b"PORT")))
                return data

            made = json.loads(call(*SUBMIT))
            url = "/queue.fal.run/fal-ai/flux/requests/" + made["request_id"]
            call("GET", f"{url}/status")
            call("GET", url)
            assert isinstance(mock.clock, ManualClock)
            mock.clock.advance(60)
            call("GET", f"{url}/status?logs=1")
            call("HEAD", f"{url}/status")
            result = json.loads(call("GET", url))
            call("PUT", f"{url}/cancel")
            picture = "/v3b.fal.media/" + result["images"][0]["url"].partition("/v3b.fal.media/")[2]
            for _ in range(2):  # the first time it is rendered
                call("GET", picture)
            tag = dict(seen[-1][1])["etag"]
            call("HEAD", picture)
            for header, value in (
                ("If-None-Match", tag),
                ("Range", "bytes=5-9"),
                ("Range", "bytes=99999999-"),
            ):
                call("GET", picture, b"", **{header: value})
            call("POST", picture)
            call("GET", f"{picture}x")
            call("POST", f"{url}/status")
            call("GET", "/queue.fal.run/fal-ai/flux/requests/none")
            call("GET", f"{url}/status", Authorization="Bearer x")
            call("POST", "/queue.fal.run/fal-ai/none", b"{}")
            call("POST", "/fal-ai/flux/schnell", b'{"prompt":"a dog"}', Host="queue.fal.run")
            call("POST", "/queue.fal.run/fal-ai/flux/schnell", b'{"prompt":"a","sync_mode":true}')
            connection.close()
            exchanges = [
                (item.status, item.path, item.tenant, item.request_head, item.response_head, item.operation)
                for item in mock.requests
            ]
            return [seen, [repr(item).replace(number, "PORT") for item in exchanges]]

    at_once = transcript()
    monkeypatch.setattr(App, "at_once", lambda *request: None)
    assert transcript() == at_once
