"""The page at our own address."""

from __future__ import annotations

import pytest

import mock_fal
from mock_fal.web.inspector import EXCHANGES, PICTURES
from tests.web.conftest import OURS, QUEUE, SCHNELL, Fal


def page(fal: Fal) -> str:
    answer = fal.ask("GET", f"{OURS}/", key=None)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    return answer.text


def test_an_empty_page_says_that_nothing_has_happened(fal: Fal) -> None:
    text = page(fal)
    assert "No pictures yet." in text
    assert "Nothing was asked yet." in text
    assert f"Version {mock_fal.__version__}." in text


def test_the_page_shows_what_was_asked_newest_first(fal: Fal) -> None:
    handle = fal.submit()
    fal.advance(0.5)
    handle.status(key="bob:secret")
    text = page(fal)
    first = "<td>00:00:00.500</td><td>bob</td><td>GET</td>"
    second = (
        f"<tr><td>00:00:00.000</td><td>alice</td><td>POST</td><td>{QUEUE}/{SCHNELL}</td>"
        '<td class="good">200</td></tr>'
    )
    assert text.index(first) < text.index(second)
    assert '<td class="bad">404</td>' in text


def test_the_page_shows_finished_pictures_that_it_can_reach(fal: Fal) -> None:
    handle = fal.submit("a cat", seed=7, image_size={"width": 64, "height": 48})
    assert "<img" not in page(fal)
    fal.advance(10)
    path = handle.result().json()["images"][0]["url"].removeprefix("https:/")
    text = page(fal)
    assert f'<img src="{path}" alt="fal-ai/flux/schnell · seed 7 · a cat" loading="lazy">' in text
    assert fal.ask("GET", OURS + path).headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize(
    "prompt", ["<script>alert(1)</script>", "\"><img src=x onerror='alert(1)'>", "&lt;b&gt;"]
)
def test_a_prompt_is_text_and_nothing_else(fal: Fal, prompt: str) -> None:
    fal.completed(prompt)
    text = page(fal)
    assert prompt not in text
    assert "<script" not in text
    assert "onerror='" not in text


def test_a_key_and_an_address_are_text_too(fal: Fal) -> None:
    fal.ask("GET", f"{QUEUE}/<b>/<i>?<u>", key="<script>:secret")
    text = page(fal)
    assert "<td>&lt;script&gt;</td>" in text
    assert not [tag for tag in ("<script", "<b>", "<i>", "<u>") if tag in text]


def test_half_a_surrogate_pair_does_no_harm(fal: Fal) -> None:
    fal.submit(body=rb'{"prompt":"a \ud83d cat"}')
    fal.advance(10)
    assert "a ? cat" in page(fal)


def test_what_cannot_be_shown_as_a_picture_is_no_picture(fal: Fal) -> None:
    fal.completed(num_images=9)
    fal.completed("[mock: error=internal_server_error]")
    fal.completed(sync_mode=True)
    assert "No pictures yet." in page(fal)


def test_the_page_does_not_grow_without_end(fal: Fal) -> None:
    for _ in range(30):
        fal.completed(num_images=4).status()
        fal.ask("GET", f"{QUEUE}/x/{'y' * 500}")
        fal.ask("GET", f"{QUEUE}/x/y")
    text = page(fal)
    assert text.count("<img") == PICTURES
    assert text.count("<tr><td>") == EXCHANGES
    assert "y" * 201 not in text


def test_the_page_needs_nothing_from_elsewhere(fal: Fal) -> None:
    fal.completed()
    text = page(fal)
    assert "<script" not in text
    assert "<link" not in text
    assert 'src="http' not in text
