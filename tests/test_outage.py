"""A program that uses fal every hour, during a simulated day with outages."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from mock_fal import ManualClock, MockFal

HOUR_S = 3600.0
DEV = "/queue.fal.run/fal-ai/flux/dev"


class Program:
    """Requests a picture every hour and records the status."""

    def __init__(self, fal: MockFal) -> None:
        self.fal = fal
        self.statuses: list[str] = []
        self.clock = fal.clock
        assert isinstance(self.clock, ManualClock)
        self._connection = HTTPConnection(urlsplit(fal.url).netloc)

    def close(self) -> None:
        self._connection.close()

    def run_hour(self) -> None:
        status, body = self._request("POST", DEV, b'{"prompt":"a cat"}')
        if status == 200:
            self.clock.advance(60)
            status, _ = self._request("GET", urlsplit(json.loads(body)["response_url"]).path)
            self.clock.advance(HOUR_S - 60)
        else:
            self.clock.advance(HOUR_S)
        self.statuses.append(str(status))

    def run_hours(self, number: int) -> str:
        """The number of each status in `number` hours."""
        del self.statuses[:]
        for _ in range(number):
            self.run_hour()
        return " ".join(f"{status}×{count}" for status, count in Counter(self.statuses).items())

    def _request(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self._connection.request(method, path, body, {"Authorization": "Key ana:secret"})
        with self._connection.getresponse() as response:
            return response.status, response.read()


@pytest.fixture
def program() -> Iterator[Program]:
    with MockFal(clock="manual") as fal:
        program = Program(fal)
        yield program
        program.close()


def test_a_program_sees_each_outage_of_a_day(program: Program) -> None:
    scenario, clock = program.fal.scenario, program.clock
    start = clock.now()

    assert program.run_hours(6) == "200×6"  # no fault

    scenario.add("error=runner_disconnected retry=false times=2")
    assert program.run_hours(4) == "503×2 200×2"  # two runners fail

    scenario.add("ingress=502")
    assert program.run_hours(5) == "502×5"  # the ingress fails

    scenario.clear()
    scenario.add("queue=7200")
    assert program.run_hours(3) == "400×3"  # the queue is longer than the program waits

    scenario.clear()
    scenario.add("account=locked")
    assert program.run_hours(2) == "403×2"  # the balance is exhausted

    scenario.clear()
    assert program.run_hours(4) == "200×4"
    assert clock.now() - start == 24 * HOUR_S
    assert sum(bool(exchange.directive) for exchange in program.fal.requests) == 17
