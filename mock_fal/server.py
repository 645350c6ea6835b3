"""MockFal: makes all of it, starts it, and stops it in reverse. The one place that wires."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections import deque
from collections.abc import Coroutine, Mapping
from contextlib import AsyncExitStack
from dataclasses import fields
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from mock_fal.account import Account
from mock_fal.clock import AutoAdvanceClock, Clock, ManualClock, SystemClock
from mock_fal.emulator import Emulator
from mock_fal.errors import MockFalError, SettingsError
from mock_fal.journal.exchanges import Exchange
from mock_fal.pictures.render import PictureCache
from mock_fal.port import Port, event_loop, listen
from mock_fal.settings import Settings, read_setting
from mock_fal.web.app import App
from mock_fal.web.pictures import Pictures

if TYPE_CHECKING:
    from mock_fal.billing.usage import Usage
    from mock_fal.gateway.connect import Event
    from mock_fal.gateway.webhook_sender import WebhookSender
    from mock_fal.scenario.rules import Scenario
    from mock_fal.webhooks.outbox import Delivery

T = TypeVar("T")

# How many decisions of the gateway are remembered for the summary of a run.
_EVENTS: Final = 10_000


class MockFal:
    """A running fal, in a thread of its own.

    >>> with MockFal(port=0) as fal:
    ...     fal.url.startswith("http://127.0.0.1:")
    True

    Takes `Settings`, or their fields as keywords; without a port, any free one. Raises SettingsError for a
    value that can't be used, MockFalError when the port is taken.
    """

    def __init__(self, settings: Settings | None = None, **given: Any) -> None:
        self.settings = settings or _settings(given)
        self.clock: Clock = _clock(self.settings)
        self._emulator = Emulator(self.settings, self.clock)
        self._pictures = Pictures(PictureCache())
        self._app = App(self._emulator, self._pictures, self._addresses)
        self._events: deque[Event] = deque(maxlen=_EVENTS)
        self._thread: threading.Thread | None = None
        self._gateway: dict[str, Any] | None = None
        self._sender: WebhookSender | None = None
        self._emulator.notify = self._notify

    # -- starting and stopping

    def start(self) -> Self:
        """Listen, and return as soon as the first question would be answered."""
        if self._thread is not None:
            raise MockFalError("this MockFal is already running")
        listening = listen(self.settings.host, self.settings.port)
        self._port: int = listening.getsockname()[1]
        if self.settings.local_media_urls:
            self._app.local_media = f"{self.url}/v3b.fal.media"
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listening, started), name="mock-fal", daemon=True
        )
        self._thread.start()
        started.wait()
        return self

    def stop(self) -> None:
        """Close every connection and let go of the port. Does nothing when not running."""
        if self._thread is None:
            return
        self._loop.call_soon_threadsafe(self._halt.set)
        self._thread.join()
        self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # -- what a test sees and moves

    @property
    def url(self) -> str:
        """Our own address. Hosts of fal are reached below it, as in `{url}/queue.fal.run/fal-ai/flux/schnell`."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.settings.host, self.settings.host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def env(self) -> dict[str, str]:
        """The variables that lead an unmodified program here. The first look opens the gateway."""
        return self.environment(os.environ)[0]

    def environment(
        self, base: Mapping[str, str], key: str | None = None
    ) -> tuple[dict[str, str], list[str]]:
        """The variables to set, and those to unset, for a program whose environment is `base`."""
        return environment(self._wait_for(self._addresses()), base, key)

    @property
    def requests(self) -> list[Exchange]:
        """Everything that was asked and answered, oldest first."""
        return list(self._emulator.store.exchanges)

    @property
    def gateway_events(self) -> list[Event]:
        """What the gateway decided about each connection, oldest first."""
        return list(self._events)

    @property
    def deliveries(self) -> list[Delivery]:
        """The webhooks that were asked for, oldest first, with every attempt to deliver them."""
        return self._emulator.deliveries

    def wait_for_deliveries(self, timeout_s: float = 10.0) -> list[Delivery]:
        """Wait until every webhook that is due by now has been tried; raises TimeoutError if that takes longer."""
        if self._sender is not None:
            self._wait_for(asyncio.wait_for(self._sender.wait_for_deliveries(), timeout_s))
        return self.deliveries

    @property
    def usage(self) -> Usage:
        """What the requests that have been completed would have cost, in US dollars."""
        from mock_fal.billing.usage import usage

        return usage(self._emulator.charges())

    @property
    def unused_cassettes(self) -> list[str]:
        """With `replay`: the files of the cassettes that answered nothing so far, in their order."""
        return self._app.unused_cassettes

    @property
    def scenario(self) -> Scenario:
        """The rules for everybody; an account's own come first."""
        return self._emulator.scenario

    def account(self, key: str | None = None) -> Account:
        """What belongs to one key; without one, to the key that programs are given."""
        return Account(self, self._emulator, self.settings.own_key if key is None else key)

    def reset(self, key: str | None = None) -> None:
        """Forget all requests, files, exchanges and rules, or those of one key."""
        tenant = None if key is None else key.partition(":")[0]
        if self._thread is None:
            self._emulator.reset(tenant)
        else:
            self._wait_for(self._reset(tenant))

    # -- inside

    async def _reset(self, tenant: str | None) -> None:
        self._emulator.reset(tenant)
        self._app.rewind(tenant)

    def _run(self, listening: socket.socket, started: threading.Event) -> None:
        with asyncio.Runner(loop_factory=event_loop) as runner:
            runner.run(self._serve(listening, started))

    async def _serve(self, listening: socket.socket, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        self._halt = asyncio.Event()
        self._opening = asyncio.Lock()
        self._ports: list[Port] = []
        async with AsyncExitStack() as self._stack:
            self._stack.callback(self._emulator.close)
            self._stack.callback(self._app.close)
            if self.settings.allow_egress:
                from mock_fal.gateway.fetch import fetch

                self._emulator.fetch = fetch
            if self.settings.record:
                from mock_fal.gateway.forward import Forwarder

                self._app.forward_by(Forwarder(os.environ).forward)
            await self._open(Port(self._app), listening)
            if self._emulator.deliveries:  # this MockFal ran before
                self._notify()
            started.set()
            await self._halt.wait()
            for port in self._ports:
                port.stop()  # all at once: each needs a moment
        self._gateway = self._sender = None

    def _notify(self) -> None:
        """A webhook is owed. Whoever asks for none never loads what delivers them."""
        if self._sender is None:
            from mock_fal.gateway.webhook_sender import WebhookSender

            self._sender = WebhookSender(self._emulator, self._pictures.data_uris)
            self._stack.push_async_callback(self._sender.close)
        self._sender.notify()

    async def _addresses(self) -> dict[str, Any]:
        """Where the gateway is; it is opened by whoever asks first."""
        async with self._opening:
            if self._gateway is None:
                self._gateway = await self._open_gateway()
            return self._gateway

    async def _open_gateway(self) -> dict[str, Any]:
        # Imported here, and opened only when asked for: certificates cost more than all the rest of the start.
        from mock_fal.gateway.certificates import Authority
        from mock_fal.gateway.connect import ConnectProxy
        from mock_fal.gateway.environment import upstream, user_roots

        # Clients hold certificates against the real time, whatever our clock says.
        authority = Authority(now=SystemClock().now(), extra_roots=user_roots(os.environ))
        self._stack.callback(authority.close)
        tls = listen("127.0.0.1", 0)
        tls_address: tuple[str, int] = tls.getsockname()
        await self._open(Port(self._app, tls=authority.server_context()), tls)
        settings = self.settings
        proxy = ConnectProxy(
            tls_address,
            offline=settings.offline,
            allow_host=settings.allow_host,
            on_event=self._events.append,
            upstream=upstream(os.environ),
        )
        await proxy.start()
        self._stack.push_async_callback(proxy.close)
        return {
            "proxy_url": f"http://127.0.0.1:{proxy.port}",
            "tls_address": list(tls_address),
            "ca_file": str(authority.ca_file),
            "bundle_file": str(authority.bundle_file),
            "url": self.url,
            "key": settings.own_key,
            "offline": settings.offline,
            "allow": list(settings.allow_host),
        }

    async def _open(self, port: Port, listening: socket.socket) -> None:
        await port.open(listening)
        self._ports.append(port)
        self._stack.push_async_callback(port.close)

    def _wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        if self._thread is None:
            work.close()
            raise MockFalError("this MockFal is not running; call start(), or use it in a with statement")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()


def environment(
    addresses: Mapping[str, Any], base: Mapping[str, str], key: str | None = None
) -> tuple[dict[str, str], list[str]]:
    """The variables to set and to unset for a program, from what `POST /_mock/gateway` answers."""
    from mock_fal.gateway import environment as gateway

    host, port = addresses["tls_address"]
    return gateway.environment(
        base=base,
        proxy_url=addresses["proxy_url"],
        tls_address=(host, port),
        ca_file=addresses["ca_file"],
        bundle_file=addresses["bundle_file"],
        preload_file=Path(gateway.__file__).with_name("preload.cjs"),
        url=addresses["url"],
        key=key or addresses["key"],
        offline=addresses["offline"],
        allow_host=addresses["allow"],
    )


def ask_gateway(url: str, wait_s: float = 0.0) -> dict[str, Any]:
    """The addresses of a running server's gateway; `wait_s` is for a server that is just being started.

    Raises MockFalError when nobody answers at `url`.
    """
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener

    clock = SystemClock()
    until = clock.now() + wait_s
    direct = build_opener(ProxyHandler({}))
    while True:
        try:
            with direct.open(
                Request(f"{url.rstrip('/')}/_mock/gateway", method="POST"), timeout=30
            ) as response:
                addresses: dict[str, Any] = json.load(response)
            return addresses
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            if clock.now() >= until or not isinstance(error, URLError) or isinstance(error, HTTPError):
                hint = "start one with: mock-fal serve"
                raise MockFalError(f"no mock-fal answers at {url} ({reason}); {hint}") from None
        threading.Event().wait(0.02)


def _settings(given: Mapping[str, Any]) -> Settings:
    """Settings from keywords, texts being read like flags; a test wants any free port."""
    known = [setting.name for setting in fields(Settings)]
    for name in given:
        if name not in known:
            from difflib import get_close_matches  # for the mistaken only

            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"
            raise SettingsError(f"MockFal: unknown setting {name!r}; {hint}")
    read = {
        name: read_setting(name, value, name) if isinstance(value, str) else value
        for name, value in given.items()
    }
    return Settings(**{"port": 0, **read})


def _clock(settings: Settings) -> Clock:
    match settings.clock:
        case "manual":
            return ManualClock()
        case "auto-advance":
            return AutoAdvanceClock()
        case _:
            return SystemClock(settings.speed)
