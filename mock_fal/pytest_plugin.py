"""The pytest plugin: the fixture `mock_fal`, a fal of its own for every test.

    def test_my_app(mock_fal):
        import fal_client
        fal_client.subscribe("fal-ai/flux/schnell", {"prompt": "a cat"})
        mock_fal.assert_called_once_with(endpoint="fal-ai/flux/schnell", prompt="a cat")

One server is started for the session, with a auto-advance clock, so that no test waits. Each test has a key of its
own, in `FAL_KEY`, and sees its own requests only; the environment leads unmodified clients to the server.
"""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

# Nothing else is imported here: the plugin is loaded in every run of pytest, also in those that don't use it.
if TYPE_CHECKING:
    from mock_fal.account import Account
    from mock_fal.server import MockFal
    from mock_fal.webhooks.receiver import WebhookReceiver


@pytest.fixture(scope="session")
def mock_fal_server() -> Iterator[MockFal]:
    """The server of this session. Override this fixture to give it other settings."""
    from mock_fal.server import MockFal

    with MockFal(clock="auto-advance") as fal:
        yield fal


@pytest.fixture
def mock_fal(
    mock_fal_server: MockFal, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Account]:
    """A fal for one test: cleared, with a key of its own, reached by any client that the test uses."""
    mock_fal_server.reset()
    # The worker and the test's name: a late request of another test belongs to that one's key.
    worker = os.environ.get("PYTEST_XDIST_WORKER", "main")
    # A key travels in a header, so its letters are plain ones.
    name = "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in request.node.name)
    account = mock_fal_server.account(f"{worker}-{name}:test")
    added, removed = mock_fal_server.environment(os.environ, account.key)
    for variable in removed:
        monkeypatch.delenv(variable, raising=False)
    for variable, value in added.items():
        monkeypatch.setenv(variable, value)
    _forget_clients()
    request.node.stash[_BEGUN] = len(mock_fal_server.gateway_events)
    yield account
    account.close()
    _forget_clients()


# How many connections the gateway had decided about before a test.
_BEGUN = pytest.StashKey[int]()


@pytest.fixture
def mock_fal_webhooks(mock_fal: Account) -> WebhookReceiver:
    """A receiver for the webhooks of one test: `webhook_url=mock_fal_webhooks.url`, then `wait_for(1)`."""
    return mock_fal.webhooks


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell, below a test that failed, what it had asked and was answered."""
    outcome: Any = yield
    report: pytest.TestReport = outcome.get_result()
    known = getattr(item, "funcargs", {}).get("mock_fal")
    if known is None or report.when != "call" or not report.failed:
        return
    from mock_fal.account import Account
    from mock_fal.summary import summary

    if isinstance(known, Account):  # a project may have a fixture of that name, too
        report.sections.append(
            ("mock-fal", summary(known.requests, known.fal.gateway_events[item.stash[_BEGUN] :]))
        )


# Async clients of past tests. Their event loops are over, so nobody can close them any more; they live on,
# as they would have without us, rather than complain of it in the middle of another test.
_past: list[object] = []


def _forget_clients() -> None:
    """Make every living client of fal_client look at the environment again.

    The two behind its module-level functions, and those that a program keeps, hold on to the key, the proxy and the
    roots of their first use. They stay as they are; only what they have cached is dropped, as if the program had
    just begun.
    """
    fal_client = sys.modules.get("fal_client")
    if fal_client is None:
        return
    # A program's own clients can be anywhere; an object refers to its class, and so the collector finds them.
    for kind in (fal_client.SyncClient, fal_client.AsyncClient):
        for client in gc.get_referrers(kind):
            if type(client) is kind:
                _forget(vars(client))


def _forget(cached: dict[str, Any]) -> None:
    client: Any = cached.get("_client")
    if hasattr(client, "close"):
        client.close()
    elif client is not None:
        _past.append(client)
    for name in ("_auth", "_client", "_token_manager"):
        cached.pop(name, None)
