"""Usage rules: what is not a violation, and the command line of the check of a program."""

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
from mock_fal_contracts.usage_rules import addresses, inputs, keys, program_name, retries, stress, waiting
from mock_fal_contracts.usage_rules.catalogue import RULES
from mock_fal_contracts.usage_rules.record import Record
from mock_fal_contracts.usage_rules.rule import Rule

SEEDED_BUGS = Path(__file__).parent.parent.parent / "contracts/seeded_bugs"

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
POLL = replace(
    SUBMIT,
    method="GET",
    path="/fal-ai/flux/requests/1/status",
    request_body=b"",
    status=202,
    response_body=b'{"status":"IN_PROGRESS"}',
    operation="status",
)


def sent_at(exchange: Exchange, *times: float) -> list[Exchange]:
    """The exchange at each of these times, with a duration of 0.01 s."""
    return [replace(exchange, received_at=time, duration_s=0.01) for time in times]


def violations(rule: Rule, exchanges: list[Exchange], **more: object) -> int:
    """The number of violations of a rule."""
    record = Record(exchanges, **more)  # type: ignore[arg-type]  # the fields of a Record
    return len(list(rule.find(record, rule.select(record))))


def intervals(seconds: float, count: int, start: float = 1.0) -> list[float]:
    """Times with a pause of `seconds` after each exchange."""
    return [start + number * (seconds + 0.01) for number in range(count)]


@pytest.mark.parametrize("pause_s, expected", [(0.001, 1), (0.1, 0), (0.5, 0)])
def test_the_pauses_of_the_official_clients_are_not_busy_polling(pause_s: float, expected: int) -> None:
    assert violations(waiting.busy_polling, [SUBMIT, *sent_at(POLL, *intervals(pause_s, 100))]) == expected


def test_a_few_quick_polls_are_not_busy_polling() -> None:
    assert violations(waiting.busy_polling, [SUBMIT, *sent_at(POLL, *intervals(0.001, 10))]) == 0


def test_a_malformed_url_of_a_file_is_one_that_fal_can_not_download() -> None:
    exchange = replace(SUBMIT, request_body=b'{"prompt": "a cat", "image_url": "http://["}')
    assert violations(inputs.file_url, [exchange]) == 1


def test_overlapping_polls_are_not_busy_polling() -> None:
    polls = [replace(poll, duration_s=0.5) for poll in sent_at(POLL, *intervals(0.01, 100))]
    assert violations(waiting.busy_polling, [SUBMIT, *polls]) == 0


CALL = replace(SUBMIT, host="fal.run", path="/me/app", endpoint="me/app", operation="run", request_id="")
UNKNOWN = {"me/app": ["you/app", "me/apps"]}


@pytest.mark.parametrize(
    ("status", "unknown", "expected"), [(404, UNKNOWN, 1), (200, UNKNOWN, 0), (404, {}, 0), (422, UNKNOWN, 0)]
)
def test_an_unknown_endpoint_is_one_without_a_model_and_without_an_output_of_the_user(
    status: int, unknown: dict[str, list[str]], expected: int
) -> None:
    assert violations(addresses.endpoint, [replace(CALL, status=status)], closest=unknown) == expected


def test_an_unknown_path_of_an_app_is_found_by_its_result() -> None:
    call = replace(SUBMIT, path="/me/app", endpoint="me/app")
    result = replace(POLL, path="/me/app/requests/1", operation="result", status=404)
    assert violations(addresses.endpoint, [call, result], closest=UNKNOWN) == 1
    assert violations(addresses.endpoint, [call, replace(result, status=200)], closest=UNKNOWN) == 0


def test_the_closest_ids_are_named() -> None:
    record = Record([replace(CALL, status=404)], closest=UNKNOWN)
    [finding] = addresses.endpoint.find(record, record.calls)
    assert "did you mean you/app or me/apps?" in finding.message


def findings(rule: Rule, *exchanges: Exchange, **more: object) -> list[str]:
    """The messages of a rule."""
    record = Record(exchanges, **more)  # type: ignore[arg-type]  # the fields of a Record
    return [finding.message for finding in rule.find(record, rule.select(record))]


ADDRESS = replace(POLL, status=405, operation="other", endpoint="")


@pytest.mark.parametrize(
    ("method", "host", "path", "expected"),
    [
        ("POST", "fal.run", "/", "https://fal.run/{owner}/{app}"),
        ("POST", "fal.run", "/fast-sdxl", "https://fal.run/fal-ai/fast-sdxl"),
        ("POST", "queue.fal.run", "/fast-sdxl", "https://queue.fal.run/fal-ai/fast-sdxl"),
        ("POST", "fal.run", "/workflows/me", "https://fal.run/{owner}/{app}"),
        ("GET", "queue.fal.run", "/requests/1/status", "https://queue.fal.run/fal-ai/flux/requests/1/status"),
        ("GET", "queue.fal.run", "/schnell/requests/1", "https://queue.fal.run/fal-ai/flux/requests/1,"),
        ("PUT", "queue.fal.run", "/requests/2/cancel", "/{owner}/{app}/requests/{id}/cancel"),
    ],
)
def test_an_address_without_owner_and_app_is_found_and_the_right_one_named(
    method: str, host: str, path: str, expected: str
) -> None:
    wrong = replace(ADDRESS, method=method, host=host, path=path, status=404)
    [message] = findings(addresses.app, SUBMIT, wrong, closest={"fast-sdxl": ["fal-ai/fast-sdxl"]})
    assert f"was answered 404: expected {expected}" in message or f"{expected}, as the" in message
    others = (addresses.request_url, addresses.read_method, addresses.cancel_method, addresses.call_method)
    assert [findings(rule, SUBMIT, wrong) for rule in (*others, addresses.allowed)] == [[]] * 5


@pytest.mark.parametrize(
    ("method", "host", "path", "expected"),
    [
        (
            "GET",
            "queue.fal.run",
            "/fal-ai/flux/requests/1/response",
            "/fal-ai/flux/requests/1: GET for the result",
        ),
        (
            "GET",
            "queue.fal.run",
            "/fal-ai/flux/requests/1/logs/all",
            "GET …/status, GET …/status/stream, PUT",
        ),
        ("GET", "rest.fal.ai", "/storage/upload/initiate", "expected POST"),
    ],
)
def test_every_405_is_found_and_the_right_address_named(
    method: str, host: str, path: str, expected: str
) -> None:
    wrong = replace(ADDRESS, method=method, host=host, path=path, response_headers=[("allow", "POST")])
    [message] = findings(addresses.allowed, SUBMIT, wrong)
    assert "was answered 405" in message and expected in message
    assert findings(addresses.allowed, SUBMIT, replace(wrong, directive="status=405")) == []


def test_a_405_has_one_finding() -> None:
    long = replace(ADDRESS, path="/fal-ai/flux/schnell/requests/1/status")
    assert len(findings(addresses.request_url, SUBMIT, long)) == 1
    assert findings(addresses.allowed, SUBMIT, long) == []


def test_a_program_waits_without_a_limit_if_it_still_polls_when_it_is_ended() -> None:
    polls = sent_at(POLL, *range(1, 10))
    first = replace(SUBMIT, received_at=0.5)
    assert len(findings(waiting.wait_limit, first, *polls, killed_after_s=10)) == 1
    assert findings(waiting.wait_limit, first, *polls) == []
    # A server is ended too: it has stopped to poll.
    assert findings(waiting.wait_limit, first, *polls[:3], killed_after_s=10) == []
    cancel = replace(
        POLL, method="PUT", path="/fal-ai/flux/requests/1/cancel", operation="cancel", received_at=9.5
    )
    assert findings(waiting.wait_limit, first, *polls, cancel, killed_after_s=10) == []
    done = replace(POLL, status=200, response_body=b'{"status":"COMPLETED"}', received_at=9.5)
    assert findings(waiting.wait_limit, first, *polls, done, killed_after_s=10) == []


@pytest.mark.parametrize(
    ("agent", "expected"),
    [
        ("fal-client/0.2.2 (python)", True),
        ("@fal-ai/client/1.10.1", True),
        ("@fal-ai/serverless-client/0.15.0", True),
        ("node", True),
        ("node-fetch/1.0", False),
        ("Python-urllib/3.11", False),
    ],
)
def test_clients_whose_limit_is_longer_than_a_check_have_one(agent: str, expected: bool) -> None:
    assert waiting.has_own_timeout(replace(POLL, request_headers=[("user-agent", agent)])) is expected


def test_advice_is_what_works() -> None:
    advice = {rule.case.id.removeprefix("usage.") for rule in RULES if rule.is_advice}
    assert advice == {"key-to-storage", "data-uri", "busy-polling", "wait-limit", "retry-after", "backoff"}


REJECTED = replace(SUBMIT, status=429, response_headers=[("retry-after", "2")], request_id="")


@pytest.mark.parametrize("pauses", [(0.15, 0.1, 0.2), (0.05, 0.3, 0.6), (1, 2, 4), (2, 2, 2)])
def test_a_client_with_growing_pauses_does_not_ignore_retry_after(pauses: tuple[float, ...]) -> None:
    """The first two are the extremes of fal_client's jitter, the third is @fal-ai/client, the last obeys."""
    assert violations(retries.retry_after, rejected_with_pauses(pauses)) == 0


@pytest.mark.parametrize("pauses", [(0.01, 0.01, 0.01), (0.01, 0.02, 0.18), (0.01, 0.18, 0.02)])
def test_a_client_that_is_just_slow_ignores_retry_after(pauses: tuple[float, ...]) -> None:
    assert violations(retries.retry_after, rejected_with_pauses(pauses)) == 1


def rejected_with_pauses(pauses: tuple[float, ...]) -> list[Exchange]:
    times = [1.0]
    for pause in pauses:
        times.append(times[-1] + 0.01 + pause)
    return [*sent_at(REJECTED, *times[:-1]), *sent_at(SUBMIT, times[-1])]


def test_several_callers_with_the_same_input_are_not_retries() -> None:
    refused = sent_at(REJECTED, *intervals(0.001, 3))
    assert violations(retries.retry_after, [*refused, *sent_at(SUBMIT, 1.1, 1.2, 1.3, 1.4)]) == 0
    failing = sent_at(replace(SUBMIT, status=500), *intervals(0.001, 9))
    first_run = Record(sent_at(SUBMIT, 1, 2, 3))
    assert violations(retries.backoff, failing) == 1
    assert violations(retries.backoff, failing, known_repeats=first_run.repeats) == 0


def test_other_calls_with_a_rejected_key_are_not_retries() -> None:
    refused = replace(SUBMIT, status=401)
    others = [
        replace(refused, request_body=b'{"prompt":"%d"}' % number, received_at=1.05 + number)
        for number in range(8)
    ]
    mixed = sorted([*sent_at(refused, *range(1, 9)), *others], key=lambda exchange: exchange.received_at)
    assert violations(retries.refused_key, mixed) == 0
    assert violations(retries.refused_key, sent_at(refused, *range(1, 9))) == 1


def test_a_client_that_cancels_or_resumes_may_submit_again() -> None:
    lost = replace(POLL, status=0, directive="connection=hang", received_at=2)
    cancel = replace(
        POLL, method="PUT", path="/fal-ai/flux/requests/1/cancel", operation="cancel", received_at=3
    )
    again = replace(SUBMIT, request_id="2", received_at=4)
    back = replace(POLL, received_at=5)
    assert violations(waiting.double_submission, [SUBMIT, lost, again]) == 1
    assert violations(waiting.double_submission, [SUBMIT, lost, cancel, again]) == 0
    assert violations(waiting.double_submission, [SUBMIT, lost, again, back]) == 0


def test_the_fetch_of_node_is_not_a_browser() -> None:
    node = [("authorization", "Key id:secret"), ("sec-fetch-mode", "cors"), ("user-agent", "node")]
    assert violations(keys.key_in_browser, [replace(SUBMIT, request_headers=node)]) == 0


def test_a_key_in_a_url_is_masked() -> None:
    [finding] = keys.key_in_url.find(
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
def test_a_program_has_the_name_of_its_script(command: str, expected: str) -> None:
    assert program_name(shlex.split(command)) == expected


def test_an_unknown_fault_injection_is_rejected() -> None:
    assert [injection.name for injection in stress.selected("gone, busy")] == ["gone", "busy"]
    assert stress.selected("") == ()
    with pytest.raises(CheckError, match="--stress 'boring': expected refused, broken"):
        stress.selected("boring")


# -- the command line

EXITS_WITH_3 = [sys.executable, "-c", "import sys; sys.exit(3)"]
BUGGY_PROGRAM = [sys.executable, str(SEEDED_BUGS / "no_key.py")]


def test_list_prints_the_rules(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list", "--only", "usage.webhook-*"], ["app"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6 and lines[-1].startswith("usage.webhook-duplicate ")


def test_without_violations_the_exit_code_is_that_of_the_program(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet"], EXITS_WITH_3) == 3
    captured = capfd.readouterr()
    assert "the command ended with 3" in captured.err
    assert f"{len(RULES)} skipped" in captured.out


@pytest.mark.parametrize(
    "flags, command, code, level",
    [
        ([], ["true"], 0, "warning"),
        (["--require-traffic"], ["true"], 1, "error"),
        ([], EXITS_WITH_3, 3, "warning"),
        (["--require-traffic"], EXITS_WITH_3, 1, "error"),
    ],
)
def test_a_program_without_requests_is_reported_and_fails_only_with_require_traffic(
    flags: list[str], command: list[str], code: int, level: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert main(["--quiet", *flags], command) == code
    [line] = [line for line in capfd.readouterr().err.splitlines() if "no request reached mock-fal" in line]
    assert line.startswith(f"mock-fal check: {level}: no request reached mock-fal: ")
    assert "HTTPS_PROXY" in line


def test_a_program_with_requests_passes_require_traffic(capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, str(SEEDED_BUGS / "correct.py")]
    assert main(["--quiet", "--require-traffic"], command) == 0
    assert "no request reached" not in capfd.readouterr().err


def test_a_violation_fails_unless_the_baseline_lists_it_and_a_stale_entry_fails(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    known, badge, junit, page = (
        tmp_path / name for name in ("known.txt", "badge.svg", "junit.xml", "x.json")
    )
    flags = ["--quiet", "--baseline", str(known)]
    files = ["--badge", str(badge), "--junit", str(junit), "--json", str(page)]
    assert main(["--quiet", *files], BUGGY_PROGRAM) == 1
    output = capfd.readouterr().out
    assert "FAIL no_key.py: sends its key  [usage.key-missing]" in output
    assert "was sent without a key and answered 401; set the header Authorization." in output
    assert "<svg" in badge.read_text() and 'failures="1"' in junit.read_text()
    assert "usage.key-missing" in json.dumps(json.loads(page.read_text()))

    assert main([*flags, "--write-baseline"], BUGGY_PROGRAM) == 0
    assert "no_key.py usage.key-missing" in known.read_text()
    assert main(flags, BUGGY_PROGRAM) == 0

    known.write_text("no_key.py usage.key-missing\nno_key.py usage.call-method\n")
    assert main(flags, BUGGY_PROGRAM) == 1
    assert "STALE no_key.py: calls a model with POST" in capfd.readouterr().out


def test_a_command_that_does_not_exist_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main([], ["/no/such/program"]) == 2
    assert "/no/such/program: No such file or directory" in capfd.readouterr().err


def test_a_run_that_exceeds_the_timeout_is_ended_and_reported(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--quiet", "--timeout", "0.5"], ["sleep", "60"]) == 124
    assert "the command was ended after 0.5 s (--timeout)" in capfd.readouterr().err


def test_an_unknown_rule_is_an_error(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["--only", "usage.nothing"], EXITS_WITH_3) == 2
    assert "no rule has such an id" in capfd.readouterr().err


@pytest.mark.parametrize(("flags", "code", "word"), [([], 0, "advice"), (["--strict"], 1, "FAIL")])
def test_advice_fails_only_a_strict_check(
    flags: list[str], code: int, word: str, capfd: pytest.CaptureFixture[str]
) -> None:
    command = [sys.executable, str(SEEDED_BUGS / "key_to_storage.py")]
    assert main(["--quiet", *flags], command) == code
    assert (
        f"{word} key_to_storage.py: uploads files without its key  [usage.key-to-storage]"
        in capfd.readouterr().out
    )


# -- the settings of the server

PRINTS_STATUS = [sys.executable, str(SEEDED_BUGS / "correct.py")]
CALLS_OWN_MODEL = """
import sys
sys.path.insert(0, sys.argv[1])
import fal
print(fal.call(fal.RUN + "/me/my-app", {"prompt": "a cat"}))
"""


@pytest.mark.parametrize("suffix", [".json", ".yaml"])
def test_the_users_rules_apply_in_each_run_and_those_of_a_fault_before_them(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rules = tmp_path / f"rules{suffix}"
    rules.write_text(
        '["operation=submit status=418 detail=teapot"]' if suffix == ".json" else "- status=418 detail=teapot"
    )
    monkeypatch.setenv("MOCK_FAL_SCENARIO", str(rules))
    assert main(["--quiet", "--stress", "gone,unknown-key"], PRINTS_STATUS) == 1
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("rejected")]
    assert [line.split()[1] for line in errors] == ["418", "418", "401"]


def test_models_of_the_user_are_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    rules, program = tmp_path / "rules.json", tmp_path / "own.py"
    rules.write_text(json.dumps([{"endpoint": "me/my-app", "output": {"text": "hello"}}]))
    program.write_text(CALLS_OWN_MODEL)
    monkeypatch.setenv("MOCK_FAL_SCENARIO", str(rules))
    assert main(["--quiet"], [sys.executable, str(program), str(SEEDED_BUGS)]) == 0
    assert "{'text': 'hello'}" in capfd.readouterr().out


@pytest.mark.parametrize(
    ("variable", "value", "reason"),
    [
        (
            "MOCK_FAL_SCENARIO",
            "/no/such/rules.json",
            "can't read /no/such/rules.json: No such file or directory",
        ),
        ("MOCK_FAL_MODELS", "/no/such/model.json", "/no/such/model.json"),
        ("MOCK_FAL_SPEED", "fast", "MOCK_FAL_SPEED: 'fast': expected a number of at least 0.001"),
        ("MOCK_FAL_RECORD", "cassettes", "MOCK_FAL_RECORD is set, but check sends nothing to fal"),
    ],
)
def test_what_stops_the_server_from_starting_is_told(
    variable: str, value: str, reason: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(variable, value)
    assert main([], ["true"]) == 2
    assert reason in capfd.readouterr().err


def test_a_client_check_refuses_rules_of_the_user(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MOCK_FAL_SCENARIO", "rules.json")
    assert main(["--client", "true"]) == 2
    assert "each case of --client has rules of its own" in capfd.readouterr().err
