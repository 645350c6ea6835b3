"""fal.ai, the website: the list of the models, their OpenAPI documents, and their pages as text."""

from __future__ import annotations

import asyncio
from typing import Final

from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.models import openapi
from mock_fal.models.catalog import Model
from mock_fal.models.descriptions import CATEGORIES
from mock_fal.models.guide import guide, overview
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest, Receive
from mock_fal.web.platform.wire import Query

_LISTING: Final = "/api/models"
_DOCUMENT: Final = "/api/openapi/queue/openapi.json"
_TEXT: Final = "/llms.txt"
_MODELS: Final = "/models/"

# The number of models on a page of the list, and the most that a client can ask for.
# fal: 40 (public notes on this undocumented list, 2026-08).
PAGE: Final = 40
MAX_PAGE: Final = 200

# The models that are read before other requests get a turn: about a millisecond.
_SLICE: Final = 2


class Site:
    """The website host."""

    def __init__(self, emulator: Emulator) -> None:
        self._emulator = emulator

    async def respond(
        self, http_request: HttpRequest, receive: Receive
    ) -> tuple[wire.AnyResponse, ModelRequest | None]:
        """A document or a text; never about a request to a model. fal: no key is needed."""
        path = http_request.path.rstrip("/")
        if path not in (_LISTING, _DOCUMENT, _TEXT) and not (
            path.startswith(_MODELS) and path.endswith(_TEXT)
        ):
            # deviation: the pages of the website are not emulated.
            message = (
                f"mock-fal does not emulate https://fal.ai{http_request.path}; it emulates {_LISTING}, {_DOCUMENT}, "
                f"{_TEXT} and {_MODELS}{{id}}{_TEXT}"
            )
            return wire.reply(501, {"detail": message}), None
        if http_request.method not in ("GET", "HEAD"):
            return wire.method_not_allowed("GET,HEAD"), None
        if path == _LISTING:
            return await self._listing(Query(http_request)), None
        return self._document(http_request) if path == _DOCUMENT else self._text(path), None

    async def _listing(self, query: Query) -> wire.Reply:
        # fal: undocumented; page 0 is empty, `total` in the query is the size of a page, and `category` has no effect
        # (three public programs, 2026). assumption: the order is that of the ids.
        catalog = self._emulator.catalog
        words, categories = (query.text("keywords") or "").lower().split(), query.listed("categories")
        matching = [
            entry.id
            for entry in catalog.entries()
            if (not categories or entry.category in categories)
            and all(word in f"{entry.id} {entry.title}".lower() for word in words)
        ]
        size = min(max(_number(query.text("total"), PAGE), 1), MAX_PAGE)
        page = _number(query.text("page"), 1)
        part = matching[(page - 1) * size : page * size] if page > 0 else []
        items = []
        for number, endpoint in enumerate(part, 1):
            if model := catalog.find(endpoint):
                items.append(wire.encode(_item(model)))
            if number % _SLICE == 0:
                await asyncio.sleep(0)
        pages = -(-len(matching) // size)
        counts: dict[str, JSON] = {"page": page, "pages": pages, "total": len(matching), "size": size}
        return wire.listed("items", items, {"items": [], **counts})

    def _document(self, http_request: HttpRequest) -> wire.Reply:
        model = self._emulator.catalog.find(http_request.params.get("endpoint_id", ""))
        # fal: for an unknown id the body is null (live, 2026).
        return wire.reply(404, None) if model is None else wire.reply(200, openapi.document(model))

    def _text(self, path: str) -> wire.Reply:
        # fal: the site has these pages as text (its documentation for agents, 2026). assumption: their form.
        catalog = self._emulator.catalog
        if path == _TEXT:
            return wire.text(200, overview([(entry.id, entry.title) for entry in catalog.entries()]))
        model = catalog.find(path.removeprefix(_MODELS).removesuffix(_TEXT))
        return wire.text(404, "Not Found\n") if model is None else wire.text(200, guide(model))


def _number(text: str | None, default: int) -> int:
    """A number of a query; what is no number counts as missing."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) <= 9 else default


def _item(model: Model) -> JSON:
    """What the list says of a model."""
    # fal: these members (three public programs, 2026). assumption: the licence, and the two ids, which are equal.
    # assumption: a model whose release is not known was released when its schema was read.
    return {
        "id": model.id,
        "modelId": model.id,
        "title": model.title,
        "category": model.category,
        "tags": list(model.tags),
        "shortDescription": model.description or CATEGORIES.get(model.category, ""),
        "thumbnailUrl": openapi.thumbnail_url(model.id),
        "modelUrl": f"https://fal.run/{model.id}",
        "licenseType": "commercial",
        "date": f"{model.released or model.date or '1970-01-01'}T00:00:00.000Z",
        "group": {"key": model.group[0], "label": model.group[1]} if model.group else None,
        "status": model.status,
        "deprecated": model.status == "deprecated",
        "removed": False,
        "pricingInfoOverride": None,
        "streamUrl": f"https://fal.run/{model.id}/stream" if model.is_streaming else None,
    }
