"""A case of the catalogue: what the server does, what the client shall do, and what must be seen then."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mock_fal_contracts.client.driver import Answer, Job
from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.results import Case

if TYPE_CHECKING:
    from mock_fal_contracts.client.playing import Server

# fal's media hosts: files are uploaded to and read from them.
_MEDIA = ("fal.media", "v3.fal.media", "v3b.fal.media")


@dataclass(frozen=True, slots=True)
class Seen:
    """What a case has shown so far. `exchanges` are the client's, in their order; `key` is what it was given."""

    server: Server
    key: str
    jobs: tuple[Job, ...]
    answers: tuple[Answer, ...]
    exchanges: tuple[Exchange, ...] = ()
    took_s: float = 0.0

    @property
    def answer(self) -> Answer:
        """The answer to the last job."""
        return self.answers[-1]

    @property
    def ok(self) -> bool:
        """Whether the last job did well."""
        return self.answer["ok"] is True

    @property
    def error(self) -> Mapping[str, Any]:
        """What the last answer tells of an error; empty where it tells of none."""
        return self.answer.get("error") or {}

    def to(self, *kinds: str) -> list[Exchange]:
        """The exchanges of such kinds."""
        return [each for each in self.exchanges if kind(each) in kinds]


# What yields a sentence for each thing that is wrong.
Check = Callable[[Seen], Iterable[str]]


@dataclass(frozen=True, slots=True)
class ClientCase:
    """One case. `jobs` may be functions of what was seen so far; `rules` are the server's scenario.

    `deadline_s` is for each answer of the driver. After the last of them, `linger_s` seconds pass before the
    exchanges are looked at. `slow_s` is how long the case may take with a good client, where that is much.
    """

    case: Case
    jobs: tuple[Job | Callable[[Seen], Job], ...]
    checks: tuple[Check, ...]
    rules: tuple[str | Mapping[str, Any], ...] = ()
    deadline_s: float = 20.0
    linger_s: float = 0.0
    slow_s: float = 0.0


def case(
    id: str,
    title: str,
    requirement: str,
    source: str,
    jobs: Iterable[Job | Callable[[Seen], Job]],
    checks: Iterable[Check],
    rules: Iterable[str | Mapping[str, Any]] = (),
    deadline_s: float = 20.0,
    linger_s: float = 0.0,
    slow_s: float = 0.0,
) -> ClientCase:
    """A case, as the files of the catalogue write it."""
    return ClientCase(
        Case(id, title, requirement, source),
        tuple(jobs),
        tuple(checks),
        tuple(rules),
        deadline_s,
        linger_s,
        slow_s,
    )


def kind(exchange: Exchange) -> str:
    """What a client asked for: submit, status, result, cancel, run, stream, upload, token, file, or other."""
    host, path, method = exchange.host, exchange.path.rstrip("/"), exchange.method
    if host.startswith("queue."):
        _, request, rest = path.partition("/requests/")
        step = rest.partition("/")[2]
        return (step or "result") if request else "submit"
    if host in ("fal.run", "falrun.com"):
        return "stream" if path.endswith("/stream") else "run"
    if host in _MEDIA:
        return "file" if method in ("GET", "HEAD") else "upload"
    if path.startswith(("/storage/auth/token", "/tokens")):
        return "token"
    if path.startswith("/storage/upload"):
        return "initiate"
    return "jwks" if path.endswith("jwks.json") else "other"
