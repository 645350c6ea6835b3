"""One application for all hosts of fal: by Host, by path and by proxy; our own address answers the rest."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Protocol

from starlette.responses import StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from mock_fal.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.hosts import EMULATED_HOSTS, MEDIA_HOSTS, QUEUE_HOSTS, REST_HOSTS, RUN_HOSTS, belongs_to_fal
from mock_fal.journal import Exchange, packed
from mock_fal.line import Entry
from mock_fal.web import wire
from mock_fal.web.pictures import Pictures
from mock_fal.web.question import Gone, Question
from mock_fal.web.queue import Queue

if TYPE_CHECKING:
    from mock_fal.web.control import Exports
    from mock_fal.web.media import Media

logger = logging.getLogger("mock_fal")

_QUESTION: Final = "mock_fal.question"


class Host(Protocol):
    """One of fal's hosts."""

    async def answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]: ...


class App:
    """The ASGI application."""

    def __init__(self, emulator: Emulator, pictures: Pictures, exports: Exports) -> None:
        self._emulator = emulator
        self._pictures = pictures
        self._exports = exports
        self._proxy_key = emulator.settings.own_key
        self._hosts: dict[str, Host] = dict.fromkeys(QUEUE_HOSTS, Queue(emulator, pictures))

    # Where files are to be found when --local-media-urls asks for addresses that any browser here reaches.
    local_media = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008, "reason": "mock-fal: no WebSocket here"})
            return
        question = scope[_QUESTION] = Question(scope, local_media=self.local_media, proxy_key=self._proxy_key)
        try:
            if not question.host and not question.by_proxy:
                await self._control(scope, receive, send)
            elif b"origin" in question.headers and question.host not in MEDIA_HOSTS:
                await self._cross_origin(scope, receive, send)
            else:
                await self._answer(scope, receive, send)
        except asyncio.CancelledError:
            pass  # the server stops, and has hung up on whoever still waits; raised, it would be logged as a bug

    def close(self) -> None:
        """Let go of all threads, until the next question."""
        self._pictures.close()
        if "_media" in self.__dict__:
            self._media.close()

    # What follows is loaded and made when somebody first asks for it: a start without it is a fifth faster.

    def _host(self, name: str) -> Host | None:
        if name in MEDIA_HOSTS:
            self._hosts |= dict.fromkeys(MEDIA_HOSTS, self._media)
        elif name in RUN_HOSTS:
            from mock_fal.web.run import Run

            self._hosts |= dict.fromkeys(RUN_HOSTS, Run(self._emulator, self._pictures))
        elif name in REST_HOSTS:
            from mock_fal.web.rest import Rest

            self._hosts |= dict.fromkeys(REST_HOSTS, Rest(self._emulator))
        return self._hosts.get(name)

    @cached_property
    def _media(self) -> Media:
        from mock_fal.web.media import Media

        return Media(self._emulator, self._pictures)

    @cached_property
    def _control(self) -> ASGIApp:
        from mock_fal.web.control import control

        return control(self._emulator, self._exports)

    @cached_property
    def _cross_origin(self) -> ASGIApp:
        from starlette.middleware.cors import CORSMiddleware

        # fal: runners answer any origin, method and header, with credentials (fal SDK).
        # fal: unverified, that the gateways of fal.run and queue.fal.run answer preflights alike.
        return CORSMiddleware(
            self._answer,
            allow_origins=["*"],
            allow_methods=["*"],
            allow_headers=["*"],
            allow_credentials=True,
        )

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        question: Question = scope[_QUESTION]
        host = self._hosts.get(question.host) or self._host(question.host)
        entry: Entry | None = None
        response: wire.Answering
        try:
            if host is None:
                response = _not_emulated(question)
            else:
                response, entry = await host.answer(question, receive)
        except FalError as error:
            response = wire.error(error, self._emulator.fresh_id(""))
        except Gone:
            return
        except Exception:
            logger.exception("mock-fal: a bug, at %s %s", question.method, question.path)
            response = wire.reply(500, {"detail": "Internal Server Error"})
        self._record(question, response, entry)
        await response(scope, receive, send)

    def _record(self, question: Question, response: wire.Answering, entry: Entry | None) -> None:
        emulator = self._emulator
        exchange = Exchange(
            emulator.clock.now(),
            entry.tenant if entry else question.account or _named_tenant(question),
            question.method,
            question.host,
            question.path,
            question.query,
            packed(question.raw_headers),
            question.body,
            response.status_code,
            packed(response.raw_headers),
            request_id=entry.id if entry else None,
            uploaded_bytes=question.uploaded_bytes,
        )
        if isinstance(response, wire.Reply):
            exchange.response_body = response.body
        elif question.host in MEDIA_HOSTS:
            pass  # a file
        elif isinstance(response, StreamingResponse):
            response.body_iterator = _recorded(response.body_iterator, exchange)
        else:
            exchange.response_body = bytes(response.body)
        emulator.record(exchange)


async def _recorded(parts: AsyncIterable[Any], exchange: Exchange) -> AsyncIterator[bytes]:
    """The parts of a stream, noted in the journal as they leave."""
    async for part in parts:
        data = part.encode() if isinstance(part, str) else bytes(part)
        exchange.response_body += data
        yield data


def _not_emulated(question: Question) -> wire.Answering:
    if question.by_proxy and not belongs_to_fal(question.host):
        # fal: the words of @fal-ai/server-proxy 1.2.1, for a header that is missing or leads elsewhere.
        return wire.reply(400, "Invalid request")
    # unlike fal: hosts of fal that we don't emulate say so.
    known = ", ".join(sorted(EMULATED_HOSTS))
    return wire.reply(501, {"detail": f"mock-fal does not emulate {question.host!r}; it emulates {known}"})


def _named_tenant(question: Question) -> str:
    """Whom an exchange without a request belongs to: the key's own name, if it names one."""
    scheme, _, key = (question.authorization or "").partition(" ")
    return key.partition(":")[0] if scheme.lower() == "key" else ""
