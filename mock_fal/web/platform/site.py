"""fal.ai, the site itself: of all its pages, the OpenAPI documents of the models."""

from __future__ import annotations

from typing import Final

from mock_fal.models import openapi
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive

_DOCUMENT: Final = "/api/openapi/queue/openapi.json"


class Site:
    """The site's host."""

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """The document of the model that the query names; never about a request. fal: no key is needed."""
        if http_request.path.rstrip("/") != _DOCUMENT:
            # deviation: the pages of the site are not emulated.
            words = f"mock-fal does not emulate https://fal.ai{http_request.path}; it emulates {_DOCUMENT}"
            return wire.reply(501, {"detail": words}), None
        if http_request.method not in ("GET", "HEAD"):
            return wire.method_not_allowed("GET,HEAD"), None
        document = openapi.document(http_request.params.get("endpoint_id", ""))
        # fal: of an id that there is not, the body is null (live, 2026).
        return wire.reply(404 if document is None else 200, document), None
