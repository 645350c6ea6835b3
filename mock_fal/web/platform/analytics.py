"""The Platform API's analytics: how many requests there were, how they ended and how long they took."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from mock_fal.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.requests.outcome import RequestFailure
from mock_fal.requests.queue import ModelRequest
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.usage import Buckets, time_series
from mock_fal.web.platform.wire import Invalid, Query, status_code

Measure = Callable[[Emulator, list[ModelRequest]], JSON]

# Which failures of the infrastructure each count is about.
_ERRORS: Final = {
    "startup_error_count": {"startup_timeout", "runner_scheduling_failure"},
    "connection_error_count": {
        "runner_connection_timeout",
        "runner_disconnected",
        "runner_connection_refused",
        "runner_connection_error",
    },
    "timeout_error_count": {"request_timeout"},
    "runtime_error_count": {"internal_error", "runner_server_error"},
}


def analytics(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/analytics`: the metrics that are asked for, by bucket, as a whole, or both."""
    # deviation: requests that were forgotten to keep to `retention` don't count.
    query = Query(http_request)
    page = query.page(default=10_000, most=10_000)
    endpoints = query.ids("endpoint_id", required=True)
    expand = query.listed("expand", ("time_series", "summary", *_METRICS)) or ["time_series", "request_count"]
    metrics = [metric for metric in _METRICS if metric in expand]
    if not metrics:
        raise Invalid("expand", ",".join(expand), "at least one metric among them")
    now = emulator.clock.now()
    buckets = Buckets(query, now)
    ended = [
        request
        for request in emulator.store.requests.values()
        if request.tenant == http_request.account
        and str(request.endpoint) in endpoints
        and request.schedule.ends_at <= now
        and buckets.hold(request.schedule.ends_at)
    ]

    def rows(some: list[ModelRequest]) -> list[JSON]:
        each = {
            endpoint: [request for request in some if str(request.endpoint) == endpoint]
            for endpoint in endpoints
        }
        return [
            {"endpoint_id": endpoint} | {metric: _METRICS[metric](emulator, its) for metric in metrics}
            for endpoint, its in each.items()
            if its
        ]

    return time_series(
        buckets.sorted(ended, lambda request: request.schedule.ends_at), ended, rows, expand, page
    )


def _statuses(first: int) -> Measure:
    return lambda emulator, some: sum(status_code(each.result) // 100 == first for each in some)


def _failures(types: set[str]) -> Measure:
    def count(emulator: Emulator, some: list[ModelRequest]) -> int:
        outcomes = [each.result for each in some]
        return sum(isinstance(each, RequestFailure) and each.error_type in types for each in outcomes)

    return count


def _percentile(percent: int, measure: Callable[[ModelRequest], float]) -> Measure:
    """The least of the times that so many percent of all don't exceed; 0 where nothing has run."""

    def time_s(emulator: Emulator, some: list[ModelRequest]) -> float:
        times = sorted(measure(each) for each in some if math.isfinite(each.schedule.starts_at))
        return round(times[math.ceil(len(times) * percent / 100) - 1], 6) if times else 0

    return time_s


def _ran_s(request: ModelRequest) -> float:
    return request.schedule.ends_at - request.schedule.starts_at


def _waited_s(request: ModelRequest) -> float:
    return request.schedule.starts_at - request.schedule.queued_at


def _billed_s(emulator: Emulator, some: list[ModelRequest]) -> float:
    return round(sum(_ran_s(each) for each in some if math.isfinite(each.schedule.starts_at)), 6)


_METRICS: Final[dict[str, Measure]] = {
    "request_count": lambda emulator, some: len(some),
    "success_count": _statuses(2),
    "user_error_count": _statuses(4),
    "error_count": _statuses(5),
    **{name: _failures(types) for name, types in _ERRORS.items()},
    **{f"p{percent}_prepare_duration": _percentile(percent, _waited_s) for percent in (50, 75, 90, 95, 99)},
    **{f"p{percent}_duration": _percentile(percent, _ran_s) for percent in (25, 50, 75, 90, 95, 99)},
    # deviation: no runner of ours is ever cold.
    "cold_boot_count": lambda emulator, some: 0,
    **{f"p{percent}_cold_boot_duration": lambda emulator, some: 0 for percent in (50, 75, 90)},
    "total_billable_duration": _billed_s,
}
