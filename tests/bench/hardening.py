"""How long one bounded attack holds the event loop: `python -m tests.bench.hardening [NAME…] [--command CMD]`.

For each attack a server is started, a request is submitted, and its status is polled every 10 ms, first alone and then
beside the attack. The table shows the slowest poll alone and beside it, and the difference, in milliseconds. A poll
takes the time of the clock or the processor time of the server, whichever is less: other programs don't count. The
server may be another version: `--command "…/python -m mock_fal serve"`; `--port N` and other flags are appended. All
traffic stays on loopback, and every attack is bounded in size and time.
"""

from __future__ import annotations

import argparse
import io
import json
import math
import shlex
import signal
import socket
import subprocess
import sys
import threading
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

EVERY_S = 0.01
COMPLETED_S = 1.1  # with the default durations
ALONE_S = 0.7
LONGEST_S = 30.0  # an attack that is not over by then is ended with its server
GOAL_MS = 25.0

QUEUE = "/queue.fal.run/fal-ai/flux/schnell"
EDIT = "/queue.fal.run/fal-ai/flux/dev/image-to-image"
EDITS = "/queue.fal.run/fal-ai/flux-2/edit"
KEY = b"Authorization: Key bench:mark-of-the-bench\r\n"  # long enough to be looked for without its id
COMMAND = [sys.executable, "-m", "mock_fal", "serve"]


def call(
    port: int,
    method: str,
    path: str,
    body: bytes = b"",
    *,
    media_type: str = "application/json",
    headers: bytes = KEY,
    timeout_s: float = LONGEST_S,
) -> tuple[int, bytes]:
    """Status and body of one request on a connection of its own; (0, b"") if there is no response in time."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=timeout_s) as connection:
            head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nContent-Length: {len(body)}\r\n".encode()
            connection.sendall(
                head + headers + f"Content-Type: {media_type}\r\nConnection: close\r\n\r\n".encode()
            )
            with suppress(ConnectionError, BrokenPipeError):  # rejected by its length
                connection.sendall(body)
            received = io.BytesIO()
            with suppress(ConnectionError):
                while data := connection.recv(1 << 20):
                    received.write(data)
    except OSError:
        return 0, b""
    head_bytes, _, content = received.getvalue().partition(b"\r\n\r\n")
    return int(head_bytes[9:12] or 0), content


def submit(port: int, path: str, **fields: object) -> dict[str, str]:
    status, body = call(port, "POST", path, json.dumps(fields).encode())
    if status != 200:
        return {}
    submitted: dict[str, str] = json.loads(body)
    return submitted


class Polls:
    """Polls one status on a connection that stays open, in a process, which no attack slows down."""

    def __init__(self, port: int, path: str) -> None:
        server = str(SERVERS[port].pid)
        self._command = [sys.executable, "-m", "tests.bench.hardening", "--poll", str(port), path, server]
        self.slowest_ms = 0.0

    def __enter__(self) -> Polls:
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        assert self._process.stdout is not None
        self._process.stdout.readline()  # it polls now
        return self

    def __exit__(self, *error: object) -> None:
        output, _ = self._process.communicate("stop\n", timeout=60)
        self.slowest_ms = float(output)


def processor_s(pid: int) -> float:
    """The processor time of all threads of a process; infinite where Linux does not count it in nanoseconds."""
    total = 0
    for file in Path(f"/proc/{pid}/task").glob("*/schedstat"):
        with suppress(OSError):  # the thread has ended
            total += int(file.read_text().split()[0])
    return total / 1e9 if total else float("inf")


def poll(port: int, path: str, pid: int) -> None:
    """Poll until a line arrives on standard input, then print the slowest response in milliseconds."""
    stop = threading.Event()

    def wait() -> None:
        sys.stdin.readline()
        stop.set()

    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n".encode() + KEY + b"\r\n"
    slowest = started = used = 0.0

    def taken() -> float:
        by_clock, by_processor = time.perf_counter() - started, processor_s(pid) - used
        return by_clock if math.isnan(by_processor) else min(by_clock, by_processor)

    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.settimeout(0.1)
        sys.stdout.write("polling\n")
        sys.stdout.flush()
        threading.Thread(target=wait, daemon=True).start()
        answered = True
        while not stop.is_set():
            if answered:
                used, started = processor_s(pid), time.perf_counter()
                connection.sendall(request)
            try:
                answered = bool(connection.recv(65536))
            except TimeoutError:
                answered = False
                slowest = max(slowest, taken())
                continue
            if not answered:
                break  # the server has ended
            slowest = max(slowest, taken())
            stop.wait(EVERY_S)
    sys.stdout.write(f"{slowest * 1000}\n")


# -- the attacks: each returns what it measured beside the polls, or an empty text

Attack = Callable[[int], str]
ONE_STRING = b'{"prompt":"' + b"x" * 60_000_000 + b'"}'
ATTACKS: dict[str, tuple[Attack, list[str]]] = {}


def attack(name: str, *flags: str) -> Callable[[Attack], Attack]:
    def add(function: Attack) -> Attack:
        ATTACKS[name] = function, list(flags)
        return function

    return add


def post_input(path: str, **fields: object) -> Attack:
    def run(port: int) -> str:
        started = time.perf_counter()
        status, _ = call(port, "POST", path, json.dumps(fields).encode())
        return f"{status} after {time.perf_counter() - started:.1f} s"

    return run


@attack("nothing (the noise of this machine)")
def nothing(port: int) -> str:
    time.sleep(2.0)
    return ""


@attack("regular expression (a+)+$ on 60 a")
def regular_expression(port: int) -> str:
    prompt = "a" * 60 + "! [mock: nsfw prompt=(a+)+$]"
    return f"{call(port, 'POST', QUEUE, json.dumps({'prompt': prompt}).encode())[0]}"


@attack("prompt: 10^6 times `[mock `")
def prompt_bomb(port: int) -> str:
    return post_input(QUEUE, prompt="[mock " * 1_000_000)(port)


@attack("prompt: endpoint= of 20 MB")
def long_option(port: int) -> str:
    return post_input(QUEUE, prompt="[mock: nsfw endpoint=" + "a" * 20_000_000 + "]")(port)


@attack("rule list of 10^5 rules")
def rule_list(port: int) -> str:
    body = json.dumps(["nsfw endpoint=fal-ai/flux/*"] * 100_000).encode()
    return f"{call(port, 'PUT', '/_mock/scenario', body)[0]}"


@attack("YAML aliases, eight levels of eight")
def yaml_aliases(port: int) -> str:
    lines = ["- &a [nsfw, nsfw, nsfw, nsfw, nsfw, nsfw, nsfw, nsfw]"]
    for level in range(1, 8):
        name, last = "abcdefgh"[level], "abcdefgh"[level - 1]
        lines.append(f"- &{name} [{', '.join([f'*{last}'] * 8)}]")
    return f"{call(port, 'PUT', '/_mock/scenario', chr(10).join(lines).encode(), media_type='application/yaml')[0]}"


@attack("logs=100000, ten polls with logs")
def many_logs(port: int) -> str:
    path = submit(port, QUEUE, prompt="[mock: logs=100000]").get("request_id")
    if path is None:
        return "rejected"
    time.sleep(COMPLETED_S)
    for _ in range(10):
        call(port, "GET", f"/queue.fal.run/fal-ai/flux/requests/{path}/status?logs=1")
    return ""


@attack("data URI of 45 MB, percent-encoded")
def percent_encoded(port: int) -> str:
    return post_input(EDIT, prompt="a hat", image_url="data:image/png," + "%41" * 15_000_000)(port)


@attack("data URI of 45 MB, base64")
def base64_encoded(port: int) -> str:
    return post_input(EDIT, prompt="a hat", image_url="data:image/png;base64," + "QUFB" * 11_250_000)(port)


@attack("JSON of 60 MB: [[],[],…", "--max-body", "64M")
def many_values(port: int) -> str:
    return f"{call(port, 'POST', QUEUE, b'[' + b'[],' * 20_000_000 + b'0]')[0]}"


@attack("JSON of 60 MB: one string")
def one_string(port: int) -> str:
    return f"{call(port, 'POST', QUEUE, ONE_STRING)[0]}"


@attack("JSON, 10^5 levels deep")
def deep_json(port: int) -> str:
    return f"{call(port, 'POST', QUEUE, b'[' * 100_000)[0]}"


@attack("JSON of 45 MB, 90 levels deep", "--max-body", "64M")
def deep_and_long_json(port: int) -> str:
    level = b'{"a":' * 90 + b'"b"' + b"}" * 90
    body = b'{"prompt":"a hat","x":[' + b",".join([level] * 82_000) + b"]}"
    return f"{call(port, 'POST', QUEUE, body)[0]}"


@attack("keys in a body of 45 MB")
def keys_in_a_body(port: int) -> str:
    body = b'{"prompt":"a hat","x":"' + b"bench:mark-of-the-bench " * 1_875_000 + b'"}'
    return f"{call(port, 'POST', QUEUE, body)[0]}"


def long_call(port: int) -> str:
    """The id of a finished call with an input of 47 MB, which contains the secret of its key."""
    image = "data:image/png;base64," + "QUFB" * 11_700_000
    secret = KEY.partition(b":")[2].decode().split(":")[1].strip()
    request_id = submit(port, EDIT, prompt=f"a hat for {secret}", image_url=image)["request_id"]
    time.sleep(COMPLETED_S)
    return request_id


def reading_a_long_call(method: str, path: str) -> Attack:
    def run(port: int) -> str:
        started = time.perf_counter()
        status, body = call(
            port, method, path.replace("ID", long_call(port)), b"{}" if method == "POST" else b""
        )
        return f"{status}, {len(body) / 1e6:.1f} MB after {time.perf_counter() - started:.1f} s"

    return run


for _name, _method, _path in (
    ("journal", "GET", "/_mock/requests?limit=3"),
    ("HAR", "GET", "/_mock/requests.har"),
    ("call", "GET", "/_mock/calls/ID"),
    ("calls by text", "GET", "/_mock/calls?text=hat"),
    ("cassettes", "GET", "/_mock/calls/ID/cassettes"),
    ("snippet", "GET", "/_mock/calls/ID/snippet?language=curl"),
    ("replay", "POST", "/_mock/calls/ID/replay"),
    (
        "payloads",
        "GET",
        "/api.fal.ai/v1/models/requests/by-endpoint?endpoint_id=fal-ai/flux/dev/image-to-image&expand=payloads",
    ),
    ("search", "GET", "/api.fal.ai/v1/models/requests/search?query=hat"),
):
    ATTACKS[f"input of 47 MB, then its {_name}"] = reading_a_long_call(_method, _path), []


@attack("rules with regular expressions, a prompt of 10 kB")
def many_expressions(port: int) -> str:
    rules = [f"nsfw prompt=(x+{letter})+$" for letter in "abcdefghijklmnopqrstuvwxyz"]
    installed, _ = call(port, "PUT", "/_mock/scenario", json.dumps(rules).encode())
    submitted = [bool(submit(port, QUEUE, prompt="x" * 10_000)) for _ in range(5)]
    return f"rules {installed}, {sum(submitted)} submitted"


def png(side: int) -> str:
    """The data URI of a black PNG of one bit a pixel, some 10 to 25 kB for 9400 to 14142 pixels a side."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress((b"\0" + b"\0" * (-(-side // 8))) * side, 9)
    header = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return "data:image/png;base64," + b64encode(file).decode()


def rgb_png(side: int) -> str:
    """The data URI of a black PNG in RGB."""
    import struct
    import zlib

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    compressor = zlib.compressobj(9)
    row = b"\0" * (3 * side + 1)
    rows = b"".join([*(compressor.compress(row) for _ in range(side)), compressor.flush()])
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    file = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return "data:image/png;base64," + b64encode(file).decode()


def noise(width: int, height: int, format: str) -> str:
    """The data URI of a picture of noise, which is as hard to decode as a photo."""
    from random import Random

    from PIL import Image

    tile = Image.frombytes("RGB", (500, 500), Random(1).randbytes(750_000)).resize((1000, 1000))
    picture = Image.new("RGB", (width, height))
    for x in range(0, width, 1000):
        for y in range(0, height, 1000):
            picture.paste(tile, (x, y))
    file = io.BytesIO()
    picture.save(file, format, quality=90)
    return f"data:image/{format};base64,{b64encode(file.getvalue()).decode()}"


@attack("input picture: a PNG of 14142 x 14142")
def large_png(port: int) -> str:
    return post_input(EDIT, prompt="a hat", image_url=png(14142))(port)


@attack("input picture: a PNG of 4000 x 3000")
def noisy_png(port: int) -> str:
    return post_input(EDIT, prompt="a hat", image_url=noise(4000, 3000, "png"))(port)


@attack("input picture: a JPEG of 8000 x 6000")
def large_jpeg(port: int) -> str:
    return post_input(EDIT, prompt="a hat", image_url=noise(8000, 6000, "jpeg"))(port)


@attack("output picture: 14142 x 14142")
def large_output(port: int) -> str:
    path = result_url(port, 14142).partition(f":{port}")[2]
    started = time.perf_counter()
    status, body = call(port, "GET", path)
    return f"{status}, {len(body) / 1e6:.1f} MB after {time.perf_counter() - started:.1f} s"


@attack("input pictures: four of 9400 x 9400, RGB")
def large_inputs(port: int) -> str:
    picture = rgb_png(9400)
    urls = [f"{picture[:-4]}{picture[-4:]}" for _ in range(4)]
    return post_input(EDITS, prompt="a hat", image_urls=urls)(port)


@attack("input picture: a result of 14142 x 14142")
def large_result_as_input(port: int) -> str:
    url = result_url(port, 14142)
    return post_input(EDIT, prompt="a hat", image_url=url)(port)


@attack("input picture: a result of 9400 x 9400")
def result_as_input(port: int) -> str:
    return post_input(EDIT, prompt="a hat", image_url=result_url(port, 9400))(port)


def result_url(port: int, side: int, prompt: str = "a cat") -> str:
    request = submit(port, QUEUE, prompt=prompt, image_size={"width": side, "height": side})
    time.sleep(COMPLETED_S)
    _, body = call(port, "GET", f"/queue.fal.run/fal-ai/flux/requests/{request['request_id']}")
    url: str = json.loads(body)["images"][0]["url"]
    return url


def journal_of_10_000(port: int) -> None:
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        request = (
            b"GET /queue.fal.run/fal-ai/flux/requests/none/status HTTP/1.1\r\nHost: a\r\n" + KEY + b"\r\n"
        ) * 50
        for _ in range(200):
            connection.sendall(request)
            received = 0
            while received < 50:
                received += connection.recv(1 << 20).count(b"HTTP/1.1 ")


def reading_after_10_000(path: str) -> Attack:
    def run(port: int) -> str:
        started = time.perf_counter()
        status, body = call(port, "GET", path)
        return f"{status}, {len(body) / 1e6:.1f} MB after {time.perf_counter() - started:.1f} s"

    return run


def calls_of_10_000(port: int) -> None:
    """Ten thousand calls with their exchanges, all over but the last."""
    body = json.dumps(
        {"prompt": "[mock: queue=0 run=0] a cat", "image_size": {"width": 64, "height": 64}}
    ).encode()
    head = f"POST {QUEUE} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(body)}\r\n".encode() + KEY
    with closing(socket.create_connection(("127.0.0.1", port), timeout=30)) as connection:
        for _ in range(400):
            connection.sendall((head + b"\r\n" + body) * 25)
            received = 0
            while received < 25:
                received += connection.recv(1 << 20).count(b"HTTP/1.1 ")


def inspecting(port: int) -> str:
    """What a page does that opens, searches and watches."""
    started = time.perf_counter()
    status, body = call(port, "GET", "/_mock/calls?limit=50")
    first_ms = (time.perf_counter() - started) * 1000
    for path in (
        "/_mock/calls?limit=50&text=dog",
        "/_mock/calls?limit=50&state=failed",
        "/_mock/calls?limit=50&status=4xx",
        "/_mock/keys",
        "/_mock/usage",
        "/_mock/files?limit=50",
        "/_mock/requests?limit=50&bodies=0",
        "/_mock/calls/" + body.partition(b'"id":"')[2].partition(b'"')[0].decode(),
        "/_mock/events?limit=1",
    ):
        status, _ = call(port, "GET", path)
        assert status == 200, path
    return f"first page after {first_ms:.0f} ms"


for _path in ("/_mock/requests", "/_mock/requests.har", "/_mock/metrics"):
    ATTACKS[f"{_path} with 10,000 exchanges"] = reading_after_10_000(_path), ["--retention", "10000"]
ATTACKS["the inspector with 10,000 calls"] = inspecting, ["--retention", "10001"]
PREPARE: dict[str, Callable[[int], None]] = {
    name: journal_of_10_000 for name in ATTACKS if name.endswith("with 10,000 exchanges")
}
PREPARE["the inspector with 10,000 calls"] = calls_of_10_000


@attack("clock at the end of the year 9999: polls with logs", "--clock", "manual")
def last_year(port: int) -> str:
    request = submit(port, QUEUE, prompt="a cat")
    seconds = 253_402_300_798 - 1_767_225_600
    advanced, _ = call(port, "POST", "/_mock/clock/advance", json.dumps({"seconds": seconds}).encode())
    path = f"/queue.fal.run/fal-ai/flux/requests/{request['request_id']}/status?logs=1"
    later = submit(port, QUEUE, prompt="a cat").get("request_id")
    token, _ = call(port, "POST", "/rest.fal.ai/storage/auth/token?storage_type=fal-cdn-v3", b"{}")
    return (
        f"advance {advanced}, status {call(port, 'GET', path)[0]}, CDN token {token}, submitted {bool(later)}"
    )


@attack("small picture beside four abandoned ones of 14142")
def abandoned_pictures(port: int) -> str:
    paths = [result_url(port, 14142, f"number {number}").partition(f":{port}")[2] for number in range(4)]
    small = result_url(port, 64).partition(f":{port}")[2]
    for path in paths:
        with socket.create_connection(("127.0.0.1", port)) as connection:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
            time.sleep(0.05)
    started = time.perf_counter()
    status, _ = call(port, "GET", small)
    return f"small picture {status} after {time.perf_counter() - started:.2f} s"


@contextmanager
def dripping_host() -> Iterator[int]:
    """A host that sends a byte every 0.2 seconds, for at most LONGEST_S."""
    ends_at = time.monotonic() + LONGEST_S

    def drip(connection: socket.socket) -> None:
        with suppress(OSError), connection:
            connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\n")
            while time.monotonic() < ends_at:
                connection.sendall(b"x")
                time.sleep(0.2)

    def accept() -> None:
        with suppress(OSError):
            while True:
                threading.Thread(target=drip, args=[listening.accept()[0]], daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]


@contextmanager
def webhook_receiver(received: threading.Event) -> Iterator[int]:
    def accept() -> None:
        with suppress(OSError):
            connection, _ = listening.accept()
            with connection:
                connection.recv(65536)
                received.set()
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        threading.Thread(target=accept, daemon=True).start()
        yield listening.getsockname()[1]


@attack("twelve image_urls that drip", "--allow-egress")
def dripping_urls(port: int) -> str:
    received = threading.Event()
    with dripping_host() as host, webhook_receiver(received) as receiver:
        for number in range(12):
            fields = {"prompt": "a hat", "image_url": f"http://127.0.0.1:{host}/{number}.png"}
            body = json.dumps(fields).encode()
            threading.Thread(target=call, args=[port, "POST", EDIT, body], daemon=True).start()
        time.sleep(0.5)
        started = time.perf_counter()
        # By name, so that the name is looked up.
        submit(port, f"{QUEUE}?fal_webhook=http://localhost:{receiver}/hook", prompt="a cat")
        received.wait(25)
        webhook_s = time.perf_counter() - started
        process = SERVERS[port]
        started = time.perf_counter()
        process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            process.wait(LONGEST_S)
        return f"webhook after {webhook_s:.1f} s, SIGTERM after {time.perf_counter() - started:.1f} s"


# -- memory: the note has the growth of the resident memory


def growing(number: int, make: Callable[[int], tuple[str, bytes, bytes]]) -> Attack:
    """Sends `number` requests, each with a path, headers and a body, then resets."""

    def run(port: int) -> str:
        before, statuses = _memory_mb(port, "VmRSS"), set()
        for index in range(number):
            path, headers, body = make(index)
            statuses.add(call(port, "POST", path, body, headers=headers)[0])
        after = _memory_mb(port, "VmRSS")
        call(port, "DELETE", "/_mock/requests")
        reset = _memory_mb(port, "VmRSS")
        return f"{sorted(statuses)}, {after - before:+.0f} MB, {reset - before:+.0f} MB after a reset"

    return run


_LONG = b"x" * 500_000
ATTACKS |= {
    "heads: 400 requests with 500 kB of headers": (
        growing(400, lambda index: (QUEUE, KEY + b"X-A: %d%b\r\n" % (index, _LONG), b"{}")),
        [],
    ),
    "heads: 400 keys of 500 kB": (
        growing(400, lambda index: (QUEUE, b"Authorization: Key %d%b:secret\r\n" % (index, _LONG), b"{}")),
        [],
    ),
    "heads: 400 paths of 500 kB": (
        growing(400, lambda index: (f"/queue.fal.run/{index}{_LONG.decode()}", KEY, b"{}")),
        [],
    ),
    "300 prompts of 2 MB": (
        growing(300, lambda index: (QUEUE, KEY, b'{"prompt":"%d%b"}' % (index, 4 * _LONG))),
        [],
    ),
}


# -- the table

SERVERS: dict[int, subprocess.Popen[bytes]] = {}


@dataclass(frozen=True)
class Figures:
    alone_ms: float
    beside_ms: float
    note: str
    peak_mb: float

    @property
    def extra_ms(self) -> float:
        return max(0.0, self.beside_ms - self.alone_ms)


def measure(command: list[str], name: str) -> Figures:
    run, flags = ATTACKS[name]
    with server([*command, *flags]) as port:
        if name in PREPARE:
            PREPARE[name](port)
        request_id = submit(port, QUEUE, prompt="polled").get("request_id", "none")
        for path in (EDIT, EDITS):  # warm up: modules are imported at first use
            submit(port, path, prompt="warm", image_url=png(64), image_urls=[png(64)])
        submit(
            port, EDIT, prompt="warm", image_url="data:image/png;base64,QUFB"
        )  # no picture: it loads all decoders
        for path in (
            "/",
            "/_mock/requests?limit=1",
            "/_mock/requests.har?limit=1",
            "/_mock/metrics",
            "/_mock/scenario",
        ):
            call(port, "GET", path)
        status = f"/queue.fal.run/fal-ai/flux/requests/{request_id}/status?logs=0"
        with Polls(port, status) as alone:
            time.sleep(ALONE_S)
        notes: list[str] = []
        with Polls(port, status) as beside:
            attacking = threading.Thread(target=lambda: notes.append(run(port)), daemon=True)
            attacking.start()
            attacking.join(LONGEST_S)
        note = notes[0] if notes else f"not over after {LONGEST_S:g} s"
        return Figures(alone.slowest_ms, beside.slowest_ms, note, _memory_mb(port, "VmHWM"))


@contextmanager
def server(command: list[str]) -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    process = subprocess.Popen(
        [*command, "--port", str(port)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    SERVERS[port] = process
    try:
        deadline = time.monotonic() + 20
        while not call(port, "GET", "/_mock/health", timeout_s=1)[0] and time.monotonic() < deadline:
            time.sleep(0.02)
        yield port
    finally:
        process.terminate()
        try:
            process.wait(2)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        del SERVERS[port]


def _memory_mb(port: int, name: str) -> float:
    """The resident memory of a server, `VmRSS`, or the most that it ever had, `VmHWM`."""
    try:
        text = Path(f"/proc/{SERVERS[port].pid}/status").read_text()
    except OSError:
        return 0.0
    lines = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return int(lines.get(name, "0").split()[0]) / 1024


def main(arguments: list[str] | None = None) -> int:
    """Print the table; 1 if an attack takes more than GOAL_MS."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="measure only the attacks whose names contain one of these")
    parser.add_argument("--command", default=shlex.join(COMMAND), help="the command that starts a server")
    parser.add_argument("--runs", type=int, default=3, help="the run with the smallest difference counts")
    parser.add_argument("--poll", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.poll:
        poll(int(options.poll[0]), options.poll[1], int(options.poll[2]))
        return 0
    worst = 0.0
    sys.stdout.write(f"{'attack':52} {'alone':>7} {'beside':>9} {'extra':>9} ms   peak MB  note\n")
    for name in ATTACKS:
        if options.names and not any(part in name for part in options.names):
            continue
        # Other programs on this machine only add to a difference.
        runs = (measure(shlex.split(options.command), name) for _ in range(options.runs))
        figures = min(runs, key=lambda figures: figures.extra_ms)
        worst = max(worst, figures.extra_ms)
        sys.stdout.write(
            f"{name:52} {figures.alone_ms:7.1f} {figures.beside_ms:9.1f} {figures.extra_ms:9.1f}"
            f"      {figures.peak_mb:7.0f}  {figures.note}\n"
        )
        sys.stdout.flush()
    return 0 if worst <= GOAL_MS else 1


if __name__ == "__main__":
    sys.exit(main())
