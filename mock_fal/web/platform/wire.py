"""What the Platform API reads and answers: its query, its envelope of errors, its pages and moments."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any, Final, NamedTuple
from urllib.parse import parse_qs
from zoneinfo import ZoneInfo

from mock_fal.errors import JSON, FalError
from mock_fal.requests.outcome import Outcome, RunnerResponse
from mock_fal.web.http_request import HttpRequest
from mock_fal.web.wire import Reply, reply

# fal: how many ids a filter takes (fal's Platform API specification, 2026-08).
MAX_IDS: Final = 50

# No calendar goes on for ever, and buckets end after what is asked for.
_LAST_YEAR: Final = 9000


class Refused(Exception):
    """The Platform API's own way to say no. `kind` is one of its types of error."""

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.kind = kind
        self.message = message


class Invalid(Refused):
    """A parameter that can't be used."""

    def __init__(self, name: str, seen: object, expected: str) -> None:
        # assumption: what follows the first three words, which are the specification's (2026-08).
        super().__init__(
            400,
            "validation_error",
            f"Invalid request parameters: {name} is {seen!r:.200}, expected {expected}",
        )


class NotFound(Refused):
    """Something that is not there."""

    def __init__(self, what: str) -> None:
        # assumption: that it is told what; the words before that are the specification's (2026-08).
        super().__init__(404, "not_found", f"Resource not found: {what}")


# fal: which type goes with which status (fal's Platform API specification, 2026-08).
_KINDS: Final = {
    400: "validation_error",
    401: "authorization_error",
    403: "authorization_error",
    404: "not_found",
    422: "validation_error",
    429: "rate_limited",
}


def refusal(error: Refused | FalError) -> Reply:
    """An error in the envelope."""
    if isinstance(error, FalError):
        status = 400 if error.status == 422 else error.status
        error = Refused(status, _KINDS.get(error.status, "server_error"), error.detail)
    return reply(error.status, {"error": {"type": error.kind, "message": error.message}})


# -- what is asked


class Query:
    """The parameters of a question. Lists are given by repetition or with commas. All raise Invalid."""

    def __init__(self, http_request: HttpRequest) -> None:
        self._given = parse_qs(http_request.query, keep_blank_values=True)

    def text(self, name: str) -> str | None:
        """The value of a parameter; of one that is given twice, the last."""
        return self._given[name][-1] if name in self._given else None

    def choice(self, name: str, allowed: Sequence[str], default: str) -> str:
        """One of a few words."""
        seen = self.text(name)
        if seen is None:
            return default
        if seen not in allowed:
            raise Invalid(name, seen, f"one of {', '.join(allowed)}")
        return seen

    def ids(self, name: str, *, required: bool = False) -> list[str]:
        """Up to 50 ids, each once; none where the parameter is not given."""
        ids = self.listed(name)
        if name in self._given and not ids:
            raise Invalid(name, self.text(name), f"1 to {MAX_IDS} ids")
        if required and not ids:
            raise Invalid(name, None, f"1 to {MAX_IDS} ids")
        if len(ids) > MAX_IDS:
            raise Invalid(name, f"a list of {len(ids)}", f"1 to {MAX_IDS} ids")
        return ids

    def listed(self, name: str, allowed: Collection[str] | None = None) -> list[str]:
        """The parts of a list, each once; where there is a choice of them, only those."""
        parts = [part.strip() for value in self._given.get(name, []) for part in value.split(",")]
        listed = list(dict.fromkeys(part for part in parts if part))
        for part in listed:
            if allowed is not None and part not in allowed:
                raise Invalid(name, part, f"one of {', '.join(allowed)}")
        return listed

    def page(self, *, default: int, most: int, strict: bool = False) -> Page:
        """Which part of a list is asked for; a limit beyond `most` is cut down, or refused where it is `strict`."""
        seen = self.text("limit")
        limit = default if seen is None else _whole(seen)
        if limit is None or limit < 1 or (strict and limit > most):
            upper = f" to {most}" if strict else " or more"
            raise Invalid("limit", seen, f"a whole number of 1{upper}")
        return Page(_page_number(self.text("cursor")), min(limit, most))

    def moment(self, name: str, zone: tzinfo = UTC) -> datetime | None:
        """A moment, or the day that it begins with; without an offset it is one of `zone`."""
        seen = self.text(name)
        if seen is None:
            return None
        try:
            # A plus that nobody has quoted comes as a space.
            moment = datetime.fromisoformat(seen.replace(" ", "+") if "T" in seen else seen)
            if not 1970 <= moment.year <= _LAST_YEAR:
                raise ValueError
        except ValueError:
            raise Invalid(
                name, seen, "a moment in ISO 8601, as in 2025-01-01T00:00:00Z or 2025-01-01"
            ) from None
        return moment if moment.tzinfo else moment.replace(tzinfo=zone)

    def period(self, now: float, *, back: timedelta, zone: tzinfo = UTC) -> tuple[datetime, datetime]:
        """From when to when, the latter exclusive; until now, and from `back` before, where not said."""
        # A request that is over at this very moment belongs to it.
        until = self.moment("end", zone) or datetime.fromtimestamp(now, zone) + timedelta(milliseconds=1)
        since = self.moment("start", zone) or until - back
        if since > until:
            raise Invalid("start", self.text("start"), "a moment before end")
        return since.astimezone(zone), until.astimezone(zone)

    def zone(self) -> tzinfo:
        """The time zone, by its name."""
        name = self.text("timezone") or "UTC"
        if name == "UTC":
            return UTC
        try:
            return ZoneInfo(name)
        except (OSError, ValueError, LookupError):
            raise Invalid("timezone", name, "the name of a time zone, as in Europe/Berlin") from None


class Page(NamedTuple):
    """A part of a list: `number` counts from 1."""

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


def document(http_request: HttpRequest) -> dict[str, Any]:
    """The JSON object of a body. Raises Invalid."""
    try:
        seen = json.loads(http_request.body or b"{}")
    except (ValueError, RecursionError):
        raise Invalid("the body", http_request.body[:100].decode("utf-8", "replace"), "JSON") from None
    if not isinstance(seen, dict):
        raise Invalid("the body", seen, "an object")
    return seen


# -- what is answered


def paged(name: str, items: Sequence[JSON], page: Page) -> dict[str, JSON]:
    """One page of a list, and how to ask for the next."""
    start = (page.number - 1) * page.limit
    has_more = len(items) > start + page.limit
    cursor = b64encode(b"%d" % (page.number + 1)).decode() if has_more else None
    return {name: items[start : start + page.limit], "next_cursor": cursor, "has_more": has_more}


def moment(at: float) -> str:
    """A moment, given in Unix seconds."""
    # assumption: the milliseconds; the specification's examples have whole seconds (2026-08).
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def status_code(outcome: Outcome) -> int:
    """The status of a result."""
    return outcome.status if isinstance(outcome, RunnerResponse) else outcome.kind.status
