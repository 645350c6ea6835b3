"""Runs a program against a mock in a separate process, with the environment that leads there, and a time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from enum import Enum
from functools import cached_property
from pathlib import Path
from time import perf_counter
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from mock_fal_contracts.exchanges import Exchange, from_journal
from mock_fal_contracts.target import CheckError, environment, running_mock
from mock_fal_contracts.usage_rules.record import (
    CALLS,
    Attempt,
    Delivery,
    Record,
    RequestKey,
    has_no_response,
)
from mock_fal_contracts.usage_rules.stress import FaultInjection
from mock_fal_contracts.usage_rules.waiting import has_own_timeout

# The exit code that a shell reports for a command ended by a time limit, and the base for one ended by a signal.
TIMED_OUT: Final = 124
_SIGNALLED: Final = 128

# How often the journal is read while requests are left open, and after how many readings without a change a program
# counts as waiting in vain.
_POLL_INTERVAL_S: Final = 0.5
_UNCHANGED_POLLS: Final = 4

# The time between SIGTERM and SIGKILL.
_GRACE_PERIOD_S: Final = 3.0

# How many ids are named in place of an unknown one.
_MAX_CLOSEST: Final = 3

_JSON: Final = "application/json"
_YAML: Final = "application/yaml"

_direct = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the program: its record and its exit code.

    `is_cut_short`: it was ended early, because it only waited for a response and its client has a long timeout.
    """

    injection: FaultInjection
    record: Record
    code: int
    is_cut_short: bool = False


class _End(Enum):
    """How a run ended."""

    EXITED = "exited"
    TIMED_OUT = "timed out"
    CUT_SHORT = "cut short"


class ProgramRunner:
    """Runs programs against a mock at `base`, with the environment `environ`.

    `scenario` is a file with rules for all runs, which the mock has read too. Raises CheckError.
    """

    def __init__(self, base: str, environ: Mapping[str, str], scenario: str = "") -> None:
        self._base = base
        self.environ = environ
        self._user_rules = _rules(scenario) if scenario else (b"[]", _JSON)

    def runs(
        self, command: Sequence[str], injections: Iterable[FaultInjection], timeout_s: float
    ) -> Iterator[Run]:
        """Run a command under each fault injection that applies to its first run. Raises CheckError.

        The first injection is NO_FAULTS.
        """
        first_run: Run | None = None
        for injection in injections:
            if first_run is None:
                yield (first_run := self.run(command, injection, timeout_s))
            elif injection.applies_to(first_run.record):
                yield self.run(command, injection, timeout_s, first_run.record.repeats)

    def run(
        self,
        command: Sequence[str],
        injection: FaultInjection,
        timeout_s: float,
        known_repeats: frozenset[RequestKey] = frozenset(),
    ) -> Run:
        """Run a command once, with an empty journal. Raises CheckError when the command can't be started."""
        self._send("DELETE", "/_mock/requests")
        # The user's rules count from the beginning in each run; those of the injection take precedence.
        self._send("PUT", "/_mock/scenario", *self._user_rules)
        self._send("POST", "/_mock/scenario", json.dumps(list(injection.rules)).encode())
        try:
            program = subprocess.Popen(command, env=self.environ, start_new_session=os.name == "posix")
        except OSError as error:
            raise CheckError(f"{command[0]}: {error.strerror}") from None
        try:
            end = self._wait(program, injection, timeout_s)
            record = self._record(timeout_s if end is _End.TIMED_OUT else None)
        finally:
            _terminate(program)
        code = TIMED_OUT if end is _End.TIMED_OUT else program.returncode
        return Run(
            injection,
            replace(record, known_repeats=known_repeats),
            code if code >= 0 else _SIGNALLED - code,
            is_cut_short=end is _End.CUT_SHORT,
        )

    def _wait(self, program: subprocess.Popen[bytes], injection: FaultInjection, timeout_s: float) -> _End:
        """Wait until the program exits, exceeds the time limit, or only waits for a response that never comes."""
        deadline, count, unchanged = perf_counter() + timeout_s, 0, 0
        while (left := deadline - perf_counter()) > 0:
            with suppress(subprocess.TimeoutExpired):
                program.wait(min(_POLL_INTERVAL_S, left))
                return _End.EXITED
            if injection.leaves_requests_open:
                exchanges = self._exchanges()
                is_unchanged = len(exchanges) == count and _waits_for_own_timeout(exchanges)
                unchanged = unchanged + 1 if is_unchanged else 0
                count = len(exchanges)
                if unchanged >= _UNCHANGED_POLLS:
                    return _End.CUT_SHORT
        return _End.TIMED_OUT

    def _record(self, killed_after_s: float | None) -> Record:
        exchanges = sorted(self._exchanges(), key=lambda exchange: exchange.received_at)
        forged = {
            exchange.request_id for exchange in exchanges if "webhook=bad_signature" in exchange.directive
        }
        deliveries = [
            Delivery(
                delivery["request_id"],
                delivery["url"],
                tuple(Attempt(attempt["at"], attempt["status"]) for attempt in delivery["attempts"]),
                delivery["body"],
                delivery["request_id"] in forged,
            )
            for delivery in self._send("GET", "/_mock/deliveries")["deliveries"]
        ]
        calls = [exchange for exchange in exchanges if exchange.operation in CALLS]
        # The path of a call without owner and app is no endpoint, but its name is like one.
        endpoints = {exchange.endpoint or exchange.path.strip("/") for exchange in calls}
        fields = {endpoint: self._fields(endpoint) for endpoint in sorted(endpoints)}
        known = {endpoint: names for endpoint, names in fields.items() if names is not None}
        closest = {endpoint: self._closest(endpoint) for endpoint in fields if endpoint not in known}
        return Record(exchanges, deliveries, known, closest, killed_after_s)

    def _exchanges(self) -> list[Exchange]:
        return [from_journal(record) for record in self._send("GET", "/_mock/requests")["requests"]]

    def _fields(self, endpoint: str) -> frozenset[str] | None:
        """The input fields in the OpenAPI document of an endpoint; None for an endpoint without a document."""
        name = endpoint.removesuffix("/stream")
        try:
            document = self._send("GET", f"/fal.ai/api/openapi/queue/openapi.json?endpoint_id={quote(name)}")
        except CheckError:
            return None
        body = document["paths"][f"/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        schema = (
            document["components"]["schemas"][body["$ref"].rpartition("/")[2]] if "$ref" in body else body
        )
        return frozenset(schema.get("properties", ()))

    def _closest(self, endpoint: str) -> list[str]:
        """The ids of the catalogue that are most like a name, best first: those that end with it, then others."""
        if not endpoint:
            return []
        ends = [id for id in self._ids if id.endswith(f"/{endpoint}")]
        ends.sort(key=lambda id: (not id.startswith("fal-ai/"), len(id)))
        return (ends or get_close_matches(endpoint, self._ids, _MAX_CLOSEST, 0.6))[:_MAX_CLOSEST]

    @cached_property
    def _ids(self) -> list[str]:
        """The ids of all endpoints in the catalogue, by the list of the Platform API."""
        ids: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            page = self._send(
                "GET", f"/api.fal.ai/v1/models?limit=100{cursor and f'&cursor={quote(cursor)}'}"
            )
            ids += [model["endpoint_id"] for model in page["models"]]
            cursor = page["next_cursor"]
        return ids

    def _send(self, method: str, path: str, body: bytes | None = None, content_type: str = _JSON) -> Any:
        request = Request(self._base + path, body, {"content-type": content_type}, method=method)
        try:
            with _direct.open(request, timeout=60) as response:
                text = response.read()
        except HTTPError as error:
            raise CheckError(f"{method} {path}: {error.code} {error.read().decode()[:300]}") from None
        return json.loads(text) if text else None


def _rules(scenario: str) -> tuple[bytes, str]:
    """The content of a rule file, and its type."""
    path = Path(scenario)
    try:
        return path.read_bytes(), _YAML if path.suffix in (".yaml", ".yml") else _JSON
    except OSError as error:
        raise CheckError(f"MOCK_FAL_SCENARIO: can't read {scenario}: {error.strerror}") from None


def _waits_for_own_timeout(exchanges: Iterable[Exchange]) -> bool:
    """Whether requests without a response are open, all of clients that have a timeout of their own."""
    waiting = [exchange for exchange in exchanges if exchange.is_open and has_no_response(exchange)]
    return bool(waiting) and all(map(has_own_timeout, waiting))


@contextmanager
def program_runner(flags: Iterable[str] = ()) -> Iterator[ProgramRunner]:
    """A ProgramRunner with its mock. MOCK_FAL_… variables configure the mock, as with `mock-fal serve`."""
    own = [] if "MOCK_FAL_RETENTION" in os.environ else ["--retention", "100000"]
    with running_mock([*own, *flags], own_port="MOCK_FAL_PORT" not in os.environ) as base:
        yield ProgramRunner(base, environment(base), os.environ.get("MOCK_FAL_SCENARIO", ""))


def _terminate(program: subprocess.Popen[bytes]) -> None:
    """End the program and its child processes."""
    if os.name != "posix":
        program.kill()
        program.wait()
        return
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        program.wait(_GRACE_PERIOD_S)
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()
