"""A page in headless Chromium, with fal's client in it: it generates pictures, shows them, and never sees a key."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mock_fal import Account, MockFal
from tests.clients.programs import FOLDER, Node, finished, tool

pytestmark = pytest.mark.skipif(
    os.name == "nt", reason="Node on Windows wants more of an environment than ours"
)

SECRET = "kept-by-the-server"
KEY = f"page:{SECRET}"


def browsed(node: Node, fal: MockFal, folder: Path, *options: str) -> dict[str, Any]:
    """What the page came to, and all that the browser saw. A screenshot is left in the folder."""
    added, _ = fal.environment(os.environ)
    command = [str(node.binary), str(FOLDER / "browser/browser.mjs")]
    given = ["--chromium", tool("chromium"), "--picture", str(folder / "page.png"), *options]
    done = finished([*command, *given], env={**os.environ, **added})
    assert done.returncode == 0, done.stderr
    seen: dict[str, Any] = json.loads(done.stdout)
    assert seen["complaints"] == []
    return seen


def opened(**settings: Any) -> MockFal:
    """A fal with one key, by whose gateway nothing leaves."""
    return MockFal(clock="auto-advance", key=(KEY,), offline=True, **settings)


def assert_shown(seen: Mapping[str, Any], account: Account, media: str) -> None:
    """A picture, and one that is made of it after its upload; both of the size that was asked for."""
    assert seen["statuses"] == ["done", "done"]
    assert [(each["complete"], each["size"]) for each in seen["pictures"]] == [(True, [640, 480])] * 2
    assert all(each["src"].startswith(f"{media}/files/b/") for each in seen["pictures"])
    drawn, painted = (
        each for each in account.requests if each.method == "POST" and each.host == "queue.fal.run"
    )
    assert [each["requestId"] for each in seen["pictures"]] == [drawn.request_id, painted.request_id]
    assert painted.json["image_url"].startswith(f"{media}/files/b/")


def assert_keyless(seen: Mapping[str, Any]) -> None:
    """Neither did the browser send a key, nor was one in anything that it got."""
    for each in seen["exchanges"]:
        assert "authorization" not in each["headers"]
        bodies = b64decode(each.pop("body")) + b64decode(each["answer"].pop("body"))
        assert SECRET.encode() not in bodies
        assert SECRET not in json.dumps(each)
    assert any("x-fal-target-url" in each["headers"] for each in seen["exchanges"])


def keys_sent(account: Account) -> set[str]:
    """The keys in what came from the server proxy."""
    sent = [dict(each.request_headers) for each in account.requests]
    return {each[b"authorization"].decode() for each in sent if b"x-fal-client-proxy" in each}


@pytest.mark.parametrize("adapter", ["express", "hono"])
def test_a_page_shows_the_pictures_that_its_server_asked_for(
    newest_node: Node, tmp_path: Path, adapter: str
) -> None:
    """Only the server is led to us: any browser on this machine reaches the files."""
    with opened(local_media_urls=True) as fal:
        seen = browsed(newest_node, fal, tmp_path, "--adapter", adapter)
        assert_shown(seen, fal.account(), f"{fal.url}/v3b.fal.media")
        assert_keyless(seen)
        assert keys_sent(fal.account()) == {f"Key {KEY}"}


def test_a_browser_goes_through_the_gateway_as_well(newest_node: Node, tmp_path: Path) -> None:
    """Then files have fal's own addresses, as they have in production."""
    with opened() as fal:
        seen = browsed(newest_node, fal, tmp_path, "--gateway")
        assert_shown(seen, fal.account(), "https://v3b.fal.media")
        assert_keyless(seen)
        assert keys_sent(fal.account()) == {f"Key {KEY}"}


def test_a_page_needs_no_server_of_its_own(newest_node: Node, tmp_path: Path) -> None:
    """By the proxy at our own address, which is of another origin than the page."""
    with opened() as fal:
        seen = browsed(newest_node, fal, tmp_path, "--proxy", f"{fal.url}/api/fal/proxy")
        assert_shown(seen, fal.account(), f"{fal.url}/v3b.fal.media")
        assert_keyless(seen)
        assert keys_sent(fal.account()) == set()
