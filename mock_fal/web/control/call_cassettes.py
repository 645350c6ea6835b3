"""`/_mock/calls/{id}/cassettes`: the exchanges of a call as cassettes, in a ZIP file."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from io import BytesIO
from typing import Final
from urllib.parse import quote
from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

from starlette.requests import Request
from starlette.responses import Response

from mock_fal.cassettes.cassette import (
    NO_BODY,
    NOT_JSON,
    Body,
    Cassette,
    FileBody,
    TextBody,
    cassette_request_headers,
    cassette_response_headers,
    decode_text,
    file_name,
    format_cassette,
    parse,
    request_body,
    response_json,
)
from mock_fal.cassettes.redaction import Redaction
from mock_fal.errors import InputTooLong
from mock_fal.files.long_input import LONG_BYTES, shortened
from mock_fal.hosts import EMULATED_HOSTS
from mock_fal.journal.exchanges import Exchange
from mock_fal.web.control.calls import exchanges_of, stored_call
from mock_fal.web.control.wire import ControlError, emulator, shown
from mock_fal.web.renderer import Renderer

# The bytes of one body, of its text without data URIs, and of all bodies. They are parsed and redacted in a thread, by
# functions that hold the interpreter.
MAX_BODY_BYTES: Final = 4 << 20
MAX_TEXT_BYTES: Final = 256 << 10
MAX_BYTES: Final = 64 << 20

# Characters of a path that are not percent-encoded (RFC 3986).
_SAFE: Final = "/:@!$&'()*+,;=~-._"

# ZIP files know no time before 1980; the same exchanges give the same file.
_DATE: Final = (1980, 1, 1, 0, 0, 0)


async def cassettes(request: Request) -> Response:
    mock, call = emulator(request), await stored_call(request)
    renderer: Renderer = request.app.state.renderer
    # An exchange without a response, or with one that is not over, is no cassette.
    exchanges = [
        await shown(request, exchange)
        async for exchange in exchanges_of(mock, call)
        if exchange.method != "WS" and 200 <= exchange.status <= 599 and exchange.sent_at is not None
    ]
    if not exchanges:
        raise ControlError(409, f"no finished exchange of {call.id!r:.100} is stored")
    size = sum(exchange.request_bytes + exchange.response_bytes for exchange in exchanges)
    if size > MAX_BYTES:
        raise ControlError(409, f"the exchanges have {size} bytes, expected at most {MAX_BYTES}")
    for exchange in exchanges:
        _check(exchange.request_body)
        _check(exchange.response_body)
    data = await renderer.in_thread(_zipped, exchanges)
    name = f"mock-fal-{call.id}.zip"
    return Response(
        data, media_type="application/zip", headers={"content-disposition": f'attachment; filename="{name}"'}
    )


def _check(body: bytes) -> None:
    """Raises ControlError for a body that is too long."""
    try:
        rest = shortened(body)[0] if len(body) > LONG_BYTES else body
    except InputTooLong:
        rest = body
    if len(rest) > MAX_TEXT_BYTES:
        raise ControlError(
            409, f"a body has {len(rest)} bytes beside its data URIs, expected at most {MAX_TEXT_BYTES}"
        )
    if len(body) > MAX_BODY_BYTES:
        raise ControlError(409, f"a body has {len(body)} bytes, expected at most {MAX_BODY_BYTES}")


def _zipped(exchanges: Sequence[Exchange]) -> bytes:
    data = BytesIO()
    redaction = Redaction()
    with ZipFile(data, "w", ZIP_DEFLATED) as archive:
        for number, exchange in enumerate(exchanges, 1):
            for name, content in _files(number, exchange, redaction):
                info = ZipInfo(name, _DATE)
                info.compress_type = ZIP_DEFLATED
                archive.writestr(info, content)
    return data.getvalue()


def _files(number: int, exchange: Exchange, redaction: Redaction) -> list[tuple[str, bytes]]:
    """The cassette of an exchange, and the files beside it with bodies that are no text."""
    query = f"?{exchange.query}" if exchange.query else ""
    url = f"https://{exchange.host}{quote(exchange.path, _SAFE, errors='replace')}{query}"
    files: list[tuple[str, bytes]] = []

    def saved(body: Body, content: bytes, suffix: str) -> Body:
        if not isinstance(body, FileBody):
            return body
        name = f"{number:04}{suffix}.bin"
        files.append((name, content))
        return FileBody(name, sha256(content).hexdigest())

    content_type = next((value for name, value in exchange.request_headers if name == b"content-type"), b"")
    sent_bytes, received_bytes = (
        _with_fal_urls(exchange, body) for body in (exchange.request_body, exchange.response_body)
    )
    sent = request_body(sent_bytes, content_type.decode("latin-1"), redaction)
    received = _response_body(url, received_bytes, redaction)
    cassette = Cassette(
        exchange.method,
        redaction.text(url),
        cassette_request_headers(exchange.request_headers, redaction),
        saved(sent, sent_bytes, ".request"),
        exchange.status,
        cassette_response_headers(exchange.response_headers, redaction),
        saved(received, received_bytes, ""),
    )
    return [(file_name(number, exchange.method, cassette.url), format_cassette(cassette).encode()), *files]


def _with_fal_urls(exchange: Exchange, body: bytes) -> bytes:
    """A body with fal's own URLs, also if the client had mock-fal's address as its base URL."""
    host = next((value for name, value in exchange.request_headers if name == b"host"), b"")
    if exchange.way == "gateway" or not host:
        return body
    for name in EMULATED_HOSTS:
        body = body.replace(
            b"%b://%b/%b" % (exchange.scheme.encode(), host, name.encode()), b"https://" + name.encode()
        )
    return body


def _response_body(url: str, body: bytes, redaction: Redaction) -> Body:
    if not body:
        return NO_BODY
    value = parse(body) if body.lstrip()[:1] in b'{["' else NOT_JSON
    if value is not NOT_JSON:
        return response_json(url, value, redaction)
    text = decode_text(body)
    return FileBody("", "") if text is None else TextBody(redaction.lines(text))
