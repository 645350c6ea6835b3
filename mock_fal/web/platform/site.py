"""fal.ai, the site itself: of all its pages, the OpenAPI documents of the models."""

from __future__ import annotations

from typing import Final

from mock_fal.catalog import openapi
from mock_fal.line import Entry
from mock_fal.web import wire
from mock_fal.web.question import Question, Receive

_DOCUMENT: Final = "/api/openapi/queue/openapi.json"


class Site:
    """The site's host."""

    async def answer(self, question: Question, receive: Receive) -> tuple[wire.Answering, Entry | None]:
        """The document of the model that the query names; never about a request. fal: no key is needed."""
        if question.path.rstrip("/") != _DOCUMENT:
            # unlike fal: the pages of the site are not emulated.
            words = f"mock-fal does not emulate https://fal.ai{question.path}; it emulates {_DOCUMENT}"
            return wire.reply(501, {"detail": words}), None
        if question.method not in ("GET", "HEAD"):
            return wire.method_not_allowed("GET,HEAD"), None
        document = openapi.document(question.params.get("endpoint_id", ""))
        # fal: of an id that there is not, the body is null (live, 2026).
        return wire.reply(404 if document is None else 200, document), None
