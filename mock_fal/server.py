"""MockFal: the server. It creates all components, starts them, and stops them in reverse order."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections import deque
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import fields, replace
from ipaddress import ip_address
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from mock_fal.account import Account
from mock_fal.clock import AutoAdvanceClock, Clock, ManualClock, SystemClock
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import MockFalError, SettingsError
from mock_fal.files.temporary_folder import remove_abandoned
from mock_fal.ids import random_secret
from mock_fal.journal.exchanges import Exchange
from mock_fal.port import Port, event_loop, listen
from mock_fal.settings import DEFAULT_KEY, Settings, read_setting
from mock_fal.web.app import App
from mock_fal.web.renderer import Renderer

if TYPE_CHECKING:
    from mock_fal.billing.usage import Usage
    from mock_fal.gateway.connect import Event
    from mock_fal.gateway.fetch import Fetcher
    from mock_fal.gateway.output_sender import OutputSender
    from mock_fal.gateway.webhook_sender import WebhookSender
    from mock_fal.requests.upload_policy import UploadPolicy
    from mock_fal.scenario.rules import Scenario
    from mock_fal.webhooks.outbox import Delivery

T = TypeVar("T")

# The number of gateway decisions that are kept for the summary.
_MAX_EVENTS: Final = 10_000

# The name of the server's thread, and the beginning of the names of the threads that work for it.
_THREAD: Final = "mock-fal"


class MockFal:
    """A local fal.ai that runs in a separate thread.

    >>> with MockFal(port=0) as fal:
    ...     fal.url.startswith("http://127.0.0.1:")
    True

    Takes `Settings`, or its fields as keywords; the default port is a free one. Raises SettingsError for an
    invalid value; starting raises MockFalError if the port is in use.
    """

    def __init__(self, settings: Settings | None = None, **values: Any) -> None:
        self.settings = _with_token(settings or _settings(values))
        self.clock: Clock = _clock(self.settings)
        self._emulator = Emulator(self.settings, self.clock)
        self._renderer = Renderer()
        self._app = App(self._emulator, self._renderer, self._addresses, self._summary)
        self._events: deque[Event] = deque(maxlen=_MAX_EVENTS)
        self._app.connections = self._events
        self._thread: threading.Thread | None = None
        self._failures: list[MockFalError] = []  # of the start
        self._gateway: dict[str, Any] | None = None
        self._sender: WebhookSender | None = None
        self._output_sender: OutputSender | None = None
        self._emulator.notify = self._notify
        self._renderer.send_output = self._send_output

    # -- starting and stopping

    def start(self) -> Self:
        """Start to listen. Returns when the server is ready for requests."""
        if self._thread is not None:
            raise MockFalError("this MockFal is already running")
        listening = listen(self.settings.host, self.settings.port)
        self._port: int = listening.getsockname()[1]
        if self.settings.local_media_urls or self.settings.public_url:
            self._app.local_media = f"{self.settings.public_url or self.url}/v3b.fal.media"
        started = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(listening, started), name=_THREAD, daemon=True
        )
        self._thread.start()
        started.wait()
        if self._failures:
            self._thread.join()
            self._thread = None
            raise self._failures.pop()
        return self

    def stop(self) -> None:
        """Close all connections and the port. Does nothing if the server is not running."""
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

    # -- for tests

    @property
    def url(self) -> str:
        """The server's address. It also serves fal's hosts by path: `{url}/queue.fal.run/fal-ai/flux/schnell`."""
        host = _reached_at(self.settings.host)
        return f"http://[{host}]:{self._port}" if ":" in host else f"http://{host}:{self._port}"

    @property
    def env(self) -> dict[str, str]:
        """The variables that make an unmodified program use this server. The first access opens the gateway."""
        return self.environment(os.environ)[0]

    def environment(
        self, base: Mapping[str, str], key: str | None = None
    ) -> tuple[dict[str, str], list[str]]:
        """The variables to set, and those to unset, for a program whose environment is `base`."""
        return environment(self._wait_for(self._addresses()), base, self._emulator.program_key(key or None))

    def child_environment(self, base: Mapping[str, str], key: str | None = None) -> dict[str, str]:
        """The whole environment of a child process, whose environment would be `base`. A live key is not in it."""
        from mock_fal.gateway.environment import child_environment

        return child_environment(base, *self.environment(base, key))

    def guard(self, variables: Mapping[str, str]) -> AbstractContextManager[object]:
        """Redirect or block the connections of this process as those of a child process with these variables.

        The server's own threads are left alone: with `record` or `allow_egress` they connect to other machines.
        """
        from mock_fal.gateway.preload.mock_fal_preload import Guard

        guard = Guard.read(variables, exempt_threads=_THREAD, opened_before=True)
        assert guard is not None, "these are not the variables of environment()"
        return guard

    @property
    def requests(self) -> list[Exchange]:
        """All exchanges (HTTP requests with their responses), oldest first."""
        return list(map(self._emulator.shown, self._emulator.store.exchanges))

    @property
    def gateway_events(self) -> list[Event]:
        """The gateway's decisions about connections, oldest first."""
        return list(self._events)

    @property
    def deliveries(self) -> list[Delivery]:
        """The requested webhooks with their delivery attempts, oldest first."""
        return self._emulator.deliveries

    def wait_for_deliveries(self, timeout_s: float = 10.0) -> list[Delivery]:
        """Wait until every webhook that is due has been attempted. Raises TimeoutError after `timeout_s`."""
        if self._sender is not None:
            self._wait_for(asyncio.wait_for(self._sender.wait_for_deliveries(), timeout_s))
        return self.deliveries

    def send_webhook(
        self, url: str, endpoint: str, output: Any = None, *, error: str = "", key: str | None = None
    ) -> Delivery:
        """Send a signed webhook that no request was submitted for: with an output, or with an error of fal.

        Without both, it has the output of the model for a prompt. It is retried like any webhook. Raises
        ScenarioError for an error that fal does not have, and ValueError for an endpoint that is not one.
        """
        from mock_fal.endpoint import EndpointId
        from mock_fal.hosts import RESULT_HOST
        from mock_fal.webhooks.payload import Webhook

        webhook = Webhook(url, f"{self.url}/{RESULT_HOST}")
        tenant = (key or self.settings.own_key).partition(":")[0]
        parsed = EndpointId.parse(endpoint)

        async def send() -> Delivery:
            return self._emulator.send_webhook(parsed, webhook, tenant, output, error)

        return self._wait_for(send())

    def resend_webhook(self, delivery: Delivery, body: Any = None) -> Delivery:
        """Send a webhook again that was delivered or has failed, signed anew; with `body`, JSON of your own.

        Raises WebhookWaiting, a MockFalError, for one that is not finished.
        """
        data = b"" if body is None else json.dumps(body, sort_keys=True).encode()

        async def resend() -> Delivery:
            return self._emulator.resend_webhook(delivery.request_id, data)

        return self._wait_for(resend())

    @property
    def usage(self) -> Usage:
        """The estimated cost of the completed requests, in US dollars."""
        from mock_fal.billing.usage import usage

        return usage(self._emulator.charges())

    @property
    def unused_cassettes(self) -> list[str]:
        """With `replay`: the cassettes that have not been used so far, in order."""
        return self._app.unused_cassettes

    def summary(self) -> str:
        """Requests, failures, estimated cost, webhooks that failed and blocked hosts: the text that `run` prints."""
        return self._wait_for(self._summary())

    @property
    def scenario(self) -> Scenario:
        """The rules for all accounts. Those of an account take precedence."""
        return self._emulator.scenario

    def respond(
        self, endpoint: str, output: Any, *, times: int | None = None, billed: float | None = None
    ) -> None:
        """Give an output of your own for all accounts; see `Account.respond`."""
        self.scenario.respond(endpoint, output, times=times, billed=billed)

    def account(self, key: str | None = None) -> Account:
        """The account of a key; by default that of the key in `env`. While recording, the secret is a random one."""
        return Account(self, self._emulator, self._emulator.program_key(key))

    def hide(self, text: str) -> str:
        """A text without the secrets of keys that the server knows."""
        return self._emulator.keys.secrets.text(text)

    def reset(self, key: str | None = None) -> None:
        """Delete all requests, files, exchanges and rules, or those of one key."""
        tenant = None if key is None else key.partition(":")[0]
        if self._thread is None:
            self._emulator.reset(tenant)
        else:
            self._wait_for(self._reset(tenant))

    # -- internals

    async def _reset(self, tenant: str | None) -> None:
        self._emulator.reset(tenant)
        self._app.rewind(tenant)

    async def _summary(self) -> str:
        from mock_fal.summary import summary

        exchanges, events = list(self._emulator.store.exchanges), list(self._events)
        usage, unused, deliveries = self.usage, self.unused_cassettes, self.deliveries

        def text() -> str:
            return self.hide(
                summary(list(map(self._emulator.shown, exchanges)), events, usage, unused, deliveries)
            )

        return await asyncio.to_thread(text)  # it searches the bodies of all exchanges

    def _run(self, listening: socket.socket, started: threading.Event) -> None:
        with asyncio.Runner(loop_factory=event_loop) as runner:
            runner.run(self._serve(listening, started))

    async def _serve(self, listening: socket.socket, started: threading.Event) -> None:
        self._loop = asyncio.get_running_loop()
        # asyncio looks up names in these threads. The pytest plugin leaves them alone by their name (Guard).
        self._loop.set_default_executor(ThreadPoolExecutor(thread_name_prefix=f"{_THREAD}-lookup"))
        self._halt = asyncio.Event()
        self._opening = asyncio.Lock()
        self._ports: list[Port] = []
        # Uploads and certificates of servers that were killed. In a thread, and nobody waits for it: many files can
        # be there.
        threading.Thread(target=remove_abandoned, name=f"{_THREAD}-cleanup", daemon=True).start()
        async with AsyncExitStack() as self._stack:
            self._stack.callback(self._emulator.close)
            self._stack.callback(self._app.close)
            fetcher: Fetcher | None = None
            if self.settings.allow_egress:
                from mock_fal.gateway.fetch import Fetcher

                fetcher = Fetcher(os.environ)
                self._emulator.fetch = fetcher.fetch
            if self.settings.record:
                from mock_fal.gateway.forward import Forwarder

                self._app.set_forward(Forwarder(os.environ).forward)
            # Before the server responds: who finds it ready may use the gateway.
            if self.settings.opens_gateway:
                try:
                    await self._addresses()
                except (MockFalError, OSError) as error:
                    failure = MockFalError(f"can't open the gateway: {error}")
                    self._failures.append(error if isinstance(error, MockFalError) else failure)
                    listening.close()
                    started.set()
                    return
            await self._open(Port(self._app), listening)
            if self._emulator.deliveries:  # this MockFal ran before
                self._notify()
            started.set()
            await self._halt.wait()
            if fetcher is not None:
                fetcher.close()  # requests that wait for a file end now
            for port in self._ports:
                port.stop()  # all at once: each takes a moment to stop
        self._gateway = self._sender = self._output_sender = None

    def _notify(self) -> None:
        """A webhook may be due. The webhook sender is imported with the first one."""
        if self._sender is None:
            from mock_fal.gateway.webhook_sender import WebhookSender

            self._sender = WebhookSender(self._emulator, self._renderer.rendered)
            self._stack.push_async_callback(self._sender.close)
        self._sender.notify()

    async def _send_output(self, policy: UploadPolicy, path: str, content_type: str, data: bytes) -> str:
        """Upload a file of a result to a storage of the user's own. Returns why that failed."""
        if self._output_sender is None:
            from mock_fal.gateway.output_sender import OutputSender

            self._output_sender = OutputSender(allow_egress=self.settings.allow_egress)
        return await self._output_sender.send(policy, path, content_type, data)

    async def _addresses(self) -> dict[str, Any]:
        """The gateway's addresses. The first call opens it."""
        async with self._opening:
            if self._gateway is None:
                self._gateway = await self._open_gateway()
            return self._gateway

    async def _open_gateway(self) -> dict[str, Any]:
        # Imported and opened on demand: creating certificates takes longer than the rest of the start.
        from mock_fal.gateway.addresses import GatewaySecrets, write_secrets
        from mock_fal.gateway.certificates import Authority
        from mock_fal.gateway.connect import ConnectProxy
        from mock_fal.gateway.environment import upstream, user_roots

        settings = self.settings
        # The real time, not the emulated time: clients check certificates against their own clock.
        now = SystemClock().now()
        issuer = None
        if settings.ca_dir:
            from mock_fal.gateway.kept_authority import keep

            issuer = keep(settings.ca_dir, now=now).issuer
        authority = Authority(now=now, extra_roots=user_roots(os.environ), issuer=issuer)
        self._stack.callback(authority.close)
        host = _reached_at(settings.gateway_host)  # by programs of this machine
        tls = listen(settings.gateway_host, settings.gateway_tls_port, "--gateway-tls-port")
        tls_address = (host, tls.getsockname()[1])
        await self._open(Port(self._app, tls=authority.server_context()), tls)
        secrets = GatewaySecrets(self._emulator.program_key(), settings.gateway_password or random_secret())
        proxy = ConnectProxy(
            tls_address,
            offline=settings.offline,
            allow_host=settings.allow_host,
            on_event=self._events.append,
            upstream=upstream(os.environ),
            password=secrets.proxy_password,
            listening=listen(settings.gateway_host, settings.gateway_port, "--gateway-port"),
        )
        await proxy.start()
        self._stack.push_async_callback(proxy.close)
        return {
            "proxy_url": f"http://[{host}]:{proxy.port}" if ":" in host else f"http://{host}:{proxy.port}",
            "proxy_password": secrets.proxy_password,
            "gateway_host": settings.gateway_host,
            "ca": authority.ca_file.read_text("ascii"),
            "tls_address": list(tls_address),
            "ca_file": str(authority.ca_file),
            "bundle_file": str(authority.bundle_file),
            "secrets_file": str(write_secrets(authority.ca_file.parent, secrets)),
            "url": self.url,
            "offline": settings.offline,
            "allow_host": list(settings.allow_host),
        }

    async def _open(self, port: Port, listening: socket.socket) -> None:
        await port.open(listening)
        self._ports.append(port)
        self._stack.push_async_callback(port.close)

    def _wait_for(self, coroutine: Coroutine[Any, Any, T]) -> T:
        if self._thread is None:
            coroutine.close()
            raise MockFalError("this MockFal is not running; call start(), or use it in a with statement")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()


def environment(
    addresses: Mapping[str, Any], base: Mapping[str, str], key: str | None = None
) -> tuple[dict[str, str], list[str]]:
    """The variables to set and to unset for a program, from the response of `POST /_mock/gateway`."""
    from mock_fal.gateway import environment as gateway
    from mock_fal.gateway.addresses import GatewaySecrets, read_secrets, with_password

    host, port = addresses["tls_address"]
    proxy_url, secrets = addresses["proxy_url"], GatewaySecrets(DEFAULT_KEY, addresses["proxy_password"])
    if addresses["secrets_file"]:
        secrets = read_secrets(addresses["secrets_file"])
    if secrets.proxy_password:
        proxy_url = with_password(proxy_url, secrets.proxy_password)
    return gateway.environment(
        base=base,
        proxy_url=proxy_url,
        tls_address=(host, port),
        ca_file=addresses["ca_file"],
        bundle_file=addresses["bundle_file"],
        preload_file=Path(gateway.__file__).with_name("preload.cjs"),
        url=addresses["url"],
        key=key or secrets.key,
        offline=addresses["offline"],
        allow_host=addresses["allow_host"],
        servers=addresses.get("servers", ()),
    )


def open_remote_gateway(
    url: str, wait_s: float = 0.0, token: str = "", *, is_here: bool = True
) -> dict[str, Any]:
    """Open the gateway of the server at `url` and return its addresses. `wait_s` waits for the server to start.

    Raises MockFalError if there is no mock-fal at `url`, if it needs a control token, or if it names files that can't
    be trusted. `is_here`: the server is on this machine, so the files have to exist. Otherwise the addresses are those
    by which this machine reaches the gateway, with `servers`; if it can't, those that the server sent.
    """
    from urllib.error import HTTPError, URLError
    from urllib.request import ProxyHandler, Request, build_opener

    from mock_fal.gateway.addresses import MAX_BYTES, check_files, checked_addresses

    clock = SystemClock()
    deadline = clock.now() + wait_s
    direct = build_opener(ProxyHandler({}))
    headers = {"X-Mock-Fal-Token": token} if token else {}
    while True:
        try:
            opening = Request(f"{url.rstrip('/')}/_mock/gateway", headers=headers, method="POST")
            with direct.open(opening, timeout=30) as response:
                addresses = checked_addresses(json.loads(response.read(MAX_BYTES)))
            if not is_here:
                from mock_fal.gateway.join import is_open_to_others, joined  # imports cryptography

                if is_open_to_others(addresses):
                    certificate = Request(f"{url.rstrip('/')}/_mock/ca.pem", headers=headers)
                    with direct.open(certificate, timeout=30) as response:
                        return joined(addresses, url, response.read(MAX_BYTES), os.environ)
            check_files(addresses, required=is_here)
            # The secrets of another machine are there. Programs then use a base URL, and a key of their own.
            return addresses if is_here else addresses | {"secrets_file": ""}
        except (OSError, ValueError, TypeError, RecursionError) as error:
            if isinstance(error, HTTPError) and error.code == 401:
                hint = "set --control-token or MOCK_FAL_CONTROL_TOKEN to the one that the server printed"
                raise MockFalError(f"the mock-fal at {url} needs its control token; {hint}") from None
            reason = getattr(error, "reason", error)
            if clock.now() >= deadline or not isinstance(error, URLError) or isinstance(error, HTTPError):
                hint = "start one with: mock-fal serve"
                raise MockFalError(f"no mock-fal at {url} ({reason}); {hint}") from None
        threading.Event().wait(0.02)


def _settings(values: Mapping[str, Any]) -> Settings:
    """Settings from keywords. Strings are parsed like CLI flags, and the default port is a free one."""
    known = [setting.name for setting in fields(Settings)]
    for name in values:
        if name not in known:
            from difflib import get_close_matches  # only for the error message

            close = get_close_matches(name, known, 1)
            hint = f"did you mean {close[0]!r}?" if close else f"expected one of {', '.join(known)}"
            raise SettingsError(f"MockFal: unknown setting {name!r}; {hint}")
    parsed = {
        name: read_setting(name, value, name) if isinstance(value, str) else value
        for name, value in values.items()
    }
    return Settings(**{"port": 0, **parsed})


def _with_token(settings: Settings) -> Settings:
    """The settings, with a random control token and proxy password if other machines can connect and none is set."""
    if not (settings.control_token or _is_loopback(settings.host)):
        settings = replace(settings, control_token=random_secret())
    if not (settings.gateway_password or _is_loopback(settings.gateway_host)):
        settings = replace(settings, gateway_password=random_secret())
    return settings


def _reached_at(host: str) -> str:
    """The address at which programs of this machine reach a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _clock(settings: Settings) -> Clock:
    match settings.clock:
        case "manual":
            return ManualClock()
        case "auto-advance":
            return AutoAdvanceClock()
        case _:
            return SystemClock(settings.speed)
