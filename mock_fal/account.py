"""One key's part of a server, as a test sees it: what was asked, what is to fail, what time it is."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from mock_fal.clock import Clock
from mock_fal.emulator import Emulator
from mock_fal.errors import SettingsError
from mock_fal.journal.exchanges import Exchange

if TYPE_CHECKING:
    from mock_fal.billing.usage import Usage
    from mock_fal.files.listing import StoredFile
    from mock_fal.scenario.rules import Scenario
    from mock_fal.webhooks.outbox import Delivery
    from mock_fal.webhooks.receiver import WebhookReceiver


class Server(Protocol):
    """What an account needs of the server that it is on: a MockFal."""

    @property
    def url(self) -> str: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def requests(self) -> list[Exchange]: ...
    @property
    def deliveries(self) -> list[Delivery]: ...
    @property
    def gateway_events(self) -> list[Any]: ...
    def environment(
        self, base: Mapping[str, str], key: str | None = None
    ) -> tuple[dict[str, str], list[str]]: ...
    def wait_for_deliveries(self, timeout_s: float = 10.0) -> list[Delivery]: ...
    def reset(self, key: str | None = None) -> None: ...


class Account:
    """One key's part of a server: its requests and its rules. Accounts never meet.

    The assertions are those of `unittest.mock`, about the calls of models: `endpoint` may hold `*`, and the other
    keywords are the whole input. Without any of them the input may be anything.

        mock_fal.assert_called_once_with(endpoint="fal-ai/flux/*", prompt="a cat")
    """

    def __init__(self, fal: Server, emulator: Emulator, key: str) -> None:
        name, colon, secret = key.partition(":")
        if not (name and colon and secret):
            raise SettingsError(f"{key!r} is no key of fal; expected id:secret")
        self.fal = fal
        self.key = key
        self._name = name
        self._emulator = emulator

    def __repr__(self) -> str:
        return f"<account {self._name} of the mock-fal at {self.url}>"

    @property
    def url(self) -> str:
        """Our own address; see `MockFal.url`."""
        return self.fal.url

    @property
    def env(self) -> dict[str, str]:
        """The variables that lead an unmodified program here, with this account's key."""
        return self.fal.environment(os.environ, self.key)[0]

    # -- what happened

    @property
    def requests(self) -> list[Exchange]:
        """What was asked with this key, or about requests that were submitted with it; oldest first."""
        return [exchange for exchange in self.fal.requests if exchange.tenant == self._name]

    @property
    def submissions(self) -> list[Exchange]:
        """Only the calls of models, by the queue or directly, each with its `endpoint` and `input`."""
        return [exchange for exchange in self.requests if exchange.is_submission]

    @property
    def deliveries(self) -> list[Delivery]:
        """The webhooks that requests with this key asked for, oldest first."""
        return [delivery for delivery in self.fal.deliveries if delivery.tenant == self._name]

    @property
    def files(self) -> list[StoredFile]:
        """The files that this key uploaded, then those of its results."""
        from mock_fal.files.listing import files

        its = self._emulator
        known = files(its.store, its.storage, its.clock.now())
        return [file for file in known if file.owner == self._name]

    @property
    def usage(self) -> Usage:
        """What this key's requests would have cost."""
        from mock_fal.billing.usage import usage

        return usage(self._emulator.charges(self._name))

    def wait_for_deliveries(self, timeout_s: float = 10.0) -> list[Delivery]:
        """Wait until every webhook that is due by now has been tried; see `MockFal.settle`."""
        self.fal.wait_for_deliveries(timeout_s)
        return self.deliveries

    @cached_property
    def webhooks(self) -> WebhookReceiver:
        """A receiver of webhooks, started at the first look: `webhook_url=mock_fal.webhooks.url`."""
        from mock_fal.webhooks.receiver import WebhookReceiver

        return WebhookReceiver(f"{self.url}/rest.fal.ai/.well-known/jwks.json").start()

    # -- what must have happened

    @property
    def call_count(self) -> int:
        """How often a model was called."""
        return len(self.submissions)

    def assert_called_once_with(self, *, endpoint: str = "*", **input: Any) -> None:
        """Raises AssertionError unless a model was called once, and so; it shows the difference field by field."""
        from mock_fal.journal.assertions import Expected, check_once  # for tests only

        __tracebackhide__ = True
        check_once(self.submissions, Expected(endpoint, input))

    def assert_called_with(self, *, endpoint: str = "*", **input: Any) -> None:
        """Raises AssertionError unless the last call of a model was so."""
        from mock_fal.journal.assertions import Expected, check_last  # for tests only

        __tracebackhide__ = True
        check_last(self.submissions, Expected(endpoint, input))

    def assert_any_call(self, *, endpoint: str = "*", **input: Any) -> None:
        """Raises AssertionError unless some call of a model was so."""
        from mock_fal.journal.assertions import Expected, check_any  # for tests only

        __tracebackhide__ = True
        check_any(self.submissions, Expected(endpoint, input))

    def assert_not_called(self, *, endpoint: str = "*") -> None:
        """Raises AssertionError if a model was called."""
        from mock_fal.journal.assertions import check_none

        __tracebackhide__ = True
        check_none(self.submissions, endpoint)

    # -- what is to happen

    @property
    def clock(self) -> Clock:
        """The server's clock, which all accounts share."""
        return self.fal.clock

    @property
    def scenario(self) -> Scenario:
        """The rules for this account."""
        return self._emulator.store.tenant(self._name).scenario

    def fail_next(self, error: str, *, times: int = 1, endpoint: str = "*") -> None:
        """Let the next calls of a model end in one of fal's errors, such as `content_policy_violation`.

        Raises ScenarioError for an error that fal does not have.
        """
        self.scenario.add(f"error={error}", times=times, endpoint=endpoint)

    def reset(self) -> None:
        """Forget everything that is this account's."""
        self.fal.reset(self.key)

    def close(self) -> None:
        """Stop the receiver of webhooks, if it was started."""
        receiver = self.__dict__.pop("webhooks", None)
        if receiver is not None:
            receiver.stop()
