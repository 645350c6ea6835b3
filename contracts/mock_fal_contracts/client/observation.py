"""An observation: the jobs of a case, the driver's answers, and the requests that the client sent to the mock."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mock_fal_contracts.client.driver import Answer, Job
from mock_fal_contracts.client.mock_server import SPEED, MockServer
from mock_fal_contracts.exchanges import Exchange

# fal's media hosts: files are uploaded to them and downloaded from them.
_MEDIA = ("fal.media", "v3.fal.media", "v3b.fal.media")


@dataclass(frozen=True, slots=True)
class Observation:
    """The state of a case so far. `exchanges` are those of the client, in order; `key` is the key it was given."""

    server: MockServer
    key: str
    jobs: tuple[Job, ...]
    answers: tuple[Answer, ...]
    exchanges: tuple[Exchange, ...] = ()
    duration_s: float = 0.0

    @property
    def answer(self) -> Answer:
        """The answer to the last job."""
        return self.answers[-1]

    @property
    def ok(self) -> bool:
        """Whether the last job succeeded."""
        return self.answer["ok"] is True

    @property
    def error(self) -> Mapping[str, Any]:
        """The error in the last answer; empty if it has none."""
        return self.answer.get("error") or {}

    @property
    def updates(self) -> list[Mapping[str, Any]]:
        """The status updates in the last answer."""
        return [update for update in self.answer.get("updates") or [] if isinstance(update, dict)]

    def requests(self, *operations: str) -> list[Exchange]:
        """The exchanges of these operations, by the names that `operation_of` returns."""
        return [exchange for exchange in self.exchanges if operation_of(exchange) in operations]


def operation_of(exchange: Exchange) -> str:
    """The operation that a client requested, by host and path: submit, status, status/stream, result, cancel, run,
    stream, realtime, initiate, upload, download, token, jwks or other.
    """
    host, path, method = exchange.host, exchange.path.rstrip("/"), exchange.method
    if method == "WS":
        return "realtime"
    if host.startswith("queue."):
        _, request, rest = path.partition("/requests/")
        suffix = rest.partition("/")[2]
        return (suffix or "result") if request else "submit"
    if host in ("fal.run", "falrun.com"):
        return "stream" if path.endswith("/stream") else "run"
    if host in _MEDIA:
        return "download" if method in ("GET", "HEAD") else "upload"
    if path.startswith(("/storage/auth/token", "/tokens")):
        return "token"
    if path.startswith("/storage/upload"):
        return "initiate"
    return "jwks" if path.endswith("jwks.json") else "other"


def gaps_s(exchanges: Sequence[Exchange]) -> list[float]:
    """The real seconds from the start of each request to the start of the next one."""
    return [(later.at - earlier.at) / SPEED for earlier, later in zip(exchanges, exchanges[1:], strict=False)]
