"""What a check of the live service may cost, and has cost."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.server.findings import NotNow

# What is asked for: the cheapest picture that fal has.
ENDPOINT = "fal-ai/flux/schnell"

# fal: what one unit of it costs in USD, where the Platform API doesn't tell (its model page, 2026-08).
FALLBACK_PRICE = 0.003

# Sums of prices are not exact; a thousandth of the smallest price makes no difference.
_SLACK = 1e-6


@dataclass
class Budget:
    """Dollars. A `limit` of None is a target that costs nothing.

    A call is reserved with what it will probably cost before it is made, and counted with what the answer says.
    """

    limit: float | None = None
    unit_price: float = FALLBACK_PRICE
    spent: float = 0.0
    _reserved: deque[float] = field(default_factory=deque)
    _billed: set[str] = field(default_factory=set)

    @property
    def is_counted(self) -> bool:
        """Whether calls cost money."""
        return self.limit is not None

    def reserve(self, units: int = 1) -> None:
        """Before a call that will cost so many units; raises NotNow when that would be too much."""
        if self.limit is None:
            return
        cost = units * self.unit_price
        used = self.spent + sum(self._reserved)
        if used + cost > self.limit + _SLACK:
            left = max(self.limit - used, 0.0)
            raise NotNow(
                f"costs about ${cost:.3f}; ${left:.3f} of the budget of ${self.limit:.3f} is left; raise --budget"
            )
        self._reserved.append(cost)

    def count(self, exchange: Exchange) -> None:
        """The answer to a call: the first that tells a request's units settles what was reserved for it."""
        units = exchange.response_header("x-fal-billable-units")
        if self.limit is None or units is None or exchange.request_id in self._billed:
            return
        self._billed.add(exchange.request_id)
        try:
            cost = float(units) * self.unit_price
        except ValueError:
            return  # the reserved sum stands
        if cost and self._reserved:
            self._reserved.popleft()
        self.spent += cost
