"""fal's hosts without a socket: the application, asked through httpx, beside a clock that the test moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import pytest

from mock_fal.clock import AutoAdvanceClock, Clock, ManualClock, SystemClock
from mock_fal.emulator import Emulator
from mock_fal.journal.exchanges import Exchange
from mock_fal.pictures.render import PictureCache
from mock_fal.settings import Settings
from mock_fal.web.app import App
from mock_fal.web.pictures import Pictures

T = TypeVar("T")

NONE: Mapping[str, str] = {}

QUEUE = "https://queue.fal.run"
RUN = "https://fal.run"
MEDIA = "https://v3b.fal.media"
OURS = "http://127.0.0.1:8325"

SCHNELL = "fal-ai/flux/schnell"
DEV = "fal-ai/flux/dev"

# How long a request of the tests waits and runs.
QUEUE_S, RUN_S = 2.0, 8.0

_CLOCKS: dict[str, Callable[[], Clock]] = {
    "manual": ManualClock,
    "auto-advance": AutoAdvanceClock,
    "system": SystemClock,
}

# More turns of the event loop than any answer takes that waits for nothing but the clock.
_TURNS = 40


class Fal:
    """The application, and the ways in which a test asks it."""

    def __init__(self, runner: asyncio.Runner, settings: Settings) -> None:
        self._runner = runner
        self.clock = _CLOCKS[settings.clock]()
        self.emulator = Emulator(settings, self.clock)
        self.pictures = Pictures(PictureCache())
        self.app = App(self.emulator, self.pictures, self._exports)
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(self.app), trust_env=False, headers={"user-agent": "test"}
        )

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self.app.close()
        self.emulator.storage.file_store.close()

    # -- any question

    def ask(
        self,
        method: str,
        url: str,
        *,
        key: str | None = "alice:secret",
        headers: Mapping[str, str] = NONE,
        body: bytes = b"",
    ) -> httpx.Response:
        """Put a question and wait for the whole answer."""
        credentials = {"authorization": f"Key {key}"} if key else {}
        http_request = self._client.request(method, url, headers={**credentials, **headers}, content=body)
        return self.wait_for(http_request)

    def begin(
        self,
        method: str,
        url: str,
        *,
        key: str | None = "alice:secret",
        headers: Mapping[str, str] = NONE,
        body: bytes = b"",
        ends: bool = True,
    ) -> Call:
        """Put a question whose answer takes its time, or whose body never `ends`."""
        credentials = {"authorization": f"Key {key}"} if key else {}
        return Call(self, scope(method, url, {**credentials, **headers}), body, ends)

    def wait_for(self, work: Awaitable[T]) -> T:
        async def waiting() -> T:
            return await work

        return self._runner.run(waiting())

    def start(self, work: Awaitable[T]) -> asyncio.Future[T]:
        """Begin some work, and let it go on as far as it can without time passing."""

        async def starting() -> asyncio.Future[T]:
            return asyncio.ensure_future(work)

        task = self._runner.run(starting())
        self.wait_for_deliveries()
        return task

    def wait_for_deliveries(self) -> None:
        """Let everyone go on as far as they can without time passing."""

        async def turns() -> None:
            for _ in range(_TURNS):
                await asyncio.sleep(0)

        self._runner.run(turns())

    def advance(self, seconds: float) -> None:
        """Let time pass, and everyone see it who waits for it."""
        assert isinstance(self.clock, ManualClock)
        self.clock.advance(seconds)
        self.wait_for_deliveries()

    # -- what one asks of fal

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
        """Submit an input, which the queue takes."""
        url = f"{at}/{endpoint}{query}"
        body = json.dumps({"prompt": prompt, **fields}).encode() if body is None else body
        response = self.ask("POST", url, key=key, headers=headers, body=body)
        assert response.status_code == 200, response.text
        return Handle(self, response)

    def completed(self, prompt: object = "a cat", **options: Any) -> Handle:
        """Submit an input and let the time pass that it takes."""
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
        """The answer of a direct request, whatever clock."""
        body = json.dumps({"prompt": prompt, **fields}).encode()
        call = self.begin("POST", f"{RUN}/{endpoint}", headers=headers, body=body)
        if type(self.clock) is ManualClock:
            self.clock.advance(RUN_S)
        return call.response()

    def picture(self, prompt: str = "a cat", **fields: object) -> str:
        """The address of a picture."""
        size = {"width": 64, "height": 48}
        handle = self.completed(prompt, **{"image_size": size, **fields})
        url: str = handle.result().json()["images"][0]["url"]
        return url

    @property
    def journal(self) -> list[Exchange]:
        return list(self.emulator.store.exchanges)

    async def _exports(self) -> dict[str, Any]:
        return {"proxy_url": "http://127.0.0.1:1"}


@dataclass(frozen=True)
class Handle:
    """A request that the queue has taken; its addresses are those of the answer, as for fal's clients."""

    fal: Fal
    taken: httpx.Response

    @property
    def id(self) -> str:
        return str(self.taken.json()["request_id"])

    @property
    def url(self) -> str:
        return str(self.taken.json()["response_url"])

    def status(self, query: str = "", **how: Any) -> httpx.Response:
        return self.fal.ask("GET", f"{self.url}/status{query}", **how)

    def result(self, **how: Any) -> httpx.Response:
        return self.fal.ask("GET", self.url, **how)

    def cancel(self, **how: Any) -> httpx.Response:
        return self.fal.ask("PUT", f"{self.url}/cancel", **how)

    def watch(self, query: str = "", **how: Any) -> Call:
        return self.fal.begin("GET", f"{self.url}/status/stream{query}", **how)


class Call:
    """One question put to the application by hand, and what has come of it so far."""

    def __init__(self, fal: Fal, asked: dict[str, Any], body: bytes, ends: bool) -> None:
        self._fal = fal
        self._asked = asked
        self._incoming: list[dict[str, Any]] = [
            {"type": "http.request", "body": body[at : at + 10], "more_body": True}
            for at in range(0, len(body), 10)
        ]
        if ends:
            self._incoming.append({"type": "http.request", "body": b"", "more_body": False})
        self._hung_up = asyncio.Event()
        self._told = 0
        self.sent: list[dict[str, Any]] = []
        self._task = fal.start(fal.app(asked, self._receive, self._send))

    @property
    def is_over(self) -> bool:
        return self._task.done()

    @property
    def unread(self) -> int:
        """How many pieces of the body nobody has asked for."""
        return len(self._incoming)

    def response(self) -> httpx.Response:
        """The whole answer, when it has come."""
        self._fal.wait_for(self._task)
        return self.head(b"".join(message.get("body", b"") for message in self.sent[1:]))

    def head(self, content: bytes = b"") -> httpx.Response:
        """What has come before the body."""
        return httpx.Response(self.sent[0]["status"], headers=self.sent[0]["headers"], content=content)

    def news(self) -> str:
        """What of the body has come since this was last asked."""
        parts = [message.get("body", b"") for message in self.sent[1:]]
        told, self._told = self._told, len(parts)
        return b"".join(parts[told:]).decode()

    def events(self) -> list[dict[str, Any]]:
        """The news as the events of a status stream."""
        *parts, rest = self.news().split("\n\n")
        assert rest == ""
        return [json.loads(part.removeprefix("data: ")) for part in parts]

    def cut(self) -> None:
        """What a server does with an answer that does not end, when it stops."""
        self._task.cancel()
        self._fal.wait_for_deliveries()

    def hang_up(self) -> None:
        self._hung_up.set()
        self._fal.wait_for_deliveries()

    async def _receive(self) -> dict[str, Any]:
        if self._incoming:
            return self._incoming.pop(0)
        await self._hung_up.wait()
        return {"type": "http.disconnect"}

    async def _send(self, message: Any) -> None:
        self.sent.append(message)


def scope(method: str, url: str, headers: Mapping[str, str] = NONE) -> dict[str, Any]:
    """What a server would tell the application about a question."""
    parts = urlsplit(url)
    named = {"host": parts.netloc, **headers}
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "method": method,
        "scheme": parts.scheme,
        "path": parts.path,
        "query_string": parts.query.encode("latin-1"),
        "headers": [(name.encode("latin-1"), value.encode("latin-1")) for name, value in named.items()],
    }


@contextmanager
def opened(**settings: Any) -> Iterator[Fal]:
    """A fal that waits and runs for a known while, by a clock that only the test moves."""
    known: dict[str, Any] = {"clock": "manual", "queue_duration": QUEUE_S, "run_duration": RUN_S}
    with asyncio.Runner() as runner:
        fal = Fal(runner, Settings(**(known | settings)))
        try:
            yield fal
        finally:
            fal.close()


Serve = Callable[..., Fal]


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Opens a fal with settings of the test's own."""
    with ExitStack() as stack:
        yield lambda **settings: stack.enter_context(opened(**settings))


@pytest.fixture
def fal(serve: Serve) -> Fal:
    return serve()


@pytest.fixture
def auto_advance(serve: Serve) -> Fal:
    """A fal whose clock goes on by itself when somebody waits or looks."""
    return serve(clock="auto-advance")
