"""The application without sockets: requests through httpx, and a clock that the test advances."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest

from mock_fal.clock import AutoAdvanceClock, Clock, ManualClock, SystemClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.files.inputs import Content, InputFiles, LocalFile
from mock_fal.journal.exchanges import Exchange
from mock_fal.models.job import Media
from mock_fal.settings import Settings
from mock_fal.summary import summary
from mock_fal.web.app import App
from mock_fal.web.renderer import Renderer

T = TypeVar("T")

NONE: Mapping[str, str] = {}

ANA = {"authorization": "Key ana:secret"}
BOB = {"authorization": "Key bob:secret"}
EVE = {"authorization": "Key eve:secret"}

QUEUE = "https://queue.fal.run"
RUN = "https://fal.run"
MEDIA = "https://v3b.fal.media"
OURS = "http://127.0.0.1:8325"

SCHNELL = "fal-ai/flux/schnell"
DEV = "fal-ai/flux/dev"

# How long a request is queued and runs, in seconds.
QUEUE_S, RUN_S = 2.0, 8.0

_CLOCKS: dict[str, Callable[[], Clock]] = {
    "manual": ManualClock,
    "auto-advance": AutoAdvanceClock,
    "system": SystemClock,
}

# Iterations of the event loop after which all tasks wait for the clock.
_TURNS = 40


class WatchedRenderer(Renderer):
    """Counts the input files that threads are reading: a task that waits for them is not idle."""

    reading = 0

    async def content(self, files: InputFiles, file: LocalFile, media: Media) -> Content:
        self.reading += 1
        try:
            return await super().content(files, file, media)
        finally:
            self.reading -= 1


class Fal:
    """The application, and helpers that send requests to it."""

    def __init__(self, runner: asyncio.Runner, settings: Settings) -> None:
        self._runner = runner
        self.clock = _CLOCKS[settings.clock]()
        self.emulator = Emulator(settings, self.clock)
        self.renderer = WatchedRenderer()
        self.app = App(self.emulator, self.renderer, self._exports, self._summary)
        self._transport = httpx.ASGITransport(self.app)
        self._client = httpx.AsyncClient(
            transport=self._transport, trust_env=False, headers={"user-agent": "test"}
        )

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self.app.close()
        self.emulator.storage.file_store.close()

    # -- HTTP requests

    def request(
        self,
        method: str,
        url: str,
        *,
        key: str | None = "alice:secret",
        headers: Mapping[str, str] = NONE,
        body: bytes | AsyncIterator[bytes] = b"",
        peer: str = "127.0.0.1",
        **options: Any,
    ) -> httpx.Response:
        """Send a request and wait for the whole response. `options` are those of httpx, such as `json`."""
        credentials = {"authorization": f"Key {key}"} if key else {}
        headers = {**credentials, **headers}
        self._transport.client = (peer, 123)
        return self.wait_for(
            self._client.request(method, url, headers=headers, content=body or None, **options)
        )

    def start_request(
        self,
        method: str,
        url: str,
        *,
        key: str | None = "alice:secret",
        headers: Mapping[str, str] = NONE,
        body: bytes = b"",
        ends: bool = True,
    ) -> Call:
        """Start a request without waiting for the response. Its body `ends` or stays open."""
        credentials = {"authorization": f"Key {key}"} if key else {}
        return Call(self, scope(method, url, {**credentials, **headers}), body, ends)

    def wait_for(self, awaitable: Awaitable[T]) -> T:
        async def waiting() -> T:
            return await awaitable

        return self._runner.run(waiting())

    def start_task(self, awaitable: Awaitable[T]) -> asyncio.Future[T]:
        """Start a task, and run it as far as possible without advancing the clock."""

        async def starting() -> asyncio.Future[T]:
            return asyncio.ensure_future(awaitable)

        task = self._runner.run(starting())
        self.run_until_idle()
        return task

    def run_until_idle(self) -> None:
        """Run all tasks as far as possible without advancing the clock."""

        async def turns() -> None:
            turn = 0
            while turn < _TURNS or self.renderer.reading:
                turn += 1
                await asyncio.sleep(0)

        self._runner.run(turns())

    def advance(self, seconds: float) -> None:
        """Advance the clock, then run all tasks as far as possible."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)
        self.run_until_idle()

    # -- requests to models

    def submit(
        self,
        prompt: object = "a cat",
        *,
        endpoint: str = SCHNELL,
        key: str = "alice:secret",
        query: str = "",
        headers: Mapping[str, str] = NONE,
        body: bytes | None = None,
        at: str = QUEUE,
        **fields: object,
    ) -> Handle:
        """Submit an input to the queue."""
        url = f"{at}/{endpoint}{query}"
        body = json.dumps({"prompt": prompt, **fields}).encode() if body is None else body
        response = self.request("POST", url, key=key, headers=headers, body=body)
        assert response.status_code == 200, response.text
        return Handle(self, response)

    def completed(self, prompt: object = "a cat", **options: Any) -> Handle:
        """Submit an input and advance the clock until the request is completed."""
        handle = self.submit(prompt, **options)
        self.advance(QUEUE_S + RUN_S)
        return handle

    def run(
        self,
        prompt: object = "a cat",
        *,
        endpoint: str = SCHNELL,
        headers: Mapping[str, str] = NONE,
        **fields: object,
    ) -> httpx.Response:
        """The response of a direct request, with any clock."""
        body = json.dumps({"prompt": prompt, **fields}).encode()
        call = self.start_request("POST", f"{RUN}/{endpoint}", headers=headers, body=body)
        if type(self.clock) is ManualClock:
            self.clock.advance(RUN_S)
        return call.response()

    def picture(self, prompt: str = "a cat", **fields: object) -> str:
        """The URL of a small result picture."""
        size = {"width": 64, "height": 48}
        handle = self.completed(prompt, **{"image_size": size, **fields})
        url: str = handle.result().json()["images"][0]["url"]
        return url

    @property
    def journal(self) -> list[Exchange]:
        return list(self.emulator.store.exchanges)

    async def _exports(self) -> dict[str, Any]:
        return {"proxy_url": "http://127.0.0.1:1", "proxy_password": "secret", "ca": "certificate"}

    async def _summary(self) -> str:
        return summary(list(self.emulator.store.exchanges), ())


@dataclass(frozen=True)
class Handle:
    """A submitted request. Its URLs are those in the response, as in fal's clients."""

    fal: Fal
    response: httpx.Response

    @property
    def id(self) -> str:
        return str(self.response.json()["request_id"])

    @property
    def url(self) -> str:
        return str(self.response.json()["response_url"])

    def status(self, query: str = "", **options: Any) -> httpx.Response:
        return self.fal.request("GET", f"{self.url}/status{query}", **options)

    def result(self, **options: Any) -> httpx.Response:
        return self.fal.request("GET", self.url, **options)

    def cancel(self, **options: Any) -> httpx.Response:
        return self.fal.request("PUT", f"{self.url}/cancel", **options)

    def watch(self, query: str = "", **options: Any) -> Call:
        return self.fal.start_request("GET", f"{self.url}/status/stream{query}", **options)


class Call:
    """One request at the ASGI level, and the messages of its response so far."""

    def __init__(self, fal: Fal, scope: dict[str, Any], body: bytes, ends: bool) -> None:
        self._fal = fal
        self._incoming: list[dict[str, Any]] = [
            {"type": "http.request", "body": body[start : start + 10], "more_body": True}
            for start in range(0, len(body), 10)
        ]
        if ends:
            self._incoming.append({"type": "http.request", "body": b"", "more_body": False})
        self._disconnected = asyncio.Event()
        self._read_parts = 0
        self.sent: list[dict[str, Any]] = []
        self._task = fal.start_task(fal.app(scope, self._receive, self._send))

    @property
    def is_over(self) -> bool:
        return self._task.done()

    @property
    def unread(self) -> int:
        """How many chunks of the request body the application has not received."""
        return len(self._incoming)

    def response(self) -> httpx.Response:
        """Wait for the end of the response, and return it."""
        self._fal.wait_for(self._task)
        return self.head(b"".join(message.get("body", b"") for message in self.sent[1:]))

    def head(self, content: bytes = b"") -> httpx.Response:
        """The response without its body."""
        return httpx.Response(self.sent[0]["status"], headers=self.sent[0]["headers"], content=content)

    def new_text(self) -> str:
        """The part of the response body that was sent since the last call."""
        parts = [message.get("body", b"") for message in self.sent[1:]]
        start, self._read_parts = self._read_parts, len(parts)
        return b"".join(parts[start:]).decode()

    def events(self) -> list[dict[str, Any]]:
        """The new text, as events of a stream."""
        *parts, rest = self.new_text().split("\n\n")
        assert rest == ""
        return [json.loads(part.removeprefix("data: ")) for part in parts]

    def cancel(self) -> None:
        """Cancel the task, as a stopping server does."""
        self._task.cancel()
        self._fal.run_until_idle()

    def disconnect(self) -> None:
        """Close the connection from the client's side."""
        self._disconnected.set()
        self._fal.run_until_idle()

    async def _receive(self) -> dict[str, Any]:
        if self._incoming:
            return self._incoming.pop(0)
        await self._disconnected.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


def send(
    fal: Fal,
    method: str,
    url: str,
    headers: Mapping[str, str] | None = None,
    *,
    content: bytes | AsyncIterator[bytes] = b"",
    **options: Any,
) -> httpx.Response:
    """Send a request with these headers only, without the default key."""
    return fal.request(method, url, key=None, headers=headers or NONE, body=content, **options)


async def chunks(data: bytes, size: int) -> AsyncIterator[bytes]:
    """A body that is sent in chunks, without a Content-Length."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


def scope(method: str, url: str, headers: Mapping[str, str] = NONE) -> dict[str, Any]:
    """The ASGI scope of a request."""
    parts = urlsplit(url)
    all_headers = {"host": parts.netloc, **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": method,
        "scheme": parts.scheme,
        "path": parts.path,
        "query_string": parts.query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in all_headers.items()],
        "client": ("127.0.0.1", 123),
    }


@contextmanager
def open_fal(**settings: Any) -> Iterator[Fal]:
    """An application with fixed durations and a manual clock, unless `settings` say otherwise."""
    defaults: dict[str, Any] = {"clock": "manual", "queue_duration": QUEUE_S, "run_duration": RUN_S}
    with asyncio.Runner() as runner:
        fal = Fal(runner, Settings(**(defaults | settings)))
        try:
            yield fal
        finally:
            fal.close()


Serve = Callable[..., Fal]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Creates an application with the given settings."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(open_fal(**settings))


@pytest.fixture
def fal(serve: Serve) -> Fal:
    return serve()


@pytest.fixture
def auto_advance(serve: Serve) -> Fal:
    """An application whose clock advances with each poll and wait."""
    return serve(clock="auto-advance")
