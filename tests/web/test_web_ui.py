"""The web UI."""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest

import mock_fal
from mock_fal.clock import EPOCH
from mock_fal.media.recipe import Document, MediaRecipe, Model3D, OwnFile, Sound, Video
from mock_fal.pictures.recipe import Recipe
from mock_fal.web.control.web_ui import MAX_BODY_CHARS, MAX_EXCHANGES, MAX_FILES
from mock_fal.webhooks.outbox import Attempt
from tests.web.conftest import OURS, QUEUE, SCHNELL, Fal


def page(fal: Fal, query: str = "") -> str:
    response = fal.request("GET", f"{OURS}/{query}", key=None)
    assert response.status_code == 200
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    return response.text


def test_an_empty_page_states_that_there_are_no_requests(fal: Fal) -> None:
    text = page(fal)
    assert "No files yet." in text
    assert "No requests yet." in text
    assert "No webhooks yet." in text
    assert f"Version {mock_fal.__version__}." in text


def test_the_page_shows_requests_newest_first(fal: Fal) -> None:
    handle = fal.submit()
    fal.advance(0.5)
    handle.status(key="bob:secret")
    text = page(fal)
    first = "<summary><span>00:00:00.500</span><span>bob</span><span>GET</span>"
    second = (
        f"<summary><span>00:00:00.000</span><span>alice</span><span>POST</span><span>{QUEUE}/{SCHNELL}</span>"
        '<span class="good">200</span></summary>'
    )
    assert text.index(first) < text.index(second)
    assert '<span class="bad">404</span>' in text


def test_an_open_request_shows_headers_and_bodies(fal: Fal) -> None:
    handle = fal.submit("a cat")
    text = page(fal)
    assert "host: queue.fal.run\n" in text
    assert "{\n  &quot;prompt&quot;: &quot;a cat&quot;\n}</pre>" in text
    assert f"&quot;request_id&quot;: &quot;{handle.id}&quot;" in text


def test_long_bodies_are_truncated(fal: Fal) -> None:
    fal.submit(body=b"\xff" + b"x" * 10 * MAX_BODY_CHARS)
    fal.submit(body=b"[" * 1000)
    fal.submit(body=b"")
    fal.request("GET", fal.picture())
    text = page(fal)
    assert f"… ({10 * MAX_BODY_CHARS + 1} bytes)" in text
    assert "x" * MAX_BODY_CHARS not in text
    assert "[" * 1000 in text
    assert "(no body)" in text
    assert re.search(r"\(\d+ bytes, not kept\)", text)


def test_the_page_can_be_limited_to_one_key(fal: Fal) -> None:
    fal.completed("a cat", key="alice:secret")
    fal.completed("a dog", key="bob & co:secret")
    text = page(fal, "?key=bob%20%26%20co")
    assert "a dog" in text and "a cat" not in text
    assert '<a href="/?key=bob%20%26%20co" aria-current="page">bob &amp; co</a>' in text
    assert '<a href="/?key=alice">alice</a>' in text
    assert 'href="/_mock/requests.har?key=bob%20%26%20co"' in text
    assert "No requests yet." in page(fal, "?key=eve")


def test_webhooks_are_shown_with_all_attempts(fal: Fal) -> None:
    handle = fal.submit(query="?fal_webhook=http%3A%2F%2F127.0.0.1%3A9%2Fhook")
    text = page(fal)
    assert f"<span>{handle.id}</span><span>alice</span><span>0 attempts</span>" in text
    assert "<span>http://127.0.0.1:9/hook</span>" in text and "waiting</span>" in text
    (delivery,) = fal.emulator.outbox.deliveries
    fal.emulator.outbox.record(delivery, Attempt(EPOCH + 10, 0.25, error="connection refused"))
    fal.emulator.outbox.record(delivery, Attempt(EPOCH + 11, 0.002, status=200))
    text = page(fal)
    assert "00:00:10.000  connection refused  250 ms\n00:00:11.000  200  2 ms" in text
    assert '<span class="good">delivered</span>' in text


def test_the_page_shows_completed_pictures_by_path(fal: Fal) -> None:
    handle = fal.submit("a cat", seed=7, image_size={"width": 64, "height": 48})
    assert "<img" not in page(fal)
    fal.advance(10)
    path = handle.result().json()["images"][0]["url"].removeprefix("https:/")
    text = page(fal)
    assert f'<img src="{path}" alt="fal-ai/flux/schnell · seed 7 · a cat" loading="lazy">' in text
    assert fal.request("GET", OURS + path).headers["content-type"] == "image/jpeg"


CAT = Recipe("fal-ai/wan", "a cat", seed=7, width=64, height=48)


@pytest.mark.parametrize(
    ("recipe", "shown"),
    [
        (Video(CAT, 1), '<video src="{path}" title="fal-ai/flux/schnell · seed 7 · a cat" controls loop'),
        (Sound("a cat", 1), '<audio src="{path}" controls preload="none"></audio>fal-ai/flux/schnell'),
        (Document("svg", "a cat", width=64, height=48), '<img src="{path}" alt="fal-ai/flux/schnell'),
        (Model3D("a cat"), '<a href="{path}" download>'),
        (OwnFile(b"x", "digest", "text/plain", "txt"), '<div title="fal-ai/flux/schnell · ">'),
    ],
)
def test_files_are_shown_by_their_kind(fal: Fal, recipe: MediaRecipe, shown: str) -> None:
    handle = fal.completed("a cat")
    (file,) = fal.emulator.store.requests[handle.id].files
    fal.emulator.store.requests[handle.id].files[0] = replace(file, recipe=recipe)
    assert shown.format(path=f"/v3b.fal.media{file.path}") in page(fal)


@pytest.mark.parametrize(
    "prompt", ["<script>alert(1)</script>", "\"><img src=x onerror='alert(1)'>", "&lt;b&gt;"]
)
def test_a_prompt_is_escaped(fal: Fal, prompt: str) -> None:
    fal.completed(prompt)
    text = page(fal)
    assert prompt not in text
    assert text.count("<script") == 1
    assert "onerror='" not in text


def test_keys_and_urls_are_escaped(fal: Fal) -> None:
    fal.request("GET", f"{QUEUE}/<b>/<i>?<u>", key="<script>:secret")
    text = page(fal)
    assert "<span>&lt;script&gt;</span>" in text
    assert text.count("<script") == 1
    assert not [tag for tag in ("<b>", "<i>", "<u>") if tag in text]


def test_lone_surrogates_are_replaced(fal: Fal) -> None:
    fal.submit(body=rb'{"prompt":"a \ud83d cat"}')
    fal.advance(10)
    assert "a ? cat" in page(fal)


def test_requests_without_files_show_none(fal: Fal) -> None:
    fal.completed(num_images=9)
    fal.completed("[mock: error=internal_server_error]")
    fal.completed(sync_mode=True)
    assert "No files yet." in page(fal)


def test_the_page_has_a_limited_size(fal: Fal) -> None:
    for _ in range(30):
        fal.completed(num_images=4).status()
        fal.request("GET", f"{QUEUE}/x/{'y' * 500}")
        fal.request("GET", f"{QUEUE}/x/y")
    text = page(fal)
    assert text.count("<img") == MAX_FILES
    assert text.count("<details>") == MAX_EXCHANGES
    assert "y" * 201 not in text


def test_the_page_loads_nothing_from_other_hosts(fal: Fal) -> None:
    fal.completed()
    text = page(fal)
    assert "<script src" not in text
    assert "<link" not in text
    assert 'src="http' not in text


def test_only_the_pages_own_script_may_run(fal: Fal) -> None:
    """The content security policy contains the digest of the script."""
    response = fal.request("GET", f"{OURS}/")
    (script,) = re.findall(r"<script>(.*?)</script>", response.text, re.DOTALL)
    digest = b64encode(sha256(script.encode()).digest()).decode()
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    assert f"script-src 'sha256-{digest}'" in policy
