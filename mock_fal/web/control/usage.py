"""`/_mock/usage`: the estimated cost by endpoint and by day, and what is left of an account's credits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.billing.prices import NANO
from mock_fal.billing.usage import CREDITS_USD, Charge, balance_usd, charge
from mock_fal.billing.usage import usage as used
from mock_fal.clock import date
from mock_fal.web.control.wire import emulator, query, response, slices
from mock_fal.web.renderer import Renderer

# The requests that are charged between two looks at the time.
_SLICE: Final = 20


async def usage(request: Request) -> Response:
    mock, key = emulator(request), query(request, "key").get("key")
    charges: list[Charge] = []
    now = mock.clock.now()
    async for stored in slices(list(mock.store.requests.values()), _SLICE):
        if key in (None, stored.tenant) and (item := charge(stored, now)) is not None:
            charges.append(item)
    async for item in slices(mock.store.ledger, _SLICE):
        if key in (None, item.tenant):
            charges.append(item)
    renderer: Renderer = request.app.state.renderer
    total = await renderer.in_thread(used, charges)
    return response(
        {
            "cost": total.cost,
            "currency": total.currency,
            "unpriced": total.unpriced,
            "items": [item._asdict() for item in total.items],
            "days": await _days(charges),
            "credits": CREDITS_USD,
            "balance": None if key is None else balance_usd(charges),
        }
    )


async def _days(charges: Iterable[Charge]) -> list[dict[str, Any]]:
    """The sum of each day."""
    sums: dict[str, tuple[int, int]] = {}
    async for item in slices(charges, _SLICE):
        day = date(item.at).date().isoformat()
        requests, nano = sums.get(day, (0, 0))
        sums[day] = requests + item.requests, nano + (item.nano_usd or 0)
    return [
        {"day": day, "requests": requests, "cost": nano / NANO}
        for day, (requests, nano) in sorted(sums.items())
    ]
