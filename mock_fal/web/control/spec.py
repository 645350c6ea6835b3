"""`/_mock/openapi/`: the OpenAPI documents of every plane. They are handed out, and never read by the server itself."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import mock_fal
from mock_fal.web.control.wire import Refusal

NAMES: Final = ("queue", "run", "rest", "media", "platform", "webhook", "control")


def folder() -> Path:
    """Where the documents lie: inside an installed package, at the top of a checkout."""
    package = Path(mock_fal.__file__).parent
    installed = package / "openapi"
    return installed if installed.is_dir() else package.parent / "openapi"


async def index(request: Request) -> Response:
    address = f"{request.base_url}_mock/openapi"
    return JSONResponse({"documents": {name: f"{address}/{name}.yaml" for name in NAMES}})


async def document(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in NAMES:
        raise Refusal(404, f"no document {name!r}; expected one of {', '.join(NAMES)}")
    # RFC 9512 names the type.
    return Response((folder() / f"{name}.yaml").read_bytes(), media_type="application/yaml")
