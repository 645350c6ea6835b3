"""`/_mock/health` and `/_mock/clock`: version, uptime and emulated time, which tests can advance."""

from __future__ import annotations

from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import mock_fal
from mock_fal.clock import ManualClock, SystemClock, steady_time
from mock_fal.emulation.emulator import Emulator
from mock_fal.settings import MAX_DURATION_S
from mock_fal.web.control.events import speed
from mock_fal.web.control.wire import ControlError, document, emulator

# How much faster than real time the system clock may run.
MIN_SPEED: Final = 0.001
MAX_SPEED: Final = 1_000_000

_SPEED: Final = f'{{"speed": 10}}, with {MIN_SPEED:g} to {MAX_SPEED}'
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
    return _shown(emulator(request))


async def set_speed(request: Request) -> Response:
    clock = emulator(request).clock
    if not isinstance(clock, SystemClock):
        raise ControlError(409, "this clock has no speed; start with --clock system")
    body = await document(request, _SPEED)
    value = body.get("speed") if isinstance(body, dict) and len(body) == 1 else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not MIN_SPEED <= value <= MAX_SPEED:
        raise ControlError(422, f"expected {_SPEED}, got {body!r:.100}")
    clock.set_speed(float(value))
    return _shown(emulator(request))


def _shown(mock: Emulator) -> Response:
    return JSONResponse({"clock": mock.settings.clock, "speed": speed(mock), "now": mock.clock.now()})


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
