"""A local server that receives webhooks, verifies them and keeps or prints them."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from email.message import Message
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import IO, Any, Final, Self
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, ProxyHandler, Request, build_opener

from mock_fal.clock import real_time
from mock_fal.errors import InvalidWebhook, MockFalError
from mock_fal.terminal import printable
from mock_fal.webhooks.signature import verify

# The timeout of requests for the keys and of forwarded webhooks.
TIMEOUT_S: Final = 30.0

# The largest body that is received. fal's own limit of a payload is far smaller (webhooks/payload.py).
MAX_BODY_BYTES: Final = 16 << 20

# What the bodies that are kept may have in total; the oldest webhooks are forgotten first.
MAX_KEPT_BYTES: Final = 64 << 20

# Headers that belong to one connection and are not forwarded.
_HOP_HEADERS: Final = {"host", "connection", "content-length", "accept-encoding", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Received:
    """A received webhook. `problem` is the reason why verification failed, or empty."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes
    problem: str
    status: int

    @property
    def verified(self) -> bool:
        """Whether the signature is valid."""
        return not self.problem

    @property
    def json(self) -> Any:
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    def __str__(self) -> str:
        """The webhook in one line."""
        time = datetime.fromtimestamp(self.at).strftime("%H:%M:%S")
        verification = f"not verified: {self.problem}" if self.problem else "verified"
        return printable(f"{time}  POST {self.path}  {self._summary()}  {verification}  -> {self.status}")

    def _summary(self) -> str:
        try:
            document = self.json
            error = f" ({document['error']})" if document["error"] else ""
            return f"{document['status']}{error}  {document['request_id']}"
        except (ValueError, KeyError, TypeError):
            return f"{len(self.body)} bytes"


class WebhookReceiver:
    """A web server on the loopback interface that receives webhooks.

    `keys_url` is the address of the keys, such as `http://127.0.0.1:8325/rest.fal.ai/.well-known/jwks.json`. The
    response is `status`, or that of the server at `forward`. `on_received` is called with each webhook.

        with WebhookReceiver(keys_url) as receiver:
            fal_client.submit("fal-ai/flux/schnell", {"prompt": "a cat"}, webhook_url=receiver.url)
            [received] = receiver.wait_for(1)
            assert received.verified and received.json["status"] == "OK"
    """

    def __init__(
        self,
        keys_url: str,
        *,
        port: int = 0,
        status: int = 200,
        forward: str | None = None,
        on_received: Callable[[Received], None] = lambda received: None,
    ) -> None:
        self._keys_url = keys_url
        self._port = port
        self._status = status
        self._forward = forward
        self._on_received = on_received
        self._next_statuses: deque[int] = deque()
        self._jwks: dict[str, Any] | None = None
        self._changed = threading.Condition()
        self._received: deque[Received] = deque()
        self._count = 0
        self._kept_bytes = 0

    @property
    def url(self) -> str:
        """The URL for webhooks; every path below it works too."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def received(self) -> list[Received]:
        """The received webhooks, oldest first, up to MAX_KEPT_BYTES of bodies and headers."""
        with self._changed:
            return list(self._received)

    def wait_for(self, number: int, timeout_s: float = 10.0) -> list[Received]:
        """Wait until `number` webhooks were received and return those that are kept. Raises TimeoutError."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._count >= number, timeout_s):
                raise TimeoutError(
                    f"received {self._count} of {number} webhooks at {self.url} within {timeout_s:g} s"
                )
            return list(self._received)

    def respond_with(self, *statuses: int) -> None:
        """Set the statuses of the next responses: after `respond_with(500, 500)` fal makes three attempts."""
        self._next_statuses.extend(statuses)

    def start(self) -> Self:
        """Start listening. Raises MockFalError if the port is in use."""
        try:
            self._server = _Server(("127.0.0.1", self._port), partial(_Handler, self._receive))
        except OSError as error:
            raise MockFalError(f"can't listen on port {self._port}: {error.strerror}") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="mock-fal-webhooks", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _receive(self, path: str, headers: dict[str, str], body: bytes) -> int:
        at, problem = real_time(), self._problem(headers, body)
        if self._forward:
            status = _forward(self._forward, headers, body)
        else:
            status = self._next_statuses.popleft() if self._next_statuses else self._status
        received = Received(at, path, headers, body, problem, status)
        with self._changed:
            self._count += 1
            self._received.append(received)
            self._kept_bytes += _size(received)
            while self._kept_bytes > MAX_KEPT_BYTES and len(self._received) > 1:
                self._kept_bytes -= _size(self._received.popleft())
            self._changed.notify_all()
        self._on_received(received)
        return status

    def _problem(self, headers: dict[str, str], body: bytes) -> str:
        problem = ""
        # First with the cached keys; if they don't fit, the server may have been restarted with others.
        for fetch in (False, True):
            try:
                if fetch or self._jwks is None:
                    self._jwks = _json(self._keys_url)
                verify(headers, body, self._jwks)
                return ""
            except InvalidWebhook as error:
                problem = str(error)
            except (OSError, ValueError) as error:
                return f"no keys at {self._keys_url}: {error}"
        return problem


def _size(received: Received) -> int:
    """The bytes that a kept webhook takes, about."""
    return 1000 + len(received.path) + len(received.body) + sum(map(len, received.headers.values()))


class _Server(ThreadingHTTPServer):
    # Many webhooks may arrive at once; a full backlog would delay each of the others by a second.
    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore it: the client has disconnected."""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, receive: Callable[[str, dict[str, str], bytes], int], *connection: Any) -> None:
        self._receive = receive
        super().__init__(*connection)

    def do_POST(self) -> None:
        length = self.headers.get("content-length") or "0"
        if not (length.isascii() and length.isdigit() and int(length) <= MAX_BODY_BYTES):
            # The rest of the connection can't be parsed.
            self.close_connection = True
            self.send_error(413, f"content-length is {length[:20]!r}, expected at most {MAX_BODY_BYTES}")
            return
        body = self.rfile.read(int(length))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response_only(self._receive(self.path, headers, body))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *values: Any) -> None:
        """Log nothing: `on_received` reports each webhook."""


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


_opener = build_opener(ProxyHandler({}), _NoRedirects)


def _json(url: str) -> Any:
    with _opener.open(url, timeout=TIMEOUT_S) as response:
        return json.load(response)


def _forward(url: str, headers: dict[str, str], body: bytes) -> int:
    """The status of the server at `url` for the same webhook; 502 if there is no response."""
    kept: Iterable[tuple[str, str]] = ((name, headers[name]) for name in headers if name not in _HOP_HEADERS)
    try:
        with _opener.open(Request(url, body, dict(kept)), timeout=TIMEOUT_S) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError):
        return 502
