"""Forwarded requests: proxy, roots from the environment, and bodies of every kind of length."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator

import pytest

from mock_fal.gateway.certificates import Authority
from mock_fal.gateway.connect import ConnectProxy
from mock_fal.gateway.forward import Forwarder
from tests.gateway.servers import Handler, Loop, web

URL = "https://queue.fal.run/fal-ai/flux?logs=1"
HEADERS = [(b"content-type", b"application/json"), (b"authorization", b"Key a:b")]


def responding(*parts: bytes) -> Handler:
    """A server that sends these bytes for any request."""

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()

    return respond


class Client:
    """A forwarder that reaches a test server through a proxy."""

    def __init__(self, loop: Loop, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop, self._authority = loop, authority
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle_file))

    def send(
        self, handler: Handler, method: str = "GET", body: bytes | AsyncIterator[bytes] = b"", **more: bytes
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        headers = HEADERS + [(name.replace("_", "-").encode(), value) for name, value in more.items()]

        async def forward(port: int) -> tuple[int, dict[bytes, bytes], bytes]:
            proxy = ConnectProxy(("127.0.0.1", port))
            await proxy.start()
            try:
                forwarder = Forwarder({"HTTPS_PROXY": f"http://127.0.0.1:{proxy.port}"})
                response = await forwarder.forward(method, URL, headers, body)
                return (
                    response.status,
                    dict(response.headers),
                    b"".join([piece async for piece in response.body]),
                )
            finally:
                await proxy.close()

        with self._loop.serving(handler, self._authority.server_context()) as port:
            return self._loop.run(forward(port))


@pytest.fixture
def client(loop: Loop, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Client:
    return Client(loop, authority, monkeypatch)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_a_request_is_forwarded_unchanged(client: Client) -> None:
    status, _, body = client.send(web, "POST", b'{"a":1}')
    description = json.loads(body)
    assert (status, description["method"], description["target"]) == (200, "POST", "/fal-ai/flux?logs=1")
    assert description["headers"] == {
        "host": "queue.fal.run",
        "connection": "close",
        "content-length": "7",
        "content-type": "application/json",
        "authorization": "Key a:b",
    }
    assert description["sha256"] == hashlib.sha256(b'{"a":1}').hexdigest()


def test_a_request_without_a_body_has_no_length(client: Client) -> None:
    assert "content-length" not in json.loads(client.send(web)[2])["headers"]


def test_a_streamed_body_keeps_its_content_length(client: Client) -> None:
    description = json.loads(client.send(web, "PUT", pieces(b"a c", b"at"), content_length=b"5")[2])
    assert description["sha256"] == hashlib.sha256(b"a cat").hexdigest()


def test_a_body_of_unknown_length_is_sent_in_chunks(client: Client) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        chunks = await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(chunks) + chunks)

    assert client.send(echo, "PUT", pieces(b"a c", b"at"))[2] == b"3\r\na c\r\n2\r\nat\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "response_bytes",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\na cat",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na c\r\n2\r\nat\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\na cat",
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\na cat",
    ],
)
def test_a_response_ends_as_its_framing_says(client: Client, response_bytes: bytes) -> None:
    status, headers, body = client.send(responding(response_bytes))
    assert (status, body, b"link" in headers) == (200, b"a cat", False)


def test_a_response_to_head_has_no_body(client: Client) -> None:
    status, headers, body = client.send(responding(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"), "HEAD")
    assert (status, headers[b"content-length"], body) == (200, b"5", b"")


@pytest.mark.parametrize(
    ("response_bytes", "message"),
    [
        (b"", "closed without a response"),
        (b"SSH-2.0\r\n\r\n", "not an HTTP response"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na cat", "the response is incomplete"),
    ],
)
def test_an_invalid_response_is_an_error(client: Client, response_bytes: bytes, message: str) -> None:
    with pytest.raises(ConnectionError, match=message):
        client.send(responding(response_bytes))


def test_an_untrusted_certificate_is_rejected(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OSError, match="certificate verify failed"):
        client.send(web)


def test_a_proxy_that_disconnects_is_an_error(loop: Loop) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    with loop.serving(mute) as port, pytest.raises(ConnectionError, match="can't connect through the proxy"):
        forwarder = Forwarder({"https_proxy": f"http://127.0.0.1:{port}"})
        loop.run(forwarder.forward("GET", URL, [], b""))
