"""Rules about URLs and HTTP methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import MODEL_HOSTS, Record
from mock_fal_contracts.usage_rules.rule import QUEUE_API, WEBHOOKS, Finding, rule

_NAMESPACES: Final = ("workflows", "comfy")
_INPUTS: Final = ("prompt", "negative_prompt", "image_url", "image_urls", "text")
_WEBHOOK_FIELDS: Final = ("webhook_url", "webhookUrl", "fal_webhook", "webhook")

# What programs put in the place of a request id that they don't have.
_PLACEHOLDERS: Final = ("None", "undefined", "null", "nil", "NaN", "[object Object]", "{request_id}", "")


def _is_cancellation(exchange: Exchange) -> bool:
    return exchange.path.rstrip("/").endswith("/cancel")


@rule(
    "request-url",
    "uses request URLs with owner and app only",
    "The URLs for status, result and cancel contain owner/app, without the rest of the endpoint id; with it they are "
    "405.",
    f"{QUEUE_API}; seen live",
    subject="queued request was polled or cancelled",
    select=lambda record: record.request_exchanges,
)
def request_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        parts = exchange.path.partition("/requests/")[0].strip("/").split("/")
        expected = 3 if parts[0] in _NAMESPACES else 2
        if len(parts) > expected:
            yield Finding(
                f"{exchange.method} {exchange.path} was answered {exchange.status}: expected "
                f"{'/'.join(parts[:expected])} before /requests/. Use status_url, response_url and cancel_url of the "
                "response to the submission.",
                (exchange,),
            )


@rule(
    "request-id",
    "checks that its submission was accepted",
    "Only a submission that was answered 200 has a request_id; every other response is an error to handle.",
    QUEUE_API,
    subject="queued request was polled or cancelled",
    select=lambda record: record.request_exchanges,
)
def request_id(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        id = exchange.requested_id
        if id.replace("%20", " ").replace("%5B", "[").replace("%5D", "]") in _PLACEHOLDERS:
            rejected = [call for call in record.exchanges_of("submit") if call.status != 200][-1:]
            yield Finding(
                f"{exchange.method} {exchange.path}: {id!r} is not a request id. Check the HTTP status of the "
                "submission before using its response.",
                (*rejected, exchange),
            )


@rule(
    "cancel-method",
    "cancels with PUT",
    "PUT …/requests/{id}/cancel cancels; every other method is 405, and the request is still run and billed.",
    QUEUE_API,
    subject="request was cancelled",
    select=lambda record: [exchange for exchange in record.request_exchanges if _is_cancellation(exchange)],
)
def cancel_method(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        if exchange.method not in ("PUT", "OPTIONS"):
            yield Finding(
                f"{exchange.method} {exchange.path} was answered {exchange.status}, expected PUT. Nothing was "
                "cancelled.",
                (exchange,),
            )


@rule(
    "read-method",
    "reads status and result with GET",
    "GET returns the status and the result of a request; other methods are 405.",
    QUEUE_API,
    subject="status or result was requested",
    select=lambda record: [
        exchange for exchange in record.request_exchanges if not _is_cancellation(exchange)
    ],
)
def read_method(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        if exchange.method not in ("GET", "HEAD", "OPTIONS"):
            yield Finding(
                f"{exchange.method} {exchange.path} was answered {exchange.status}, expected GET.",
                (exchange,),
            )


def _endpoint_exchanges(record: Record) -> list[Exchange]:
    return [
        exchange
        for exchange in record.exchanges
        if exchange.host in MODEL_HOSTS
        and "/requests/" not in exchange.path
        and exchange.method not in ("WS", "OPTIONS")
    ]


@rule(
    "call-method",
    "calls a model with POST",
    "A model is called with POST and a JSON body, on fal.run and on queue.fal.run; GET is 405.",
    QUEUE_API,
    subject="model was called",
    select=_endpoint_exchanges,
)
def call_method(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        if exchange.method != "POST":
            yield Finding(
                f"{exchange.method} {exchange.path} was answered {exchange.status}, expected POST with the input as "
                "JSON.",
                (exchange,),
            )


@rule(
    "prompt-in-url",
    "sends the input in the body, not in the URL",
    "The input is the JSON body. In the URL it has no effect, and proxies and servers log it.",
    f"{QUEUE_API}; RFC 9110, section 17.9",
    subject="model was called",
    select=_endpoint_exchanges,
)
def prompt_in_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        names = [name for name, _ in exchange.params if name in _INPUTS]
        if names:
            yield Finding(
                f"{exchange.method} {exchange.path} has {', '.join(names)} in the query; send the input as the JSON "
                "body.",
                (exchange,),
            )


@rule(
    "webhook-url",
    "encodes the URL of its webhook",
    "fal_webhook is a URL, encoded as a query value; without encoding, a query of its own is cut off.",
    WEBHOOKS,
    subject="webhook was requested",
    select=lambda record: [
        exchange for exchange in record.exchanges_of("submit") if "fal_webhook=" in exchange.query
    ],
)
def webhook_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        url = dict(exchange.params)["fal_webhook"]
        lost = [name for name, _ in exchange.params if not name.startswith("fal_")]
        if "?" in exchange.query and lost:
            yield Finding(
                f"fal_webhook was read as {url!r}, and {', '.join(lost)} as a parameter of the queue; encode the URL "
                "(urllib.parse.urlencode, URLSearchParams).",
                (exchange,),
            )
        elif not url.startswith(("http://", "https://")):
            yield Finding(
                f"fal_webhook is {url!r}, expected a URL that begins with https://.",
                (exchange,),
            )


@rule(
    "webhook-in-body",
    "requests a webhook in the query",
    "The query parameter fal_webhook requests a webhook; in the body it is an unknown field, and no webhook is sent.",
    WEBHOOKS,
    subject="request was submitted",
    select=lambda record: record.exchanges_of("submit"),
)
def webhook_in_body(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for exchange in exchanges:
        document = exchange.input if isinstance(exchange.input, dict) else {}
        names = [name for name in _WEBHOOK_FIELDS if name in document]
        if names and "fal_webhook=" not in exchange.query:
            yield Finding(
                f"{', '.join(names)} is in the body, where fal ignores it; add ?fal_webhook=… to the URL.",
                (exchange,),
            )
