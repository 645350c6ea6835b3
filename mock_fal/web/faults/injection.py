"""Injected faults: which directive applies to an HTTP request, and what it does to the response."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple

from starlette.types import Receive, Scope, Send

from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.hosts import MEDIA_HOSTS, QUEUE_HOSTS, REST_HOSTS, RUN_HOSTS
from mock_fal.requests.queue import ModelRequest
from mock_fal.scenario.directive import Directive, injected_fault
from mock_fal.web import wire
from mock_fal.web.faults.connection import (
    HeadersSent,
    abort_connection,
    headers_only,
    throttled,
    wait_for_disconnect,
)
from mock_fal.web.faults.responses import replacement_response, with_headers, with_modified_json
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.queue import match_route
from mock_fal.web.run import STRICT_TRANSPORT

# The operation by the path after the request id. A stream of the status is one status operation.
_OPERATIONS: Final = {"": "result", "status": "status", "status/stream": "status", "cancel": "cancel"}


# The query parameter with the token of a realtime connection.
_TOKEN: Final = "fal_jwt_token"


def _has_token(http_request: HttpRequest) -> bool:
    """Whether a request has a token in place of a key: that of a WebSocket is in the query."""
    return _TOKEN in http_request.params if http_request.method == "WS" else http_request.bearer is not None


class _Target(NamedTuple):
    """The operation of an HTTP request, its account, and the endpoint or request that it is about."""

    operation: str
    key: str = ""
    endpoint: str = ""
    request: ModelRequest | None = None


class Faults:
    """Applies directives to HTTP requests and responses. Used once a directive about responses exists."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def directive_for(self, http_request: HttpRequest) -> Directive | None:
        """The directive for the response to a request other than a submission.

        Raises InjectedFault if the directive replaces the response.
        """
        target = self._target(http_request)
        if target is None:
            return None
        request = target.request
        choice = self._emulator.scenario_engine.choice_for(
            target.operation, key=target.key, endpoint=target.endpoint, request=request
        )
        directive = choice.response
        if directive is not None and directive.result and not (request and self._emulator.is_done(request)):
            return None  # a result that does not exist yet can't have expired
        if directive is not None and directive.token and not _has_token(http_request):
            return None
        choice.count()
        if directive is not None and directive.replaces_response:
            raise injected_fault(directive)
        return directive

    def replacement(self, directive: Directive, http_request: HttpRequest) -> wire.Reply:
        """The response that replaces fal's."""
        media = http_request.host in MEDIA_HOSTS
        request_id = "" if media or http_request.host in REST_HOSTS else self._request_id(http_request)
        response: wire.Reply = with_headers(replacement_response(directive, request_id), directive)
        if media:
            response.raw_headers = [*response.raw_headers, (b"access-control-allow-origin", b"*")]
        if http_request.host in RUN_HOSTS:
            response.raw_headers = [*response.raw_headers, STRICT_TRANSPORT]
        return response

    def apply(
        self,
        directive: Directive | None,
        http_request: HttpRequest,
        response: wire.AnyResponse,
        request: ModelRequest | None,
    ) -> tuple[wire.AnyResponse, Directive | None]:
        """The response with the changes of the directive, and the directive that applies."""
        if (
            directive is None
            and request is not None
            and request.directives is not None
            and http_request.method == "POST"
        ):
            directive = request.directives.choice.response
        if directive is None or directive.replaces_response:
            return response, directive
        if directive.merge or directive.set_null or directive.json:
            response = with_modified_json(response, directive)
        return with_headers(response, directive), directive

    async def send(
        self,
        directive: Directive | None,
        response: wire.AnyResponse,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Send the response, or only as much of it as the directive says."""
        if directive is not None and directive.throttle is not None:
            send = throttled(send, directive.throttle, self._emulator.clock)
        match directive.connection if directive is not None else "":
            case "hang":
                await wait_for_disconnect(receive)
            case "reset":
                await abort_connection(scope, receive, reset=True)
            case "reset_after_headers":
                with suppress(HeadersSent):
                    await response(scope, receive, headers_only(send))
                await abort_connection(scope, receive)
            case _:
                await response(scope, receive, send)

    def _target(self, http_request: HttpRequest) -> _Target | None:
        host, method, path = http_request.host, http_request.method, http_request.path.strip("/")
        key = http_request.named_account
        if method == "WS":  # the handshake
            key = http_request.account = key or self._token_account(http_request)
            return _Target("handshake", key, str(http_request.endpoint or ""))
        if host in QUEUE_HOSTS and (route := match_route(http_request.path)) is not None:
            app_id, request_id, (allowed, _, _) = route
            if method != allowed:
                return None
            request = self._emulator.store.requests.get(request_id)
            if request is not None and request.app_id != app_id:
                request = None
            operation = _OPERATIONS[path.rpartition("/requests/")[2].partition("/")[2]]
            return _Target(operation, key, app_id, request)
        if host in REST_HOSTS and method == "POST":
            if path.startswith(("tokens", "storage/auth/token")):
                return _Target("token", key)
            return _Target("upload", key) if path.startswith("storage/upload/") else None
        if host in MEDIA_HOSTS and method in ("GET", "HEAD"):
            result = self._emulator.store.file(http_request.path)
            if result is not None:
                return _Target("download", request=result.request)
            return _Target("download", self._owner(http_request))
        if host in MEDIA_HOSTS and method in ("PUT", "POST"):
            return _Target("upload", self._owner(http_request))
        return None

    def _token_account(self, http_request: HttpRequest) -> str:
        """The account of a token in the query; empty if there is none, or if it is not valid."""
        endpoint, token = http_request.endpoint, http_request.params.get(_TOKEN)
        if endpoint is not None and token is not None:
            with suppress(FalError):
                return self._emulator.tokens.account(token, endpoint.app, self._emulator.clock.now())
        return ""

    def _owner(self, http_request: HttpRequest) -> str:
        """The account that owns the uploaded or downloaded file; empty if it is unknown."""
        storage = self._emulator.storage
        if http_request.bearer is not None:
            return storage.token_owner(http_request.bearer) or ""
        with suppress(FalError):
            path = "/" + "/".join(http_request.segments[:4])
            return storage.file_store.find(path, self._emulator.clock.now()).owner
        return http_request.named_account

    def _request_id(self, http_request: HttpRequest) -> str:
        route = match_route(http_request.path) if http_request.host in QUEUE_HOSTS else None
        known = route is not None and route[1] in self._emulator.store.requests
        return route[1] if route and known else self._emulator.new_request_id("")
