"""Where a case is played: a mock in a process of its own, one driver, and the journal that tells what was asked."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from mock_fal_contracts.client import conformance as conformity
from mock_fal_contracts.client.case import ClientCase, Seen
from mock_fal_contracts.client.driver import Answer, Driver, DriverFault, Job
from mock_fal_contracts.exchanges import Exchange, from_journal
from mock_fal_contracts.results import Evidence, Result, failed, passed, skipped
from mock_fal_contracts.target import CheckError, environment, started

# How much faster than the real one the server's clock runs: a request of 5 seconds takes half a second.
SPEED: Final = 10

# Exchanges that are shown of a case that failed; a client that polls may have hundreds.
_SHOWN: Final = 12
_LONGEST: Final = 2000

_direct = build_opener(ProxyHandler({}))


class Server:
    """A mock, by its control API, and as its client where a case needs a request that the driver didn't make."""

    def __init__(self, base: str) -> None:
        self.base = base
        self.key = ""

    def request_id(self, prompt: str) -> str:
        """Submit a request, and return its id."""
        answer = self.ask("POST", "/queue.fal.run/fal-ai/flux/schnell", {"prompt": prompt, "seed": 7})
        return str(answer["request_id"])

    def file(self, url: str) -> tuple[bytes, str]:
        """What a file's address gives: the bytes, and the content type; nothing where there is no file."""
        host_and_path = url.partition("://")[2]
        try:
            with _direct.open(f"{self.base}/{host_and_path}", timeout=10) as answer:
                return answer.read(), answer.headers.get("content-type", "")
        except (HTTPError, ValueError):
            return b"", ""

    def set(self, rules: Iterable[str | Mapping[str, Any]]) -> None:
        """Let these rules hold, and no others."""
        self.ask("PUT", "/_mock/scenario", list(rules))

    def exchanges(self, since: int) -> list[Mapping[str, Any]]:
        """The journal behind an exchange."""
        found: list[Mapping[str, Any]] = self.ask("GET", f"/_mock/requests?since={since}")["requests"]
        return found

    def last(self) -> int:
        """The id of the last exchange in the journal."""
        newest = self.ask("GET", "/_mock/requests?limit=1")["requests"]
        return int(newest[-1]["id"]) if newest else 0

    def ask(self, method: str, path: str, document: Any = None) -> Any:
        """The answer to a question, as JSON."""
        body = None if document is None else json.dumps(document).encode()
        headers = {"authorization": f"Key {self.key}", "content-type": "application/json"}
        try:
            with _direct.open(Request(self.base + path, body, headers, method=method), timeout=30) as answer:
                text = answer.read()
        except HTTPError as error:
            raise CheckError(f"{method} {path}: {error.code} {error.read().decode()[:300]}") from None
        return json.loads(text) if text else None


class CasePlayer:
    """A server and a driver, for one case after the other."""

    def __init__(self, subject: str, server: Server, driver: Driver) -> None:
        self._subject = subject
        self._server = server
        self._driver = driver
        self._number = 0

    def play(self, case: ClientCase) -> Result:
        """Play a case, and judge it."""
        began = perf_counter()
        server = self._server
        server.set(case.rules)
        since = server.last()
        jobs: list[Job] = []
        answers: list[Answer] = []
        fault = ""
        try:
            for each in case.jobs:
                seen = Seen(server, server.key, tuple(jobs), tuple(answers))
                job = each(seen) if callable(each) else each
                if not jobs:
                    since = server.last()  # what came before was ours
                self._number += 1
                jobs.append({"id": self._number, **job})
                answers.append(self._driver(jobs[-1], case.deadline_s))
                if answers[-1].get("unsupported"):
                    return skipped(case.case, self._subject, str(answers[-1].get("reason", "unsupported")))
        except DriverFault as died:
            fault = str(died)
        if case.linger_s and not fault:
            threading.Event().wait(case.linger_s)
        exchanges = tuple(map(from_journal, server.exchanges(since)))
        took_s = perf_counter() - began
        seen = Seen(server, server.key, tuple(jobs), tuple(answers), exchanges, took_s)
        if fault or any("timeout_s" in job.get("options", ()) for job in jobs):
            self._driver.stop()  # what a client that gave up still does belongs to no other case
        wrong = [fault] if fault else list(dict.fromkeys(_faults(seen, case)))
        if not wrong:
            return passed(case.case, self._subject, took_s)
        return failed(case.case, self._subject, "\n".join(wrong), _evidence(seen), took_s)


@contextmanager
def opened(subject: str, command: Sequence[str], signing_key: Path) -> Iterator[CasePlayer]:
    """A stage, with everything on it started; all of it ends with the block."""
    flags = ["--speed", str(SPEED), "--signing-key", str(signing_key), "--offline", "--key", KEY]
    with started(flags) as base:
        server = Server(base)
        environ = environment(base)
        server.key = environ["FAL_KEY"]
        driver = Driver(command, environ)
        try:
            yield CasePlayer(subject, server, driver)
        finally:
            driver.stop()


# The key that a driver finds in FAL_KEY; the server takes no other.
KEY: Final = "c0ffee00-0000-4000-8000-000000000000:5ec2e7000000000000000000000c11e7"


def _faults(seen: Seen, case: ClientCase) -> Iterator[str]:
    """What is wrong, what the case asks for first."""
    for check in case.checks:
        yield from check(seen)
    secret = seen.key.partition(":")[2]
    if any(secret in str(answer) for answer in seen.answers):
        yield "the secret half of the key stands in the answer; keep it out of messages and results"
    yield from conformity.faults(seen)


def _evidence(seen: Seen) -> Iterator[Evidence]:
    for job, answer in zip(seen.jobs, [*seen.answers, None], strict=False):
        said = "(no answer)" if answer is None else _short(answer)
        yield Evidence(_short(job), said, "the driver's job and answer")
    rest = len(seen.exchanges) - _SHOWN
    for number, each in enumerate(seen.exchanges[:_SHOWN], 1):
        note = f"request {number} of {len(seen.exchanges)}"
        yield each.evidence(f"{note}; the server was told: {each.directive}" if each.directive else note)
    if rest > 0:
        yield Evidence(f"… {rest} more requests, of which the last:")
        yield seen.exchanges[-1].evidence(f"request {len(seen.exchanges)}")


def _short(document: Any) -> str:
    text = json.dumps(document, ensure_ascii=False)
    return text if len(text) <= _LONGEST else text[:_LONGEST] + f"… {len(text) - _LONGEST} more characters"


def gaps_s(exchanges: Sequence[Exchange]) -> list[float]:
    """The real seconds between one question and the next."""
    return [(b.at - a.at) / SPEED for a, b in zip(exchanges, exchanges[1:], strict=False)]
