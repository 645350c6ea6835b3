"""How tokens are asked for and answered. Their wire names live in this file only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mock_fal.errors import JSON, BadTokenRequest
from mock_fal.web.wire import Reply, reply

# fal: what both official clients ask for (fal_client 1.0.3, @fal-ai/client 1.10.1).
# assumption: how long a token lasts when nothing is asked for, and at most.
_LIVES_S: Final = 120.0
_MAX_LIVES_S: Final = 30 * 86400.0

_LIVES: Final = ("token_expiration", "duration")


def apps(body: Mapping[str, JSON]) -> list[str]:
    """What the token is to be good for, as it was named: aliases or endpoint ids. Raises BadTokenRequest."""
    # fal: some callers of `tokens/realtime` name a single `app` (2026).
    named = body.get("allowed_apps", [body["app"]] if "app" in body else None)
    if not isinstance(named, list) or not named or not all(app and isinstance(app, str) for app in named):
        raise BadTokenRequest(f"allowed_apps is {named!r:.100}, expected a list of app names")
    return named


def alias(app: str) -> str:
    """The alias in an endpoint id such as `owner/app/realtime`; an alias is its own."""
    segments = [segment for segment in app.split("/") if segment]
    return segments[1] if len(segments) > 1 else app


def lives_s(body: Mapping[str, JSON]) -> float:
    """How long the token is to last, in seconds. Raises BadTokenRequest."""
    name = next((name for name in _LIVES if body.get(name) is not None), None)
    if name is None:
        return _LIVES_S
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_LIVES_S:
        raise BadTokenRequest(f"{name} is {value!r:.100}, expected seconds, at most {_MAX_LIVES_S:.0f}")
    return float(value)


def token(text: str) -> Reply:
    """A token. fal: a bare string (live, 2026)."""
    return reply(200, text)


def realtime_token(text: str) -> Reply:
    """A token. fal: in an object (fal's realtime documentation, 2026)."""
    return reply(200, {"token": text})
