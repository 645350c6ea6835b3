"""What a check of invariants needs: the target, its clock, the findings and the budget."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import httpx

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server.budget import Budget
from mock_fal_contracts.server.findings import Findings, NotTestable
from mock_fal_contracts.server.http_client import HttpClient
from mock_fal_contracts.target import Target

# How long a request may take to complete on a server in real time.
MAX_WAIT_S = 120.0

# The pause between two polls of a server in real time (the JavaScript client waits 0.5 s, the Python client 0.1 s).
_POLL_INTERVAL_S = 0.25


@dataclass
class Context:
    """`clock` is the clock of a mock (`manual`, `auto-advance` or `system`), and empty for any other server."""

    target: Target
    clock: str = ""
    seed: int = 0
    examples: int = 20
    findings: Findings = field(default_factory=Findings)
    budget: Budget = field(default_factory=Budget)
    on_exchange: Callable[[Exchange], None] = lambda exchange: None

    @property
    def has_manual_clock(self) -> bool:
        """Whether time advances only on request."""
        return self.clock == "manual"

    @property
    def is_real_time(self) -> bool:
        """Whether a check has to wait in real time; such a server can't be brought back to an earlier state."""
        return self.clock not in ("manual", "auto-advance")

    @contextmanager
    def http_client(self, key: str | None = None) -> Iterator[HttpClient]:
        """A separate connection, with the target's key or another one."""
        with HttpClient(self.target, key or self.target.key, self._on_exchange) as http_client:
            yield http_client

    def keys(self, count: int) -> list[str]:
        """`count` keys: a mock accepts any key; on another server all are the target's key."""
        if not self.clock:
            return [self.target.key] * count
        return [f"client-{number}:contract" for number in range(count)]

    def advance_time(self, seconds: float = _POLL_INTERVAL_S) -> None:
        """Advance a manual clock, or wait in real time; an auto-advance clock needs neither."""
        if self.has_manual_clock:
            response = httpx.post(
                f"{self.target.base}/_mock/clock/advance",
                json={"seconds": seconds},
                trust_env=False,
                verify=False,
            )
            response.raise_for_status()
        elif self.is_real_time:
            Event().wait(min(seconds, _POLL_INTERVAL_S))

    def polls(self, interval_s: float = _POLL_INTERVAL_S) -> Iterator[int]:
        """Yield the number of each poll until MAX_WAIT_S is over; time advances after each."""
        for number in range(int(MAX_WAIT_S / interval_s)):
            yield number
            self.advance_time(interval_s)

    def require_direct_runs(self) -> None:
        """Raise NotTestable on a manual clock, where a direct run never gets a response."""
        if self.has_manual_clock:
            raise NotTestable(
                "a direct run never ends on a manual clock; start the mock with --clock auto-advance"
            )

    def _on_exchange(self, exchange: Exchange) -> None:
        self.budget.record(exchange)
        self.on_exchange(exchange)


def clock_of(base: str) -> str:
    """The clock of the mock at a URL: `manual`, `auto-advance` or `system`; empty for any other server."""
    try:
        document: Any = httpx.get(f"{base}/_mock/clock", timeout=10, trust_env=False, verify=False).json()
        return str(document["clock"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ""
