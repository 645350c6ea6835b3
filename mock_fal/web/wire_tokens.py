"""Wire format of token requests. No other module contains these names."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from mock_fal.errors import JSON, BadTokenRequest
from mock_fal.web.wire import Reply, reply

# fal: both official clients request 120 seconds (fal_client 1.0.3, @fal-ai/client 1.10.1).
# assumption: the default lifetime of a token is 120 seconds, the longest 30 days.
_DEFAULT_LIFETIME_S: Final = 120.0
_MAX_LIFETIME_S: Final = 30 * 86400.0

_LIFETIME_FIELDS: Final = ("token_expiration", "duration")


def apps(body: Mapping[str, JSON]) -> list[str]:
    """The apps that a token is requested for: aliases or endpoint ids. Raises BadTokenRequest."""
    # fal: some clients of `tokens/realtime` send a single `app` (2026).
    apps = body.get("allowed_apps", [body["app"]] if "app" in body else None)
    if not isinstance(apps, list) or not apps or not all(app and isinstance(app, str) for app in apps):
        raise BadTokenRequest(f"allowed_apps is {apps!r:.100}, expected a list of app names")
    return apps


def alias(app: str) -> str:
    """The alias in an endpoint id such as `owner/app/realtime`; an alias is returned as it is."""
    segments = [segment for segment in app.split("/") if segment]
    return segments[1] if len(segments) > 1 else app


def lifetime_s(body: Mapping[str, JSON]) -> float:
    """The requested lifetime in seconds. Raises BadTokenRequest."""
    name = next((name for name in _LIFETIME_FIELDS if body.get(name) is not None), None)
    if name is None:
        return _DEFAULT_LIFETIME_S
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= _MAX_LIFETIME_S:
        raise BadTokenRequest(f"{name} is {value!r:.100}, expected seconds, at most {_MAX_LIFETIME_S:.0f}")
    return float(value)


def token(text: str) -> Reply:
    """A token for apps. fal: the body is a JSON string (live, 2026)."""
    return reply(200, text)


def realtime_token(text: str) -> Reply:
    """A realtime token. fal: the body is an object (fal's realtime documentation, 2026)."""
    return reply(200, {"token": text})
