"""The figures. Each is measured beside its reference, in alternating blocks: other programs share the machine."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Final, NamedTuple

from tests.bench import hardening
from tests.bench.load import AIMOCK_HOST, MODEL, Load, fill, load, submitted
from tests.bench.programs import AIMOCK, BARE, MOCK_FAL, NGINX, Program, Running, mock, running

OPERATIONS: Final = ("submit", "status", "result", "lifecycle")


@dataclass(frozen=True)
class Figure:
    """A measured value. `sign` and `limit` are the goal, `detail` says what the value was made of."""

    name: str
    value: float
    unit: str
    sign: str = ""
    limit: float = 0.0
    detail: str = ""

    @property
    def is_met(self) -> bool:
        return not self.sign or (self.value >= self.limit if self.sign == "≥" else self.value <= self.limit)


class Key(NamedTuple):
    """What a load was measured for."""

    server: str
    operation: str
    connections: int


# The loads of all rounds, in order.
Loads = Mapping[Key, Sequence[Load]]


@dataclass(frozen=True)
class Effort:
    """How long everything is measured."""

    connections: tuple[int, ...]
    rounds: int
    seconds: float
    starts: int
    remembered: int
    in_flight: int
    longest_fill_s: float
    attack_runs: int


FULL: Final = Effort((1, 16, 64), 5, 2.0, 10, 1_000_000, 100_000, 300.0, 3)
QUICK: Final = Effort((16,), 2, 1.0, 2, 3_000, 3_000, 20.0, 0)


# -- throughput and latency


def throughput(effort: Effort, say: Callable[[str], None]) -> Loads:
    """The loads of four servers. All of them run during the whole measurement; only one is under load."""
    loads: dict[Key, list[Load]] = {}
    with ExitStack() as stack:
        servers = [stack.enter_context(running(program)) for program in (mock(), BARE, AIMOCK, NGINX)]
        for server in servers:  # modules are imported at first use
            if "submit" in _operations(server):
                path = submitted(server)
                server.call("GET", f"{path}/status")
                server.call("GET", path)
        for round_number in range(effort.rounds):
            for connections in effort.connections:
                say(f"throughput: round {round_number + 1} of {effort.rounds}, {connections} connections")
                for server in servers:
                    for operation in _operations(server):
                        key = Key(server.program.name, operation, connections)
                        loads.setdefault(key, []).append(
                            _load(server, operation, connections, effort.seconds)
                        )
            if 64 not in effort.connections:  # the tail of the latency is a goal
                for server in servers[:2]:
                    operation = "status" if server is servers[0] else "hello"
                    key = Key(server.program.name, operation, 64)
                    loads.setdefault(key, []).append(_load(server, operation, 64, effort.seconds))
    return loads


def _operations(server: Running) -> Sequence[str]:
    return OPERATIONS if server.program.name in ("mock-fal", "aimock") else ("hello",)


def _load(server: Running, operation: str, connections: int, seconds: float) -> Load:
    is_aimock = server.program.name == "aimock"
    headers = (AIMOCK_HOST,) if is_aimock else ()

    def measure(mode: str, path: str) -> Load:
        return load(server, mode, path, connections=connections, seconds=seconds, headers=headers)

    model = MODEL.replace("/queue.fal.run", "/fal") if is_aimock else MODEL
    match operation:
        case "hello":
            return measure("get", "/")
        case "submit" | "lifecycle":
            return measure(operation, model)
        case "status":
            return measure("get", f"{submitted(server)}/status")
        case _:
            return measure("get", submitted(server))


def ratio(
    loads: Loads, one: Key, other: Key, value: Callable[[Load], float] = lambda load: load.per_second
) -> float:
    """The median of the ratios of two loads in the same round."""
    return statistics.median(value(a) / value(b) for a, b in zip(loads[one], loads[other], strict=True))


def median(loads: Loads, key: Key, value: Callable[[Load], float]) -> float:
    return statistics.median(map(value, loads[key]))


_GOALS: Final = {"submit": 0.75, "status": 1.5, "result": 1.2, "lifecycle": 1.0}


def throughput_figures(loads: Loads) -> Iterator[Figure]:
    bare = Key("bare", "hello", 16)
    for operation, goal in _GOALS.items():
        key = Key("mock-fal", operation, 16)
        detail = f"{_rate(loads, key)} against {_rate(loads, bare)}, 16 connections"
        yield Figure(operation, ratio(loads, key, bare), "× bare app", "≥", goal, detail)
    mine, theirs = Key("mock-fal", "lifecycle", 16), Key("aimock", "lifecycle", 16)
    detail = f"{_rate(loads, mine)} against {_rate(loads, theirs)}, 16 connections"
    yield Figure("lifecycle, beside aimock", ratio(loads, mine, theirs), "× aimock", "≥", 2.0, detail)
    mine, theirs = Key("mock-fal", "status", 64), Key("bare", "hello", 64)

    def p99(load: Load) -> float:
        return load.p99_ms

    detail = f"{median(loads, mine, p99):.1f} ms against {median(loads, theirs, p99):.1f} ms"
    yield Figure(
        "p99 of a status, 64 connections", ratio(loads, mine, theirs, p99), "× bare app", "≤", 2.0, detail
    )


def _rate(loads: Loads, key: Key) -> str:
    return f"{median(loads, key, lambda load: load.per_second):,.0f}/s"


# -- start-up, memory, the command `run`


def start_figures(effort: Effort, say: Callable[[str], None]) -> Iterator[Figure]:
    plain, gateway = mock(), mock(name="with gateway", ready="/_mock/gateway", method="POST")
    seconds: dict[str, list[float]] = {}
    rss_mb: dict[str, list[float]] = {}
    run_s = []
    for number in range(effort.starts):
        say(f"start-up: {number + 1} of {effort.starts}")
        for program in (plain, BARE, gateway):
            with running(program) as server:
                seconds.setdefault(program.name, []).append(server.started_s)
                rss_mb.setdefault(program.name, []).append(server.rss_mb)
        started = time.perf_counter()
        subprocess.run([MOCK_FAL, "run", "--", "true"], check=True, stderr=subprocess.DEVNULL)
        run_s.append(time.perf_counter() - started)

    def compared(
        name: str, program: Program, values: dict[str, list[float]], limit: float, show: str
    ) -> Figure:
        mine, bare = values[program.name], values[BARE.name]
        detail = f"{show.format(statistics.median(mine))} against {show.format(statistics.median(bare))}"
        return Figure(name, _ratio(mine, bare), "× bare app", "≤", limit, detail)

    yield compared("start-up to the first answer", plain, seconds, 1.15, "{:.2f} s")
    yield compared("start-up with the gateway", gateway, seconds, 1.5, "{:.2f} s")
    yield Figure(
        "mock-fal run -- true", statistics.median(run_s), "s", "≤", 0.35, f"least {min(run_s):.2f} s"
    )
    yield compared("idle memory (RSS)", plain, rss_mb, 1.1, "{:.1f} MB")


def _ratio(mine: Sequence[float], theirs: Sequence[float]) -> float:
    return statistics.median(a / b for a, b in zip(mine, theirs, strict=True))


# -- growth


class Growth(NamedTuple):
    """A server with this many requests: how fast a status is, and the memory."""

    requests: int
    status_per_second: float
    ratio: float  # to the bare application, in the same blocks
    p50_ms: float
    p99_ms: float
    rss_mb: float


class Grown(NamedTuple):
    points: list[Growth]
    bytes_per_request: float  # without its bodies
    note: str


# The journal keeps the body of a submission and of its response, which are not counted.
_FLAGS: Final = ("--retention", "2000000", "--max-memory", "64G")
# What the rest of the machine needs.
_SPARE_BYTES: Final = 3 << 30


def growth(most: int, effort: Effort, say: Callable[[str], None], *flags: str) -> Grown:
    """Requests in steps of ten. `flags` may keep them in flight; else they are completed."""
    points: list[Growth] = []
    note = ""
    with running(mock(*_FLAGS, *flags)) as server, running(BARE) as bare:
        path = f"{submitted(server)}/status"
        count = 1
        bodies, each = _body_bytes(server), 0.0
        for number in _steps(most):
            need = each * (number - count)
            if need > _available_bytes() - _SPARE_BYTES:
                note = f"{number:,} requests would take {need / 1e9:.1f} GB of memory, more than is free"
                break
            say(f"growth: {number:,} requests")
            before_mb = server.rss_mb  # polls take memory too
            reached = fill(server, count + 1, number, longest_s=effort.longest_fill_s)
            each = (server.rss_mb - before_mb) * 1024 * 1024 / (reached - count)
            if reached < number:
                note = f"only {reached:,} requests could be submitted in {effort.longest_fill_s:.0f} s"
                break
            count = number
            points.append(_growth(server, bare, path, count, effort))
    return Grown(points, each - bodies, note)


def _growth(server: Running, bare: Running, path: str, count: int, effort: Effort) -> Growth:
    mine, theirs = Key(server.program.name, "status", 1), Key(bare.program.name, "hello", 1)
    loads: dict[Key, list[Load]] = {mine: [], theirs: []}
    for _ in range(effort.rounds):
        for key, target, url in ((mine, server, path), (theirs, bare, "/")):
            loads[key].append(load(target, "get", url, connections=1, seconds=effort.seconds))
    return Growth(
        count,
        median(loads, mine, lambda load: load.per_second),
        ratio(loads, mine, theirs),
        median(loads, mine, lambda load: load.p50_ms),
        median(loads, mine, lambda load: load.p99_ms),
        server.rss_mb,
    )


def _steps(most: int) -> list[int]:
    """10², 10³ …, and the last one."""
    return [10**power for power in range(2, 7) if 10**power < most] + [most]


def _body_bytes(server: Running) -> int:
    """The bytes of the two bodies of a submission."""
    body = b'{"prompt":"number 100000"}'
    return len(body) + len(server.call("POST", MODEL, body)[1])


def _available_bytes() -> int:
    with open("/proc/meminfo") as file:
        line = next(line for line in file if line.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024


def growth_figures(remembered: Grown, in_flight: Grown) -> Iterator[Figure]:
    yield Figure("a remembered request, without bodies", remembered.bytes_per_request, "bytes", "≤", 1500)
    for name, grown in (("remembered", remembered), ("in flight", in_flight)):
        points = [point for point in grown.points if point.requests >= 1000]
        if len(points) > 1:
            first, last = points[0], points[-1]
            yield Figure(
                f"status with {last.requests:,} requests {name}",
                first.ratio / last.ratio,
                f"× slower than with {first.requests:,}",
                "≤",
                2.0,
                f"p50 {last.p50_ms:.2f} ms against {first.p50_ms:.2f} ms",
            )


# -- pictures


def picture_figures(effort: Effort) -> Iterator[Figure]:
    yield _first_picture(effort.rounds)
    with running(mock()) as server, running(BARE) as bare:
        path = _picture_path(server)
        mine, theirs = Key(server.program.name, "picture", 16), Key(bare.program.name, "hello", 16)
        loads: dict[Key, list[Load]] = {mine: [], theirs: []}
        for _ in range(effort.rounds):
            for key, target, url in ((mine, server, path), (theirs, bare, "/")):
                loads[key].append(load(target, "get", url, connections=16, seconds=effort.seconds))
        detail = f"{_rate(loads, mine)} against {_rate(loads, theirs)}, 16 connections"
        yield Figure(
            "a picture that was rendered before", ratio(loads, mine, theirs), "× bare app", "≥", 0.8, detail
        )


def _picture_path(server: Running) -> str:
    fields = {"prompt": "a cat", "image_size": {"width": 1024, "height": 768}}
    _, body = server.call("POST", MODEL, json.dumps(fields).encode())
    request_id = json.loads(body)["request_id"]
    _, body = server.call("GET", f"{MODEL.rpartition('/')[0]}/requests/{request_id}")
    path: str = json.loads(body)["images"][0]["url"].removeprefix(server.url)
    server.call("GET", path)  # rendered now
    return path


def _first_picture(rounds: int) -> Figure:
    """Rendering pictures that nobody asked for before, beside encoding the same pictures."""
    from io import BytesIO

    from PIL import Image

    from mock_fal.pictures.recipe import Recipe
    from mock_fal.pictures.render import render

    render(Recipe("fal-ai/flux/schnell", "imports Pillow", 0, 64, 64))
    rendered, encoded = [], []
    for number in range(2 * rounds):
        recipes = [
            Recipe("fal-ai/flux/schnell", f"cat {number} {seed}", seed, 1024, 768) for seed in range(12)
        ]
        started = time.process_time()
        files = [render(recipe) for recipe in recipes]
        rendered.append((time.process_time() - started) / len(recipes))
        images = [Image.open(BytesIO(file)).convert("RGB") for file in files]
        started = time.process_time()
        for image in images:
            image.save(BytesIO(), "JPEG", quality=95)
        encoded.append((time.process_time() - started) / len(images))
    detail = f"{min(rendered) * 1000:.1f} ms against {min(encoded) * 1000:.1f} ms"
    return Figure(
        "the first 1024×768 JPEG", _ratio(rendered, encoded), "× Pillow's encoding", "≤", 2.2, detail
    )


# -- the event loop

# Of the attacks in `hardening`, those that may hold the event loop longest.
_ATTACKS: Final = (
    "input picture: a PNG of 14142 x 14142",
    "input picture: a PNG of 4000 x 3000",
    "input picture: a JPEG of 8000 x 6000",
    "output picture: 14142 x 14142",
    "/_mock/requests with 10,000 exchanges",
    "regular expression (a+)+$ on 60 a",
    "rules with regular expressions, a prompt of 10 kB",
    "JSON, 10^5 levels deep",
    "JSON of 45 MB, 90 levels deep",
    "keys in a body of 45 MB",
)


def event_loop_figures(effort: Effort, say: Callable[[str], None]) -> Iterator[Figure]:
    """How much longer the slowest status poll takes beside something heavy."""
    command = [MOCK_FAL, "serve"]
    for name in _ATTACKS if effort.attack_runs else ():
        say(f"event loop: {name}")
        runs = [hardening.measure(command, name) for _ in range(effort.attack_runs)]
        seen = min(runs, key=lambda run: run.extra_ms)  # other programs only add to a difference
        detail = f"{seen.beside_ms:.1f} ms against {seen.alone_ms:.1f} ms alone; {seen.note}".rstrip("; ")
        yield Figure(f"poll beside: {name}", seen.extra_ms, "ms more", "≤", hardening.GOAL_MS, detail)


def machine() -> str:
    with open("/proc/cpuinfo") as file:
        model = next((line.partition(":")[2].strip() for line in file if line.startswith("model name")), "")
    return f"{os.cpu_count()} processors ({model or os.uname().machine}), Linux {os.uname().release}"
