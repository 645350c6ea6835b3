"""Questions to the live service: by a proxy, with roots from the environment, and with bodies of every length."""

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


def spoken(*parts: bytes) -> Handler:
    """A server that says this, whatever it is asked."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        for part in parts:
            writer.write(part)
            await writer.drain()

    return speak


class Way:
    """A forwarder that finds a server of the test's own behind a proxy."""

    def __init__(self, loop: Loop, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
        self._loop, self._authority = loop, authority
        monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle_file))

    def ask(
        self, handler: Handler, method: str = "GET", body: bytes | AsyncIterator[bytes] = b"", **more: bytes
    ) -> tuple[int, dict[bytes, bytes], bytes]:
        headers = HEADERS + [(name.replace("_", "-").encode(), value) for name, value in more.items()]

        async def asking(port: int) -> tuple[int, dict[bytes, bytes], bytes]:
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
            return self._loop.run(asking(port))


@pytest.fixture
def way(loop: Loop, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> Way:
    return Way(loop, authority, monkeypatch)


async def pieces(*parts: bytes) -> AsyncIterator[bytes]:
    for part in parts:
        yield part


def test_a_question_comes_as_it_is(way: Way) -> None:
    status, _, body = way.ask(web, "POST", b'{"a":1}')
    told = json.loads(body)
    assert (status, told["method"], told["target"]) == (200, "POST", "/fal-ai/flux?logs=1")
    assert told["headers"] == {
        "host": "queue.fal.run",
        "connection": "close",
        "content-length": "7",
        "content-type": "application/json",
        "authorization": "Key a:b",
    }
    assert told["sha256"] == hashlib.sha256(b'{"a":1}').hexdigest()


def test_nothing_is_said_of_a_body_that_there_is_not(way: Way) -> None:
    assert "content-length" not in json.loads(way.ask(web)[2])["headers"]


def test_a_body_in_pieces_has_the_length_that_it_was_said_to_have(way: Way) -> None:
    told = json.loads(way.ask(web, "PUT", pieces(b"a c", b"at"), content_length=b"5")[2])
    assert told["sha256"] == hashlib.sha256(b"a cat").hexdigest()


def test_a_body_of_unknown_length_goes_in_chunks(way: Way) -> None:
    async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"transfer-encoding: chunked" in head
        chunks = await reader.readuntil(b"0\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(chunks) + chunks)

    assert way.ask(echo, "PUT", pieces(b"a c", b"at"))[2] == b"3\r\na c\r\n2\r\nat\r\n0\r\n\r\n"


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\na cat",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\na c\r\n2\r\nat\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\na cat",
        b"HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\n\r\na cat",
    ],
)
def test_an_answer_ends_where_it_says(way: Way, said: bytes) -> None:
    status, headers, body = way.ask(spoken(said))
    assert (status, body, b"link" in headers) == (200, b"a cat", False)


def test_a_head_alone_has_no_body(way: Way) -> None:
    status, headers, body = way.ask(spoken(b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n"), "HEAD")
    assert (status, headers[b"content-length"], body) == (200, b"5", b"")


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "closed without an answer"),
        (b"SSH-2.0\r\n\r\n", "no answer in HTTP"),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\na cat", "ended in the middle"),
    ],
)
def test_what_is_no_answer_is_an_error(way: Way, said: bytes, words: str) -> None:
    with pytest.raises(ConnectionError, match=words):
        way.ask(spoken(said))


def test_a_foreign_certificate_is_refused(way: Way, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OSError, match="certificate verify failed"):
        way.ask(web)


def test_a_proxy_that_hangs_up_is_an_error(loop: Loop) -> None:
    async def mute(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    with loop.serving(mute) as port, pytest.raises(ConnectionError, match="no way through the proxy"):
        forwarder = Forwarder({"https_proxy": f"http://127.0.0.1:{port}"})
        loop.run(forwarder.forward("GET", URL, [], b""))
