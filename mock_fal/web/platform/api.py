"""api.fal.ai: the Platform API for models, prices, usage, requests and files."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from typing import Final

from starlette.responses import Response

from mock_fal.emulator import Emulator
from mock_fal.errors import JSON, AuthenticationRequired, FalError, InvalidBearer, InvalidKey
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.platform import account, analytics, models, requests, usage
from mock_fal.web.platform.wire import PlatformError, error_response

_MAX_BODY: Final = 1 << 20

# fal: the response for an idempotency key is kept for ten minutes (Platform API specification, 2026-08).
_IDEMPOTENCY_S: Final = 600
_MAX_IDEMPOTENCY_KEYS: Final = 1000

Handler = Callable[..., JSON]


class Platform:
    """The Platform API host."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator
        # Digest of (account, idempotency key, path) -> expiry time and response body.
        self._responses: dict[bytes, tuple[float, JSON]] = {}

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The HTTP response; never about a request to a model."""
        try:
            handler, names = _route(http_request)
            http_request.account = self._account(http_request, optional=handler in _PUBLIC)
            await http_request.read(receive, _MAX_BODY)
            body = self._once(handler, http_request, names)
        except (PlatformError, FalError) as error:
            return error_response(error), None
        if body is None:
            return Response(status_code=204), None
        return (body if isinstance(body, wire.Reply) else wire.reply(200, body)), None

    def _account(self, http_request: HttpRequest, *, optional: bool) -> str:
        # deviation: every key has all permissions; fal has keys without permission for billing or deletion.
        try:
            account = self._emulator.keys.account(http_request.authorization, "")
        except (AuthenticationRequired, InvalidKey, InvalidBearer):
            account = None
        if account is None and (http_request.authorization is not None or not optional):
            # fal: seen live without a key (2026-10). assumption: an invalid key gets the same response.
            raise PlatformError(401, "authorization_error", "API key authentication required")
        return account or ""

    def _once(self, handler: Handler, http_request: HttpRequest, names: list[str]) -> JSON:
        """The handler's response, or its earlier one for the same idempotency key."""
        key = http_request.header(b"idempotency-key")
        if not key or http_request.method != "DELETE":
            return handler(self._emulator, http_request, *names)
        now = self._emulator.clock.now()
        self._responses = {name: kept for name, kept in self._responses.items() if kept[0] > now}
        text = "\n".join((http_request.account, key, http_request.path))
        name = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        if name not in self._responses:
            body = handler(self._emulator, http_request, *names)
            if len(self._responses) >= _MAX_IDEMPOTENCY_KEYS:
                del self._responses[next(iter(self._responses))]
            self._responses[name] = (now + _IDEMPOTENCY_S, body)
        return self._responses[name][1]


# (method, path below /v1 with {} for a parameter) -> handler.
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

# fal: these need no key (Platform API specification, 2026-08).
_PUBLIC: Final[set[Handler]] = {models.models, account.meta}


def _route(http_request: HttpRequest) -> tuple[Handler, list[str]]:
    """The handler of a request, and the parameters in its path."""
    version, *segments = http_request.segments
    for (method, path), handler in _ROUTES.items():
        pattern = path.split("/")
        if version != "v1" or method != http_request.method or len(pattern) != len(segments):
            continue
        pairs = list(zip(pattern, segments, strict=True))
        if all(part in ("{}", segment) for part, segment in pairs):
            return handler, [segment for part, segment in pairs if part == "{}"]
    # deviation: operations that are not emulated respond with 501.
    message = f"mock-fal does not emulate {http_request.method} https://api.fal.ai{http_request.path}"
    raise PlatformError(501, "not_implemented", message)
