"""`/_mock/calls`: calls of models, in pages and each in detail."""

from __future__ import annotations

import asyncio
import json
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import ScenarioError
from mock_fal.hosts import RESULT_HOST
from mock_fal.journal.exchanges import Exchange
from mock_fal.requests.lifecycle import Completed
from mock_fal.requests.queue import ModelRequest
from mock_fal.requests.retries import attempts, status_and_error
from mock_fal.requests.state import State, state
from mock_fal.scenario.patterns import MAX_GLOB, matches_glob
from mock_fal.web import wire
from mock_fal.web.control import findings
from mock_fal.web.control.call_row import Call, finite, input_urls, named_file, refused_number, row
from mock_fal.web.control.journal import delivery_shape, matches_status, number_text, read_body, status_text
from mock_fal.web.control.journal import summary as exchange_summary
from mock_fal.web.control.submissions import Submissions
from mock_fal.web.control.wire import ControlError, emulator, hidden, listed, shown, slices
from mock_fal.web.http_request import Links
from mock_fal.web.renderer import Renderer

DEFAULT_LIMIT: Final = 50
MAX_LIMIT: Final = 200
MAX_IDS: Final = 100
MAX_SEARCH: Final = 200

# The latest exchanges of a call that its detail lists.
MAX_EXCHANGES: Final = 500

# Files of an input that are listed.
_MAX_INPUT_FILES: Final = 50

# The bytes of an input in which a text is searched.
_MAX_SEARCHED: Final = 64 << 10

# Calls that are compared with the query before other requests get a turn, and exchanges between two looks at the time.
_SLICE: Final = 50

_PARAMETERS: Final = ("key", "endpoint", "state", "status", "text", "since", "id", "before", "limit")

# fal's own addresses, for outputs that are shown.
_LINKS: Final = Links("https://queue.fal.run", f"https://{RESULT_HOST}")

Filter = Callable[[Emulator, Call], bool]


async def calls(request: Request) -> Response:
    mock, submissions = emulator(request), found(request)
    params, ids = _query(request)
    filters = _filters(params)
    limit = int(params.get("limit", DEFAULT_LIMIT))
    await submissions.update()
    if ids:
        chosen = [call for id in ids if (call := find(mock, submissions, id)) is not None]
        page = [call for call in chosen if all(matches(mock, call) for matches in filters)]
        cursor = None
    else:
        page, cursor = await _page(mock, submissions, filters, _cursor(params.get("before")), limit)
    document: dict[str, Any] = {
        "now": mock.clock.now(),
        "total": len(mock.store.requests),
        "next": cursor,
        "calls": [],
    }
    return listed(request, document, page, lambda call: row(mock, call), _shown_call)


async def call(request: Request) -> Response:
    mock, chosen = emulator(request), await stored_call(request)
    renderer: Renderer = request.app.state.renderer
    exchanges = [exchange async for exchange in exchanges_of(mock, chosen)]
    document = row(mock, chosen)
    document |= await _sent(mock, renderer, chosen.exchange)
    document |= await _received(mock, renderer, chosen)
    document["exchanges"] = [
        exchange_summary(await shown(request, exchange))
        async for exchange in slices(exchanges[-MAX_EXCHANGES:])
    ]
    delivery = mock.store.outbox.find(chosen.id) if mock.store.outbox else None
    document["deliveries"] = [delivery_shape(mock, delivery)] if delivery else []
    document["rules"] = _rules(chosen)
    document["findings"] = await findings.of(mock, renderer, exchanges, delivery)
    return await hidden(request, document)


async def stored_call(request: Request) -> Call:
    """The call in the path, without the secrets of keys. Raises ControlError."""
    mock, submissions, call_id = emulator(request), found(request), request.path_params["id"]
    await submissions.update()
    call = find(mock, submissions, call_id)
    if call is None:
        raise ControlError(404, f"no call {call_id!r:.100} is stored")
    return await _shown_call(request, call)


async def _shown_call(request: Request, call: Call) -> Call:
    return Call(call.request, await shown(request, call.exchange)) if call.exchange else call


def find(mock: Emulator, submissions: Submissions, call_id: str) -> Call | None:
    """The call with that id; None if it is not stored."""
    number = refused_number(call_id)
    if number:
        exchange = mock.store.exchanges.find(number)
        is_refused = exchange is not None and exchange.is_submission and not exchange.request_id
        return Call(None, exchange) if is_refused else None
    request = mock.store.requests.get(call_id)
    return Call(request, submissions.of(call_id)) if request else None


def found(request: Request) -> Submissions:
    """The submissions that were found in the journal. Created by the first request that needs them."""
    state = request.app.state
    if not hasattr(state, "submissions"):
        state.submissions = Submissions(state.emulator)
    submissions: Submissions = state.submissions
    return submissions


async def exchanges_of(mock: Emulator, call: Call) -> AsyncIterator[Exchange]:
    """The exchanges of a call, oldest first."""
    if call.request is None:
        if call.exchange:
            yield call.exchange
        return
    async for exchange in slices(mock.store.exchanges, _SLICE):
        if exchange.request_id == call.id:
            yield exchange


# -- pages


async def _page(
    mock: Emulator, submissions: Submissions, filters: list[Filter], before: tuple[int, int], limit: int
) -> tuple[list[Call], str | None]:
    """The newest calls before a cursor that match, newest first, and the cursor of the next page.

    Requests and refused calls are in order, each by its number; they are merged by time.
    """
    requests = list(mock.store.requests.values())
    refused = submissions.refused
    left = bisect_left(requests, before[0], key=lambda request: request.submission.number) if before[0] else 0
    left = left if before[0] else len(requests)
    right = bisect_left(refused, before[1]) if before[1] else len(refused)
    page: list[Call] = []
    checked = 0
    while left or right:
        checked += 1
        if checked % _SLICE == 0:
            await asyncio.sleep(0)
        exchange = mock.store.exchanges.find(refused[right - 1]) if right else None
        if right and exchange is None:
            right -= 1  # forgotten
            continue
        call = Call(requests[left - 1], submissions.of(requests[left - 1].id)) if left else None
        if call is None or (exchange is not None and _is_before(call, exchange)):
            call = Call(None, exchange)
        if all(matches(mock, call) for matches in filters):
            if len(page) == limit:
                return page, _cursor_text(requests, refused, left, right)
            page.append(call)
        if call.request is not None:
            left -= 1
        else:
            right -= 1
    return page, None


def _is_before(call: Call, exchange: Exchange) -> bool:
    """Whether a request was submitted before a refused call: by the emulated time, then by the journal."""
    assert call.request is not None
    submitted_at = call.request.submission.queued_at
    if submitted_at != exchange.at or call.exchange is None:
        return submitted_at < exchange.at
    return call.exchange.number < exchange.number


def _cursor_text(requests: list[ModelRequest], refused: list[int], left: int, right: int) -> str:
    """The numbers before which the next page begins."""
    request = requests[left - 1].submission.number + 1 if left else 1
    return f"{request}.{refused[right - 1] + 1 if right else 1}"


def _cursor(text: str | None) -> tuple[int, int]:
    """The numbers in a cursor; zeros without one."""
    if text is None:
        return 0, 0
    request, _, refused = text.partition(".")
    if not (number_text(request) and number_text(refused)):
        raise ControlError(422, f"before is {text!r:.100}, expected the `next` of the page before")
    return int(request), int(refused)


def _query(request: Request) -> tuple[dict[str, str], list[str]]:
    """The parameters, and the ids. Raises ControlError."""
    for name in request.query_params:
        if name not in _PARAMETERS:
            raise ControlError(
                422, f"unknown parameter {name!r:.100}; expected one of {', '.join(_PARAMETERS)}"
            )
    params, ids = dict(request.query_params), request.query_params.getlist("id")
    for name, value in params.items():
        expected = _EXPECTED.get(name)
        if expected is not None and not expected[0](value):
            raise ControlError(422, f"{name} is {value!r:.100}, expected {expected[1]}")
    if len(ids) > MAX_IDS:
        raise ControlError(422, f"{len(ids)} times id, expected at most {MAX_IDS}")
    return params, ids


def _is_moment(text: str) -> bool:
    try:
        return 0 <= float(text) < 1e12
    except ValueError:
        return False


_STATES: Final = [state.value for state in State]
_EXPECTED: Final[Mapping[str, tuple[Callable[[str], bool], str]]] = {
    "endpoint": (lambda value: len(value) <= MAX_GLOB, f"at most {MAX_GLOB} characters"),
    "state": (_STATES.__contains__, f"one of {', '.join(_STATES)}"),
    "status": (status_text, "a status such as 422, or 4xx"),
    "text": (lambda value: len(value) <= MAX_SEARCH, f"at most {MAX_SEARCH} characters"),
    "since": (_is_moment, "Unix seconds"),
    "limit": (
        lambda value: number_text(value) and 1 <= int(value) <= MAX_LIMIT,
        f"a number from 1 to {MAX_LIMIT}",
    ),
}


# -- filters: none derives an outcome, but those that ask for one


def _filters(params: Mapping[str, str]) -> list[Filter]:
    return [_FILTERS[name](value) for name, value in params.items() if name in _FILTERS]


def _of_key(value: str) -> Filter:
    return lambda mock, call: (call.request or call.exchange).tenant == value  # type: ignore[union-attr]  # one is set


def _of_endpoint(value: str) -> Filter:
    return lambda mock, call: matches_glob(value, _endpoint(call))


def _in_state(value: str) -> Filter:
    wanted = State(value)

    def matches(mock: Emulator, call: Call) -> bool:
        if call.request is None:
            is_bad = call.exchange is not None and not 0 < call.exchange.status < 400
            return wanted is (State.FAILED if is_bad else State.COMPLETED)
        is_over = call.request.schedule.ends_at <= mock.clock.now()
        if is_over != (wanted not in (State.QUEUED, State.RUNNING)):
            return False
        return state(call.request, mock.clock.now()) is wanted

    return matches


def _with_status(value: str) -> Filter:
    def matches(mock: Emulator, call: Call) -> bool:
        if call.request is None:
            return call.exchange is not None and matches_status(call.exchange.status, value)
        if call.request.schedule.ends_at > mock.clock.now():
            return False
        return matches_status(status_and_error(call.request.result)[0], value)

    return matches


def _with_text(value: str) -> Filter:
    # A text in JSON may be written with escapes.
    wanted = {
        value.lower(),
        json.dumps(value)[1:-1].lower(),
        json.dumps(value, ensure_ascii=False)[1:-1].lower(),
    }

    def has_wanted(data: bytes) -> bool:
        body = data.decode("utf-8", "replace").lower()
        return any(text in body for text in wanted)

    def matches(mock: Emulator, call: Call) -> bool:
        names = f"{call.id} {_endpoint(call)}".lower()
        if any(text in names for text in wanted):
            return True
        if call.exchange is not None:
            start = call.exchange.request_start(_MAX_SEARCHED)
            if has_wanted(start):  # not a part of a secret, which could be guessed in this way
                return has_wanted(mock.keys.secrets.body(start))
        return False

    return matches


def _since(value: str) -> Filter:
    moment = float(value)

    def matches(mock: Emulator, call: Call) -> bool:
        if call.request is not None:
            return call.request.submission.queued_at >= moment
        return call.exchange is not None and call.exchange.at >= moment

    return matches


_FILTERS: Final[Mapping[str, Callable[[str], Filter]]] = {
    "key": _of_key,
    "endpoint": _of_endpoint,
    "since": _since,
    "text": _with_text,
    "status": _with_status,
    "state": _in_state,
}


def _endpoint(call: Call) -> str:
    if call.request is not None:
        return str(call.request.endpoint)
    return (call.exchange.endpoint if call.exchange else None) or ""


# -- details


async def _sent(mock: Emulator, renderer: Renderer, exchange: Exchange | None) -> dict[str, Any]:
    """The input, and the files that it names."""
    if exchange is None:
        return {"input": None, "input_size": None, "input_files": []}
    body = exchange.request_body
    document = await _parsed(renderer, body)
    named = [
        {"pointer": pointer, "file": named_file(mock, url)}
        for (pointer, url), _ in zip(input_urls(document), range(_MAX_INPUT_FILES), strict=False)
    ]
    return {"input": document, "input_size": len(body), "input_files": named}


async def _received(mock: Emulator, renderer: Renderer, call: Call) -> dict[str, Any]:
    """The output, the timeline and the logs."""
    request, now = call.request, mock.clock.now()
    if request is None:
        assert call.exchange is not None
        return {
            "now": now,
            "output": await _parsed(renderer, call.exchange.response_body),
            "inference_s": None,
            "cancelled_at": None,
            "ending": "refused",
            "attempt_list": [],
            "logs": [],
        }
    view = mock.read(request)
    is_over = isinstance(view.status, Completed)
    return {
        "now": now,
        "output": await _output(renderer, request, call.exchange)
        if is_over and not request.payloads_deleted
        else None,
        "inference_s": view.status.inference_s if isinstance(view.status, Completed) else None,
        "cancelled_at": finite(request.submission.cancelled_at),
        "ending": request.schedule.ending.name.lower().replace("_", " ") if is_over else None,
        "attempt_list": [attempt._asdict() for attempt in attempts(request, now)],
        "logs": [
            {"at": line.at, "level": line.level, "source": line.source, "message": line.message}
            for line in view.logs
        ],
    }


async def _output(renderer: Renderer, request: ModelRequest, exchange: Exchange | None) -> Any:
    """The body of the result, as fal returns it, without secrets of the input."""
    outcome = request.result
    rendered = await renderer.rendered(outcome)
    if not rendered:
        return await _parsed(renderer, wire.result(outcome, request, _LINKS, rendered).body, exchange)
    reply = await renderer.in_thread(wire.result, outcome, request, _LINKS, rendered)
    return await _parsed(renderer, reply.body, exchange)


# Longer bodies are parsed in a thread.
_SHORT: Final = 64 << 10


async def _parsed(renderer: Renderer, body: bytes, exchange: Exchange | None = None) -> Any:
    def parsed() -> Any:
        return read_body(exchange.without_repeated(body) if exchange else body)

    return parsed() if len(body) <= _SHORT else await renderer.in_thread(parsed)


def _rules(call: Call) -> list[dict[str, Any]]:
    """The directives and rules that acted on a call."""
    from mock_fal.scenario.explain import explain, explain_text

    if call.request is None or call.request.directives is None:
        text = call.exchange.directive if call.exchange else ""
        if not text:
            return []
        try:
            sentences = explain_text(text)
        except ScenarioError:  # a long value was cut
            sentences = []
        return [{"origin": "rule", "rule": text, "sentences": sentences}]
    directives = call.request.directives
    own = {id(directive) for directive in directives.directives}
    acted = {
        id(item): item for choice in (directives.choice, *directives.retries) for item in choice.directives
    }
    return [
        {
            "origin": "directive" if key in own else "rule",
            "rule": directive.shown,
            "sentences": explain(directive),
        }
        for key, directive in reversed(acted.items())
    ]
