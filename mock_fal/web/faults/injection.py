"""Stands between the hosts and the wire: which fault a question meets, and at which step."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple

from starlette.types import Receive, Scope, Send

from mock_fal.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.hosts import MEDIA_HOSTS, QUEUE_HOSTS, REST_HOSTS, RUN_HOSTS
from mock_fal.requests.queue import ModelRequest
from mock_fal.scenario.directive import Directive, injected_fault
from mock_fal.web import wire
from mock_fal.web.faults.connection import HeadSent, cut, head_only, hung_up, slowly
from mock_fal.web.faults.responses import instead, rewritten, with_headers
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.queue import place
from mock_fal.web.run import STRICT_TRANSPORT

# What stands behind a request's id, and the step that it is; a stream of the status is one long look.
_OPERATIONS: Final = {"": "result", "status": "status", "status/stream": "status", "cancel": "cancel"}


class _Place(NamedTuple):
    """Where a question stands: the step, whose it is, and what it is about."""

    operation: str
    key: str = ""
    endpoint: str = ""
    request: ModelRequest | None = None


class Faults:
    """Stands between the hosts and the wire, where a test asked for it."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def before(self, http_request: HttpRequest) -> Directive | None:
        """What is asked for the answer to a question, that to a POST aside. Raises Asked for another answer."""
        where = self._place(http_request)
        if where is None:
            return None
        request = where.request
        choice = self._emulator.scenario_engine.later(
            where.operation, key=where.key, endpoint=where.endpoint, request=request
        )
        directive = choice.response
        if directive is not None and directive.result and not (request and self._emulator.is_done(request)):
            return None  # what is not over can't have expired
        if directive is not None and directive.token and http_request.bearer is None:
            return None
        choice.count()
        if directive is not None and directive.replaces:
            raise injected_fault(directive)
        return directive

    def instead(self, directive: Directive, http_request: HttpRequest) -> wire.Reply:
        """The answer in the place of the real one."""
        media = http_request.host in MEDIA_HOSTS
        request_id = "" if media or http_request.host in REST_HOSTS else self._request_id(http_request)
        response: wire.Reply = with_headers(instead(directive, request_id), directive)
        if media:
            response.raw_headers.append((b"access-control-allow-origin", b"*"))
        if http_request.host in RUN_HOSTS:
            response.raw_headers.append(STRICT_TRANSPORT)
        return response

    def changed(
        self,
        directive: Directive | None,
        http_request: HttpRequest,
        response: wire.AnyResponse,
        request: ModelRequest | None,
    ) -> tuple[wire.AnyResponse, Directive | None]:
        """An answer as it is asked for, and the directive that asks."""
        if (
            directive is None
            and request is not None
            and request.directives is not None
            and http_request.method == "POST"
        ):
            directive = request.directives.choice.response
        if directive is None or directive.replaces:
            return response, directive
        if directive.merge or directive.set_null or directive.json:
            response = rewritten(response, directive)
        return with_headers(response, directive), directive

    async def deliver(
        self,
        directive: Directive | None,
        response: wire.AnyResponse,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Send an answer, or as much of it as is asked for."""
        if directive is not None and directive.throttle is not None:
            send = slowly(send, directive.throttle, self._emulator.clock)
        match directive.connection if directive is not None else "":
            case "hang":
                await hung_up(receive)
            case "reset":
                await cut(scope, receive, reset=True)
            case "reset_after_headers":
                with suppress(HeadSent):
                    await response(scope, receive, head_only(send))
                await cut(scope, receive)
            case _:
                await response(scope, receive, send)

    def _place(self, http_request: HttpRequest) -> _Place | None:
        host, method, path = http_request.host, http_request.method, http_request.path.strip("/")
        key = http_request.named_account
        if host in QUEUE_HOSTS and (asked := place(http_request.path)) is not None:
            app_id, request_id, (allowed, _, _) = asked
            if method != allowed:
                return None
            request = self._emulator.store.requests.get(request_id)
            if request is not None and request.app_id != app_id:
                request = None
            operation = _OPERATIONS[path.rpartition("/requests/")[2].partition("/")[2]]
            return _Place(operation, key, app_id, request)
        if host in REST_HOSTS and method == "POST":
            if path.startswith(("tokens", "storage/auth/token")):
                return _Place("token", key)
            return _Place("upload", key) if path.startswith("storage/upload/") else None
        if host in MEDIA_HOSTS and method in ("GET", "HEAD"):
            result = self._emulator.store.files.get(http_request.path)
            if result is not None:
                return _Place("download", request=result.request)
            return _Place("download", self._owner(http_request))
        if host in MEDIA_HOSTS and method in ("PUT", "POST"):
            return _Place("upload", self._owner(http_request))
        return None

    def _owner(self, http_request: HttpRequest) -> str:
        """Whose file is written or read, as far as that can be told."""
        storage = self._emulator.storage
        if http_request.bearer is not None:
            return storage.bearer(http_request.bearer) or ""
        with suppress(FalError):
            path = "/" + "/".join(http_request.segments[:4])
            return storage.file_store.find(path, self._emulator.clock.now()).owner
        return http_request.named_account

    def _request_id(self, http_request: HttpRequest) -> str:
        asked = place(http_request.path) if http_request.host in QUEUE_HOSTS else None
        known = asked is not None and asked[1] in self._emulator.store.requests
        return asked[1] if asked and known else self._emulator.new_request_id("")
