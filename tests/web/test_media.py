"""v3b.fal.media, as far as it holds results: pictures, drawn when somebody asks for them."""

from __future__ import annotations

import base64
import io
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mock_fal.pictures.recipe import Recipe
from mock_fal.pictures.render import PictureCache
from tests.web.conftest import MEDIA, OURS, QUEUE_S, RUN_S, Fal, opened

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "*",
    "access-control-allow-headers": "*",
    "access-control-max-age": "86400",
}
NOWHERE = f"{MEDIA}/files/b/0a910e3a/3YFJvSRPE2hWwDoPU7PmX.jpg"


# -- pictures


@pytest.mark.parametrize(("format", "extension"), [("jpeg", "jpg"), ("png", "png")])
def test_a_picture_is_one_of_the_kind_and_size_that_was_asked_for(
    fal: Fal, format: str, extension: str
) -> None:
    url = fal.picture(image_size={"width": 90, "height": 70}, output_format=format)
    response = fal.ask("GET", url, key=None)
    assert url.endswith(f".{extension}")
    assert response.status_code == 200
    assert response.headers["content-type"] == f"image/{format}"
    assert int(response.headers["content-length"]) == len(response.content)
    with Image.open(io.BytesIO(response.content)) as picture:
        assert (picture.size, picture.format) == ((90, 70), format.upper())


def test_a_picture_is_the_same_whenever_it_is_asked_for(fal: Fal) -> None:
    url = fal.picture(seed=7)
    first, second = fal.ask("GET", url), fal.ask("GET", url)
    assert first.content == second.content
    assert first.headers == second.headers


def test_the_same_seed_gives_the_same_picture_at_another_address(fal: Fal) -> None:
    urls = [fal.picture(seed=7) for _ in range(2)]
    first, second = (fal.ask("GET", url) for url in urls)
    assert urls[0] != urls[1]
    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])


def test_each_picture_of_a_request_is_another(fal: Fal) -> None:
    handle = fal.completed(num_images=4, image_size={"width": 64, "height": 48})
    urls = [image["url"] for image in handle.result().json()["images"]]
    responses = [fal.ask("GET", url) for url in urls]
    assert len({response.content for response in responses}) == 4
    assert len({response.headers["etag"] for response in responses}) == 4


def test_an_unsafe_picture_is_black(fal: Fal) -> None:
    response = fal.ask("GET", fal.picture("a cat [mock: nsfw]", output_format="png"))
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.convert("L").getextrema() == (0, 0)


def test_a_picture_is_drawn_in_a_thread_of_its_own(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn_in: list[threading.Thread] = []
    render = PictureCache.render

    def watched(picture_cache: PictureCache, recipe: Recipe) -> bytes:
        drawn_in.append(threading.current_thread())
        return render(picture_cache, recipe)

    monkeypatch.setattr(PictureCache, "render", watched)
    url = fal.picture()
    fal.ask("GET", url)
    fal.ask("GET", url)
    (thread,) = drawn_in
    assert thread is not threading.main_thread()


def test_nothing_is_drawn_before_somebody_looks(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PictureCache, "render", None)
    url = fal.picture()
    assert fal.ask("GET", url, headers={"if-none-match": "*"}).status_code == 304


@pytest.mark.parametrize(
    "host", ["https://v3b.fal.media", "https://v3.fal.media", "https://fal.media", f"{OURS}/v3b.fal.media"]
)
def test_a_picture_is_found_under_each_of_the_names(fal: Fal, host: str) -> None:
    url = fal.picture()
    assert fal.ask("GET", url.replace(MEDIA, host)).content == fal.ask("GET", url).content


def test_head_tells_all_but_the_bytes(fal: Fal) -> None:
    url = fal.picture()
    head, get = fal.ask("HEAD", url), fal.ask("GET", url)
    assert head.status_code == 200
    assert head.headers == get.headers


def test_a_picture_may_be_kept_for_long_and_read_from_everywhere(fal: Fal) -> None:
    headers = fal.ask("GET", fal.picture(), headers={"origin": "http://localhost:3000"}).headers
    assert headers["cache-control"] == "public, max-age=31536000, immutable"
    assert headers["accept-ranges"] == "bytes"
    assert {name: value for name, value in headers.multi_items() if name in CORS} == CORS
    assert len([name for name in headers if name.startswith("access-control-")]) == 4


@pytest.mark.parametrize("url", [NOWHERE, f"{MEDIA}/", f"{MEDIA}/files/b"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_where_nothing_is_is_a_404(fal: Fal, method: str, url: str) -> None:
    response = fal.ask(method, url, key=None)
    assert response.status_code == 404
    assert response.text == ("" if method == "HEAD" else '{"detail":"File not found"}')
    assert CORS.items() <= dict(response.headers).items()


def test_a_picture_goes_with_its_request(fal: Fal) -> None:
    url = fal.picture()
    fal.emulator.reset()
    assert fal.ask("GET", url).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_a_picture_is_only_read(fal: Fal, method: str) -> None:
    url = f"{MEDIA}/files/x"
    response = fal.ask(method, url)
    assert (response.status_code, response.headers["allow"]) == (405, "GET,HEAD")
    assert CORS.items() <= dict(response.headers).items()


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://app.test", "access-control-request-method": "GET"}]
)
def test_a_page_may_ask_whether_it_may_read(fal: Fal, headers: dict[str, str]) -> None:
    response = fal.ask("OPTIONS", NOWHERE, key=None, headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert CORS.items() <= dict(response.headers).items()


# -- who has it already


def test_who_has_the_picture_is_not_sent_it_again(fal: Fal) -> None:
    url = fal.picture()
    tag = fal.ask("GET", url).headers["etag"]
    for seen in (tag, f'"other", {tag}', f"W/{tag}", "*", " * "):
        response = fal.ask("GET", url, headers={"if-none-match": seen})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
        assert CORS.items() <= dict(response.headers).items()


@pytest.mark.parametrize("seen", ["", '"other"', "junk", ",", '"*"'])
def test_who_has_another_picture_is_sent_this_one(fal: Fal, seen: str) -> None:
    assert fal.ask("GET", fal.picture(), headers={"if-none-match": seen}).status_code == 200


# -- parts


@pytest.mark.parametrize(
    ("asked", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-99", 0, 100),
        ("bytes=10-19", 10, 20),
        ("bytes= 10 - 19 ", 10, 20),
        ("bytes=10-", 10, None),
        ("bytes=-10", -10, None),
        ("bytes=-99999999", 0, None),
        ("bytes=5-99999999", 5, None),
    ],
)
def test_a_part_is_just_that(fal: Fal, asked: str, start: int, stop: int | None) -> None:
    url = fal.picture()
    whole = fal.ask("GET", url).content
    response = fal.ask("GET", url, headers={"range": asked})
    first, last, _ = slice(start, stop).indices(len(whole))
    assert response.status_code == 206
    assert response.content == whole[start:stop]
    assert response.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole)}"
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("asked", ["bytes=99999999-", "bytes=99999999-100000000", "bytes=-0"])
def test_a_part_that_is_not_there_cannot_be_had(fal: Fal, asked: str) -> None:
    url = fal.picture()
    size = len(fal.ask("GET", url).content)
    response = fal.ask("GET", url, headers={"range": asked})
    assert (response.status_code, response.content) == (416, b"")
    assert response.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    "asked",
    [
        "",
        "bytes",
        "bytes=",
        "bytes=-",
        "bytes=a-b",
        "bytes=5-1",
        "lines=0-5",
        "bytes=0-5,10-15",
        f"bytes={'9' * 99}-",
    ],
)
def test_what_is_no_single_part_is_the_whole(fal: Fal, asked: str) -> None:
    response = fal.ask("GET", fal.picture(), headers={"range": asked})
    assert response.status_code == 200
    assert "content-range" not in response.headers


def test_a_part_is_given_only_of_the_picture_that_it_belongs_to(fal: Fal) -> None:
    url = fal.picture()
    tag = fal.ask("GET", url).headers["etag"]
    wanted = {"range": "bytes=0-9"}
    assert fal.ask("GET", url, headers={**wanted, "if-range": tag}).status_code == 206
    assert fal.ask("GET", url, headers={**wanted, "if-range": '"other"'}).status_code == 200


@given(asked=st.text("bytes=-,0123456789 ", max_size=20).map("bytes={}".format) | st.text("bytes=-,0129 "))
def test_whatever_part_is_asked_for_what_comes_is_a_part(asked: str) -> None:
    with opened() as fal:
        url = fal.picture(image_size={"width": 8, "height": 8})
        whole = fal.ask("GET", url).content
        response = fal.ask("GET", url, headers={"range": asked})
        assert response.status_code in (200, 206, 416)
        assert response.content in whole
        assert int(response.headers["content-length"]) == len(response.content)


# -- in the answer itself


def test_in_sync_mode_a_picture_is_what_it_would_be_as_a_file(fal: Fal) -> None:
    options: dict[str, Any] = {"seed": 7, "image_size": {"width": 64, "height": 48}}
    file = fal.ask("GET", fal.picture(**options)).content
    handle = fal.completed(sync_mode=True, **options)
    head, _, data = handle.result().json()["images"][0]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(data) == file


def test_pictures_are_drawn_once_for_all_who_read_the_result(fal: Fal) -> None:
    handle = fal.submit(sync_mode=True, num_images=2, image_size={"width": 64, "height": 48})
    fal.advance(QUEUE_S + RUN_S)
    assert handle.result().content == handle.result().content
