"""Platform API: usage by time bucket, and billing events."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from mock_fal.billing.prices import CURRENCY, NANO, Price, price
from mock_fal.billing.usage import Charge, charge, usage
from mock_fal.clock import date
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.requests.queue import ModelRequest
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, Query, paged, timestamp

T = TypeVar("T")

# fal: the largest page, and the longest period of a query (specification, 2026-08).
_MAX_PAGE: Final = 10_000
_MAX_PERIOD: Final = timedelta(days=90)

_DAY: Final = timedelta(days=1)
AUTH: Final = ("auth_method", "auth_method_structured")

# fal: the default timeframe is the first one whose limit exceeds the period (specification, 2026-08).
_TIMEFRAMES: Final = {
    "minute": timedelta(hours=2),
    "hour": timedelta(days=2),
    "day": timedelta(days=64),
    "week": timedelta(days=183),
    "month": timedelta.max,
}


def usage_of(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/usage`: usage as a time series, a summary, or both."""
    query = Query(http_request)
    page = query.page(default=_MAX_PAGE, most=_MAX_PAGE)
    expand = query.listed("expand", ("time_series", "summary", *AUTH)) or ["time_series"]
    buckets = Buckets(query, emulator.clock.now())
    endpoints = query.ids("endpoint_id")
    is_selected = _selects(http_request.account, query)
    charges = [
        charge
        for charge in emulator.charges(http_request.account)
        if is_selected and buckets.contains(charge.at) and (not endpoints or charge.endpoint in endpoints)
    ]

    def rows(charges: Iterable[Charge]) -> list[JSON]:
        # deviation: the usage and the billing events are those of endpoints whose price is known.
        items = [item for item in usage(charges).items if item.cost is not None]
        return [_row(item) | auth(http_request.account, expand) for item in items]

    return time_series(buckets.grouped(charges, lambda charge: charge.at), charges, rows, expand, page)


def billing_events(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/billing-events`: the cost of each request, latest first."""
    query = Query(http_request)
    page = query.page(default=50, most=_MAX_PAGE)
    expand = query.listed("expand", AUTH)
    now = emulator.clock.now()
    since, until = query.period(now, back=_DAY)
    if until - since > _MAX_PERIOD:
        raise Invalid("start", query.text("start"), "a moment at most 90 days before end")
    endpoints, requests = query.ids("endpoint_id"), query.ids("request_id")
    is_selected = _selects(http_request.account, query)
    # deviation: requests that were removed because of `retention` are in the usage, but have no billing events.
    events = [
        (request, cost, rate)
        for request in emulator.store.requests.values()
        if is_selected
        and request.tenant == http_request.account
        and (cost := charge(request, now)) is not None
        and (rate := price(cost.endpoint)) is not None
        and since.timestamp() <= cost.at < until.timestamp()
        and (not endpoints or cost.endpoint in endpoints)
        and (not requests or request.id in requests)
    ]
    events.sort(key=lambda event: (event[1].at, event[0].submission.number), reverse=True)
    # fal: a cursor of billing events is a timestamp in base64 (specification's example, 2026-08).
    # deviation: the cursor of billing events is a page number, as in other lists; clients treat it as opaque.
    return paged(
        "billing_events", [_event(*event) | auth(http_request.account, expand) for event in events], page
    )


class Buckets:
    """A period divided into minutes, hours, days, weeks or months of a time zone."""

    def __init__(self, query: Query, now: float) -> None:
        self._zone = query.zone()
        self._since, self._until = query.period(now, back=_DAY, zone=self._zone)
        span = self._until - self._since
        default = next(name for name, limit in _TIMEFRAMES.items() if span < limit)
        self._frame = query.choice("timeframe", tuple(_TIMEFRAMES), default)
        if query.choice("bound_to_timeframe", ("true", "false"), "true") == "true":
            self._since = self._begin(self._since)
            if self._begin(self._until) != self._until:
                self._until = self._after(self._until)

    def contains(self, at: float) -> bool:
        """Whether a time is in the period."""
        return self._since.timestamp() <= at < self._until.timestamp()

    def grouped(self, items: Iterable[T], at: Callable[[T], float]) -> list[tuple[str, list[T]]]:
        """Items by bucket, oldest first; `at` returns the time of an item."""
        # assumption: buckets without usage are left out.
        groups: dict[datetime, list[T]] = {}
        for item in sorted(items, key=at):
            groups.setdefault(self._begin(date(at(item), self._zone)), []).append(item)
        return [(begin.isoformat(), group) for begin, group in groups.items()]

    def _begin(self, at: datetime) -> datetime:
        minute = at.replace(second=0, microsecond=0)
        if self._frame == "minute":
            return minute
        if self._frame == "hour":
            return minute.replace(minute=0)
        day = minute.replace(hour=0, minute=0)
        if self._frame == "day":
            return day
        # assumption: weeks begin on Monday.
        return day - timedelta(days=day.weekday()) if self._frame == "week" else day.replace(day=1)

    def _after(self, at: datetime) -> datetime:
        lengths = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": _DAY}
        begin = self._begin(at)
        if self._frame == "month":
            return self._begin(begin + timedelta(days=32))
        return begin + lengths.get(self._frame, timedelta(days=7))


def time_series(
    buckets: list[tuple[str, list[T]]],
    items: list[T],
    rows: Callable[[list[T]], list[JSON]],
    expand: list[str],
    page: Any,
) -> JSON:
    """A time series, a summary, or both. Raises Invalid if neither is requested."""
    if not {"time_series", "summary"} & set(expand):
        raise Invalid("expand", ",".join(expand), "time_series, summary or both among them")
    series = [{"bucket": bucket, "results": rows(group)} for bucket, group in buckets]
    body = paged("time_series", series, page)
    if "time_series" not in expand:
        body = {"next_cursor": None, "has_more": False}
    return body | ({"summary": rows(items)} if "summary" in expand else {})


def _selects(account: str, query: Query) -> bool:
    """Whether the key and login filters select this account. No request has a login."""
    keys, logins = query.ids("api_key_id"), query.ids("login_username")
    return (not keys or account in keys) and not logins


def _row(item: Any) -> dict[str, JSON]:
    return {
        "endpoint_id": item.endpoint,
        "unit": item.unit,
        "quantity": item.units,
        "unit_price": item.unit_price,
        "percent_discount": None,
        "cost_subtotal": item.cost,
        "cost_discount": 0,
        "cost_total": item.cost,
        "cost": item.cost,
        "currency": CURRENCY,
    }


def _event(request: ModelRequest, charge: Charge, rate: Price) -> dict[str, JSON]:
    nano_usd = rate.nano_usd(charge.units)
    cost = nano_usd / NANO
    return {
        "request_id": request.id,
        "endpoint_id": charge.endpoint,
        "timestamp": timestamp(charge.at),
        "output_units": charge.units,
        "unit_price": rate.unit_price,
        "percent_discount": None,
        "cost_subtotal": cost,
        "cost_discount": 0,
        "cost_total": cost,
        "cost_estimate_nano_usd": nano_usd,
    }


def auth(account: str, expand: list[str]) -> dict[str, JSON]:
    return {
        name: value
        for name, value in (
            ("auth_method", account),
            ("auth_method_structured", {"detail": account, "api_key_id": account}),
        )
        if name in expand
    }
