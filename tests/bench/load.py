"""A load generator: many connections, each of which sends the requests of its script one after the other.

`python -m tests.bench.load PORT SECONDS SCRIPT` prints the responses per second.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Generator
from typing import cast

import uvloop

CONNECTIONS = 32

# fal_client polls every 0.1 s, and with the default durations a request takes 1 s.
POLLS = 10

# Yields each request in bytes, and is sent the body of its response.
Script = Generator[bytes, bytes, None]

_HEADERS = b"Host: 127.0.0.1\r\nAuthorization: Key bench:mark\r\nUser-Agent: bench\r\nAccept: */*\r\n"


def get(path: str) -> bytes:
    return b"GET " + path.encode() + b" HTTP/1.1\r\n" + _HEADERS + b"\r\n"


def post(path: str, body: bytes) -> bytes:
    length = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return b"POST " + path.encode() + b" HTTP/1.1\r\n" + _HEADERS + length + body


def hello() -> Script:
    request = get("/")
    while True:
        yield request


def poll() -> Script:
    """Submit one request, then poll its status for ever."""
    path = _request_path((yield _submission("a cat")))
    request = get(f"{path}/status?logs=0")
    while True:
        yield request


def lifecycle() -> Script:
    """Submission, polls and result, in the proportions of fal's Python client. The server runs without delays."""
    number = 0
    while True:
        number += 1
        path = _request_path((yield _submission(f"number {number}")))
        for _ in range(POLLS):
            yield get(f"{path}/status?logs=0")
        yield get(path)


def _submission(prompt: str) -> bytes:
    return post(
        "/queue.fal.run/fal-ai/flux/schnell", json.dumps({"prompt": prompt, "num_images": 1}).encode()
    )


def _request_path(submitted: bytes) -> str:
    return f"/queue.fal.run/fal-ai/flux/requests/{json.loads(submitted)['request_id']}"


SCRIPTS: dict[str, Callable[[], Script]] = {"hello": hello, "poll": poll, "lifecycle": lifecycle}


class Client(asyncio.Protocol):
    """One connection. It counts responses; any other status than 2xx ends the measurement."""

    def __init__(self, script: Script) -> None:
        self.responses = 0
        self.error: str | None = None
        self._script = script
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's transport does not inherit from it
        self._transport.write(next(self._script))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, separator, body = self._buffer.partition(b"\r\n\r\n")
        if not separator:
            return
        start = head.lower().index(b"content-length:")
        length = int(head[start + 15 :].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = b""
        if head[9:10] != b"2":
            self.error = (head[:40] + body[:200]).decode()
            self._transport.close()
            return
        self.responses += 1
        self._transport.write(self._script.send(body))


async def measure(port: int, seconds: float, script: str) -> float:
    """Responses per second, after a warm-up of a fifth of the time."""
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(lambda: Client(SCRIPTS[script]()), "127.0.0.1", port)
        clients.append(client)
    await asyncio.sleep(seconds / 5)
    before, started = sum(client.responses for client in clients), loop.time()
    await asyncio.sleep(seconds)
    responses, elapsed = sum(client.responses for client in clients) - before, loop.time() - started
    errors = [client.error for client in clients if client.error]
    if errors:
        raise SystemExit(f"{script}: {errors[0]}")
    return responses / elapsed


if __name__ == "__main__":
    rate = uvloop.run(measure(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
    sys.stdout.write(f"{rate}\n")
