"""`mock-fal health`."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

import mock_fal
from mock_fal import MockFal
from mock_fal.cli import main


def test_a_server_that_responds_is_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    with MockFal(clock="manual") as fal:
        assert main(["health", "--url", f"{fal.url}/"]) == 0
        expected = f"mock-fal {mock_fal.__version__} at {fal.url}/: ok, clock manual\n"
    assert capsys.readouterr().out == expected


def test_no_server_is_one_line_and_exit_code_1(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
    assert main(["health", "--url", url]) == 1
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"mock-fal: no mock-fal at {url} (")


def test_it_waits_for_the_start(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    fal = MockFal(port=port)
    starting = threading.Timer(0.2, fal.start)
    starting.start()
    try:
        assert main(["health", "--url", f"http://127.0.0.1:{port}", "--wait", "60"]) == 0
    finally:
        starting.join()
        fal.stop()


@pytest.mark.parametrize("body", [b"{}", b"[]", b"hello", b'"' * 100])
def test_another_server_is_not_healthy(body: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.handle_request).start()
        assert main(["health", "--url", f"http://127.0.0.1:{server.server_port}"]) == 1
    assert "no mock-fal at" in capsys.readouterr().err


def test_the_port_is_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A container with MOCK_FAL_PORT has the same health check."""
    with MockFal() as fal:
        monkeypatch.setenv("MOCK_FAL_PORT", fal.url.rpartition(":")[2])
        assert main(["health"]) == 0
    assert fal.url in capsys.readouterr().out
