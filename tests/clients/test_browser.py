"""A page with fal's client in headless Chromium generates and shows pictures and never receives a key."""

from __future__ import annotations

import json
import os
from base64 import b64decode
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from mock_fal import Account, MockFal
from tests.clients.programs import FOLDER, Node, run_program, tool

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Node on Windows needs more environment variables")

SECRET = "kept-by-the-server"
KEY = f"page:{SECRET}"
# The journal shows a key without its secret.
SHOWN_KEY = "Key page:•••"


def browse(node: Node, fal: MockFal, folder: Path, *options: str) -> dict[str, Any]:
    """Open the page and return its results and all exchanges of the browser. The folder gets a screenshot."""
    added, _ = fal.environment(os.environ)
    command = [str(node.binary), str(FOLDER / "browser/browser.mjs")]
    arguments = ["--chromium", tool("chromium"), "--picture", str(folder / "page.png"), *options]
    done = run_program([*command, *arguments], env={**os.environ, **added})
    assert done.returncode == 0, done.stderr
    output: dict[str, Any] = json.loads(done.stdout)
    assert output["complaints"] == []
    return output


def server(**settings: Any) -> MockFal:
    """A server with one key, whose gateway is offline."""
    return MockFal(clock="auto-advance", key=(KEY,), offline=True, **settings)


def assert_shown(output: Mapping[str, Any], account: Account, media: str) -> None:
    """The page shows a picture, and one made from it after an upload; both have the requested size."""
    assert output["statuses"] == ["done", "done"]
    assert [(picture["complete"], picture["size"]) for picture in output["pictures"]] == [
        (True, [640, 480])
    ] * 2
    assert all(picture["src"].startswith(f"{media}/files/b/") for picture in output["pictures"])
    first, second = (
        exchange
        for exchange in account.requests
        if exchange.method == "POST" and exchange.host == "queue.fal.run"
    )
    assert [picture["requestId"] for picture in output["pictures"]] == [first.request_id, second.request_id]
    assert second.json["image_url"].startswith(f"{media}/files/b/")


def assert_keyless(output: Mapping[str, Any]) -> None:
    """The browser neither sent nor received a key."""
    for exchange in output["exchanges"]:
        assert "authorization" not in exchange["headers"]
        bodies = b64decode(exchange.pop("body")) + b64decode(exchange["answer"].pop("body"))
        assert SECRET.encode() not in bodies
        assert SECRET not in json.dumps(exchange)
    assert any("x-fal-target-url" in exchange["headers"] for exchange in output["exchanges"])


def keys_sent(account: Account) -> set[str]:
    """The keys of requests through the server proxy."""
    sent = [dict(exchange.request_headers) for exchange in account.requests]
    return {headers[b"authorization"].decode() for headers in sent if b"x-fal-client-proxy" in headers}


@pytest.mark.parametrize("adapter", ["express", "hono"])
def test_a_page_shows_the_pictures_that_its_server_requested(
    newest_node: Node, tmp_path: Path, adapter: str
) -> None:
    """Only the server uses mock-fal: any browser on this machine can load the files."""
    with server(local_media_urls=True) as fal:
        output = browse(newest_node, fal, tmp_path, "--adapter", adapter)
        assert_shown(output, fal.account(), f"{fal.url}/v3b.fal.media")
        assert_keyless(output)
        assert keys_sent(fal.account()) == {SHOWN_KEY}


def test_a_browser_can_use_the_gateway(newest_node: Node, tmp_path: Path) -> None:
    """Files then have fal's URLs, as in production."""
    with server() as fal:
        output = browse(newest_node, fal, tmp_path, "--gateway")
        assert_shown(output, fal.account(), "https://v3b.fal.media")
        assert_keyless(output)
        assert keys_sent(fal.account()) == {SHOWN_KEY}


def test_a_page_needs_no_server(newest_node: Node, tmp_path: Path) -> None:
    """With the proxy at mock-fal's address, which has another origin than the page."""
    with server() as fal:
        output = browse(newest_node, fal, tmp_path, "--proxy", f"{fal.url}/api/fal/proxy")
        assert_shown(output, fal.account(), f"{fal.url}/v3b.fal.media")
        assert_keyless(output)
        assert keys_sent(fal.account()) == set()
