"""A driver: somebody's client behind a small program that reads one JSON job a line and answers one JSON line."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Final

Job = Mapping[str, Any]
Answer = Mapping[str, Any]

# What an error may be.
KINDS: Final = ("http", "validation", "timeout", "network", "other")

# Lines of stderr that are kept, to show what a driver said before it died.
_LAST_WORDS: Final = 20

# A line that is longer than this isn't shown whole.
_SHOWN: Final = 300


# Asked first, to know when a driver is ready; any answer will do.
HELLO: Final = {"id": 0, "op": "hello"}

# How long a driver may take to become ready, and how often it may fail to.
READY_S: Final = 30.0
FALSE_STARTS: Final = 3

# How long a driver that closed its stdout may take to end.
LAST_BREATH_S: Final = 5.0


class DriverFault(Exception):
    """A driver that broke the protocol: it died, said nothing in time, or said what is no answer."""


class Driver:
    """One process. It is started with the first job, and again after it had to be ended."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._stderr: deque[str] = deque(maxlen=_LAST_WORDS)
        self._false_starts = 0

    def __call__(self, job: Job, deadline_s: float) -> Answer:
        """Its answer to a job. Raises DriverFault, after which the process is gone and the next job finds a new one."""
        if self._process is None:
            self._greet()
        return self._ask(job, deadline_s)

    def _greet(self) -> None:
        """Start the process, and wait until it is ready. One that never was isn't waited for again and again."""
        if self._false_starts >= FALSE_STARTS:
            raise DriverFault(
                f"the driver did not become ready {FALSE_STARTS} times, and was not started again"
            )
        self._start()
        self._false_starts += 1
        self._ask(HELLO, READY_S)
        self._false_starts = 0

    def _ask(self, job: Job, deadline_s: float) -> Answer:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(job).encode() + b"\n")
            process.stdin.flush()
        except OSError:
            raise self._died("before it read the job") from None
        try:
            line = self._lines.get(timeout=deadline_s)
        except queue.Empty:
            self.stop()
            raise DriverFault(
                f"the driver gave no answer within {deadline_s:g} s, and was ended; "
                "let the client give up by itself, and answer each job with one line"
            ) from None
        if line is None:
            raise self._died("without an answer")
        try:
            return _read(line, job)
        except DriverFault:
            self.stop()  # who knows which job its next line would be about
            raise

    def stop(self) -> None:
        """End the process, if there is one."""
        process, self._process = self._process, None
        if process is None:
            return
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            assert pipe is not None
            try:
                pipe.close()
            except OSError:
                pass  # what was never read by it

    def _start(self) -> None:
        try:
            process = subprocess.Popen(
                self._command,
                env=self._environ,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except OSError as error:
            raise DriverFault(f"the driver can't be started: {self._command[0]}: {error.strerror}") from None
        self._process, self._lines = process, queue.Queue()
        self._stderr.clear()
        self._readers = [
            threading.Thread(target=_forward, args=(process.stdout, self._lines), daemon=True),
            threading.Thread(target=_keep, args=(process.stderr, self._stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _died(self, when: str) -> DriverFault:
        assert self._process is not None
        try:
            code = self._process.wait(timeout=LAST_BREATH_S)
        except subprocess.TimeoutExpired:
            self.stop()
            return DriverFault("the driver closed its stdout; keep it open until stdin ends")
        self._readers[1].join(timeout=1)
        said = "\n".join(self._stderr)
        self.stop()
        return DriverFault(
            f"the driver died {when}, with exit code {code}; "
            f'catch what the client raises and answer {{"id": …, "ok": false, "error": {{…}}}}'
            + (f"\nIt said last:\n{said}" if said else "")
        )


def _forward(pipe: Any, lines: queue.Queue[bytes | None]) -> None:
    try:
        for line in pipe:
            lines.put(line)
    except ValueError:
        pass  # closed by stop()
    lines.put(None)


def _keep(pipe: Any, lines: deque[str]) -> None:
    try:
        for line in pipe:
            lines.append(line.decode("utf-8", "replace").rstrip())
    except ValueError:
        pass


def _read(line: bytes, job: Job) -> Answer:
    """The answer in a line. Raises DriverFault for what is none."""
    text = line.decode("utf-8", "replace").rstrip()
    shown = text[:_SHOWN] + ("…" if len(text) > _SHOWN else "")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise DriverFault(
            f"the driver's line is no JSON: {shown!r}; stdout is for answers, print everything else to stderr"
        ) from None
    if not isinstance(answer, dict) or answer.get("id") != job["id"]:
        raise DriverFault(f"the answer has not the id of the job, {job['id']}: {shown!r}")
    if answer.get("unsupported"):
        return answer
    ok, error = answer.get("ok"), answer.get("error")
    if not isinstance(ok, bool):
        raise DriverFault(f'the answer says neither "ok": true nor "ok": false: {shown!r}')
    if not ok and not (isinstance(error, dict) and error.get("kind") in KINDS):
        raise DriverFault(
            f'"ok" is false, and "error" is no object whose "kind" is one of {", ".join(KINDS)}: {shown!r}'
        )
    return answer
