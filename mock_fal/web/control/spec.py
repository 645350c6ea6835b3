"""`/_mock/openapi/`: serves the OpenAPI document of each API surface. The server itself never reads them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import mock_fal
from mock_fal.web.control.wire import ControlError

NAMES: Final = ("queue", "run", "openai", "rest", "media", "kv", "platform", "webhook", "control")


def folder() -> Path:
    """The folder of the documents: inside the installed package, or at the top of a checkout."""
    package = Path(mock_fal.__file__).parent
    installed = package / "openapi"
    return installed if installed.is_dir() else package.parent / "openapi"


async def index(request: Request) -> Response:
    base_url = f"{request.base_url}_mock/openapi"
    return JSONResponse({"documents": {name: f"{base_url}/{name}.yaml" for name in NAMES}})


async def document(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in NAMES:
        raise ControlError(404, f"no document {name!r}; expected one of {', '.join(NAMES)}")
    # The media type is from RFC 9512.
    return Response((folder() / f"{name}.yaml").read_bytes(), media_type="application/yaml")
