"""`/_mock/calls/{id}/snippet`: a call as a program for curl, Python or JavaScript."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping
from pprint import pformat
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from mock_fal.accounts.secrets import HIDDEN, header_text
from mock_fal.errors import is_deeper
from mock_fal.journal.har import body_text
from mock_fal.web.control.calls import stored_call
from mock_fal.web.control.wire import ControlError, emulator, query

# Longer inputs make no readable source text.
MAX_INPUT_BYTES: Final = 256 << 10

_MAX_DEPTH: Final = 50

# The headers of fal's API that a client sends, and the one of mock-fal.
_SHOWN_HEADERS: Final = ("x-fal-", "x-mock-fal")
_NOT_SHOWN: Final = ("x-fal-target-url", "x-mock-fal-replay-of")


class Sent(NamedTuple):
    """What a client sent: its operation, the endpoint, the URL, headers of fal, and the input as bytes and as JSON."""

    operation: str
    endpoint: str
    url: str
    headers: dict[str, str]
    body: str
    input: Any


async def snippet(request: Request) -> Response:
    language = query(request, "as").get("as", "curl")
    if language not in _WRITERS:
        raise ControlError(422, f"as is {language!r:.100}, expected one of {', '.join(_WRITERS)}")
    call = await stored_call(request)
    if call.exchange is None or call.exchange.endpoint is None:
        raise ControlError(409, f"the input of {call.id!r:.100} is not stored")
    exchange = call.exchange
    if len(exchange.request_body) > MAX_INPUT_BYTES:
        raise ControlError(
            409, f"the input has {len(exchange.request_body)} bytes, expected at most {MAX_INPUT_BYTES}"
        )
    body, encoding = body_text(exchange.request_body)
    try:
        document = json.loads(exchange.request_body)
    except (ValueError, RecursionError):
        document = None
    is_json = isinstance(document, dict) and not is_deeper(document, _MAX_DEPTH)
    if encoding or (not is_json and language != "curl"):
        raise ControlError(409, "the input is no JSON object")
    headers = {
        name.decode("latin-1"): header_text(value)
        for name, value in exchange.request_headers
        if name.decode("latin-1").startswith(_SHOWN_HEADERS) and name.decode("latin-1") not in _NOT_SHOWN
    }
    shown = {name: value for name, value in headers.items() if HIDDEN not in value}
    url = exchange.url.replace("wss://", "https://", 1)
    sent = Sent(exchange.operation, exchange.endpoint or "", url, shown, str(body), document)
    # A lone surrogate is valid in JSON and not in UTF-8.
    text = _WRITERS[language](sent).encode("utf-8", "backslashreplace")
    return PlainTextResponse(emulator(request).keys.secrets.plain(text))


def _curl(sent: Sent) -> str:
    lines = [f"curl -X POST {shlex.quote(sent.url)}", '-H "Authorization: Key $FAL_KEY"']
    lines.append("-H 'Content-Type: application/json'")
    lines += [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in sent.headers.items()]
    if sent.body:
        # --data-raw: curl reads a file for a body that begins with @.
        lines.append(f"--data-raw {shlex.quote(sent.body)}")
    return " \\\n  ".join(lines) + "\n"


_PYTHON: Final = {
    "submit": "result = fal_client.subscribe({arguments})\nprint(result)\n",
    "run": "result = fal_client.run({arguments})\nprint(result)\n",
    "stream": "for event in fal_client.stream({arguments}):\n    print(event)\n",
    "realtime": (
        "with fal_client.realtime({endpoint}) as connection:\n"
        "    connection.send({input})\n    print(connection.recv())\n"
    ),
}


def _python(sent: Sent) -> str:
    endpoint, arguments = repr(_base(sent)), pformat(sent.input, width=96, sort_dicts=False)
    given = [endpoint, f"arguments={arguments}"]
    if sent.headers and sent.operation != "realtime":
        given.append(f"headers={sent.headers!r}")
    text = "".join(f"\n    {argument.replace(chr(10), chr(10) + '    ')}," for argument in given) + "\n"
    call = _PYTHON[sent.operation].replace("{endpoint}", endpoint).replace("{input}", arguments)
    return f"import fal_client\n\n{call.replace('{arguments}', text)}"


_JAVASCRIPT: Final = {
    "submit": "const result = await fal.subscribe({endpoint}, {options});\nconsole.log(result.data);\n",
    "run": "const result = await fal.run({endpoint}, {options});\nconsole.log(result.data);\n",
    "stream": (
        "const stream = await fal.stream({endpoint}, {options});\n"
        "for await (const event of stream) console.log(event);\nconsole.log(await stream.done());\n"
    ),
    "realtime": (
        "const connection = fal.realtime.connect({endpoint}, {\n"
        "  onResult: (result) => console.log(result),\n  onError: (error) => console.error(error),\n});\n"
        "connection.send({input});\n"
    ),
}


def _javascript(sent: Sent) -> str:
    document = _script(sent.input)
    call = _JAVASCRIPT[sent.operation].replace("{endpoint}", _script(_base(sent)))
    indented = document.replace("\n", "\n  ")
    options = f"{{\n  input: {indented},\n}}"
    if sent.headers:
        headers = _script(sent.headers).replace("\n", "\n  ")
        options = f"{{\n  input: {indented},\n  headers: {headers},\n}}"
    call = call.replace("{options}", options).replace("{input}", document)
    return f'import {{ fal }} from "@fal-ai/client";\n\n{call}'


def _script(value: Any) -> str:
    """JSON is JavaScript; these two characters end a line in old versions of it."""
    text = json.dumps(value, indent=2, ensure_ascii=False)
    return text.replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _base(sent: Sent) -> str:
    """The id that clients take; they append the path of a stream or of a session."""
    last = {"stream": "/stream", "realtime": "/realtime"}.get(sent.operation, "")
    return sent.endpoint.removesuffix(last)


_WRITERS: Final[Mapping[str, Callable[[Sent], str]]] = {
    "curl": _curl,
    "python": _python,
    "javascript": _javascript,
}
