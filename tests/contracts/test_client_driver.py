from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator

import pytest

from mock_fal_contracts.client.driver import Driver, DriverFault

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

    def started(program: str) -> Driver:
        drivers.append(Driver([sys.executable, "-c", program], os.environ))
        return drivers[-1]

    yield started
    for each in drivers:
        each.stop()


def test_a_driver_answers_one_job_after_the_other(start: Start) -> None:
    driver = start(ECHO + 'print(json.dumps({"id": job["id"], "ok": True, "result": job["x"]}), flush=True)')
    assert driver({"id": 1, "op": "x", "x": "猫"}, 20)["result"] == "猫"
    assert driver({"id": 2, "op": "x", "x": 2**64}, 20)["result"] == 2**64


def test_a_driver_that_dies_is_told_with_its_last_words_and_started_again(start: Start) -> None:
    driver = start(
        ECHO + 'job["x"] or sys.exit("no x was given")\n'
        '    print(json.dumps({"id": job["id"], "ok": True}), flush=True)'
    )
    with pytest.raises(DriverFault, match="died without an answer, with exit code 1") as fault:
        driver({"id": 1, "op": "x", "x": 0}, 20)
    assert "no x was given" in str(fault.value)
    assert driver({"id": 2, "op": "x", "x": 1}, 20)["ok"] is True


def test_a_driver_that_ended_before_it_read_the_job_is_told(start: Start) -> None:
    driver = start("import sys; sys.stdin.close(); sys.exit(3)")
    with pytest.raises(DriverFault, match="exit code 3"):
        driver({"id": 1, "op": "x"}, 20)


def test_a_driver_that_says_nothing_is_ended_at_the_deadline(start: Start) -> None:
    driver = start(ECHO + "pass")
    with pytest.raises(DriverFault, match=r"no answer within 0\.2 s"):
        driver({"id": 1, "op": "x"}, 0.2)


def test_a_driver_that_closes_its_mouth_and_lives_on_is_ended(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mock_fal_contracts.client.driver.LAST_BREATH_S", 0.1)
    driver = start("import os, sys; os.close(1); sys.stdin.read()")
    with pytest.raises(DriverFault, match="closed its stdout"):
        driver({"id": 1, "op": "x"}, 20)


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("Loading the model…", "no JSON"),
        ("[1]", "not the id of the job"),
        ('{"id": 2, "ok": true}', "not the id of the job"),
        ('{"id": 1}', "neither"),
        ('{"id": 1, "ok": "yes"}', "neither"),
        ('{"id": 1, "ok": false}', "no object whose"),
        ('{"id": 1, "ok": false, "error": {"kind": "bad"}}', "http, validation, timeout, network, other"),
    ],
)
def test_what_is_no_answer_is_shown_with_what_was_expected(start: Start, line: str, what: str) -> None:
    driver = start(ECHO + f"print({line!r}, flush=True)")
    with pytest.raises(DriverFault, match=what):
        driver({"id": 1, "op": "x"}, 20)


def test_a_driver_that_never_becomes_ready_is_given_up(start: Start) -> None:
    driver = start("raise SystemExit(4)")
    for _ in range(3):
        with pytest.raises(DriverFault, match="exit code 4"):
            driver({"id": 1, "op": "x"}, 20)
    with pytest.raises(DriverFault, match="did not become ready 3 times"):
        driver({"id": 1, "op": "x"}, 20)


def test_a_driver_may_say_that_it_can_not_do_a_job(start: Start) -> None:
    driver = start(ECHO + 'print(json.dumps({"id": job["id"], "unsupported": True}), flush=True)')
    assert driver({"id": 1, "op": "x"}, 20)["unsupported"] is True


def test_a_driver_that_is_not_there_is_told() -> None:
    with pytest.raises(DriverFault, match="no/such/driver"):
        Driver(["no/such/driver"], os.environ)({"id": 1, "op": "x"}, 20)
