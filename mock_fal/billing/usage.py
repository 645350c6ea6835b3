"""Estimated cost: the charge of each stored request, and a ledger for requests that were removed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

from mock_fal.billing.prices import CURRENCY, NANO, price
from mock_fal.requests.lifecycle import Ending
from mock_fal.requests.outcome import RunnerResponse
from mock_fal.requests.queue import ModelRequest

_MINUTE_S: Final = 60
_DAY_S: Final = 86_400

# Above this number of per-minute counters, the ledger merges them into one per day. A counter takes some 300 bytes.
MAX_COUNTERS: Final = 20_000

# deviation: with more counters than this times as many, the oldest charges are no longer known by key.
MAX_GROWTH: Final = 4


class Charge(NamedTuple):
    """The charge for requests of one key to one endpoint that ended at `at`, or in the minute or day from then.

    An endpoint whose price is not known has charges too, with zero units.
    """

    tenant: str
    endpoint: str
    at: float
    requests: int
    units: float

    @property
    def nano_usd(self) -> int | None:
        """The cost in billionths of a dollar; None if the price is not known."""
        rate = price(self.endpoint)
        return None if rate is None else rate.nano_usd(self.units)


def charge(request: ModelRequest, now: float) -> Charge | None:
    """The charge of a request; None if it is not completed by `now`, or is not billed."""
    # fal: a 5xx and time in the queue are never billed; a 422 may be, if a runner worked before it found the error
    # (pricing documentation and FAQ, 2026).
    # assumption: which model errors are billed; none is, unless a directive says `billed=`.
    schedule, outcome = request.schedule, request.head
    if schedule.ends_at > now or schedule.ending is not Ending.RESPONDED:
        return None
    if not isinstance(outcome, RunnerResponse) or outcome.status >= 500:
        return None
    if outcome.status >= 400 and not outcome.billable_units:
        return None
    endpoint, units = str(request.endpoint), outcome.billable_units
    if price(endpoint) is None:
        # Zero units: free whatever the price is. None: not known.
        return None if units == 0 else Charge(request.tenant, endpoint, schedule.ends_at, 1, 0)
    return Charge(request.tenant, endpoint, schedule.ends_at, 1, units) if units else None


class Ledger:
    """The charges of requests that are no longer stored, counted by minute."""

    def __init__(self, max_counters: int = MAX_COUNTERS) -> None:
        self._max_counters = self._limit = max_counters
        self._counters: dict[tuple[str, str, int], tuple[int, float]] = {}

    def add(self, charge: Charge) -> None:
        """Add a charge."""
        self._count(charge, _MINUTE_S)
        if len(self._counters) > self._limit:
            self._merge(list(self))
            # Counters of different days, keys and endpoints can't be merged: raise the limit if there are many.
            self._limit = min(
                max(self._max_counters, 2 * len(self._counters)), MAX_GROWTH * self._max_counters
            )
        if len(self._counters) > self._limit:
            # The older half stays in the total, without its keys.
            charges = list(self)
            half = len(charges) // 2
            self._merge([*(old._replace(tenant="") for old in charges[:half]), *charges[half:]])

    def _merge(self, charges: list[Charge]) -> None:
        self._counters.clear()
        for charge in charges:
            self._count(charge, _DAY_S)

    def add_request(self, request: ModelRequest, now: float) -> None:
        """Add the charge of a request, if any."""
        if (cost := charge(request, now)) is not None:
            self.add(cost)

    def clear(self, tenant: str | None = None) -> None:
        """Remove the charges of one key, or of all keys."""
        self._counters = {
            key: counter for key, counter in self._counters.items() if tenant not in (None, key[0])
        }

    def __iter__(self) -> Iterator[Charge]:
        # A copy: the server may add charges while another thread iterates.
        for (tenant, endpoint, at), (requests, units) in list(self._counters.items()):
            yield Charge(tenant, endpoint, float(at), requests, units)

    def _count(self, charge: Charge, span_s: int) -> None:
        key = (charge.tenant, charge.endpoint, int(charge.at // span_s) * span_s)
        requests, units = self._counters.get(key, (0, 0))
        self._counters[key] = (requests + charge.requests, units + charge.units)


# deviation: every account starts with 100 USD, and its balance may become negative.
CREDITS_USD: Final = 100


def balance_usd(charges: Iterable[Charge]) -> float:
    """The balance of an account with these charges, in US dollars."""
    return round((CREDITS_USD - usage(charges).cost) * NANO) / NANO


class UsageItem(NamedTuple):
    """The usage of one endpoint. `cost` is in US dollars; unit, price and cost are None if the price is not known."""

    endpoint: str
    requests: int
    units: float
    unit: str | None
    unit_price: float | None
    cost: float | None


class Usage(NamedTuple):
    """The estimated cost of completed requests in US dollars, by endpoint.

    `cost` is that of the endpoints whose price is known.
    """

    cost: float
    items: tuple[UsageItem, ...]
    currency: str = CURRENCY

    @property
    def unpriced(self) -> int:
        """The number of requests whose price is not known."""
        return sum(item.requests for item in self.items if item.cost is None)


def usage(charges: Iterable[Charge]) -> Usage:
    """The sum of some charges: most expensive endpoint first, those without a known price last.

    >>> usage([Charge("ana", "fal-ai/flux/schnell", 0.0, 4, 4)]).cost
    0.012
    >>> usage([Charge("ana", "me/my-app", 0.0, 2, 0)]).unpriced
    2
    """
    sums: dict[str, tuple[int, float, int]] = {}
    for charge in charges:
        requests, units, nano = sums.get(charge.endpoint, (0, 0, 0))
        sums[charge.endpoint] = (
            requests + charge.requests,
            units + charge.units,
            nano + (charge.nano_usd or 0),
        )
    items = [_item(endpoint, *amounts) for endpoint, amounts in sums.items()]
    items.sort(key=lambda item: (item.cost is None, -(item.cost or 0), item.endpoint))
    return Usage(sum(nano for _, _, nano in sums.values()) / NANO, tuple(items))


def _item(endpoint: str, requests: int, units: float, nano: int) -> UsageItem:
    rate = price(endpoint)
    if rate is None:
        return UsageItem(endpoint, requests, units, None, None, None)
    return UsageItem(endpoint, requests, units, rate.unit, rate.unit_price, nano / NANO)
