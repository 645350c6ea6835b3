"""The pytest plugin: the fixture `mock_fal`, a separate account of a local fal for each test.

    def test_my_app(mock_fal):
        import fal_client
        fal_client.subscribe("fal-ai/flux/schnell", {"prompt": "a cat"})
        mock_fal.assert_called_once_with(endpoint="fal-ai/flux/schnell", prompt="a cat")

One server runs for the session, with an auto-advance clock, so that no test waits. Each test has its own key in
`FAL_KEY` and sees only its own requests. The environment variables make unmodified clients use the server.

Clients of fal_client may be created at any time. Other HTTP clients should be created inside the test or in a fixture
that uses `mock_fal`: those created before keep their key. They reach the server nevertheless, because the fixture
guards all connections of this process; the report of a failed test names the other key.
"""

from __future__ import annotations

import gc
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

# Nothing else is imported here: pytest loads the plugin in every run, also if no test uses it.
if TYPE_CHECKING:
    from mock_fal.account import Account
    from mock_fal.journal.exchanges import Exchange
    from mock_fal.server import MockFal
    from mock_fal.webhooks.receiver import WebhookReceiver


@pytest.fixture(scope="session")
def mock_fal_server() -> Iterator[MockFal]:
    """The server of the session. Override this fixture to change its settings."""
    from mock_fal.server import MockFal

    with MockFal(clock="auto-advance") as fal:
        yield fal


@pytest.fixture
def mock_fal(
    mock_fal_server: MockFal, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """A local fal for one test: empty, with a separate key, used by all clients that the test creates."""
    mock_fal_server.reset()
    # The worker and the test's name: a late request of an earlier test has the key of that test.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    # Keys are sent in a header, so they are ASCII.
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in request.node.name)
    account = mock_fal_server.account(f"{worker}-{name}:test")
    added, removed = mock_fal_server.environment(os.environ, account.key)
    for variable in removed:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in added.items():
        monkeypatch.setenv(variable, value)
    _reset_clients()
    request.node.stash[_EVENTS_BEFORE] = len(mock_fal_server.gateway_events)
    _running.add(_key_id(account))
    with mock_fal_server.guard(added):
        yield account
    _running.discard(_key_id(account))
    account.close()
    _reset_clients()


# The number of gateway decisions before the test.
_EVENTS_BEFORE = pytest.StashKey[int]()

# The key ids of the tests that are running.
_running: set[str] = set()


@pytest.fixture
def mock_fal_webhooks(mock_fal: Account) -> WebhookReceiver:
    """A webhook receiver for one test: `webhook_url=mock_fal_webhooks.url`, then `wait_for(1)`."""
    return mock_fal.webhooks


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add a section to the report of a failed test: its requests, and the requests with another key."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    account = getattr(item, "funcargs", {}).get("mock_fal")
    if account is None or report.when != "call" or not report.failed:
        return
    from mock_fal.account import Account
    from mock_fal.summary import summary

    if isinstance(account, Account):  # a project may have another fixture with this name
        exchanges = _exchanges(account)
        events = account.fal.gateway_events[item.stash[_EVENTS_BEFORE] :]
        text = summary(exchanges, events, deliveries=account.deliveries)
        report.sections.append(("mock-fal", account.fal.hide(text + _other_keys(account, exchanges))))


def _key_id(account: Account) -> str:
    return account.key.partition(":")[0]


def _exchanges(account: Account) -> list[Exchange]:
    """The exchanges of a test, and those with a key that belongs to no running test."""
    other_tests = {"", *_running} - {_key_id(account)}
    return [exchange for exchange in account.fal.requests if exchange.tenant not in other_tests]


def _other_keys(account: Account, exchanges: Iterable[Exchange]) -> str:
    """A line for each key id, other than the test's, that its requests used."""
    counts = Counter(exchange.tenant for exchange in exchanges if exchange.tenant != _key_id(account))
    return "".join(
        f"mock-fal:   {count} request{'s' if count > 1 else ''} used the key id {key_id!r} instead of this test's: "
        "a client created before the fixture (at import time) keeps the key it was created with; "
        "create it inside the test or in a fixture that uses mock_fal\n"
        for key_id, count in counts.items()
    )


# Async clients of earlier tests. Their event loops have ended, so they can't be closed. They are kept alive, because
# collecting them would raise a ResourceWarning in another test.
_earlier_clients: list[object] = []


def _reset_clients() -> None:
    """Make all clients of fal_client read the environment again.

    The clients of the module-level functions, and those that a program keeps, cache the key, the proxy and the roots
    when they are first used. Only these caches are cleared.
    """
    fal_client = sys.modules.get("fal_client")
    if fal_client is None:
        return
    # A program's clients can be anywhere. Each refers to its class, so the garbage collector finds them.
    for client_class in (fal_client.SyncClient, fal_client.AsyncClient):
        for client in gc.get_referrers(client_class):
            if type(client) is client_class:
                _clear_cache(vars(client))


def _clear_cache(cached: dict[str, Any]) -> None:
    client: Any = cached.get("_client")
    if hasattr(client, "close"):
        client.close()
    elif client is not None:
        _earlier_clients.append(client)
    for name in ("_auth", "_client", "_token_manager"):
        cached.pop(name, None)
