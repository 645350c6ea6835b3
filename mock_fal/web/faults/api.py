"""Stands between the hosts and the wire: which fault a question meets, and at which step."""

from __future__ import annotations

from contextlib import suppress
from typing import Final, NamedTuple

from starlette.types import Receive, Scope, Send

from mock_fal.emulator import Emulator
from mock_fal.errors import FalError
from mock_fal.hosts import MEDIA_HOSTS, QUEUE_HOSTS, REST_HOSTS, RUN_HOSTS
from mock_fal.line import Entry
from mock_fal.scenario.cue import Cue, asked
from mock_fal.web import wire
from mock_fal.web.faults.answers import instead, rewritten, with_headers
from mock_fal.web.faults.connection import HeadSent, cut, head_only, hung_up, slowly
from mock_fal.web.question import Question
from mock_fal.web.queue import place
from mock_fal.web.run import STRICT_TRANSPORT

# What stands behind a request's id, and the step that it is; a stream of the status is one long look.
_STEPS: Final = {"": "result", "status": "status", "status/stream": "status", "cancel": "cancel"}


class _Place(NamedTuple):
    """Where a question stands: the step, whose it is, and what it is about."""

    step: str
    key: str = ""
    endpoint: str = ""
    entry: Entry | None = None


class Faults:
    """Stands between the hosts and the wire, where a test asked for it."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    def before(self, question: Question) -> Cue | None:
        """What is asked for the answer to a question, that to a POST aside. Raises Asked for another answer."""
        where = self._place(question)
        if where is None:
            return None
        entry = where.entry
        choice = self._emulator.direction.later(
            where.step, key=where.key, endpoint=where.endpoint, entry=entry
        )
        cue = choice.answer
        if cue is not None and cue.result and not (entry and self._emulator.is_done(entry)):
            return None  # what is not over can't have expired
        if cue is not None and cue.token and question.bearer is None:
            return None
        choice.count()
        if cue is not None and cue.replaces:
            raise asked(cue)
        return cue

    def instead(self, cue: Cue, question: Question) -> wire.Reply:
        """The answer in the place of the real one."""
        media = question.host in MEDIA_HOSTS
        request_id = "" if media or question.host in REST_HOSTS else self._request_id(question)
        answer: wire.Reply = with_headers(instead(cue, request_id), cue)
        if media:
            answer.raw_headers.append((b"access-control-allow-origin", b"*"))
        if question.host in RUN_HOSTS:
            answer.raw_headers.append(STRICT_TRANSPORT)
        return answer

    def changed(
        self, cue: Cue | None, question: Question, response: wire.Answering, entry: Entry | None
    ) -> tuple[wire.Answering, Cue | None]:
        """An answer as it is asked for, and the cue that asks."""
        if cue is None and entry is not None and entry.cued is not None and question.method == "POST":
            cue = entry.cued.choice.answer
        if cue is None or cue.replaces:
            return response, cue
        if cue.merge or cue.null or cue.json:
            response = rewritten(response, cue)
        return with_headers(response, cue), cue

    async def deliver(
        self, cue: Cue | None, response: wire.Answering, scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Send an answer, or as much of it as is asked for."""
        if cue is not None and cue.drip is not None:
            send = slowly(send, cue.drip, self._emulator.clock)
        match cue.connection if cue is not None else "":
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

    def _place(self, question: Question) -> _Place | None:
        host, method, path = question.host, question.method, question.path.strip("/")
        key = question.named_account
        if host in QUEUE_HOSTS and (asked := place(question.path)) is not None:
            app_id, request_id, (allowed, _, _) = asked
            if method != allowed:
                return None
            entry = self._emulator.store.entries.get(request_id)
            if entry is not None and entry.app_id != app_id:
                entry = None
            step = _STEPS[path.rpartition("/requests/")[2].partition("/")[2]]
            return _Place(step, key, app_id, entry)
        if host in REST_HOSTS and method == "POST":
            if path.startswith(("tokens", "storage/auth/token")):
                return _Place("token", key)
            return _Place("upload", key) if path.startswith("storage/upload/") else None
        if host in MEDIA_HOSTS and method in ("GET", "HEAD"):
            result = self._emulator.store.files.get(question.path)
            if result is not None:
                return _Place("file", entry=result.entry)
            return _Place("file", self._owner(question))
        if host in MEDIA_HOSTS and method in ("PUT", "POST"):
            return _Place("upload", self._owner(question))
        return None

    def _owner(self, question: Question) -> str:
        """Whose file is written or read, as far as that can be told."""
        storage = self._emulator.storage
        if question.bearer is not None:
            return storage.bearer(question.bearer) or ""
        with suppress(FalError):
            path = "/" + "/".join(question.segments[:4])
            return storage.vault.find(path, self._emulator.clock.now()).owner
        return question.named_account

    def _request_id(self, question: Question) -> str:
        asked = place(question.path) if question.host in QUEUE_HOSTS else None
        known = asked is not None and asked[1] in self._emulator.store.entries
        return asked[1] if asked and known else self._emulator.fresh_id("")
