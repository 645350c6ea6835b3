"""Platform API: the list of models, their prices, and cost estimates."""

from __future__ import annotations

from typing import Any

from mock_fal.billing.prices import CURRENCY, NANO, price
from mock_fal.billing.usage import usage
from mock_fal.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.models import openapi
from mock_fal.models.catalog import FAMILIES, STREAMING
from mock_fal.models.descriptions import MODELS
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, NotFound, Query, document, paged

_KINDS = {"historical_api_price": "call_quantity", "unit_price": "unit_quantity"}


def models(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models`: all models, those with the given ids, or those that match a search."""
    query = Query(http_request)
    page = query.page(default=50, most=100)
    named = query.ids("endpoint_id")
    expand = query.listed("expand", ("openapi-3.0", "enterprise_status"))
    status = query.choice("status", ("active", "deprecated"), "active")
    category, terms = query.text("category"), (query.text("q") or "").lower().split()
    _check_known(named)
    matching = [
        endpoint
        for endpoint in named or FAMILIES
        if status == "active"
        and category in (None, MODELS[endpoint].category)
        and all(term in _searchable(endpoint) for term in terms)
    ]
    return paged("models", [_model(endpoint, expand, http_request.account) for endpoint in matching], page)


def pricing(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/pricing`: the prices of the given endpoints."""
    named = Query(http_request).ids("endpoint_id", required=True)
    _check_known(named)
    prices = [
        {
            "endpoint_id": endpoint,
            "unit_price": price(endpoint).unit_price,
            "unit": price(endpoint).unit,
            "currency": CURRENCY,
        }
        for endpoint in named
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
    _check_known(list(endpoints))
    per_call = (
        _average_call_nano_usd(emulator, http_request.account) if kind == "historical_api_price" else {}
    )
    total = sum(
        round(amount * per_call[endpoint]) if endpoint in per_call else price(endpoint).nano_usd(amount)
        for endpoint, amount in amounts.items()
    )
    return {"estimate_type": kind, "total_cost": total / NANO, "currency": CURRENCY}


def _average_call_nano_usd(emulator: Emulator, account: str) -> dict[str, float]:
    """The average cost of a call, for each endpoint that the account has paid for."""
    # deviation: for an endpoint that the account has never called, a call is estimated as one unit.
    items = usage(emulator.charges(account)).items
    return {item.endpoint: item.cost * NANO / item.requests for item in items}


def _amount(endpoint: str, value: Any, name: str, *, whole: bool) -> float:
    amount = value.get(name) if isinstance(value, dict) else None
    minimum = 1 if whole else 0.000001
    if not isinstance(amount, int | float) or isinstance(amount, bool) or (whole and amount % 1):
        raise Invalid(f"endpoints.{endpoint}.{name}", amount, "a whole number" if whole else "a number")
    if not minimum <= amount <= 1e15:
        raise Invalid(f"endpoints.{endpoint}.{name}", amount, f"{minimum} or more")
    return amount


def _check_known(endpoints: list[str]) -> None:
    # assumption: one unknown id makes the whole request fail.
    unknown = [endpoint for endpoint in endpoints if endpoint not in FAMILIES]
    if unknown:
        raise NotFound(f"no endpoint {', '.join(unknown)}")


def _searchable(endpoint: str) -> str:
    model = MODELS[endpoint]
    return (
        f"{endpoint} {model.display_name} {model.description} {model.category} {' '.join(model.tags)}".lower()
    )


def _model(endpoint: str, expand: list[str], account: str) -> JSON:
    model: dict[str, JSON] = {"endpoint_id": endpoint, "metadata": _metadata(endpoint, account)}
    if "openapi-3.0" in expand:
        model["openapi"] = openapi.document(endpoint)
    if "enterprise_status" in expand:
        # assumption: all models are enterprise-ready.
        model["enterprise_status"] = "ready"
    return model


def _metadata(endpoint: str, account: str) -> JSON:
    model = MODELS[endpoint]
    date = f"{model.date}T00:00:00Z"
    group = {"group": model.group._asdict()} if model.group else {}
    stream = {"stream_url": f"https://fal.run/{endpoint}/stream"} if endpoint in STREAMING else {}
    return {
        "display_name": model.display_name,
        "category": model.category,
        "description": model.description,
        "status": "active",
        "tags": list(model.tags),
        "updated_at": date,
        "is_favorited": False if account else None,
        "thumbnail_url": openapi.thumbnail_url(endpoint),
        "model_url": f"https://fal.run/{endpoint}",
        "date": date,
        **group,
        "highlighted": False,
        "kind": "inference",
        **stream,
        "pinned": False,
    }
