from __future__ import annotations

import asyncio

import pytest

from mock_fal.gateway.post import RESPONSE_BYTES, Target, post
from tests.gateway.servers import Handler, Loop


def status_of(loop: Loop, response: bytes, *, hold: bool = False) -> int:
    """The status that `post` returns; with `hold`, the receiver keeps the connection open."""
    over = asyncio.Event()

    async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\nbody")
        writer.write(response)
        await writer.drain()
        if hold:
            await over.wait()

    return sent_to(loop, respond)


def sent_to(loop: Loop, handler: Handler) -> int:
    with loop.serving(handler) as port:
        target = Target.parse(f"http://127.0.0.1:{port}/hook")
        return loop.run(post(target, ["127.0.0.1"], [("content-length", "4")], b"body"))


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1/", Target(False, "127.0.0.1", 80, "127.0.0.1", "/")),
        ("https://app.test", Target(True, "app.test", 443, "app.test", "/")),
        ("http://[::1]:3000/a?b=c&d", Target(False, "::1", 3000, "[::1]:3000", "/a?b=c&d")),
        ("HTTP://Bücher.test/ä ö?x=%20#part", Target(False, "xn--bcher-kva.test", 80, "xn--bcher-kva.test",
                                                     "/%C3%A4%20%C3%B6?x=%20")),
        ("http://me:p%40ss@h:1/", Target(False, "h", 1, "h:1", "/", "Basic bWU6cEBzcw==")),
        ("http://h/a\r\nx: y", Target(False, "h", 80, "h", "/ax:%20y")),
    ],
)  # fmt: skip
def test_a_url_is_parsed(url: str, target: Target) -> None:
    assert Target.parse(url) == target


@pytest.mark.parametrize(
    "url", ["", "/hook", "ftp://h/", "http://", "http://h:x/", "http://[::1", "http://a..b/"]
)
def test_an_invalid_url_is_rejected(url: str) -> None:
    with pytest.raises(ValueError):
        Target.parse(url)


@pytest.mark.parametrize(
    "response",
    [
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 202 Accepted\r\n\r\n" + b"x" * (2 * RESPONSE_BYTES),
        b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nno length",
    ],
    ids=["length", "chunked", "keep-alive", "interim", "endless", "broken body"],
)
def test_the_status_is_returned_while_the_connection_stays_open(loop: Loop, response: bytes) -> None:
    assert status_of(loop, response, hold=True) == 202


@pytest.mark.parametrize("response", [b"HTTP/1.1 202 Accepted\r\n\r\nthanks", b"HTTP/1.0 202 Yes\r\n\r\n"])
def test_a_response_may_end_with_the_connection(loop: Loop, response: bytes) -> None:
    assert status_of(loop, response) == 202


@pytest.mark.parametrize(
    ("response", "message"),
    [
        (b"", "closed the connection"),
        (b"HTTP/1.1 2", "closed the connection"),
        (b"HTTP/1.1 100 Continue\r\n\r\n", "closed the connection"),
        (b"SSH-2.0-OpenSSH\r\n", "not an HTTP response: "),
    ],
)
def test_an_invalid_response_is_an_error(loop: Loop, response: bytes, message: str) -> None:
    with pytest.raises(ConnectionError, match=message):
        status_of(loop, response)


def test_a_reset_after_the_status_is_ignored(loop: Loop) -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\nbody")
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nhalf")
        await writer.drain()
        writer.transport.abort()

    assert sent_to(loop, reset) == 202
