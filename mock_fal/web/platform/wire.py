"""Wire format of the Platform API: query parameters, error envelope, pages and timestamps."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from mock_fal.clock import date
from mock_fal.errors import JSON, FalError
from mock_fal.requests.outcome import Outcome, RunnerResponse
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.wire import Reply, reply

# fal: the largest number of ids in a filter (fal's Platform API specification, 2026-08).
MAX_IDS: Final = 50

# The last year that is accepted: buckets may end later than the requested period, and `datetime` ends in 9999.
_LAST_YEAR: Final = 9000


class PlatformError(Exception):
    """An error of the Platform API. `kind` is one of its error types."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message


class Invalid(PlatformError):
    """An invalid parameter."""

    def __init__(self, name: str, value: object, expected: str) -> None:
        # assumption: the text after the first three words, which are the specification's (2026-08).
        super().__init__(
            400,
            "validation_error",
            f"Invalid request parameters: {name} is {value!r:.200}, expected {expected}",
        )


class NotFound(PlatformError):
    """A resource that does not exist."""

    def __init__(self, what: str) -> None:
        # assumption: the message names the resource; the text before that is the specification's (2026-08).
        super().__init__(404, "not_found", f"Resource not found: {what}")


# fal: the error type of each status (fal's Platform API specification, 2026-08).
_KINDS: Final = {
    400: "validation_error",
    401: "authorization_error",
    403: "authorization_error",
    404: "not_found",
    422: "validation_error",
    429: "rate_limited",
}


def error_response(error: PlatformError | FalError) -> Reply:
    """An error in the Platform API's envelope."""
    if isinstance(error, FalError):
        status = 400 if error.status == 422 else error.status
        error = PlatformError(status, _KINDS.get(error.status, "server_error"), error.detail)
    return reply(error.status, {"error": {"type": error.kind, "message": error.message}})


# -- requests


class Query:
    """Query parameters. Lists are repeated parameters or separated by commas. All methods raise Invalid."""

    def __init__(self, http_request: HttpRequest) -> None:
        self._params = parse_qs(http_request.query, keep_blank_values=True)

    def text(self, name: str) -> str | None:
        """The value of a parameter, or None. If it is repeated, the last value."""
        return self._params[name][-1] if name in self._params else None

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One of the `allowed` values."""
        value = self.text(name)
        if value is None:
            return default
        if value not in allowed:
            raise Invalid(name, value, f"one of {', '.join(allowed)}")
        return value

    def ids(self, name: str, *, required: bool = False) -> list[str]:
        """Up to 50 ids without duplicates; empty if the parameter is missing."""
        ids = self.listed(name)
        if name in self._params and not ids:
            raise Invalid(name, self.text(name), f"1 to {MAX_IDS} ids")
        if required and not ids:
            raise Invalid(name, None, f"1 to {MAX_IDS} ids")
        if len(ids) > MAX_IDS:
            raise Invalid(name, f"a list of {len(ids)}", f"1 to {MAX_IDS} ids")
        return ids

    def listed(self, name: str, allowed: Collection[str] | None = None) -> list[str]:
        """The items of a list without duplicates; each must be in `allowed`, if given."""
        parts = [part.strip() for value in self._params.get(name, []) for part in value.split(",")]
        items = list(dict.fromkeys(part for part in parts if part))
        for item in items:
            if allowed is not None and item not in allowed:
                raise Invalid(name, item, f"one of {', '.join(allowed)}")
        return items

    def page(self, *, default: int, most: int, strict: bool = False) -> Page:
        """The requested page of a list. A limit above `most` is lowered to it, or rejected if `strict`."""
        return Page(_page_number(self.text("cursor")), self.limit(default=default, most=most, strict=strict))

    def limit(self, *, default: int, most: int, strict: bool = False) -> int:
        """The number of items on a page."""
        value = self.text("limit")
        limit = default if value is None else _whole(value)
        if limit is None or limit < 1 or (strict and limit > most):
            upper = f" to {most}" if strict else " or more"
            raise Invalid("limit", value, f"a whole number of 1{upper}")
        return min(limit, most)

    def moment(self, name: str, zone: tzinfo = UTC) -> datetime | None:
        """A time, or a date that means its first moment. Without an offset it is in `zone`."""
        value = self.text(name)
        if value is None:
            return None
        try:
            # An unquoted plus sign arrives as a space.
            moment = datetime.fromisoformat(value.replace(" ", "+") if "T" in value else value)
            if not 1970 <= moment.year <= _LAST_YEAR:
                raise ValueError
        except ValueError:
            raise Invalid(
                name, value, "a moment in ISO 8601, as in 2025-01-01T00:00:00Z or 2025-01-01"
            ) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)

    def period(self, now: float, *, back: timedelta, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
        """Start and end (exclusive). By default the end is now, and the start is `back` before the end."""
        # One millisecond is added to include requests that end exactly now.
        until = self.moment("end", zone) or date(now, zone) + timedelta(milliseconds=1)
        since = self.moment("start", zone) or until - back
        if since > until:
            raise Invalid("start", self.text("start"), "a moment before end")
        return since.astimezone(zone), until.astimezone(zone)

    def zone(self) -> tzinfo:
        """The time zone in the `timezone` parameter."""
        name = self.text("timezone") or "UTC"
        if name == "UTC":
            return UTC
        try:
            return ZoneInfo(name)
        except (OSError, ValueError, LookupError):
            raise Invalid("timezone", name, "the name of a time zone, as in Europe/Berlin") from None


class Page(NamedTuple):
    """A page of a list: `number` counts from 1."""

    number: int
    limit: int


def _whole(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None


def _page_number(cursor: str | None) -> int:
    # fal: a cursor is a page's number in base64, as `Mg==` for 2 (fal's Platform API specification, 2026-08).
    if cursor is None:
        return 1
    try:
        number = _whole(b64decode(cursor, validate=True).decode("ascii"))
    except ValueError:
        number = None
    if not number:
        raise Invalid("cursor", cursor, "the next_cursor of an earlier answer")
    return number


def json_body(http_request: HttpRequest, empty: bytes) -> JSON:
    """The JSON of a body; `empty` stands for an empty one. Raises Invalid."""
    try:
        return json.loads(http_request.body or empty)
    except (ValueError, RecursionError):
        raise Invalid("the body", http_request.body[:100].decode("utf-8", "replace"), "JSON") from None


def document(http_request: HttpRequest) -> dict[str, Any]:
    """The JSON object of a body. Raises Invalid."""
    value = json_body(http_request, b"{}")
    if not isinstance(value, dict):
        raise Invalid("the body", value, "an object")
    return value


# -- responses


def paged(name: str, items: Sequence[JSON], page: Page) -> dict[str, JSON]:
    """One page of a list, with the cursor of the next page."""
    start = (page.number - 1) * page.limit
    has_more = len(items) > start + page.limit
    cursor = b64encode(b"%d" % (page.number + 1)).decode() if has_more else None
    return {name: items[start : start + page.limit], "next_cursor": cursor, "has_more": has_more}


def timestamp(at: float) -> str:
    """An ISO 8601 timestamp of a time in Unix seconds."""
    # assumption: timestamps have milliseconds; the specification's examples have whole seconds (2026-08).
    return date(at).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status_code(outcome: Outcome) -> int:
    """The HTTP status of a result."""
    return outcome.status if isinstance(outcome, RunnerResponse) else outcome.kind.status
