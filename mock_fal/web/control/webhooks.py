"""`/_mock/webhooks`: sends a webhook without a request, or one of a request again."""

from __future__ import annotations

import json
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mock_fal.endpoint import EndpointId
from mock_fal.errors import FalError, ScenarioError, is_deeper
from mock_fal.hosts import RESULT_HOST
from mock_fal.web.control.wire import ControlError, emulator, limited_document
from mock_fal.webhooks.outbox import WebhookWaiting
from mock_fal.webhooks.payload import Webhook

_SEND: Final = '{"url": URL, "endpoint": ID} with "output", "error" or "key"'
_RESEND: Final = '{"request_id": ID} with "body"'

# Bytes of a body of the user's own: more than fal's largest payload.
MAX_BODY_BYTES: Final = 2_000_000

# Levels of an output: more can be read than written.
_MAX_DEPTH: Final = 100


async def send(request: Request) -> Response:
    mock = emulator(request)
    fields = await _fields(request, _SEND, required=("url", "endpoint"), optional=("output", "error", "key"))
    try:
        endpoint = EndpointId.parse(fields["endpoint"])
        webhook = Webhook(fields["url"], f"{str(request.base_url).rstrip('/')}/{RESULT_HOST}")
        tenant = fields.get("key", mock.settings.own_key.partition(":")[0])
        delivery = mock.send_webhook(endpoint, webhook, tenant, fields.get("output"), fields.get("error", ""))
    except (ScenarioError, ValueError) as error:
        raise ControlError(422, str(error)) from None
    except FalError as error:
        raise ControlError(error.status, error.detail) from None
    return JSONResponse({"request_id": delivery.request_id}, 202)


async def resend(request: Request) -> Response:
    fields = await _fields(request, _RESEND, required=("request_id",), optional=("body",))
    body = json.dumps(fields["body"], sort_keys=True).encode() if "body" in fields else b""
    try:
        delivery = emulator(request).resend_webhook(fields["request_id"], body)
    except WebhookWaiting as error:
        raise ControlError(409, str(error)) from None
    return JSONResponse({"request_id": delivery.request_id}, 202)


async def _fields(
    request: Request, expected: str, *, required: tuple[str, ...], optional: tuple[str, ...]
) -> dict[str, Any]:
    """The members of the body. Raises ControlError."""
    fields = await limited_document(request, expected, MAX_BODY_BYTES)
    if not isinstance(fields, dict) or not set(required) <= fields.keys() <= {*required, *optional}:
        raise ControlError(422, f"expected {expected}, got {fields!r:.100}")
    for name in fields.keys() - {"output", "body"}:
        if not isinstance(fields[name], str):
            raise ControlError(422, f"{name} is {fields[name]!r:.100}, expected a string")
    if any(is_deeper(fields.get(name), _MAX_DEPTH) for name in ("output", "body")):
        raise ControlError(422, f"lists and objects are nested more than {_MAX_DEPTH} deep")
    return fields
