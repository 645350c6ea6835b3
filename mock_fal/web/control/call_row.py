"""One call of a model as JSON: its state, its result in short, its webhook. Outcomes are derived here, when shown."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from mimetypes import guess_type
from typing import Any, Final
from urllib.parse import urlsplit

from mock_fal.billing.prices import NANO
from mock_fal.billing.usage import charge
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import JSON, FalError
from mock_fal.hosts import MEDIA_HOSTS, RESULT_HOST
from mock_fal.journal.exchanges import Exchange
from mock_fal.media.recipe import MediaRecipe, Video
from mock_fal.pictures.recipe import Recipe
from mock_fal.requests.lifecycle import Queued
from mock_fal.requests.outcome import MediaFile, RunnerResponse
from mock_fal.requests.queue import ModelRequest
from mock_fal.requests.retries import status_and_error
from mock_fal.requests.state import State, state
from mock_fal.scenario.rules import strings
from mock_fal.webhooks.outbox import Delivery, DeliveryState

# Characters of a prompt and of a text in a result, and how many files of a result are listed.
MAX_TEXT: Final = 200
_MAX_SECRET: Final = 200
MAX_FILES: Final = 8

# A longer input is not parsed for its prompt.
_MAX_PARSED: Final = 64 << 10
_PROMPT: Final = re.compile(rb'"(?:prompt|text)"\s*:\s*("(?:[^"\\]|\\.){0,400})', re.DOTALL)

# Values of a document that are searched for a text, and items of a list that are searched for URLs.
_MAX_VALUES: Final = 200

# Characters of a URL that are shown.
_MAX_URL: Final = 2000

_REFUSED: Final = "exchange-"

# The header of a submission that repeats a call: the id of that call.
REPLAY_HEADER: Final = "x-mock-fal-replay-of"

# Where the control API serves the files of the media host.
MEDIA: Final = "/_mock/media"


@dataclass(frozen=True, slots=True)
class Call:
    """A request to a model, and the exchange that made it if that is stored; or an exchange that made no request."""

    request: ModelRequest | None
    exchange: Exchange | None

    @property
    def id(self) -> str:
        return (
            self.request.id if self.request else f"{_REFUSED}{self.exchange.number if self.exchange else 0}"
        )


def refused_number(call_id: str) -> int:
    """The number of the exchange that an id names; 0 for the id of a request."""
    number = call_id.removeprefix(_REFUSED)
    is_number = number.isascii() and number.isdecimal() and len(number) < 19
    return int(number) if number != call_id and is_number else 0


def row(emulator: Emulator, call: Call) -> dict[str, Any]:
    """A call in a list, without the secrets of keys if its exchange is without them."""
    exchange = call.exchange
    sent = {
        "operation": exchange.operation if exchange else None,
        "prompt": _prompt(exchange.request_body) if exchange else None,
        "tags": exchange.tags if exchange else {},
        "exchange": exchange.number if exchange else None,
        "replay_of": _header(exchange, REPLAY_HEADER) if exchange else None,
        "warning": (exchange.unknown_endpoint or exchange.warning or None) if exchange else None,
    }
    if call.request is None:
        assert exchange is not None
        return _refused(exchange) | sent
    accepted = _accepted(emulator, call.request)
    if exchange is not None and accepted["text"]:
        text = accepted["text"].encode("utf-8", "surrogatepass")
        accepted["text"] = exchange.without_repeated(text).decode("utf-8", "surrogatepass")
    accepted["text"] = accepted["text"] and accepted["text"][:MAX_TEXT]
    return accepted | sent


def _accepted(emulator: Emulator, request: ModelRequest) -> dict[str, Any]:
    now, schedule = emulator.clock.now(), request.schedule
    view = emulator.read(request)
    is_over = view.is_completed
    status, error_type = status_and_error(request.result) if is_over else (None, None)
    cost = charge(request, now) if is_over else None
    nano = cost.nano_usd if cost else None
    current = state(request, now)
    files = request.files if current is State.COMPLETED else []
    delivery = emulator.store.outbox.find(request.id) if emulator.store.outbox else None
    return {
        "id": request.id,
        "key": request.tenant,
        "endpoint": str(request.endpoint),
        "kind": request.kind,
        "accepted": True,
        "state": current.value,
        "position": view.status.position if isinstance(view.status, Queued) else None,
        "steps": {"done": len(view.logs), "total": request.steps + sum(request.earlier_steps)},
        "submitted_at": schedule.queued_at,
        "starts_at": finite(schedule.starts_at),
        "ends_at": finite(schedule.ends_at),
        "attempts": sum(span.starts_at <= now for span in schedule.spans),
        "status": status,
        "error_type": error_type,
        # Not billed, not known, or known.
        "cost": 0.0 if is_over and cost is None else None if nano is None else nano / NANO,
        "files": [_result_file(file) for file in files[:MAX_FILES]],
        "file_count": len(files),
        "text": _text(request.result) if is_over and not request.payloads_deleted else None,
        "webhook": _webhook(delivery) if delivery else None,
        "directive": (str(request.directives.choice) or None) if request.directives else None,
    }


def _refused(exchange: Exchange) -> dict[str, Any]:
    """A call that made no request: fal refused it, a rule did, or its response came from a cassette."""
    is_bad = exchange.status >= 400 or not exchange.status
    return {
        "id": f"{_REFUSED}{exchange.number}",
        "key": exchange.tenant,
        "endpoint": exchange.endpoint,
        "kind": None,
        "accepted": False,
        "state": "failed" if is_bad else "completed",
        "position": None,
        "steps": {"done": 0, "total": 0},
        "submitted_at": exchange.at,
        "starts_at": None,
        "ends_at": exchange.at,
        "attempts": 0,
        "status": exchange.status,
        "error_type": _header(exchange, "x-fal-error-type", of_response=True) if is_bad else None,
        "cost": None,
        "files": [],
        "file_count": 0,
        "text": None,
        "webhook": None,
        "directive": exchange.directive or None,
    }


def finite(moment: float) -> float | None:
    """A moment as JSON: null for one that never comes."""
    return moment if math.isfinite(moment) else None


# -- texts


def _prompt(body: bytes) -> str | None:
    """The beginning of the prompt, or of another text of an input."""
    if len(body) > _MAX_PARSED:
        match = _PROMPT.search(body, 0, _MAX_PARSED)
        if match is None:
            return None
        try:
            return str(json.loads(match[1].decode("utf-8", "ignore") + '"'))[:MAX_TEXT]
        except ValueError:
            return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return first_text(document)


def first_text(document: JSON) -> str | None:
    """The prompt or text in a document, else its first text that is no URL, cut off."""
    if isinstance(document, dict):
        for name in ("prompt", "text", "output"):
            value = document.get(name)
            if isinstance(value, str) and value:
                return value[:MAX_TEXT]
    return next(
        (text[:MAX_TEXT] for text in strings(document, _MAX_VALUES) if text and not _is_url(text)), None
    )


def _is_url(text: str) -> bool:
    return text.startswith(("http://", "https://", "data:"))


def _text(outcome: object) -> str | None:
    """The text of a result without files, such as that of a language model."""
    if not isinstance(outcome, RunnerResponse) or outcome.status >= 400 or not isinstance(outcome.body, dict):
        return None
    return next(
        (
            value[: MAX_TEXT + _MAX_SECRET]  # a secret is not cut before it is hidden
            for name in ("output", "text", "content", "results", "transcription", "answer")
            if isinstance(value := outcome.body.get(name), str) and value
        ),
        None,
    )


def _header(exchange: Exchange, name: str, *, of_response: bool = False) -> str | None:
    headers = exchange.response_headers if of_response else exchange.request_headers
    wanted = name.encode()
    return next((value.decode("latin-1") for header, value in headers if header == wanted), None)


# -- files


def _result_file(file: MediaFile) -> dict[str, Any]:
    content_type = file.recipe.content_type
    return {
        "url": f"https://{RESULT_HOST}{file.path}",
        "local": f"{MEDIA}{file.path}",
        "content_type": content_type,
        "kind": kind_of_type(content_type),
        "preview": has_preview(content_type, file.recipe),
    }


def has_preview(content_type: str, recipe: MediaRecipe | None) -> bool:
    """Whether `?preview=` gives a picture. `recipe` is that of a file of a result."""
    return content_type.startswith("image/") or isinstance(recipe, Recipe | Video)


def kind_of_type(content_type: str) -> str:
    """The kind of a file: image, video, audio, text or other.

    >>> kind_of_type("image/png"), kind_of_type("text/plain; charset=utf-8"), kind_of_type("model/obj")
    ('image', 'text', 'other')
    """
    kind = content_type.partition("/")[0]
    if kind in ("image", "video", "audio", "text"):
        return kind
    return (
        "text" if content_type.partition(";")[0] in ("application/json", "application/x-subrip") else "other"
    )


def named_file(emulator: Emulator, url: str) -> dict[str, Any]:
    """A file that an input names. A data URI is cut off."""
    if url.startswith("data:"):
        content_type = url[5:200].partition(",")[0].partition(";")[0] or "text/plain"
        kind = kind_of_type(content_type)
        return {
            "url": url[:MAX_TEXT],
            "local": None,
            "content_type": content_type,
            "kind": kind,
            "preview": False,
        }
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        return {
            "url": url[:_MAX_URL],
            "local": None,
            "content_type": None,
            "kind": "other",
            "preview": False,
        }
    path = _media_path(host, parts.path)
    stored_type = _type_of(emulator, path) if path else ""
    content_type = stored_type or guess_type(parts.path[-_MAX_URL:])[0] or ""
    return {
        "url": url[:_MAX_URL],
        "local": f"{MEDIA}{path}" if stored_type else None,
        "content_type": content_type or None,
        "kind": kind_of_type(content_type),
        "preview": stored_type != "" and has_preview(stored_type, recipe_at(emulator, path)),
    }


def _media_path(host: str, path: str) -> str:
    """The path on the media host that a URL names, by name or by path; empty for a URL of another host."""
    first, _, rest = path[1:].partition("/")
    return path if host in MEDIA_HOSTS else f"/{rest}" if first in MEDIA_HOSTS else ""


def recipe_at(emulator: Emulator, path: str) -> MediaRecipe | None:
    """The recipe of the file of a result; None for other files."""
    file = emulator.store.files.get(path)
    return file.file.recipe if file else None


def _type_of(emulator: Emulator, path: str) -> str:
    """The type of a stored file; empty if there is none."""
    from mock_fal.files.file_store import Upload  # only for inputs that name a file

    try:
        file = emulator.storage.find(path)
    except FalError:
        return ""
    return file.content_type if isinstance(file, Upload) else file.file.recipe.content_type


def input_urls(document: JSON) -> Iterator[tuple[str, str]]:
    """The URLs in an input, each with its place as a JSON Pointer."""
    pending: list[tuple[str, JSON]] = [("", document)]
    for _ in range(20 * _MAX_VALUES):
        if not pending:
            return
        pointer, value = pending.pop()
        if isinstance(value, str):
            if _is_url(value):
                yield pointer, value
        elif isinstance(value, dict):
            members = [(f"{pointer}/{_escaped(name)}", part) for name, part in value.items()]
            pending.extend(reversed(members))
        elif isinstance(value, list):
            items = [(f"{pointer}/{index}", part) for index, part in enumerate(value[:_MAX_VALUES])]
            pending.extend(reversed(items))


def _escaped(name: str) -> str:
    return name.replace("~", "~0").replace("/", "~1")


# -- webhooks


def _webhook(delivery: Delivery) -> dict[str, Any]:
    current = delivery.state
    return {
        "url": delivery.url,
        "state": current.value,
        "attempts": len(delivery.attempts),
        "next_at": finite(delivery.next_at) if current is DeliveryState.WAITING else None,
    }
