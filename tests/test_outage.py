"""A day of outage, hour by hour, in under a second: what a program of yours would have seen."""

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
    """Asks for a picture each hour, and notes what came of it."""

    def __init__(self, fal: MockFal) -> None:
        self.fal = fal
        self.notes: list[str] = []
        self.clock = fal.clock
        assert isinstance(self.clock, ManualClock)
        self._connection = HTTPConnection(urlsplit(fal.url).netloc)

    def close(self) -> None:
        self._connection.close()

    def hour(self) -> None:
        status, body = self._ask("POST", DEV, b'{"prompt":"a cat"}')
        if status == 200:
            self.clock.advance(60)
            status, _ = self._ask("GET", urlsplit(json.loads(body)["response_url"]).path)
            self.clock.advance(HOUR_S - 60)
        else:
            self.clock.advance(HOUR_S)
        self.notes.append(str(status))

    def hours(self, number: int) -> str:
        """What came of so many hours."""
        del self.notes[:]
        for _ in range(number):
            self.hour()
        return " ".join(f"{status}×{count}" for status, count in Counter(self.notes).items())

    def _ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        self._connection.request(method, path, body, {"Authorization": "Key ana:secret"})
        with self._connection.getresponse() as response:
            return response.status, response.read()


@pytest.fixture
def program() -> Iterator[Program]:
    with MockFal(clock="manual") as fal:
        program = Program(fal)
        yield program
        program.close()


def test_a_day_of_outage(program: Program) -> None:
    scenario, clock = program.fal.scenario, program.clock
    began = clock.now()

    assert program.hours(6) == "200×6"  # the night is quiet

    scenario.add("error=runner_disconnected times=2")
    assert program.hours(4) == "503×2 200×2"  # runners die, and come back

    scenario.add("ingress=502")
    assert program.hours(5) == "502×5"  # then nobody answers at all

    scenario.clear()
    scenario.add("queue=7200")
    assert program.hours(3) == "400×3"  # the queue is longer than anybody waits

    scenario.clear()
    scenario.add("account=locked")
    assert program.hours(2) == "403×2"  # the budget went into all the tries

    scenario.clear()
    assert program.hours(4) == "200×4"
    assert clock.now() - began == 24 * HOUR_S
    assert sum(bool(each.directive) for each in program.fal.requests) == 17
