"""Platform API: the list of requests, deletion of payloads, and app queues."""

from __future__ import annotations

import asyncio
import json
import math
import re
from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON, InputTooLong
from mock_fal.files.long_input import LONG_BYTES, shortened
from mock_fal.journal.exchanges import Exchange
from mock_fal.requests.outcome import RunnerResponse, media_urls
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire, wire_storage
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, NotFound, Query, paged, status_code, timestamp

# fal: the default period of the list, and the one for a single request (specification, 2026-08).
_PERIOD: Final = timedelta(days=1)
_SINGLE_REQUEST_PERIOD: Final = timedelta(days=90)

_UUID: Final = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

# What a search may look for, one at a time.
_SOUGHT: Final = ("query", "image_url", "video_url")
_WORD: Final = re.compile(r"\w+")
# Longer inputs are not searched: parsing one takes the event loop.
_MAX_SEARCHED: Final = 64 << 10
# The requests that are compared before others get a turn: about a millisecond, or one long input.
_SLICE: Final = 20

# Status filter -> first digit of the status code.
_STATUSES: Final = {"success": 2, "user_error": 4, "error": 5}


async def by_endpoint(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/requests/by-endpoint`: completed requests of some endpoints, latest or longest first."""
    return await _by_endpoint(emulator, http_request, ("payloads",))


async def by_owned_endpoint(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /serverless/requests/by-endpoint`: the same for the apps of an account, with the billed units on request."""
    # deviation: apps belong to no account: an account sees its own requests to them, and no others'.
    return await _by_endpoint(emulator, http_request, ("payloads", "billing"))


async def _by_endpoint(emulator: Emulator, http_request: HttpRequest, expandable: tuple[str, ...]) -> JSON:
    query = Query(http_request)
    page = query.page(default=50, most=100, strict=True)
    endpoints = query.ids("endpoint_id", required=True)
    request_id = query.text("request_id")
    if request_id is not None:
        _check_uuid(request_id)
    status = query.choice("status", ("", *_STATUSES), "")
    sort_by = query.choice("sort_by", ("ended_at", "duration"), "ended_at")
    expand = query.listed("expand", expandable)
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
    sent = submissions(emulator, http_request.account)
    body["items"] = [
        _item(emulator, request)
        | _tags(sent.get(request.id))
        | (await _payloads(request, sent, http_request) if "payloads" in expand else {})
        | ({"billable_units": _units(request)} if "billing" in expand else {})
        for request in body["items"]
    ]
    return {"items": body.pop("items"), **body}


async def search(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/requests/search`: completed requests, latest first, or those most like a text or a file."""
    query = Query(http_request)
    page = query.page(default=50, most=100)
    sought = {name: text for name in _SOUGHT if (text := query.text(name))}
    if len(sought) > 1:
        raise Invalid(" and ".join(sought), len(sought), "one of query, image_url and video_url")
    endpoints = query.ids("endpoint_id")
    least = _share(query.text("min_similarity"))
    hidden, only = (
        query.choice(name, ("true", "false"), "false") == "true"
        for name in ("exclude_api_requests", "only_api_requests")
    )
    if hidden and only:
        raise Invalid("exclude_api_requests", "true", "only one of it and only_api_requests")
    # Every request here was made with a key.
    now = emulator.clock.now()
    found = [
        request
        for request in ([] if hidden else emulator.store.requests.values())
        if request.tenant == http_request.account
        and request.schedule.ends_at <= now
        and (not endpoints or str(request.endpoint) in endpoints)
    ]
    found.sort(key=lambda request: request.submission.number, reverse=True)
    sent = submissions(emulator, http_request.account)
    if sought:
        [(name, text)] = sought.items()
        alike = _Alike(emulator, sent, name, text)
        ranked = []
        for number, request in enumerate(found, 1):
            ranked.append((alike.similarity(request), request))
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        ranked = [item for item in ranked if item[0] > 0 and item[0] >= least]
        ranked.sort(key=lambda item: -item[0])
    else:
        ranked = [(math.nan, request) for request in found]
    body = paged("results", ranked, page)
    results = [
        _item(emulator, request)
        | ({} if math.isnan(similarity) else {"similarity": similarity})
        | _tags(sent.get(request.id))
        for similarity, request in body["results"]
    ]
    return {"results": results, "next_cursor": body["next_cursor"], "has_more": body["has_more"]}


class _Alike:
    """How like a text or a file the requests of an account are, from 0 to 1."""

    # deviation: fal compares embeddings of pictures. Here it is the share of the words of a query that the input or the
    # tags have; a file is like the request that made it, and the others by the words of that request.

    def __init__(self, emulator: Emulator, sent: dict[str, Exchange], name: str, text: str) -> None:
        self._sent = sent
        self._origin = ""
        words = text
        if name != "query":
            path = urlsplit(text).path
            at = path.find("/files/")
            file = emulator.store.file(path[at:]) if at >= 0 else None
            words = ""
            if file is not None and file.request.id in sent:
                self._origin = file.request.id
                words = _words_of(sent[file.request.id])
        self._words = set(_WORD.findall(words.lower()))

    def similarity(self, request: ModelRequest) -> float:
        if request.id == self._origin:
            return 1.0
        if request.id not in self._sent or not self._words or request.payloads_deleted:
            return 0.0
        words = set(_WORD.findall(_words_of(self._sent[request.id]).lower()))
        return round(len(self._words & words) / len(self._words), 4)


def _words_of(exchange: Exchange) -> str:
    """The texts of an input, and the tags."""
    tags = " ".join(f"{key} {value}" for key, value in exchange.tags.items())
    if exchange.request_bytes > _MAX_SEARCHED:
        return tags
    document = exchange.input
    values = document.values() if isinstance(document, dict) else ()
    return " ".join([*(value for value in values if isinstance(value, str)), tags])


def _share(text: str | None) -> float:
    try:
        share = float(text) if text is not None else 0.0
    except ValueError:
        share = math.nan
    if not 0 <= share <= 1:
        raise Invalid("min_similarity", text, "a number of 0 to 1")
    return share


def _tags(exchange: Exchange | None) -> dict[str, JSON]:
    """The tags of a request, if it has any."""
    # assumption: fal lists them too; its documentation only says that it stores them with the request.
    tags = exchange.tags if exchange is not None else {}
    return {"tags": tags} if tags else {}


def submissions(emulator: Emulator, account: str) -> dict[str, Exchange]:
    """Request id -> how it was submitted, for the requests in the journal."""
    return {
        exchange.request_id: exchange
        for exchange in emulator.store.exchanges
        if exchange.request_id and exchange.method == "POST" and exchange.tenant == account
    }


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
    if not emulator.catalog.has_app(app_id):
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


def _units(request: ModelRequest) -> float | None:
    outcome = request.outcome
    return outcome.billable_units if isinstance(outcome, RunnerResponse) else None


async def _payloads(
    request: ModelRequest, sent: dict[str, Exchange], http_request: HttpRequest
) -> dict[str, JSON]:
    if request.payloads_deleted:
        return {}
    payloads: dict[str, JSON] = {}
    if request.id in sent:
        exchange = sent[request.id]
        is_long = exchange.request_bytes > LONG_BYTES
        payloads["json_input"] = await asyncio.to_thread(_input, exchange) if is_long else _input(exchange)
    outcome = request.outcome
    # fal: with sync_mode the output is not kept (the models' published schemas, 2026).
    if isinstance(outcome, RunnerResponse) and not outcome.inline:
        payloads["json_output"] = json.loads(
            wire.encode(outcome.body, media_urls(http_request.links.media, {}))
        )
    return payloads


def _input(exchange: Exchange) -> JSON:
    """The input of a submission."""
    body = exchange.request_body
    if len(body) > LONG_BYTES:
        # deviation: a long data URI is listed with its first 1000 characters and its size.
        try:
            body, _ = shortened(body)
        except InputTooLong:
            return None
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return body.decode("utf-8", "replace")
