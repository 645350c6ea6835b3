"""fal.run: direct requests without a queue, and at `/stream` responses as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Final

from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from mock_fal.accounts.permissions import RUN
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import AuthenticationRequired, FalError, InjectedFault
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.answers import answered
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.renderer import Renderer
from mock_fal.web.stream import (
    abandon_on_disconnect,
    events,
    result_response,
    wait_for_end,
    wait_for_start,
)
from mock_fal.web.submit_options import read_input, submit_options

if TYPE_CHECKING:
    from mock_fal.web.openai import OpenAI

# The OpenAI-shaped plane (web/openai.py).
_OPENAI: Final = "/openrouter/router/openai/v1/"

# fal: on every response of this host (live, 2025-26).
STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Run:
    """The synchronous host."""

    def __init__(self, emulator: Emulator, renderer: Renderer) -> None:
        self._emulator = emulator
        self._renderer = renderer

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The HTTP response, and the request to a model that was run for it."""
        response: wire.AnyResponse
        request: ModelRequest | None
        try:
            if http_request.path.startswith(_OPENAI):
                response, request = await self._openai.respond(http_request, receive)
            else:
                response, request = await self._response(http_request, receive)
        except InjectedFault:
            raise
        except FalError as error:
            response, request = wire.error(error, self._emulator.new_request_id("")), None
        response.raw_headers = [*response.raw_headers, STRICT_TRANSPORT]
        return response, request

    async def _response(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        endpoint = http_request.endpoint
        if endpoint is None:
            return wire.page_not_found(self._emulator.new_request_id("")), None
        emulator = self._emulator
        tenant = self.account(http_request, endpoint)
        # A path that the app does not have is a 404 for every method.
        if http_request.method != "POST" and (
            emulator.catalog.has_path(endpoint) or emulator.is_stubbed(endpoint, tenant)
        ):
            return wire.runner_method_not_allowed(emulator.new_request_id(tenant)), None
        body = await http_request.read(receive, emulator.settings.max_body)
        model = emulator.catalog.streaming_model(endpoint) or emulator.stubbed_model(
            endpoint, "stream", tenant
        )
        body, contents = await read_input(emulator, self._renderer, model or endpoint, body, tenant, receive)
        options = submit_options(http_request, emulator.keys, queued=False)
        request = await answered(
            lambda options: emulator.run(
                model or endpoint,
                body,
                tenant,
                options,
                contents,
                operation="run" if model is None else "stream",
            ),
            options,
        )
        async with abandon_on_disconnect(emulator, request, receive):
            if model and await wait_for_start(emulator, request):
                return self._stream(http_request, request), request
            await wait_for_end(emulator, request)
        return await self._result(http_request, request, receive), request

    @cached_property
    def _openai(self) -> OpenAI:
        from mock_fal.web.openai import OpenAI  # rarely used

        return OpenAI(self._emulator, self._renderer)

    def account(self, http_request: HttpRequest, endpoint: EndpointId) -> str:
        """The account of a request, by its key or token. Raises an authentication error."""
        emulator = self._emulator
        # fal: browsers without a key send a token in the query (@fal-ai/client 1.10.1).
        token = http_request.params.get("fal_jwt_token") if http_request.query else None
        if token is not None and http_request.authorization is None:
            http_request.account = emulator.tokens.account(token, endpoint.app, emulator.clock.now())
            return http_request.account
        tenant = emulator.keys.account(http_request.authorization, endpoint.app_id, RUN)
        if tenant is None:
            raise AuthenticationRequired(endpoint.app_id)
        return tenant

    async def _result(
        self, http_request: HttpRequest, request: ModelRequest, receive: Receive
    ) -> wire.AnyResponse:
        outcome = self._emulator.result(request)
        return await result_response(self._renderer, outcome, request, http_request.links, receive)

    def _stream(self, http_request: HttpRequest, request: ModelRequest) -> wire.AnyResponse:
        async def abandon() -> None:
            self._emulator.abandon(request)

        # A background task runs after the last event, or when the client disconnects before.
        background = BackgroundTask(abandon)
        headers = wire.stream_headers(request)
        return StreamingResponse(self._events(http_request, request), 200, headers, background=background)

    def _event_name(self, request: ModelRequest) -> str:
        # fal: the events of language models have a name, those of others have none (live captures).
        model = self._emulator.catalog.find(request.endpoint)
        return (model.event_name or "") if model else ""

    async def _events(self, http_request: HttpRequest, request: ModelRequest) -> AsyncIterator[bytes]:
        name = self._event_name(request)
        async for body in events(self._emulator, self._renderer, request, http_request.links):
            yield wire.event(body, name)
