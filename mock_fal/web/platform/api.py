"""api.fal.ai: the Platform API for models, prices, usage, requests, workflows, keys and files."""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from inspect import isawaitable
from typing import Final

from starlette.responses import Response

from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON, AuthenticationRequired, FalError, InvalidBearer, InvalidKey
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.platform import (
    account,
    analytics,
    asset_groups,
    assets,
    compute,
    keys,
    models,
    organization,
    requests,
    serverless,
    usage,
    workflows,
)
from mock_fal.web.platform.wire import PlatformError, error_response

_MAX_BODY: Final = 1 << 20

# fal: the response for an idempotency key is kept for ten minutes (Platform API specification, 2026-08).
_IDEMPOTENCY_S: Final = 600
_MAX_IDEMPOTENCY_KEYS: Final = 1000
_IDEMPOTENT: Final = ("/v1/assets/", "/v1/compute/instances")

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
            handler, permission, names = _route(http_request)
            http_request.account = self._account(http_request, permission)
            await http_request.read(receive, _MAX_BODY)
            body = self._once(handler, http_request, names)
            if isawaitable(body):  # a long list, which is written in slices
                body = await body
        except (PlatformError, FalError) as error:
            return error_response(error), None
        if body is None:
            return Response(status_code=204), None
        return (body if isinstance(body, wire.Reply | Response) else wire.reply(200, body)), None

    def _account(self, http_request: HttpRequest, permission: str) -> str:
        # deviation: the keys that were not created here have all permissions.
        try:
            account = self._emulator.keys.account(http_request.authorization, "", permission)
        except (AuthenticationRequired, InvalidKey, InvalidBearer):
            account = None
        if account is None and (http_request.authorization is not None or permission != _PUBLIC):
            # fal: seen live without a key (2026-10). assumption: an invalid key gets the same response.
            raise PlatformError(401, "authorization_error", "API key authentication required")
        return account or ""

    def _once(self, handler: Handler, http_request: HttpRequest, names: list[str]) -> JSON:
        """The handler's response, or its earlier one for the same idempotency key."""
        key = http_request.header(b"idempotency-key")
        # fal: writes of assets and of instances, and deletions, take it (Platform API specification, 2026).
        takes_key = http_request.method == "DELETE" or http_request.path.startswith(_IDEMPOTENT)
        if not key or http_request.method == "GET" or not takes_key:
            return handler(self._emulator, http_request, *names)
        now = self._emulator.clock.now()
        self._responses = {name: kept for name, kept in self._responses.items() if kept[0] > now}
        # assumption: the same key with another body is another request.
        text = "\n".join((http_request.account, key, http_request.method, http_request.path, ""))
        sent = text.encode("utf-8", "surrogatepass") + http_request.body
        name = blake2b(sent, digest_size=16).digest()
        if name not in self._responses:
            body = handler(self._emulator, http_request, *names)
            if len(self._responses) >= _MAX_IDEMPOTENCY_KEYS:
                del self._responses[next(iter(self._responses))]
            self._responses[name] = (now + _IDEMPOTENCY_S, body)
        return self._responses[name][1]


# fal: these need no key (Platform API specification, 2026-08).
_PUBLIC: Final = ""

# (method, path below /v1 with {} for a parameter) -> handler, and the permission that it needs.
_ROUTES: Final[dict[tuple[str, str], tuple[Handler, str]]] = {
    ("GET", "models"): (models.models, _PUBLIC),
    ("GET", "models/pricing"): (models.pricing, "models:read"),
    ("POST", "models/pricing/estimate"): (models.estimate, "models:read"),
    ("GET", "models/usage"): (usage.usage_of, "billing:usage:read"),
    ("GET", "models/billing-events"): (usage.billing_events, "billing:usage:read"),
    ("GET", "models/analytics"): (analytics.analytics, "requests:read"),
    ("GET", "models/requests/by-endpoint"): (requests.by_endpoint, "requests:read"),
    ("GET", "models/requests/search"): (requests.search, "requests:read"),
    ("DELETE", "models/requests/{}/payloads"): (requests.delete_payloads, "requests:delete"),
    ("GET", "workflows"): (workflows.workflows, "workflows:read"),
    ("POST", "workflows"): (workflows.create, "workflows:write"),
    ("GET", "workflows/{}/{}"): (workflows.workflow, "workflows:read"),
    ("GET", "keys"): (keys.keys, "auth:keys:read"),
    ("POST", "keys"): (keys.create, "auth:keys:write"),
    ("DELETE", "keys/{}"): (keys.delete, "auth:keys:write"),
    ("GET", "serverless/apps"): (serverless.apps, "serverless:apps:read"),
    ("GET", "serverless/apps/{}/{}/queue"): (requests.queue_size, "serverless:queues:read"),
    ("DELETE", "serverless/apps/{}/{}/queue"): (requests.flush_queue, "serverless:queues:write"),
    ("GET", "serverless/usage"): (serverless.usage, "billing:usage:read"),
    ("GET", "serverless/metrics"): (serverless.metrics, "serverless:apps:read"),
    ("GET", "serverless/analytics"): (analytics.analytics, "serverless:apps:read"),
    ("GET", "serverless/requests/by-endpoint"): (requests.by_owned_endpoint, "serverless:apps:read"),
    ("POST", "serverless/logs/history"): (serverless.logs_history, "serverless:logs:read"),
    ("POST", "serverless/logs/stream"): (serverless.logs_stream, "serverless:logs:read"),
    ("GET", "assets"): (assets.assets, "assets:read"),
    ("POST", "assets/uploads"): (assets.add, "assets:write"),
    ("POST", "assets/favorite"): (assets.favorite, "assets:write"),
    ("POST", "assets/unfavorite"): (assets.unfavorite, "assets:write"),
    ("GET", "assets/collections"): (asset_groups.collections, "assets:read"),
    ("POST", "assets/collections"): (asset_groups.create_collection, "assets:write"),
    ("GET", "assets/collections/{}"): (asset_groups.collection, "assets:read"),
    ("PATCH", "assets/collections/{}"): (asset_groups.update_collection, "assets:write"),
    ("DELETE", "assets/collections/{}"): (asset_groups.delete_collection, "assets:write"),
    ("POST", "assets/collections/{}/favorite"): (asset_groups.favorite_collection, "assets:write"),
    ("POST", "assets/collections/{}/unfavorite"): (asset_groups.unfavorite_collection, "assets:write"),
    ("POST", "assets/collections/{}/move"): (asset_groups.move, "assets:write"),
    ("GET", "assets/collections/{}/assets"): (asset_groups.collection_assets, "assets:read"),
    ("POST", "assets/collections/{}/assets"): (asset_groups.put, "assets:write"),
    ("DELETE", "assets/collections/{}/assets"): (asset_groups.take_out, "assets:write"),
    ("GET", "assets/characters"): (asset_groups.characters, "assets:read"),
    ("POST", "assets/characters"): (asset_groups.create_character, "assets:write"),
    ("GET", "assets/characters/{}"): (asset_groups.character, "assets:read"),
    ("PATCH", "assets/characters/{}"): (asset_groups.update_character, "assets:write"),
    ("DELETE", "assets/characters/{}"): (asset_groups.delete_character, "assets:write"),
    ("POST", "assets/characters/{}/favorite"): (asset_groups.favorite_character, "assets:write"),
    ("POST", "assets/characters/{}/unfavorite"): (asset_groups.unfavorite_character, "assets:write"),
    ("GET", "assets/tags"): (asset_groups.tags, "assets:read"),
    ("POST", "assets/tags"): (asset_groups.create_tag, "assets:write"),
    ("PUT", "assets/tags"): (asset_groups.set_tags, "assets:write"),
    ("PATCH", "assets/tags/{}"): (asset_groups.update_tag, "assets:write"),
    ("DELETE", "assets/tags/{}"): (asset_groups.delete_tag, "assets:write"),
    ("POST", "assets/tags/{}/assign"): (asset_groups.assign, "assets:write"),
    ("DELETE", "assets/tags/{}/assign"): (asset_groups.unassign, "assets:write"),
    ("GET", "assets/{}"): (assets.asset, "assets:read"),
    ("GET", "assets/{}/tags"): (assets.tags_of, "assets:read"),
    ("GET", "compute/instances"): (compute.instances, "compute:instances:read"),
    ("POST", "compute/instances"): (compute.create, "compute:instances:write"),
    ("GET", "compute/instances/{}"): (compute.instance, "compute:instances:read"),
    ("DELETE", "compute/instances/{}"): (compute.delete, "compute:instances:write"),
    ("GET", "organization/teams"): (organization.teams, "organization:read"),
    ("GET", "organization/usage"): (organization.usage, "organization:read"),
    ("GET", "account/billing"): (account.billing, "billing:account:read"),
    ("GET", "account/focus"): (organization.focus, "billing:account:read"),
    ("GET", "storage/settings"): (account.storage_settings, "account:settings:read"),
    ("PUT", "storage/settings"): (account.set_storage_settings, "account:settings:write"),
    ("GET", "storage/files/acl"): (account.acl, "assets:read"),
    ("PUT", "storage/files/acl"): (account.set_acl, "assets:write"),
    ("POST", "storage/files/sign"): (account.sign, "assets:read"),
    ("GET", "meta"): (account.meta, _PUBLIC),
}

# Beginning of a path of fal below /v1 -> why mock-fal does not answer it.
_NOT_EMULATED: Final = {
    "assets": "the form of hierarchies and lineages is not known; other reads and writes of assets are emulated",
    "compute": "compute/instances is emulated, as records without machines",
    "serverless/files": "it runs no apps of yours, and keeps no files for them",
    "organization": "organization/teams and organization/usage are emulated",
    "account/model-access-controls": "it blocks no models; a rule of a test can: mock_fal.fail(ENDPOINT, ...)",
}


def _route(http_request: HttpRequest) -> tuple[Handler, str, list[str]]:
    """The handler of a request, the permission that it needs, and the parameters in its path."""
    version, *segments = http_request.segments
    for (method, path), (handler, permission) in _ROUTES.items():
        pattern = path.split("/")
        if version != "v1" or method != http_request.method or len(pattern) != len(segments):
            continue
        pairs = list(zip(pattern, segments, strict=True))
        if all(part in ("{}", segment) for part, segment in pairs):
            return handler, permission, [segment for part, segment in pairs if part == "{}"]
    # deviation: operations that are not emulated respond with 501.
    message = f"mock-fal does not emulate {http_request.method} https://api.fal.ai{http_request.path}"
    path = "/".join(segments)
    reasons = (why for start, why in _NOT_EMULATED.items() if path == start or path.startswith(f"{start}/"))
    reason = next(reasons, "") if version == "v1" else ""
    raise PlatformError(501, "not_implemented", f"{message}: {reason}" if reason else message)
