"""Platform API: the list of models, their prices, and cost estimates."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Any, Final

from mock_fal.billing.prices import CURRENCY, NANO, Price, price
from mock_fal.billing.usage import usage
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.models import openapi
from mock_fal.models.catalog import Catalog, Model
from mock_fal.models.descriptions import CATEGORIES
from mock_fal.models.rows import Entry
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, NotFound, Query, document, paged
from mock_fal.web.wire import encode, listed

# The models that are written before other requests get a turn: about two milliseconds with their documents.
_SLICE: Final = 2

_KINDS = {"historical_api_price": "call_quantity", "unit_price": "unit_quantity"}


async def models(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models`: all models, those with the given ids, or those that match a search."""
    query = Query(http_request)
    page = query.page(default=50, most=100)
    named = query.ids("endpoint_id")
    expand = query.listed("expand", ("openapi-3.0", "enterprise_status"))
    status = query.choice("status", ("active", "deprecated"), "active")
    category, terms = query.text("category"), (query.text("q") or "").lower().split()
    catalog = emulator.catalog
    _check_known(catalog, named)
    matching = [
        entry.id
        for entry in (_entries(catalog, named) if named else catalog.entries())
        if status == entry.status
        and category in (None, entry.category)
        and all(term in _searchable(entry) for term in terms)
    ]
    part = paged("models", matching, page)
    items = []
    for number, endpoint in enumerate(part["models"], 1):
        if model := catalog.find(endpoint):
            items.append(encode(_model(model, expand, http_request.account)))
        if number % _SLICE == 0:
            await asyncio.sleep(0)
    return listed("models", items, part)


def pricing(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/pricing`: the prices of the given endpoints."""
    named = Query(http_request).ids("endpoint_id", required=True)
    _check_known(emulator.catalog, named)
    prices = [
        {
            "endpoint_id": endpoint,
            "unit_price": rate.unit_price,
            "unit": rate.unit,
            "currency": CURRENCY,
        }
        for endpoint, rate in _prices(named).items()
    ]
    return {"prices": prices, "next_cursor": None, "has_more": False}


def estimate(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`POST /models/pricing/estimate`: the estimated cost of a number of calls or unmodel."""
    body = document(http_request)
    kind = body.get("estimate_type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Invalid("estimate_type", kind, "historical_api_price or unit_price")
    endpoints = body.get("endpoints")
    if not isinstance(endpoints, dict) or not endpoints:
        raise Invalid("endpoints", endpoints, "an object with an endpoint id for each key")
    amounts = {
        endpoint: _amount(endpoint, value, _KINDS[kind], whole=kind == "historical_api_price")
        for endpoint, value in endpoints.items()
    }
    _check_known(emulator.catalog, list(endpoints))
    per_call = (
        _average_call_nano_usd(emulator, http_request.account) if kind == "historical_api_price" else {}
    )
    prices = _prices(endpoint for endpoint in amounts if endpoint not in per_call)
    total = sum(
        round(amount * per_call[endpoint]) if endpoint in per_call else prices[endpoint].nano_usd(amount)
        for endpoint, amount in amounts.items()
    )
    return {"estimate_type": kind, "total_cost": total / NANO, "currency": CURRENCY}


def _average_call_nano_usd(emulator: Emulator, account: str) -> dict[str, float]:
    """The average cost of a call, for each endpoint that the account has paid for."""
    # deviation: for an endpoint that the account has never called, a call is estimated as one unit.
    items = usage(emulator.charges(account)).items
    return {item.endpoint: item.cost * NANO / item.requests for item in items if item.cost is not None}


def _prices(endpoints: Iterable[str]) -> dict[str, Price]:
    """The price of each endpoint. Raises NotFound if one is not known."""
    # deviation: fal has a price for every endpoint; mock-fal knows those that were published somewhere.
    prices = {endpoint: price(endpoint) for endpoint in endpoints}
    unknown = [endpoint for endpoint, rate in prices.items() if rate is None]
    if unknown:
        raise NotFound(f"mock-fal does not know the price of {', '.join(unknown)}")
    return {endpoint: rate for endpoint, rate in prices.items() if rate is not None}


def _amount(endpoint: str, value: Any, name: str, *, whole: bool) -> float:
    amount = value.get(name) if isinstance(value, dict) else None
    minimum = 1 if whole else 0.000001
    if not isinstance(amount, int | float) or isinstance(amount, bool) or (whole and amount % 1):
        raise Invalid(f"endpoints.{endpoint}.{name}", amount, "a whole number" if whole else "a number")
    if not minimum <= amount <= 1e15:
        raise Invalid(f"endpoints.{endpoint}.{name}", amount, f"{minimum} or more")
    return amount


def _check_known(catalog: Catalog, endpoints: list[str]) -> None:
    # assumption: one unknown id makes the whole request fail.
    unknown = [endpoint for endpoint in endpoints if catalog.find(endpoint) is None]
    if unknown:
        raise NotFound(f"no endpoint {', '.join(unknown)}")


def _entries(catalog: Catalog, endpoints: list[str]) -> Iterator[Entry]:
    """What a search reads of the given models."""
    for model in map(catalog.find, endpoints):
        if model is not None:
            yield Entry(
                model.id,
                model.category,
                model.title,
                model.status,
                model.description,
                model.tags,
                model.is_streaming,
                model.is_realtime,
            )


def _searchable(entry: Entry) -> str:
    description = entry.description or CATEGORIES.get(entry.category, "")
    return f"{entry.id} {entry.title} {description} {entry.category} {' '.join(entry.tags)}".lower()


def _model(model: Model, expand: list[str], account: str) -> JSON:
    item: dict[str, JSON] = {"endpoint_id": model.id, "metadata": _metadata(model, account)}
    if "openapi-3.0" in expand:
        item["openapi"] = openapi.document(model)
    if "enterprise_status" in expand:
        # assumption: all models are enterprise-ready.
        item["enterprise_status"] = "ready"
    return item


def _metadata(model: Model, account: str) -> JSON:
    # assumption: a model whose release is not known was released when its schema was read.
    date = f"{model.released or model.date or '1970-01-01'}T00:00:00Z"
    group = {"group": {"key": model.group[0], "label": model.group[1]}} if model.group else {}
    stream = {"stream_url": f"https://fal.run/{model.id}/stream"} if model.is_streaming else {}
    return {
        "display_name": model.title,
        "category": model.category,
        "description": model.description or CATEGORIES.get(model.category, ""),
        "status": model.status,
        "tags": list(model.tags),
        "updated_at": date,
        "is_favorited": False if account else None,
        "thumbnail_url": openapi.thumbnail_url(model.id),
        "model_url": f"https://fal.run/{model.id}",
        "date": date,
        **group,
        "highlighted": False,
        "kind": "training" if model.kind == "training" else "inference",
        **stream,
        "pinned": False,
    }
