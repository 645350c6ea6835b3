"""Helpers of the control API: the emulator of a request, query and body parsing, JSON and error responses."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mock_fal.emulator import Emulator
from mock_fal.web import wire


class ControlError(Exception):
    """A request that a handler cannot process: a status from 400 up, and a message for the client."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def emulator(request: Request) -> Emulator:
    """The emulator that a request controls."""
    emulator: Emulator = request.app.state.emulator
    return emulator


def response(body: Any) -> Response:
    """A JSON response. Unlike Starlette's, it accepts values from recorded bodies such as NaN and lone surrogates."""
    return Response(wire.encode(body), media_type="application/json")


def error_response(status: int, detail: str) -> Response:
    """An error as JSON."""
    return JSONResponse({"detail": f"mock-fal: {detail}"}, status)


def query(request: Request, *names: str) -> dict[str, str]:
    """The query parameters. Raises ControlError for a name that is not in `names`, because a misspelled `key` must not
    select all keys."""
    params = dict(request.query_params)
    for name in params:
        if name not in names:
            raise ControlError(422, f"unknown parameter {name!r}; expected one of {', '.join(names)}")
    return params


async def document(request: Request, expected: str) -> Any:
    """The JSON body. Raises ControlError with what was `expected` if it is not JSON."""
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise ControlError(422, f"expected {expected}: {error!r}") from None
