"""Where laws are tried: a target, its clock, what was found so far, and what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

import httpx

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server.budget import Budget
from mock_fal_contracts.server.findings import Findings, NotNow
from mock_fal_contracts.server.http_client import HttpClient
from mock_fal_contracts.target import Target

# How long a foreign server may take until a request is completed.
PATIENCE_S = 120.0

# The pause between two looks at a foreign server (the JavaScript client waits half a second, Python a tenth).
_GAP_S = 0.25


@dataclass
class Context:
    """`clock` is that of a mock (`manual`, `auto-advance` or `system`), and empty for any other server."""

    target: Target
    clock: str = ""
    seed: int = 0
    examples: int = 20
    findings: Findings = field(default_factory=Findings)
    budget: Budget = field(default_factory=Budget)
    seen: Callable[[Exchange], None] = lambda exchange: None

    @property
    def is_frozen(self) -> bool:
        """Whether nothing moves unless it is told to."""
        return self.clock == "manual"

    @property
    def is_real_time(self) -> bool:
        """Whether one has to wait, and what was answered once can't be repeated."""
        return self.clock not in ("manual", "auto-advance")

    @contextmanager
    def http_client(self, key: str | None = None) -> Iterator[HttpClient]:
        """A connection of its own, with the target's key or another."""
        with HttpClient(self.target, key or self.target.key, self._seen) as http_client:
            yield http_client

    def keys(self, count: int) -> list[str]:
        """So many keys: those of a mock are free; elsewhere there is one."""
        if not self.clock:
            return [self.target.key] * count
        return [f"client-{number}:contract" for number in range(count)]

    def pass_time(self, seconds: float = _GAP_S) -> None:
        """Let a moment pass: a manual clock is moved, a stepping one moves by itself, the real one is waited for."""
        if self.is_frozen:
            answer = httpx.post(
                f"{self.target.base}/_mock/clock/advance",
                json={"seconds": seconds},
                trust_env=False,
                verify=False,
            )
            answer.raise_for_status()
        elif self.is_real_time:
            Event().wait(min(seconds, _GAP_S))

    def polls(self, gap_s: float = _GAP_S) -> Iterator[int]:
        """Count looks at something that takes time, for as long as one may wait for it."""
        most = int(PATIENCE_S / gap_s)
        for number in range(most):
            yield number
            self.pass_time(gap_s)

    def needs_direct_runs(self) -> None:
        """A direct run on a clock that stands still would never be answered."""
        if self.is_frozen:
            raise NotNow(
                "a direct run waits for a clock that stands still; start the mock with --clock auto-advance"
            )

    def _seen(self, exchange: Exchange) -> None:
        self.budget.count(exchange)
        self.seen(exchange)


def clock_of(base: str) -> str:
    """The clock of the mock at an address: `manual`, `auto-advance` or `system`; empty when there is none."""
    try:
        document: Any = httpx.get(f"{base}/_mock/clock", timeout=10, trust_env=False, verify=False).json()
        return str(document["clock"])
    except (httpx.HTTPError, ValueError, KeyError, TypeError):
        return ""
