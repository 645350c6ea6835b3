"""The budget of a check of the live service: the limit, what is reserved, and what was spent."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server.findings import NotTestable

# The endpoint under test: the cheapest image model that fal has.
ENDPOINT = "fal-ai/flux/schnell"

# fal: the price of one unit of it in USD, used where the Platform API gives no price (its model page, 2026-08).
FALLBACK_PRICE = 0.003

# Sums of prices are not exact; a thousandth of the smallest price makes no difference.
_TOLERANCE = 1e-6


@dataclass
class Budget:
    """Amounts in USD. A `limit` of None means that requests to the target cost nothing.

    The estimated cost of a request is reserved before it is sent; the response states the actual cost.
    """

    limit: float | None = None
    unit_price: float = FALLBACK_PRICE
    spent: float = 0.0
    _reserved: deque[float] = field(default_factory=deque)
    _billed: set[str] = field(default_factory=set)

    @property
    def is_limited(self) -> bool:
        """Whether requests cost money."""
        return self.limit is not None

    def reserve(self, units: int = 1) -> None:
        """Reserve the cost of a request before it is sent. Raises NotTestable when the budget does not suffice."""
        if self.limit is None:
            return
        cost = units * self.unit_price
        used = self.spent + sum(self._reserved)
        if used + cost > self.limit + _TOLERANCE:
            left = max(self.limit - used, 0.0)
            raise NotTestable(
                f"costs about ${cost:.3f}; ${left:.3f} of the budget of ${self.limit:.3f} is left; raise --budget"
            )
        self._reserved.append(cost)

    def release(self) -> None:
        """Give back the latest reservation: the request will not be billed."""
        if self._reserved:
            self._reserved.pop()

    def record(self, exchange: Exchange) -> None:
        """Record the cost that a response states: a request's first one replaces its reservation."""
        units = exchange.response_header("x-fal-billable-units")
        if self.limit is None or units is None or exchange.request_id in self._billed:
            return
        self._billed.add(exchange.request_id)
        try:
            cost = float(units) * self.unit_price
        except ValueError:
            return  # the reservation stays
        if cost and self._reserved:
            self._reserved.popleft()
        self.spent += cost
