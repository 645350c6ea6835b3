"""Peers for the gateway's tests: an event loop in a thread, and small servers that live in it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
import socket
import ssl
import struct
import threading
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import TypeVar

import pytest

T = TypeVar("T")
Handler = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]

# A timeout, so that a test that hangs fails.
PATIENCE_S = 60.0


class Loop:
    """An event loop in a separate thread, like that of the server."""

    def __init__(self, new: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop) -> None:
        self.loop = new()
        self._thread = threading.Thread(target=self.loop.run_forever)
        self._thread.start()

    def run(self, coroutine: Coroutine[object, object, T]) -> T:
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(PATIENCE_S)

    async def tasks(self) -> set[asyncio.Task[object]]:
        """All tasks of the loop except this one."""
        return asyncio.all_tasks() - {asyncio.current_task()}

    async def _turns(self) -> None:
        """Let the loop read the last data of peers, such as the alert of a rejected certificate."""
        for _ in range(10):
            await asyncio.sleep(0)

    def close(self) -> None:
        self.run(self._turns())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_S)
        self.loop.close()

    @contextmanager
    def serving(self, handler: Handler, context: ssl.SSLContext | None = None) -> Iterator[int]:
        """Run a server on loopback that passes each connection to `handler`; yields its port."""
        tasks: set[asyncio.Task[None]] = set()

        async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            tasks.add(task)
            try:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await handler(reader, writer)
                    await ended(writer)
            finally:
                writer.transport.abort()
                with suppress(OSError):
                    await asyncio.shield(writer.wait_closed())
                tasks.discard(task)

        async def start() -> asyncio.Server:
            return await asyncio.start_server(guarded, "127.0.0.1", 0, ssl=context)

        async def stop() -> None:
            server.close()
            for task in list(tasks):
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.wait_closed()

        server = self.run(start())
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            self.run(stop())


async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A small web server: responds with a description of the request, or with the body at /echo."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    line, *fields = head.strip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    method, target, _ = line.split(" ")
    description = {
        "method": method,
        "target": target,
        "headers": headers,
        "sha256": hashlib.sha256(body).hexdigest(),
    }
    response = body if target == "/echo" else json.dumps(description).encode()
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n" % len(response))
    writer.write(response)


async def ended(writer: asyncio.StreamWriter) -> None:
    """Return when all written data has been sent."""
    writer.close()
    await asyncio.shield(writer.wait_closed())


def connected(port: int, sent: bytes = b"") -> socket.socket:
    client = socket.create_connection(("127.0.0.1", port), PATIENCE_S)
    client.sendall(sent)
    return client


def reset(client: socket.socket) -> None:
    """Close a connection with a TCP reset."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def received(client: socket.socket) -> bytes:
    """All data until the other side closes."""
    chunks = []
    while chunk := client.recv(1 << 16):
        chunks.append(chunk)
    return b"".join(chunks)


def head_of(client: socket.socket) -> str:
    """The head of a response, read to its last byte."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = client.recv(1)
        assert byte, head
        head += byte
    return head.decode()


def tool(name: str) -> str:
    """The path of a program. If it is not installed, the test is skipped, or fails in CI."""
    path = shutil.which(name)
    if path is None and "CI" not in os.environ:
        pytest.skip(f"{name} is not installed")
    assert path is not None, f"{name} is not installed"
    return path
