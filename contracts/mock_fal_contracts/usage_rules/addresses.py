"""Rules about URLs and HTTP methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import MODEL_HOSTS, NAMESPACES, QUEUE_HOSTS, Record
from mock_fal_contracts.usage_rules.rule import QUEUE_API, WEBHOOKS, Finding, rule

_INPUTS: Final = ("prompt", "negative_prompt", "image_url", "image_urls", "text")
_WEBHOOK_FIELDS: Final = ("webhook_url", "webhookUrl", "fal_webhook", "webhook")

# What programs put in the place of a request id that they don't have.
_PLACEHOLDERS: Final = ("None", "undefined", "null", "nil", "NaN", "[object Object]", "{request_id}", "")


# The methods and paths of a request in the queue, below its URL.
_REQUEST_PATHS: Final = "GET for the result, GET …/status, GET …/status/stream, PUT …/cancel"


def _is_cancellation(exchange: Exchange) -> bool:
    return exchange.path.rstrip("/").endswith("/cancel")


def _app_parts(exchange: Exchange) -> list[str]:
    """The parts of the path before /requests/."""
    return [part for part in _before_requests(exchange.path).split("/") if part]


def _before_requests(path: str) -> str:
    return path.partition("/requests/")[0]


def _is_of_app(exchange: Exchange) -> bool:
    """Whether the path names an owner and an app."""
    parts = _app_parts(exchange)
    return len(parts) >= (3 if parts and parts[0] in NAMESPACES else 2)


@rule(
    "app",
    "names owner and app in each URL",
    "The URL of a model is /{owner}/{app}, and so are those of its requests: /{owner}/{app}/requests/{id}. Without "
    "both there is no model, and the response is 404 or 405.",
    f"{QUEUE_API}; seen live",
    subject="model was called or request polled",
    select=lambda record: [
        exchange
        for exchange in record.exchanges
        if exchange.host in MODEL_HOSTS and exchange.method != "OPTIONS"
    ],
)
def app(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    urls = {request.submission.request_id: request.url for request in record.requests}
    for exchange in exchanges:
        if _is_of_app(exchange):
            continue
        if "/requests/" in exchange.path:
            url = urls.get(
                exchange.requested_id, f"https://{exchange.host}/{{owner}}/{{app}}/requests/{{id}}"
            )
            suffix = exchange.path.partition("/requests/")[2].partition("/")[2]
            expected = f"expected {url}{suffix and f'/{suffix}'}, as the response to the submission says"
        else:
            closest = record.closest.get("/".join(_app_parts(exchange)), ())
            ids = " or ".join(f"https://{exchange.host}/{id}" for id in closest)
            expected = f"expected {ids or f'https://{exchange.host}/{{owner}}/{{app}}'}"
        yield Finding(
            f"{exchange.method} {exchange.url} was answered {exchange.status}: {expected}.", (exchange,)
        )


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
        parts = _app_parts(exchange)
        expected = 3 if parts and parts[0] in NAMESPACES else 2
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
    select=lambda record: [
        exchange
        for exchange in record.request_exchanges
        if _is_of_app(exchange) and _is_cancellation(exchange)
    ],
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
        exchange
        for exchange in record.request_exchanges
        if _is_of_app(exchange) and not _is_cancellation(exchange)
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
        and _is_of_app(exchange)
        and "/requests/" not in exchange.path
        and exchange.method not in ("WS", "OPTIONS")
    ]


@rule(
    "endpoint",
    "calls endpoints that exist",
    "An unknown app, and an unknown path of an app, are 404.",
    "the list of models in fal's Platform API, 2026",
    subject="model was called",
    select=lambda record: [call for call in record.calls if _is_of_app(call)],
)
def endpoint(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    # The queue accepts an unknown path of an app; the result is the 404.
    not_found = {
        request.submission.request_id
        for request in record.requests
        if any(exchange.status == 404 for exchange in request.exchanges_of("result"))
    }
    for exchange in exchanges:
        if exchange.endpoint not in record.closest:
            continue  # it is in the catalogue, whatever the response
        if exchange.status == 404 or (exchange.request_id in not_found and exchange.request_id):
            closest = " or ".join(record.closest[exchange.endpoint])
            hint = f"did you mean {closest}?" if closest else "no id is like it."
            yield Finding(
                f"{exchange.endpoint} is not in the catalogue of fal's endpoints that mock-fal has; {hint} An endpoint "
                "that fal has and mock-fal does not know is added with --models FILE.",
                (exchange,),
            )


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


def _reported(record: Record) -> set[int]:
    """The exchanges that a rule about one kind of address reports."""
    rules = (app, request_url, read_method, cancel_method, call_method)
    findings = [finding for rule in rules for finding in rule.find(record, rule.select(record))]
    return {id(exchange) for finding in findings for exchange in finding.exchanges}


@rule(
    "allowed",
    "sends only methods and addresses that fal has",
    "405: the host has no such address, or not with this method. The request had no effect.",
    f"{QUEUE_API}; RFC 9110, section 15.5.6",
    subject="request was sent to fal",
    select=lambda record: [exchange for exchange in record.exchanges if not exchange.directive],
)
def allowed(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    reported = _reported(record)
    for exchange in exchanges:
        if exchange.status != 405 or id(exchange) in reported:
            continue
        if exchange.host in QUEUE_HOSTS and "/requests/" in exchange.path:
            url = f"https://{exchange.host}{_before_requests(exchange.path)}/requests/{exchange.requested_id}"
            expected = f"expected {url}: {_REQUEST_PATHS}"
        else:
            expected = f"expected {exchange.response_header('allow') or 'another address'}"
        yield Finding(f"{exchange.method} {exchange.url} was answered 405; {expected}.", (exchange,))


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
