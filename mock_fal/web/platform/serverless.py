"""Platform API: what ran on the apps of an account: usage, metrics and logs. An app runs for whoever calls it."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from datetime import timedelta
from typing import Final, NamedTuple

from starlette.responses import StreamingResponse

from mock_fal.billing.prices import CURRENCY
from mock_fal.clock import AutoAdvanceClock, date
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.requests.lifecycle import LogLine
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.usage import Buckets, time_series
from mock_fal.web.platform.wire import Invalid, Query, json_body, paged, status_code, timestamp

# assumption: the machine of every app, and its price for a second; the examples of the specification name both, but no
# app of fal's own says where it runs.
_MACHINE: Final = "GPU-H100"
_SECOND_USD: Final = 0.000525

_PERIOD: Final = timedelta(days=1)
_MINUTE_S: Final = 60.0

# Upper limits of the latencies that the metrics count, in seconds.
_LATENCIES: Final = (0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, math.inf)

# Levels of log lines, in order.
_LEVELS: Final = ("trace", "debug", "info", "warning", "error", "critical")
_MAX_LABELS: Final = 50

KEEP_ALIVE: Final = b": ping\n\n"
_KEEP_ALIVE_S: Final = 15.0

# The requests whose lines are compared before others get a turn: about a millisecond.
_SLICE: Final = 50


def apps(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /serverless/apps`: the apps that the account has called, by name."""
    # deviation: apps belong to no account: those are listed that it has called.
    page = Query(http_request).page(default=50, most=100)
    names = sorted({request.app_id for request in _requests(emulator, http_request.account)})
    return paged(
        "apps", [{"owner": name.split("/")[-2], "name": name.split("/")[-1]} for name in names], page
    )


def usage(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /serverless/usage`: the machine-seconds of each app, as a time series, a summary, or both."""
    query = Query(http_request)
    page = query.page(default=10_000, most=10_000)
    expand = query.listed("expand", ("time_series", "summary")) or ["time_series"]
    now = emulator.clock.now()
    buckets = Buckets(query, now)
    named, search = query.ids("app"), (query.text("search") or "").lower()
    ran = [
        request
        for request in _requests(emulator, http_request.account)
        if math.isfinite(request.schedule.starts_at)
        and request.schedule.ends_at <= now
        and buckets.contains(request.schedule.ends_at)
        and (not named or _app_name(request) in named)
        and search in _app_name(request).lower()
    ]
    return time_series(buckets.grouped(ran, _ended_at), ran, _usage_rows, expand, page)


def _usage_rows(requests: list[ModelRequest]) -> list[JSON]:
    seconds: dict[str, float] = defaultdict(float)
    for request in requests:
        seconds[_app_name(request)] += request.schedule.ends_at - request.schedule.starts_at
    return [_usage_row(app, round(quantity, 6)) for app, quantity in sorted(seconds.items())]


def _usage_row(app: str, seconds: float) -> dict[str, JSON]:
    cost = round(seconds * _SECOND_USD, 9)
    return {
        "app": app,
        "environment": None,
        "machine_type": _MACHINE,
        "unit": "second",
        "quantity": seconds,
        "unit_price": _SECOND_USD,
        "net_unit_price": _SECOND_USD,
        "percent_discount": None,
        "cost_subtotal": cost,
        "cost_discount": 0,
        "cost_total": cost,
        "cost": cost,
        "currency": CURRENCY,
        "is_surge": False,
    }


# -- metrics


def metrics(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`GET /serverless/metrics`: runners, queues and requests of the last minute, as text for Prometheus."""
    # fal: the names, labels and help texts (example of the specification, 2026-08).
    now = emulator.clock.now()
    requests = list(_requests(emulator, http_request.account))
    apps = sorted({request.app_id for request in requests})
    waiting = Counter(request.app_id for request in requests if now < request.schedule.leaves_queue_at)
    running = Counter(
        request.app_id for request in requests if request.schedule.starts_at <= now < request.schedule.ends_at
    )
    received = Counter(
        request.app_id for request in requests if now - _MINUTE_S < request.submission.queued_at <= now
    )
    ended = [request for request in requests if now - _MINUTE_S < request.schedule.ends_at <= now]
    completed = Counter((request.app_id, status_code(request.result)) for request in ended)
    machine = {"machine_type": _MACHINE}
    samples = {
        "runners": [({"application": app, **machine, "state": "running"}, running[app]) for app in apps],
        "queue_size": [({"application": app}, waiting[app]) for app in apps],
        "concurrent_requests": [({"application": app}, running[app]) for app in apps],
        "requests_completed": [
            ({"application": app, "method": "POST", "status": str(status)}, number)
            for (app, status), number in sorted(completed.items())
        ],
        "requests_received": [({"application": app, "method": "POST"}, received[app]) for app in apps],
        "request_latency": [
            (
                {"application": app, "le": "+Inf" if limit == math.inf else str(limit)},
                sum(request.app_id == app and _latency_s(request) <= limit for request in ended),
            )
            for app in apps
            for limit in _LATENCIES
        ],
    }
    return wire.text(200, "".join(_metric(name, samples[name]) for name in _HELP))


_HELP: Final = {
    "runners": "Number of fal app runners",
    "queue_size": "Current size of the fal app queue",
    "concurrent_requests": "Current number of concurrent requests being processed",
    "requests_completed": "Number of requests completed in the last minute",
    "requests_received": "Number of requests received in the last minute",
    "request_latency": "Number of requests completed, bucketed by latency in seconds",
}


def _metric(name: str, samples: Iterable[tuple[dict[str, str], int]]) -> str:
    lines = [f"# HELP fal_app_{name} {_HELP[name]}", f"# TYPE fal_app_{name} gauge"]
    for labels, value in samples:
        # JSON and the text format of Prometheus escape the same three characters in the same way.
        text = ",".join(f"{label}={json.dumps(value, ensure_ascii=False)}" for label, value in labels.items())
        lines.append(f"fal_app_{name}{{{text}}} {value}")
    return "".join(f"{line}\n" for line in lines)


# -- logs


class _Selection(NamedTuple):
    """Which log lines a client wants."""

    account: str
    apps: Sequence[str]
    request_id: str | None
    level: int
    search: str
    labels: dict[str, str]

    async def lines(
        self, emulator: Emulator, since: float, until: float
    ) -> list[tuple[ModelRequest, LogLine]]:
        """The lines of a period with their requests, oldest first."""
        found = []
        for number, request in enumerate([*_requests(emulator, self.account)], 1):
            if number % _SLICE == 0:
                await asyncio.sleep(0)
            if request.schedule.ends_at < since or request.submission.queued_at >= until:
                continue
            labels = _labels(request)
            if self.request_id not in (None, request.id) or (
                self.apps and not {request.app_id, _app_name(request)} & set(self.apps)
            ):
                continue
            if any(labels.get(key) != value for key, value in self.labels.items()):
                continue
            for line in emulator.read(request).logs:
                is_loud = _level(line) >= self.level and self.search in line.message.lower()
                if is_loud and since <= line.at < until:
                    found.append((request, line))
        found.sort(key=lambda item: item[1].at)
        return found


async def logs_history(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`POST /serverless/logs/history`: the log lines of a period, latest first."""
    query = Query(http_request)
    limit = query.limit(default=100, most=1000)
    since, until = query.period(emulator.clock.now(), back=_PERIOD)
    # fal: the cursor is a moment, to be used as the end of the next page (specification, 2026-08).
    end = query.moment("cursor") or until
    selection = _selection(query, http_request)
    found = await selection.lines(emulator, since.timestamp(), min(end, until).timestamp())
    found.reverse()
    shown = found[:limit]
    # Lines of one moment stay together, since the next page ends before the cursor.
    shown += [item for item in found[limit:] if item[1].at == shown[-1][1].at]
    has_more = len(found) > len(shown)
    cursor = date(shown[-1][1].at).isoformat().replace("+00:00", "Z") if has_more else None
    return {"items": [_line(*item) for item in shown], "next_cursor": cursor, "has_more": has_more}


def logs_stream(emulator: Emulator, http_request: HttpRequest) -> StreamingResponse:
    """`POST /serverless/logs/stream`: log lines as they are logged, as server-sent events."""
    query = Query(http_request)
    now = emulator.clock.now()
    since = query.moment("start")
    until = query.moment("end")
    selection = _selection(query, http_request)
    end = until.timestamp() if until is not None else math.inf
    events = _events(emulator, selection, since.timestamp() if since is not None else now, end)
    return StreamingResponse(events, 200, {"content-type": "text/event-stream", "cache-control": "no-cache"})


async def _events(
    emulator: Emulator, selection: _Selection, since: float, until: float
) -> AsyncIterator[bytes]:
    sent_at = emulator.clock.now()
    while True:
        now = emulator.clock.now()
        # A line that is logged at this moment may still come: it is sent the next time.
        found = await selection.lines(emulator, since, min(now, until))
        for item in found:
            yield wire.event(wire.encode(_line(*item)))
        since = max(since, now)
        if now >= until:
            return
        open_requests = [
            request
            for request in _requests(emulator, selection.account)
            if now < request.schedule.ends_at < math.inf
        ]
        if not open_requests and isinstance(emulator.clock, AutoAdvanceClock):
            # deviation: a clock that advances with each wait would never stop; the stream ends with the last request.
            return
        moments = [emulator.next_change_at(request) for request in open_requests]
        if found:
            sent_at = now
        elif now >= sent_at + _KEEP_ALIVE_S:
            # assumption: a comment keeps this stream open too, as that of a status does.
            yield KEEP_ALIVE
            sent_at = now
        await emulator.clock.wait_until(min([*moments, sent_at + _KEEP_ALIVE_S, until]) + 0.001)


def _selection(query: Query, http_request: HttpRequest) -> _Selection:
    """The filters of a request. Raises Invalid."""
    level = (query.text("level") or _LEVELS[0]).lower()
    if level not in _LEVELS:
        raise Invalid("level", level, f"one of {', '.join(_LEVELS)}")
    query.choice("traceback", ("true", "false"), "false")
    labels = _label_filters(http_request)
    return _Selection(
        http_request.account,
        query.ids("app_id"),
        query.text("request_id"),
        _LEVELS.index(level),
        (query.text("search") or "").lower(),
        labels
        | {
            label: value
            for name, label in (
                ("job_id", "fal_job_id"),
                ("revision", "revision"),
                ("run_source", "run_source"),
            )
            if (value := query.text(name)) is not None
        },
    )


def _label_filters(http_request: HttpRequest) -> dict[str, str]:
    """The labels in the body: a list of `{"key", "value"}`. Raises Invalid."""
    body = json_body(http_request, b"[]")
    if not isinstance(body, list) or len(body) > _MAX_LABELS:
        raise Invalid("the body", body, f"a list of up to {_MAX_LABELS} labels")
    labels = {}
    for item in body:
        match item:
            case {"key": str(key), "value": str(value)}:
                labels[key] = value
            case _:
                raise Invalid("a label", item, "an object with the texts key and value")
    return labels


def _line(request: ModelRequest, line: LogLine) -> dict[str, JSON]:
    return {
        "timestamp": timestamp(line.at),
        "level": line.level.lower(),
        "message": line.message,
        "app": _app_name(request),
        "revision": None,
        "labels": _labels(request),
    }


def _labels(request: ModelRequest) -> dict[str, str]:
    # assumption: the names of the labels; the specification's example has `fal_job_id` only.
    return {"fal_job_id": request.id, "fal_request_id": request.id, "fal_endpoint": str(request.endpoint)}


def _level(line: LogLine) -> int:
    level = line.level.lower()
    return _LEVELS.index(level) if level in _LEVELS else _LEVELS.index("info")


# -- requests


def _requests(emulator: Emulator, account: str) -> Iterator[ModelRequest]:
    return (request for request in emulator.store.requests.values() if request.tenant == account)


def _app_name(request: ModelRequest) -> str:
    """The name of the app without its owner, as fal's usage has it."""
    return request.endpoint.app


def _ended_at(request: ModelRequest) -> float:
    return request.schedule.ends_at


def _latency_s(request: ModelRequest) -> float:
    return request.schedule.ends_at - request.submission.queued_at
