"""`/_mock/media/…`: the files of the media host, to look at: without a key, a rule, or an entry in the journal."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.errors import FalError
from mock_fal.hosts import RESULT_HOST
from mock_fal.media.recipe import MediaRecipe, Video
from mock_fal.pictures.recipe import Recipe
from mock_fal.web.control.call_row import recipe_at
from mock_fal.web.control.wire import ControlError, emulator, query
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.isolation import is_inline
from mock_fal.web.renderer import Renderer

# Pixels a side of a preview.
MIN_PREVIEW: Final = 16
MAX_PREVIEW: Final = 512

# A server that starts again may have another file at the same path.
_CACHE: Final = "private, no-cache"


async def media(request: Request) -> Response:
    path = f"/{request.path_params['path']}"
    params = query(request, "preview")
    try:
        side = _side(params["preview"]) if "preview" in params else 0
        recipe = _small(recipe_at(emulator(request), path), side) if side else None
        if recipe is not None:
            response = await _preview(request, recipe)
        else:
            http_request = HttpRequest.of({**request.scope, "path": f"/{RESULT_HOST}{path}"})
            response = await request.app.state.read_file(http_request, request.receive)
        if side and not response.headers.get("content-type", "image/").startswith("image/"):
            raise ControlError(404, f"{path!r:.200} has no preview")
    except FalError:
        raise ControlError(404, f"no file {path!r:.200} is stored") from None
    response.headers["cache-control"] = _CACHE
    content_type = response.headers.get("content-type", "")
    if response.status_code in (200, 206) and not is_inline(content_type.encode("latin-1")):
        response.headers["content-disposition"] = "attachment"
    return response


def _side(text: str) -> int:
    if text.isascii() and text.isdecimal() and len(text) < 5 and MIN_PREVIEW <= int(text) <= MAX_PREVIEW:
        return int(text)
    raise ControlError(422, f"preview is {text!r:.100}, expected {MIN_PREVIEW} to {MAX_PREVIEW} pixels")


async def _preview(request: Request, recipe: Recipe) -> Response:
    etag = f'"{sha256(repr(recipe).encode("utf-8", "surrogatepass")).hexdigest()[:32]}"'
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers={"etag": etag})
    renderer: Renderer = request.app.state.renderer
    data = await renderer.render(recipe)
    return Response(data, media_type=recipe.content_type, headers={"etag": etag})


def _small(recipe: MediaRecipe | None, side: int) -> Recipe | None:
    """The recipe of the same picture with at most `side` pixels a side."""
    picture = recipe.picture if isinstance(recipe, Video) else recipe
    if not isinstance(picture, Recipe):
        return None
    scale = min(1.0, side / max(picture.width, picture.height))
    width, height = (max(1, round(length * scale)) for length in (picture.width, picture.height))
    return replace(picture, width=width, height=height, format="jpeg")
