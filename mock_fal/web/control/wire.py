"""How our own API speaks: what a handler finds, the JSON it answers, and what it says to bad input."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mock_fal.emulator import Emulator
from mock_fal.web import wire


class Refusal(Exception):
    """What a handler can't do, and why: a status from 400 on, and a sentence for whoever asked."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail


def emulator(request: Request) -> Emulator:
    """The emulator that a handler works on."""
    its: Emulator = request.app.state.emulator
    return its


def response(body: Any) -> Response:
    """An answer that holds what others have said: also what is said in JSON and can't be, as half a surrogate pair."""
    return Response(wire.encode(body), media_type="application/json")


def refused(status: int, detail: str) -> Response:
    """The answer that says no."""
    return JSONResponse({"detail": f"mock-fal: {detail}"}, status)


def query(request: Request, *names: str) -> dict[str, str]:
    """The parameters of an address. Raises Refusal for one that is none of `names`: a slip must not widen what is
    read, or forgotten, to all keys."""
    given = dict(request.query_params)
    for name in given:
        if name not in names:
            raise Refusal(422, f"unknown parameter {name!r}; expected one of {', '.join(names)}")
    return given


async def document(request: Request, expected: str) -> Any:
    """The JSON that was sent. Raises Refusal, with an example of what is `expected`, for what is none."""
    try:
        return await request.json()
    except (ValueError, RecursionError) as error:
        raise Refusal(422, f"expected {expected}: {error!r}") from None
