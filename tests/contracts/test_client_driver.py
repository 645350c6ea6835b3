from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest

from mock_fal_contracts.client.driver import Driver, DriverError

Start = Callable[[str], Driver]

ECHO = """
import json, sys
for line in sys.stdin:
    job = json.loads(line)
    if job["op"] == "hello":
        print('{"id": 0, "unsupported": true}', flush=True)
        continue
    """


@pytest.fixture
def start() -> Iterator[Start]:
    drivers: list[Driver] = []

    def create(program: str) -> Driver:
        drivers.append(Driver([sys.executable, "-c", program], os.environ))
        return drivers[-1]

    yield create
    for driver in drivers:
        driver.stop()


def test_a_driver_answers_jobs_one_by_one(start: Start) -> None:
    driver = start(ECHO + 'print(json.dumps({"id": job["id"], "ok": True, "result": job["x"]}), flush=True)')
    assert driver({"id": 1, "op": "x", "x": "猫"}, 20)["result"] == "猫"
    assert driver({"id": 2, "op": "x", "x": 2**64}, 20)["result"] == 2**64


def test_a_dead_driver_is_reported_with_its_stderr_and_started_again(start: Start) -> None:
    driver = start(
        ECHO + 'job["x"] or sys.exit("no x was given")\n'
        '    print(json.dumps({"id": job["id"], "ok": True}), flush=True)'
    )
    with pytest.raises(DriverError, match="died without an answer, with exit code 1") as error:
        driver({"id": 1, "op": "x", "x": 0}, 20)
    assert "no x was given" in str(error.value)
    assert driver({"id": 2, "op": "x", "x": 1}, 20)["ok"] is True


def test_a_driver_that_exits_before_it_reads_the_job_is_reported(start: Start) -> None:
    driver = start("import sys; sys.stdin.close(); sys.exit(3)")
    with pytest.raises(DriverError, match="exit code 3"):
        driver({"id": 1, "op": "x"}, 20)


def test_a_silent_driver_is_stopped_at_the_deadline(start: Start) -> None:
    driver = start(ECHO + "pass")
    with pytest.raises(DriverError, match=r"no answer within 0\.2 s"):
        driver({"id": 1, "op": "x"}, 0.2)


def test_a_driver_that_closes_its_stdout_but_does_not_exit_is_stopped(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mock_fal_contracts.client.driver.EXIT_S", 0.1)
    driver = start("import os, sys; os.close(1); sys.stdin.read()")
    with pytest.raises(DriverError, match="closed its stdout"):
        driver({"id": 1, "op": "x"}, 20)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("Loading the model…", "not JSON"),
        ("[1]", "not have the id of the job"),
        ('{"id": 2, "ok": true}', "not have the id of the job"),
        ('{"id": 1}', "neither"),
        ('{"id": 1, "ok": "yes"}', "neither"),
        ('{"id": 1, "ok": false}', "not an object with"),
        (
            '{"id": 1, "ok": false, "error": {"kind": "bad"}}',
            "http, validation, timeout, aborted, network, other",
        ),
    ],
)
def test_an_invalid_answer_is_reported_with_what_was_expected(start: Start, line: str, message: str) -> None:
    driver = start(ECHO + f"print({line!r}, flush=True)")
    with pytest.raises(DriverError, match=message):
        driver({"id": 1, "op": "x"}, 20)


def test_a_driver_that_never_becomes_ready_is_not_started_again(start: Start) -> None:
    driver = start("raise SystemExit(4)")
    for _ in range(3):
        with pytest.raises(DriverError, match="exit code 4"):
            driver({"id": 1, "op": "x"}, 20)
    with pytest.raises(DriverError, match="failed to become ready 3 times"):
        driver({"id": 1, "op": "x"}, 20)


def test_a_driver_may_answer_that_a_job_is_unsupported(start: Start) -> None:
    driver = start(ECHO + 'print(json.dumps({"id": job["id"], "unsupported": True}), flush=True)')
    assert driver({"id": 1, "op": "x"}, 20)["unsupported"] is True


def test_a_missing_driver_program_is_reported() -> None:
    with pytest.raises(DriverError, match="no/such/driver"):
        Driver(["no/such/driver"], os.environ)({"id": 1, "op": "x"}, 20)
