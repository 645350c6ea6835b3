"""rest.fal.ai: upload URLs, tokens, file access lists, accounts, and the public keys for webhook signatures."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Final

from mock_fal.accounts.permissions import RUN
from mock_fal.billing.usage import balance_usd
from mock_fal.emulation.emulator import Emulator
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire, wire_account, wire_storage, wire_tokens
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.uploads import key_account

_MAX_BODY: Final = 1 << 20

# assumption: a key needs the permissions that the Platform API names for the same reads and writes. Any valid key may
# ask whose it is.
_BILLING: Final = "billing:account:read"
_READ_FILES: Final = "assets:read"
_WRITE_FILES: Final = "assets:write"
_ANY: Final = ""


class Rest:
    """The REST host."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        self._storage = emulator.storage

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The HTTP response; never about a request to a model."""
        methods = _ROUTES.get(http_request.path.strip("/"))
        if methods is None:
            # assumption: the texts of 404 and 405 are those of FastAPI, which fal's other services use.
            return wire.reply(404, {"detail": "Not Found"}), None
        handler = methods.get(http_request.method)
        if handler is None:
            allowed = {"allow": ", ".join(methods)}
            return wire.reply(405, {"detail": "Method Not Allowed"}, allowed), None
        return await handler(self, http_request, receive), None

    async def _initiate(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return await self._create_upload(http_request, receive, in_parts=False)

    async def _initiate_multipart(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        return await self._create_upload(http_request, receive, in_parts=True)

    async def _create_upload(
        self, http_request: HttpRequest, receive: Receive, *, in_parts: bool
    ) -> wire.AnyResponse:
        owner = await self._admit(http_request, receive)
        wire_storage.check_storage_type(http_request)
        name, content_type = wire_storage.named_file(wire_storage.document(http_request))
        object_lifecycle = wire_storage.object_lifecycle(http_request)
        upload = self._storage.create_upload(owner, name, content_type, object_lifecycle, in_parts=in_parts)
        return wire_storage.upload_urls(upload, self._storage.signature(upload), http_request.links)

    async def _token(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        owner = await self._admit(http_request, receive)
        wire_storage.check_storage_type(http_request)
        lifetime_s = wire_storage.token_s(wire_storage.document(http_request))
        return wire_storage.token(*self._storage.token(owner, lifetime_s), http_request.links)

    async def _app_token(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        # fal: the names are app aliases. A token for an endpoint id is issued too, but grants no access (live, 2026).
        return wire_tokens.token(await self._issue_token(http_request, receive, lambda app: app))

    async def _realtime_token(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        # fal: these names are endpoint ids (fal's realtime documentation, 2026).
        # assumption: a realtime token is valid for the whole app.
        return wire_tokens.realtime_token(await self._issue_token(http_request, receive, wire_tokens.alias))

    async def _issue_token(
        self, http_request: HttpRequest, receive: Receive, alias: Callable[[str], str]
    ) -> str:
        account = await self._admit(http_request, receive)
        body = wire_storage.document(http_request)
        apps = [alias(app) for app in wire_tokens.apps(body)]
        lifetime_s = wire_tokens.lifetime_s(body)
        return self._emulator.tokens.issue(account, apps, lifetime_s, self._emulator.clock.now())

    async def _acl(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        owner = await self._admit(http_request, receive, _READ_FILES)
        return wire_storage.acl_reply(self._storage.acl(wire_storage.path_of(http_request), owner))

    async def _set_acl(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        owner = await self._admit(http_request, receive, _WRITE_FILES)
        new_acl = wire_storage.acl(wire_storage.document(http_request))
        path = wire_storage.path_of(http_request)
        return wire_storage.acl_reply(self._storage.acl(path, owner, new_acl))

    async def _balance(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        # fal: a number of US dollars as plain text (live, 2026-07 and 2026-08, several reports).
        account = await self._admit(http_request, receive, _BILLING)
        return wire.text(200, str(balance_usd(self._emulator.charges(account))))

    async def _user_details(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        account = await self._admit(http_request, receive, _BILLING)
        return wire.reply(200, wire_account.user_details(account, self._lock_reason(account)))

    async def _current_user(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        account = await self._admit(http_request, receive, _ANY)
        return wire.reply(200, wire_account.current_user(account, self._lock_reason(account)))

    def _lock_reason(self, account: str) -> str | None:
        """Why rules lock an account for submissions; None if none does."""
        engine = self._emulator.scenario_engine
        response = engine.choice_for("submit", key=account).response
        locked = response is not None and response.account == "locked"
        return (response.reason or "exhausted_balance") if locked and response else None

    async def _keys(self, http_request: HttpRequest, receive: Receive) -> wire.AnyResponse:
        # fal: no key is needed to read the keys (live, 2026-07).
        return wire.reply(200, self._emulator.signer.jwks)

    async def _admit(self, http_request: HttpRequest, receive: Receive, needs: str = RUN) -> str:
        """Authenticate the request, whose key `needs` a permission, and read its body. Returns the account."""
        owner = http_request.account = key_account(self._emulator, http_request, needs)
        await http_request.read(receive, _MAX_BODY)
        return owner


Handler = Callable[[Rest, HttpRequest, Receive], Awaitable[wire.AnyResponse]]

# Path -> method -> handler.
_ROUTES: Final[dict[str, dict[str, Handler]]] = {
    "storage/upload/initiate": {"POST": Rest._initiate},
    "storage/upload/initiate-multipart": {"POST": Rest._initiate_multipart},
    "storage/auth/token": {"POST": Rest._token},
    "tokens": {"POST": Rest._app_token},
    "tokens/realtime": {"POST": Rest._realtime_token},
    "storage/files/acl": {"GET": Rest._acl, "PUT": Rest._set_acl},
    "billing/user_balance": {"GET": Rest._balance},
    "billing/user_details": {"GET": Rest._user_details},
    "users/current": {"GET": Rest._current_user},
    ".well-known/jwks.json": {"GET": Rest._keys},
}
