"""`/_mock/health` and `/_mock/clock`: whether we are there, what time it is, and the moving of it."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import mock_fal
from mock_fal.clock import ManualClock, steady_time
from mock_fal.web.control.wire import Refusal, document, emulator

# The last second that a date can name; the clock is not moved behind it.
DOOMSDAY: Final = 253_402_300_799

_SPAN: Final = '{"seconds": 10}, with 0 or more seconds'


async def health(request: Request) -> Response:
    its = emulator(request)
    return JSONResponse(
        {
            "status": "ok",
            "version": mock_fal.__version__,
            "uptime_s": steady_time() - request.app.state.started_at,
            "clock": its.settings.clock,
            "now": its.clock.now(),
        }
    )


async def clock(request: Request) -> Response:
    its = emulator(request)
    return JSONResponse({"clock": its.settings.clock, "speed": its.settings.speed, "now": its.clock.now()})


async def advance(request: Request) -> Response:
    clock = emulator(request).clock
    if not isinstance(clock, ManualClock):
        raise Refusal(409, "this clock moves by itself; start with --clock manual or auto-advance")
    span = await document(request, _SPAN)
    try:
        if isinstance(span["seconds"], bool):
            raise TypeError(f"{span['seconds']} is no number")
        seconds = float(span["seconds"])
        if clock.now() + seconds > DOOMSDAY:
            raise ValueError("that is after the year 9999")
        clock.advance(seconds)
    except KeyError:
        raise Refusal(422, f"expected {_SPAN}; 'seconds' is missing") from None
    except (ValueError, TypeError, OverflowError) as error:
        raise Refusal(422, f"expected {_SPAN}: {error}") from None
    return JSONResponse({"now": clock.now()})
