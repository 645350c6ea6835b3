"""Platform API: analytics, which are counts, outcomes and durations of requests."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.requests.outcome import RequestFailure
from mock_fal.requests.queue import ModelRequest
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.usage import Buckets, time_series
from mock_fal.web.platform.wire import Invalid, Query, status_code

Measure = Callable[[Emulator, list[ModelRequest]], JSON]

# Metric -> the infrastructure failures that it counts.
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
    """`GET /models/analytics`: the requested metrics as a time series, a summary, or both."""
    # deviation: requests that were removed because of `retention` are not counted.
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
        and buckets.contains(request.schedule.ends_at)
    ]

    def rows(requests: list[ModelRequest]) -> list[JSON]:
        by_endpoint = {
            endpoint: [request for request in requests if str(request.endpoint) == endpoint]
            for endpoint in endpoints
        }
        return [
            {"endpoint_id": endpoint} | {metric: _METRICS[metric](emulator, group) for metric in metrics}
            for endpoint, group in by_endpoint.items()
            if group
        ]

    return time_series(
        buckets.grouped(ended, lambda request: request.schedule.ends_at), ended, rows, expand, page
    )


def _statuses(first: int) -> Measure:
    return lambda emulator, requests: sum(status_code(request.result) // 100 == first for request in requests)


def _failures(types: set[str]) -> Measure:
    def count(emulator: Emulator, requests: list[ModelRequest]) -> int:
        outcomes = [request.result for request in requests]
        return sum(
            isinstance(outcome, RequestFailure) and outcome.error_type in types for outcome in outcomes
        )

    return count


def _percentile(percent: int, measure: Callable[[ModelRequest], float]) -> Measure:
    """The shortest time that is not exceeded by `percent` % of the requests that ran; 0 if none ran."""

    def time_s(emulator: Emulator, requests: list[ModelRequest]) -> float:
        times = sorted(measure(request) for request in requests if math.isfinite(request.schedule.starts_at))
        return round(times[math.ceil(len(times) * percent / 100) - 1], 6) if times else 0

    return time_s


def _run_s(request: ModelRequest) -> float:
    return request.schedule.ends_at - request.schedule.starts_at


def _wait_s(request: ModelRequest) -> float:
    return request.schedule.starts_at - request.schedule.queued_at


def _billed_s(emulator: Emulator, requests: list[ModelRequest]) -> float:
    return round(sum(_run_s(request) for request in requests if math.isfinite(request.schedule.starts_at)), 6)


_METRICS: Final[dict[str, Measure]] = {
    "request_count": lambda emulator, requests: len(requests),
    "success_count": _statuses(2),
    "user_error_count": _statuses(4),
    "error_count": _statuses(5),
    **{name: _failures(types) for name, types in _ERRORS.items()},
    **{f"p{percent}_prepare_duration": _percentile(percent, _wait_s) for percent in (50, 75, 90, 95, 99)},
    **{f"p{percent}_duration": _percentile(percent, _run_s) for percent in (25, 50, 75, 90, 95, 99)},
    # deviation: runners never have a cold start.
    "cold_boot_count": lambda emulator, requests: 0,
    **{f"p{percent}_cold_boot_duration": lambda emulator, requests: 0 for percent in (50, 75, 90)},
    "total_billable_duration": _billed_s,
}
