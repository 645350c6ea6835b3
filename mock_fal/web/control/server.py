"""`/_mock/keys` and `/_mock/connections`: who uses the server, and what its gateway did with connections."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.web.control.wire import emulator, query, response, slices

# The calls, exchanges and connections that are counted between two looks at the time.
_SLICE: Final = 50

# Keys and endpoints that are listed.
_MAX_LISTED: Final = 1000


async def keys(request: Request) -> Response:
    query(request)
    mock = emulator(request)
    calls: Counter[str] = Counter()
    endpoints: Counter[str] = Counter()
    async for stored in slices(list(mock.store.requests.values()), _SLICE):
        calls[stored.tenant] += 1
        endpoints[str(stored.endpoint)] += 1
    exchanges = Counter([exchange.tenant async for exchange in slices(mock.store.exchanges, _SLICE)])
    rules = {
        tenant.name: len(tenant.scenario.rules)
        async for tenant in slices(mock.store.tenants, _SLICE)
        if tenant.has_rules
    }
    names = sorted({*calls, *exchanges, *rules}, key=lambda name: (-calls[name], name))
    return response(
        {
            "keys": [
                {"key": name, "calls": calls[name], "exchanges": exchanges[name], "rules": rules.get(name, 0)}
                for name in names[:_MAX_LISTED]
            ],
            "endpoints": [
                {"endpoint": name, "calls": count} for name, count in endpoints.most_common(_MAX_LISTED)
            ],
        }
    )


async def connections(request: Request) -> Response:
    query(request)
    read: Callable[[], Sequence[Any]] = request.app.state.connections
    counts: Counter[tuple[str, str, int, str, str]] = Counter()
    async for event in slices(list(reversed(read())), _SLICE):
        counts[event.kind, event.host, event.port, event.reason, event.advice] += 1
    return response(
        {
            "connections": [
                {
                    "decision": decision,
                    "host": host,
                    "port": port,
                    "count": count,
                    "reason": reason or None,
                    "advice": advice or None,
                }
                for (decision, host, port, reason, advice), count in list(counts.items())[:_MAX_LISTED]
            ]
        }
    )
