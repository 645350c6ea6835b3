"""How a file is handed out: whole, in part, or not at all because the asker has it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, NamedTuple

from starlette.responses import Response

from mock_fal.web.http_request import HttpRequest

_RANGE: Final = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))", re.ASCII)


class Slice(NamedTuple):
    """What is handed out: a status, the bytes that `wanted` names, and the headers that say so."""

    status: int
    wanted: range
    headers: dict[str, str]


def not_modified(http_request: HttpRequest, headers: Mapping[str, str]) -> Response | None:
    """The answer to an asker who has the file of these headers' ETag already; None for one who has not."""
    seen = http_request.header(b"if-none-match")
    known = [tag.strip().removeprefix("W/") for tag in seen.split(",")]
    if seen.strip() == "*" or headers["etag"] in known:
        return Response(status_code=304, headers=dict(headers))
    return None


def portion(http_request: HttpRequest, headers: Mapping[str, str], size: int) -> Slice:
    """What an asker wants of a file of `size` bytes."""
    whole = Slice(200, range(size), {**headers, "content-length": str(size)})
    if http_request.header(b"if-range") not in ("", headers["etag"]):
        return whole  # what the asker has is of another file
    wanted = _range(http_request.header(b"range"), size)
    if wanted is None:
        return whole
    if not wanted:
        return Slice(416, wanted, {**headers, "content-range": f"bytes */{size}", "content-length": "0"})
    span = {"content-range": f"bytes {wanted.start}-{wanted.stop - 1}/{size}"}
    return Slice(206, wanted, {**headers, **span, "content-length": str(len(wanted))})


def _range(header: str, size: int) -> range | None:
    """The bytes that a Range header asks for: None for all of them, empty when there are none of these.

    One range is served; several, and what is no range, count as none (RFC 9110, 14.2 allows that).
    """
    asked = _RANGE.fullmatch(header.replace(" ", ""))
    if asked is None:
        return None
    first, last, suffix = asked.groups()
    if suffix is not None:
        return range(max(0, size - int(suffix)), size)
    if last and int(last) < int(first):
        return None
    return range(int(first), min(int(last) + 1, size) if last else size)
