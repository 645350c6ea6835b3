"""api.fal.ai: what ran here, as the owner of the apps sees it, and the reports of an organization."""

from __future__ import annotations

import csv
import json
from io import StringIO
from typing import Any

import pytest

from tests.web.conftest import DEV, QUEUE_S, RUN_S, SCHNELL, Fal
from tests.web.test_platform import API, error_of, get, post


def test_apps_that_were_called_are_listed(fal: Fal) -> None:
    fal.completed()
    fal.completed(endpoint="fal-ai/fast-sdxl")
    assert get(fal, "serverless/apps")["apps"] == [
        {"owner": "fal-ai", "name": "fast-sdxl"},
        {"owner": "fal-ai", "name": "flux"},
    ]


def test_serverless_usage_is_in_machine_seconds(fal: Fal) -> None:
    fal.completed()
    fal.completed(endpoint=DEV)
    [row] = get(fal, "serverless/usage?expand=summary")["summary"]
    assert (row["app"], row["unit"], row["quantity"]) == ("flux", "second", 2 * RUN_S)
    assert row["cost_total"] == row["cost"] == round(row["quantity"] * row["unit_price"], 9)
    [bucket] = get(fal, "serverless/usage")["time_series"]
    assert bucket["results"] == [row]


@pytest.mark.parametrize(("query", "number"), [("app=flux", 1), ("app=sdxl", 0), ("search=FLU", 1)])
def test_serverless_usage_is_filtered(fal: Fal, query: str, number: int) -> None:
    fal.completed()
    assert len(get(fal, f"serverless/usage?expand=summary&{query}")["summary"]) == number


def test_metrics_are_text_for_prometheus(fal: Fal) -> None:
    fal.completed()
    fal.completed(num_images=9)
    fal.submit()
    fal.advance(QUEUE_S)
    fal.submit()
    response = fal.request("GET", f"{API}/serverless/metrics")
    assert response.headers["content-type"].startswith("text/plain")
    lines = response.text.splitlines()
    assert lines[:2] == ["# HELP fal_app_runners Number of fal app runners", "# TYPE fal_app_runners gauge"]
    app = 'application="fal-ai/flux"'
    for line in (
        f'fal_app_runners{{{app},machine_type="GPU-H100",state="running"}} 1',
        f"fal_app_queue_size{{{app}}} 1",
        f"fal_app_concurrent_requests{{{app}}} 1",
        f'fal_app_requests_completed{{{app},method="POST",status="200"}} 1',
        f'fal_app_requests_completed{{{app},method="POST",status="422"}} 1',
        f'fal_app_requests_received{{{app},method="POST"}} 4',
        f'fal_app_request_latency{{{app},le="10.0"}} 2',
        f'fal_app_request_latency{{{app},le="+Inf"}} 2',
    ):
        assert line in lines


def test_analytics_and_requests_of_apps_are_those_of_the_account(fal: Fal) -> None:
    handle = fal.completed(num_images=2)
    fal.completed(key="bob:secret")
    path = f"serverless/analytics?endpoint_id={SCHNELL}&expand=summary,request_count"
    assert get(fal, path)["summary"] == [{"endpoint_id": SCHNELL, "request_count": 1}]
    path = f"serverless/requests/by-endpoint?endpoint_id={SCHNELL}&expand=billing"
    [item] = get(fal, path)["items"]
    assert (item["request_id"], item["billable_units"]) == (handle.id, 2)
    response = fal.request("GET", f"{API}/models/requests/by-endpoint?endpoint_id={SCHNELL}&expand=billing")
    assert error_of(response)[0] == 400


# -- logs


def logs(fal: Fal, query: str = "", labels: object = ()) -> Any:
    response = post(fal, f"serverless/logs/history?{query}", labels)
    assert response.status_code == 200, response.text
    return response.json()


def test_logs_are_listed_latest_first(fal: Fal) -> None:
    handle = fal.completed()
    lines = handle.status("?logs=1").json()["logs"]
    items = logs(fal)["items"]
    assert [item["message"] for item in items] == [line["message"] for line in reversed(lines)]
    assert list(items[0]) == ["timestamp", "level", "message", "app", "revision", "labels"]
    assert (items[0]["level"], items[0]["app"]) == ("info", "flux")
    assert logs(fal, "limit=1")["has_more"] is True
    assert post(fal, "serverless/logs/history", []).status_code == 200


def test_a_page_of_logs_ends_before_its_cursor(fal: Fal) -> None:
    fal.completed()
    whole = logs(fal)["items"]
    pages, cursor = [], ""
    while True:
        page = logs(fal, f"limit=1{cursor}")
        pages += page["items"]
        if not page["has_more"]:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert pages == whole


def test_logs_are_filtered(fal: Fal) -> None:
    first, second = fal.completed(), fal.completed(endpoint="fal-ai/fast-sdxl")
    ids = {item["labels"]["fal_request_id"] for item in logs(fal)["items"]}
    assert ids == {first.id, second.id}
    for query, labels in [
        (f"request_id={first.id}", ()),
        ("app_id=flux", ()),
        ("app_id=fal-ai/flux", ()),
        (f"job_id={first.id}", ()),
        ("", [{"key": "fal_job_id", "value": first.id}]),
    ]:
        found = logs(fal, query, labels)["items"]
        assert {item["labels"]["fal_request_id"] for item in found} == {first.id}, query
    assert logs(fal, "search=no-such-text")["items"] == logs(fal, "level=error")["items"] == []
    assert logs(fal, "end=2020-01-01")["items"] == []


@pytest.mark.parametrize(
    ("query", "labels"), [("level=loud", []), ("", {}), ("", [1]), ("", [{"key": 1}]), ("cursor=x", [])]
)
def test_invalid_log_filters_are_rejected(fal: Fal, query: str, labels: object) -> None:
    assert error_of(post(fal, f"serverless/logs/history?{query}", labels))[:2] == (400, "validation_error")


def test_a_stream_of_logs_sends_lines_as_they_are_logged(fal: Fal) -> None:
    earlier = fal.completed()
    fal.advance(1)
    call = fal.start_request("POST", f"{API}/serverless/logs/stream", body=b"[]")
    handle = fal.submit()
    for _ in range(12):
        fal.advance(1)
    events = call.events()
    assert {event["labels"]["fal_request_id"] for event in events} == {handle.id}
    messages = [line["message"] for line in handle.status("?logs=1").json()["logs"]]
    assert [event["message"] for event in events] == messages
    assert earlier.id not in json.dumps(events)


def test_a_stream_of_logs_ends_at_its_end(fal: Fal) -> None:
    fal.completed()
    query = "start=2020-01-01&end=2020-01-02"
    response = post(fal, f"serverless/logs/stream?{query}", [])
    assert response.headers["content-type"].startswith("text/event-stream")
    assert "data:" not in response.text


# -- the organization


def test_the_usage_of_an_organization_names_the_team(fal: Fal) -> None:
    fal.completed()
    [row] = get(fal, "organization/usage?expand=summary,auth_method")["summary"]
    assert (row["username"], row["product"], row["endpoint_id"]) == ("alice", "model_apis", SCHNELL)
    assert (row["cost"], row["auth_method"]) == (0.003, "alice")
    for query in ("product=compute", "team_username=bob", f"endpoint_id={DEV}"):
        assert get(fal, f"organization/usage?expand=summary&{query}")["summary"] == []


@pytest.mark.parametrize("source", ["estimate", "invoice"])
def test_the_focus_report_is_csv_with_the_cost_of_each_endpoint(fal: Fal, source: str) -> None:
    fal.completed(num_images=2)
    response = fal.request("GET", f"{API}/account/focus?source={source}")
    assert response.headers["content-type"] == "text/csv; charset=utf-8"
    [row] = csv.DictReader(StringIO(response.text))
    assert (row["ResourceId"], row["BilledCost"], row["BillingCurrency"]) == (SCHNELL, "0.006", "USD")
    assert (row["ConsumedQuantity"], row["ChargeCategory"]) == ("2", "Usage")


@pytest.mark.parametrize(
    "query", ["", "source=guess", "source=invoice&billing_month=2026-13", "source=invoice&charge_month=x"]
)
def test_an_invalid_focus_report_is_rejected(fal: Fal, query: str) -> None:
    assert error_of(fal.request("GET", f"{API}/account/focus?{query}"))[:2] == (400, "validation_error")


def test_the_invoice_of_another_month_is_empty(fal: Fal) -> None:
    fal.completed()
    response = fal.request("GET", f"{API}/account/focus?source=invoice&charge_month=2001-01")
    assert list(csv.DictReader(StringIO(response.text))) == []
