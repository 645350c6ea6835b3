"""Tests of the CONNECT proxy, with real sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trustme

from mock_fal.gateway import connect
from mock_fal.gateway.certificates import Authority
from mock_fal.gateway.connect import ConnectProxy, Event, decide, is_local
from mock_fal.gateway.environment import environment
from tests.gateway.servers import PATIENCE_S, Loop, connected, head_of, received, reset, tool, web

MEGABYTE = 1 << 20
Proxies = Callable[..., AbstractContextManager["Running"]]


class Running:
    """A proxy that runs, and what it told."""

    def __init__(self, loop: Loop, proxy: ConnectProxy, events: list[Event]) -> None:
        self.loop = loop
        self.proxy = proxy
        self.events = events

    def ask(self, request: bytes) -> socket.socket:
        return connected(self.proxy.port, request)

    def tunnel(self, port: int) -> socket.socket:
        """A connection to a port of this machine."""
        client = self.ask(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        assert head_of(client) == "HTTP/1.1 200 Connection established\r\n\r\n"
        return client

    def response(self, request: bytes) -> str:
        with self.ask(request) as client:
            return received(client).decode()


def _uvloop() -> asyncio.AbstractEventLoop:
    uvloop = pytest.importorskip("uvloop")
    new: asyncio.AbstractEventLoop = uvloop.new_event_loop()
    return new


@pytest.fixture(params=[asyncio.new_event_loop, _uvloop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[Loop]:
    loop = Loop(request.param)
    yield loop
    loop.close()


@pytest.fixture
def proxies(loop: Loop, tls_port: int) -> Proxies:
    @contextmanager
    def running(**options: Any) -> Iterator[Running]:
        events: list[Event] = []
        proxy = ConnectProxy(("127.0.0.1", tls_port), on_event=events.append, **options)
        loop.run(proxy.start())
        try:
            yield Running(loop, proxy, events)
        finally:
            loop.run(proxy.close())

    return running


@pytest.fixture
def proxy(proxies: Proxies) -> Iterator[Running]:
    with proxies() as running:
        yield running


@pytest.fixture
def env(
    proxy: Running, authority: Authority, tls_port: int, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment of a run, also set in this process."""
    variables, unset = environment(
        base={},
        proxy_url=f"http://127.0.0.1:{proxy.proxy.port}",
        tls_address=("127.0.0.1", tls_port),
        ca_file=authority.ca_file,
        bundle_file=authority.bundle_file,
        preload_file="unused",
        url="http://127.0.0.1:8325",
        key="mock:key",
    )
    for name in (*unset, "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return {"PATH": os.environ["PATH"], **variables}


# --- real clients, by nothing but their environment


def test_curl_reaches_us_under_fals_name(env: dict[str, str], proxy: Running) -> None:
    command = [tool("curl"), "--silent", "--show-error", "https://queue.fal.run/path?a=1"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=PATIENCE_S, check=True)
    assert json.loads(done.stdout)["target"] == "/path?a=1"
    assert proxy.events == [Event("fal", "queue.fal.run", 443)]


def test_httpx_reaches_us_under_fals_name(env: dict[str, str], proxy: Running) -> None:
    response = httpx.get("https://rest.alpha.fal.ai/path").json()
    assert (response["target"], response["headers"]["host"]) == ("/path", "rest.alpha.fal.ai")
    assert proxy.events == [Event("fal", "rest.alpha.fal.ai", 443)]


def test_urllib_reaches_us_under_fals_name(env: dict[str, str]) -> None:
    # urlopen keeps the first environment that it saw
    with urllib.request.build_opener().open("https://fal.run/path", timeout=PATIENCE_S) as response:
        assert json.load(response)["headers"]["host"] == "fal.run"


def test_a_refused_host_is_named_in_what_clients_raise(env: dict[str, str], proxy: Running) -> None:
    with pytest.raises(httpx.ProxyError, match="403 mock-fal does not emulate wma.fal.run"):
        httpx.get("https://wma.fal.run/path")
    with pytest.raises(urllib.error.URLError, match="403 mock-fal does not emulate wma.fal.run"):
        urllib.request.build_opener().open("https://wma.fal.run/path", timeout=PATIENCE_S)
    assert [event.kind for event in proxy.events] == ["refused", "refused"]


def test_twenty_megabytes_come_and_go_through_tls(env: dict[str, str]) -> None:
    body = os.urandom(20 * MEGABYTE)
    response = httpx.put("https://v3.fal.media/echo", content=body, timeout=PATIENCE_S)
    assert hashlib.sha256(response.content).digest() == hashlib.sha256(body).digest()


# --- decisions


@pytest.mark.parametrize(
    ("host", "port", "kind"),
    [
        ("queue.fal.run", 443, "fal"),
        ("Queue.FAL.run.", 443, "fal"),
        ("queue.fal.run", 8443, "refused"),
        ("wma.fal.run", 443, "refused"),
        ("fal.ai", 443, "fal"),
        ("auth.fal.ai", 443, "refused"),
        ("allowed.fal.ai", 443, "passed"),
        ("example.com", 443, "passed"),
        ("notfal.run", 443, "passed"),
    ],
)
def test_where_a_host_goes(host: str, port: int, kind: str) -> None:
    assert decide(host, port, allow_host={"allowed.fal.ai", "queue.fal.run"}).kind == kind


@pytest.mark.parametrize(
    ("host", "kind"),
    [("example.com", "refused"), ("allowed.com", "passed"), ("localhost", "passed"), ("fal.run", "fal")],
)
def test_where_a_host_goes_offline(host: str, kind: str) -> None:
    assert decide(host, 443, offline=True, allow_host={"allowed.com"}).kind == kind


@pytest.mark.parametrize(
    "name",
    ["localhost", "db", "my.localhost", "127.0.0.1", "::1", "10.0.0.1", "192.168.0.1", "::ffff:127.0.0.1"],
)
def test_names_that_are_local(name: str) -> None:
    assert is_local(name)


@pytest.mark.parametrize("name", ["example.com", "8.8.8.8", "134744072", "0x08080808", "2001:db8::1", ""])
def test_names_that_may_be_anywhere(name: str) -> None:
    assert not is_local(name)


def test_a_refusal_says_what_to_do(proxy: Running) -> None:
    response = proxy.response(b"CONNECT wma.fal.run:443 HTTP/1.1\r\nHost: wma.fal.run:443\r\n\r\n")
    assert response.startswith("HTTP/1.1 403 mock-fal does not emulate wma.fal.run\r\n")
    assert response.endswith("--allow-host wma.fal.run lets it reach the live service.\n")
    assert [(event.kind, event.host) for event in proxy.events] == [("refused", "wma.fal.run")]


def test_offline_another_host_is_refused_with_the_way_to_allow_it(proxies: Proxies) -> None:
    with proxies(offline=True) as proxy:
        response = proxy.response(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n")
        assert response.startswith("HTTP/1.1 403 mock-fal is offline and refuses example.com\r\n")
        assert "--allow-host example.com" in response


def test_fal_by_plain_http_is_refused(proxy: Running) -> None:
    response = proxy.response(b"GET http://queue.fal.run:443/path HTTP/1.1\r\nHost: queue.fal.run\r\n\r\n")
    assert response.startswith("HTTP/1.1 403 mock-fal answers queue.fal.run by https on port 443 only\r\n")


def test_a_refused_upload_still_reads_its_answer(proxy: Running) -> None:
    """To close on unread bytes would reset the connection, and the reason with it."""
    head = b"PUT http://fal.media/ HTTP/1.1\r\nContent-Length: 4194304\r\n\r\n"
    with proxy.ask(head) as client:
        client.sendall(bytes(4 * MEGABYTE))
        client.shutdown(socket.SHUT_WR)
        assert received(client).startswith(b"HTTP/1.1 403 ")


# --- tunnels


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(1 << 16):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Reads to the end, and answers then."""
    length = 0
    while chunk := await reader.read(1 << 16):
        length += len(chunk)
    writer.write(b"%d" % length)
    writer.write_eof()


async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while True:
        writer.write(bytes(1 << 16))
        await writer.drain()


@pytest.mark.parametrize("options", [{}, {"offline": True}], ids=["online", "offline"])
def test_a_local_server_is_reached_untouched(proxies: Proxies, loop: Loop, options: dict[str, bool]) -> None:
    with proxies(**options) as proxy, loop.serving(echo) as port, proxy.tunnel(port) as client:
        client.sendall(b"\x00\xffnot HTTP")
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b"\x00\xffnot HTTP"
        assert proxy.events == [Event("passed", "127.0.0.1", port)]


def test_what_follows_the_request_at_once_is_carried_too(proxy: Running, loop: Loop) -> None:
    with loop.serving(echo) as port:
        request = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nearly".encode()
        with proxy.ask(request) as client:
            client.shutdown(socket.SHUT_WR)
            assert received(client).endswith(b"\r\n\r\nearly")


def test_a_client_may_end_first_and_still_hear(proxy: Running, loop: Loop) -> None:
    with loop.serving(count) as port, proxy.tunnel(port) as client:
        client.sendall(b"12345")
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b"5"


def test_a_server_may_end_first_and_still_hear(proxy: Running, loop: Loop) -> None:
    heard = threading.Event()

    async def ends_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        assert await reader.read() == b"late"
        heard.set()

    with loop.serving(ends_first) as port, proxy.tunnel(port) as client:
        assert received(client) == b""
        client.sendall(b"late")
        client.shutdown(socket.SHUT_WR)
        assert heard.wait(PATIENCE_S)


def test_twenty_megabytes_go_both_ways_at_once(proxy: Running, loop: Loop) -> None:
    body = os.urandom(20 * MEGABYTE)

    def send() -> None:
        client.sendall(body)
        client.shutdown(socket.SHUT_WR)

    with loop.serving(echo) as port, proxy.tunnel(port) as client:
        sender = threading.Thread(target=send)
        sender.start()
        back = received(client)
        sender.join(PATIENCE_S)
    assert hashlib.sha256(back).digest() == hashlib.sha256(body).digest()


def test_a_large_answer_after_the_clients_end_arrives_whole(proxy: Running, loop: Loop) -> None:
    """The tunnel is over when both sides have ended, and nothing may be left in it."""

    async def answers_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(bytes(4 * MEGABYTE))
        writer.write_eof()

    with loop.serving(answers_late) as port, proxy.tunnel(port) as client:
        client.shutdown(socket.SHUT_WR)
        assert len(received(client)) == 4 * MEGABYTE


def test_a_client_that_hangs_up_is_forgotten(proxy: Running, loop: Loop) -> None:
    async def until_gone() -> None:
        while proxy.proxy._connections:
            await asyncio.wait(list(proxy.proxy._connections))

    with loop.serving(flood) as port:
        client = proxy.tunnel(port)
        client.recv(1)
        reset(client)
        loop.run(until_gone())


# --- plain http


def test_plain_http_is_forwarded_as_the_host_expects_it(proxy: Running, loop: Loop) -> None:
    with loop.serving(web) as port:
        response = proxy.response(
            f"POST http://user:pass@127.0.0.1:{port}/path?a=1#part HTTP/1.1\r\n".encode()
            + b"Host: elsewhere\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\n"
            + b"Connection: keep-alive\r\nX-Mine: 1\r\nContent-Length: 3\r\n\r\nabc"
        )
    head, _, body = response.partition("\r\n\r\n")
    told = json.loads(body)
    assert head.startswith("HTTP/1.1 200 OK")
    assert (told["method"], told["target"]) == ("POST", "/path?a=1")
    assert told["sha256"] == hashlib.sha256(b"abc").hexdigest()
    assert told["headers"] == {
        "host": f"127.0.0.1:{port}",
        "x-mine": "1",
        "content-length": "3",
        "connection": "close",
    }


def test_an_address_without_a_path_asks_for_the_root(proxy: Running, loop: Loop) -> None:
    with loop.serving(web) as port:
        assert '"target": "/"' in proxy.response(f"GET http://127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())


# --- what goes wrong


@pytest.mark.parametrize(
    ("request_head", "status"),
    [
        (b"nonsense\r\n\r\n", 400),
        (b"\r\n\r\n", 400),
        (b"CONNECT caf\xc3\xa9.fr:443 HTTP/1.1\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET https://fal.run/ HTTP/1.1\r\n\r\n", 400),
        (b"GET http:///path HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT queue.fal.run HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT queue.fal.run:99999 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT [::1:443 HTTP/1.1\r\n\r\n", 400),
        (b"CONNECT :443 HTTP/1.1\r\n\r\n", 400),
        (b"GET http://127.0.0.1/ HTTP/1.1\r\nX: " + b"x" * connect.MAX_HEAD_BYTES + b"\r\n\r\n", 431),
    ],
)
def test_a_malformed_request_is_answered(proxy: Running, request_head: bytes, status: int) -> None:
    assert proxy.response(request_head).startswith(f"HTTP/1.1 {status} ")
    assert proxy.events == []


def test_a_head_that_ends_in_the_middle_is_answered(proxy: Running) -> None:
    with proxy.ask(b"CONNECT que") as client:
        client.shutdown(socket.SHUT_WR)
        assert received(client).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_leaves_without_a_word_gets_none(proxy: Running) -> None:
    with proxy.ask(b"") as client:
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b""


def test_a_client_that_resets_in_the_middle_of_its_head_is_forgotten(proxy: Running) -> None:
    async def comes_and_goes() -> None:
        while not proxy.proxy._connections:
            await asyncio.sleep(0)
        reset(client)
        await asyncio.wait(list(proxy.proxy._connections))

    client = proxy.ask(b"CONNECT que")
    proxy.loop.run(comes_and_goes())
    assert proxy.proxy._connections == {}


def test_a_client_that_says_nothing_is_not_waited_for(proxies: Proxies) -> None:
    with proxies(head_wait_s=0.01) as proxy:
        assert proxy.response(b"CONNECT que").startswith("HTTP/1.1 408 no request within 0.01 seconds")


def test_a_host_that_cannot_be_reached_is_answered_with_the_reason(proxy: Running) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and not listening
        port = closed.getsockname()[1]
        response = proxy.response(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert response.startswith(f"HTTP/1.1 502 mock-fal could not reach 127.0.0.1:{port}\r\n")
    assert "refused" in response.lower() or "Connect call failed" in response


def test_a_name_that_is_none_is_answered(proxy: Running) -> None:
    label = "x" * 64  # longer than a name's part may be
    response = proxy.response(f"CONNECT {label}.example:443 HTTP/1.1\r\n\r\n".encode())
    assert response.startswith("HTTP/1.1 502 mock-fal could not reach x")


# --- by way of another proxy


@contextmanager
def other_proxy(
    loop: Loop, response: bytes, context: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[str]]]:
    """A proxy that answers every request alike, and sends back what comes then."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(response)
        writer.write(await reader.read(1 << 16))

    with loop.serving(serve, context) as port:
        yield port, heads


def test_an_allowed_host_is_reached_by_the_users_proxy(proxies: Proxies, loop: Loop) -> None:
    with other_proxy(loop, b"HTTP/1.1 200 OK\r\n\r\n") as (port, heads):
        url = f"http://me:p%40ss@127.0.0.1:{port}"
        with (
            proxies(offline=True, allow_host=["Example.com"], upstream=lambda host: url) as proxy,
            proxy.ask(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n") as client,
        ):
            assert head_of(client).startswith("HTTP/1.1 200 ")
            client.sendall(b"hello")
            assert received(client) == b"hello"
            assert proxy.events == [Event("passed", "example.com", 443)]
    assert heads == [
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n"
        "Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"
    ]


def test_the_users_proxy_may_speak_tls(
    proxies: Proxies, loop: Loop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    with (
        other_proxy(loop, b"HTTP/1.1 200 OK\r\n\r\n", context) as (port, heads),
        proxies(upstream=lambda host: f"https://127.0.0.1:{port}") as proxy,
        proxy.ask(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n\r\n") as client,
    ):
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert received(client).endswith(b"\r\n\r\nhello")
        assert heads == ["CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"]


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (b"HTTP/1.1 407 Who are you\r\n\r\n", "answered HTTP/1.1 407 Who are you"),
        (b"nonsense\r\n\r\n", "answered nonsense"),
    ],
)
def test_a_refusal_of_the_users_proxy_is_passed_on(
    proxies: Proxies, loop: Loop, words: bytes, reason: str
) -> None:
    with (
        other_proxy(loop, words) as (port, _),
        proxies(upstream=lambda host: f"http://127.0.0.1:{port}") as proxy,
    ):
        response = proxy.response(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n")
    assert response.startswith("HTTP/1.1 502 mock-fal could not reach example.com:443\r\n")
    assert reason in response


def test_an_address_of_a_proxy_that_is_none_is_answered(proxies: Proxies) -> None:
    with proxies(upstream=lambda host: "http://127.0.0.1:port") as proxy:
        assert proxy.response(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 502 ")


def test_a_proxy_that_says_nothing_is_not_waited_for(
    proxies: Proxies, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "UPSTREAM_WAIT_S", 0.2)
    with (
        loop.serving(count) as port,
        proxies(upstream=lambda host: f"http://127.0.0.1:{port}") as proxy,
    ):
        assert "no answer within 0.2 seconds" in proxy.response(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n")


# --- the end


def test_closing_during_a_transfer_cuts_it_and_leaves_nothing_running(proxies: Proxies, loop: Loop) -> None:
    async def all_are_served(proxy: ConnectProxy) -> None:
        while len(proxy._connections) < 3:
            await asyncio.sleep(0)

    with loop.serving(flood) as port:
        with proxies() as running:
            reading, stuck, silent = running.tunnel(port), running.tunnel(port), running.ask(b"")
            loop.run(all_are_served(running.proxy))
            assert reading.recv(1 << 16)
        with contextlib.suppress(ConnectionResetError):
            received(reading)
        for client in (reading, stuck, silent):
            client.close()
    assert loop.run(loop.tasks()) == set()


def test_closing_twice_or_before_the_start_is_nothing(loop: Loop) -> None:
    async def closed() -> None:
        proxy = ConnectProxy(("127.0.0.1", 1))
        await proxy.close()
        async with proxy:
            assert proxy.port
        await proxy.close()

    loop.run(closed())


def test_a_connection_at_the_very_last_moment_is_cut(loop: Loop) -> None:
    async def late() -> None:
        proxy = ConnectProxy(("127.0.0.1", 1))
        async with proxy:
            pass
        server = await asyncio.start_server(proxy._accept, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.transport.abort()
        server.close()
        await server.wait_closed()
        assert proxy._connections == {}

    loop.run(late())


def test_a_connection_whose_task_never_ran_is_closed_too(loop: Loop) -> None:
    async def cut() -> None:
        accepted = asyncio.Event()
        proxy = ConnectProxy(("127.0.0.1", 1))
        accept = proxy._accept

        def accept_and_tell(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accept(reader, writer)
            for task in proxy._connections:
                task.cancel()
            accepted.set()

        proxy._accept = accept_and_tell  # type: ignore[method-assign]
        await proxy.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await accepted.wait()
        await proxy.close()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.transport.abort()

    loop.run(cut())


@pytest.mark.skipif(sys.platform == "win32", reason="no port is privileged there")
def test_a_port_that_is_taken_is_an_error_at_the_start(proxy: Running, loop: Loop) -> None:
    with pytest.raises(OSError, match=r"(?i)address already in use"):
        loop.run(ConnectProxy(("127.0.0.1", 1), port=proxy.proxy.port).start())
