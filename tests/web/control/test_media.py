"""Files to look at, on mock-fal's own address."""

from __future__ import annotations

from io import BytesIO

import pytest
from PIL import Image

from tests.web.conftest import MEDIA, OURS, Fal

LOCAL = f"{OURS}/_mock/media"


def uploaded(fal: Fal, content_type: str, body: bytes = b"0123456789") -> str:
    headers = {"content-type": content_type}
    response = fal.request("POST", f"{MEDIA}/files/upload", headers=headers, body=body)
    return str(response.json()["access_url"]).replace(MEDIA, LOCAL)


def test_a_file_is_the_one_of_the_media_host(fal: Fal) -> None:
    url = fal.picture()
    original = fal.request("GET", url, key=None)
    local = fal.request("GET", url.replace(MEDIA, LOCAL), key=None)
    assert (local.status_code, local.content) == (200, original.content)
    assert (local.headers["content-type"], local.headers["etag"]) == (
        "image/jpeg",
        original.headers["etag"],
    )
    assert local.headers["cache-control"] == "private, no-cache"
    assert "content-disposition" not in local.headers


def test_looking_leaves_no_trace(fal: Fal) -> None:
    url = fal.picture().replace(MEDIA, LOCAL)
    fal.emulator.scenario.add("file=expired times=1")
    before = len(fal.journal)
    assert fal.request("GET", url, key=None).status_code == 200
    assert len(fal.journal) == before
    assert fal.emulator.scenario.rules[0].seen == 0


def test_a_private_file_can_be_looked_at(fal: Fal) -> None:
    headers = {
        "content-type": "text/plain",
        "x-fal-object-lifecycle": '{"initial_acl": {"default": "forbid"}}',
    }
    url = fal.request("POST", f"{MEDIA}/files/upload", headers=headers, body=b"mine").json()["access_url"]
    assert fal.request("GET", url, key=None).status_code == 403
    assert fal.request("GET", url.replace(MEDIA, LOCAL), key=None).text == "mine"


def test_a_player_can_seek(fal: Fal) -> None:
    url = uploaded(fal, "video/mp4")
    part = fal.request("GET", url, key=None, headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content) == (206, b"234")
    assert part.headers["content-range"] == "bytes 2-4/10"
    assert fal.request("GET", url, key=None, headers={"range": "bytes=10-"}).status_code == 416
    etag = part.headers["etag"]
    assert fal.request("GET", url, key=None, headers={"if-none-match": etag}).status_code == 304
    assert fal.request("HEAD", url, key=None).headers["content-length"] == "10"


@pytest.mark.parametrize(
    "content_type", ["text/html", "image/svg+xml", "application/xml", "image/png,text/html"]
)
def test_an_uploaded_page_can_not_act_here(fal: Fal, content_type: str) -> None:
    response = fal.request("GET", uploaded(fal, content_type, b"<script>alert(1)</script>"), key=None)
    assert response.headers["content-disposition"] == "attachment"
    assert response.headers["x-content-type-options"] == "nosniff"
    policy = response.headers["content-security-policy"]
    assert "sandbox" in policy and "default-src 'none'" in policy and "allow" not in policy


@pytest.mark.parametrize(("side", "size"), [(32, (32, 24)), (16, (16, 12)), (512, (64, 48))])
def test_a_preview_is_a_small_picture(fal: Fal, side: int, size: tuple[int, int]) -> None:
    url = fal.picture().replace(MEDIA, LOCAL)
    response = fal.request("GET", f"{url}?preview={side}", key=None)
    assert (response.status_code, response.headers["content-type"]) == (200, "image/jpeg")
    assert Image.open(BytesIO(response.content)).size == size
    etag = response.headers["etag"]
    assert fal.request("GET", f"{url}?preview={side}", headers={"if-none-match": etag}).status_code == 304


def test_a_preview_of_a_video_is_its_picture(fal: Fal) -> None:
    handle = fal.submit(endpoint="fal-ai/kling-video/v2.1/master/text-to-video")
    fal.advance(600)
    url = handle.result().json()["video"]["url"]
    preview = fal.request("GET", f"{url.replace(MEDIA, LOCAL)}?preview=64", key=None)
    assert max(Image.open(BytesIO(preview.content)).size) == 64


def test_another_picture_is_its_own_preview(fal: Fal) -> None:
    assert fal.request("GET", f"{uploaded(fal, 'image/png')}?preview=64", key=None).content == b"0123456789"
    response = fal.request("GET", f"{uploaded(fal, 'audio/wav')}?preview=64", key=None)
    assert response.status_code == 404
    assert response.json()["detail"].endswith("has no preview")


@pytest.mark.parametrize("side", ["0", "15", "513", "x", "99999999"])
def test_another_size_of_a_preview_is_rejected(fal: Fal, side: str) -> None:
    url = fal.picture().replace(MEDIA, LOCAL)
    response = fal.request("GET", f"{url}?preview={side}", key=None)
    assert (response.status_code, response.json()["detail"]) == (
        422,
        f"mock-fal: preview is {side!r}, expected 16 to 512 pixels",
    )


@pytest.mark.parametrize("path", ["files/b/0aa/nope.png", "files/..%2f..%2fetc/passwd", "x"])
def test_an_unknown_file_is_not_found(fal: Fal, path: str) -> None:
    response = fal.request("GET", f"{LOCAL}/{path}", key=None)
    assert (response.status_code, response.json()["detail"].endswith("is stored")) == (404, True)
