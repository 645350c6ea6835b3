"""fal.ai, the website: only the OpenAPI documents of the models are emulated."""

from __future__ import annotations

from typing import Final

from mock_fal.models import openapi
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive

_DOCUMENT: Final = "/api/openapi/queue/openapi.json"


class Site:
    """The website host."""

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The OpenAPI document of the model in the query; never about a request to a model. fal: no key is needed."""
        if http_request.path.rstrip("/") != _DOCUMENT:
            # deviation: the pages of the website are not emulated.
            message = f"mock-fal does not emulate https://fal.ai{http_request.path}; it emulates {_DOCUMENT}"
            return wire.reply(501, {"detail": message}), None
        if http_request.method not in ("GET", "HEAD"):
            return wire.method_not_allowed("GET,HEAD"), None
        document = openapi.document(http_request.params.get("endpoint_id", ""))
        # fal: for an unknown id the body is null (live, 2026).
        return wire.reply(404 if document is None else 200, document), None
