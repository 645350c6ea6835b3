"""queue.fal.run: submit, status, status stream, result, cancel."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

from starlette.responses import Response, StreamingResponse

from mock_fal.accounts.permissions import RUN
from mock_fal.emulation.emulator import Emulator
from mock_fal.emulation.options import NO_FILES, SubmitOptions
from mock_fal.emulation.submissions import AnswerNeeded, may_name_files
from mock_fal.endpoint import NAMESPACES, EndpointId
from mock_fal.errors import AuthenticationRequired, FalError, StillInProgress
from mock_fal.files.long_input import LONG_BYTES
from mock_fal.requests.lifecycle import Status
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.answers import answered
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.renderer import Renderer
from mock_fal.web.stream import result_response
from mock_fal.web.submit_options import read_input, submit_options

# fal: a comment every 15 seconds keeps a status stream open (fal's Queue API documentation, 2026).
# assumption: the text of the comment is "ping", and events end with a bare line feed.
KEEP_ALIVE_S: Final = 15.0
KEEP_ALIVE: Final = b": ping\n\n"


class Queue:
    """The queue host."""

    def __init__(self, emulator: Emulator, renderer: Renderer) -> None:
        self._emulator = emulator
        self._renderer = renderer

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The HTTP response, and the request to a model that it is about, if any."""
        route = match_route(http_request.path)
        if route is None:
            return await self._submit(http_request, receive)
        at_once = self.at_once(http_request)
        if at_once is not None:
            return at_once
        request, handler = self._requested(http_request, route)
        return await _WAITING[handler](self, http_request, request, receive), request

    def at_once(self, http_request: HttpRequest) -> tuple[wire.Reply, ModelRequest | None] | None:
        """The response if nothing has to be waited for; None else, and then nothing has changed.

        The body must have been read.
        """
        route = match_route(http_request.path)
        if route is None:
            return self._submit_at_once(http_request)
        as_status = route[2][2]
        try:
            request, handler = self._requested(http_request, route)
        except _MethodNotAllowed as error:
            return wire.method_not_allowed(error.allowed, self._header_id(route[1])), None
        except FalError as error:
            return wire.error(error, self._header_id(route[1]), as_status=as_status), None
        response = handler(self, http_request, request)
        return None if response is None else (response, request)

    def _requested(
        self, http_request: HttpRequest, route: tuple[str, str, Route]
    ) -> tuple[ModelRequest, Handler]:
        """The request that a URL names, and what responds to it. Raises FalError or _MethodNotAllowed."""
        app_id, request_id, (method, handler, _) = route
        if http_request.method != method and (http_request.method, method) != ("HEAD", "GET"):
            raise _MethodNotAllowed("GET,HEAD" if method == "GET" else method)
        needs = "" if method == "GET" else RUN
        tenant = self._emulator.keys.account(http_request.authorization, app_id, needs)
        return self._emulator.find(app_id, request_id, tenant), handler

    async def _submit(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        submitter = self._submitter(http_request)
        if isinstance(submitter, wire.Reply):
            return submitter, None
        endpoint, tenant = submitter
        emulator = self._emulator
        body = await http_request.read(receive, emulator.settings.max_body)
        body, contents = await read_input(emulator, self._renderer, endpoint, body, tenant)
        options = submit_options(http_request, emulator.keys)
        request = await answered(
            lambda options: emulator.submit(endpoint, body, tenant, options, contents), options
        )
        return self._submitted(http_request, request, options), request

    def _submit_at_once(self, http_request: HttpRequest) -> tuple[wire.Reply, ModelRequest | None] | None:
        body = http_request.body
        if len(body) > LONG_BYTES or may_name_files(body):
            return None
        submitter = self._submitter(http_request)
        if isinstance(submitter, wire.Reply):
            return submitter, None
        endpoint, tenant = submitter
        options = submit_options(http_request, self._emulator.keys)
        try:
            request = self._emulator.submit(endpoint, body, tenant, options, NO_FILES)
        except AnswerNeeded:
            return None
        return self._submitted(http_request, request, options), request

    def _submitter(self, http_request: HttpRequest) -> tuple[EndpointId, str] | wire.Reply:
        """The endpoint and the account of a submission, or the response that rejects it."""
        endpoint = http_request.endpoint
        if endpoint is None:
            return wire.page_not_found(self._emulator.new_request_id(""))
        if http_request.method != "POST":
            return wire.method_not_allowed("POST", self._emulator.new_request_id(""))
        tenant = self._emulator.keys.account(http_request.authorization, endpoint.app_id, RUN)
        if tenant is None:
            raise AuthenticationRequired(endpoint.app_id)
        return endpoint, tenant

    def _submitted(
        self, http_request: HttpRequest, request: ModelRequest, options: SubmitOptions
    ) -> wire.Reply:
        with_webhook = options.webhook is not None
        return wire.submitted(
            self._emulator.submitted(request), http_request.links, with_webhook=with_webhook
        )

    def _header_id(self, request_id: str) -> str:
        """The id from the URL if it is valid in a header, else a new id."""
        is_header = request_id and request_id.isascii() and request_id.isprintable()
        return request_id if is_header else self._emulator.new_request_id("")

    def _status(self, http_request: HttpRequest, request: ModelRequest) -> wire.Reply:
        with_logs = wire.wants_logs(http_request)
        view = self._emulator.poll(request, with_logs=with_logs)
        return wire.status(view, http_request.links, with_logs=with_logs)

    def _result(self, http_request: HttpRequest, request: ModelRequest) -> wire.Reply | None:
        try:
            self._emulator.check_completed(request)
        except StillInProgress as error:
            return wire.still_in_progress(error, request, http_request.links)
        body = request.written(http_request.links.media, wire.write)
        if body is not None:
            return wire.written_result(body, request)
        outcome = request.result
        if isinstance(outcome, RunnerResponse) and outcome.inline:
            return None
        return wire.result(outcome, request, http_request.links, {})

    def _cancel(self, http_request: HttpRequest, request: ModelRequest) -> wire.Reply:
        try:
            return wire.cancelled(self._emulator.cancel(request), request)
        except FalError as error:
            return wire.error(error, request.id, as_status=True)

    def _no_stream(self, http_request: HttpRequest, request: ModelRequest) -> None:
        """A stream is never sent at once."""

    async def _rendered_result(
        self, http_request: HttpRequest, request: ModelRequest, receive: Receive
    ) -> wire.AnyResponse:
        outcome = self._emulator.result(request)
        return await result_response(self._renderer, outcome, request, http_request.links, receive)

    async def _stream(
        self, http_request: HttpRequest, request: ModelRequest, receive: Receive
    ) -> wire.AnyResponse:
        headers = {
            wire.REQUEST_ID: request.id,
            "cache-control": "no-cache",
            "content-type": "text/event-stream",
        }
        if http_request.method == "HEAD":
            return Response(status_code=200, headers=headers)
        return StreamingResponse(self._events(http_request, request), 200, headers)

    async def _events(self, http_request: HttpRequest, request: ModelRequest) -> AsyncIterator[bytes]:
        """The status of a request, each time it changes. Each event has the log lines since the previous one."""
        # assumption: each event has only the new log lines. The JavaScript client joins those of all events
        # (1.10.1, subscribeToStatus), so it would show repeated lines several times.
        emulator, with_logs = self._emulator, wire.wants_logs(http_request)
        last: Status | None = None
        sent_lines, sent_at = 0, emulator.clock.now()
        while True:
            view = emulator.read(request, with_logs=with_logs)
            new_lines = view.logs[sent_lines:]
            if view.status != last or new_lines:
                yield wire.status_event(view, http_request.links, new_lines if with_logs else None)
                sent_lines, last, sent_at = len(view.logs), view.status, emulator.clock.now()
            elif emulator.clock.now() >= sent_at + KEEP_ALIVE_S:
                yield KEEP_ALIVE
                sent_at = emulator.clock.now()
            if view.is_completed:
                return
            await emulator.clock.wait_until(min(emulator.next_change_at(request), sent_at + KEEP_ALIVE_S))


class _MethodNotAllowed(Exception):
    """A URL of a request that does not take the method."""

    def __init__(self, allowed: str) -> None:
        super().__init__(allowed)
        self.allowed = allowed


# Returns None if the response has to wait; then `_WAITING` has the function that does.
Handler = Callable[[Queue, HttpRequest, ModelRequest], wire.Reply | None]
WaitingHandler = Callable[[Queue, HttpRequest, ModelRequest, Receive], Awaitable[wire.AnyResponse]]
Route = tuple[str, Handler, bool]

# Path after the request id -> method, handler, and whether the body for an unknown id is a status.
# fal: `…/response` appears in older documentation; the live service treats it as an endpoint to submit to.
_ROUTES: Final[dict[str | None, Route]] = {
    None: ("GET", Queue._result, False),
    "status": ("GET", Queue._status, True),
    # assumption: for an unknown id the stream responds as the status does.
    "status/stream": ("GET", Queue._no_stream, True),
    "cancel": ("PUT", Queue._cancel, True),
}
_WAITING: Final[dict[Handler, WaitingHandler]] = {
    Queue._result: Queue._rendered_result,
    Queue._no_stream: Queue._stream,
}

# fal: the URL of a request is `owner/app/requests/{id}`. With a longer path before `requests` it is that of an endpoint
# to submit to, and takes POST only (live; six independent reports of 405).
_NAMESPACE: Final = f"(?:{'|'.join(sorted(NAMESPACES))})/"
_REQUEST_PATH: Final = re.compile(
    rf"((?:{_NAMESPACE}[^/]*|(?!{_NAMESPACE})[^/]*)/[^/]*)/requests/([^/]*)(?:/(.*))?", re.DOTALL
)


def match_route(path: str) -> tuple[str, str, Route] | None:
    """The app id, the request id and the route of a path; None for an endpoint to submit to."""
    if "/requests/" not in path:
        return None
    match = _REQUEST_PATH.fullmatch(path.strip("/"))
    if match is None:
        return None
    app_id, request_id, rest = match.groups()
    route = _ROUTES.get(rest)
    return (app_id, request_id, route) if route else None
