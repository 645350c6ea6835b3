"""fal.run: one question, one answer, no queue."""

from __future__ import annotations

from typing import Final

from mock_fal import catalog
from mock_fal.emulator import Emulator
from mock_fal.errors import ApplicationNotFound, AuthenticationRequired, FalError
from mock_fal.line import Entry
from mock_fal.web import wire
from mock_fal.web.pictures import Pictures
from mock_fal.web.question import Question, Receive
from mock_fal.web.submission import fetch_files, wishes

# fal: on every answer of this host (live, 2025-26).
_STRICT_TRANSPORT: Final = (b"strict-transport-security", b"max-age=31536000; includeSubDomains")


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
        except FalError as error:
            response, entry = wire.error(error, self._emulator.fresh_id("")), None
        response.raw_headers.append(_STRICT_TRANSPORT)
        return response, entry

    async def _answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]:
        endpoint = question.endpoint
        if endpoint is None:
            return wire.page_not_found(self._emulator.fresh_id("")), None
        emulator = self._emulator
        tenant = emulator.keys.account(question.authorization, endpoint.app_id)
        if tenant is None:
            raise AuthenticationRequired(endpoint.app_id)
        if not catalog.knows(endpoint):
            raise ApplicationNotFound(endpoint.app)
        if question.method != "POST":
            return wire.runner_method_not_allowed(emulator.fresh_id(tenant)), None
        body = await question.read(receive, emulator.settings.max_body)
        await fetch_files(emulator, body)
        entry = emulator.run(endpoint, body, tenant, wishes(question))
        while not emulator.is_done(entry):
            await emulator.clock.wait_until(entry.schedule.ends_at)
        outcome = emulator.result(entry)
        return wire.result(outcome, entry, question.links, await self._pictures.data_uris(outcome)), entry
