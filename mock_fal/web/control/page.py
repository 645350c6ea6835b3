"""The inspector: its HTML, styles and scripts are files of the package, in `mock_fal/web/inspector/`."""

from __future__ import annotations

import re
from hashlib import sha256
from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

import mock_fal
from mock_fal.web.control.wire import ControlError

FOLDER: Final = Path(mock_fal.__file__).parent / "web" / "inspector"

_TYPES: Final = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".json": "application/json",
    ".webmanifest": "application/manifest+json",
}

_PATH: Final = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*){0,4}", re.ASCII)

# The page has files of this address only: nothing inline, no other host, and no page may frame it.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; "
    "connect-src 'self'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
)


async def index(request: Request) -> Response:
    return _file(request, "index.html")


async def file(request: Request) -> Response:
    return _file(request, request.path_params["path"])


def _file(request: Request, path: str) -> Response:
    content_type = _TYPES.get(Path(path).suffix)
    if content_type is None or len(path) > 200 or not _PATH.fullmatch(path):
        raise ControlError(404, f"no file {path!r:.100} of the inspector")
    try:
        data = (FOLDER / path).read_bytes()
    except OSError:
        raise ControlError(404, f"no file {path!r:.100} of the inspector") from None
    headers = {
        "content-security-policy": POLICY,
        "etag": f'"{sha256(data).hexdigest()[:32]}"',
        "cache-control": "no-cache",  # a newer version of mock-fal may be at the same address
        "referrer-policy": "no-referrer",
    }
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(data, media_type=content_type, headers=headers)
