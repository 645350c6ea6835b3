"""Prints each figure, its ratio to the reference, and the limit; exits with 1 when a limit is missed.

Mock and reference are measured in turn, several times, and the median of the ratios counts: on a shared machine a
single measurement is unreliable.
"""

from __future__ import annotations

import re
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PAIRS = 5
SECONDS = 2.0

HELLO = [sys.executable, "-m", "tests.bench.hello"]
MOCK = [
    str(Path(sys.executable).with_name("mock-fal")),
    "serve",
    "--queue-duration",
    "0",
    "--run-duration",
    "0",
    "--port",
]


def main() -> int:
    """Measure all figures."""
    port = _free_port()
    results = [
        _compare("start-up to the first response", "ms", _start_ms, "<=", 1.4, port),
        _compare("idle memory (RSS)", "MB", _idle_mb, "<=", 1.5, port),
        _compare("status poll", "responses/s", lambda mock, port: _rate(mock, port, "poll"), ">=", 1.0, port),
        _compare(
            "full lifecycle",
            "responses/s",
            lambda mock, port: _rate(mock, port, "lifecycle"),
            ">=",
            0.8,
            port,
        ),
        _picture(),
        _video(),
    ]
    return 0 if all(results) else 1


def _compare(
    name: str, unit: str, measure: Callable[[bool, int], float], sign: str, limit: float, port: int
) -> bool:
    pairs = [(measure(True, port), measure(False, port)) for _ in range(PAIRS)]
    mock, reference = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    return _report(name, f"{mock:9.1f} {unit:11} bare {reference:9.1f}", ratio, sign, limit)


def _picture() -> bool:
    """The time to render a picture, compared with the time to encode it."""
    from io import BytesIO

    from PIL import Image

    from mock_fal.pictures.recipe import Recipe
    from mock_fal.pictures.render import render

    recipes = [Recipe("fal-ai/flux/schnell", f"a cat, number {seed}", seed, 1024, 768) for seed in range(24)]
    images = [Image.open(BytesIO(render(recipe))).convert("RGB") for recipe in recipes]

    def render_all() -> None:
        for recipe in recipes:
            render(recipe)

    def encode_all() -> None:
        for image in images:
            image.save(BytesIO(), "JPEG", quality=95)

    pairs = [(_seconds(render_all), _seconds(encode_all)) for _ in range(PAIRS)]
    rendered, encoded = (statistics.median(side) / len(recipes) * 1000 for side in zip(*pairs, strict=True))
    ratio = statistics.median(pair[0] / pair[1] for pair in pairs)
    return _report("a 1024x768 JPEG", f"{rendered:9.1f} {'ms':11} encode {encoded:7.1f}", ratio, "<=", 3.0)


def _video() -> bool:
    """The processor time of ten seconds of video in 1080p with sound, compared with the limit of 150 ms."""
    from mock_fal.media.recipe import Video
    from mock_fal.media.render import render
    from mock_fal.pictures.recipe import Recipe

    def video(seed: int) -> Video:
        return Video(Recipe("fal-ai/wan", f"a cat, number {seed}", seed, 1920, 1080), 10, 24, "melody")

    render(video(0))  # imports the encoder
    times = []
    for seed in range(1, 9):
        started = time.process_time()
        render(video(seed))
        times.append(1000 * (time.process_time() - started))
    spent = statistics.median(times)
    return _report("10 s of 1080p video", f"{spent:9.1f} {'ms':11} limit {150:8.1f}", spent / 150, "<=", 1.0)


def _report(name: str, figures: str, ratio: float, sign: str, limit: float) -> bool:
    is_met = ratio <= limit if sign == "<=" else ratio >= limit
    sys.stdout.write(
        f"{name:30} {figures}   ratio {ratio:5.2f}  (limit {sign} {limit})  {'ok' if is_met else 'MISSED'}\n"
    )
    sys.stdout.flush()
    return is_met


def _start_ms(mock: bool, port: int) -> float:
    started = time.perf_counter()
    with _server(mock, port):
        return (time.perf_counter() - started) * 1000


def _idle_mb(mock: bool, port: int) -> float:
    with _server(mock, port) as process:
        text = Path(f"/proc/{process.pid}/status").read_text()
    match = re.search(r"VmRSS:\s+(\d+)", text)
    assert match is not None
    return int(match[1]) / 1024


def _rate(mock: bool, port: int, script: str) -> float:
    with _server(mock, port):
        load = [
            sys.executable,
            "-m",
            "tests.bench.load",
            str(port),
            str(SECONDS),
            script if mock else "hello",
        ]
        return float(subprocess.run(load, check=True, capture_output=True, text=True).stdout)


@contextmanager
def _server(mock: bool, port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A server that has answered its first request."""
    command = [*(MOCK if mock else HELLO), str(port)]
    # The mock gets a status poll of an unknown request.
    path = "/queue.fal.run/fal-ai/flux/requests/none/status" if mock else "/"
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        while not _responds(port, path):
            time.sleep(0.001)
        yield process
    finally:
        process.terminate()
        process.wait()


def _responds(port: int, path: str) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            return connection.recv(64).startswith(b"HTTP/1.1")
    except OSError:
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        return port


def _seconds(function: Callable[[], None]) -> float:
    started = time.perf_counter()
    function()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
