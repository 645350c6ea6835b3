"""File downloads: whole files, byte ranges, and 304 for files that the client already has."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.responses import Response

from mock_fal.web.http_request import HttpRequest

_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)


class Download(NamedTuple):
    """The status and headers of a download, and which bytes of the file it contains."""

    status: int
    byte_range: range
    headers: dict[str, str]


def not_modified(http_request: HttpRequest, headers: Mapping[str, str]) -> Response | None:
    """A 304 response if the client already has the file with this ETag; None if it needs the file."""
    condition = http_request.header(b"if-none-match")
    known = [tag.strip().removeprefix("W/") for tag in condition.split(",")]
    if condition.strip() == "*" or headers["etag"] in known:
        return Response(status_code=304, headers=dict(headers))
    return None


def select_range(http_request: HttpRequest, headers: Mapping[str, str], size: int) -> Download:
    """The bytes that a request selects from a file of `size` bytes."""
    whole = Download(200, range(size), {**headers, "content-length": str(size)})
    if http_request.header(b"if-range") not in ("", headers["etag"]):
        return whole  # the client has a part of another file
    byte_range = _range(http_request.header(b"range"), size)
    if byte_range is None:
        return whole
    if not byte_range:
        return Download(
            416, byte_range, {**headers, "content-range": f"bytes */{size}", "content-length": "0"}
        )
    content_range = {"content-range": f"bytes {byte_range.start}-{byte_range.stop - 1}/{size}"}
    return Download(206, byte_range, {**headers, **content_range, "content-length": str(len(byte_range))})


def _range(header: str, size: int) -> range | None:
    """The bytes that a Range header selects: None for the whole file, empty if the file has none of them.

    A header with several ranges or with an invalid one is ignored (RFC 9110, 14.2 allows that).
    """
    match = _RANGE.fullmatch(header.replace(" ", ""))
    if match is None:
        return None
    first, last, suffix = match.groups()
    if suffix is not None:
        return range(max(0, size - int(suffix)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
