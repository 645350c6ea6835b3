"""A driver process: a client behind a small program that reads one JSON job per line and answers one JSON line."""

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

# The kinds of error that an answer may report.
ERROR_KINDS: Final = ("http", "validation", "timeout", "aborted", "network", "other")

# Lines of stderr that are kept, to show them when the driver dies.
_STDERR_LINES: Final = 20

# Characters of an invalid line that an error message shows.
_MAX_LINE: Final = 300

# The first job, to learn when the driver is ready. Any answer is accepted.
HELLO: Final = {"id": 0, "op": "hello"}

# Time limit for a driver to become ready, and after how many failed starts it is not started again.
READY_S: Final = 30.0
MAX_FAILED_STARTS: Final = 3

# How long a driver that has closed its stdout may take to exit.
EXIT_S: Final = 5.0


class DriverError(Exception):
    """The driver broke the protocol: it died, missed the deadline, or wrote an invalid answer."""


class Driver:
    """One driver process. It starts with the first job, and again after it had to be stopped."""

    def __init__(self, command: Sequence[str], environ: Mapping[str, str]) -> None:
        self._command = command
        self._environ = environ
        self._process: subprocess.Popen[bytes] | None = None
        self._lines: queue.Queue[bytes | None] = queue.Queue()
        self._stderr: deque[str] = deque(maxlen=_STDERR_LINES)
        self._failed_starts = 0

    def __call__(self, job: Job, deadline_s: float) -> Answer:
        """Send a job and return its answer. Raises DriverError; the next job then starts a new process."""
        if self._process is None:
            self._start_and_wait()
        return self._send(job, deadline_s)

    def _start_and_wait(self) -> None:
        """Start the process and wait until it is ready, unless it has failed to start too often."""
        if self._failed_starts >= MAX_FAILED_STARTS:
            raise DriverError(
                f"the driver failed to become ready {MAX_FAILED_STARTS} times, and was not started again"
            )
        self._start()
        self._failed_starts += 1
        self._send(HELLO, READY_S)
        self._failed_starts = 0

    def _send(self, job: Job, deadline_s: float) -> Answer:
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
            raise DriverError(
                f"the driver gave no answer within {deadline_s:g} s and was stopped; "
                "set a time limit in the client, and answer each job with one line"
            ) from None
        if line is None:
            raise self._died("without an answer")
        try:
            return _parse(line, job)
        except DriverError:
            self.stop()  # its next line could belong to any job
            raise

    def stop(self) -> None:
        """Kill the process, if it is running."""
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
                pass  # unread input could not be flushed

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
            raise DriverError(f"can't start the driver: {self._command[0]}: {error.strerror}") from None
        self._process, self._lines = process, queue.Queue()
        self._stderr.clear()
        self._readers = [
            threading.Thread(target=_read_stdout, args=(process.stdout, self._lines), daemon=True),
            threading.Thread(target=_read_stderr, args=(process.stderr, self._stderr), daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _died(self, when: str) -> DriverError:
        assert self._process is not None
        try:
            code = self._process.wait(timeout=EXIT_S)
        except subprocess.TimeoutExpired:
            self.stop()
            return DriverError("the driver closed its stdout; keep it open until stdin ends")
        self._readers[1].join(timeout=1)
        stderr = "\n".join(self._stderr)
        self.stop()
        return DriverError(
            f"the driver died {when}, with exit code {code}; "
            f'catch exceptions of the client and answer {{"id": …, "ok": false, "error": {{…}}}}'
            + (f"\nLast lines of its stderr:\n{stderr}" if stderr else "")
        )


def _read_stdout(pipe: Any, lines: queue.Queue[bytes | None]) -> None:
    try:
        for line in pipe:
            lines.put(line)
    except ValueError:
        pass  # closed by stop()
    lines.put(None)


def _read_stderr(pipe: Any, lines: deque[str]) -> None:
    try:
        for line in pipe:
            lines.append(line.decode("utf-8", "replace").rstrip())
    except ValueError:
        pass  # closed by stop()


def _parse(line: bytes, job: Job) -> Answer:
    """Parse a line as the answer to a job. Raises DriverError for an invalid answer."""
    text = line.decode("utf-8", "replace").rstrip()
    shown = text[:_MAX_LINE] + ("…" if len(text) > _MAX_LINE else "")
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        raise DriverError(
            f"the driver wrote a line that is not JSON: {shown!r}; "
            "stdout is for answers, print everything else to stderr"
        ) from None
    if not isinstance(answer, dict) or answer.get("id") != job["id"]:
        raise DriverError(f"the answer does not have the id of the job, {job['id']}: {shown!r}")
    if answer.get("unsupported"):
        return answer
    ok, error = answer.get("ok"), answer.get("error")
    if not isinstance(ok, bool):
        raise DriverError(f'the answer has neither "ok": true nor "ok": false: {shown!r}')
    if not ok and not (isinstance(error, dict) and error.get("kind") in ERROR_KINDS):
        raise DriverError(
            f'"ok" is false, but "error" is not an object with a "kind" of {", ".join(ERROR_KINDS)}: {shown!r}'
        )
    return answer
