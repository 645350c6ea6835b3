"""Platform API: the organization of an account, which has this account as its one team, and the FOCUS report."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from datetime import timedelta
from io import StringIO
from typing import Final

from mock_fal.billing.prices import CURRENCY
from mock_fal.billing.usage import Charge
from mock_fal.billing.usage import usage as priced
from mock_fal.clock import date
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.platform.usage import AUTH, Buckets, auth, time_series
from mock_fal.web.platform.wire import Invalid, Query, timestamp

_PRODUCTS: Final = ("model_apis", "serverless", "compute")
_MONTH: Final = re.compile(r"\d{4}-(0[1-9]|1[0-2])")
_DAY: Final = timedelta(days=1)


def usage(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /organization/usage`: usage of all teams as a time series, a summary, or both."""
    # deviation: every account is an organization with one team; fal sends 403 to one that is none.
    query = Query(http_request)
    page = query.page(default=10_000, most=10_000)
    expand = query.listed("expand", ("time_series", "summary", *AUTH)) or ["time_series"]
    products = query.listed("product", _PRODUCTS) or list(_PRODUCTS)
    teams, endpoints = query.ids("team_username"), query.ids("endpoint_id")
    account = http_request.account
    buckets = Buckets(query, emulator.clock.now())
    is_selected = "model_apis" in products and (not teams or account in teams)
    charges = [
        charge
        for charge in (emulator.charges(account) if is_selected else ())
        if buckets.contains(charge.at) and (not endpoints or charge.endpoint in endpoints)
    ]

    def rows(charges: Iterable[Charge]) -> list[JSON]:
        return [
            {
                "username": account,
                "product": "model_apis",
                "endpoint_id": item.endpoint,
                "unit": item.unit,
                "quantity": item.units,
                "unit_price": item.unit_price,
                "cost": item.cost,
                "currency": CURRENCY,
            }
            | auth(account, expand)
            for item in priced(charges).items
            if item.cost is not None
        ]

    return time_series(buckets.grouped(charges, lambda charge: charge.at), charges, rows, expand, page)


def teams(emulator: Emulator, http_request: HttpRequest) -> JSON:
    """`GET /organization/teams`: the one team of the organization, which is the account."""
    # assumption: the names of the members; documented are user names, display names and which team is the root.
    account = http_request.account
    return {"teams": [{"username": account, "display_name": account, "is_org_root": True}]}


# -- the FOCUS report

# fal: a report in the FinOps FOCUS format (Platform API specification, 2026-10); the columns are those that FOCUS 1.0
# demands of every row. assumption: which of the optional columns fal has.
_COLUMNS: Final = (
    "BillingAccountId",
    "BillingAccountName",
    "BillingCurrency",
    "BillingPeriodStart",
    "BillingPeriodEnd",
    "ChargeCategory",
    "ChargeClass",
    "ChargeDescription",
    "ChargePeriodStart",
    "ChargePeriodEnd",
    "BilledCost",
    "EffectiveCost",
    "ListCost",
    "ContractedCost",
    "ConsumedQuantity",
    "ConsumedUnit",
    "PricingQuantity",
    "PricingUnit",
    "ListUnitPrice",
    "ProviderName",
    "PublisherName",
    "InvoiceIssuerName",
    "ServiceCategory",
    "ServiceName",
    "ResourceId",
    "SkuId",
)


def focus(emulator: Emulator, http_request: HttpRequest) -> wire.Reply:
    """`GET /account/focus`: the charges of a period as CSV in the FOCUS format."""
    query = Query(http_request)
    source = query.text("source")
    if source not in ("invoice", "estimate"):
        raise Invalid("source", source, "invoice or estimate")
    query.listed("expand", ("organization",))
    for name in ("billing_month", "charge_month"):
        month = query.text(name)
        if month is not None and not _MONTH.fullmatch(month):
            raise Invalid(name, month, "a month such as 2026-11")
    now = emulator.clock.now()
    buckets = Buckets(query, now)
    # deviation: there are no invoices: that of a month has the charges of the month so far.
    month = query.text("charge_month") or query.text("billing_month") or date(now).strftime("%Y-%m")
    charges = [
        charge
        for charge in emulator.charges(http_request.account)
        if (
            buckets.contains(charge.at)
            if source == "estimate"
            else date(charge.at).strftime("%Y-%m") == month
        )
    ]
    text = StringIO()
    writer = csv.DictWriter(text, _COLUMNS, lineterminator="\r\n")
    writer.writeheader()
    days: dict[str, list[Charge]] = {}
    for charge in sorted(charges, key=lambda charge: charge.at):
        days.setdefault(date(charge.at).strftime("%Y-%m-%d"), []).append(charge)
    for day in days.values():
        for row in _rows(day, http_request.account):
            writer.writerow(row)
    headers = [(b"content-disposition", f'attachment; filename="focus-{source}.csv"'.encode())]
    reply = wire.text(200, text.getvalue())
    reply.raw_headers = [
        *((name, value) for name, value in reply.raw_headers if name != b"content-type"),
        (b"content-type", b"text/csv; charset=utf-8"),
        *headers,
    ]
    return reply


def _rows(charges: list[Charge], account: str) -> Iterable[dict[str, JSON]]:
    """The rows of the charges of one day."""
    start = date(charges[0].at).replace(hour=0, minute=0, second=0, microsecond=0)
    month = start.replace(day=1)
    following = (month + timedelta(days=32)).replace(day=1)
    for item in priced(charges).items:
        if item.cost is None:
            continue
        yield {
            "BillingAccountId": account,
            "BillingAccountName": account,
            "BillingCurrency": CURRENCY,
            "BillingPeriodStart": timestamp(month.timestamp()),
            "BillingPeriodEnd": timestamp(following.timestamp()),
            "ChargeCategory": "Usage",
            "ChargeClass": "",
            "ChargeDescription": f"{item.endpoint} ({item.unit})",
            "ChargePeriodStart": timestamp(start.timestamp()),
            "ChargePeriodEnd": timestamp((start + _DAY).timestamp()),
            "BilledCost": item.cost,
            "EffectiveCost": item.cost,
            "ListCost": item.cost,
            "ContractedCost": item.cost,
            "ConsumedQuantity": item.units,
            "ConsumedUnit": item.unit,
            "PricingQuantity": item.units,
            "PricingUnit": item.unit,
            "ListUnitPrice": item.unit_price,
            "ProviderName": "fal",
            "PublisherName": "fal",
            "InvoiceIssuerName": "fal",
            "ServiceCategory": "AI and Machine Learning",
            "ServiceName": "Model APIs",
            "ResourceId": item.endpoint,
            "SkuId": item.endpoint,
        }
