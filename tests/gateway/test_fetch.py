from __future__ import annotations

import io
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from PIL import Image

from mock_fal import MockFal
from mock_fal.media import recipe

KONTEXT = "fal-ai/flux-pro/kontext"


def png() -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (64, 48), "teal").save(file, "PNG")
    return file.getvalue()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        exists = self.path == "/cat.png"
        self.server.requested_paths.append(self.path)  # type: ignore[attr-defined]  # set by the fixture
        self.send_response(200 if exists else 404)
        self.end_headers()
        self.wfile.write(png() if exists else b"")

    def log_message(self, format: str, *values: Any) -> None:
        pass


@pytest.fixture
def host() -> Iterator[ThreadingHTTPServer]:
    """Another host, with one picture."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.requested_paths = []  # type: ignore[attr-defined]
        serving = threading.Thread(target=server.serve_forever, args=(0.01,))
        serving.start()
        yield server
        server.shutdown()
        serving.join()


def edited(fal: MockFal, host: ThreadingHTTPServer, path: str, host_name: str = "fal.run") -> Any:
    url = f"http://127.0.0.1:{host.server_port}{path}"
    body = json.dumps({"prompt": "a hat on it", "image_url": url}).encode()
    http_request = Request(f"{fal.url}/{host_name}/{KONTEXT}", body, {"authorization": "Key alice:secret"})
    with urlopen(http_request) as response:
        return json.load(response)


def source(fal: MockFal) -> Any:
    """The source picture of the latest request."""
    (*_, request) = fal._emulator.store.requests.values()
    return recipe.source(request.files[0].recipe) if request.files else request.outcome


def test_a_file_of_another_host_is_fetched_with_allow_egress(host: ThreadingHTTPServer) -> None:
    with MockFal(clock="auto-advance", allow_egress=True) as fal:
        edited(fal, host, "/cat.png")
        assert (source(fal).width, source(fal).height) == (64, 48)
        edited(fal, host, "/cat.png", host_name="queue.fal.run")
        assert host.requested_paths == ["/cat.png", "/cat.png"]  # type: ignore[attr-defined]


def test_a_missing_file_is_a_model_error(host: ThreadingHTTPServer) -> None:
    with MockFal(clock="auto-advance", allow_egress=True) as fal:
        edited(fal, host, "/dog.png", host_name="queue.fal.run")
        assert source(fal).body["detail"][0]["type"] == "file_download_error"


def test_without_allow_egress_nothing_is_fetched(host: ThreadingHTTPServer) -> None:
    with MockFal(clock="auto-advance") as fal:
        with pytest.raises(HTTPError) as rejection:  # fal can't reach it either
            edited(fal, host, "/dog.png")
        rejection.value.close()
        assert rejection.value.code == 422
        assert host.requested_paths == []  # type: ignore[attr-defined]
