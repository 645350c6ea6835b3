"""The OpenAI-shaped plane of fal.run: `openrouter/router/openai/v1/…`, with OpenAI's errors and event streams."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Final

from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from mock_fal.accounts.permissions import RUN
from mock_fal.emulation.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import JSON, AuthenticationRequired, ConcurrencyReached, FalError, InjectedFault
from mock_fal.models.openai.plane import ROUTES, wants_stream
from mock_fal.models.openai.problem import problem_body
from mock_fal.requests.outcome import RequestFailure, RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.answers import answered
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.renderer import Renderer
from mock_fal.web.stream import abandon_on_disconnect, result_response, wait_for_end, wait_for_start
from mock_fal.web.submit_options import read_input, submit_options

# The path of the plane on fal.run.
PREFIX: Final = "openrouter/router/openai/v1/"

_APP: Final = "openrouter/router"
_DONE: Final = wire.event(b"[DONE]")


@dataclass(frozen=True, slots=True)
class OpenAI:
    """The plane. Its requests run like all others: with rules, latency, usage and the journal."""

    emulator: Emulator
    renderer: Renderer

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The HTTP response, and the request to a model that was run for it."""
        try:
            return await self._response(http_request, receive)
        except InjectedFault:
            raise
        except FalError as error:
            request_id = self.emulator.new_request_id("")
            code = "concurrent_requests_limit" if isinstance(error, ConcurrencyReached) else None
            return _in_openai_form(wire.error(error, request_id), error.detail, code), None

    async def _response(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        emulator = self.emulator
        tenant = self._account(http_request)
        path = http_request.path.strip("/").removeprefix(PREFIX)
        if path not in ROUTES or http_request.method != "POST":
            # fal: `GET …/models` is not found (seen live by a public program, 2026-09). assumption: the body.
            status = 405 if path in ROUTES else 404
            message = f"Invalid URL ({http_request.method} /v1/{path[:200]})"
            headers = {wire.REQUEST_ID: emulator.new_request_id(tenant)}
            return wire.reply(status, problem_body(status, message), headers), None
        endpoint = EndpointId.parse(PREFIX + path)
        body = await http_request.read(receive, emulator.settings.max_body)
        body, contents = await read_input(emulator, self.renderer, endpoint, body, tenant, receive)
        options, streamed = submit_options(http_request, queued=False), wants_stream(path, body)
        request = await answered(
            lambda options: emulator.run(
                endpoint, body, tenant, options, contents, operation="stream" if streamed else "run"
            ),
            options,
        )
        async with abandon_on_disconnect(emulator, request, receive):
            if streamed and await wait_for_start(emulator, request):
                return self._stream(http_request, request, path), request
            await wait_for_end(emulator, request)
        return await self._result(http_request, request, receive), request

    def _account(self, http_request: HttpRequest) -> str:
        """The account of a request. Raises an authentication error."""
        header = http_request.authorization
        # fal: this plane takes a key as a bearer token too (seen live by a public program, 2026-09).
        if http_request.bearer is not None and ":" in http_request.bearer:
            header = f"Key {http_request.bearer}"
        tenant = self.emulator.keys.account(header, _APP, RUN)
        if tenant is None:
            raise AuthenticationRequired(_APP)
        http_request.account = tenant
        return tenant

    async def _result(
        self, http_request: HttpRequest, request: ModelRequest, receive: Receive
    ) -> wire.AnyResponse:
        outcome = self.emulator.result(request)
        response = await result_response(self.renderer, outcome, request, http_request.links, receive)
        if isinstance(outcome, RequestFailure):
            return _in_openai_form(response, outcome.detail, outcome.error_type)
        if outcome.status >= 400 and not _has_form(outcome.body):
            return _in_openai_form(response, *_reason(outcome.body))
        return response

    def _stream(self, http_request: HttpRequest, request: ModelRequest, path: str) -> wire.AnyResponse:
        async def abandon() -> None:
            self.emulator.abandon(request)

        headers = wire.stream_headers(request)
        events = self._events(http_request, request, path)
        return StreamingResponse(events, 200, headers, background=BackgroundTask(abandon))

    async def _events(
        self, http_request: HttpRequest, request: ModelRequest, path: str
    ) -> AsyncIterator[bytes]:
        for due, partial in self.emulator.partials(request):
            await wait_for_end(self.emulator, request, by=due)
            if due > request.schedule.ends_at:
                return
            # OpenAI's clients read the type of a response's event from its data, others from its name.
            yield wire.event(wire.encode(partial), partial["type"] if path == "responses" else "")
        await wait_for_end(self.emulator, request)
        outcome = self.emulator.result(request)
        if not request.partials and isinstance(outcome, RunnerResponse):
            # The output of a user, which has no chunks.
            yield wire.event(wire.partial(outcome.body, http_request.links, {}))
        if path != "responses":
            yield _DONE


def _in_openai_form(response: wire.Reply, message: str, code: str | None) -> wire.Reply:
    """An error response of fal with a body in OpenAI's form."""
    headers = {
        name.decode("latin-1"): value.decode("latin-1")
        for name, value in response.raw_headers
        if name not in (b"content-length", b"content-type")
    }
    status = response.status_code
    return wire.reply(status, problem_body(status, message, code=code), headers)


def _has_form(body: JSON) -> bool:
    return isinstance(body, dict) and isinstance(body.get("error"), dict)


def _reason(body: JSON) -> tuple[str, str | None]:
    """The message and the type of an error in a runner's form."""
    detail = body.get("detail") if isinstance(body, dict) else None
    first = detail[0] if isinstance(detail, list) and detail else None
    if isinstance(first, dict):
        return str(first.get("msg", "")), str(first.get("type", "")) or None
    return str(detail), None
