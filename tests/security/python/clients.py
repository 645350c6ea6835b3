"""python clients.py CLIENT [URL]: requests a URL of fal with a client that ignores proxies, and prints the outcome."""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import certifi

HTTPS = 443


def request(url: str) -> bytes:
    host = urlsplit(url).hostname
    return f"GET /x HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode()


def target(url: str) -> tuple[str, int]:
    parts = urlsplit(url)
    assert parts.hostname
    return parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme, 0)


def encrypted(plain: socket.socket, url: str, context: ssl.SSLContext | None = None) -> str:
    context = context or ssl.create_default_context()
    with context.wrap_socket(plain, server_hostname=target(url)[0]) as connection:
        connection.sendall(request(url))
        return status(connection.recv(4096))


def status(line: bytes) -> str:
    return line.split(b" ")[1].decode()


def sockets(url: str) -> str:
    return encrypted(socket.create_connection(target(url), timeout=10), url)


def socket_by_name(url: str) -> str:
    plain = socket.socket()
    plain.connect(target(url))
    return encrypted(plain, url)


def connect_ex(url: str) -> str:
    plain = socket.socket()
    assert plain.connect_ex(target(url)) == 0
    return encrypted(plain, url)


def resolve_first(url: str) -> str:
    """A client that looks up the address itself."""
    host, port = target(url)
    plain = socket.socket()
    plain.connect((socket.gethostbyname(host), port))
    return encrypted(plain, url)


def ipv6(url: str) -> str:
    host, port = target(url)
    address = socket.getaddrinfo(host, port, socket.AF_INET6)[0][4]
    plain = socket.socket(socket.AF_INET6)
    plain.connect(address)
    return encrypted(plain, url)


def own_roots(url: str) -> str:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(certifi.where())
    return encrypted(socket.create_connection(target(url), timeout=10), url, context)


def udp(url: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as plain:
        return str(plain.sendto(b"x", target(url)))


def http_client(url: str) -> str:
    from http.client import HTTPSConnection

    connection = HTTPSConnection(*target(url))
    connection.request("GET", "/x")
    return str(connection.getresponse().status)


def httpx(url: str) -> str:
    from httpx import Client

    with Client(trust_env=False, verify=certifi.where()) as client:
        return str(client.get(url).status_code)


def requests(url: str) -> str:
    from requests import Session

    with Session() as session:
        session.trust_env = False
        return str(session.get(url).status_code)


async def aiohttp(url: str) -> str:
    from aiohttp import ClientSession

    async with ClientSession() as session, session.get(url) as response:
        return str(response.status)


async def streams(url: str) -> str:
    reader, writer = await asyncio.open_connection(*target(url), ssl=True)
    writer.write(request(url))
    line = await reader.readline()
    writer.close()
    return status(line)


def in_uvloop(client: Callable[[str], Awaitable[str]]) -> Callable[[str], str]:
    def run(url: str) -> str:
        import uvloop

        async def call() -> str:
            return await client(url)

        return uvloop.run(call())

    return run


def in_thread(url: str) -> str:
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(sockets, url).result()


def child(url: str) -> str:
    command = [sys.executable, __file__, "sockets", url]
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return str(json.loads(output)["status"])


def spawned(url: str) -> str:
    from multiprocessing import get_context

    with get_context("spawn").Pool(1) as pool:
        return pool.apply(sockets, (url,))


CLIENTS: dict[str, Callable[[str], Any]] = {
    "sockets": sockets,
    "socket by name": socket_by_name,
    "connect_ex": connect_ex,
    "resolve first": resolve_first,
    "ipv6": ipv6,
    "own roots": own_roots,
    "udp": udp,
    "http.client": http_client,
    "httpx": httpx,
    "requests": requests,
    "aiohttp": lambda url: asyncio.run(aiohttp(url)),
    "asyncio": lambda url: asyncio.run(streams(url)),
    "aiohttp on uvloop": in_uvloop(aiohttp),
    "uvloop": in_uvloop(streams),
    "thread": in_thread,
    "child": child,
    "spawned": spawned,
}

if __name__ == "__main__":
    try:
        outcome = {"status": CLIENTS[sys.argv[1]](sys.argv[2])}
    except Exception as error:
        outcome = {"error": str(error), "os_error": str(isinstance(error, OSError))}
    sys.stdout.write(json.dumps(outcome))
