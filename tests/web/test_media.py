"""v3b.fal.media: result pictures, byte ranges and caching."""

from __future__ import annotations

import base64
import io
import threading
from dataclasses import replace
from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mock_fal.media.recipe import Document, DocumentFormat, MediaRecipe, Model3D, OwnFile, Sound, Video
from mock_fal.media.render import MediaCache, render
from mock_fal.pictures.recipe import Recipe
from tests.web.conftest import MEDIA, OURS, QUEUE_S, RUN_S, Fal, open_fal

CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "*",
    "access-control-allow-headers": "*",
    "access-control-max-age": "86400",
}
UNKNOWN_FILE = f"{MEDIA}/files/b/0a910e3a/3YFJvSRPE2hWwDoPU7PmX.jpg"


# -- pictures


@pytest.mark.parametrize(("format", "extension"), [("jpeg", "jpg"), ("png", "png")])
def test_a_picture_has_the_requested_format_and_size(fal: Fal, format: str, extension: str) -> None:
    url = fal.picture(image_size={"width": 90, "height": 70}, output_format=format)
    response = fal.request("GET", url, key=None)
    assert url.endswith(f".{extension}")
    assert response.status_code == 200
    assert response.headers["content-type"] == f"image/{format}"
    assert int(response.headers["content-length"]) == len(response.content)
    with Image.open(io.BytesIO(response.content)) as picture:
        assert (picture.size, picture.format) == ((90, 70), format.upper())


def test_a_picture_is_the_same_at_every_download(fal: Fal) -> None:
    url = fal.picture(seed=7)
    first, second = fal.request("GET", url), fal.request("GET", url)
    assert first.content == second.content
    assert first.headers == second.headers


def test_the_same_seed_gives_the_same_picture_at_another_url(fal: Fal) -> None:
    urls = [fal.picture(seed=7) for _ in range(2)]
    first, second = (fal.request("GET", url) for url in urls)
    assert urls[0] != urls[1]
    assert (first.content, first.headers["etag"]) == (second.content, second.headers["etag"])


def test_the_pictures_of_a_request_differ(fal: Fal) -> None:
    handle = fal.completed(num_images=4, image_size={"width": 64, "height": 48})
    urls = [image["url"] for image in handle.result().json()["images"]]
    responses = [fal.request("GET", url) for url in urls]
    assert len({response.content for response in responses}) == 4
    assert len({response.headers["etag"] for response in responses}) == 4


def test_an_unsafe_picture_is_black(fal: Fal) -> None:
    response = fal.request("GET", fal.picture("a cat [mock: nsfw]", output_format="png"))
    with Image.open(io.BytesIO(response.content)) as picture:
        assert picture.convert("L").getextrema() == (0, 0)


def test_a_picture_is_rendered_once_and_in_a_separate_thread(
    fal: Fal, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[threading.Thread] = []
    rendered = MediaCache.render

    def recorded(media_cache: MediaCache, recipe: MediaRecipe) -> bytes:
        threads.append(threading.current_thread())
        return rendered(media_cache, recipe)

    monkeypatch.setattr(MediaCache, "render", recorded)
    url = fal.picture()
    fal.request("GET", url)
    fal.request("GET", url)
    (thread,) = threads
    assert thread is not threading.main_thread()


def test_a_picture_is_not_rendered_before_its_download(fal: Fal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MediaCache, "render", None)
    url = fal.picture()
    assert fal.request("GET", url, headers={"if-none-match": "*"}).status_code == 304


@pytest.mark.parametrize(
    "host", ["https://v3b.fal.media", "https://v3.fal.media", "https://fal.media", f"{OURS}/v3b.fal.media"]
)
def test_a_picture_can_be_downloaded_from_every_media_host(fal: Fal, host: str) -> None:
    url = fal.picture()
    assert fal.request("GET", url.replace(MEDIA, host)).content == fal.request("GET", url).content


def test_head_returns_the_headers_of_get(fal: Fal) -> None:
    url = fal.picture()
    head, get = fal.request("HEAD", url), fal.request("GET", url)
    assert head.status_code == 200
    assert head.headers == get.headers


def test_a_picture_has_cache_and_cors_headers(fal: Fal) -> None:
    headers = fal.request("GET", fal.picture(), headers={"origin": "http://localhost:3000"}).headers
    assert headers["cache-control"] == "public, max-age=5184000, immutable"
    assert headers["accept-ranges"] == "bytes"
    assert {name: value for name, value in headers.multi_items() if name in CORS} == CORS
    assert len([name for name in headers if name.startswith("access-control-")]) == 4


@pytest.mark.parametrize("url", [UNKNOWN_FILE, f"{MEDIA}/", f"{MEDIA}/files/b"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_an_unknown_path_is_a_404(fal: Fal, method: str, url: str) -> None:
    response = fal.request(method, url, key=None)
    assert response.status_code == 404
    assert response.text == ("" if method == "HEAD" else '{"detail":"File not found"}')
    assert CORS.items() <= dict(response.headers).items()


def test_a_picture_is_removed_with_its_request(fal: Fal) -> None:
    url = fal.picture()
    fal.emulator.reset()
    assert fal.request("GET", url).status_code == 404


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_other_methods_are_rejected(fal: Fal, method: str) -> None:
    url = f"{MEDIA}/files/x"
    response = fal.request(method, url)
    assert (response.status_code, response.headers["allow"]) == (405, "GET,HEAD")
    assert CORS.items() <= dict(response.headers).items()


@pytest.mark.parametrize(
    "headers", [{}, {"origin": "https://app.test", "access-control-request-method": "GET"}]
)
def test_a_preflight_request_is_accepted(fal: Fal, headers: dict[str, str]) -> None:
    response = fal.request("OPTIONS", UNKNOWN_FILE, key=None, headers=headers)
    assert (response.status_code, response.content) == (204, b"")
    assert CORS.items() <= dict(response.headers).items()


# -- other files


CAT = Recipe("fal-ai/wan", "a cat", seed=7, width=64, height=48)


def stored(fal: Fal, recipe: MediaRecipe) -> str:
    """The URL of a result with this file."""
    url = fal.picture()
    result = fal.emulator.store.files[url.removeprefix(MEDIA)]
    result.file = replace(result.file, recipe=recipe)
    return url


@pytest.mark.parametrize(
    ("recipe", "content_type"),
    [
        (replace(CAT, format="avif"), "image/avif"),
        (replace(CAT, format="gif"), "image/gif"),
        (Video(CAT, 1), "video/mp4"),
        (Video(CAT, 1, format="webm"), "video/webm"),
        (Video(CAT, 1, format="gif"), "image/gif"),
        (Sound("a cat", 1, format="mp3"), "audio/mpeg"),
        (Model3D("a cat"), "model/gltf-binary"),
        (Document("vtt", "a cat", duration_s=1), "text/vtt"),
        (Document("txt", "a cat"), "text/plain; charset=utf-8"),
        (OwnFile(b"mine", "digest", "application/x-mine", "mine"), "application/x-mine"),
    ],
)
def test_a_file_of_any_kind_is_served_with_its_type(fal: Fal, recipe: MediaRecipe, content_type: str) -> None:
    url = stored(fal, recipe)
    head, get = (fal.request(method, url, key=None) for method in ("HEAD", "GET"))
    assert get.status_code == 200
    assert get.headers["content-type"] == content_type
    assert get.content == render(recipe)
    assert head.headers == get.headers and head.content == b""
    assert fal.request("GET", url, headers={"if-none-match": get.headers["etag"]}).status_code == 304


def test_two_files_of_users_have_different_etags(fal: Fal) -> None:
    own = [OwnFile(data, sha256(data).hexdigest(), "text/plain", "txt") for data in (b"one", b"two")]
    first, second = (fal.request("GET", stored(fal, recipe)).headers["etag"] for recipe in own)
    assert first != second


def test_a_browser_seeks_in_a_video(fal: Fal) -> None:
    recipe = Video(CAT, 2)
    url, data = stored(fal, recipe), render(recipe)
    whole = fal.request("GET", url, headers={"range": "bytes=0-"})
    assert (whole.status_code, whole.content) == (206, data)
    assert whole.headers["content-range"] == f"bytes 0-{len(data) - 1}/{len(data)}"
    end = fal.request("GET", url, headers={"range": "bytes=-100", "if-range": whole.headers["etag"]})
    assert (end.status_code, end.content) == (206, data[-100:])


def test_a_long_sound_is_sent_in_pieces(fal: Fal) -> None:
    recipe = Sound("a cat", 60)
    url, data = stored(fal, recipe), render(recipe)
    assert len(data) > 4 << 20
    response = fal.request("GET", url)
    assert (response.content, response.headers["content-length"]) == (data, str(len(data)))
    part = fal.request("GET", url, headers={"range": "bytes=1000000-4999999"})
    assert (part.status_code, part.content) == (206, data[1_000_000:5_000_000])


@pytest.mark.parametrize("format", ["svg", "json", "zip"])
def test_a_drawing_that_may_hold_scripts_is_saved_on_our_own_address(
    fal: Fal, format: DocumentFormat
) -> None:
    url = stored(fal, Document(format, "<script>alert(1)</script>", width=64, height=48))
    response = fal.request("GET", url.replace(MEDIA, f"{OURS}/v3b.fal.media"))
    assert response.headers["content-security-policy"] == "sandbox"
    assert response.headers["x-content-type-options"] == "nosniff"
    assert (response.headers.get("content-disposition") == "attachment") == (format != "json")


# -- conditional requests


def test_if_none_match_with_the_etag_returns_304(fal: Fal) -> None:
    url = fal.picture()
    tag = fal.request("GET", url).headers["etag"]
    for condition in (tag, f'"other", {tag}', f"W/{tag}", "*", " * "):
        response = fal.request("GET", url, headers={"if-none-match": condition})
        assert (response.status_code, response.content) == (304, b"")
        assert response.headers["etag"] == tag
        assert CORS.items() <= dict(response.headers).items()


@pytest.mark.parametrize("condition", ["", '"other"', "junk", ",", '"*"'])
def test_if_none_match_with_another_etag_returns_the_picture(fal: Fal, condition: str) -> None:
    assert fal.request("GET", fal.picture(), headers={"if-none-match": condition}).status_code == 200


# -- byte ranges


@pytest.mark.parametrize(
    ("header", "start", "stop"),
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
def test_a_range_returns_these_bytes(fal: Fal, header: str, start: int, stop: int | None) -> None:
    url = fal.picture()
    whole = fal.request("GET", url).content
    response = fal.request("GET", url, headers={"range": header})
    first, last, _ = slice(start, stop).indices(len(whole))
    assert response.status_code == 206
    assert response.content == whole[start:stop]
    assert response.headers["content-range"] == f"bytes {first}-{last - 1}/{len(whole)}"
    assert int(response.headers["content-length"]) == len(response.content)
    assert response.headers["content-type"] == "image/jpeg"


@pytest.mark.parametrize("header", ["bytes=99999999-", "bytes=99999999-100000000", "bytes=-0"])
def test_a_range_outside_the_file_is_a_416(fal: Fal, header: str) -> None:
    url = fal.picture()
    size = len(fal.request("GET", url).content)
    response = fal.request("GET", url, headers={"range": header})
    assert (response.status_code, response.content) == (416, b"")
    assert response.headers["content-range"] == f"bytes */{size}"


@pytest.mark.parametrize(
    "header",
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
def test_invalid_and_multiple_ranges_are_ignored(fal: Fal, header: str) -> None:
    response = fal.request("GET", fal.picture(), headers={"range": header})
    assert response.status_code == 200
    assert "content-range" not in response.headers


def test_if_range_with_another_etag_returns_the_whole_picture(fal: Fal) -> None:
    url = fal.picture()
    tag = fal.request("GET", url).headers["etag"]
    range_header = {"range": "bytes=0-9"}
    assert fal.request("GET", url, headers={**range_header, "if-range": tag}).status_code == 206
    assert fal.request("GET", url, headers={**range_header, "if-range": '"other"'}).status_code == 200


@given(header=st.text("bytes=-,0123456789 ", max_size=20).map("bytes={}".format) | st.text("bytes=-,0129 "))
def test_every_range_header_returns_a_part_of_the_file(header: str) -> None:
    with open_fal() as fal:
        url = fal.picture(image_size={"width": 8, "height": 8})
        whole = fal.request("GET", url).content
        response = fal.request("GET", url, headers={"range": header})
        assert response.status_code in (200, 206, 416)
        assert response.content in whole
        assert int(response.headers["content-length"]) == len(response.content)


# -- sync mode


def test_a_picture_in_sync_mode_equals_the_file(fal: Fal) -> None:
    options: dict[str, Any] = {"seed": 7, "image_size": {"width": 64, "height": 48}}
    file = fal.request("GET", fal.picture(**options)).content
    handle = fal.completed(sync_mode=True, **options)
    head, _, data = handle.result().json()["images"][0]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(data) == file


def test_repeated_results_in_sync_mode_are_equal(fal: Fal) -> None:
    handle = fal.submit(sync_mode=True, num_images=2, image_size={"width": 64, "height": 48})
    fal.advance(QUEUE_S + RUN_S)
    assert handle.result().content == handle.result().content
