"""The payload of a webhook: the JSON body that fal sends."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from mock_fal.errors import JSON
from mock_fal.requests.outcome import MediaFile, Outcome, RunnerResponse, media_urls

# fal: results above about 1 MB come without payload (documentation, second-hand).
# assumption: the exact limit, and that `payload_error` has the same text then.
MAX_PAYLOAD_BYTES: Final = 1_000_000

# fal: the text in fal's webhook documentation.
NOT_SERIALIZABLE: Final = (
    "Response payload is not JSON serializable. Either return a JSON serializable object or use the queue "
    "endpoint to retrieve the response."
)


@dataclass(frozen=True, slots=True)
class Webhook:
    """The target of a webhook, and the base URL of the media host for the files in its payload.

    The client that submitted the request must be able to reach the files, so `media` is set at submission.
    `page` is the origin of the web page of another machine that submitted the request; it may not choose targets here.
    """

    url: str
    media: str
    page: str = ""


def webhook_body(request_id: str, outcome: Outcome, media: str, inline: Mapping[MediaFile, str]) -> bytes:
    """The body of a webhook, the same at every attempt.

    `inline` maps the pictures that the result carries inline to their data URIs.
    """
    if isinstance(outcome, RunnerResponse):
        return _body(request_id, outcome.status, outcome.body, media_urls(media, inline))
    # assumption: the payload when no runner responded; it is the body of the result.
    return _body(
        request_id, outcome.kind.status, {"detail": outcome.detail, "error_type": outcome.error_type}
    )


def _body(request_id: str, status: int, payload: JSON, default: Callable[[Any], str] | None = None) -> bytes:
    ok = 200 <= status < 300
    document = {
        "error": None if ok else f"Invalid status code: {status}",
        # fal: the id of the last attempt at the request; of a request that was never retried, its own.
        "gateway_request_id": request_id,
        "payload": payload,
        "request_id": request_id,
        "status": "OK" if ok else "ERROR",
    }
    try:
        text = _dump(document, default)
    except ValueError:  # such as infinity, which JSON does not have
        text = ""
    if not text or len(text) > MAX_PAYLOAD_BYTES:
        text = _dump({**document, "payload": None, "payload_error": NOT_SERIALIZABLE})
    return text.encode("ascii")


def _dump(document: JSON, default: Callable[[Any], str] | None = None) -> str:
    # fal: keys sorted at every level, and a space after commas and colons (live, 2026-07).
    # assumption: that characters outside ASCII are escaped.
    return json.dumps(document, sort_keys=True, allow_nan=False, default=default)
