"""Requests that an application answers at once, without a task, on real sockets."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.server import ServerState

from mock_fal import ManualClock, MockFal, port
from mock_fal.port import MAX_WHOLE_BYTES, event_loop
from mock_fal.web.app import App
from mock_fal.web.wire import Reply
from tests.gateway.servers import PATIENCE_S, Loop
from tests.test_port import OpenPort

HEAD = b"Host: localhost\r\n"


class Answering:
    """Answers at once, except paths that begin with `/task`. The body says how, and what was read."""

    def at_once(self, scope: Scope, method: str, path: str, query: str, body: bytes) -> Reply | None:
        if path.startswith("/task"):
            return None
        return self._reply("at once", path, query.encode(), body)

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
    """Keeps what is written."""

    closed = False

    def write(self, data: Any) -> None:
        pass

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed


def test_a_connection_is_closed_when_it_was_idle_for_long_enough() -> None:
    loop, transport = FakeLoop(), Transport()
    config = port._config(Answering())
    config.load()
    protocol = port._Protocol(config=config, server_state=ServerState(), app_state={}, _loop=loop)
    protocol.connection_made(transport)
    for loop.now in (0.0, 50.0, 100.0):
        protocol.data_received(b"GET /a HTTP/1.1\r\n" + HEAD + b"\r\n")
    [(due, close)] = loop.timers  # one for all answers
    loop.now = due
    close()
    assert not transport.is_closing()
    (_, _), (due, close) = loop.timers
    assert due == 100 + port.KEEP_ALIVE_S
    protocol.data_received(b"GET /a HT")  # a request begins
    loop.now = due
    close()
    assert not transport.is_closing()
    protocol.data_received(b"TP/1.1\r\n" + HEAD + b"\r\n")
    due, close = loop.timers[-1]
    loop.now = due
    close()
    assert transport.is_closing()
    loop.close()


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
