"""What rules leave alone, and what the command line makes of them."""

from __future__ import annotations

import json
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from mock_fal_contracts.cli import main
from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.target import CheckError
from mock_fal_contracts.usage_rules import keys, retries, subject, waiting
from mock_fal_contracts.usage_rules import stress as trials
from mock_fal_contracts.usage_rules.catalogue import RULES
from mock_fal_contracts.usage_rules.record import Record
from mock_fal_contracts.usage_rules.rule import Rule

MUTANTS = Path(__file__).parent.parent.parent / "contracts/seeded_bugs"

SUBMIT = Exchange(
    at=0,
    method="POST",
    host="queue.fal.run",
    path="/fal-ai/flux/schnell",
    query="",
    request_headers=[("authorization", "Key id:secret")],
    request_body=b'{"prompt":"a cat"}',
    status=200,
    response_headers=[],
    response_body=b"{}",
    request_id="1",
    operation="submit",
    endpoint="fal-ai/flux/schnell",
)
LOOK = replace(
    SUBMIT,
    method="GET",
    path="/fal-ai/flux/requests/1/status",
    request_body=b"",
    status=202,
    response_body=b'{"status":"IN_PROGRESS"}',
    operation="status",
)


def at(exchange: Exchange, *moments: float) -> list[Exchange]:
    """The exchange at each of these moments; each took a hundredth of a second."""
    return [replace(exchange, received_at=moment, duration_s=0.01) for moment in moments]


def found(rule: Rule, exchanges: list[Exchange], **more: object) -> int:
    record = Record(exchanges, **more)  # type: ignore[arg-type]  # the fields of a Record
    return len(list(rule.judge(record, rule.subjects(record))))


def every(seconds: float, count: int, start: float = 1.0) -> list[float]:
    return [start + number * (seconds + 0.01) for number in range(count)]


@pytest.mark.parametrize("pause_s, expected", [(0.001, 1), (0.1, 0), (0.5, 0)])
def test_the_pauses_of_the_official_clients_are_no_busy_polling(pause_s: float, expected: int) -> None:
    assert found(waiting.busy_polling, [SUBMIT, *at(LOOK, *every(pause_s, 100))]) == expected


def test_a_few_quick_looks_are_no_busy_polling() -> None:
    assert found(waiting.busy_polling, [SUBMIT, *at(LOOK, *every(0.001, 10))]) == 0


def test_looks_side_by_side_are_no_busy_polling() -> None:
    polls = [replace(poll, duration_s=0.5) for poll in at(LOOK, *every(0.01, 100))]
    assert found(waiting.busy_polling, [SUBMIT, *polls]) == 0


BUSY = replace(SUBMIT, status=429, response_headers=[("retry-after", "2")], request_id="")


@pytest.mark.parametrize("pauses", [(0.15, 0.1, 0.2), (0.05, 0.3, 0.6), (1, 2, 4), (2, 2, 2)])
def test_who_waits_longer_from_try_to_try_does_not_ignore_retry_after(pauses: tuple[float, ...]) -> None:
    """The first two are the extremes of fal_client's chance, the third is @fal-ai/client, the last obeys."""
    moments = [1.0]
    for pause in pauses:
        moments.append(moments[-1] + 0.01 + pause)
    tries = [*at(BUSY, *moments[:-1]), *at(SUBMIT, moments[-1])]
    assert found(retries.retry_after, tries) == 0
    assert found(retries.retry_after, [*at(BUSY, *every(0.01, 3)), *at(SUBMIT, 1.08)]) == 1


def test_several_callers_with_the_same_input_are_not_one_who_tries_again() -> None:
    refused = at(BUSY, *every(0.001, 3))
    assert found(retries.retry_after, [*refused, *at(SUBMIT, 1.1, 1.2, 1.3, 1.4)]) == 0
    failing = at(replace(SUBMIT, status=500), *every(0.001, 9))
    baseline = Record(at(SUBMIT, 1, 2, 3))
    assert found(retries.backoff, failing) == 1
    assert found(retries.backoff, failing, habits=baseline.usual) == 0


def test_a_key_that_is_refused_in_other_calls_too_is_no_repetition() -> None:
    refused = replace(SUBMIT, status=401)
    others = [
        replace(refused, request_body=b'{"prompt":"%d"}' % number, received_at=1.05 + number)
        for number in range(8)
    ]
    mixed = sorted([*at(refused, *range(1, 9)), *others], key=lambda each: each.received_at)
    assert found(retries.refused_key, mixed) == 0
    assert found(retries.refused_key, at(refused, *range(1, 9))) == 1


def test_who_cancels_or_comes_back_may_submit_again() -> None:
    lost = replace(LOOK, status=0, directive="connection=hang", received_at=2)
    cancel = replace(
        LOOK, method="PUT", path="/fal-ai/flux/requests/1/cancel", operation="cancel", received_at=3
    )
    again = replace(SUBMIT, request_id="2", received_at=4)
    back = replace(LOOK, received_at=5)
    assert found(waiting.double_submission, [SUBMIT, lost, again]) == 1
    assert found(waiting.double_submission, [SUBMIT, lost, cancel, again]) == 0
    assert found(waiting.double_submission, [SUBMIT, lost, again, back]) == 0


def test_the_fetch_of_node_is_no_browser() -> None:
    node = [("authorization", "Key id:secret"), ("sec-fetch-mode", "cors"), ("user-agent", "node")]
    assert found(keys.key_in_browser, [replace(SUBMIT, request_headers=node)]) == 0


def test_a_key_in_an_address_is_not_shown() -> None:
    [finding] = keys.key_in_url.judge(
        record := Record([replace(SUBMIT, query="key=id:secret")]), record.exchanges
    )
    [evidence] = finding.evidence
    assert "secret" not in finding.message + evidence.request


@pytest.mark.parametrize(
    "command, expected",
    [
        ("python app.py", "app.py"),
        ("/usr/bin/python3.11 -u src/app.py x", "app.py"),
        ("python -m pytest tests", "pytest"),
        ("npx vitest", "vitest"),
        ("./fal-demo --fast", "fal-demo"),
        ("python -", "python"),
    ],
)
def test_a_program_has_the_name_of_what_is_run(command: str, expected: str) -> None:
    assert subject(shlex.split(command)) == expected


def test_a_trouble_that_there_is_not_is_refused() -> None:
    assert [each.name for each in trials.chosen("gone, busy")] == ["gone", "busy"]
    assert trials.chosen("") == ()
    with pytest.raises(CheckError, match="--stress 'boring': expected refused, broken"):
        trials.chosen("boring")


# -- the command line

QUICK = [sys.executable, "-c", "import sys; sys.exit(3)"]
CULPRIT = [sys.executable, str(MUTANTS / "no_key.py")]


def test_the_rules_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "usage.webhook-*"], ["app"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and lines[-1].startswith("usage.webhook-duplicate ")


def test_a_program_that_fails_by_itself_gives_its_exit_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet"], QUICK) == 3
    told = capfd.readouterr()
    assert "the command ended with 3" in told.err and "no request came" in told.err
    assert f"{len(RULES)} skipped" in told.out


def test_a_finding_fails_until_the_baseline_knows_it_and_when_it_is_stale(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    known, badge, junit, page = (
        tmp_path / name for name in ("known.txt", "badge.svg", "junit.xml", "x.json")
    )
    flags = ["--quiet", "--baseline", str(known)]
    files = ["--badge", str(badge), "--junit", str(junit), "--json", str(page)]
    assert main(["--quiet", *files], CULPRIT) == 1
    told = capfd.readouterr().out
    assert "FAIL no_key.py: sends its key  [usage.key-missing]" in told
    assert "came without a key and was answered 401; set the header Authorization." in told
    assert "<svg" in badge.read_text() and 'failures="1"' in junit.read_text()
    assert "usage.key-missing" in json.dumps(json.loads(page.read_text()))

    assert main([*flags, "--write-baseline"], CULPRIT) == 0
    assert "no_key.py usage.key-missing" in known.read_text()
    assert main(flags, CULPRIT) == 0

    known.write_text("no_key.py usage.key-missing\nno_key.py usage.call-method\n")
    assert main(flags, CULPRIT) == 1
    assert "STALE no_key.py: calls a model with POST" in capfd.readouterr().out


def test_a_command_that_there_is_not_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([], ["/no/such/program"]) == 2
    assert "/no/such/program: No such file or directory" in capfd.readouterr().err


def test_a_run_that_takes_too_long_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", "--timeout", "0.5"], ["sleep", "60"]) == 124
    assert "the command was ended after 0.5 s (--timeout)" in capfd.readouterr().err


def test_no_rule_has_such_a_name(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "usage.nothing"], QUICK) == 2
    assert "no rule has such an id" in capfd.readouterr().err
