"""`--open`: a browser is opened where there is one."""

from __future__ import annotations

import threading
import webbrowser
from collections.abc import Mapping

import pytest

from mock_fal.commands.browser import obstacle, open_page

DISPLAY = {"DISPLAY": ":0"}


@pytest.mark.parametrize(
    ("environ", "platform", "reason"),
    [
        ({}, "darwin", ""),
        ({}, "win32", ""),
        (DISPLAY, "linux", ""),
        ({"WAYLAND_DISPLAY": "wayland-0"}, "linux", ""),
        ({"BROWSER": "w3m"}, "linux", ""),
        ({**DISPLAY, "CI": "false"}, "linux", ""),
        ({}, "linux", "there is no display"),
        ({**DISPLAY, "CI": "true"}, "linux", "this is CI"),
        ({"CI": "1"}, "darwin", "this is CI"),
    ],
)
def test_a_browser_needs_a_display_and_a_person(
    environ: Mapping[str, str], platform: str, reason: str
) -> None:
    assert obstacle(environ, platform) == reason


def finish() -> None:
    """Wait for the thread that opens the browser."""
    for thread in threading.enumerate():
        if thread.name == "browser":
            thread.join()


def test_the_page_is_opened(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    opened: list[str] = []

    def note(url: str) -> bool:
        opened.append(url)
        return True

    monkeypatch.setattr(webbrowser, "open", note)
    open_page("http://127.0.0.1:8325/", DISPLAY)
    finish()
    assert (opened, capsys.readouterr().err) == (["http://127.0.0.1:8325/"], "")


def test_a_browser_that_does_not_start_is_no_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(url: str) -> bool:
        raise webbrowser.Error("could not locate runnable browser")

    monkeypatch.setattr(webbrowser, "open", fail)
    open_page("http://127.0.0.1:8325/", DISPLAY)
    finish()
    assert "no browser could be started; the page is http://127.0.0.1:8325/" in capsys.readouterr().err


def test_without_a_display_nothing_is_opened(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(webbrowser, "open", lambda url: pytest.fail(f"opened {url}"))
    open_page("http://127.0.0.1:8325/", {"CI": "true"})
    finish()
    assert capsys.readouterr().err == "mock-fal: --open: this is CI, so no browser was opened\n"
