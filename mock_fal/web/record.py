"""What the journal keeps of a request to one of fal's hosts."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from typing import TYPE_CHECKING, Any, NamedTuple

from mock_fal.accounts.secrets import shown_query
from mock_fal.journal.exchanges import Exchange, Journal, add_part, pack_headers
from mock_fal.requests.queue import ModelRequest
from mock_fal.web import wire
from mock_fal.web.http_request import HttpRequest

if TYPE_CHECKING:
    from mock_fal.accounts.secrets import Secrets


class Answered(NamedTuple):
    """A request that was answered at once. The journal makes an exchange of it later.

    `at` is emulated time, the other moments are real time; `unknown_endpoint` is as in `Remarks`.
    """

    at: float
    http_request: HttpRequest
    response: wire.Reply
    request: ModelRequest | None
    received_at: float
    sent_at: float
    unknown_endpoint: str

    def read(self) -> tuple[Exchange, str]:
        """The exchange, and the secret of the request."""
        at, http_request, response, request, received_at, sent_at, unknown_endpoint = self
        exchange = exchange_of(at, http_request, response, request, received_at, sent_at)
        if unknown_endpoint:
            exchange.note(unknown_endpoint=unknown_endpoint)
        return exchange, http_request.head.secret


def read_secrets(http_request: HttpRequest, secrets: Secrets) -> None:
    """Know the key of a request from now on, and how its header fields are shown."""
    head = http_request.head
    if not head.shown:
        head.shown = secrets.head(pack_headers(head.raw))


def exchange_of(
    at: float,
    http_request: HttpRequest,
    response: wire.AnyResponse,
    request: ModelRequest | None,
    received_at: float,
    sent_at: float | None = None,
) -> Exchange:
    """The exchange for a request, after `read_secrets`; without the body of one of Starlette's responses."""
    head = http_request.head
    exchange = Exchange(  # positional arguments: keyword arguments double the cost of this call
        at,
        request.tenant if request else http_request.account or http_request.named_account,
        http_request.method,
        http_request.host,
        http_request.path,
        shown_query(http_request.query),
        head.shown,
        http_request.body,
        response.status_code,
        wire.head_of(response),
        response.body if isinstance(response, wire.Reply) else b"",
        request.id if request else None,
        http_request.uploaded_bytes,
        received_at,
        sent_at,
        request.endpoint if request else None,
        head.scheme,
        head.client,
    )
    if request is not None and request.directives is not None:
        exchange.note(directive=str(request.directives.choice), is_stubbed=request.is_stubbed)
    if request is not None and request.warning:
        exchange.note(warning=request.warning)
    return exchange


async def recorded(
    parts: AsyncIterable[Any], exchange: Exchange, journal: Journal, secret: str
) -> AsyncIterator[bytes]:
    """The parts of a stream; each is added to the journal as it is sent."""
    try:
        async for part in parts:
            data = part.encode() if isinstance(part, str) else bytes(part)
            add_part(exchange, data, secret)
            journal.update_size(exchange)
            yield data
    finally:
        journal.update_size(exchange)
