"""`/_mock/health` and `/_mock/clock`: version, uptime and emulated time, which tests can advance."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import mock_fal
from mock_fal.clock import ManualClock, steady_time
from mock_fal.settings import MAX_DURATION_S
from mock_fal.web.control.wire import ControlError, document, emulator

_EXPECTED: Final = f'{{"seconds": 10}}, with 0 to {MAX_DURATION_S:.0f} seconds'


async def health(request: Request) -> Response:
    settings, now = emulator(request).settings, emulator(request).clock.now()
    return JSONResponse(
        {
            "status": "ok",
            "version": mock_fal.__version__,
            "uptime_s": steady_time() - request.app.state.started_at,
            "clock": settings.clock,
            "now": now,
            "any_key": not settings.key,
        }
    )


async def clock(request: Request) -> Response:
    settings, now = emulator(request).settings, emulator(request).clock.now()
    return JSONResponse({"clock": settings.clock, "speed": settings.speed, "now": now})


async def advance(request: Request) -> Response:
    clock = emulator(request).clock
    if not isinstance(clock, ManualClock):
        raise ControlError(
            409, "the system clock cannot be advanced; start with --clock manual or --clock auto-advance"
        )
    body = await document(request, _EXPECTED)
    try:
        if isinstance(body["seconds"], bool):
            raise TypeError(f"{body['seconds']} is not a number")
        seconds = float(body["seconds"])
        if seconds > MAX_DURATION_S:
            raise ValueError(f"{seconds!r} is too long")
        clock.advance(seconds)
    except KeyError:
        raise ControlError(422, f"expected {_EXPECTED}; 'seconds' is missing") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise ControlError(422, f"expected {_EXPECTED}: {error}") from None
    return JSONResponse({"now": clock.now()})
