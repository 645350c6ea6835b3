"""The Platform API about requests: their list, their payloads, the queue of an app."""

from __future__ import annotations

import json
import math
import re
from datetime import timedelta
from typing import Final

from mock_fal import catalog
from mock_fal.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.line import Entry
from mock_fal.outcome import Answer, addresses
from mock_fal.web import wire, wire_storage
from mock_fal.web.platform.wire import Invalid, NotFound, Query, moment, paged, status_code
from mock_fal.web.question import Question

# fal: how far back the list goes by itself, and when one request is asked for (specification, 2026-08).
_BACK: Final = timedelta(days=1)
_FAR_BACK: Final = timedelta(days=90)

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# The first digit of the status of each kind of request.
_STATUSES: Final = {"success": 2, "user_error": 4, "error": 5}


def by_endpoint(emulator: Emulator, question: Question) -> JSON:
    """`GET /models/requests/by-endpoint`: what was asked of some endpoints, the latest or the longest first."""
    query = Query(question)
    page = query.page(default=50, most=100, strict=True)
    endpoints = query.ids("endpoint_id", required=True)
    request_id = query.text("request_id")
    if request_id is not None:
        _check_uuid(request_id)
    status = query.choice("status", ("", *_STATUSES), "")
    sort_by = query.choice("sort_by", ("ended_at", "duration"), "ended_at")
    payloads = "payloads" in query.listed("expand", ("payloads",))
    now = emulator.clock.now()
    since, until = query.period(now, back=_BACK if request_id is None else _FAR_BACK)
    found = [
        entry
        for entry in emulator.store.entries.values()
        if entry.tenant == question.account
        and str(entry.endpoint) in endpoints
        and request_id in (None, entry.id)
        # fal: unverified, that what still waits or runs is not listed.
        and since.timestamp() <= entry.schedule.ends_at < min(until.timestamp(), now + 0.001)
        and (not status or status_code(entry.result) // 100 == _STATUSES[status])
    ]
    measure = _duration_s if sort_by == "duration" else _ended_at
    found.sort(key=lambda entry: (measure(entry), entry.ticket.number), reverse=True)
    listed = paged("items", found, page)
    inputs = _inputs(emulator, question) if payloads else {}
    listed["items"] = [
        _item(emulator, entry) | (_payloads(entry, inputs, question) if payloads else {})
        for entry in listed["items"]
    ]
    return {"items": listed.pop("items"), **listed}


def delete_payloads(emulator: Emulator, question: Question, request_id: str) -> JSON:
    """`DELETE /models/requests/{id}/payloads`: forget what went in and what came out, files included."""
    _check_uuid(request_id)
    entry = emulator.store.entries.get(request_id)
    if entry is None or entry.tenant != question.account:
        raise NotFound(f"no request {request_id}")
    # fal: unverified, that a second time finds no file to delete, and that a request must be over.
    paths = emulator.delete_payloads(entry)
    links = [wire_storage.url(path, question.links) for path in paths]
    return {"cdn_delete_results": [{"link": link, "exception": None} for link in links]}


def queue_size(emulator: Emulator, question: Question, owner: str, name: str) -> JSON:
    """`GET /serverless/apps/{owner}/{name}/queue`: how many requests wait."""
    return {"queue_size": len(_waiting(emulator, question.account, f"{owner}/{name}"))}


def flush_queue(emulator: Emulator, question: Question, owner: str, name: str) -> None:
    """`DELETE /serverless/apps/{owner}/{name}/queue`: cancel what waits."""
    for entry in _waiting(emulator, question.account, f"{owner}/{name}"):
        emulator.cancel(entry)


def _waiting(emulator: Emulator, account: str, app_id: str) -> list[Entry]:
    # unlike fal: the models here are everybody's, and each key has a queue of its own in front of them.
    if not catalog.has_app(app_id):
        raise NotFound(f"no app {app_id}")
    now = emulator.clock.now()
    return [
        entry
        for entry in emulator.store.entries.values()
        if (entry.tenant, entry.app_id) == (account, app_id) and entry.schedule.leaves_queue_at > now
    ]


def _check_uuid(request_id: str) -> None:
    if not _UUID.fullmatch(request_id):
        raise Invalid("request_id", request_id, "a UUID")


def _ended_at(entry: Entry) -> float:
    return entry.schedule.ends_at


def _duration_s(entry: Entry) -> float:
    # fal: unverified, whether the time in the queue counts; the specification calls it the total duration (2026-08).
    return round(entry.schedule.ends_at - entry.schedule.queued_at, 6)


def _item(emulator: Emulator, entry: Entry) -> dict[str, JSON]:
    its = entry.schedule
    # fal: unverified, what stands here for one that never started.
    started_at = its.starts_at if math.isfinite(its.starts_at) else its.ends_at
    return {
        "request_id": entry.id,
        "endpoint_id": str(entry.endpoint),
        "started_at": moment(started_at),
        "sent_at": moment(its.queued_at),
        "ended_at": moment(its.ends_at),
        "status_code": status_code(entry.result),
        "duration": _duration_s(entry),
    }


def _inputs(emulator: Emulator, question: Question) -> dict[str, bytes]:
    """What was submitted, by the id of the request, as far as the journal goes back."""
    return {
        each.request_id: each.request_body
        for each in emulator.store.exchanges
        if each.request_id and each.method == "POST" and each.tenant == question.account
    }


def _payloads(entry: Entry, inputs: dict[str, bytes], question: Question) -> dict[str, JSON]:
    if entry.payloads_deleted:
        return {}
    payloads: dict[str, JSON] = {}
    if entry.id in inputs:
        payloads["json_input"] = _read(inputs[entry.id])
    outcome = entry.outcome
    # fal: with sync_mode the output is not kept (the models' published schemas, 2026).
    if isinstance(outcome, Answer) and not outcome.inline:
        payloads["json_output"] = json.loads(wire.encode(outcome.body, addresses(question.links.media, {})))
    return payloads


def _read(body: bytes) -> JSON:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
