"""The payload of a webhook: the JSON body that fal sends."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.requests.outcome import Outcome, Rendered, RunnerResponse, media_urls

# fal: results above about 1 MB come without payload (documentation, second-hand).
# assumption: the exact limit, and that `payload_error` has the same text then.
MAX_PAYLOAD_BYTES: Final = 1_000_000

# fal: the text in fal's webhook documentation.
NOT_SERIALIZABLE: Final = (
    "Response payload is not JSON serializable. Either return a JSON serializable object or use the queue "
    "endpoint to retrieve the response."
)

# In place of a payload that is not sent.
UNUSABLE: Final = object()


@dataclass(frozen=True, slots=True)
class Webhook:
    """The target of a webhook, and the base URL of the media host for the files in its payload.

    The client that submitted the request must be able to reach the files, so `media` is set at submission.
    `page` is the origin of the web page of another machine that submitted the request; it may not choose targets here.
    """

    url: str
    media: str
    page: str = ""


@dataclass(frozen=True, slots=True)
class Changes:
    """What a directive says about a webhook: the status, the payload as JSON text, and how many seconds it is late."""

    status: int | None = None
    payload: str | None = None
    late_s: float = 0.0


NO_CHANGES: Final = Changes()


def webhook_body(
    request_id: str,
    outcome: Outcome,
    media: str,
    inline: Rendered,
    gateway_id: str = "",
    changes: Changes = NO_CHANGES,
) -> bytes:
    """The body of a webhook, the same at every attempt.

    `inline` maps the pictures that the result carries inline to their data URIs. `gateway_id` is the id of the last
    attempt at the request; by default the request's own.
    """
    ids = (request_id, gateway_id or request_id)
    if changes.status is not None or changes.payload is not None:
        status = outcome.status if isinstance(outcome, RunnerResponse) else outcome.kind.status
        status = status if changes.status is None else changes.status
        if changes.payload is not None:
            payload = json.loads(changes.payload)
            return _body(ids, status, UNUSABLE if payload is None else payload)
        if isinstance(outcome, RunnerResponse):
            outcome = RunnerResponse(status, outcome.body)
        else:
            return _body(ids, status, {"detail": outcome.detail, "error_type": outcome.error_type})
    if isinstance(outcome, RunnerResponse):
        if outcome.status == 404:
            # fal: the 404 of an app comes without its payload (live, fal-js issue 153).
            return _body(ids, outcome.status, UNUSABLE)
        return _body(ids, outcome.status, outcome.body, media_urls(media, inline))
    # assumption: the payload when no runner responded; it is the body of the result.
    return _body(ids, outcome.kind.status, {"detail": outcome.detail, "error_type": outcome.error_type})


def _body(
    ids: tuple[str, str], status: int, payload: JSON, default: Callable[[Any], str] | None = None
) -> bytes:
    request_id, gateway_id = ids
    ok = 200 <= status < 300
    document = {
        "error": None if ok else f"Invalid status code: {status}",
        # fal: the id of the last attempt at the request; of a request that was never tried again, its own.
        "gateway_request_id": gateway_id,
        "payload": payload,
        "request_id": request_id,
        "status": "OK" if ok else "ERROR",
    }
    try:
        text = "" if payload is UNUSABLE else _dump(document, default)
    except ValueError:  # such as infinity, which JSON does not have
        text = ""
    if not text or len(text) > MAX_PAYLOAD_BYTES:
        text = _dump({**document, "payload": None, "payload_error": NOT_SERIALIZABLE})
    return text.encode("ascii")


def _dump(document: JSON, default: Callable[[Any], str] | None = None) -> str:
    # fal: keys sorted at every level, and a space after commas and colons (live, 2026-07).
    # assumption: that characters outside ASCII are escaped.
    return json.dumps(document, sort_keys=True, allow_nan=False, default=default)
