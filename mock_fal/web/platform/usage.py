"""The Platform API about money: what was used, bucket by bucket of time, and what each request cost."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Final, TypeVar

from mock_fal.billing.prices import CURRENCY, price
from mock_fal.billing.usage import Charge, charge, usage
from mock_fal.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.requests.queue import ModelRequest
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.wire import Invalid, Query, moment, paged

T = TypeVar("T")

# fal: how many records a page has at most, and how many days a question may span (specification, 2026-08).
_MOST: Final = 10_000
_LONGEST: Final = timedelta(days=90)

_DAY: Final = timedelta(days=1)
_AUTH: Final = ("auth_method", "auth_method_structured")

# fal: the timeframe that follows from the range is the first whose limit is longer (specification, 2026-08).
_TIMEFRAMES: Final = {
    "minute": timedelta(hours=2),
    "hour": timedelta(days=2),
    "day": timedelta(days=64),
    "week": timedelta(days=183),
    "month": timedelta.max,
}


def usage_of(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/usage`: what was used, by bucket, as a whole, or both."""
    query = Query(http_request)
    page = query.page(default=_MOST, most=_MOST)
    expand = query.listed("expand", ("time_series", "summary", *_AUTH)) or ["time_series"]
    buckets = Buckets(query, emulator.clock.now())
    endpoints = query.ids("endpoint_id")
    asked_for = _asks_for(http_request.account, query)
    charges = [
        each
        for each in emulator.charges(http_request.account)
        if asked_for and buckets.hold(each.at) and (not endpoints or each.endpoint in endpoints)
    ]

    def rows(some: Iterable[Charge]) -> list[JSON]:
        return [_row(item) | _auth(http_request.account, expand) for item in usage(some).items]

    return time_series(buckets.sorted(charges, lambda each: each.at), charges, rows, expand, page)


def billing_events(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /models/billing-events`: what each request cost, latest first."""
    query = Query(http_request)
    page = query.page(default=50, most=_MOST)
    expand = query.listed("expand", _AUTH)
    now = emulator.clock.now()
    since, until = query.period(now, back=_DAY)
    if until - since > _LONGEST:
        raise Invalid("start", query.text("start"), "a moment at most 90 days before end")
    endpoints, requests = query.ids("endpoint_id"), query.ids("request_id")
    asked_for = _asks_for(http_request.account, query)
    # deviation: requests that were forgotten to keep to `retention` are in the usage only.
    events = [
        (request, cost)
        for request in emulator.store.requests.values()
        if asked_for
        and request.tenant == http_request.account
        and (cost := charge(request, now)) is not None
        and since.timestamp() <= cost.at < until.timestamp()
        and (not endpoints or cost.endpoint in endpoints)
        and (not requests or request.id in requests)
    ]
    events.sort(key=lambda event: (event[1].at, event[0].submission.number), reverse=True)
    # fal: a cursor here is a moment in base64 (specification's example, 2026-08).
    # deviation: the cursor of billing events is a page's number, as everywhere else; no client is to read it.
    return paged(
        "billing_events", [_event(*event) | _auth(http_request.account, expand) for event in events], page
    )


class Buckets:
    """A period, cut into minutes, hours, days, weeks or months of a time zone."""

    def __init__(self, query: Query, now: float) -> None:
        self._zone = query.zone()
        self._since, self._until = query.period(now, back=_DAY, zone=self._zone)
        span = self._until - self._since
        fitting = next(name for name, longer in _TIMEFRAMES.items() if span < longer)
        self._frame = query.choice("timeframe", tuple(_TIMEFRAMES), fitting)
        if query.choice("bound_to_timeframe", ("true", "false"), "true") == "true":
            self._since = self._begin(self._since)
            if self._begin(self._until) != self._until:
                self._until = self._after(self._until)

    def hold(self, at: float) -> bool:
        """Whether a moment belongs to the period."""
        return self._since.timestamp() <= at < self._until.timestamp()

    def sorted(self, things: Iterable[T], at: Callable[[T], float]) -> list[tuple[str, list[T]]]:
        """Things by bucket, oldest first; `at` tells the moment of one."""
        # assumption: that buckets in which nothing was used are left out.
        sorted_: dict[datetime, list[T]] = {}
        for thing in sorted(things, key=at):
            sorted_.setdefault(self._begin(datetime.fromtimestamp(at(thing), self._zone)), []).append(thing)
        return [(begin.isoformat(), some) for begin, some in sorted_.items()]

    def _begin(self, at: datetime) -> datetime:
        minute = at.replace(second=0, microsecond=0)
        if self._frame == "minute":
            return minute
        if self._frame == "hour":
            return minute.replace(minute=0)
        day = minute.replace(hour=0, minute=0)
        if self._frame == "day":
            return day
        # assumption: that weeks begin on Mondays.
        return day - timedelta(days=day.weekday()) if self._frame == "week" else day.replace(day=1)

    def _after(self, at: datetime) -> datetime:
        longest = {"minute": timedelta(minutes=1), "hour": timedelta(hours=1), "day": _DAY}
        begin = self._begin(at)
        if self._frame == "month":
            return self._begin(begin + timedelta(days=32))
        return begin + longest.get(self._frame, timedelta(days=7))


def time_series(
    buckets: list[tuple[str, list[T]]],
    things: list[T],
    rows: Callable[[list[T]], list[JSON]],
    expand: list[str],
    page: Any,
) -> JSON:
    """An answer by bucket, as a whole, or both. Raises Invalid when neither is asked for."""
    if not {"time_series", "summary"} & set(expand):
        raise Invalid("expand", ",".join(expand), "time_series, summary or both among them")
    series = [{"bucket": bucket, "results": rows(some)} for bucket, some in buckets]
    body = paged("time_series", series, page)
    if "time_series" not in expand:
        body = {"next_cursor": None, "has_more": False}
    return body | ({"summary": rows(things)} if "summary" in expand else {})


def _asks_for(account: str, query: Query) -> bool:
    """Whether the filters by who asked let this key through. Nobody logs in here."""
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


def _event(request: ModelRequest, its: Charge) -> dict[str, JSON]:
    cost = its.nano_usd / 1e9
    return {
        "request_id": request.id,
        "endpoint_id": its.endpoint,
        "timestamp": moment(its.at),
        "output_units": its.units,
        "unit_price": price(its.endpoint).unit_price,
        "percent_discount": None,
        "cost_subtotal": cost,
        "cost_discount": 0,
        "cost_total": cost,
        "cost_estimate_nano_usd": its.nano_usd,
    }


def _auth(account: str, expand: list[str]) -> dict[str, JSON]:
    return {
        name: value
        for name, value in (
            ("auth_method", account),
            ("auth_method_structured", {"detail": account, "api_key_id": account}),
        )
        if name in expand
    }
