"""The account of one key on a server: its requests, rules, webhooks and assertions about calls."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

from mock_fal.accounts.secrets import HIDDEN, own_secret, shown_key
from mock_fal.clock import Clock
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import SettingsError
from mock_fal.journal.exchanges import Exchange

if TYPE_CHECKING:
    from mock_fal.billing.usage import Usage
    from mock_fal.files.listing import StoredFile
    from mock_fal.requests.retries import Attempt
    from mock_fal.scenario.output import File
    from mock_fal.scenario.rules import Scenario
    from mock_fal.webhooks.outbox import Delivery
    from mock_fal.webhooks.receiver import WebhookReceiver


class Server(Protocol):
    """The part of MockFal that an account uses."""

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
    def send_webhook(
        self, url: str, endpoint: str, output: Any = None, *, error: str = "", key: str | None = None
    ) -> Delivery: ...
    def resend_webhook(self, delivery: Delivery, body: Any = None) -> Delivery: ...
    def reset(self, key: str | None = None) -> None: ...
    def hide(self, text: str) -> str: ...


class Account:
    """The account of one key: its requests, rules and webhooks, isolated from those of other keys.

    The assertions are those of `unittest.mock`, for calls of models: `endpoint` may contain `*`, and the other
    keywords are the whole input. Without keywords every input matches.

        mock_fal.assert_called_once_with(endpoint="fal-ai/flux/*", prompt="a cat")
    """

    def __init__(self, fal: Server, emulator: Emulator, key: str) -> None:
        name, colon, secret = key.partition(":")
        if not (name and colon and secret):
            raise SettingsError(f"{shown_key(key)!r} is not a fal key; expected id:secret")
        emulator.keys.secrets.add(key)
        self.fal = fal
        self.key = key
        self._name = name
        self._emulator = emulator

    def __repr__(self) -> str:
        return f"<account {self._name} of the mock-fal at {self.url}>"

    @property
    def url(self) -> str:
        """The URL of the server; see `MockFal.url`."""
        return self.fal.url

    @property
    def env(self) -> dict[str, str]:
        """The environment variables that direct an unmodified program to this server, with this account's key."""
        return self.fal.environment(os.environ, self.key)[0]

    # -- requests and results

    @property
    def requests(self) -> list[Exchange]:
        """The HTTP exchanges with this key, or about requests submitted with it; oldest first."""
        return [exchange for exchange in self.fal.requests if exchange.tenant == self._name]

    @property
    def submissions(self) -> list[Exchange]:
        """The calls of models among them, queued or direct, each with its `endpoint` and `input`."""
        return [exchange for exchange in self.requests if exchange.is_submission]

    def attempts(self, request_id: str) -> list[Attempt]:
        """The attempts at a request so far: fal tries a queued request again after some failures of its runner.

        Each has `id`, `starts_at`, `ends_at`, `status` and `error_type`. Raises LookupError for an id that is not
        stored.

            assert [attempt.status for attempt in mock_fal.attempts(request_id)] == [503, 200]
        """
        from mock_fal.requests.retries import attempts

        request = self._emulator.store.requests.get(request_id)
        if request is None or request.tenant != self._name:
            raise LookupError(f"no stored request of {self._name} has the id {request_id!r}")
        return attempts(request, self.clock.now())

    @property
    def deliveries(self) -> list[Delivery]:
        """The webhooks of requests with this key, oldest first."""
        return [delivery for delivery in self.fal.deliveries if delivery.tenant == self._name]

    @property
    def files(self) -> list[StoredFile]:
        """The uploaded files, then those of results."""
        from mock_fal.files.listing import files

        emulator = self._emulator
        stored = files(emulator.store, emulator.storage, emulator.clock.now())
        return [file for file in stored if file.owner == self._name]

    @property
    def usage(self) -> Usage:
        """The estimated cost of this key's requests."""
        from mock_fal.billing.usage import usage

        return usage(self._emulator.charges(self._name))

    def wait_for_deliveries(self, timeout_s: float = 10.0) -> list[Delivery]:
        """Wait until every webhook that is due was attempted; see `MockFal.wait_for_deliveries`."""
        self.fal.wait_for_deliveries(timeout_s)
        return self.deliveries

    def send_webhook(self, url: str, endpoint: str, output: Any = None, *, error: str = "") -> Delivery:
        """Send a signed webhook that no request was submitted for; see `MockFal.send_webhook`.

        mock_fal.send_webhook(mock_fal.webhooks.url, "fal-ai/whisper", {"text": "hello"})
        """
        return self.fal.send_webhook(url, endpoint, output, error=error, key=self.key)

    def resend_webhook(self, delivery: Delivery, body: Any = None) -> Delivery:
        """Send a finished webhook again, or with a body of your own; see `MockFal.resend_webhook`."""
        return self.fal.resend_webhook(delivery, body)

    @cached_property
    def webhooks(self) -> WebhookReceiver:
        """A webhook receiver, started at the first access: `webhook_url=mock_fal.webhooks.url`."""
        from mock_fal.webhooks.receiver import WebhookReceiver

        return WebhookReceiver(f"{self.url}/rest.fal.ai/.well-known/jwks.json").start()

    # -- assertions

    @property
    def call_count(self) -> int:
        """The number of calls of models."""
        return len(self.submissions)

    def assert_called_once_with(self, *, endpoint: str = "*", **input: Any) -> None:
        """Raises AssertionError unless there was one call, with this input; the message shows the differing fields."""
        from mock_fal.journal.assertions import Expected, check_once  # for tests only

        __tracebackhide__ = True
        check_once(self.submissions, Expected(endpoint, self._shown(input)))

    def assert_called_with(self, *, endpoint: str = "*", **input: Any) -> None:
        """Raises AssertionError unless the last call was to this endpoint with this input."""
        from mock_fal.journal.assertions import Expected, check_last  # for tests only

        __tracebackhide__ = True
        check_last(self.submissions, Expected(endpoint, self._shown(input)))

    def assert_any_call(self, *, endpoint: str = "*", **input: Any) -> None:
        """Raises AssertionError unless some call was to this endpoint with this input."""
        from mock_fal.journal.assertions import Expected, check_any  # for tests only

        __tracebackhide__ = True
        check_any(self.submissions, Expected(endpoint, self._shown(input)))

    def assert_not_called(self, *, endpoint: str = "*") -> None:
        """Raises AssertionError if a model of this endpoint was called."""
        from mock_fal.journal.assertions import check_none

        __tracebackhide__ = True
        check_none(self.submissions, endpoint)

    def _shown(self, value: Any) -> Any:
        """An expected value as the journal has it: with keys by their ids, without their secrets."""
        if isinstance(value, str):
            secret = own_secret(f"Key {self.key}")
            text = self.fal.hide(value)
            return text.replace(secret, HIDDEN) if secret else text
        if type(value) is dict:
            return {name: self._shown(part) for name, part in value.items()}
        return [self._shown(part) for part in value] if type(value) is list else value

    # -- control

    @property
    def clock(self) -> Clock:
        """The server's clock, shared by all accounts."""
        return self.fal.clock

    @property
    def scenario(self) -> Scenario:
        """The rules of this account."""
        return self._emulator.store.tenant(self._name).scenario

    def fail_next(
        self, error: str, *, times: int = 1, endpoint: str = "*", billed: float | None = None
    ) -> None:
        """Make the next calls of a model fail with an error of fal, such as `content_policy_violation`.

        A queued call is tried again after a failure of its runner, such as `runner_disconnected`: each attempt counts,
        and the call fails after ten. `billed` are the units that a model error costs.

        `concurrent_requests_limit` applies to direct requests only, because queued ones wait at the limit; to refuse
        a submission, use `scenario.add("status=429 retry_after=1 times=1")`. Raises ScenarioError for an error that
        fal does not have.
        """
        self.scenario.add(f"error={error}", times=times, endpoint=endpoint, billed=billed)

    def respond(
        self, endpoint: str, output: Any, *, times: int | None = None, billed: float | None = None
    ) -> None:
        """Give an output of your own for an endpoint, known or not, or for those that match a pattern such as `me/*`.

        `output` is JSON, which may hold `File` objects, or a callable that gets the input and returns such JSON; it
        runs in a thread. `times` limits it to the next calls; `billed` sets the billable units of each. Later outputs
        take precedence. Raises ScenarioError.

            mock_fal.respond("fal-ai/whisper", {"text": "hello", "chunks": []})
            mock_fal.respond("me/my-app", lambda input: {"echo": input["text"]})
        """
        self.scenario.respond(endpoint, output, times=times, billed=billed)

    @property
    def File(self) -> type[File]:
        """The class `mock_fal.File`, also where a fixture hides the module."""
        from mock_fal.scenario.output import File

        return File

    def reset(self) -> None:
        """Remove the account's requests, files, rules and webhooks."""
        self.fal.reset(self.key)

    def close(self) -> None:
        """Stop the webhook receiver, if it was started."""
        receiver = self.__dict__.pop("webhooks", None)
        if receiver is not None:
            receiver.stop()
