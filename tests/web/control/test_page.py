"""The files of the inspector, and who may load what."""

from __future__ import annotations

from pathlib import Path

import pytest

from mock_fal.web.control.page import FOLDER, POLICY
from tests.web.conftest import OURS, Fal

FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*") if path.is_file())
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}


def test_the_page_is_at_the_address_of_the_server(fal: Fal) -> None:
    response = fal.request("GET", f"{OURS}/", key=None)
    assert (response.status_code, response.headers["content-type"]) == (200, TYPES[".html"])
    assert response.content == (FOLDER / "index.html").read_bytes()


@pytest.mark.parametrize("name", FILES)
def test_each_file_is_served_with_its_type_and_a_strict_policy(fal: Fal, name: str) -> None:
    response = fal.request("GET", f"{OURS}/_mock/ui/{name}", key=None)
    assert (response.status_code, response.content) == (200, (FOLDER / name).read_bytes())
    assert response.headers["content-type"] == TYPES[Path(name).suffix]
    assert response.headers["content-security-policy"] == POLICY
    assert response.headers["x-content-type-options"] == "nosniff"
    assert response.headers["cache-control"] == "no-cache"
    etag = response.headers["etag"]
    known = fal.request("GET", f"{OURS}/_mock/ui/{name}", key=None, headers={"if-none-match": etag})
    assert (known.status_code, known.content) == (304, b"")


def test_the_policy_allows_nothing_inline_and_no_other_host() -> None:
    parts = dict(part.split(" ", 1) for part in POLICY.split("; "))
    assert parts["default-src"] == "'none'"
    assert parts["script-src"] == parts["style-src"] == parts["connect-src"] == "'self'"
    assert parts["frame-ancestors"] == parts["form-action"] == parts["base-uri"] == "'none'"
    assert "unsafe" not in POLICY and "http" not in POLICY


@pytest.mark.parametrize(
    "path",
    [
        "nope.js",
        "..%2f..%2fcli.py",
        "%2e%2e/%2e%2e/cli.py",
        "js/../../cli.py",
        ".hidden.js",
        "js",
        "index.htm",
        "js//main.js",
        "a" * 300 + ".js",
        "%00.js",
        "caf%C3%A9.js",
    ],
)
def test_no_other_file_is_served(fal: Fal, path: str) -> None:
    assert fal.request("GET", f"{OURS}/_mock/ui/{path}", key=None).status_code == 404


def test_the_page_has_nothing_inline() -> None:
    text = (FOLDER / "index.html").read_text()
    assert "<style" not in text and " style=" not in text and " onclick=" not in text
    assert text.count("<script") == text.count('<script type="module" src="/_mock/ui/')


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}], ids=str)
@pytest.mark.parametrize(
    "path", ["/", "/_mock/ui/index.html", "/_mock/calls", "/_mock/events", "/_mock/media/x"]
)
def test_foreign_hosts_and_origins_are_refused(fal: Fal, path: str, headers: dict[str, str]) -> None:
    assert fal.request("GET", OURS + path, key=None, headers=headers).status_code == 403
