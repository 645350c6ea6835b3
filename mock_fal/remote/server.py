"""A server in another process, and its accounts, with the members that tests know from `MockFal` and `Account`.

The fixture `mock_fal` joins the server of `mock-fal run -- pytest`. Everything is read and changed through the control
API; what that does not offer raises an error that says what to do.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Final, cast

from mock_fal.account import Account
from mock_fal.accounts.secrets import Secrets
from mock_fal.clock import Clock, steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import MockFalError
from mock_fal.journal.exchanges import Exchange
from mock_fal.remote.control import Control, Refused
from mock_fal.remote.records import delivery_of, exchange_of, file_of, usage_of
from mock_fal.remote.rules import RemoteScenario
from mock_fal.server import environment, open_remote_gateway

if TYPE_CHECKING:
    from mock_fal.billing.usage import Usage
    from mock_fal.files.listing import StoredFile
    from mock_fal.requests.retries import Attempt
    from mock_fal.scenario.rules import Scenario
    from mock_fal.webhooks.outbox import Delivery

# What gives a test everything, at the price of a second server.
OWN_SERVER: Final = "a fixture mock_fal_server of your own that yields MockFal(clock='auto-advance')"

# Real seconds between two looks at webhooks that are due.
_PAUSE_S: Final = 0.02


class RemoteServer:
    """The server at a URL of this machine, which another process runs. Raises MockFalError if it can't be joined."""

    def __init__(self, url: str) -> None:
        self._control = Control(url)
        self._addresses = open_remote_gateway(url)
        health = self._control.get("health")
        if not health["any_key"]:
            raise MockFalError(f"the mock-fal at {url} accepts the keys of --key only")
        self.kind_of_clock: str = health["clock"]
        self.clock: Clock = RemoteClock(self._control)
        self.secrets = Secrets()

    @property
    def url(self) -> str:
        """The server's address; see `MockFal.url`."""
        return self._control.url

    @property
    def env(self) -> dict[str, str]:
        """The variables that make an unmodified program use this server."""
        return self.environment(os.environ)[0]

    def environment(
        self, base: Mapping[str, str], key: str | None = None
    ) -> tuple[dict[str, str], list[str]]:
        """The variables to set, and those to unset, for a program whose environment is `base`."""
        return environment(self._addresses, base, key)

    def child_environment(self, base: Mapping[str, str], key: str | None = None) -> dict[str, str]:
        """The whole environment of a child process, whose environment would be `base`."""
        from mock_fal.gateway.environment import child_environment

        return child_environment(base, *self.environment(base, key))

    def guard(self, variables: Mapping[str, str]) -> AbstractContextManager[object]:
        """Redirect or block the connections of this process; see `MockFal.guard`."""
        from mock_fal.gateway.preload.mock_fal_preload import Guard

        # What was opened before leads to the same server: this process was started with its environment.
        guard = Guard.read(variables)
        assert guard is not None, "these are not the variables of environment()"
        return guard

    @property
    def requests(self) -> list[Exchange]:
        """All exchanges of all programs that use the server, oldest first."""
        return self.exchanges()

    def exchanges(self, **query: object) -> list[Exchange]:
        """The exchanges that match the parameters of `GET /_mock/requests`, oldest first."""
        return [exchange_of(shown) for shown in self._control.get("requests", **query)["requests"]]

    def attempts_of(self, name: str, request_id: str) -> list[Attempt]:
        """The attempts at a request of an account; none for one that is not stored."""
        from mock_fal.requests.retries import Attempt

        listed = self._control.get("requests", key=name, request_id=request_id)["requests"]
        return [Attempt(**attempt) for shown in listed for attempt in shown["attempts"] or ()]

    @property
    def gateway_events(self) -> list[Any]:
        """Nothing: the process of the server shows its decisions about connections in its summary."""
        return []

    @property
    def deliveries(self) -> list[Delivery]:
        """The requested webhooks with their delivery attempts, oldest first."""
        return self.deliveries_of(None)

    def deliveries_of(self, name: str | None) -> list[Delivery]:
        """The webhooks of an account, or of all."""
        shown = self._control.get("deliveries", key=name)["deliveries"]
        return cast("list[Delivery]", list(map(delivery_of, shown)))  # with the members that users read

    def send_webhook(
        self, url: str, endpoint: str, output: Any = None, *, error: str = "", key: str | None = None
    ) -> Delivery:
        """Send a signed webhook that no request was submitted for; see `MockFal.send_webhook`."""
        values = {
            "output": output,
            "error": error or None,
            "key": (key or self.env["FAL_KEY"]).partition(":")[0],
        }
        given = {name: value for name, value in values.items() if value is not None}
        return self._sent("webhooks", {"url": url, "endpoint": endpoint, **given})

    def resend_webhook(self, delivery: Delivery, body: Any = None) -> Delivery:
        """Send a finished webhook again, or with a body of your own; see `MockFal.resend_webhook`."""
        given = {} if body is None else {"body": body}
        return self._sent("webhooks/resend", {"request_id": delivery.request_id, **given})

    def _sent(self, path: str, document: dict[str, Any]) -> Delivery:
        """The delivery that a request to the control API starts."""
        try:
            request_id = self._control.send("POST", path, document)["request_id"]
        except Refused as refusal:
            raise MockFalError(str(refusal)) from None
        return next(item for item in reversed(self.deliveries) if item.request_id == request_id)

    def files_of(self, name: str) -> list[StoredFile]:
        """The files of an account."""
        return list(map(file_of, self._control.get("files", key=name)["files"]))

    def usage_of(self, name: str | None) -> Usage:
        """The estimated cost of an account, or of all."""
        return usage_of(self._control.get("usage", key=name))

    @property
    def usage(self) -> Usage:
        """The estimated cost of the completed requests, in US dollars."""
        return self.usage_of(None)

    def scenario_of(self, name: str | None) -> Scenario:
        """The rules of an account, or those for all."""
        return RemoteScenario(self._control, name)

    @property
    def scenario(self) -> Scenario:
        """The rules for all accounts, also for those of other programs that use the server."""
        return self.scenario_of(None)

    def respond(
        self, endpoint: str, output: Any, *, times: int | None = None, billed: float | None = None
    ) -> None:
        """Give an output of your own, in JSON, for all accounts."""
        self.scenario.respond(endpoint, output, times=times, billed=billed)

    def wait_for_deliveries(self, timeout_s: float = 10.0) -> list[Delivery]:
        """Wait until every webhook that is due has been attempted. Raises TimeoutError after `timeout_s`."""
        return self.wait_for_deliveries_of(None, timeout_s)

    def wait_for_deliveries_of(self, name: str | None, timeout_s: float) -> list[Delivery]:
        """Wait until every webhook of an account that is due has been attempted."""
        until = steady_time() + timeout_s
        while True:
            deliveries, now = self.deliveries_of(name), self.clock.now()
            if all(delivery.state.value != "waiting" or delivery.next_at > now for delivery in deliveries):
                return deliveries
            if steady_time() > until:
                raise TimeoutError(f"a webhook was due and not attempted for {timeout_s} s")
            threading.Event().wait(_PAUSE_S)

    def account(self, key: str | None = None) -> RemoteAccount:
        """The account of a key; by default that of the key in `env`."""
        return RemoteAccount(self, key or self.env["FAL_KEY"])

    def account_named(self, name: str) -> RemoteAccount:
        """An account with a key that the server accepts as one of its own run: while recording it has a secret."""
        return self.account(f"{name}:{self.env['FAL_KEY'].partition(':')[2]}")

    def hide(self, text: str) -> str:
        """A text without the secrets of the accounts of this process. The server hides those that it knows."""
        return self.secrets.text(text)

    def reset(self, key: str | None = None) -> None:
        """Delete all requests, files, exchanges and rules, also those of other programs, or those of one key."""
        self._control.send("DELETE", "requests", key=None if key is None else key.partition(":")[0])


class RemoteAccount(Account):
    """The account of one key on a server in another process."""

    def __init__(self, fal: RemoteServer, key: str) -> None:
        super().__init__(fal, cast("Emulator", _Elsewhere(fal.secrets)), key)
        self._server = fal

    @property
    def requests(self) -> list[Exchange]:
        return self._server.exchanges(key=self._name)

    @property
    def deliveries(self) -> list[Delivery]:
        return self._server.deliveries_of(self._name)

    @property
    def files(self) -> list[StoredFile]:
        return self._server.files_of(self._name)

    @property
    def usage(self) -> Usage:
        return self._server.usage_of(self._name)

    def attempts(self, request_id: str) -> list[Attempt]:
        attempts = self._server.attempts_of(self._name, request_id)
        if not attempts:
            raise LookupError(f"no stored request of {self._name} has the id {request_id!r}")
        return attempts

    def wait_for_deliveries(self, timeout_s: float = 10.0) -> list[Delivery]:
        return self._server.wait_for_deliveries_of(self._name, timeout_s)

    @property
    def scenario(self) -> Scenario:
        return self._server.scenario_of(self._name)


class _Elsewhere:
    """Stands for the emulator of another process: what needs it says so."""

    def __init__(self, secrets: Secrets) -> None:
        self.keys = _Keys(secrets)

    def __getattr__(self, name: str) -> Any:
        raise MockFalError(
            "this needs the server in the process of the test, but the fixture has joined the server of mock-fal "
            f"run; run the tests without it, or write {OWN_SERVER}"
        )


class _Keys:
    """The keys that this process has made."""

    def __init__(self, secrets: Secrets) -> None:
        self.secrets = secrets


class RemoteClock:
    """The clock of a server in another process, shared by all programs that use it."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def now(self) -> float:
        """The current time."""
        now: float = self._control.get("clock")["now"]
        return now

    def advance(self, seconds: float) -> None:
        """Move the clock forward. Raises ValueError for a wrong number, RuntimeError for the system clock."""
        try:
            self._control.send("POST", "clock/advance", {"seconds": seconds})
        except Refused as refusal:
            if refusal.status != 409:
                raise ValueError(str(refusal)) from None
            raise RuntimeError(
                f"the clock of the server at {self._control.url} can't be advanced; expected mock-fal run "
                f"--clock auto-advance (or manual), or {OWN_SERVER}"
            ) from None

    def polled(self, next_change: float) -> None:
        """The server itself sees polls."""

    async def wait_until(self, moment: float) -> None:
        raise NotImplementedError("tasks wait in the process of the server")

    async def watch_for(self, moment: float) -> None:
        raise NotImplementedError("tasks wait in the process of the server")

    def wake(self) -> None:
        """Nobody waits in this process."""
