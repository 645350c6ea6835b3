"""Plays cases: starts a mock and a driver, sends the jobs, reads the journal and runs the checks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from time import perf_counter
from typing import Any, Final

from mock_fal_contracts.client import conformance
from mock_fal_contracts.client.case import ClientCase
from mock_fal_contracts.client.driver import Answer, Driver, DriverError, Job
from mock_fal_contracts.client.mock_server import SPEED, MockServer
from mock_fal_contracts.client.observation import Observation
from mock_fal_contracts.exchanges import from_journal
from mock_fal_contracts.results import Evidence, Result, failed, passed, skipped
from mock_fal_contracts.target import environment, running_mock

# The key in the driver's FAL_KEY. The mock accepts no other.
KEY: Final = "c0ffee00-0000-4000-8000-000000000000:5ec2e7000000000000000000000c11e7"

# Exchanges and characters that the evidence of a failed case shows; a client that polls may send hundreds of requests.
_MAX_EXCHANGES: Final = 12
_MAX_TEXT: Final = 2000


# Options by which a client gives up.
_GIVES_UP: Final = frozenset({"timeout_s", "abort_after_s"})


class CasePlayer:
    """Plays cases one after the other, with one mock and one driver."""

    def __init__(self, subject: str, server: MockServer, driver: Driver) -> None:
        self._subject = subject
        self._server = server
        self._driver = driver
        self._last_job_id = 0

    def play(self, case: ClientCase) -> Result:
        """Play a case and check what the client did."""
        started = perf_counter()
        server = self._server
        server.set_rules(case.rules)
        since = server.last_exchange_id()
        jobs: list[Job] = []
        answers: list[Answer] = []
        driver_error = ""
        try:
            for item in case.jobs:
                observation = Observation(server, server.key, tuple(jobs), tuple(answers))
                job = item(observation) if callable(item) else item
                if not jobs:
                    since = server.last_exchange_id()  # the job itself may have submitted a request
                self._last_job_id += 1
                jobs.append({"id": self._last_job_id, **job})
                answers.append(self._driver(jobs[-1], case.deadline_s))
                if answers[-1].get("unsupported"):
                    return skipped(case.case, self._subject, str(answers[-1].get("reason", "unsupported")))
        except DriverError as error:
            driver_error = str(error)
        if case.linger_s and not driver_error:
            threading.Event().wait(case.linger_s)
        exchanges = tuple(map(from_journal, server.exchanges_since(since)))
        duration_s = perf_counter() - started
        observation = Observation(server, server.key, tuple(jobs), tuple(answers), exchanges, duration_s)
        if driver_error or any(_may_be_late(job) for job in jobs):
            self._driver.stop()  # so that late requests of a client that gave up do not reach the next case
        violations = [driver_error] if driver_error else list(dict.fromkeys(_violations(observation, case)))
        if not violations:
            return passed(case.case, self._subject, duration_s)
        return failed(case.case, self._subject, "\n".join(violations), _evidence(observation), duration_s)


def _may_be_late(job: Job) -> bool:
    """Whether the client may still send requests after its answer."""
    return not _GIVES_UP.isdisjoint(job.get("options", ()))


@contextmanager
def case_server(signing_key: Path) -> Iterator[tuple[MockServer, Mapping[str, str]]]:
    """A mock, stopped at the end of the block, and the environment for drivers that use it."""
    flags = ["--speed", str(SPEED), "--signing-key", str(signing_key), "--offline", "--key", KEY]
    with running_mock(flags) as base:
        environ = environment(base)
        yield MockServer(base, environ["FAL_KEY"]), environ


@contextmanager
def case_player(
    subject: str, command: Sequence[str], server: MockServer, environ: Mapping[str, str]
) -> Iterator[CasePlayer]:
    """A player with a driver, stopped at the end of the block. No other player uses the server meanwhile."""
    driver = Driver(command, environ)
    try:
        yield CasePlayer(subject, server, driver)
    finally:
        driver.stop()


def _violations(observation: Observation, case: ClientCase) -> Iterator[str]:
    """All violations; those of the case's own checks come first."""
    for check in case.checks:
        yield from check(observation)
    secret = observation.key.partition(":")[2]
    if any(secret in str(answer) for answer in observation.answers):
        yield "the secret half of the key is in the answer; keep it out of messages and results"
    yield from conformance.violations(observation)


def _evidence(observation: Observation) -> Iterator[Evidence]:
    for job, answer in zip(observation.jobs, [*observation.answers, None], strict=False):
        text = "(no answer)" if answer is None else _short(answer)
        yield Evidence(_short(job), text, "the driver's job and answer")
    exchanges = observation.exchanges
    hidden = len(exchanges) - _MAX_EXCHANGES
    for number, exchange in enumerate(exchanges[:_MAX_EXCHANGES], 1):
        note = f"request {number} of {len(exchanges)}"
        yield exchange.evidence(f"{note}; directive: {exchange.directive}" if exchange.directive else note)
    if hidden > 0:
        yield Evidence(f"… {hidden} more requests; the last one:")
        yield exchanges[-1].evidence(f"request {len(exchanges)}")


def _short(document: Any) -> str:
    text = json.dumps(document, ensure_ascii=False)
    return text if len(text) <= _MAX_TEXT else text[:_MAX_TEXT] + f"… {len(text) - _MAX_TEXT} more characters"
