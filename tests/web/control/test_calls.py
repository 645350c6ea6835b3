"""Calls of models: the list in pages, its filters, and each call in detail."""

from __future__ import annotations

from typing import Any

import pytest

from mock_fal.clock import EPOCH
from mock_fal.requests.queue import ModelRequest
from mock_fal.web.control.calls import MAX_IDS
from mock_fal.web.control.submissions import Submissions
from mock_fal.webhooks.outbox import Attempt
from tests.web.conftest import DEV, MEDIA, OURS, QUEUE, QUEUE_S, RUN_S, SCHNELL, Fal, Serve, open_fal

CALLS = f"{OURS}/_mock/calls"
HOOK = "?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook"
SMALL = {"image_size": {"width": 64, "height": 48}}


def page(fal: Fal, query: str = "") -> dict[str, Any]:
    """One page of the list."""
    response = fal.request("GET", f"{CALLS}{query}", key=None)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def listed(fal: Fal, query: str = "") -> list[str]:
    """The ids of a page."""
    return [call["id"] for call in page(fal, query)["calls"]]


def detail(fal: Fal, call_id: str) -> dict[str, Any]:
    response = fal.request("GET", f"{CALLS}/{call_id}", key=None)
    assert response.status_code == 200, response.text
    document: dict[str, Any] = response.json()
    return document


def refused(fal: Fal) -> str:
    """The id of a call that fal refuses."""
    fal.request("POST", f"{QUEUE}/fal-ai/nope", body=b'{"prompt": "a fish"}')
    return f"exchange-{fal.journal[-1].number}"


# -- the list


def test_a_call_shows_its_state_position_and_progress(fal: Fal) -> None:
    fal.submit()
    handle = fal.submit("a dog")
    [queued, _] = page(fal)["calls"]
    assert queued == {
        "id": handle.id,
        "key": "alice",
        "endpoint": SCHNELL,
        "operation": "submit",
        "kind": "image",
        "accepted": True,
        "state": "queued",
        "position": 1,
        "steps": {"done": 0, "total": 4},
        "submitted_at": EPOCH,
        "starts_at": EPOCH + QUEUE_S,
        "ends_at": EPOCH + QUEUE_S + RUN_S,
        "attempts": 0,
        "status": None,
        "error_type": None,
        "cost": None,
        "prompt": "a dog",
        "files": [],
        "file_count": 0,
        "text": None,
        "webhook": None,
        "directive": None,
        "tags": {},
        "exchange": 2,
        "replay_of": None,
        "warning": None,
    }
    fal.advance(QUEUE_S + RUN_S / 2)
    running = page(fal)["calls"][0]
    assert (running["state"], running["position"], running["steps"]) == (
        "running",
        None,
        {"done": 2, "total": 4},
    )


def test_a_completed_call_shows_what_came_out_and_what_it_cost(fal: Fal) -> None:
    handle = fal.completed("a cat", headers={"x-fal-tags": "team=red"})
    url = handle.result().json()["images"][0]["url"]
    [call] = page(fal)["calls"]
    assert (call["state"], call["status"], call["cost"], call["attempts"]) == ("completed", 200, 0.003, 1)
    assert (call["file_count"], call["tags"]) == (1, {"team": "red"})
    assert call["files"] == [
        {
            "url": url,
            "local": url.replace(MEDIA, "/_mock/media"),
            "content_type": "image/jpeg",
            "kind": "image",
            "preview": True,
        }
    ]


def test_a_text_result_shows_its_first_words(fal: Fal) -> None:
    fal.emulator.scenario.respond("me/app", {"text": "x" * 500})
    fal.completed(endpoint="me/app")
    [call] = page(fal)["calls"]
    assert call["text"] == "x" * 200


def test_a_failed_call_shows_its_error_and_its_attempts(fal: Fal) -> None:
    fal.emulator.scenario.add("error=runner_disconnected times=1")
    fal.submit()
    fal.advance(60)
    [call] = page(fal)["calls"]
    assert (call["state"], call["attempts"], call["directive"]) == (
        "completed",
        2,
        "times=1 error=runner_disconnected",
    )
    fal.completed("[mock: error=content_policy_violation]")
    failed = page(fal)["calls"][0]
    assert (failed["state"], failed["status"], failed["error_type"]) == (
        "failed",
        422,
        "content_policy_violation",
    )
    assert failed["cost"] == 0.0


def test_a_price_that_is_not_known_is_not_zero(fal: Fal) -> None:
    fal.emulator.scenario.respond("me/app", {"text": "hello"})
    fal.completed(endpoint="me/app")
    assert page(fal)["calls"][0]["cost"] is None


def test_a_refused_call_is_listed_by_its_exchange(fal: Fal) -> None:
    first, call_id, last = fal.submit().id, refused(fal), fal.submit().id
    assert listed(fal) == [last, call_id, first]
    call = page(fal)["calls"][1]
    assert (call["accepted"], call["state"], call["status"]) == (False, "failed", 404)
    assert (call["endpoint"], call["prompt"], call["kind"]) == ("fal-ai/nope", "a fish", None)
    assert call["warning"].startswith("fal-ai/nope; did you mean ")


def test_a_direct_request_is_listed_before_its_response(fal: Fal) -> None:
    open_call = fal.start_request("POST", f"https://fal.run/{SCHNELL}", body=b'{"prompt": "a cat"}')
    [running] = page(fal)["calls"]
    assert (running["state"], running["operation"], running["exchange"]) == ("running", None, None)
    fal.advance(RUN_S)
    open_call.response()
    [done] = page(fal)["calls"]
    assert (done["state"], done["operation"], done["prompt"]) == ("completed", "run", "a cat")


def test_the_nodes_of_a_workflow_are_calls_without_an_exchange(fal: Fal) -> None:
    contents = {"nodes": {"n": {"type": "run", "app": DEV}}, "output": {"images": "$n.images"}}
    body = {"name": "posters", "title": "Posters", "contents": contents}
    created = fal.request("POST", "https://api.fal.ai/v1/workflows", json=body)
    assert created.status_code == 201, created.text
    fal.submit(endpoint="workflows/alice/posters")
    assert [(call["endpoint"], call["exchange"] is None) for call in page(fal)["calls"]] == [
        ("workflows/alice/posters", False),
        (DEV, True),
    ]


def test_a_webhook_is_listed_with_its_state(fal: Fal) -> None:
    fal.submit(query=HOOK)
    (delivery,) = fal.emulator.outbox.deliveries
    waiting = {
        "url": "http://127.0.0.1:9/hook",
        "state": "waiting",
        "attempts": 0,
        "next_at": EPOCH + QUEUE_S + RUN_S,
    }
    assert page(fal)["calls"][0]["webhook"] == waiting
    fal.emulator.outbox.record(delivery, Attempt(EPOCH + 10, 0.25, status=200))
    delivered = {**waiting, "state": "delivered", "attempts": 1, "next_at": None}
    assert page(fal)["calls"][0]["webhook"] == delivered


@pytest.mark.parametrize(
    ("body", "prompt"),
    [
        (b'{"text": "hello"}', "hello"),
        (b'{"image_url": "https://a/b.png", "style": "soft"}', "soft"),
        (b'{"messages": [{"role": "user", "content": "hi"}]}', "user"),
        (b'{"prompt": "' + b"x" * 300 + b'"}', "x" * 200),
        (b'{"image_url": "data:image/png;base64,' + b"A" * 70_000 + b'", "prompt": "a"}', None),
        (b'{"prompt": "a \\"big\\" one", "image_url": "data:,' + b"A" * 70_000 + b'"}', 'a "big" one'),
        (b'{"n": 1}', None),
        (b"{", None),
        (b"[" * 100_000, None),
    ],
)
def test_the_prompt_is_the_first_text_of_an_input(fal: Fal, body: bytes, prompt: str | None) -> None:
    fal.request("POST", f"{QUEUE}/fal-ai/nope", body=body)
    assert page(fal)["calls"][0]["prompt"] == prompt


# -- pages


def test_pages_go_from_the_newest_call_to_the_oldest(fal: Fal) -> None:
    ids: list[str] = []
    for _ in range(3):
        ids += [fal.submit().id, refused(fal), fal.submit().id]
        fal.advance(1)
    assert page(fal)["total"] == 6
    seen: list[str] = []
    cursor = ""
    for size in (2, 2, 2, 2, 1):
        found = page(fal, f"?limit=2{cursor}")
        assert len(found["calls"]) == size
        seen += [call["id"] for call in found["calls"]]
        cursor = f"&before={found['next']}"
    assert found["next"] is None
    assert seen == ids[::-1]


def test_a_page_stays_the_same_while_calls_come_and_go(serve: Serve) -> None:
    fal = serve(retention=3)
    first, second, third = (fal.completed().id for _ in range(3))
    cursor = page(fal, "?limit=1")["next"]
    fourth = fal.completed().id  # the first one is forgotten
    assert listed(fal, f"?before={cursor}") == [second]
    assert listed(fal) == [fourth, third, second]
    assert first not in listed(fal)


def test_only_the_outcomes_of_the_page_are_read(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(9):
        fal.completed()
    read: list[str] = []
    result = ModelRequest.__dict__["result"].fget

    def noted(request: ModelRequest) -> Any:
        read.append(request.id)
        return result(request)

    monkeypatch.setattr(ModelRequest, "result", property(noted))
    shown = listed(fal, "?limit=2")
    assert set(read) == set(shown)


@pytest.mark.parametrize(
    ("query", "detail"),
    [
        ("?state=done", "state is 'done', expected one of queued, running, completed, failed, cancelled"),
        ("?status=9xx", "status is '9xx', expected a status such as 422, or 4xx"),
        ("?since=soon", "since is 'soon', expected Unix seconds"),
        ("?limit=0", "limit is '0', expected a number from 1 to 200"),
        ("?limit=201", "limit is '201', expected a number from 1 to 200"),
        ("?before=x", "before is 'x', expected the `next` of the page before"),
        ("?endpoint=" + "a" * 300, "endpoint is 'aaa"),
        ("?text=" + "a" * 201, "text is 'aaa"),
        ("?kye=alice", "unknown parameter 'kye'; expected one of key, "),
        ("?" + "&id=x" * (MAX_IDS + 1), f"{MAX_IDS + 1} times id, expected at most {MAX_IDS}"),
    ],
)
def test_an_invalid_query_is_rejected(fal: Fal, query: str, detail: str) -> None:
    response = fal.request("GET", f"{CALLS}{query}", key=None)
    assert response.status_code == 422
    assert response.json()["detail"].startswith(f"mock-fal: {detail}")


# -- filters


@pytest.fixture(scope="module")
def some() -> Any:
    """Calls in every state, and their ids by name."""
    with open_fal() as fal:
        ids = {
            "done": fal.submit("a cat").id,
            "bobs": fal.submit("a dog", endpoint=DEV, key="bob:secret").id,
            "bad": fal.submit("a [mock: error=content_policy_violation]").id,
            "refused": refused(fal),
        }
        fal.advance(QUEUE_S + RUN_S)
        cancelled = fal.submit("never")
        cancelled.cancel()
        ids |= {"cancelled": cancelled.id, "running": fal.submit("[mock: queue=0 run=99]").id}
        ids |= {"queued": fal.submit("[mock: queue=99] caf\u00e9").id}
        yield fal, ids


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("?key=bob", ["bobs"]),
        ("?endpoint=fal-ai/flux/dev", ["bobs"]),
        ("?endpoint=fal-ai/n*", ["refused"]),
        ("?state=queued", ["queued"]),
        ("?state=running", ["running"]),
        ("?state=completed", ["bobs", "done"]),
        ("?state=failed", ["refused", "bad"]),
        ("?state=cancelled", ["cancelled"]),
        ("?status=2xx", ["bobs", "done"]),
        ("?status=422", ["bad"]),
        ("?status=404", ["refused"]),
        ("?text=CAT", ["done"]),
        ("?text=caf%C3%A9", ["queued"]),
        ("?text=nope", ["refused"]),
        (f"?since={EPOCH + 1}", ["queued", "running", "cancelled"]),
        ("?key=alice&state=completed", ["done"]),
        ("?key=eve", []),
    ],
)
def test_a_query_filters_the_calls(some: tuple[Fal, dict[str, str]], query: str, names: list[str]) -> None:
    fal, ids = some
    assert listed(fal, query) == [ids[name] for name in names]


def test_calls_are_found_by_a_part_of_their_id(some: tuple[Fal, dict[str, str]]) -> None:
    fal, ids = some
    assert listed(fal, f"?text={ids['bad'][-12:].upper()}") == [ids["bad"]]


def test_calls_are_read_by_their_ids(some: tuple[Fal, dict[str, str]]) -> None:
    """Those that no longer match are left out, so that a client knows which rows to remove."""
    fal, ids = some
    query = f"?id={ids['done']}&id={ids['bad']}&id={ids['refused']}&id=unknown&id=exchange-1"
    assert listed(fal, query) == [ids["done"], ids["bad"], ids["refused"]]
    assert listed(fal, f"{query}&state=failed") == [ids["bad"], ids["refused"]]


# -- details


def test_a_detail_has_input_output_logs_and_exchanges(fal: Fal) -> None:
    handle = fal.completed("a cat", seed=7)
    handle.status()
    result = handle.result()
    call = detail(fal, handle.id)
    assert (call["input"], call["input_size"]) == ({"prompt": "a cat", "seed": 7}, 30)
    assert call["output"] == result.json()
    assert [line["message"][:4] for line in call["logs"]] == [" 25%", " 50%", " 75%", "100%"]
    assert call["logs"][0]["at"] == EPOCH + QUEUE_S + RUN_S / 4
    assert [item["operation"] for item in call["exchanges"]] == ["submit", "status", "result"]
    assert (call["ending"], call["inference_s"], call["now"]) == ("responded", RUN_S, EPOCH + QUEUE_S + RUN_S)
    assert call["attempt_list"] == [
        {
            "id": handle.id,
            "starts_at": EPOCH + QUEUE_S,
            "ends_at": EPOCH + QUEUE_S + RUN_S,
            "status": 200,
            "error_type": None,
        }
    ]


def test_a_call_that_is_not_over_has_no_output(fal: Fal) -> None:
    call = detail(fal, fal.submit().id)
    assert (call["output"], call["ending"], call["logs"]) == (None, None, [])


def test_an_error_is_the_output(fal: Fal) -> None:
    handle = fal.completed("[mock: error=runner_disconnected]", headers={"x-fal-no-retry": "1"})
    assert detail(fal, handle.id)["output"] == handle.result().json()


def test_a_data_uri_is_in_the_output(fal: Fal) -> None:
    handle = fal.completed(sync_mode=True, **SMALL)
    assert detail(fal, handle.id)["output"] == handle.result().json()


def test_deleted_payloads_are_not_shown(fal: Fal) -> None:
    handle = fal.completed()
    fal.request("DELETE", f"https://api.fal.ai/v1/models/requests/{handle.id}/payloads")
    call = detail(fal, handle.id)
    assert (call["output"], call["files"], call["cost"]) == (None, [], 0.003)


def test_a_cancelled_call_says_when_and_how(fal: Fal) -> None:
    handle = fal.submit("[mock: cancel=honoured]")
    fal.advance(QUEUE_S + 1)
    handle.cancel()
    call = detail(fal, handle.id)
    assert (call["cancelled_at"], call["ending"], call["state"]) == (
        EPOCH + QUEUE_S + 1,
        "stopped",
        "cancelled",
    )


def test_the_files_of_an_input_are_shown_by_their_place(fal: Fal) -> None:
    headers = {"content-type": "image/png"}
    upload = fal.request("POST", f"{MEDIA}/files/upload", headers=headers, body=b"png").json()["access_url"]
    path = upload.removeprefix(MEDIA)
    urls = [
        upload,
        f"{OURS}/v3b.fal.media{path}",
        "https://example.com/a.mp4",
        "data:image/webp;base64,AAAA",
        "https://v3b.fal.media/files/b/gone.wav",
        "http://[",
    ]
    handle = fal.submit(image_urls=urls, **{"a/b~c": upload})
    shown = [
        (named["pointer"], named["file"]["local"], named["file"]["content_type"], named["file"]["kind"])
        for named in detail(fal, handle.id)["input_files"]
    ]
    local = f"/_mock/media{path}"
    assert shown == [
        ("/image_urls/0", local, "image/png", "image"),
        ("/image_urls/1", local, "image/png", "image"),
        ("/image_urls/2", None, "video/mp4", "video"),
        ("/image_urls/3", None, "image/webp", "image"),
        ("/image_urls/4", None, "audio/x-wav", "audio"),
        ("/image_urls/5", None, None, "other"),
        ("/a~1b~0c", local, "image/png", "image"),
    ]


def test_a_long_input_is_shortened(fal: Fal) -> None:
    handle = fal.submit(image_url="data:image/png;base64," + "A" * 2_000_000)
    call = detail(fal, handle.id)
    assert call["input_size"] > 2_000_000
    assert len(str(call["input"])) < 2000


def test_rules_and_directives_that_acted_are_named(fal: Fal) -> None:
    fal.emulator.scenario.add("run=3")
    handle = fal.submit("a cat [mock: queue=1]")
    rules = detail(fal, handle.id)["rules"]
    assert [(rule["origin"], rule["rule"]) for rule in rules] == [("directive", "queue=1"), ("rule", "run=3")]
    assert rules[1]["sentences"][0].startswith("The run takes 3 s") or "3" in rules[1]["sentences"][0]


def test_the_rule_that_refused_a_call_is_named(fal: Fal) -> None:
    fal.emulator.scenario.add("status=429 times=1")
    fal.request("POST", f"{QUEUE}/{SCHNELL}", body=b'{"prompt": "a cat"}')
    call = detail(fal, f"exchange-{fal.journal[-1].number}")
    assert (call["status"], call["ending"]) == (429, "refused")
    assert [(rule["origin"], rule["rule"]) for rule in call["rules"]] == [("rule", "times=1 status=429")]


def test_a_refused_call_has_its_response_as_output(fal: Fal) -> None:
    call = detail(fal, refused(fal))
    assert (call["input"], call["output"]) == (
        {"prompt": "a fish"},
        {"detail": 'Application "nope" not found'},
    )


def test_the_usage_rules_judge_the_exchanges(fal: Fal) -> None:
    handle = fal.submit("a cat", steps=4)
    handle.result()  # too early
    findings = detail(fal, handle.id)["findings"]
    assert findings["available"] is True
    found = {item["id"]: item for item in findings["items"]}
    assert found["usage.field-names"]["exchanges"] == [1]
    assert found["usage.field-names"]["level"] in ("error", "advice")
    assert "num_inference_steps" in found["usage.field-names"]["message"]


def test_without_the_contracts_there_are_no_findings(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.web.control.findings.find_spec", lambda name: None)
    findings = detail(fal, fal.submit().id)["findings"]
    assert findings == {
        "available": False,
        "reason": "the package mock_fal_contracts is not installed",
        "items": [],
    }


def test_too_many_exchanges_are_not_judged(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.web.control.findings.MAX_EXCHANGES", 1)
    handle = fal.submit()
    handle.status()
    assert detail(fal, handle.id)["findings"]["reason"].startswith("the call has 2 exchanges")


def test_a_webhook_has_the_verification_of_each_attempt(fal: Fal) -> None:
    from mock_fal.webhooks.signature import signed, webhook_headers

    handle = fal.submit(query=HOOK)
    (delivery,) = fal.emulator.outbox.deliveries
    headers = webhook_headers(handle.id, "alice", b"{}", fal.emulator.signer, now=1e9, attempt=1)
    sent = signed(headers, b"{}")
    delivery.body = b"{}"
    for signature in (sent, sent._replace(signature=sent.signature[::-1])):
        fal.emulator.outbox.record(delivery, Attempt(EPOCH + 10, 0.25, 500, signed=signature))
    [shown] = detail(fal, handle.id)["deliveries"]
    assert [attempt["signature"] for attempt in shown["attempts"]] == ["valid", "invalid"]
    assert [attempt["signed_at"] for attempt in shown["attempts"]] == [10**9, 10**9]
    assert shown["attempts"][1]["reason"].startswith("the signature fits none of the 2 keys")


def test_a_forgotten_exchange_leaves_the_call_without_its_input(fal: Fal) -> None:
    handle = fal.submit()
    fal.emulator.store.exchanges.clear()
    call = detail(fal, handle.id)
    assert (call["input"], call["input_size"], call["exchanges"]) == (None, None, [])
    assert call["findings"]["reason"] == "no exchange of the call is stored"


@pytest.mark.parametrize(
    "call_id", ["unknown", "exchange-2", "exchange-99", "exchange-x", "exchange-" + "9" * 99]
)
def test_an_unknown_call_is_not_found(fal: Fal, call_id: str) -> None:
    fal.submit().status()
    response = fal.request("GET", f"{CALLS}/{call_id}", key=None)
    assert response.status_code == 404
    assert response.json()["detail"].startswith(f"mock-fal: no call '{call_id[:90]}")


def test_secrets_of_keys_are_not_shown(fal: Fal) -> None:
    key = "alice:s3cr3t-0f-alice"
    handle = fal.submit(f"a cat for {key}", key=key, headers={"x-fal-tags": f"k={key}"})
    text = (
        fal.request("GET", CALLS, key=None).text + fal.request("GET", f"{CALLS}/{handle.id}", key=None).text
    )
    assert "s3cr3t" not in text
    assert "alice:\u2022\u2022\u2022" in text


# -- which exchange made which call


def test_forgotten_exchanges_are_forgotten_here_too(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mock_fal.web.control.submissions._MAX_REMOVED", 0)
    submissions = Submissions(fal.emulator)
    handle = fal.submit()
    refused(fal)
    fal.wait_for(submissions.update())
    assert submissions.of(handle.id) is fal.journal[0]
    assert submissions.refused == [2]
    fal.emulator.store.exchanges.clear()
    fal.wait_for(submissions.update())
    assert (submissions.of(handle.id), submissions.refused) == (None, [])
