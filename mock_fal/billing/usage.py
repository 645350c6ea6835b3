"""What requests cost, or would have: a function of each request, and of counters for those that are forgotten."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from mock_fal.billing.prices import CURRENCY, NANO, price
from mock_fal.requests.lifecycle import Ending
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest

_MINUTE_S: Final = 60
_DAY_S: Final = 86_400

# How many counters of minutes are kept apart; beyond, those of a day become one.
MAX_COUNTERS: Final = 50_000


class Charge(NamedTuple):
    """Requests of one key to one endpoint that ended at one moment, or in the minute that began then."""

    tenant: str
    endpoint: str
    at: float
    requests: int
    units: float

    @property
    def nano_usd(self) -> int:
        return price(self.endpoint).nano_usd(self.units)


def charge(request: ModelRequest, now: float) -> Charge | None:
    """What a request has cost by `now`; None for nothing: it is not over, or nobody pays for how it ended."""
    # fal: only successful outputs are paid for, never an error or the time in the queue (pricing documentation, 2026).
    its, outcome = request.schedule, request.outcome
    if its.ends_at > now or its.ending is not Ending.ANSWERED:
        return None
    if not isinstance(outcome, RunnerResponse) or outcome.status >= 400 or not outcome.billable_units:
        return None
    return Charge(request.tenant, str(request.endpoint), its.ends_at, 1, outcome.billable_units)


class Ledger:
    """The charges of requests that are remembered no longer, by the minute."""

    def __init__(self, max_counters: int = MAX_COUNTERS) -> None:
        self._max_counters = max_counters
        self._counters: dict[tuple[str, str, int], tuple[int, float]] = {}

    def add(self, charge: Charge) -> None:
        """Count a request that is about to be forgotten."""
        self._count(charge, _MINUTE_S)
        if len(self._counters) > self._max_counters:
            charges = list(self)
            self._counters.clear()
            for each in charges:
                self._count(each, _DAY_S)
            # Those of different days, keys and endpoints can't be put together: there is room for them.
            self._max_counters = max(self._max_counters, 2 * len(self._counters))

    def wait_for_deliveries(self, request: ModelRequest, now: float) -> None:
        """Keep what a request has cost that is about to be forgotten."""
        if (cost := charge(request, now)) is not None:
            self.add(cost)

    def clear(self, tenant: str | None = None) -> None:
        """Forget one key's charges, or all."""
        self._counters = {
            key: counter for key, counter in self._counters.items() if tenant not in (None, key[0])
        }

    def __iter__(self) -> Iterator[Charge]:
        # A copy: another thread may read while the server counts.
        for (tenant, endpoint, at), (requests, units) in list(self._counters.items()):
            yield Charge(tenant, endpoint, float(at), requests, units)

    def _count(self, charge: Charge, span_s: int) -> None:
        key = (charge.tenant, charge.endpoint, int(charge.at // span_s) * span_s)
        requests, units = self._counters.get(key, (0, 0))
        self._counters[key] = (requests + charge.requests, units + charge.units)


class UsageItem(NamedTuple):
    """One endpoint's part of the bill. `cost` is in US dollars."""

    endpoint: str
    requests: int
    units: float
    unit: str
    unit_price: float
    cost: float


class Usage(NamedTuple):
    """What the requests that have been completed would have cost, in US dollars, and for what."""

    cost: float
    items: tuple[UsageItem, ...]
    currency: str = CURRENCY


def usage(charges: Iterable[Charge]) -> Usage:
    """The bill for some charges, dearest endpoint first.

    >>> usage([Charge("ana", "fal-ai/flux/schnell", 0.0, 4, 4)]).cost
    0.012
    """
    sums: dict[str, tuple[int, float, int]] = {}
    for each in charges:
        requests, units, nano = sums.get(each.endpoint, (0, 0, 0))
        sums[each.endpoint] = (requests + each.requests, units + each.units, nano + each.nano_usd)
    items = [
        UsageItem(endpoint, requests, units, price(endpoint).unit, price(endpoint).unit_price, nano / NANO)
        for endpoint, (requests, units, nano) in sums.items()
    ]
    items.sort(key=lambda item: (-item.cost, item.endpoint))
    return Usage(sum(nano for _, _, nano in sums.values()) / NANO, tuple(items))
