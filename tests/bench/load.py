"""Load by wrk, on the second processor: requests a second and their latency. `load.lua` is its script."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from tests.bench.programs import FOLDER, LOAD_CPU, Running, on_cpu

MODEL: Final = "/queue.fal.run/fal-ai/flux/schnell"
REQUESTS: Final = "/queue.fal.run/fal-ai/flux/requests"

# aimock knows fal's hosts by a header.
AIMOCK_HOST: Final = "x-fal-target-host:queue.fal.run"

_RETRIES: Final = 3


@dataclass(frozen=True)
class Load:
    """What wrk measured. `completed` counts results, for lifecycles."""

    per_second: float
    p50_ms: float
    p99_ms: float
    completed: int


def load(
    server: Running, mode: str, path: str, *, connections: int, seconds: float, headers: tuple[str, ...] = ()
) -> Load:
    """Load for some seconds. Raises SystemExit if a request fails, since a failure may be faster than an answer."""
    command = [*on_cpu(LOAD_CPU), "wrk", "-t1", f"-c{connections}", f"-d{max(1, round(seconds))}s"]
    command += ["-s", str(FOLDER / "load.lua"), server.url + path, "--", mode, *headers]
    seen = _measured(command)
    for _ in range(_RETRIES):
        if seen["requests"]:  # a busy machine may let a server wait for a second
            break
        seen = _measured(command)
    if seen["failed"] or not seen["requests"] or (mode == "lifecycle" and not seen["completed"]):
        raise SystemExit(f"{server.program.name}: {mode} {path} failed: {seen}")
    return Load(
        seen["requests"] / seen["duration_us"] * 1e6,
        seen["p50_us"] / 1000,
        seen["p99_us"] / 1000,
        seen["completed"],
    )


def _measured(command: Sequence[str]) -> dict[str, int]:
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    seen: dict[str, int] = json.loads(output.splitlines()[-1])
    return seen


def submitted(server: Running) -> str:
    """The path of a new request on fal's queue."""
    prefix, headers = "", {}
    if server.program.name == "aimock":
        prefix, headers = "/fal", dict([AIMOCK_HOST.split(":")])
    model = MODEL.replace("/queue.fal.run", prefix or "/queue.fal.run")
    status, body = server.call(
        "POST", model, b'{"prompt":"a cat"}', {"Authorization": "Key bench:mark", **headers}
    )
    if status != 200:
        raise SystemExit(f"{server.program.name}: the submission failed with {status}: {body[:200]!r}")
    return f"{model.rpartition('/')[0]}/requests/{json.loads(body)['request_id']}"


# Requests that are sent at once. The responses fit in the buffers of a socket.
_BATCH: Final = 50


def fill(server: Running, first: int, last: int, *, longest_s: float) -> int:
    """Submit requests number `first` to `last`, pipelined; the number of the last one, if it takes too long before."""
    ends_at = time.perf_counter() + longest_s
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as connection:
        for start in range(first, last + 1, _BATCH):
            numbers = range(start, min(start + _BATCH, last + 1))
            connection.sendall(b"".join(map(_submission, numbers)))
            answered = 0
            while answered < len(numbers):
                data = connection.recv(1 << 20)
                if not data:
                    raise SystemExit("the server has closed the connection")
                answered += data.count(b"HTTP/1.1 200 ")
                if b"HTTP/1.1 4" in data:
                    raise SystemExit(f"a submission failed: {data[:300]!r}")
            if time.perf_counter() > ends_at:
                return numbers[-1]
    return last


def _submission(number: int) -> bytes:
    body = b'{"prompt":"number %d"}' % number
    head = b"POST " + MODEL.encode() + b" HTTP/1.1\r\nHost: a\r\nAuthorization: Key bench:mark\r\n"
    return head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(body) + body
