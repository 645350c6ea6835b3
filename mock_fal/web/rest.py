"""rest.fal.ai: where uploads begin, tokens, who may read a file, and the keys that sign webhooks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from mock_fal.emulator import Emulator
from mock_fal.line import Entry
from mock_fal.web import wire, wire_storage, wire_tokens
from mock_fal.web.question import Question, Receive
from mock_fal.web.uploads import key_account

_MAX_BODY: Final = 1 << 20


class Rest:
    """The REST host."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._storage = emulator.storage

    async def answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]:
        """The answer; it is never about a request."""
        methods = _ROUTES.get(question.path.strip("/"))
        if methods is None:
            # fal: unverified, the words are those of the framework that fal's other services are written in.
            return wire.reply(404, {"detail": "Not Found"}), None
        handler = methods.get(question.method)
        if handler is None:
            allowed = {"allow": ", ".join(methods)}
            return wire.reply(405, {"detail": "Method Not Allowed"}, allowed), None
        return await handler(self, question, receive), None

    async def _initiate(self, question: Question, receive: Receive) -> wire.Answering:
        return await self._promised(question, receive, in_parts=False)

    async def _initiate_multipart(self, question: Question, receive: Receive) -> wire.Answering:
        return await self._promised(question, receive, in_parts=True)

    async def _promised(self, question: Question, receive: Receive, *, in_parts: bool) -> wire.Answering:
        owner = await self._admit(question, receive)
        wire_storage.check_storage_type(question)
        name, content_type = wire_storage.named_file(wire_storage.document(question))
        terms = wire_storage.terms(question)
        upload = self._storage.promise(owner, name, content_type, terms, in_parts=in_parts)
        return wire_storage.promised(upload, self._storage.signature(upload), question.links)

    async def _token(self, question: Question, receive: Receive) -> wire.Answering:
        owner = await self._admit(question, receive)
        wire_storage.check_storage_type(question)
        lives_s = wire_storage.token_s(wire_storage.document(question))
        return wire_storage.token(*self._storage.token(owner, lives_s), question.links)

    async def _app_token(self, question: Question, receive: Receive) -> wire.Answering:
        # fal: the names are aliases: a token for a whole endpoint id is given, and then good for nothing (live, 2026).
        return wire_tokens.token(await self._issued(question, receive, lambda app: app))

    async def _realtime_token(self, question: Question, receive: Receive) -> wire.Answering:
        # fal: here the names are endpoint ids (fal's realtime documentation, 2026).
        # fal: unverified, that such a token is good for the whole app.
        return wire_tokens.realtime_token(await self._issued(question, receive, wire_tokens.alias))

    async def _issued(self, question: Question, receive: Receive, alias: Callable[[str], str]) -> str:
        account = await self._admit(question, receive)
        body = wire_storage.document(question)
        apps = [alias(app) for app in wire_tokens.apps(body)]
        lives_s = wire_tokens.lives_s(body)
        return self._emulator.tokens.issue(account, apps, lives_s, self._emulator.clock.now())

    async def _acl(self, question: Question, receive: Receive) -> wire.Answering:
        owner = await self._admit(question, receive)
        return wire_storage.acl_reply(self._storage.acl(wire_storage.path_of(question), owner))

    async def _set_acl(self, question: Question, receive: Receive) -> wire.Answering:
        owner = await self._admit(question, receive)
        wanted = wire_storage.acl(wire_storage.document(question))
        path = wire_storage.path_of(question)
        return wire_storage.acl_reply(self._storage.acl(path, owner, wanted))

    async def _keys(self, question: Question, receive: Receive) -> wire.Answering:
        # fal: no key is needed to read the keys (live, 2026-07).
        return wire.reply(200, self._emulator.signer.jwks)

    async def _admit(self, question: Question, receive: Receive) -> str:
        """The account whose key was sent; the body is read, too."""
        owner = question.account = key_account(self._emulator, question)
        await question.read(receive, _MAX_BODY)
        return owner


Handler = Callable[[Rest, Question, Receive], Awaitable[wire.Answering]]

# Path, method, and who answers.
_ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "storage/upload/initiate": {"POST": Rest._initiate},
    "storage/upload/initiate-multipart": {"POST": Rest._initiate_multipart},
    "storage/auth/token": {"POST": Rest._token},
    "tokens": {"POST": Rest._app_token},
    "tokens/realtime": {"POST": Rest._realtime_token},
    "storage/files/acl": {"GET": Rest._acl, "PUT": Rest._set_acl},
    ".well-known/jwks.json": {"GET": Rest._keys},
}
