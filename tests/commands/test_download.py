"""Downloads of commands."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from mock_fal.commands.download import download
from mock_fal.errors import SettingsError
from mock_fal.server import MockFal


@pytest.fixture(scope="module")
def server() -> Iterator[MockFal]:
    with MockFal(port=0) as fal:
        yield fal


def test_a_download_has_the_day_of_the_response(server: MockFal) -> None:
    data, date = download(f"{server.url}/api.fal.ai/v1/meta", 10_000)
    assert data.startswith(b"{")
    assert date == "" or date[:2] == "20"


def test_the_key_is_sent(server: MockFal) -> None:
    download(f"{server.url}/api.fal.ai/v1/models/usage", 10_000, "ana:secret")
    assert server.requests[-1].tenant == "ana"


def test_the_size_is_limited(server: MockFal) -> None:
    with pytest.raises(SettingsError, match="it has more than 10 bytes"):
        download(f"{server.url}/api.fal.ai/v1/meta", 10)


def test_an_error_is_one_line(server: MockFal) -> None:
    with pytest.raises(SettingsError, match="HTTP 401: "):
        download(f"{server.url}/api.fal.ai/v1/models/usage", 10_000)


@pytest.mark.parametrize("url", ["http://127.0.0.1:9/x", "http:///x", "https://[::1"])
def test_an_address_that_does_not_answer_is_one_line(url: str) -> None:
    with pytest.raises((SettingsError, ValueError)) as raised:
        download(url, 10)
    assert "\n" not in str(raised.value)


class Redirect(BaseHTTPRequestHandler):
    """Redirects to a file of this machine."""

    def do_GET(self) -> None:
        self.send_response(302)
        self.send_header("location", "file:///etc/hostname")
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def test_a_redirect_to_a_file_is_not_followed() -> None:
    with HTTPServer(("127.0.0.1", 0), Redirect) as redirect:
        thread = threading.Thread(target=redirect.handle_request)
        thread.start()
        with pytest.raises(SettingsError, match="302"):
            download(f"http://127.0.0.1:{redirect.server_port}/", 10_000)
        thread.join()
