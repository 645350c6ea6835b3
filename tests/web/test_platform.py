"""api.fal.ai: models, prices, usage, requests and files."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mock_fal.billing.prices import PRICES
from mock_fal.models import openapi
from mock_fal.models.catalog import Catalog
from mock_fal.web.platform.api import _ROUTES
from tests.web.conftest import DEV, MEDIA, OURS, QUEUE_S, RUN, RUN_S, SCHNELL, Fal, Serve, open_fal

API = "https://api.fal.ai/v1"
IDS = list(Catalog().ids())
TOO_MANY_IDS = ",".join(f"a/{number}" for number in range(51))
UNKNOWN_ID = "00000000-0000-4000-8000-000000000000"


def get(fal: Fal, path: str, **options: Any) -> Any:
    response = fal.request("GET", f"{API}/{path}", **options)
    assert response.status_code == 200, response.text
    return response.json()


def post(fal: Fal, path: str, body: object) -> httpx.Response:
    return fal.request("POST", f"{API}/{path}", body=json.dumps(body).encode())


def error_of(response: httpx.Response) -> tuple[int, str, str]:
    [(envelope, error)] = response.json().items()
    assert (envelope, list(error)) == ("error", ["type", "message"])
    return response.status_code, error["type"], error["message"]


def iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")


# -- authentication


PRIVATE = [
    "models/pricing",
    "models/usage",
    "models/analytics",
    "models/billing-events",
    "models/requests/by-endpoint",
    "account/billing",
    "storage/files/acl",
    "serverless/apps/fal-ai/flux/queue",
]


@pytest.mark.parametrize("path", PRIVATE)
def test_most_operations_need_a_key(fal: Fal, path: str) -> None:
    error = error_of(fal.request("GET", f"{API}/{path}", key=None))
    assert error == (401, "authorization_error", "API key authentication required")


@pytest.mark.parametrize("authorization", ["Key no-secret", "Bearer abc", "Basic abc"])
def test_an_invalid_key_is_rejected_even_if_no_key_is_needed(fal: Fal, authorization: str) -> None:
    response = fal.request("GET", f"{API}/models", key=None, headers={"authorization": authorization})
    assert error_of(response)[:2] == (401, "authorization_error")


def test_an_unknown_key_is_rejected(serve: Serve) -> None:
    fal = serve(key=("alice:secret",))
    assert get(fal, f"models/pricing?endpoint_id={DEV}")["has_more"] is False
    assert fal.request("GET", f"{API}/models/pricing?endpoint_id={DEV}", key="bob:x").status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "reason"),
    [
        ("POST", "models", ""),
        ("GET", "", ""),
        ("GET", "assets/a/lineage", ": the form of hierarchies and lineages is not known"),
        ("GET", "assets/collections/a/hierarchy", ": the form of hierarchies and lineages is not known"),
        ("GET", "compute/clusters", ": compute/instances is emulated"),
        ("GET", "serverless/files/list", ": it runs no apps of yours"),
        ("GET", "organization/members", ": organization/teams and organization/usage are emulated"),
        ("GET", "account/model-access-controls", ": it blocks no models"),
    ],
)
def test_an_operation_that_is_not_emulated_gets_a_501_with_the_reason(
    fal: Fal, method: str, path: str, reason: str
) -> None:
    status, kind, message = error_of(fal.request(method, f"{API}/{path}"))
    assert (status, kind) == (501, "not_implemented")
    assert f"{method} https://api.fal.ai/v1/{path}{reason}" in message


def test_the_platform_api_is_available_by_path_too(fal: Fal) -> None:
    assert fal.request("GET", f"{OURS}/api.fal.ai/v1/meta").status_code == 200


def test_platform_requests_are_recorded(fal: Fal) -> None:
    get(fal, "models/usage")
    assert [(exchange.tenant, exchange.url) for exchange in fal.journal] == [("alice", f"{API}/models/usage")]


# -- models


def test_models_are_listed_in_pages(fal: Fal) -> None:
    listed = get(fal, "models", key=None)
    assert list(listed) == ["models", "next_cursor", "has_more"]
    assert [model["endpoint_id"] for model in listed["models"]] == IDS[:50]
    assert (listed["next_cursor"], listed["has_more"]) == ("Mg==", True)


def test_a_model_has_the_fields_of_the_specification(fal: Fal) -> None:
    [model] = get(fal, f"models?endpoint_id={SCHNELL}", key=None)["models"]
    assert list(model) == ["endpoint_id", "metadata"]
    assert model["metadata"] == {
        "display_name": "FLUX.1 [schnell]",
        "category": "text-to-image",
        "description": "Pictures from text in one to four steps.",
        "status": "active",
        "tags": ["turbo"],
        "updated_at": "2024-08-01T00:00:00Z",
        "is_favorited": None,
        "thumbnail_url": model["metadata"]["thumbnail_url"],
        "model_url": "https://fal.run/fal-ai/flux/schnell",
        "date": "2024-08-01T00:00:00Z",
        "group": {"key": "flux-1", "label": "FLUX.1"},
        "highlighted": False,
        "kind": "inference",
        "stream_url": "https://fal.run/fal-ai/flux/schnell/stream",
        "pinned": False,
    }


def test_with_a_key_a_model_is_not_a_favorite(fal: Fal) -> None:
    [model] = get(fal, f"models?endpoint_id={SCHNELL}")["models"]
    assert model["metadata"]["is_favorited"] is False


@pytest.mark.parametrize(
    "query", [f"{SCHNELL},{DEV}", f"{SCHNELL}&endpoint_id={DEV}", f"{SCHNELL},{DEV},{DEV}"]
)
def test_model_ids_are_separated_by_commas_or_repeated(fal: Fal, query: str) -> None:
    named = get(fal, f"models?endpoint_id={query}")["models"]
    assert [model["endpoint_id"] for model in named] == [SCHNELL, DEV]


def test_pages_are_consecutive(fal: Fal) -> None:
    endpoints: list[str] = []
    cursor, more = "", True
    while more:
        part = get(fal, f"models?limit=100{cursor}")
        endpoints += [model["endpoint_id"] for model in part["models"]]
        cursor, more = f"&cursor={part['next_cursor']}", part["has_more"]
    assert endpoints == IDS


def test_a_cursor_is_a_page_number_in_base64(fal: Fal) -> None:
    assert get(fal, "models?limit=1")["next_cursor"] == "Mg=="
    assert get(fal, "models?limit=1&cursor=Mg==")["models"][0]["endpoint_id"] == IDS[1]


def test_models_are_searched_by_text_category_and_status(fal: Fal) -> None:
    def search(query: str) -> list[str]:
        return [model["endpoint_id"] for model in get(fal, f"models?{query}")["models"]]

    assert search("q=SCHNELL+turbo&category=image-to-image") == ["fal-ai/flux/schnell/redux"]
    assert search("q=unheard-of") == []
    assert search("status=active") == IDS[:50]
    assert search("status=deprecated") == []


def test_models_contain_their_openapi_documents_on_request(fal: Fal) -> None:
    [model] = get(fal, f"models?endpoint_id={DEV}&expand=openapi-3.0,enterprise_status")["models"]
    found = Catalog().find(DEV)
    assert found is not None
    assert model["openapi"] == openapi.document(found)
    assert model["enterprise_status"] == "ready"


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("limit=0", "limit is '0'"),
        ("limit=x", "limit is 'x'"),
        ("cursor=%21", "cursor is '!'"),
        ("cursor=MA==", "cursor is 'MA=='"),
        ("endpoint_id=", "endpoint_id is ''"),
        (f"endpoint_id={TOO_MANY_IDS}", "endpoint_id is 'a list of 51'"),
        ("status=new", "status is 'new', expected one of active, deprecated"),
        ("expand=all", "expand is 'all', expected one of openapi-3.0, enterprise_status"),
    ],
)
def test_an_invalid_parameter_is_named(fal: Fal, query: str, named: str) -> None:
    status, kind, message = error_of(fal.request("GET", f"{API}/models?{query}"))
    assert (status, kind) == (400, "validation_error")
    assert message.startswith(f"Invalid request parameters: {named}")


def test_an_unknown_model_is_not_found(fal: Fal) -> None:
    error = error_of(fal.request("GET", f"{API}/models?endpoint_id={DEV},fal-ai/unheard-of"))
    assert error == (404, "not_found", "Resource not found: no endpoint fal-ai/unheard-of")


# -- prices


def test_a_price_is_that_of_the_table(fal: Fal) -> None:
    assert get(fal, f"models/pricing?endpoint_id={SCHNELL}") == {
        "prices": [
            {"endpoint_id": SCHNELL, "unit_price": 0.003, "unit": "megapixels", "currency": "USD"},
        ],
        "next_cursor": None,
        "has_more": False,
    }


def test_every_price_of_the_table_is_that_of_a_model(fal: Fal) -> None:
    for endpoint in sorted(set(PRICES) & set(Catalog().ids())):
        [price] = get(fal, f"models/pricing?endpoint_id={endpoint}")["prices"]
        assert price["unit_price"] > 0


@pytest.mark.parametrize("endpoints", ["fal-ai/whisper", f"{SCHNELL},fal-ai/whisper"])
def test_a_price_that_is_not_known_is_not_found(fal: Fal, endpoints: str) -> None:
    status, kind, message = error_of(fal.request("GET", f"{API}/models/pricing?endpoint_id={endpoints}"))
    assert (status, kind) == (404, "not_found")
    assert "mock-fal does not know the price of fal-ai/whisper" in message


def test_a_price_needs_an_existing_endpoint(fal: Fal) -> None:
    assert error_of(fal.request("GET", f"{API}/models/pricing"))[:2] == (400, "validation_error")
    assert error_of(fal.request("GET", f"{API}/models/pricing?endpoint_id=a/b"))[:2] == (404, "not_found")


def estimate(fal: Fal, kind: str, **endpoints: object) -> httpx.Response:
    return post(fal, "models/pricing/estimate", {"estimate_type": kind, "endpoints": endpoints})


def test_units_are_multiplied_by_their_price(fal: Fal) -> None:
    response = estimate(fal, "unit_price", **{SCHNELL: {"unit_quantity": 2.5}, DEV: {"unit_quantity": 10}})
    assert response.json() == {"estimate_type": "unit_price", "total_cost": 0.2575, "currency": "USD"}


def test_the_estimate_of_calls_uses_their_average_cost(fal: Fal) -> None:
    fal.completed(num_images=3)
    fal.completed()
    response = estimate(fal, "historical_api_price", **{SCHNELL: {"call_quantity": 100}})
    assert response.json()["total_cost"] == 0.6


def test_calls_of_an_unused_endpoint_are_estimated_as_one_unit(fal: Fal) -> None:
    response = estimate(fal, "historical_api_price", **{DEV: {"call_quantity": 100}})
    assert response.json()["total_cost"] == 2.5


@pytest.mark.parametrize(
    ("kind", "endpoints", "named"),
    [
        ("guess", {DEV: {"call_quantity": 1}}, "estimate_type is 'guess'"),
        ("unit_price", {}, "endpoints is {}"),
        ("unit_price", {DEV: {"call_quantity": 1}}, f"endpoints.{DEV}.unit_quantity is None"),
        ("unit_price", {DEV: {"unit_quantity": 0}}, f"endpoints.{DEV}.unit_quantity is 0"),
        ("unit_price", {DEV: {"unit_quantity": float("inf")}}, f"endpoints.{DEV}.unit_quantity is inf"),
        ("historical_api_price", {DEV: {"call_quantity": 1.5}}, f"endpoints.{DEV}.call_quantity is 1.5"),
        ("historical_api_price", {DEV: {"call_quantity": True}}, f"endpoints.{DEV}.call_quantity is True"),
        ("historical_api_price", {DEV: 1}, f"endpoints.{DEV}.call_quantity is None"),
    ],
)
def test_an_invalid_estimate_is_rejected_with_the_reason(
    fal: Fal, kind: str, endpoints: Any, named: str
) -> None:
    status, _, message = error_of(estimate(fal, kind, **endpoints))
    assert status == 400
    assert named in message


@pytest.mark.parametrize("body", [b"{", b"[]", b"\xff"])
def test_a_body_that_is_not_an_object_is_rejected(fal: Fal, body: bytes) -> None:
    status, _, message = error_of(fal.request("POST", f"{API}/models/pricing/estimate", body=body))
    assert status == 400
    assert "the body is" in message


# -- usage


def test_usage_is_counted_by_endpoint(fal: Fal) -> None:
    fal.completed(num_images=2)
    fal.completed(num_images=2)
    [bucket] = get(fal, "models/usage")["time_series"]
    assert bucket["results"] == [
        {
            "endpoint_id": SCHNELL,
            "unit": "megapixels",
            "quantity": 4,
            "unit_price": 0.003,
            "percent_discount": None,
            "cost_subtotal": 0.012,
            "cost_discount": 0,
            "cost_total": 0.012,
            "cost": 0.012,
            "currency": "USD",
        }
    ]


@pytest.mark.parametrize(
    ("timeframe", "buckets"), [("minute", 2), ("hour", 2), ("day", 2), ("week", 1), ("month", 1)]
)
def test_usage_is_grouped_into_buckets(fal: Fal, timeframe: str, buckets: int) -> None:
    to_day(fal, hour=23, minute=59)
    fal.completed()
    fal.advance(100)
    fal.completed()
    assert len(get(fal, f"models/usage?timeframe={timeframe}")["time_series"]) == buckets


def test_buckets_follow_the_time_zone(fal: Fal) -> None:
    to_day(fal, hour=23, minute=30)
    fal.completed()
    fal.advance(3600)
    fal.completed()
    in_utc = get(fal, "models/usage?timeframe=day")["time_series"]
    in_berlin = get(fal, "models/usage?timeframe=day&timezone=Europe/Berlin")["time_series"]
    assert [bucket["bucket"][10:] for bucket in in_utc] == ["T00:00:00+00:00"] * 2
    assert [bucket["bucket"][10:19] for bucket in in_berlin] == ["T00:00:00"]


def to_day(fal: Fal, *, hour: int, minute: int) -> None:
    """Advances the clock to this time on the next Tuesday that is not at the beginning or end of a month."""
    day, now = 86_400, fal.clock.now()
    tuesday = next(
        begin
        for begin in range(int(now // day + 1) * day, 2**40, day)
        if datetime.fromtimestamp(begin, UTC).weekday() == 1
        and 1 < datetime.fromtimestamp(begin, UTC).day < 28
    )
    fal.advance(tuesday + hour * 3600 + minute * 60 - now)


def test_the_default_timeframe_depends_on_the_period(fal: Fal) -> None:
    to_day(fal, hour=12, minute=34)
    fal.completed()
    now = fal.clock.now()

    def begin(days: float) -> str:
        [bucket] = get(fal, f"models/usage?start={iso(now - days * 86_400)}")["time_series"]
        return str(bucket["bucket"][11:16])

    assert [begin(days) for days in (0.05, 1, 30)] == ["12:34", "12:00", "00:00"]


def test_usage_outside_the_period_is_left_out(fal: Fal) -> None:
    fal.completed()
    at = fal.clock.now()
    exact = "bound_to_timeframe=false&expand=summary"
    assert get(fal, f"models/usage?{exact}&start={iso(at)}")["summary"]
    assert not get(fal, f"models/usage?{exact}&end={iso(at)}")["summary"]
    assert get(fal, f"models/usage?expand=summary&timeframe=month&end={iso(at)}")["summary"]
    fal.advance(90_000)
    assert not get(fal, f"models/usage?{exact}")["summary"]


def test_usage_is_available_as_a_summary(fal: Fal) -> None:
    fal.completed()
    fal.completed(endpoint=DEV)
    usage = get(fal, "models/usage?expand=summary,auth_method,auth_method_structured")
    assert list(usage) == ["next_cursor", "has_more", "summary"]
    assert [row["endpoint_id"] for row in usage["summary"]] == [DEV, SCHNELL]
    assert usage["summary"][0]["auth_method"] == "alice"
    assert usage["summary"][0]["auth_method_structured"] == {"detail": "alice", "api_key_id": "alice"}


@pytest.mark.parametrize(
    ("query", "number"),
    [
        (f"endpoint_id={DEV}", 0),
        (f"endpoint_id={SCHNELL},{DEV}", 1),
        ("api_key_id=alice", 1),
        ("api_key_id=bob", 0),
        ("login_username=alice", 0),
    ],
)
def test_usage_is_filtered(fal: Fal, query: str, number: int) -> None:
    fal.completed()
    assert len(get(fal, f"models/usage?{query}")["time_series"]) == number
    assert len(get(fal, f"models/billing-events?{query}")["billing_events"]) == number


def test_each_key_has_separate_usage(fal: Fal) -> None:
    fal.completed()
    assert get(fal, "models/usage", key="bob:secret")["time_series"] == []


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("start=yesterday", "start is 'yesterday'"),
        ("end=0001-01-01", "end is '0001-01-01'"),
        ("end=9999-12-31", "end is '9999-12-31'"),
        ("api_key_id=", "api_key_id is ''"),
        ("timezone=Mars/Base", "timezone is 'Mars/Base'"),
        ("timezone=/etc/passwd", "timezone is '/etc/passwd'"),
        ("timeframe=year", "timeframe is 'year'"),
        ("bound_to_timeframe=maybe", "bound_to_timeframe is 'maybe'"),
        ("expand=auth_method", "expand is 'auth_method'"),
        ("start=2030-01-02&end=2030-01-01", "start is '2030-01-02'"),
    ],
)
def test_an_invalid_usage_query_is_rejected_with_the_reason(fal: Fal, query: str, named: str) -> None:
    status, _, message = error_of(fal.request("GET", f"{API}/models/usage?{query}"))
    assert status == 400
    assert named in message


def test_a_billing_event_is_one_request(fal: Fal) -> None:
    first, second = fal.completed(), fal.completed(num_images=2)
    events = get(fal, "models/billing-events?expand=auth_method")["billing_events"]
    assert [event["request_id"] for event in events] == [second.id, first.id]
    assert events[0] == {
        "request_id": second.id,
        "endpoint_id": SCHNELL,
        "timestamp": events[0]["timestamp"],
        "output_units": 2,
        "unit_price": 0.003,
        "percent_discount": None,
        "cost_subtotal": 0.006,
        "cost_discount": 0,
        "cost_total": 0.006,
        "cost_estimate_nano_usd": 6_000_000,
        "auth_method": "alice",
    }
    [one] = get(fal, f"models/billing-events?request_id={first.id}")["billing_events"]
    assert one["request_id"] == first.id


def test_billing_events_are_limited_to_ninety_days(fal: Fal) -> None:
    now = fal.clock.now()
    assert get(fal, f"models/billing-events?start={iso(now - 89 * 86_400)}")["billing_events"] == []
    response = fal.request("GET", f"{API}/models/billing-events?start={iso(now - 91 * 86_400)}")
    assert "at most 90 days" in error_of(response)[2]


def test_credits_are_spent(fal: Fal) -> None:
    assert get(fal, "account/billing") == {"username": "alice"}
    fal.completed(endpoint=DEV)
    credits = get(fal, "account/billing?expand=credits")["credits"]
    assert credits == {"current_balance": 99.975, "currency": "USD"}


# -- analytics


def metrics(fal: Fal, *names: str) -> dict[str, Any]:
    expand = ",".join(["summary", *names])
    [row] = get(fal, f"models/analytics?endpoint_id={SCHNELL}&expand={expand}")["summary"]
    return dict(row)


def test_requests_are_counted_by_outcome(fal: Fal) -> None:
    for prompt in ("a", "b", "c [mock: error=runner_disconnected]", "d [mock: error=request_timeout]"):
        fal.completed(prompt, headers={"x-fal-no-retry": "1"})
    fal.completed(num_images=9)
    names = ["request_count", "success_count", "user_error_count", "error_count"]
    names += ["connection_error_count", "timeout_error_count", "runtime_error_count", "cold_boot_count"]
    assert metrics(fal, *names) == {
        "endpoint_id": SCHNELL,
        "request_count": 5,
        "success_count": 2,
        "user_error_count": 1,
        "error_count": 2,
        "connection_error_count": 1,
        "timeout_error_count": 1,
        "runtime_error_count": 0,
        "cold_boot_count": 0,
    }


def test_durations_are_reported_as_percentiles(fal: Fal) -> None:
    for seconds in (1, 2, 3, 4):
        fal.completed(f"a [mock: run={seconds}]")
    values = metrics(
        fal, "p25_duration", "p50_duration", "p99_duration", "p50_prepare_duration", "total_billable_duration"
    )
    assert values == {
        "endpoint_id": SCHNELL,
        "p50_prepare_duration": 2.0,
        "p25_duration": 1.0,
        "p50_duration": 2.0,
        "p99_duration": 4.0,
        "total_billable_duration": 10.0,
    }


def test_a_request_that_never_ran_has_no_duration(fal: Fal) -> None:
    fal.submit().cancel()
    fal.advance(60)
    assert metrics(fal, "p50_duration", "total_billable_duration", "user_error_count") == {
        "endpoint_id": SCHNELL,
        "user_error_count": 1,
        "p50_duration": 0,
        "total_billable_duration": 0,
    }


def test_analytics_count_requests_by_bucket_by_default(fal: Fal) -> None:
    fal.completed()
    [bucket] = get(fal, f"models/analytics?endpoint_id={SCHNELL},{DEV}")["time_series"]
    assert bucket["results"] == [{"endpoint_id": SCHNELL, "request_count": 1}]


def test_analytics_need_an_endpoint_and_a_metric(fal: Fal) -> None:
    assert "endpoint_id is None" in error_of(fal.request("GET", f"{API}/models/analytics"))[2]
    response = fal.request("GET", f"{API}/models/analytics?endpoint_id={DEV}&expand=summary")
    assert "at least one metric" in error_of(response)[2]


# -- requests


def items(fal: Fal, query: str = "") -> list[dict[str, Any]]:
    return list(get(fal, f"models/requests/by-endpoint?endpoint_id={SCHNELL}{query}")["items"])


def test_a_request_is_listed_when_it_is_completed(fal: Fal) -> None:
    handle = fal.submit()
    queued_at = fal.clock.now()
    assert items(fal) == []
    fal.advance(QUEUE_S + RUN_S)
    assert items(fal) == [
        {
            "request_id": handle.id,
            "endpoint_id": SCHNELL,
            "started_at": stamp(queued_at + QUEUE_S),
            "sent_at": stamp(queued_at),
            "ended_at": stamp(queued_at + QUEUE_S + RUN_S),
            "status_code": 200,
            "duration": 10.0,
        }
    ]


def stamp(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_a_direct_request_is_listed_too(fal: Fal) -> None:
    response = fal.run()
    assert [item["request_id"] for item in items(fal)] == [response.headers["x-fal-request-id"]]
    assert RUN in fal.journal[0].url


def test_requests_are_filtered_by_outcome(fal: Fal) -> None:
    good = fal.completed()
    rejected = fal.completed(num_images=9)
    failed = fal.completed("a [mock: error=runner_disconnected retry=false]")
    cancelled = fal.submit()
    cancelled.cancel()
    for status, expected in {
        "success": [good],
        "user_error": [cancelled, rejected],
        "error": [failed],
    }.items():
        assert [item["request_id"] for item in items(fal, f"&status={status}")] == [
            handle.id for handle in expected
        ]
    assert [item["status_code"] for item in items(fal)] == [499, 503, 422, 200]


def test_requests_are_sorted_by_end_or_by_duration(fal: Fal) -> None:
    long, short = fal.completed("a [mock: run=5]"), fal.completed("a [mock: run=1]")
    assert [item["request_id"] for item in items(fal)] == [short.id, long.id]
    assert [item["request_id"] for item in items(fal, "&sort_by=duration")] == [long.id, short.id]


def test_payloads_are_included_on_request(fal: Fal) -> None:
    handle = fal.completed("a cat")
    [item] = items(fal, "&expand=payloads")
    assert item["json_input"] == {"prompt": "a cat"}
    assert item["json_output"] == handle.result().json()


def test_an_input_that_is_not_json_is_text(fal: Fal) -> None:
    fal.submit(body=b"{")
    fal.advance(60)
    assert items(fal, "&expand=payloads")[0]["json_input"] == "{"


def test_the_output_of_sync_mode_is_not_kept(fal: Fal) -> None:
    fal.completed(sync_mode=True)
    assert "json_output" not in items(fal, "&expand=payloads")[0]


def test_a_list_has_pages(fal: Fal) -> None:
    ids = [fal.completed().id for _ in range(3)]
    path = f"models/requests/by-endpoint?endpoint_id={SCHNELL}&limit=2"
    first = get(fal, path)
    rest = get(fal, f"{path}&cursor={first['next_cursor']}")
    assert [item["request_id"] for item in first["items"] + rest["items"]] == ids[::-1]
    assert (first["has_more"], rest["has_more"]) == (True, False)


def test_a_single_request_has_a_longer_default_period(fal: Fal) -> None:
    handle = fal.completed()
    fal.advance(2 * 86_400)
    assert items(fal) == []
    assert [item["request_id"] for item in items(fal, f"&request_id={handle.id}")] == [handle.id]


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("&limit=101", "limit is '101'"),
        ("&request_id=1", "request_id is '1'"),
        ("&sort_by=x", "sort_by is 'x'"),
    ],
)
def test_an_invalid_list_query_is_rejected_with_the_reason(fal: Fal, query: str, named: str) -> None:
    response = fal.request("GET", f"{API}/models/requests/by-endpoint?endpoint_id={SCHNELL}{query}")
    assert named in error_of(response)[2]


def delete(fal: Fal, request_id: str, **options: Any) -> httpx.Response:
    return fal.request("DELETE", f"{API}/models/requests/{request_id}/payloads", **options)


def test_payloads_are_deleted_with_their_files(fal: Fal) -> None:
    handle = fal.completed(image_size={"width": 64, "height": 48})
    url = handle.result().json()["images"][0]["url"]
    assert fal.request("GET", url).status_code == 200
    assert delete(fal, handle.id).json() == {"cdn_delete_results": [{"link": url, "exception": None}]}
    assert url.startswith(MEDIA)
    assert fal.request("GET", url).status_code == 404
    assert (handle.result().status_code, handle.result().json()) == (404, {"detail": "Request not found"})
    assert handle.status().json()["status"] == "COMPLETED"


def test_the_billing_event_remains_after_payloads_are_deleted(fal: Fal) -> None:
    handle = fal.completed()
    delete(fal, handle.id)
    [item] = items(fal, "&expand=payloads")
    assert item["status_code"] == 200
    assert not {"json_input", "json_output"} & set(item)
    assert len(get(fal, "models/billing-events")["billing_events"]) == 1


def test_the_payloads_of_a_direct_request_are_deleted_too(fal: Fal) -> None:
    url = fal.run().json()["images"][0]["url"]
    delete(fal, items(fal)[0]["request_id"])
    assert not fal.emulator.store.files
    assert fal.request("GET", url).status_code == 404


def test_a_second_deletion_deletes_nothing(fal: Fal) -> None:
    handle = fal.completed()
    delete(fal, handle.id)
    assert delete(fal, handle.id).json() == {"cdn_delete_results": []}


def test_an_idempotency_key_repeats_the_response_for_ten_minutes(fal: Fal) -> None:
    handle = fal.completed()
    same = {"idempotency-key": "1"}
    first = delete(fal, handle.id, headers=same).json()
    fal.advance(599)
    assert delete(fal, handle.id, headers=same).json() == first
    assert delete(fal, handle.id, headers={"idempotency-key": "2"}).json() == {"cdn_delete_results": []}
    fal.advance(1)
    assert delete(fal, handle.id, headers=same).json() == {"cdn_delete_results": []}


def test_the_oldest_idempotency_key_is_removed_at_the_limit(
    fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mock_fal.web.platform.api._MAX_IDEMPOTENCY_KEYS", 1)
    handle = fal.completed()
    first, second = ({"idempotency-key": name} for name in "12")
    assert len(delete(fal, handle.id, headers=first).json()["cdn_delete_results"]) == 1
    delete(fal, handle.id, headers=second)
    assert delete(fal, handle.id, headers=first).json() == {"cdn_delete_results": []}


def test_the_response_of_a_failed_deletion_is_not_repeated(fal: Fal) -> None:
    handle, same = fal.submit(), {"idempotency-key": "1"}
    error = error_of(delete(fal, handle.id, headers=same))
    assert error == (400, "validation_error", "Request is still in progress")
    fal.advance(60)
    assert delete(fal, handle.id, headers=same).status_code == 200


def test_payloads_of_other_accounts_cannot_be_deleted(fal: Fal) -> None:
    handle = fal.completed()
    assert error_of(delete(fal, handle.id, key="bob:secret"))[:2] == (404, "not_found")
    assert error_of(delete(fal, UNKNOWN_ID))[:2] == (404, "not_found")
    assert error_of(delete(fal, "1"))[:2] == (400, "validation_error")
    assert handle.result().status_code == 200


def test_a_queue_is_counted_and_flushed(fal: Fal) -> None:
    path = "serverless/apps/fal-ai/flux/queue"
    waiting = fal.submit()
    fal.submit(endpoint=DEV)
    fal.submit(key="bob:secret")
    assert get(fal, path) == {"queue_size": 2}
    response = fal.request("DELETE", f"{API}/{path}")
    assert (response.status_code, response.content) == (204, b"")
    assert get(fal, path) == {"queue_size": 0}
    assert get(fal, path, key="bob:secret") == {"queue_size": 1}
    assert waiting.status().json()["error_type"] == "client_cancelled"


def test_an_unknown_app_has_no_queue(fal: Fal) -> None:
    response = fal.request("GET", f"{API}/serverless/apps/fal-ai/unheard-of/queue")
    assert error_of(response) == (404, "not_found", "Resource not found: no app fal-ai/unheard-of")


# -- files


def test_an_access_list_is_read_and_changed(fal: Fal) -> None:
    url = fal.picture()
    assert get(fal, f"storage/files/acl?url={url}") == {"default": "allow", "rules": []}
    new_acl = {"default": "forbid", "rules": [{"user": "bob", "decision": "allow"}]}
    changed = fal.request("PUT", f"{API}/storage/files/acl?url={url}", body=json.dumps(new_acl).encode())
    assert changed.json() == new_acl
    assert fal.request("GET", url).status_code == 403


def test_a_signed_link_opens_a_restricted_file(fal: Fal) -> None:
    url = fal.picture()
    fal.request("PUT", f"{API}/storage/files/acl?url={url}", body=b'{"default": "forbid"}')
    signed = post(fal, f"storage/files/sign?url={url}", {"expiration_seconds": 60}).json()["signed_url"]
    assert urlsplit(signed).query.startswith("identity=")
    assert fal.request("GET", signed, key=None).status_code == 200
    fal.advance(61)
    assert fal.request("GET", signed, key=None).status_code == 403


def test_file_errors_are_in_the_envelope(fal: Fal) -> None:
    url = fal.picture()
    assert error_of(fal.request("GET", f"{API}/storage/files/acl"))[:2] == (400, "validation_error")
    missing = fal.request("GET", f"{API}/storage/files/acl?url={MEDIA}/files/b/0/x.jpg")
    assert error_of(missing)[:2] == (404, "not_found")
    foreign = fal.request("GET", f"{API}/storage/files/acl?url={url}", key="bob:secret")
    assert error_of(foreign)[:2] == (403, "authorization_error")
    wrong = fal.request("PUT", f"{API}/storage/files/acl?url={url}", body=b'{"default": "maybe"}')
    assert error_of(wrong)[:2] == (400, "validation_error")
    for body in ({"expiration_seconds": 0}, {"expiration_seconds": "1"}, {"expiration_seconds": 10**9}):
        assert "expiration_seconds" in error_of(post(fal, f"storage/files/sign?url={url}", body))[2]


def test_a_too_large_body_is_rejected_in_the_envelope(fal: Fal) -> None:
    response = fal.request("POST", f"{API}/models/pricing/estimate", body=b" " * (1 << 20) + b" ")
    assert error_of(response)[0] == 413


def test_meta_lists_the_ip_ranges_of_webhooks(fal: Fal) -> None:
    assert get(fal, "meta", key=None) == {"webhook_ip_ranges": ["127.0.0.1/32", "::1/128"]}


# -- storage settings


def put_settings(fal: Fal, body: bytes, **headers: str) -> httpx.Response:
    sent = {"content-type": "application/json", **headers}
    return fal.request("PUT", f"{API}/storage/settings", body=body, headers=sent)


def test_storage_settings_are_replaced_as_a_whole(fal: Fal) -> None:
    nothing = {"expiration_duration_seconds": None, "initial_acl": None}
    assert get(fal, "storage/settings") == nothing
    acl = {"default": "forbid", "rules": [{"user": "bob", "decision": "allow"}]}
    whole = {"expiration_duration_seconds": 60, "initial_acl": acl}
    assert put_settings(fal, json.dumps(whole).encode()).json() == whole
    assert get(fal, "storage/settings") == whole
    assert get(fal, "storage/settings", key="bob:secret") == nothing
    assert put_settings(fal, b'{"expiration_duration_seconds": 5}').json() == {
        **nothing,
        **{"expiration_duration_seconds": 5},
    }
    assert put_settings(fal, b"{}").json() == nothing


def test_storage_settings_apply_to_results_and_uploads_without_a_preference(fal: Fal) -> None:
    put_settings(fal, b'{"expiration_duration_seconds": 60, "initial_acl": {"default": "forbid"}}')
    initiate = "https://rest.fal.ai/storage/upload/initiate"
    urls = fal.request("POST", initiate, body=b"{}").json()
    fal.request("PUT", urls["upload_url"], key=None, body=b"hello")
    own = {"x-fal-object-lifecycle-preference": "{}"}
    public = fal.picture(headers=own)
    for url in (fal.picture(), urls["file_url"]):
        assert fal.request("GET", url, key=None).status_code == 403
        signed = post(fal, f"storage/files/sign?url={url}", {}).json()["signed_url"]
        assert fal.request("GET", signed, key=None).status_code == 200
    assert fal.request("GET", public, key=None).status_code == 200
    fal.advance(61)
    assert fal.request("GET", urls["file_url"], key=None).status_code == 404
    assert fal.request("GET", public, key=None).status_code == 200


@pytest.mark.parametrize(
    ("body", "content_type", "named"),
    [
        (b"", "application/json", "the body is ''"),
        (b"{", "application/json", "the body is '{'"),
        (b"{}", "text/plain", "Content-Type is 'text/plain'"),
        (b'{"expiration_duration_seconds": 1.5}', "application/json", "expiration_duration_seconds is 1.5"),
        (b'{"expiration_duration_seconds": 0}', "application/json", "expiration_duration_seconds is 0"),
        (b'{"initial_acl": {"default": "maybe"}}', "application/json", "default is 'maybe'"),
    ],
)
def test_invalid_storage_settings_are_rejected_and_change_nothing(
    fal: Fal, body: bytes, content_type: str, named: str
) -> None:
    put_settings(fal, b'{"expiration_duration_seconds": 60}')
    status, kind, message = error_of(put_settings(fal, body, **{"content-type": content_type}))
    assert (status, kind) == (400, "validation_error")
    assert named in message
    assert get(fal, "storage/settings")["expiration_duration_seconds"] == 60


def test_a_reset_forgets_storage_settings(fal: Fal) -> None:
    put_settings(fal, b'{"expiration_duration_seconds": 60}')
    fal.emulator.reset("bob")
    assert get(fal, "storage/settings")["expiration_duration_seconds"] == 60
    fal.emulator.reset("alice")
    assert get(fal, "storage/settings")["expiration_duration_seconds"] is None


# -- search


def found(fal: Fal, query: str = "") -> list[dict[str, Any]]:
    results: list[dict[str, Any]] = get(fal, f"models/requests/search?{query}")["results"]
    return results


def test_a_search_without_a_query_lists_completed_requests_latest_first(fal: Fal) -> None:
    first, second = fal.completed(), fal.completed(endpoint=DEV)
    fal.submit()
    results = found(fal)
    assert [item["request_id"] for item in results] == [second.id, first.id]
    assert set(results[0]) == {
        *("request_id", "endpoint_id", "started_at", "sent_at", "ended_at", "status_code", "duration")
    }
    assert [item["request_id"] for item in found(fal, f"endpoint_id={DEV}")] == [second.id]
    assert get(fal, "models/requests/search", key="bob:secret")["results"] == []


def test_a_search_finds_the_requests_whose_input_is_most_like_a_text(fal: Fal) -> None:
    dog, cat, red = fal.completed("a dog"), fal.completed("a cat"), fal.completed("a red cat at sunset")
    results = found(fal, "query=Red+cat")
    assert [(item["request_id"], item["similarity"]) for item in results] == [(red.id, 1.0), (cat.id, 0.5)]
    assert dog.id not in [item["request_id"] for item in results]
    assert [item["request_id"] for item in found(fal, "query=red+cat&min_similarity=0.6")] == [red.id]


def test_a_search_by_a_picture_finds_the_request_that_made_it(fal: Fal) -> None:
    fal.completed("a dog")
    like = fal.completed("one cat")
    made = fal.completed("a cat")
    url = made.result().json()["images"][0]["url"]
    results = found(fal, f"image_url={url}")
    assert [item["request_id"] for item in results][:2] == [made.id, like.id]
    assert results[0]["similarity"] == 1.0
    assert found(fal, "video_url=https://a.example/a.mp4") == []


@pytest.mark.parametrize(
    ("query", "number"), [("only_api_requests=true", 1), ("exclude_api_requests=true", 0)]
)
def test_every_request_was_made_with_a_key(fal: Fal, query: str, number: int) -> None:
    fal.completed()
    assert len(found(fal, query)) == number


@pytest.mark.parametrize(
    "query",
    [
        "query=a&image_url=b",
        "min_similarity=2",
        "min_similarity=x",
        "exclude_api_requests=true&only_api_requests=true",
        "only_api_requests=1",
    ],
)
def test_an_invalid_search_is_rejected(fal: Fal, query: str) -> None:
    error = error_of(fal.request("GET", f"{API}/models/requests/search?{query}"))
    assert error[:2] == (400, "validation_error")


def test_tags_are_listed_and_found(fal: Fal) -> None:
    tagged = fal.completed("a dog", headers={"x-fal-tags": "team=red,fal.x=1,Bad=2"})
    plain = fal.completed("a cat")
    assert [item.get("tags") for item in items(fal)] == [None, {"team": "red"}]
    assert [item["request_id"] for item in found(fal, "query=red")] == [tagged.id]
    assert plain.id not in [item["request_id"] for item in found(fal, "query=team")]


# -- properties

NAMES = ["limit", "cursor", "endpoint_id", "q", "category", "status", "expand", "start", "end", "timezone"]
NAMES += ["timeframe", "bound_to_timeframe", "api_key_id", "login_username", "request_id", "sort_by", "url"]
VALUES = ["1", "-1", "Mg==", SCHNELL, "time_series", "summary", "payloads", "request_count", "month", "week"]
VALUES += [
    "2026-01-01",
    "9000-12-31T23:59:59-23:59",
    "1970-01-01T00:00:00+23:59",
    "Pacific/Kiritimati",
    UNKNOWN_ID,
]
BODIES = [b"", b"{}", b'{"default": "hide", "rules": [1]}', b'{"expiration_seconds": 1e999}', b"[" * 10_000]


@settings(deadline=None, max_examples=200)
@given(
    route=st.sampled_from(sorted(_ROUTES)),
    query=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(VALUES) | st.text(max_size=20), max_size=5),
    body=st.sampled_from(BODIES) | st.binary(max_size=50),
)
def test_no_request_causes_a_server_error(route: tuple[str, str], query: dict[str, str], body: bytes) -> None:
    method, path = route
    if path.endswith("/stream"):
        query = {**query, "end": "2020-01-01"}  # else it never ends
    with open_fal() as fal:
        fal.completed()
        response = fal.request(
            method, f"{API}/{path.format(*'ab')}?{urlencode(query, errors='replace')}", body=body
        )
    assert response.status_code < 500
