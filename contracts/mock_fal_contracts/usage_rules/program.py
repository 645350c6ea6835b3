"""Where a program is run: a mock in a process of its own, the environment that leads there, and a time limit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final
from urllib.error import HTTPError
from urllib.parse import quote
from urllib.request import ProxyHandler, Request, build_opener

from mock_fal_contracts.exchanges import Exchange, from_journal
from mock_fal_contracts.target import CheckError, environment, started
from mock_fal_contracts.usage_rules.record import Attempt, Delivery, Record, RequestKey, fell_silent
from mock_fal_contracts.usage_rules.stress import Trial
from mock_fal_contracts.usage_rules.waiting import gives_up_by_itself

# What a shell says of a command that was ended by a time limit.
TIMED_OUT: Final = 124
_SIGNALLED: Final = 128

# How often it is looked whether a program waits for nothing, and how long one does that has a limit of its own.
_LOOK_S: Final = 0.5
_LOOKS: Final = 4

# A program that is asked to end may tidy up for so long.
_GRACE_S: Final = 3.0

_direct = build_opener(ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class Run:
    """One run of the program: what it asked, and its exit code.

    `is_cut_short` says that it was ended because it only waited, as its client does for long.
    """

    trial: Trial
    record: Record
    code: int
    is_cut_short: bool = False


class ProgramRunner:
    """A mock with a program's environment."""

    def __init__(self, base: str, environ: Mapping[str, str]) -> None:
        self._base = base
        self.environ = environ

    def runs(self, command: Sequence[str], trials: Iterable[Trial], timeout_s: float) -> Iterator[Run]:
        """Run a command under each trial that fits the first one, which is the calm one. Raises CheckError."""
        baseline: Run | None = None
        for trial in trials:
            if baseline is None:
                yield (baseline := self.run(command, trial, timeout_s))
            elif trial.fits(baseline.record):
                yield self.run(command, trial, timeout_s, baseline.record.usual)

    def run(
        self,
        command: Sequence[str],
        trial: Trial,
        timeout_s: float,
        habits: frozenset[RequestKey] = frozenset(),
    ) -> Run:
        """Run a command under a trial, on a clean slate. Raises CheckError when there is no such command."""
        self._ask("DELETE", "/_mock/requests")
        self._ask("PUT", "/_mock/scenario", list(trial.rules))
        try:
            program = subprocess.Popen(command, env=self.environ, start_new_session=os.name == "posix")
        except OSError as error:
            raise CheckError(f"{command[0]}: {error.strerror}") from None
        try:
            ending = self._wait(program, trial, timeout_s)
            record = self._record(timeout_s if ending == "late" else None)
        finally:
            _end(program)
        code = TIMED_OUT if ending == "late" else program.returncode
        return Run(
            trial,
            replace(record, habits=habits),
            code if code >= 0 else _SIGNALLED - code,
            is_cut_short=ending == "cut short",
        )

    def _wait(self, program: subprocess.Popen[bytes], trial: Trial, timeout_s: float) -> str:
        """How a run ends: `done`, `late`, or `cut short`: it waits in vain, and is known to give up much later."""
        until, known, still = perf_counter() + timeout_s, 0, 0
        while (left := until - perf_counter()) > 0:
            with suppress(subprocess.TimeoutExpired):
                program.wait(min(_LOOK_S, left))
                return "done"
            if trial.is_silent:
                exchanges = self._exchanges()
                still = still + 1 if _waits_patiently(exchanges) and len(exchanges) == known else 0
                known = len(exchanges)
                if still >= _LOOKS:
                    return "cut short"
        return "late"

    def _record(self, killed_after_s: float | None) -> Record:
        exchanges = sorted(self._exchanges(), key=lambda each: each.received_at)
        forged = {each.request_id for each in exchanges if "webhook=bad_signature" in each.directive}
        deliveries = [
            Delivery(
                each["request_id"],
                each["url"],
                tuple(Attempt(attempt["at"], attempt["status"]) for attempt in each["attempts"]),
                each["body"],
                each["request_id"] in forged,
            )
            for each in self._ask("GET", "/_mock/deliveries")["deliveries"]
        ]
        endpoints = {each.endpoint for each in exchanges if each.operation in ("submit", "run", "stream")}
        fields = {each: self._fields(each) for each in sorted(endpoints)}
        return Record(exchanges, deliveries, fields, killed_after_s)

    def _exchanges(self) -> list[Exchange]:
        return [from_journal(each) for each in self._ask("GET", "/_mock/requests")["requests"]]

    def _fields(self, endpoint: str) -> frozenset[str]:
        """The fields of an endpoint's input, as its OpenAPI document has them; none when there is no such."""
        name = endpoint.removesuffix("/stream")
        try:
            document = self._ask("GET", f"/fal.ai/api/openapi/queue/openapi.json?endpoint_id={quote(name)}")
        except CheckError:
            return frozenset()
        body = document["paths"][f"/{name}"]["post"]["requestBody"]["content"]["application/json"]["schema"]
        schema = document["components"]["schemas"][body["$ref"].rpartition("/")[2]]
        return frozenset(schema["properties"])

    def _ask(self, method: str, path: str, document: Any = None) -> Any:
        body = None if document is None else json.dumps(document).encode()
        try:
            with _direct.open(Request(self._base + path, body, method=method), timeout=60) as answer:
                text = answer.read()
        except HTTPError as error:
            raise CheckError(f"{method} {path}: {error.code} {error.read().decode()[:300]}") from None
        return json.loads(text) if text else None


def _waits_patiently(exchanges: Iterable[Exchange]) -> bool:
    waiting = [each for each in exchanges if each.is_open and fell_silent(each)]
    return bool(waiting) and all(map(gives_up_by_itself, waiting))


@contextmanager
def opened(flags: Iterable[str] = ()) -> Iterator[ProgramRunner]:
    """A bench, with its server; MOCK_FAL_… variables set that up further, as those of `mock-fal serve`."""
    with started(["--retention", "100000", *flags]) as base:
        yield ProgramRunner(base, environment(base))


def _end(program: subprocess.Popen[bytes]) -> None:
    """End the program, and what it started."""
    if os.name != "posix":
        program.kill()
        program.wait()
        return
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGTERM)
    with suppress(subprocess.TimeoutExpired):
        program.wait(_GRACE_S)
    with suppress(ProcessLookupError):
        os.killpg(program.pid, signal.SIGKILL)
    program.wait()
