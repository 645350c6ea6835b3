"""What `mock-fal check` would say of the exchanges of one call."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

from mock_fal.accounts.secrets import header_text
from mock_fal.emulation.emulator import Emulator
from mock_fal.journal.exchanges import Exchange, RawHeaders
from mock_fal.requests.state import state
from mock_fal.web.renderer import Renderer

if TYPE_CHECKING:
    from mock_fal.webhooks.outbox import Delivery
    from mock_fal_contracts.usage_rules.record import Record

# More exchanges, and bodies with more bytes together, are not judged: the rules parse all of them.
MAX_EXCHANGES: Final = 500
MAX_BYTES: Final = 4 << 20

_MISSING: Final = "the package mock_fal_contracts is not installed"

# The endpoints that are named in place of an unknown one.
_MAX_CLOSEST: Final = 3


async def of(
    mock: Emulator, renderer: Renderer, exchanges: Sequence[Exchange], delivery: Delivery | None
) -> dict[str, Any]:
    """The findings of the usage rules about the exchanges of one call, made in a thread.

    At most MAX_EXCHANGES are judged; they must be without the secrets of keys.
    """
    reason = _obstacle(exchanges)
    if reason:
        return {"available": False, "reason": reason, "items": []}
    from mock_fal.models.catalog import Model

    now = mock.clock.now()
    requests = {
        exchange.request_id: mock.store.requests.get(exchange.request_id or "") for exchange in exchanges
    }
    states = {id: state(request, now).value for id, request in requests.items() if request}
    endpoints = {exchange.endpoint for exchange in exchanges if exchange.is_submission and exchange.endpoint}
    models: dict[str, Model | None] = {
        name: mock.catalog.find(name.removesuffix("/stream")) for name in endpoints
    }
    closest = {name: mock.catalog.closest(name, _MAX_CLOSEST) for name, model in models.items() if not model}
    items = await renderer.in_thread(_judged, exchanges, states, models, closest, delivery)
    return {"available": True, "reason": None, "items": items}


def _obstacle(exchanges: Sequence[Exchange]) -> str:
    """Why the exchanges can't be judged; empty if they can."""
    if find_spec("mock_fal_contracts") is None:
        return _MISSING
    if not exchanges:
        return "no exchange of the call is stored"
    if len(exchanges) > MAX_EXCHANGES:
        return f"the call has {len(exchanges)} exchanges, and at most {MAX_EXCHANGES} are judged"
    size = sum(len(exchange.request_body) + len(exchange.response_body) for exchange in exchanges)
    return f"the bodies have {size} bytes, and at most {MAX_BYTES} are judged" if size > MAX_BYTES else ""


def _judged(
    exchanges: Sequence[Exchange],
    states: dict[str | None, str],
    models: dict[str, Any],
    closest: dict[str, Sequence[str]],
    delivery: Delivery | None,
) -> list[dict[str, Any]]:
    from mock_fal_contracts.usage_rules.catalogue import RULES

    record, numbers = _record(exchanges, states, models, closest, delivery)
    items = []
    for rule in RULES:
        selection = rule.select(record)
        findings = list(rule.find(record, selection)) if selection else []
        for finding in findings:
            items.append(
                {
                    "id": rule.case.id,
                    "title": rule.case.title,
                    "requirement": rule.case.requirement,
                    "source": rule.case.source,
                    "level": "advice" if rule.is_advice else "error",
                    "message": finding.message,
                    "exchanges": [numbers[id(item)] for item in finding.exchanges if id(item) in numbers],
                }
            )
    return items


def _record(
    exchanges: Sequence[Exchange],
    states: dict[str | None, str],
    models: dict[str, Any],
    closest: dict[str, Sequence[str]],
    delivery: Delivery | None,
) -> tuple[Record, dict[int, int]]:
    """The record that the rules judge, and the number of each exchange in it."""
    from mock_fal_contracts import exchanges as contracts
    from mock_fal_contracts.usage_rules.record import Attempt, Record
    from mock_fal_contracts.usage_rules.record import Delivery as RecordedDelivery

    made = [
        contracts.Exchange(
            at=exchange.at,
            method=exchange.method,
            host=exchange.host,
            path=exchange.path,
            query=exchange.query,
            request_headers=_headers(exchange.request_headers),
            request_body=exchange.request_body,
            status=exchange.status,
            response_headers=_headers(exchange.response_headers),
            response_body=exchange.response_body,
            request_id=exchange.request_id or "",
            duration_s=exchange.duration_s or 0.0,
            directive=exchange.directive,
            received_at=exchange.received_at,
            is_open=exchange.duration_s is None,
            operation=exchange.operation,
            endpoint=exchange.endpoint or "",
            state=states.get(exchange.request_id, ""),
        )
        for exchange in exchanges
    ]
    numbers = {id(item): exchange.number for item, exchange in zip(made, exchanges, strict=True)}
    deliveries = []
    if delivery is not None:
        attempts = tuple(Attempt(attempt.at, attempt.status) for attempt in delivery.attempts)
        is_forged = delivery.fault == "bad_signature"
        deliveries = [RecordedDelivery(delivery.request_id, delivery.url, attempts, delivery.json, is_forged)]
    fields = {name: _fields(model.input) for name, model in models.items() if model}
    in_order = sorted(made, key=lambda exchange: exchange.received_at)
    return Record(in_order, deliveries, fields, closest), numbers


def _fields(schema: Any) -> frozenset[str]:
    return frozenset(schema.get("properties", ())) if isinstance(schema, dict) else frozenset()


def _headers(headers: RawHeaders) -> list[tuple[str, str]]:
    return [(name.decode("latin-1"), header_text(value)) for name, value in headers]
