"""The control API."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

import mock_fal
from mock_fal.clock import EPOCH, steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.journal.exchanges import Exchange
from mock_fal.webhooks.outbox import Attempt
from tests.clients.programs import NODES, Node
from tests.web.conftest import DEV, MEDIA, OURS, QUEUE, QUEUE_S, RUN_S, SCHNELL, Fal, Serve

REQUESTS = f"{OURS}/_mock/requests"
ADVANCE = f"{OURS}/_mock/clock/advance"


# -- health


def test_health_returns_the_version_and_the_time(fal: Fal) -> None:
    fal.advance(1.5)
    response = fal.request("GET", f"{OURS}/_mock/health", key=None)
    assert response.status_code == 200
    health = response.json()
    assert 0 <= health.pop("uptime_s") < 60
    assert health == {
        "status": "ok",
        "version": mock_fal.__version__,
        "clock": "manual",
        "now": EPOCH + 1.5,
        "any_key": True,
    }


def test_health_says_if_keys_are_limited(serve: Serve) -> None:
    fal = serve(key=("alice:secret",))
    assert fal.request("GET", f"{OURS}/_mock/health", key=None).json()["any_key"] is False


# -- requests


def listed(fal: Fal, query: str = "") -> list[dict[str, Any]]:
    """The requests that a valid query lists."""
    response = fal.request("GET", f"{REQUESTS}{query}")
    assert response.status_code == 200, response.text
    requests: list[dict[str, Any]] = response.json()["requests"]
    return requests


def test_requests_contain_the_request_and_the_response(fal: Fal) -> None:
    handle = fal.submit(query="?fal_max_queue_length=9")
    (exchange,) = listed(fal)
    duration_s, received_at = exchange.pop("duration_s"), exchange.pop("received_at")
    assert 0 <= duration_s < 60 and abs(received_at - steady_time()) < 60
    request, response = exchange.pop("request"), exchange.pop("response")
    assert exchange == {
        "id": 1,
        "at": EPOCH,
        "key": "alice",
        "way": "gateway",
        "scheme": "https",
        "client": "127.0.0.1:123",
        "method": "POST",
        "url": f"{QUEUE}/{SCHNELL}?fal_max_queue_length=9",
        "host": "queue.fal.run",
        "path": f"/{SCHNELL}",
        "query": "fal_max_queue_length=9",
        "status": 200,
        "operation": "submit",
        "endpoint": SCHNELL,
        "request_id": handle.id,
        "state": "queued",
        "directive": None,
        "attempts": [],
        "warning": None,
        "tags": {},
        "unknown_endpoint": None,
        "playback": None,
        "input": {"prompt": "a cat"},
        "output": handle.response.json(),
    }
    assert ["authorization", "Key alice:•••"] in request.pop("headers")
    assert request == {"body": '{"prompt": "a cat"}', "encoding": None, "size": 19}
    assert ["content-type", "application/json"] in response.pop("headers")
    assert response == {"body": handle.response.text, "encoding": None, "size": len(handle.response.content)}


def test_an_exchange_states_how_it_was_addressed(fal: Fal) -> None:
    proxied = {"x-fal-target-url": f"{QUEUE}/{SCHNELL}"}
    fal.submit()
    fal.submit(at=f"{OURS}/queue.fal.run")
    fal.request("POST", f"{OURS}/api/fal/proxy", headers=proxied, body=b'{"prompt": "a cat"}')
    assert [exchange["way"] for exchange in listed(fal)] == ["gateway", "direct", "proxy"]


def test_a_status_names_the_whole_endpoint(fal: Fal) -> None:
    """The URL of a status contains the app only."""
    fal.submit(endpoint=DEV).status()
    assert [exchange["endpoint"] for exchange in listed(fal)] == [DEV, DEV]


def test_a_body_that_is_not_text_is_base64(fal: Fal) -> None:
    fal.submit(body=b"\xff\x00")
    fal.submit(body=b"")
    binary, empty = (exchange["request"] for exchange in listed(fal))
    assert (binary["body"], binary["encoding"], binary["size"]) == ("/wA=", "base64", 2)
    assert (empty["body"], empty["encoding"], empty["size"]) == ("", None, 0)


def test_only_the_size_of_a_file_is_recorded(fal: Fal) -> None:
    picture = fal.request("GET", fal.picture(), key=None)
    (download,) = listed(fal, "?operation=download")
    assert (download["response"]["body"], download["response"]["size"]) == (None, len(picture.content))


def test_an_open_stream_is_listed_with_the_events_so_far(fal: Fal) -> None:
    watcher = fal.submit().watch()
    (stream,) = listed(fal, "?operation=status_stream")
    assert stream["duration_s"] is None
    assert json.loads(stream["response"]["body"].removeprefix("data: "))["status"] == "IN_QUEUE"
    watcher.disconnect()
    assert listed(fal, "?operation=status_stream")[0]["duration_s"] is not None


@pytest.mark.parametrize(
    ("query", "ids"),
    [
        ("?key=bob", [3]),
        ("?endpoint=fal-ai/flux/dev", [3]),
        ("?endpoint=fal-ai/flux/*", [1, 2, 3]),
        ("?endpoint=*/fluxx", [4]),
        ("?operation=submit", [1, 3, 4]),
        ("?operation=status&key=alice", [2]),
        ("?method=post", [1, 3, 4]),
        ("?host=queue.fal.run", [1, 2, 3, 4]),
        ("?host=fal.run", []),
        ("?status=404", [4]),
        ("?status=2xx", [1, 2, 3]),
        ("?since=2", [3, 4]),
        ("?limit=1", [4]),
        ("?limit=0", []),
        ("?since=1&limit=9&method=GET", [2]),
        ("?before=3", [1, 2]),
        ("?before=4&limit=2", [2, 3]),
    ],
)
def test_a_query_filters_the_requests(fal: Fal, query: str, ids: list[int]) -> None:
    fal.submit().status()
    fal.submit(endpoint=DEV, key="bob:secret")
    fal.request("POST", f"{QUEUE}/fal-ai/fluxx")
    assert [exchange["id"] for exchange in listed(fal, query)] == ids


def test_requests_are_filtered_by_request_id(fal: Fal) -> None:
    handle, _ = fal.submit(), fal.submit()
    handle.status()
    assert [exchange["id"] for exchange in listed(fal, f"?request_id={handle.id}")] == [1, 3]


@pytest.mark.parametrize(
    ("tag", "ids"), [("team", [1, 2]), ("team=red", [1]), ("team=", []), ("run=4=2", [2]), ("fal.x", [])]
)
def test_requests_are_filtered_by_tag(fal: Fal, tag: str, ids: list[int]) -> None:
    fal.submit(headers={"x-fal-tags": "team = red, fal.x=1"})
    fal.submit(headers={"x-fal-tags": "team=blue,run=4=2"})
    fal.submit(headers={"x-fal-tags": "no tag"})
    assert [exchange["id"] for exchange in listed(fal, f"?tag={tag}")] == ids
    assert listed(fal)[0]["tags"] == {"team": "red"}


def test_the_state_is_the_current_one(fal: Fal) -> None:
    fal.submit("[mock: queue=100]")
    fal.submit("[mock: run=100]")
    fal.submit("a cat")
    fal.submit("[mock: error=content_policy_violation]")
    fal.submit("[mock: error=runner_disconnected]", headers={"x-fal-no-retry": "1"})
    fal.submit().cancel()
    fal.request("POST", f"{QUEUE}/fal-ai/fluxx")
    fal.advance(QUEUE_S + RUN_S)
    states = ["queued", "running", "completed", "failed", "failed", "cancelled", None]
    assert [exchange["state"] for exchange in listed(fal, "?operation=submit")] == states
    assert [exchange["id"] for exchange in listed(fal, "?state=failed")] == [4, 5]


def test_a_request_that_exceeds_its_start_timeout_has_failed(fal: Fal) -> None:
    fal.submit(headers={"x-fal-request-timeout": "1"})
    fal.advance(QUEUE_S)
    assert [exchange["state"] for exchange in listed(fal)] == ["failed"]


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("?state=done", "state is 'done', expected one of queued, running, completed, failed, cancelled"),
        ("?operation=poll", "operation is 'poll', expected one of submit, run, stream, realtime, status, "),
        ("?status=x", "status is 'x', expected a status such as 422, or 4xx"),
        ("?status=9xx", "status is '9xx', expected a status such as 422, or 4xx"),
        ("?since=soon", "since is 'soon', expected the id of an exchange"),
        ("?limit=-1", "limit is '-1', expected a number"),
        ("?limit=" + "9" * 5000, "limit is '999"),
        ("?before=last", "before is 'last', expected the id of an exchange"),
        ("?bodies=no", "bodies is 'no', expected 0 or 1"),
        ("?format=xml", "format is 'xml', expected json or har"),
        ("?stat=200", "unknown parameter 'stat'; expected one of key, endpoint, operation, state, "),
    ],
)
@pytest.mark.parametrize("page", ["requests", "requests.har"])
def test_an_invalid_query_is_rejected_with_what_was_expected(
    fal: Fal, page: str, query: str, detail: str
) -> None:
    response = fal.request("GET", f"{OURS}/_mock/{page}{query}")
    assert response.status_code == 422
    assert response.json()["detail"].startswith(f"mock-fal: {detail}")


def test_requests_are_listed_oldest_first_without_control_requests(fal: Fal) -> None:
    handle = fal.submit()
    handle.status()
    fal.request("GET", REQUESTS)
    requests = fal.request("GET", REQUESTS).json()["requests"]
    assert [exchange["url"] for exchange in requests] == [f"{QUEUE}/{SCHNELL}", f"{handle.url}/status"]


@pytest.mark.parametrize(("key", "number"), [("alice", 1), ("bob", 2), ("eve", 0), ("", 0)])
def test_requests_are_filtered_by_key(fal: Fal, key: str, number: int) -> None:
    fal.submit(key="alice:secret")
    fal.submit(key="bob:secret").status(key=None)
    requests = fal.request("GET", f"{REQUESTS}?key={key}").json()["requests"]
    assert [exchange["key"] for exchange in requests] == [key] * number


def test_a_body_that_is_not_json_is_text(fal: Fal) -> None:
    picture = fal.picture()
    fal.emulator.reset()
    fal.submit(body=b"\xffa cat")
    fal.request("GET", f"{QUEUE}/fal-ai/flux")
    fal.request("GET", picture)
    requests = fal.request("GET", REQUESTS).json()["requests"]
    assert [exchange["input"] for exchange in requests] == ["\ufffda cat", None, None]
    assert [exchange["output"] for exchange in requests[1:]] == [
        "405: Method Not Allowed",
        {"detail": "File not found"},
    ]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (rb'{"prompt":"\ud83d"}', {"prompt": "\ud83d"}),
        (b'{"prompt":"a cat","seed":NaN}', {"prompt": "a cat", "seed": None}),
        (b'{"prompt":"a cat","seed":1e999}', {"prompt": "a cat", "seed": None}),
    ],
)
def test_lone_surrogates_and_infinities_can_be_listed(fal: Fal, body: bytes, expected: object) -> None:
    fal.submit(body=body)
    assert fal.request("GET", REQUESTS).json()["requests"][0]["input"] == expected


def test_a_deep_body_in_utf_16_is_text(fal: Fal) -> None:
    fal.submit(body=("[" * 200 + '"\xe9"' + "]" * 200).encode("utf-16"))
    assert isinstance(fal.request("GET", REQUESTS).json()["requests"][0]["input"], str)


@pytest.mark.parametrize("depth", [99, 100, 101, 500, 800, 900])
def test_a_body_nested_too_deep_is_text(fal: Fal, depth: int) -> None:
    body = "[" * depth + "]" * depth
    fal.submit(body=body.encode())
    text = fal.request("GET", REQUESTS).json()["requests"][0]["input"]
    assert text == (json.loads(body) if depth <= 100 else body)


def test_a_reset_removes_everything(fal: Fal) -> None:
    handle = fal.completed()
    response = fal.request("DELETE", REQUESTS)
    assert (response.status_code, response.content) == (204, b"")
    assert fal.request("GET", REQUESTS).json() == {"requests": []}
    assert handle.result().status_code == 404


def test_a_reset_can_be_limited_to_one_key(fal: Fal) -> None:
    alices, bobs = fal.submit(key="alice:secret"), fal.submit(key="bob:secret")
    fal.request("DELETE", f"{REQUESTS}?key=alice")
    assert [exchange["key"] for exchange in fal.request("GET", REQUESTS).json()["requests"]] == ["bob"]
    assert alices.status(key=None).status_code == 404
    assert bobs.status(key=None).status_code == 202


# -- the archive


def archive(fal: Fal, query: str = "") -> list[dict[str, Any]]:
    response = fal.request("GET", f"{OURS}/_mock/requests.har{query}")
    assert response.headers["content-disposition"] == 'attachment; filename="mock-fal.har"'
    assert response.json()["log"]["version"] == "1.2"
    requests: list[dict[str, Any]] = response.json()["log"]["entries"]
    return requests


def test_the_archive_has_request_and_response(fal: Fal) -> None:
    handle = fal.submit(query="?logs=1")
    (request,) = archive(fal)
    assert request["request"]["url"] == f"{QUEUE}/{SCHNELL}?logs=1"
    assert request["request"]["queryString"] == [{"name": "logs", "value": "1"}]
    assert request["request"]["postData"]["text"] == '{"prompt": "a cat"}'
    assert request["response"]["content"]["text"] == handle.response.text
    assert request["response"]["content"]["mimeType"] == "application/json"
    assert request["_request_id"] == handle.id


@pytest.mark.parametrize(
    ("given", "masked"),
    [
        ("Key alice:secret", "Key alice:•••"),
        ("Bearer secret", "Bearer •••"),
        ("secret", "•••"),
        ("Key secret", "Key •••"),
    ],
)
def test_the_archive_masks_secrets(fal: Fal, given: str, masked: str) -> None:
    fal.request("GET", f"{QUEUE}/x", key=None, headers={"authorization": given})
    values = [
        next(header["value"] for header in request["request"]["headers"] if header["name"] == "authorization")
        for request in archive(fal)
    ]
    assert values == [masked]


@pytest.fixture
def searched(monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, bool]]:
    """For each exchange that was searched for keys: whether its body is long, and whether it was done in a thread."""
    searched: list[tuple[bool, bool]] = []
    shown = Emulator.shown

    def seen(emulator: Emulator, exchange: Exchange) -> Exchange:
        if exchange.searched_version != emulator.keys.secrets.version:
            is_long = len(exchange.request_body) > 100_000
            searched.append((is_long, threading.current_thread().name.startswith("mock-fal")))
        return shown(emulator, exchange)

    monkeypatch.setattr(Emulator, "shown", seen)
    return searched


LONG_PROMPT = "alice:0123456789abcdef" + " x" * 50_000


@pytest.mark.parametrize("path", [REQUESTS, f"{REQUESTS}.har", f"{OURS}/_mock/calls"])
def test_long_bodies_are_searched_for_keys_in_a_thread(
    fal: Fal, searched: list[tuple[bool, bool]], path: str
) -> None:
    fal.submit(key="alice:0123456789abcdef", prompt="short")
    fal.submit(key="bob:secret", prompt=LONG_PROMPT)
    text = fal.request("GET", path, key=None).text
    assert sorted(searched) == [(False, False), (True, True)]
    assert "0123456789abcdef" not in text


@pytest.mark.parametrize("part", ["", "/snippet", "/cassettes"])
def test_the_long_bodies_of_a_call_are_searched_for_keys_in_a_thread(
    fal: Fal, searched: list[tuple[bool, bool]], part: str
) -> None:
    fal.submit(key="alice:0123456789abcdef", prompt="short")
    call = fal.submit(key="bob:secret", prompt=LONG_PROMPT)
    response = fal.request("GET", f"{OURS}/_mock/calls/{call.id}{part}", key=None)
    assert response.status_code == 200, response.text
    assert searched == [(True, True)]
    assert b"0123456789abcdef" not in response.content


def test_the_long_body_of_a_replayed_call_is_searched_for_keys_in_a_thread(
    fal: Fal, searched: list[tuple[bool, bool]]
) -> None:
    fal.submit(key="alice:0123456789abcdef", prompt="short")
    call = fal.submit(key="bob:secret", prompt=LONG_PROMPT)
    response = fal.request("POST", f"{OURS}/_mock/calls/{call.id}/replay", key=None, json={})
    assert response.status_code == 202, response.text
    assert searched == [(True, True)]


def test_the_archive_is_filtered_by_key_and_also_a_format(fal: Fal) -> None:
    fal.submit(key="alice:secret")
    fal.submit(key="bob:secret")
    assert [entry["_key"] for entry in archive(fal, "?key=bob")] == ["bob"]
    assert fal.request("GET", f"{REQUESTS}?format=har&key=bob").json()["log"]["entries"] == archive(
        fal, "?key=bob"
    )


def test_urls_in_the_archive_are_percent_encoded(fal: Fal) -> None:
    fal.request("GET", f"{QUEUE}/x/a%20cat%3F")
    assert archive(fal)[0]["request"]["url"] == f"{QUEUE}/x/a%20cat%3F"


def test_the_archive_is_valid_har(fal: Fal, tmp_path: Path) -> None:
    """Validated by har-validator, with all kinds of exchanges."""
    upload = f"{OURS}/v3b.fal.media/files/upload"
    fal.submit().status("?logs=1&logs=")
    fal.submit(body=b"\xff\x00")
    fal.submit("[mock: error=content_policy_violation]").watch().disconnect()
    fal.request("GET", fal.picture(), key=None)
    fal.request("POST", upload, body=b"\xff", headers={"content-type": "image/png"})
    fal.request("GET", f"{QUEUE}/<b>/\u00e4?\u00e4=%ff", key=None)
    response = fal.request("GET", f"{OURS}/_mock/requests.har")
    assert len(response.json()["log"]["entries"]) == 10
    path = tmp_path / "journal.har"
    path.write_bytes(response.content)
    assert Node(NODES[-1])("har.mjs", str(path)) == {"valid": True, "errors": None}


# -- files


def test_files_are_uploads_and_result_files(fal: Fal) -> None:
    headers = {
        "content-type": "text/plain",
        "x-fal-object-lifecycle-preference": '{"expiration_duration_seconds": 60}',
    }
    uploaded = fal.request("POST", f"{MEDIA}/files/upload", headers=headers, body=b"a cat")
    picture = fal.picture()
    pending = fal.submit(key="bob:secret")
    files = fal.request("GET", f"{OURS}/_mock/files").json()["files"]
    assert files == [
        {
            "url": uploaded.json()["access_url"],
            "local": uploaded.json()["access_url"].replace(MEDIA, "/_mock/media"),
            "content_type": "text/plain",
            "kind": "text",
            "preview": False,
            "key": "alice",
            "size": 5,
            "created_at": EPOCH,
            "expires_at": EPOCH + 60,
            "request_id": None,
        },
        {
            "url": picture,
            "local": picture.replace(MEDIA, "/_mock/media"),
            "content_type": "image/jpeg",
            "kind": "image",
            "preview": True,
            "key": "alice",
            "size": None,
            "created_at": EPOCH + QUEUE_S + RUN_S,
            "expires_at": None,
            "request_id": listed(fal, "?operation=submit")[0]["request_id"],
        },
    ]
    fal.advance(60)
    urls = {
        key: fal.request("GET", f"{OURS}/_mock/files?key={key}").json()["files"] for key in ("alice", "bob")
    }
    assert [file["url"] for file in urls["alice"]] == [picture]
    assert [file["request_id"] for file in urls["bob"]] == [pending.id]


def test_files_and_deliveries_are_paged_from_the_latest_back(fal: Fal) -> None:
    for _ in range(3):
        fal.completed(query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    for name in ("files", "deliveries"):
        whole = fal.request("GET", f"{OURS}/_mock/{name}").json()
        assert (whole["next"], len(whole[name])) == (None, 3)
        latest = fal.request("GET", f"{OURS}/_mock/{name}?limit=2").json()
        assert latest[name] == whole[name][1:]
        oldest = fal.request(
            "GET", f"{OURS}/_mock/{name}", params={"limit": 2, "before": latest["next"]}
        ).json()
        assert (oldest[name], oldest["next"]) == (whole[name][:1], None)
        assert fal.request("GET", f"{OURS}/_mock/{name}?before=gone").json()[name] == []
        response = fal.request("GET", f"{OURS}/_mock/{name}?limit=1001")
        assert response.json()["detail"] == "mock-fal: limit is '1001', expected a number from 1 to 1000"


# -- one exchange


def test_one_exchange_is_read_by_its_id(fal: Fal) -> None:
    fal.submit().status()
    [first, second] = listed(fal)
    assert fal.request("GET", f"{REQUESTS}/1").json() == first
    assert fal.request("GET", f"{REQUESTS}/2").json() == second


def test_a_long_body_of_one_exchange_is_base64(fal: Fal) -> None:
    fal.submit(body=b"x" * 1_500_000)
    request = fal.request("GET", f"{REQUESTS}/1").json()["request"]
    assert (request["encoding"], len(request["body"])) == ("base64", 2_000_000)


@pytest.mark.parametrize("number", ["2", "0", "x", "9" * 30])
def test_an_unknown_exchange_is_not_found(fal: Fal, number: str) -> None:
    fal.submit()
    response = fal.request("GET", f"{REQUESTS}/{number}")
    assert (response.status_code, response.json()["detail"]) == (
        404,
        f"mock-fal: no exchange {number!r} is stored",
    )


def test_exchanges_are_listed_without_bodies_on_request(fal: Fal) -> None:
    fal.submit()
    [exchange] = listed(fal, "?bodies=0")
    assert exchange["url"] == f"{QUEUE}/{SCHNELL}"
    assert not {"request", "response", "input", "output"} & exchange.keys()


# -- metrics


def samples(fal: Fal) -> dict[str, float]:
    """The parsed metrics: name and labels -> value."""
    response = fal.request("GET", f"{OURS}/_mock/metrics", key=None)
    assert response.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    families = list(text_string_to_metric_families(response.text))
    assert all(family.documentation and family.type in ("counter", "gauge") for family in families)
    return {
        " ".join([sample.name.removeprefix("mock_fal_"), *sample.labels.values()]): sample.value
        for family in families
        for sample in family.samples
    }


def test_usage_is_the_cost_of_one_key_or_of_all(fal: Fal) -> None:
    fal.completed(endpoint=SCHNELL)
    fal.completed(endpoint=SCHNELL, key="bob:secret")
    every, alice, nobody = (
        fal.request("GET", f"{OURS}/_mock/usage{query}", key=None).json()
        for query in ("", "?key=alice", "?key=carol")
    )
    assert [usage["items"][0]["requests"] for usage in (every, alice)] == [2, 1]
    assert alice["items"][0]["endpoint"] == SCHNELL
    assert every["cost"] == 2 * alice["cost"] > 0
    assert nobody == {
        "cost": 0,
        "currency": "USD",
        "unpriced": 0,
        "items": [],
        "days": [],
        "credits": 100,
        "balance": 100.0,
    }
    assert (every["balance"], alice["balance"]) == (None, 100 - alice["cost"])


def test_usage_is_summed_by_day_also_for_forgotten_requests(serve: Serve) -> None:
    fal = serve(retention=2)
    for _ in range(2):
        fal.completed()
        fal.completed()
        fal.advance(86_400)
    days = fal.request("GET", f"{OURS}/_mock/usage").json()["days"]
    assert days == [
        {"day": "2026-01-01", "requests": 2, "cost": 0.006},
        {"day": "2026-01-02", "requests": 2, "cost": 0.006},
    ]


def test_metrics_count_what_happened(fal: Fal) -> None:
    handle = fal.completed(query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    handle.result()
    fal.submit()
    fal.request("GET", "https://evil.fal.run/x")
    fal.request("POST", f"{MEDIA}/files/upload", body=b"a cat")
    metrics = samples(fal)
    assert metrics["http_requests_total queue.fal.run submit 200"] == 2
    assert metrics["http_requests_total queue.fal.run result 200"] == 1
    assert metrics["http_requests_total other other 501"] == 1
    assert (metrics["requests completed"], metrics["requests queued"], metrics["requests failed"]) == (
        1,
        1,
        0,
    )
    assert (metrics["deliveries waiting"], metrics["deliveries delivered"]) == (1, 0)
    assert (metrics["submissions_total"], metrics["upload_bytes"], metrics["result_files"]) == (2, 5, 2)
    assert metrics["journal_exchanges"] == 5
    assert metrics["journal_bytes"] > 0
    assert metrics["clock_seconds"] == fal.clock.now()
    assert metrics[f"build_info {mock_fal.__version__}"] == 1


def test_counters_never_decrease(serve: Serve) -> None:
    fal = serve(retention=2)
    for _ in range(3):
        fal.completed()
    before = samples(fal)
    fal.request("DELETE", f"{REQUESTS}?key=alice")
    fal.submit(key="bob:secret")
    fal.request("DELETE", REQUESTS)
    after = samples(fal)
    count = "http_requests_total queue.fal.run submit 200"
    assert (before[count], before["journal_exchanges"]) == (3, 2)
    assert (after[count], after["journal_exchanges"], after["submissions_total"]) == (4, 0, 4)


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "requests"), ("GET", "deliveries"), ("GET", "files"), ("GET", "usage")],
)
def test_a_misspelled_parameter_does_not_select_all_keys(fal: Fal, method: str, path: str) -> None:
    handle = fal.submit()
    response = fal.request(method, f"{OURS}/_mock/{path}?kye=alice")
    assert response.status_code == 422
    assert response.json()["detail"].startswith("mock-fal: unknown parameter 'kye'; expected one of key")
    assert handle.status().status_code == 202


# -- deliveries

DELIVERIES = f"{OURS}/_mock/deliveries"


def test_deliveries_contain_their_attempts(fal: Fal) -> None:
    handle = fal.submit(query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    (delivery,) = fal.emulator.outbox.deliveries
    waiting = {
        "request_id": handle.id,
        "key": "alice",
        "url": "http://127.0.0.1:9/hook",
        "state": "waiting",
        "next_at": EPOCH + QUEUE_S + RUN_S,
        "attempts": [],
        "fault": None,
        "body": None,
    }
    assert fal.request("GET", DELIVERIES).json() == {"next": None, "deliveries": [waiting]}
    fal.emulator.outbox.record(delivery, Attempt(EPOCH + 10, 0.25, status=200))
    unsigned = {"signed_at": None, "signature": None, "reason": None}
    tried = {"at": EPOCH + 10, "status": 200, "duration_s": 0.25, "error": None, **unsigned}
    delivered = {**waiting, "state": "delivered", "next_at": None, "attempts": [tried]}
    assert fal.request("GET", DELIVERIES).json() == {"next": None, "deliveries": [delivered]}


@pytest.mark.parametrize(("key", "keys"), [("alice", ["alice"]), ("bob", ["bob"]), ("eve", [])])
def test_deliveries_are_filtered_by_key(fal: Fal, key: str, keys: list[str]) -> None:
    for name in ("alice", "bob"):
        fal.submit(key=f"{name}:secret", query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    deliveries = fal.request("GET", f"{DELIVERIES}?key={key}").json()["deliveries"]
    assert [delivery["key"] for delivery in deliveries] == keys


# -- the clock


@pytest.mark.parametrize("clock", ["manual", "auto-advance"])
def test_the_clock_returns_its_kind_and_the_time(serve: Serve, clock: str) -> None:
    response = serve(clock=clock).request("GET", f"{OURS}/_mock/clock").json()
    assert response == {"clock": clock, "speed": 1.0, "now": EPOCH}


def test_the_system_clock_changes_its_speed(serve: Serve) -> None:
    fal = serve(clock="system")
    response = fal.request("PUT", f"{OURS}/_mock/clock", body=b'{"speed": 1000}')
    assert (response.status_code, response.json()["speed"]) == (200, 1000.0)
    assert fal.request("GET", f"{OURS}/_mock/clock").json()["speed"] == 1000.0


@pytest.mark.parametrize(
    "body", [b"{}", b'{"speed": 0}', b'{"speed": true}', b'{"speed": "2"}', b'{"speed": 1e7}', b"[]", b"{"]
)
def test_another_speed_is_rejected(serve: Serve, body: bytes) -> None:
    response = serve(clock="system").request("PUT", f"{OURS}/_mock/clock", body=body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith('mock-fal: expected {"speed": 10}, with 0.001 to 1000000')


def test_other_clocks_have_no_speed(fal: Fal) -> None:
    response = fal.request("PUT", f"{OURS}/_mock/clock", body=b'{"speed": 2}')
    assert response.status_code == 409
    assert "start with --clock system" in response.json()["detail"]


@pytest.mark.parametrize("clock", ["manual", "auto-advance"])
def test_manual_and_auto_advance_clocks_can_be_advanced(serve: Serve, clock: str) -> None:
    fal = serve(clock=clock)
    response = fal.request("POST", ADVANCE, body=b'{"seconds": 10}')
    assert (response.status_code, response.json()) == (200, {"now": EPOCH + 10})
    assert fal.clock.now() == EPOCH + 10


def test_advancing_the_clock_advances_requests(fal: Fal) -> None:
    handle = fal.submit()
    watcher = handle.watch()
    fal.request("POST", ADVANCE, body=b'{"seconds": 2}')
    fal.run_until_idle()
    assert handle.status().json()["status"] == "IN_PROGRESS"
    assert [event["status"] for event in watcher.events()] == ["IN_QUEUE", "IN_PROGRESS"]


def test_the_system_clock_cannot_be_advanced(serve: Serve) -> None:
    response = serve(clock="system").request("POST", ADVANCE, body=b'{"seconds": 10}')
    assert response.status_code == 409
    assert response.json()["detail"].startswith("mock-fal: the system clock cannot be advanced")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"10",
        b"[]",
        b"null",
        b"{}",
        b"{",
        b"\xff",
        b'{"seconds": "soon"}',
        b'{"seconds": null}',
        b'{"seconds": [1]}',
        b'{"seconds": -1}',
        b'{"seconds": NaN}',
        b'{"seconds": Infinity}',
        b'{"seconds": 1e300}',
        b'{"seconds": 1' + b"0" * 400 + b"}",
        b"[" * 100_000,
    ],
)
def test_an_invalid_duration_does_not_advance_the_clock(fal: Fal, body: bytes) -> None:
    response = fal.request("POST", ADVANCE, body=body)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(
        'mock-fal: expected {"seconds": 10}, with 0 to 1000000000 seconds'
    )
    assert fal.clock.now() == EPOCH


def test_the_clock_cannot_be_advanced_beyond_the_year_9999(fal: Fal) -> None:
    """Later times cannot be formatted as timestamps."""
    handle = fal.submit()
    decades = [fal.request("POST", ADVANCE, body=b'{"seconds": 1e9}').status_code for _ in range(222)]
    assert decades == [200] * 220 + [422] * 2
    assert handle.status("?logs=1").status_code == 200
    assert fal.submit().status().status_code == 202


# -- the gateway


def test_the_gateway_is_opened_on_request(fal: Fal) -> None:
    assert fal.request("POST", f"{OURS}/_mock/gateway").json() == {"proxy_url": "http://127.0.0.1:1"}


# -- access


@pytest.mark.parametrize(
    "host",
    [
        *("localhost", "localhost:8325", "LOCALHOST", "app.localhost:8325", "127.0.0.1", "127.0.0.1:8325"),
        *("[::1]", "[::1]:8325", "192.168.1.7:8325", "mock", "mock:8325", "host.docker.internal:8325"),
    ],
)
def test_local_programs_are_accepted(fal: Fal, host: str) -> None:
    assert fal.request("GET", f"{OURS}/_mock/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.test", "evil.test:8325", "localhost.evil.test", "127.0.0.1.evil.test", "1.2.3.4.5", "[", "[::1"],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/_mock/requests"), ("DELETE", "/_mock/requests"), ("GET", "/x")],
)
def test_a_public_host_name_is_rejected(fal: Fal, method: str, path: str, host: str) -> None:
    fal.submit()
    response = fal.request(method, OURS + path, headers={"host": host})
    assert response.status_code == 403
    assert response.json()["detail"].startswith("mock-fal: the control API accepts local requests only")
    assert len(fal.journal) == 1


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.test",
        "null",
        "",
        "http://127.0.0.1:3000",
        "http://localhost:8325",
        "http://[",
        "127.0.0.1:8325",
    ],
)
@pytest.mark.parametrize("method", ["GET", "DELETE", "OPTIONS"])
def test_a_page_of_another_site_is_rejected(fal: Fal, method: str, origin: str) -> None:
    fal.submit()
    response = fal.request(method, REQUESTS, headers={"origin": origin})
    assert response.status_code == 403
    assert "access-control-allow-origin" not in response.headers
    assert len(fal.journal) == 1


def test_the_page_of_the_server_is_accepted(fal: Fal) -> None:
    assert fal.request("GET", REQUESTS, headers={"origin": OURS}).status_code == 200


# -- other paths


def test_an_unknown_path_of_the_control_api_is_an_error_in_json(fal: Fal) -> None:
    response = fal.request("GET", f"{OURS}/_mock/nothing")
    assert response.status_code == 404
    assert response.json()["detail"].startswith("mock-fal: no route '/_mock/nothing'. fal's hosts are at")


@pytest.mark.parametrize("path", ["/_mock", "/fal-ai/flux/schnell", "/favicon.ico", "/v3b"])
def test_an_unknown_path_lists_the_available_routes(fal: Fal, path: str) -> None:
    response = fal.request("GET", OURS + path)
    assert response.status_code == 404
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text.startswith(f"mock-fal: no route {path}. fal's hosts are at /queue.fal.run/")


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("POST", "/_mock/requests"), ("GET", "/_mock/clock/advance")]
)
def test_other_methods_are_rejected(fal: Fal, method: str, path: str) -> None:
    assert fal.request(method, OURS + path).status_code == 405


@pytest.mark.parametrize("path", ["/_mock/health", "/_mock/requests", "/_mock/clock/advance"])
def test_fals_hosts_have_no_control_api(fal: Fal, path: str) -> None:
    assert fal.request("GET", QUEUE + path).status_code == 405


# -- summary


def test_the_summary_is_the_text_that_run_prints(fal: Fal) -> None:
    fal.request("POST", "https://fal.run/fal-ai/nothing-of-this-name", json={})
    response = fal.request("GET", f"{OURS}/_mock/summary", key=None)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    first, *_ = response.text.splitlines()
    assert first == "mock-fal: 1 request received"
    assert "not emulated: " in response.text
