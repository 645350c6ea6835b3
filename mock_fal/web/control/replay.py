"""`/_mock/calls/{id}/replay`: submits the input of a call again, as a client would."""

from __future__ import annotations

import json
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message

from mock_fal.accounts.secrets import HIDDEN_BYTES
from mock_fal.emulation.emulator import Emulator
from mock_fal.errors import is_deeper
from mock_fal.journal.exchanges import Exchange, RawHeaders
from mock_fal.web.control.call_row import REPLAY_HEADER, Call
from mock_fal.web.control.calls import found, stored_call
from mock_fal.web.control.wire import ControlError, emulator, limited_document

_EXPECTED: Final = '{} with "input", "key" or "directive"'

# Levels of an input of the user's own: more can be read than written.
_MAX_DEPTH: Final = 100

# Bytes of an input of the user's own: more than fal's largest payload.
MAX_BODY_BYTES: Final = 2_000_000

_DIRECTIVE: Final = b"x-mock-fal"

# Characters of a directive and of the id of a key.
_MAX_DIRECTIVE: Final = 4000
_MAX_KEY: Final = 200

# The headers of a submission that say something about it. A replay has a key and a length of its own.
_KEPT: Final = (b"content-type", _DIRECTIVE)
_NOT_KEPT: Final = (b"x-fal-target-url",)


async def replay(request: Request) -> Response:
    mock, call = emulator(request), await stored_call(request)
    changes = await _changes(request)
    if mock.settings.record:
        raise ControlError(409, "this server records: the live service would bill a replay")
    exchange = call.exchange
    if exchange is None or exchange.endpoint is None:
        raise ControlError(409, f"the input of {call.id!r:.100} is not stored")
    body = json.dumps(changes["input"]).encode() if "input" in changes else exchange.request_body
    key = _key(mock, changes.get("key", exchange.tenant))
    headers = _headers(exchange, call.id, key, len(body), changes.get("directive"))
    query = _query(mock, call) if exchange.operation == "submit" else ""
    path = f"/queue.fal.run/{exchange.endpoint}"
    before = mock.store.exchanges.last_number
    status, answer = await _post(request, path, query, headers, body)
    await found(request).update()
    request_id = answer.get("request_id") if isinstance(answer, dict) else None
    if not (isinstance(request_id, str) and request_id in mock.store.requests):
        request_id = _refused_id(mock, before, call.id)
    return JSONResponse({"id": request_id, "status": status}, 202)


async def _changes(request: Request) -> dict[str, Any]:
    """The members of the body. Raises ControlError."""
    changes = await limited_document(request, _EXPECTED, MAX_BODY_BYTES)
    if not isinstance(changes, dict) or not changes.keys() <= {"input", "key", "directive"}:
        raise ControlError(422, f"expected {_EXPECTED}, got {changes!r:.100}")
    if is_deeper(changes.get("input"), _MAX_DEPTH):
        raise ControlError(422, f"lists and objects are nested more than {_MAX_DEPTH} deep")
    key, directive = changes.get("key", ""), changes.get("directive", "")
    if not (isinstance(key, str) and len(key) <= _MAX_KEY and key.isprintable() and not set(key) & set(": ")):
        raise ControlError(422, f"key is {key!r:.100}, expected the id of a key")
    if not (isinstance(directive, str) and len(directive) <= _MAX_DIRECTIVE and directive.isprintable()):
        raise ControlError(
            422, f"directive is {directive!r:.100}, expected at most {_MAX_DIRECTIVE} characters"
        )
    return changes


def _key(mock: Emulator, account: str) -> str:
    """A key of an account; empty for a call without one. Raises ControlError."""
    if not account:
        return ""
    accepted = mock.settings.key
    if not accepted:
        return f"{account}:{mock.keys.run_secret}"
    key = next((key for key in accepted if key.partition(":")[0] == account), None)
    if key is None:
        raise ControlError(409, f"no --key of the account {account!r:.100}")
    return key


def _headers(exchange: Exchange, call_id: str, key: str, length: int, directive: str | None) -> RawHeaders:
    kept = [
        (name, value)
        for name, value in exchange.request_headers
        if (name in _KEPT or name.startswith(b"x-fal-"))
        and name not in _NOT_KEPT
        and HIDDEN_BYTES not in value
    ]
    if directive is not None:
        kept = [(name, value) for name, value in kept if name != _DIRECTIVE]
        kept += [(_DIRECTIVE, directive.encode("utf-8"))] if directive else []
    if not any(name == b"content-type" for name, _ in kept):
        kept.append((b"content-type", b"application/json"))
    authorization = [(b"authorization", f"Key {key}".encode("latin-1", "replace"))] if key else []
    return [
        *authorization,
        *kept,
        (b"content-length", b"%d" % length),
        (REPLAY_HEADER.encode(), call_id.encode()),
    ]


def _query(mock: Emulator, call: Call) -> str:
    """The query of the submission, with the webhook that was really named: its shown URL hides secrets."""
    from urllib.parse import parse_qsl

    assert call.exchange is not None
    delivery = mock.store.outbox.find(call.id) if mock.store.outbox else None
    pairs = [
        (name, value)
        for name, value in parse_qsl(call.exchange.query, keep_blank_values=True)
        if name != "fal_webhook" and HIDDEN_BYTES.decode() not in value
    ]
    return urlencode([*pairs, *([("fal_webhook", delivery.url)] if delivery else [])])


def _refused_id(mock: Emulator, before: int, call_id: str) -> str:
    """The id of the call that was refused: its exchange is among the latest."""
    for exchange in mock.store.exchanges.latest(mock.store.exchanges.last_number - before):
        if (REPLAY_HEADER.encode(), call_id.encode()) in exchange.request_headers:
            return exchange.request_id or f"exchange-{exchange.number}"
    return call_id


async def _post(request: Request, path: str, query: str, headers: RawHeaders, body: bytes) -> tuple[int, Any]:
    """The status and the JSON of the response to a request that this server sends itself."""
    app: ASGIApp = request.app.state.app
    sent: list[Message] = []
    incoming: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        return incoming.pop() if incoming else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    host = [(name, value) for name, value in request.scope["headers"] if name == b"host"]
    scope = {
        **request.scope,
        "method": "POST",
        "path": path,
        "raw_path": quote(path).encode(),
        "query_string": query.encode("latin-1"),
        "headers": [*host, *headers],
        "root_path": "",
    }
    for name in ("app", "router", "endpoint", "path_params", "starlette.exception_handlers"):
        scope.pop(name, None)
    await app(scope, receive, send)
    status = next((message["status"] for message in sent if message["type"] == "http.response.start"), 0)
    content = b"".join(
        message.get("body", b"") for message in sent if message["type"] == "http.response.body"
    )
    try:
        return status, json.loads(content)
    except (ValueError, RecursionError):
        return status, None
