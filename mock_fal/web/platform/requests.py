"""Platform API: the list of requests, deletion of payloads, and app queues."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from typing import Final

from mock_fal.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.models import catalog
from mock_fal.requests.outcome import RunnerResponse, media_urls
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire, wire_storage
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, NotFound, Query, paged, status_code, timestamp

# fal: the default period of the list, and the one for a single request (specification, 2026-08).
_PERIOD: Final = timedelta(days=1)
_SINGLE_REQUEST_PERIOD: Final = timedelta(days=90)

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# Status filter -> first digit of the status code.
_STATUSES: Final = {"success": 2, "user_error": 4, "error": 5}


def by_endpoint(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/requests/by-endpoint`: completed requests of some endpoints, latest or longest first."""
    query = Query(http_request)
    page = query.page(default=50, most=100, strict=True)
    endpoints = query.ids("endpoint_id", required=True)
    request_id = query.text("request_id")
    if request_id is not None:
        _check_uuid(request_id)
    status = query.choice("status", ("", *_STATUSES), "")
    sort_by = query.choice("sort_by", ("ended_at", "duration"), "ended_at")
    payloads = "payloads" in query.listed("expand", ("payloads",))
    now = emulator.clock.now()
    since, until = query.period(now, back=_PERIOD if request_id is None else _SINGLE_REQUEST_PERIOD)
    matching = [
        request
        for request in emulator.store.requests.values()
        if request.tenant == http_request.account
        and str(request.endpoint) in endpoints
        and request_id in (None, request.id)
        # assumption: queued and running requests are not listed.
        and since.timestamp() <= request.schedule.ends_at < min(until.timestamp(), now + 0.001)
        and (not status or status_code(request.result) // 100 == _STATUSES[status])
    ]
    sort_key = _duration_s if sort_by == "duration" else _ended_at
    matching.sort(key=lambda request: (sort_key(request), request.submission.number), reverse=True)
    body = paged("items", matching, page)
    inputs = _inputs(emulator, http_request) if payloads else {}
    body["items"] = [
        _item(emulator, request) | (_payloads(request, inputs, http_request) if payloads else {})
        for request in body["items"]
    ]
    return {"items": body.pop("items"), **body}


def delete_payloads(emulator: Emulator, http_request: HttpRequest, request_id: str) -> JSON:
    """`DELETE /models/requests/{id}/payloads`: delete the input, the output and the files of a request."""
    _check_uuid(request_id)
    request = emulator.store.requests.get(request_id)
    if request is None or request.tenant != http_request.account:
        raise NotFound(f"no request {request_id}")
    # assumption: a second deletion deletes no files, and the request must be completed.
    paths = emulator.delete_payloads(request)
    links = [wire_storage.url(path, http_request.links) for path in paths]
    return {"cdn_delete_results": [{"link": link, "exception": None} for link in links]}


def queue_size(emulator: Emulator, http_request: HttpRequest, owner: str, name: str) -> JSON:
    """`GET /serverless/apps/{owner}/{name}/queue`: the number of queued requests."""
    return {"queue_size": len(_queued(emulator, http_request.account, f"{owner}/{name}"))}


def flush_queue(emulator: Emulator, http_request: HttpRequest, owner: str, name: str) -> None:
    """`DELETE /serverless/apps/{owner}/{name}/queue`: cancel all queued requests."""
    for request in _queued(emulator, http_request.account, f"{owner}/{name}"):
        emulator.cancel(request)


def _queued(emulator: Emulator, account: str, app_id: str) -> list[ModelRequest]:
    # deviation: apps belong to no account, and each key has a separate queue for each app.
    if not catalog.has_app(app_id):
        raise NotFound(f"no app {app_id}")
    now = emulator.clock.now()
    return [
        request
        for request in emulator.store.requests.values()
        if (request.tenant, request.app_id) == (account, app_id) and request.schedule.leaves_queue_at > now
    ]


def _check_uuid(request_id: str) -> None:
    if not _UUID.fullmatch(request_id):
        raise Invalid("request_id", request_id, "a UUID")


def _ended_at(request: ModelRequest) -> float:
    return request.schedule.ends_at


def _duration_s(request: ModelRequest) -> float:
    # assumption: the duration includes the time in the queue; the specification calls it the total duration (2026-08).
    return round(request.schedule.ends_at - request.schedule.queued_at, 6)


def _item(emulator: Emulator, request: ModelRequest) -> dict[str, JSON]:
    schedule = request.schedule
    # assumption: a request that never started has the end time as its start time.
    started_at = schedule.starts_at if math.isfinite(schedule.starts_at) else schedule.ends_at
    return {
        "request_id": request.id,
        "endpoint_id": str(request.endpoint),
        "started_at": timestamp(started_at),
        "sent_at": timestamp(schedule.queued_at),
        "ended_at": timestamp(schedule.ends_at),
        "status_code": status_code(request.result),
        "duration": _duration_s(request),
    }


def _inputs(emulator: Emulator, http_request: HttpRequest) -> dict[str, bytes]:
    """Request id -> submitted body, for the requests in the journal."""
    return {
        exchange.request_id: exchange.request_body
        for exchange in emulator.store.exchanges
        if exchange.request_id and exchange.method == "POST" and exchange.tenant == http_request.account
    }


def _payloads(request: ModelRequest, inputs: dict[str, bytes], http_request: HttpRequest) -> dict[str, JSON]:
    if request.payloads_deleted:
        return {}
    payloads: dict[str, JSON] = {}
    if request.id in inputs:
        payloads["json_input"] = _read(inputs[request.id])
    outcome = request.outcome
    # fal: with sync_mode the output is not kept (the models' published schemas, 2026).
    if isinstance(outcome, RunnerResponse) and not outcome.inline:
        payloads["json_output"] = json.loads(
            wire.encode(outcome.body, media_urls(http_request.links.media, {}))
        )
    return payloads


def _read(body: bytes) -> JSON:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
