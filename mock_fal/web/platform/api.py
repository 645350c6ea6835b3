"""api.fal.ai: the Platform API, about models, prices, usage, requests and files."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from starlette.responses import Response

from mock_fal.emulator import Emulator
from mock_fal.errors import JSON, AuthenticationRequired, FalError, InvalidBearer, InvalidKey
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.platform import account, analytics, models, requests, usage
from mock_fal.web.platform.wire import Refused, refusal

_MAX_BODY: Final = 1 << 20

# fal: for how long the answer to a key for idempotency is kept (Platform API specification, 2026-08).
_KEPT_S: Final = 600
_MAX_KEPT: Final = 1000

Handler = Callable[..., JSON]


class Platform:
    """The Platform API's host."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        # What was answered to whom for which key: until when it is kept, and the body.
        self._kept: dict[tuple[str, ...], tuple[float, JSON]] = {}

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The answer; it is never the result of a request."""
        try:
            handler, names = _route(http_request)
            http_request.account = self._account(http_request, optional=handler in _PUBLIC)
            await http_request.read(receive, _MAX_BODY)
            body = self._once(handler, http_request, names)
        except (Refused, FalError) as error:
            return refusal(error), None
        if body is None:
            return Response(status_code=204), None
        return (body if isinstance(body, wire.Reply) else wire.reply(200, body)), None

    def _account(self, http_request: HttpRequest, *, optional: bool) -> str:
        # deviation: every key may do everything; fal has keys that may not bill or delete.
        try:
            account = self._emulator.keys.account(http_request.authorization, "")
        except (AuthenticationRequired, InvalidKey, InvalidBearer):
            account = None
        if account is None and (http_request.authorization is not None or not optional):
            # fal: seen live without a key (2026-10). assumption: that a bad key is answered alike.
            raise Refused(401, "authorization_error", "API key authentication required")
        return account or ""

    def _once(self, handler: Handler, http_request: HttpRequest, names: list[str]) -> JSON:
        """The handler's answer, or the one that it gave before for the same key for idempotency."""
        key = http_request.header(b"idempotency-key")
        if not key or http_request.method != "DELETE":
            return handler(self._emulator, http_request, *names)
        now = self._emulator.clock.now()
        self._kept = {name: kept for name, kept in self._kept.items() if kept[0] > now}
        name = (http_request.account, key, http_request.path)
        if name not in self._kept:
            body = handler(self._emulator, http_request, *names)
            if len(self._kept) >= _MAX_KEPT:
                del self._kept[next(iter(self._kept))]
            self._kept[name] = (now + _KEPT_S, body)
        return self._kept[name][1]


# Method and path below /v1, with {} for a name in it, and who answers.
_ROUTES: Final[dict[tuple[str, str], Handler]] = {
    ("GET", "models"): models.models,
    ("GET", "models/pricing"): models.pricing,
    ("POST", "models/pricing/estimate"): models.estimate,
    ("GET", "models/usage"): usage.usage_of,
    ("GET", "models/billing-events"): usage.billing_events,
    ("GET", "models/analytics"): analytics.analytics,
    ("GET", "models/requests/by-endpoint"): requests.by_endpoint,
    ("DELETE", "models/requests/{}/payloads"): requests.delete_payloads,
    ("GET", "serverless/apps/{}/{}/queue"): requests.queue_size,
    ("DELETE", "serverless/apps/{}/{}/queue"): requests.flush_queue,
    ("GET", "account/billing"): account.billing,
    ("GET", "storage/files/acl"): account.acl,
    ("PUT", "storage/files/acl"): account.set_acl,
    ("POST", "storage/files/sign"): account.sign,
    ("GET", "meta"): account.meta,
}

# fal: what needs no key (Platform API specification, 2026-08).
_PUBLIC: Final[set[Handler]] = {models.models, account.meta}


def _route(http_request: HttpRequest) -> tuple[Handler, list[str]]:
    """Who answers a question, and the names in its path."""
    version, *segments = http_request.segments
    for (method, path), handler in _ROUTES.items():
        pattern = path.split("/")
        if version != "v1" or method != http_request.method or len(pattern) != len(segments):
            continue
        pairs = list(zip(pattern, segments, strict=True))
        if all(part in ("{}", segment) for part, segment in pairs):
            return handler, [segment for part, segment in pairs if part == "{}"]
    # deviation: what we don't emulate says so.
    message = f"mock-fal does not emulate {http_request.method} https://api.fal.ai{http_request.path}"
    raise Refused(501, "not_implemented", message)
