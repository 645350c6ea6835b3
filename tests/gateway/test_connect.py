"""The CONNECT proxy, with real sockets on loopback."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import os
import socket
import ssl
import subprocess
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
from mock_fal.gateway.connect import ConnectProxy, Event, decide, is_loopback
from mock_fal.gateway.environment import environment
from tests.gateway.servers import PATIENCE_S, Loop, connected, head_of, received, reset, tool, web

MEGABYTE = 1 << 20
PASSWORD = "0123456789abcdef"

Proxies = Callable[..., AbstractContextManager["Running"]]


class Running:
    """A running proxy and its events."""

    def __init__(self, loop: Loop, proxy: ConnectProxy, events: list[Event]) -> None:
        self.loop = loop
        self.proxy = proxy
        self.events = events

    def send(self, request: bytes) -> socket.socket:
        return connected(self.proxy.port, request)

    def tunnel(self, port: int) -> socket.socket:
        """A tunnel to a port of this machine."""
        client = self.send(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
        assert head_of(client) == "HTTP/1.1 200 Connection established\r\n\r\n"
        return client

    def response(self, request: bytes) -> str:
        with self.send(request) as client:
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
def proxy(proxies: Proxies, request: pytest.FixtureRequest) -> Iterator[Running]:
    """A proxy; for real clients one with a password, which they get from their environment."""
    with proxies(password=PASSWORD if "env" in request.fixturenames else "") as running:
        yield running


@pytest.fixture
def env(
    proxy: Running, authority: Authority, tls_port: int, monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The environment of `mock-fal run`, also set in this process."""
    variables, unset = environment(
        base={},
        proxy_url=f"http://run:{PASSWORD}@127.0.0.1:{proxy.proxy.port}",
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


# --- real clients, configured by the environment only


def test_curl_reaches_mock_fal_by_fals_name(env: dict[str, str], proxy: Running) -> None:
    command = [tool("curl"), "--silent", "--show-error", "https://queue.fal.run/path?a=1"]
    done = subprocess.run(command, env=env, capture_output=True, timeout=PATIENCE_S, check=True)
    assert json.loads(done.stdout)["target"] == "/path?a=1"
    assert proxy.events == [Event("fal", "queue.fal.run", 443)]


def test_httpx_reaches_mock_fal_by_fals_name(env: dict[str, str], proxy: Running) -> None:
    response = httpx.get("https://rest.alpha.fal.ai/path").json()
    assert (response["target"], response["headers"]["host"]) == ("/path", "rest.alpha.fal.ai")
    assert proxy.events == [Event("fal", "rest.alpha.fal.ai", 443)]


def test_urllib_reaches_mock_fal_by_fals_name(env: dict[str, str]) -> None:
    # urlopen caches the first environment that it reads
    with urllib.request.build_opener().open("https://fal.run/path", timeout=PATIENCE_S) as response:
        assert json.load(response)["headers"]["host"] == "fal.run"


def test_client_errors_name_a_blocked_host(env: dict[str, str], proxy: Running) -> None:
    with pytest.raises(httpx.ProxyError, match="403 mock-fal does not emulate wma.fal.run"):
        httpx.get("https://wma.fal.run/path")
    with pytest.raises(urllib.error.URLError, match="403 mock-fal does not emulate wma.fal.run"):
        urllib.request.build_opener().open("https://wma.fal.run/path", timeout=PATIENCE_S)
    assert [event.kind for event in proxy.events] == ["blocked", "blocked"]


def test_twenty_megabytes_pass_through_tls_in_both_directions(env: dict[str, str]) -> None:
    body = os.urandom(20 * MEGABYTE)
    response = httpx.put("https://v3.fal.media/echo", content=body, timeout=PATIENCE_S)
    assert hashlib.sha256(response.content).digest() == hashlib.sha256(body).digest()


# --- decisions


@pytest.mark.parametrize(
    ("host", "port", "kind"),
    [
        ("queue.fal.run", 443, "fal"),
        ("Queue.FAL.run.", 443, "fal"),
        ("queue.fal.run", 8443, "blocked"),
        ("wma.fal.run", 443, "blocked"),
        ("fal.ai", 443, "fal"),
        ("auth.fal.ai", 443, "blocked"),
        ("allowed.fal.ai", 443, "forwarded"),
        ("example.com", 443, "forwarded"),
        ("notfal.run", 443, "forwarded"),
    ],
)
def test_the_decision_about_a_host(host: str, port: int, kind: str) -> None:
    assert decide(host, port, allow_host={"allowed.fal.ai", "queue.fal.run"}).kind == kind


@pytest.mark.parametrize(
    ("host", "kind"),
    [
        ("example.com", "blocked"),
        ("allowed.com", "forwarded"),
        ("localhost", "forwarded"),
        ("fal.run", "fal"),
    ],
)
def test_the_decision_about_a_host_offline(host: str, kind: str) -> None:
    assert decide(host, 443, offline=True, allow_host={"allowed.com"}).kind == kind


@pytest.mark.parametrize(
    "name",
    ["localhost", "my.localhost", "127.0.0.1", "127.9.9.9", "::1", "0.0.0.0", "::", "::ffff:127.0.0.1"],
)
def test_names_of_this_machine(name: str) -> None:
    assert is_loopback(name)


@pytest.mark.parametrize(
    "name",
    [
        *("example.com", "8.8.8.8", "134744072", "0x08080808", "2001:db8::1", ""),
        *(
            "db",
            "printer.local",
            "metadata.google.internal",
            "169.254.169.254",
            "fe80::1",
            "10.0.0.1",
            "fd00::1",
        ),
    ],
)
def test_names_that_may_be_other_machines(name: str) -> None:
    assert not is_loopback(name)


def test_a_blocked_request_has_advice(proxy: Running) -> None:
    response = proxy.response(b"CONNECT wma.fal.run:443 HTTP/1.1\r\nHost: wma.fal.run:443\r\n\r\n")
    assert response.startswith("HTTP/1.1 403 mock-fal does not emulate wma.fal.run\r\n")
    assert response.endswith("--allow-host wma.fal.run forwards requests to the live service.\n")
    assert [(event.kind, event.host) for event in proxy.events] == [("blocked", "wma.fal.run")]


def test_offline_another_host_is_blocked_with_advice(proxies: Proxies) -> None:
    with proxies(offline=True) as proxy:
        response = proxy.response(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n")
        assert response.startswith("HTTP/1.1 403 mock-fal is offline and blocks example.com\r\n")
        assert "--allow-host example.com" in response


def test_fal_over_plain_http_is_blocked(proxy: Running) -> None:
    response = proxy.response(b"GET http://queue.fal.run:443/path HTTP/1.1\r\nHost: queue.fal.run\r\n\r\n")
    assert response.startswith("HTTP/1.1 403 mock-fal serves queue.fal.run over https on port 443 only\r\n")


def test_a_blocked_upload_receives_its_response(proxy: Running) -> None:
    """Closing with unread bytes would reset the connection and discard the response."""
    head = b"PUT http://fal.media/ HTTP/1.1\r\nContent-Length: 4194304\r\n\r\n"
    with proxy.send(head) as client:
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
    """Read to the end, then respond."""
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
def test_connections_to_a_local_server_are_forwarded_unchanged(
    proxies: Proxies, loop: Loop, options: dict[str, bool]
) -> None:
    with proxies(**options) as proxy, loop.serving(echo) as port, proxy.tunnel(port) as client:
        client.sendall(b"\x00\xffnot HTTP")
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b"\x00\xffnot HTTP"
        assert proxy.events == [Event("forwarded", "127.0.0.1", port)]


def test_bytes_sent_with_the_connect_request_are_forwarded(proxy: Running, loop: Loop) -> None:
    with loop.serving(echo) as port:
        request = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\nearly".encode()
        with proxy.send(request) as client:
            client.shutdown(socket.SHUT_WR)
            assert received(client).endswith(b"\r\n\r\nearly")


def test_a_client_that_closes_first_still_receives(proxy: Running, loop: Loop) -> None:
    with loop.serving(count) as port, proxy.tunnel(port) as client:
        client.sendall(b"12345")
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b"5"


def test_a_server_that_closes_first_still_receives(proxy: Running, loop: Loop) -> None:
    closed = threading.Event()

    async def closes_first(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write_eof()
        assert await reader.read() == b"late"
        closed.set()

    with loop.serving(closes_first) as port, proxy.tunnel(port) as client:
        assert received(client) == b""
        client.sendall(b"late")
        client.shutdown(socket.SHUT_WR)
        assert closed.wait(PATIENCE_S)


def test_twenty_megabytes_go_in_both_directions_at_once(proxy: Running, loop: Loop) -> None:
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


def test_a_large_response_after_the_client_closed_is_complete(proxy: Running, loop: Loop) -> None:
    """The tunnel ends when both sides have closed, and no byte is lost."""

    async def responds_late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.write(bytes(4 * MEGABYTE))
        writer.write_eof()

    with loop.serving(responds_late) as port, proxy.tunnel(port) as client:
        client.shutdown(socket.SHUT_WR)
        assert len(received(client)) == 4 * MEGABYTE


def test_a_client_that_disconnects_leaves_no_task(proxy: Running, loop: Loop) -> None:
    async def until_disconnected() -> None:
        while proxy.proxy._connections:
            await asyncio.wait(list(proxy.proxy._connections))

    with loop.serving(flood) as port:
        client = proxy.tunnel(port)
        client.recv(1)
        reset(client)
        loop.run(until_disconnected())


# --- plain http


def test_plain_http_is_forwarded_in_origin_form(proxy: Running, loop: Loop) -> None:
    with loop.serving(web) as port:
        response = proxy.response(
            f"POST http://user:pass@127.0.0.1:{port}/path?a=1#part HTTP/1.1\r\n".encode()
            + b"Host: elsewhere\r\nProxy-Authorization: Basic x\r\nProxy-Connection: keep-alive\r\n"
            + b"Connection: keep-alive\r\nX-Mine: 1\r\nContent-Length: 3\r\n\r\nabc"
        )
    head, _, body = response.partition("\r\n\r\n")
    description = json.loads(body)
    assert head.startswith("HTTP/1.1 200 OK")
    assert (description["method"], description["target"]) == ("POST", "/path?a=1")
    assert description["sha256"] == hashlib.sha256(b"abc").hexdigest()
    assert description["headers"] == {
        "host": f"127.0.0.1:{port}",
        "x-mine": "1",
        "content-length": "3",
        "connection": "close",
    }


def test_a_url_without_a_path_requests_the_root(proxy: Running, loop: Loop) -> None:
    with loop.serving(web) as port:
        assert '"target": "/"' in proxy.response(f"GET http://127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())


# --- errors


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
def test_a_malformed_request_gets_an_error_response(proxy: Running, request_head: bytes, status: int) -> None:
    assert proxy.response(request_head).startswith(f"HTTP/1.1 {status} ")
    assert proxy.events == []


def test_an_incomplete_head_gets_an_error_response(proxy: Running) -> None:
    with proxy.send(b"CONNECT que") as client:
        client.shutdown(socket.SHUT_WR)
        assert received(client).startswith(b"HTTP/1.1 400 ")


def test_a_client_that_sends_nothing_gets_no_response(proxy: Running) -> None:
    with proxy.send(b"") as client:
        client.shutdown(socket.SHUT_WR)
        assert received(client) == b""


def test_a_client_that_resets_during_its_head_leaves_no_task(proxy: Running) -> None:
    async def connects_and_resets() -> None:
        while not proxy.proxy._connections:
            await asyncio.sleep(0)
        reset(client)
        await asyncio.wait(list(proxy.proxy._connections))

    client = proxy.send(b"CONNECT que")
    proxy.loop.run(connects_and_resets())
    assert proxy.proxy._connections == {}


def test_an_idle_client_times_out(proxies: Proxies) -> None:
    with proxies(head_timeout_s=0.01) as proxy:
        assert proxy.response(b"CONNECT que").startswith("HTTP/1.1 408 no request within 0.01 seconds")


def test_the_response_has_the_reason_if_a_host_cannot_be_reached(proxy: Running) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, and not listening
        port = closed.getsockname()[1]
        response = proxy.response(f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\n\r\n".encode())
    assert response.startswith(f"HTTP/1.1 502 mock-fal could not reach 127.0.0.1:{port}\r\n")
    assert "refused" in response.lower() or "Connect call failed" in response


def test_an_invalid_host_name_gets_an_error_response(proxy: Running) -> None:
    label = "x" * 64  # longer than the maximum length of a label
    response = proxy.response(f"CONNECT {label}.example:443 HTTP/1.1\r\n\r\n".encode())
    assert response.startswith("HTTP/1.1 502 mock-fal could not reach x")


# --- through another proxy


@contextmanager
def other_proxy(
    loop: Loop, response: bytes, context: ssl.SSLContext | None = None
) -> Iterator[tuple[int, list[str]]]:
    """A proxy with a fixed response, which echoes all following bytes."""
    heads: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heads.append((await reader.readuntil(b"\r\n\r\n")).decode())
        writer.write(response)
        writer.write(await reader.read(1 << 16))

    with loop.serving(serve, context) as port:
        yield port, heads


def test_a_forwarded_host_is_reached_through_the_users_proxy(proxies: Proxies, loop: Loop) -> None:
    with other_proxy(loop, b"HTTP/1.1 200 OK\r\n\r\n") as (port, heads):
        url = f"http://me:p%40ss@127.0.0.1:{port}"
        with (
            proxies(offline=True, allow_host=["Example.com"], upstream=lambda host: url) as proxy,
            proxy.send(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n") as client,
        ):
            assert head_of(client).startswith("HTTP/1.1 200 ")
            client.sendall(b"hello")
            assert received(client) == b"hello"
            assert proxy.events == [Event("forwarded", "example.com", 443)]
    assert heads == [
        "CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n"
        "Proxy-Authorization: Basic bWU6cEBzcw==\r\n\r\n"
    ]


def test_the_users_proxy_may_use_tls(
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
        proxy.send(b"CONNECT [2001:db8::1]:443 HTTP/1.1\r\n\r\n") as client,
    ):
        client.sendall(b"hello")
        client.shutdown(socket.SHUT_WR)
        assert received(client).endswith(b"\r\n\r\nhello")
        assert heads == ["CONNECT [2001:db8::1]:443 HTTP/1.1\r\nHost: [2001:db8::1]:443\r\n\r\n"]


@pytest.mark.parametrize(
    ("proxy_response", "reason"),
    [
        (b"HTTP/1.1 407 Who are you\r\n\r\n", "responded HTTP/1.1 407 Who are you"),
        (b"nonsense\r\n\r\n", "responded nonsense"),
    ],
)
def test_an_error_of_the_users_proxy_is_reported(
    proxies: Proxies, loop: Loop, proxy_response: bytes, reason: str
) -> None:
    with (
        other_proxy(loop, proxy_response) as (port, _),
        proxies(upstream=lambda host: f"http://127.0.0.1:{port}") as proxy,
    ):
        response = proxy.response(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n")
    assert response.startswith("HTTP/1.1 502 mock-fal could not reach example.com:443\r\n")
    assert reason in response


def test_an_invalid_proxy_url_gets_an_error_response(proxies: Proxies) -> None:
    with proxies(upstream=lambda host: "http://127.0.0.1:port") as proxy:
        assert proxy.response(b"CONNECT example.com:443 HTTP/1.1\r\n\r\n").startswith("HTTP/1.1 502 ")


def test_a_proxy_that_does_not_respond_times_out(
    proxies: Proxies, loop: Loop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connect, "UPSTREAM_TIMEOUT_S", 0.2)
    with (
        loop.serving(count) as port,
        proxies(upstream=lambda host: f"http://127.0.0.1:{port}") as proxy,
    ):
        assert "no connection within 0.2 seconds" in proxy.response(
            b"CONNECT example.com:443 HTTP/1.1\r\n\r\n"
        )


# --- closing


def test_closing_during_a_transfer_aborts_it_and_leaves_no_task(proxies: Proxies, loop: Loop) -> None:
    async def all_are_served(proxy: ConnectProxy) -> None:
        while len(proxy._connections) < 3:
            await asyncio.sleep(0)

    with loop.serving(flood) as port:
        with proxies() as running:
            reading, stuck, silent = running.tunnel(port), running.tunnel(port), running.send(b"")
            loop.run(all_are_served(running.proxy))
            assert reading.recv(1 << 16)
        with contextlib.suppress(ConnectionResetError):
            received(reading)
        for client in (reading, stuck, silent):
            client.close()
    assert loop.run(loop.tasks()) == set()


def test_closing_twice_or_before_the_start_does_nothing(loop: Loop) -> None:
    async def closed() -> None:
        proxy = ConnectProxy(("127.0.0.1", 1))
        await proxy.close()
        async with proxy:
            assert proxy.port
        await proxy.close()

    loop.run(closed())


def test_a_connection_accepted_during_close_is_aborted(loop: Loop) -> None:
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


def test_a_connection_whose_task_never_ran_is_closed(loop: Loop) -> None:
    async def cut() -> None:
        accepted = asyncio.Event()
        proxy = ConnectProxy(("127.0.0.1", 1))
        accept = proxy._accept

        def accept_and_notify(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            accept(reader, writer)
            for task in proxy._connections:
                task.cancel()
            accepted.set()

        proxy._accept = accept_and_notify  # type: ignore[method-assign]
        await proxy.start()
        reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
        await accepted.wait()
        await proxy.close()
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.transport.abort()

    loop.run(cut())
