"""fal.run: one question, one answer, no queue; or, at `/stream`, an answer in events."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from starlette.background import BackgroundTask
from starlette.responses import StreamingResponse

from mock_fal import catalog
from mock_fal.emulator import Emulator
from mock_fal.endpoint import EndpointId
from mock_fal.errors import ApplicationNotFound, Asked, AuthenticationRequired, FalError
from mock_fal.line import Entry
from mock_fal.web import wire
from mock_fal.web.pictures import Pictures
from mock_fal.web.question import Question, Receive
from mock_fal.web.stream import begins, ended, events, watched
from mock_fal.web.submission import fetch_files, wishes

# fal: on every answer of this host (live, 2025-26).
STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


class Run:
    """The synchronous host."""

    def __init__(self, emulator: Emulator, pictures: Pictures) -> None:
        self._emulator = emulator
        self._pictures = pictures

    async def answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]:
        """The answer, and the request that was run for it."""
        response: wire.Answering
        entry: Entry | None
        try:
            response, entry = await self._answer(question, receive)
        except Asked:
            raise
        except FalError as error:
            response, entry = wire.error(error, self._emulator.fresh_id("")), None
        response.raw_headers.append(STRICT_TRANSPORT)
        return response, entry

    async def _answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]:
        endpoint = question.endpoint
        if endpoint is None:
            return wire.page_not_found(self._emulator.fresh_id("")), None
        emulator = self._emulator
        tenant = self.account(question, endpoint)
        if not catalog.knows(endpoint):
            raise ApplicationNotFound(endpoint.app)
        # A path that the app does not have is so for every method.
        if question.method != "POST" and catalog.has_path(endpoint):
            return wire.runner_method_not_allowed(emulator.fresh_id(tenant)), None
        body = await question.read(receive, emulator.settings.max_body)
        await fetch_files(emulator, body)
        asked, model = wishes(question, queued=False), catalog.streamed(endpoint)
        entry = emulator.run(model or endpoint, body, tenant, asked, streamed=model is not None)
        async with watched(emulator, entry, receive):
            if model and await begins(emulator, entry):
                return self._stream(question, entry), entry
            await ended(emulator, entry)
        return await self._result(question, entry), entry

    def account(self, question: Question, endpoint: EndpointId) -> str:
        """Who asks. Raises AuthenticationRequired and what else there is against a key or a token."""
        emulator = self._emulator
        # fal: where a browser must not hold a key, a token stands in the query (@fal-ai/client 1.10.1).
        token = question.params.get("fal_jwt_token") if question.query else None
        if token is not None and question.authorization is None:
            question.account = emulator.tokens.account(token, endpoint.app, emulator.clock.now())
            return question.account
        tenant = emulator.keys.account(question.authorization, endpoint.app_id)
        if tenant is None:
            raise AuthenticationRequired(endpoint.app_id)
        return tenant

    async def _result(self, question: Question, entry: Entry) -> wire.Answering:
        outcome = self._emulator.result(entry)
        return wire.result(outcome, entry, question.links, await self._pictures.data_uris(outcome))

    def _stream(self, question: Question, entry: Entry) -> wire.Answering:
        async def hung_up() -> None:
            self._emulator.abandon(entry)

        # What comes in the background comes after the last event, or when the caller hangs up before.
        background = BackgroundTask(hung_up)
        headers = wire.stream_headers(entry)
        return StreamingResponse(self._events(question, entry), 200, headers, background=background)

    async def _events(self, question: Question, entry: Entry) -> AsyncIterator[bytes]:
        name = catalog.EVENT_NAMES.get(str(entry.endpoint), "")
        async for body in events(self._emulator, self._pictures, entry, question.links):
            yield wire.event(body, name)
