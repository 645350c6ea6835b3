"""A receiver of webhooks, for tests and for people: takes them, verifies them, remembers or prints them."""

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
from mock_fal.webhooks.webhook import verify

# How long we wait for a server that has the keys, or that takes what we pass on.
PATIENCE_S: Final = 30.0

# What concerns one connection and not the next.
_HOP_HEADERS: Final = {"host", "connection", "content-length", "accept-encoding", "transfer-encoding"}


@dataclass(frozen=True, slots=True)
class Received:
    """One webhook that came. `problem` says why it is not genuine, and is empty when it is."""

    at: float
    path: str
    headers: dict[str, str]
    body: bytes
    problem: str
    status: int

    @property
    def verified(self) -> bool:
        """Whether the signature is that of the server."""
        return not self.problem

    @property
    def json(self) -> Any:
        """The body. Raises ValueError when it is no JSON."""
        return json.loads(self.body)

    def __str__(self) -> str:
        """One line for a person."""
        moment = datetime.fromtimestamp(self.at).strftime("%H:%M:%S")
        proof = f"not verified: {self.problem}" if self.problem else "verified"
        return f"{moment}  POST {self.path}  {self._summary()}  {proof}  -> {self.status}"

    def _summary(self) -> str:
        try:
            document = self.json
            error = f" ({document['error']})" if document["error"] else ""
            return f"{document['status']}{error}  {document['request_id']}"
        except (ValueError, KeyError, TypeError):
            return f"{len(self.body)} bytes"


class WebhookReceiver:
    """A small web server on this machine that takes webhooks.

    `keys_url` is where the keys are, such as `http://127.0.0.1:8325/rest.fal.ai/.well-known/jwks.json`. Each
    webhook is answered with `status`, or with what the server at `forward` says to it.

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
        tell: Callable[[Received], None] = lambda received: None,
    ) -> None:
        self._keys_url = keys_url
        self._port = port
        self._status = status
        self._forward = forward
        self._tell = tell
        self._next: deque[int] = deque()
        self._jwks: dict[str, Any] | None = None
        self._news = threading.Condition()
        self._received: list[Received] = []

    @property
    def url(self) -> str:
        """Where webhooks are to be sent; any path below it is fine, too."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def received(self) -> list[Received]:
        """All that came, in their order."""
        with self._news:
            return list(self._received)

    def wait_for(self, number: int, timeout_s: float = 10.0) -> list[Received]:
        """All that came, as soon as there are `number`. Raises TimeoutError if they don't come."""
        with self._news:
            if not self._news.wait_for(lambda: len(self._received) >= number, timeout_s):
                came = len(self._received)
                raise TimeoutError(f"{came} of {number} webhooks came to {self.url} within {timeout_s:g} s")
            return list(self._received)

    def respond_with(self, *statuses: int) -> None:
        """Answer the next webhooks with these, one each: `answer(500, 500)` lets fal try three times."""
        self._next.extend(statuses)

    def start(self) -> Self:
        """Listen. Raises MockFalError when the port is taken."""
        try:
            self._server = _Server(("127.0.0.1", self._port), partial(_Handler, self._take))
        except OSError as error:
            raise MockFalError(f"can't listen on port {self._port}: {error.strerror}") from None
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), name="mock-fal-webhooks", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Listen no more."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _take(self, path: str, headers: dict[str, str], body: bytes) -> int:
        at, problem = real_time(), self._problem(headers, body)
        if self._forward:
            status = _pass_on(self._forward, headers, body)
        else:
            status = self._next.popleft() if self._next else self._status
        received = Received(at, path, headers, body, problem, status)
        with self._news:
            self._received.append(received)
            self._news.notify_all()
        self._tell(received)
        return status

    def _problem(self, headers: dict[str, str], body: bytes) -> str:
        problem = ""
        # With the keys that we have; if these don't fit, the server may be another one now.
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


class _Server(ThreadingHTTPServer):
    # Many webhooks may come at once; a full backlog would cost each of the others a second.
    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever sent it has gone: nothing to tell."""


class _Handler(BaseHTTPRequestHandler):
    def __init__(self, take: Callable[[str, dict[str, str], bytes], int], *connection: Any) -> None:
        self._take = take
        super().__init__(*connection)

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response_only(self._take(self.path, headers, body))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *values: Any) -> None:
        """What is worth telling is told with `tell`."""


class _NoRedirects(HTTPRedirectHandler):
    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> None:
        return None


_direct = build_opener(ProxyHandler({}), _NoRedirects)


def _json(url: str) -> Any:
    with _direct.open(url, timeout=PATIENCE_S) as response:
        return json.load(response)


def _pass_on(url: str, headers: dict[str, str], body: bytes) -> int:
    """What the server at `url` says to the same webhook; 502 when it says nothing."""
    kept: Iterable[tuple[str, str]] = ((name, headers[name]) for name in headers if name not in _HOP_HEADERS)
    try:
        with _direct.open(Request(url, body, dict(kept)), timeout=PATIENCE_S) as response:
            return int(response.status)
    except HTTPError as error:
        with error:
            return error.code
    except (OSError, ValueError):
        return 502
