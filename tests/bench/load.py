"""A load generator: many connections, each going through its script one question at a time.

`python -m tests.bench.load PORT SECONDS SCRIPT` prints the answers per second.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Generator
from typing import cast

import uvloop

CONNECTIONS = 32

# fal_client looks every 0.1 s, and with our defaults a request takes 1 s.
POLLS = 10

# Yields a question in bytes, is sent the body of its answer.
Script = Generator[bytes, bytes, None]

_HEAD = b"Host: 127.0.0.1\r\nAuthorization: Key bench:mark\r\nUser-Agent: bench\r\nAccept: */*\r\n"


def get(path: str) -> bytes:
    return b"GET " + path.encode() + b" HTTP/1.1\r\n" + _HEAD + b"\r\n"


def post(path: str, body: bytes) -> bytes:
    length = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body)
    return b"POST " + path.encode() + b" HTTP/1.1\r\n" + _HEAD + length + body


def hello() -> Script:
    question = get("/")
    while True:
        yield question


def poll() -> Script:
    """One request, and then its status again and again, as every client does."""
    path = _path((yield _submission("a cat")))
    question = get(f"{path}/status?logs=0")
    while True:
        yield question


def lifecycle() -> Script:
    """Submit, polls, result, in the mix of fal's Python client; the server is started without delays: nobody waits."""
    number = 0
    while True:
        number += 1
        path = _path((yield _submission(f"number {number}")))
        for _ in range(POLLS):
            yield get(f"{path}/status?logs=0")
        yield get(path)


def _submission(prompt: str) -> bytes:
    return post(
        "/queue.fal.run/fal-ai/flux/schnell", json.dumps({"prompt": prompt, "num_images": 1}).encode()
    )


def _path(submitted: bytes) -> str:
    return f"/queue.fal.run/fal-ai/flux/requests/{json.loads(submitted)['request_id']}"


SCRIPTS: dict[str, Callable[[], Script]] = {"hello": hello, "poll": poll, "lifecycle": lifecycle}


class Client(asyncio.Protocol):
    """One connection. Answers are counted; anything but a success ends the measurement."""

    def __init__(self, script: Script) -> None:
        self.answers = 0
        self.error: str | None = None
        self._script = script
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one in all but name
        self._transport.write(next(self._script))

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        at = head.lower().index(b"content-length:")
        length = int(head[at + 15 :].partition(b"\r\n")[0])
        if len(body) < length:
            return
        self._buffer = b""
        if head[9:10] != b"2":
            self.error = (head[:40] + body[:200]).decode()
            self._transport.close()
            return
        self.answers += 1
        self._transport.write(self._script.send(body))


async def measure(port: int, seconds: float, script: str) -> float:
    """Answers per second, after a warm-up of a fifth of the time."""
    loop = asyncio.get_running_loop()
    clients = []
    for _ in range(CONNECTIONS):
        _, client = await loop.create_connection(lambda: Client(SCRIPTS[script]()), "127.0.0.1", port)
        clients.append(client)
    await asyncio.sleep(seconds / 5)
    before, began = sum(client.answers for client in clients), loop.time()
    await asyncio.sleep(seconds)
    answers, took = sum(client.answers for client in clients) - before, loop.time() - began
    errors = [client.error for client in clients if client.error]
    if errors:
        raise SystemExit(f"{script}: {errors[0]}")
    return answers / took


if __name__ == "__main__":
    rate = uvloop.run(measure(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3]))
    sys.stdout.write(f"{rate}\n")
