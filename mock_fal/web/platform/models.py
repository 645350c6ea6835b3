"""The Platform API about models: which there are, what they cost, what some calls would."""

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
    """`GET /models`: all, those that are named, or those that a search finds."""
    query = Query(http_request)
    page = query.page(default=50, most=100)
    named = query.ids("endpoint_id")
    expand = query.listed("expand", ("openapi-3.0", "enterprise_status"))
    status = query.choice("status", ("active", "deprecated"), "active")
    category, words = query.text("category"), (query.text("q") or "").lower().split()
    _check_known(named)
    found = [
        endpoint
        for endpoint in named or FAMILIES
        if status == "active"
        and category in (None, MODELS[endpoint].category)
        and all(word in _searchable(endpoint) for word in words)
    ]
    return paged("models", [_model(endpoint, expand, http_request.account) for endpoint in found], page)


def pricing(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/pricing`: the prices of the endpoints that are named."""
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
    """`POST /models/pricing/estimate`: what so many calls, or so many units, would cost."""
    body = document(http_request)
    kind = body.get("estimate_type")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise Invalid("estimate_type", kind, "historical_api_price or unit_price")
    endpoints = body.get("endpoints")
    if not isinstance(endpoints, dict) or not endpoints:
        raise Invalid("endpoints", endpoints, "an object with an endpoint id for each key")
    amounts = {
        endpoint: _amount(endpoint, wanted, _KINDS[kind], whole=kind == "historical_api_price")
        for endpoint, wanted in endpoints.items()
    }
    _check_known(list(endpoints))
    each = _nano_usd_a_call(emulator, http_request.account) if kind == "historical_api_price" else {}
    total = sum(
        round(amount * each[endpoint]) if endpoint in each else price(endpoint).nano_usd(amount)
        for endpoint, amount in amounts.items()
    )
    return {"estimate_type": kind, "total_cost": total / NANO, "currency": CURRENCY}


def _nano_usd_a_call(emulator: Emulator, account: str) -> dict[str, float]:
    """What a call has cost on average, of the endpoints that this account has paid for."""
    # deviation: one that the account has never called is taken to cost one unit a call.
    items = usage(emulator.charges(account)).items
    return {item.endpoint: item.cost * NANO / item.requests for item in items}


def _amount(endpoint: str, wanted: Any, name: str, *, whole: bool) -> float:
    amount = wanted.get(name) if isinstance(wanted, dict) else None
    least = 1 if whole else 0.000001
    if not isinstance(amount, int | float) or isinstance(amount, bool) or (whole and amount % 1):
        raise Invalid(f"endpoints.{endpoint}.{name}", amount, "a whole number" if whole else "a number")
    if not least <= amount <= 1e15:
        raise Invalid(f"endpoints.{endpoint}.{name}", amount, f"{least} or more")
    return amount


def _check_known(endpoints: list[str]) -> None:
    # assumption: that one unknown id among others refuses them all.
    unknown = [endpoint for endpoint in endpoints if endpoint not in FAMILIES]
    if unknown:
        raise NotFound(f"no endpoint {', '.join(unknown)}")


def _searchable(endpoint: str) -> str:
    its = MODELS[endpoint]
    return f"{endpoint} {its.display_name} {its.description} {its.category} {' '.join(its.tags)}".lower()


def _model(endpoint: str, expand: list[str], account: str) -> JSON:
    model: dict[str, JSON] = {"endpoint_id": endpoint, "metadata": _metadata(endpoint, account)}
    if "openapi-3.0" in expand:
        model["openapi"] = openapi.document(endpoint)
    if "enterprise_status" in expand:
        # assumption: which models are ready for enterprises.
        model["enterprise_status"] = "ready"
    return model


def _metadata(endpoint: str, account: str) -> JSON:
    its = MODELS[endpoint]
    date = f"{its.date}T00:00:00Z"
    group = {"group": its.group._asdict()} if its.group else {}
    stream = {"stream_url": f"https://fal.run/{endpoint}/stream"} if endpoint in STREAMING else {}
    return {
        "display_name": its.display_name,
        "category": its.category,
        "description": its.description,
        "status": "active",
        "tags": list(its.tags),
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
