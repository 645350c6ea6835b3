"""queue.fal.run: submit, status, status stream, result, cancel."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import lru_cache
from typing import Final

from starlette.responses import Response, StreamingResponse

from mock_fal.emulator import Emulator, is_over
from mock_fal.endpoint import NAMESPACES
from mock_fal.errors import AuthenticationRequired, FalError, StillInProgress
from mock_fal.requests.lifecycle import Status
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.pictures import Pictures
from mock_fal.web.submit_options import fetch_files, submit_options

# fal: a comment every 15 seconds keeps a status stream open (fal's Queue API documentation, 2026).
# assumption: its text, and that events end with a bare line feed.
KEEP_ALIVE_S: Final = 15.0
KEEP_ALIVE: Final = b": ping\n\n"


class Queue:
    """The queue's host."""

    def __init__(self, emulator: Emulator, pictures: Pictures) -> None:
        self._emulator = emulator
        self._pictures = pictures

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The answer, and the request that it is about where there is one."""
        where = place(http_request.path)
        if where is None:
            return await self._submit(http_request, receive)
        app_id, request_id, (method, handler, as_status) = where
        if http_request.method != method and (http_request.method, method) != ("HEAD", "GET"):
            allowed = "GET,HEAD" if method == "GET" else method
            return wire.method_not_allowed(allowed, self._presentable(request_id)), None
        try:
            tenant = self._emulator.keys.account(http_request.authorization, app_id)
            request = self._emulator.find(app_id, request_id, tenant)
        except FalError as error:
            return wire.error(error, self._presentable(request_id), as_status=as_status), None
        return await handler(self, http_request, request), request

    async def _submit(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        endpoint = http_request.endpoint
        if endpoint is None:
            return wire.page_not_found(self._emulator.new_request_id("")), None
        if http_request.method != "POST":
            return wire.method_not_allowed("POST", self._emulator.new_request_id("")), None
        emulator = self._emulator
        tenant = emulator.keys.account(http_request.authorization, endpoint.app_id)
        if tenant is None:
            raise AuthenticationRequired(endpoint.app_id)
        body = await http_request.read(receive, emulator.settings.max_body)
        await fetch_files(emulator, body)
        request = emulator.submit(endpoint, body, tenant, submit_options(http_request))
        return wire.submitted(emulator.peek(request, with_logs=False), http_request.links), request

    def _presentable(self, request_id: str) -> str:
        """An id that somebody made up, as far as a header can hold it; else one of ours."""
        is_header = request_id and request_id.isascii() and request_id.isprintable()
        return request_id if is_header else self._emulator.new_request_id("")

    async def _status(self, http_request: HttpRequest, request: ModelRequest) -> wire.AnyResponse:
        with_logs = wire.wants_logs(http_request)
        view = self._emulator.look(request, with_logs=with_logs)
        return wire.status(view, http_request.links, with_logs=with_logs)

    async def _stream(self, http_request: HttpRequest, request: ModelRequest) -> wire.AnyResponse:
        headers = {
            wire.REQUEST_ID: request.id,
            "cache-control": "no-cache",
            "content-type": "text/event-stream",
        }
        if http_request.method == "HEAD":
            return Response(status_code=200, headers=headers)
        return StreamingResponse(self._events(http_request, request), 200, headers)

    async def _result(self, http_request: HttpRequest, request: ModelRequest) -> wire.AnyResponse:
        try:
            outcome = self._emulator.result(request)
        except StillInProgress as error:
            return wire.still_in_progress(error, request, http_request.links)
        return wire.result(outcome, request, http_request.links, await self._pictures.data_uris(outcome))

    async def _cancel(self, http_request: HttpRequest, request: ModelRequest) -> wire.AnyResponse:
        try:
            return wire.cancelled(self._emulator.cancel(request), request)
        except FalError as error:
            return wire.error(error, request.id, as_status=True)

    async def _events(self, http_request: HttpRequest, request: ModelRequest) -> AsyncIterator[bytes]:
        """The story of a request as it goes on. Each event has the log lines since the one before."""
        # assumption: that logs come in pieces; the JavaScript client joins those of all events
        # (1.10.1, subscribeToStatus), so whole lists would show every line again and again.
        emulator, with_logs = self._emulator, wire.wants_logs(http_request)
        last: Status | None = None
        told, spoken = 0, emulator.clock.now()
        while True:
            view = emulator.peek(request, with_logs=with_logs)
            fresh = view.logs[told:]
            if view.status != last or fresh:
                yield wire.status_event(view, http_request.links, fresh if with_logs else None)
                told, last, spoken = len(view.logs), view.status, emulator.clock.now()
            elif emulator.clock.now() >= spoken + KEEP_ALIVE_S:
                yield KEEP_ALIVE
                spoken = emulator.clock.now()
            if is_over(view):
                return
            await emulator.clock.wait_until(min(emulator.next_change_at(request), spoken + KEEP_ALIVE_S))


Handler = Callable[[Queue, HttpRequest, ModelRequest], Awaitable[wire.AnyResponse]]
Route = tuple[str, Handler, bool]

# What stands behind the id, the method it takes, who answers, and whether an unknown id is told as a status.
# fal: `…/response` is in older documentation; live it is answered like any path to submit to.
_ROUTES: Final[dict[tuple[str, ...], Route]] = {
    (): ("GET", Queue._result, False),
    ("status",): ("GET", Queue._status, True),
    # assumption: what the stream answers for an unknown id.
    ("status", "stream"): ("GET", Queue._stream, True),
    ("cancel",): ("PUT", Queue._cancel, True),
}


@lru_cache(maxsize=4096)
def place(path: str) -> tuple[str, str, Route] | None:
    """The app, the request and what is asked about it; None for a path to submit to."""
    segments = path.strip("/").split("/")
    at = 3 if segments[0] in NAMESPACES else 2
    # fal: a request is asked after at `owner/app/requests/{id}`. The same behind a longer path reads as a
    # path to submit to, which takes POST only (live; six independent reports of 405).
    if len(segments) <= at + 1 or segments[at] != "requests":
        return None
    route = _ROUTES.get(tuple(segments[at + 2 :]))
    return ("/".join(segments[:at]), segments[at + 1], route) if route else None
