"""The servers that are measured, each on the first processor; the load comes from the second one."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Final

SERVER_CPU, LOAD_CPU = 0, 1

FOLDER: Final = Path(__file__).parent
MOCK_FAL: Final = str(Path(sys.executable).with_name("mock-fal"))
HEADERS: Final = {"Authorization": "Key bench:mark", "Content-Type": "application/json"}

_START_S: Final = 60.0


@dataclass(frozen=True)
class Program:
    """A server to start on a port, and a request that it answers once it is ready."""

    name: str
    command: Callable[[int], Sequence[str]]
    ready: str = "/"
    method: str = "GET"


@dataclass
class Running:
    """A server that has answered its first request."""

    program: Program
    port: int
    process: subprocess.Popen[bytes] = field(repr=False)
    started_s: float

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] = HEADERS
    ) -> tuple[int, bytes]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=_START_S)
        try:
            connection.request(method, path, body, dict(headers))
            response = connection.getresponse()
            return response.status, response.read()
        finally:
            connection.close()

    @property
    def rss_mb(self) -> float:
        """The resident memory now."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(line for line in text.splitlines() if line.startswith("VmRSS"))
        return int(line.split()[1]) / 1024


def mock(*flags: str, name: str = "mock-fal", ready: str = "/_mock/health", method: str = "GET") -> Program:
    """mock-fal without waiting in the queue and without running, unless flags say otherwise."""

    def command(port: int) -> Sequence[str]:
        instant = ["--queue-duration", "0", "--run-duration", "0"]
        return [MOCK_FAL, "serve", "--port", str(port), *instant, *flags]

    return Program(name, command, ready, method)


BARE: Final = Program("bare", lambda port: [sys.executable, "-m", "tests.bench.hello", str(port)])
AIMOCK: Final = Program(
    "aimock", lambda port: ["node", str(FOLDER / "node" / "aimock.mjs"), str(port)], "/health"
)
NGINX: Final = Program("nginx", lambda port: ["nginx", "-p", _nginx_folder(port), "-c", "nginx.conf"])

_NGINX: Final = """\
daemon off; worker_processes 1; pid nginx.pid; error_log stderr crit;
events { worker_connections 1024; }
http {
  access_log off; keepalive_requests 1000000000; default_type application/json;
  client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi;
  uwsgi_temp_path uwsgi; scgi_temp_path scgi;
  server { listen 127.0.0.1:PORT; location / { return 200 '{"hello":"world"}'; } }
}
"""


def _nginx_folder(port: int) -> str:
    folder = _folder(port)
    folder.mkdir(mode=0o700)
    (folder / "nginx.conf").write_text(_NGINX.replace("PORT", str(port)))
    return str(folder)


def _folder(port: int) -> Path:
    """The files of a server on a port; they are removed when it has stopped."""
    return Path(tempfile.gettempdir()) / f"mock-fal-bench-{os.getpid()}-{port}"


@contextmanager
def running(program: Program) -> Iterator[Running]:
    """A server on the first processor, until the end of the block."""
    port = free_port()
    command = [*on_cpu(SERVER_CPU), *program.command(port)]
    started = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not _answers(port, program):
            if process.poll() is not None or time.perf_counter() - started > _START_S:
                raise SystemExit(f"{program.name} does not start: {' '.join(command)}")
            time.sleep(0.001)
        yield Running(program, port, process, time.perf_counter() - started)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        shutil.rmtree(_folder(port), ignore_errors=True)


def on_cpu(number: int) -> list[str]:
    return ["taskset", "-c", str(number)] if (os.cpu_count() or 1) > 1 else []


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _answers(port: int, program: Program) -> bool:
    connection = HTTPConnection("127.0.0.1", port, timeout=_START_S)
    try:
        connection.request(program.method, program.ready, headers={"Content-Length": "0"})
        return connection.getresponse().status < 500
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()
