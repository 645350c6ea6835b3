"""A call as a program."""

from __future__ import annotations

import ast
import json
import shlex
from typing import Any

import pytest

from tests.web.conftest import OURS, QUEUE, SCHNELL, Fal

CALLS = f"{OURS}/_mock/calls"


def snippet(fal: Fal, call_id: str, language: str) -> str:
    response = fal.request("GET", f"{CALLS}/{call_id}/snippet?as={language}", key=None)
    assert (response.status_code, response.headers["content-type"]) == (200, "text/plain; charset=utf-8")
    return response.text


HARD = 'it\'s "a" $(cat) `x` \\ \u2028 caf\u00e9\n<script>'


def test_curl_sends_the_same_bytes(fal: Fal) -> None:
    body = json.dumps({"prompt": HARD}).encode()
    handle = fal.submit(body=body, headers={"x-fal-tags": "a='b'"}, query="?fal_max_queue_length=3")
    words = shlex.split(snippet(fal, handle.id, "curl"))
    assert words[:4] == ["curl", "-X", "POST", f"{QUEUE}/{SCHNELL}?fal_max_queue_length=3"]
    assert words[words.index("--data-raw") + 1].encode() == body
    assert "Authorization: Key $FAL_KEY" in words and "x-fal-tags: a='b'" in words


def test_python_passes_the_same_input(fal: Fal) -> None:
    document = {"prompt": HARD, "n": None, "on": True, "list": [1, 2.5, {"a": []}] * 9}
    handle = fal.submit(body=json.dumps(document).encode(), headers={"x-fal-tags": "a=b"})
    [call] = [
        node for node in ast.walk(ast.parse(snippet(fal, handle.id, "python"))) if isinstance(node, ast.Call)
    ][:1]
    assert ast.unparse(call.func) == "fal_client.subscribe"
    given = {keyword.arg: ast.literal_eval(keyword.value) for keyword in call.keywords}
    assert given == {"arguments": document, "headers": {"x-fal-tags": "a=b"}}
    assert ast.literal_eval(call.args[0]) == SCHNELL


def test_javascript_passes_the_same_input(fal: Fal) -> None:
    document = {"prompt": HARD, "n": None}
    text = snippet(fal, fal.submit(body=json.dumps(document).encode()).id, "javascript")
    assert text.startswith('import { fal } from "@fal-ai/client";\n\n')
    shown = text.partition("input: ")[2].rpartition(",\n});")[0]
    assert json.loads(shown) == document
    assert "\u2028" not in text


@pytest.mark.parametrize(
    ("language", "submit", "run"),
    [
        ("curl", "https://queue.fal.run/", "https://fal.run/"),
        ("python", "fal_client.subscribe(", "fal_client.run("),
        ("javascript", "fal.subscribe(", "fal.run("),
    ],
)
def test_a_direct_request_stays_direct(fal: Fal, language: str, submit: str, run: str) -> None:
    fal.run()
    direct = next(iter(fal.emulator.store.requests))
    assert run in snippet(fal, direct, language)
    assert submit in snippet(fal, fal.submit().id, language)


def test_a_stream_stays_a_stream(fal: Fal) -> None:
    fal.start_request("POST", f"https://fal.run/{SCHNELL}/stream", body=b'{"prompt": "a cat"}')
    fal.advance(60)
    [streamed] = fal.emulator.store.requests
    assert f"fal_client.stream(\n    '{SCHNELL}'" in snippet(fal, streamed, "python")
    assert f'fal.stream("{SCHNELL}"' in snippet(fal, streamed, "javascript")


def get(fal: Fal, call_id: str, query: str = "") -> Any:
    response = fal.request("GET", f"{CALLS}/{call_id}/snippet{query}", key=None)
    return response.status_code, response.json()["detail"]


def test_an_input_that_is_no_json_object_is_for_curl_only(fal: Fal) -> None:
    call_id = fal.submit(body=b"[1]").id
    assert "--data-raw '[1]'" in snippet(fal, call_id, "curl")
    assert get(fal, call_id, "?as=python") == (409, "mock-fal: the input is no JSON object")
    assert get(fal, fal.submit(body=b"\xff").id) == (409, "mock-fal: the input is no JSON object")


def test_a_long_input_is_no_source_text(fal: Fal) -> None:
    call_id = fal.submit("x" * 300_000).id
    assert get(fal, call_id) == (409, "mock-fal: the input has 300014 bytes, expected at most 262144")


def test_a_lone_surrogate_is_escaped(fal: Fal) -> None:
    assert "\\ud83d" in snippet(fal, fal.submit(body=rb'{"prompt": "a \ud83d"}').id, "javascript")


def test_unknown_languages_and_calls_are_rejected(fal: Fal) -> None:
    assert get(fal, fal.submit().id, "?as=cobol") == (
        422,
        "mock-fal: as is 'cobol', expected one of curl, python, javascript",
    )
    assert get(fal, "x") == (404, "mock-fal: no call 'x' is stored")


def test_no_secret_is_in_a_snippet(fal: Fal) -> None:
    handle = fal.submit("alice:s3cr3t-0f-alice", key="alice:s3cr3t-0f-alice")
    for language in ("curl", "python", "javascript"):
        assert "s3cr3t" not in snippet(fal, handle.id, language)
