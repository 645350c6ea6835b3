"""What the control API returns, as the objects that an account of the same process has."""

from __future__ import annotations

import json
import math
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from mock_fal.accounts.secrets import header_bytes
from mock_fal.billing.usage import Usage, UsageItem
from mock_fal.endpoint import EndpointId
from mock_fal.files.listing import StoredFile
from mock_fal.journal.exchanges import Exchange, Remarks, pack_headers
from mock_fal.webhooks.outbox import Attempt, DeliveryState


@dataclass(frozen=True, slots=True)
class RemoteDelivery:
    """The delivery of a webhook, as `Delivery`, at the moment when it was read."""

    request_id: str
    tenant: str
    url: str
    state: DeliveryState
    next_at: float
    attempts: list[Attempt]
    json: Any

    @property
    def body(self) -> bytes:
        """The body; empty before the first attempt."""
        return b"" if self.json is None else json.dumps(self.json).encode()


def exchange_of(shown: dict[str, Any]) -> Exchange:
    """An exchange of `GET /_mock/requests`."""
    host, _, port = (shown["client"] or "").rpartition(":")
    body, sent = _body(shown["request"]), shown["duration_s"]
    return Exchange(
        at=shown["at"],
        tenant=shown["key"],
        method=shown["method"],
        host=shown["host"],
        path=shown["path"],
        query=shown["query"],
        request_head=_head(shown["request"]),
        request_body=body,
        status=shown["status"],
        response_head=_head(shown["response"]),
        response_body=_body(shown["response"]),
        request_id=shown["request_id"],
        uploaded_bytes=0 if body else shown["request"]["size"],
        received_at=shown["received_at"],
        sent_at=None if sent is None else shown["received_at"] + sent,
        submitted_to=EndpointId.parse(shown["endpoint"]) if shown["endpoint"] else None,
        scheme=shown["scheme"],
        client=(host, int(port)) if port else None,
        number=shown["id"],
        remarks=Remarks(
            directive=shown["directive"] or "",
            warning=shown["warning"] or "",
            unknown_endpoint=shown["unknown_endpoint"] or "",
            playback=shown["playback"] or "",
        ),
    )


def _head(message: dict[str, Any]) -> bytes:
    return pack_headers([(name.encode("latin-1"), header_bytes(value)) for name, value in message["headers"]])


def _body(message: dict[str, Any]) -> bytes:
    text = message["body"] or ""
    return b64decode(text) if message["encoding"] == "base64" else text.encode("utf-8", "surrogatepass")


def delivery_of(shown: dict[str, Any]) -> RemoteDelivery:
    """A webhook of `GET /_mock/deliveries`."""
    return RemoteDelivery(
        shown["request_id"],
        shown["key"],
        shown["url"],
        DeliveryState(shown["state"]),
        math.inf if shown["next_at"] is None else shown["next_at"],
        [
            Attempt(attempt["at"], attempt["duration_s"], attempt["status"], attempt["error"] or "")
            for attempt in shown["attempts"]
        ],
        shown["body"],
    )


def file_of(shown: dict[str, Any]) -> StoredFile:
    """A file of `GET /_mock/files`."""
    expires_at = math.inf if shown["expires_at"] is None else shown["expires_at"]
    return StoredFile(
        shown["url"],
        shown["content_type"],
        shown["key"],
        shown["size"],
        expires_at,
        shown["request_id"],
        shown["created_at"],
    )


def usage_of(shown: dict[str, Any]) -> Usage:
    """The answer of `GET /_mock/usage`."""
    items = tuple(UsageItem(**item) for item in shown["items"])
    return Usage(shown["cost"], items, shown["currency"])
