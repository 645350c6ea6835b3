"""Downloads that a command was told to make: http and https only, with limits for size and time."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from http.client import HTTPException
from typing import Final, NamedTuple
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import (
    HTTPDefaultErrorHandler,
    HTTPErrorProcessor,
    HTTPHandler,
    HTTPRedirectHandler,
    HTTPSHandler,
    OpenerDirector,
    ProxyHandler,
    Request,
)

from mock_fal.errors import SettingsError

_TIMEOUT_S: Final = 60.0

# How much of an error's body is shown.
_MAX_ERROR: Final = 200


class Download(NamedTuple):
    """The content of a URL, and the day on which the server sent it (empty if it did not say)."""

    data: bytes
    date: str


def download(url: str, max_bytes: int, key: str = "") -> Download:
    """Download a URL; `key` is a key of fal. Raises SettingsError."""
    if urlsplit(url).scheme not in ("http", "https"):
        raise SettingsError(f"{url}: expected a URL with http or https")
    headers = {"user-agent": "mock-fal", "accept": "application/json"}
    if key:
        headers["authorization"] = f"Key {key}"
    try:
        with _opener().open(Request(url, headers=headers), timeout=_TIMEOUT_S) as response:
            data: bytes = response.read(max_bytes + 1)
            sent = response.headers.get("date")
    except HTTPError as error:
        with error:
            text = error.read(_MAX_ERROR).decode("utf-8", "replace")
        raise SettingsError(f"{url}: HTTP {error.code}: {text}") from None
    except (OSError, HTTPException, ValueError) as error:
        raise SettingsError(f"{url}: {error}") from None
    if len(data) > max_bytes:
        raise SettingsError(f"{url}: it has more than {max_bytes} bytes")
    return Download(data, _day(sent))


def _opener() -> OpenerDirector:
    """An opener without the handlers for file:, data: and ftp: URLs, to which a server could redirect."""
    opener = OpenerDirector()
    for handler in (
        ProxyHandler,
        HTTPHandler,
        HTTPSHandler,
        HTTPDefaultErrorHandler,
        HTTPRedirectHandler,
        HTTPErrorProcessor,
    ):
        opener.add_handler(handler())
    return opener


def _day(sent: str | None) -> str:
    """The day of a `Date` header, such as 2026-06-11."""
    try:
        return parsedate_to_datetime(sent or "").date().isoformat()
    except ValueError:
        return ""
