"""The pytest plugin: the fixture `mock_fal`, a separate account of a local fal for each test.

    def test_my_app(mock_fal):
        import fal_client
        fal_client.subscribe("fal-ai/flux/schnell", {"prompt": "a cat"})
        mock_fal.assert_called_once_with(endpoint="fal-ai/flux/schnell", prompt="a cat")

One server runs for the session, with an auto-advance clock, so that no test waits. Each test has its own key in
`FAL_KEY` and sees only its own requests. The environment variables make unmodified clients use the server.

Under `mock-fal run -- pytest`, the tests join the server that runs already, each with an account of its own: clients
that were created before the fixture, and other programs of the run, then use the same server.

Clients of fal_client may be created at any time. Other HTTP clients should be created inside the test or in a fixture
that uses `mock_fal`: those created before keep their key. They reach the server nevertheless, because the fixture
guards all connections of this process; the report of a failed test names the other key.
"""

from __future__ import annotations

import gc
import os
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

# Nothing else is imported here: pytest loads the plugin in every run, also if no test uses it.
if TYPE_CHECKING:
    from mock_fal.account import Account
    from mock_fal.journal.exchanges import Exchange
    from mock_fal.remote.server import RemoteServer
    from mock_fal.server import MockFal
    from mock_fal.webhooks.receiver import WebhookReceiver


@pytest.fixture(scope="session")
def mock_fal_server(pytestconfig: pytest.Config) -> Iterator[MockFal | RemoteServer]:
    """The server of the session: that of `mock-fal run`, or one of its own. Override it to change its settings."""
    from mock_fal.server import MockFal

    running = _running_server(pytestconfig)
    if running is not None:
        yield running
        return
    with MockFal(clock="auto-advance") as fal:
        yield fal


def _running_server(config: pytest.Config) -> RemoteServer | None:
    """The server of `mock-fal run` around pytest, if it can be joined."""
    url = os.environ.get("MOCK_FAL_URL", "")
    if not url:
        return None
    from mock_fal.errors import MockFalError
    from mock_fal.remote.server import RemoteServer

    try:
        running = RemoteServer(url)
    except MockFalError as error:
        _note(config, f"the tests used a server of their own, not the one of MOCK_FAL_URL: {error}")
        return None
    _note(config, f"the tests joined the server at {url}, each with an account of its own{_slow(running)}")
    return running


def _slow(running: RemoteServer) -> str:
    """What to do about a clock that makes tests wait."""
    if running.kind_of_clock == "auto-advance":
        return ""
    return f"; its clock is {running.kind_of_clock}: no test waits with mock-fal run --clock auto-advance"


# What the terminal shows after the tests, each line once.
_NOTES = pytest.StashKey[dict[str, None]]()


def _note(config: pytest.Config, text: str) -> None:
    config.stash.setdefault(_NOTES, {})[f"mock-fal: {text}"] = None


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which server the tests used if there was a choice."""
    notes: dict[str, None] = config.stash.setdefault(_NOTES, {})
    for note in notes:
        terminalreporter.write_line(note)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """A worker of pytest-xdist sends its notes to the process with the terminal."""
    output = getattr(session.config, "workeroutput", None)
    if output is not None:
        notes: dict[str, None] = session.config.stash.setdefault(_NOTES, {})
        output["mock_fal_notes"] = list(notes)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Keep the notes of a worker of pytest-xdist."""
    for note in getattr(node, "workeroutput", {}).get("mock_fal_notes", ()):
        node.config.stash.setdefault(_NOTES, {})[note] = None


@pytest.fixture
def mock_fal(
    mock_fal_server: MockFal | RemoteServer, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """A local fal for one test: empty, with a separate key, used by all clients that the test creates."""
    account = _new_account(mock_fal_server, request)
    added, removed = mock_fal_server.environment(os.environ, account.key)
    for variable in removed:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in added.items():
        monkeypatch.setenv(variable, value)
    _reset_clients()
    request.node.stash[_EVENTS_BEFORE] = len(mock_fal_server.gateway_events)
    request.node.stash[_EXCHANGES_BEFORE] = _last_exchange(mock_fal_server)
    _running.add(_key_id(account))
    with mock_fal_server.guard(added):
        yield account
    _running.discard(_key_id(account))
    account.close()
    _reset_clients()


def _new_account(server: MockFal | RemoteServer, request: pytest.FixtureRequest) -> Account:
    """The account of a test, empty. Nothing else is left on a server that only the tests use."""
    from mock_fal.server import MockFal

    # The worker and the test's name: a late request of an earlier test has the key of that test.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    # Keys are sent in a header, so they are ASCII.
    name = "".join(c if c.isascii() and c.isalnum() else "-" for c in request.node.name)
    if isinstance(server, MockFal):
        server.reset()
        url = os.environ.get("MOCK_FAL_URL")
        if url and _NOTES not in request.config.stash:
            _note(
                request.config,
                f"mock_fal_server gave the tests a server of their own, not the one at {url}: what a client that was "
                "created outside of the fixture did there is not known to the tests",
            )
        return server.account(f"{worker}-{name}:test")
    account = server.account_named(f"{worker}-{name}")
    account.reset()
    return account


def _last_exchange(server: MockFal | RemoteServer) -> int:
    """The number of the latest exchange on a server that others use too."""
    from mock_fal.server import MockFal

    latest = [] if isinstance(server, MockFal) else server.exchanges(limit=1)
    return latest[0].number if latest else 0


# The number of gateway decisions before the test, and that of the latest exchange.
_EVENTS_BEFORE = pytest.StashKey[int]()
_EXCHANGES_BEFORE = pytest.StashKey[int]()

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
        exchanges = _exchanges(account, item.stash[_EXCHANGES_BEFORE])
        events = account.fal.gateway_events[item.stash[_EVENTS_BEFORE] :]
        text = summary(exchanges, events, deliveries=account.deliveries)
        report.sections.append(("mock-fal", account.fal.hide(text + _other_keys(account, exchanges))))


def _key_id(account: Account) -> str:
    return account.key.partition(":")[0]


def _exchanges(account: Account, before: int) -> list[Exchange]:
    """The exchanges of a test, and those with a key that belongs to no running test."""
    other_tests = {"", *_running} - {_key_id(account)}
    other_workers = re.compile(rf"(?!{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-)gw\d+-")
    return [
        exchange
        for exchange in account.fal.requests
        if exchange.number > before
        and exchange.tenant not in other_tests
        and not other_workers.match(exchange.tenant)
    ]


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
