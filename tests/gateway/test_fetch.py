from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from mock_fal import MockFal

KONTEXT = "fal-ai/flux-pro/kontext"


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        found = self.path == "/cat.png"
        self.server.asked.append(self.path)  # type: ignore[attr-defined]  # a list of the fixture's
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(png() if found else b"")

    def log_message(self, format: str, *values: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[ThreadingHTTPServer]:
    """Another host, with one picture on it."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked = []  # type: ignore[attr-defined]
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def edited(fal: MockFal, host: ThreadingHTTPServer, path: str, plane: str = "fal.run") -> Any:
    url = f"http://127.0.0.1:{host.server_port}{path}"
    body = json.dumps({"prompt": "a hat on it", "image_url": url}).encode()
    http_request = Request(f"{fal.url}/{plane}/{KONTEXT}", body, {"authorization": "Key alice:secret"})
    with urlopen(http_request) as response:
        return json.load(response)


def source(fal: MockFal) -> Any:
    """What the latest request was made of."""
    (*_, request) = fal._emulator.store.requests.values()
    return request.files[0].recipe.source if request.files else request.outcome


def test_a_file_of_another_host_is_fetched_where_that_is_allowed(host: ThreadingHTTPServer) -> None:
    with MockFal(clock="auto-advance", allow_egress=True) as fal:
        edited(fal, host, "/cat.png")
        assert (source(fal).width, source(fal).height) == (64, 48)
        edited(fal, host, "/cat.png", plane="queue.fal.run")
        assert host.asked == ["/cat.png", "/cat.png"]  # type: ignore[attr-defined]


def test_a_file_that_is_not_there_is_an_error_of_the_model(host: ThreadingHTTPServer) -> None:
    with MockFal(clock="auto-advance", allow_egress=True) as fal:
        edited(fal, host, "/dog.png", plane="queue.fal.run")
        assert source(fal).body["detail"][0]["type"] == "file_download_error"


def test_nothing_is_fetched_otherwise(host: ThreadingHTTPServer) -> None:
    with MockFal(clock="auto-advance") as fal:
        edited(fal, host, "/dog.png")
        assert host.asked == []  # type: ignore[attr-defined]
