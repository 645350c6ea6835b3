"""Rules about addresses and methods."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import MODEL_HOSTS, Record
from mock_fal_contracts.usage_rules.rule import QUEUE_API, WEBHOOKS, Finding, rule

_NAMESPACES: Final = ("workflows", "comfy")
_INPUTS: Final = ("prompt", "negative_prompt", "image_url", "image_urls", "text")
_WEBHOOK_FIELDS: Final = ("webhook_url", "webhookUrl", "fal_webhook", "webhook")

# What programs put where an id should stand, when they have none.
_PLACEHOLDERS: Final = ("None", "undefined", "null", "nil", "NaN", "[object Object]", "{request_id}", "")


@rule(
    "request-url",
    "asks for a request below owner and app only",
    "Status, result and cancel stand below owner/app; the rest of the endpoint's id is left out there, or it is 405.",
    f"{QUEUE_API}; seen live",
    about="request of the queue was asked about",
    of=lambda record: record.about_requests,
)
def request_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        parts = each.path.partition("/requests/")[0].strip("/").split("/")
        wanted = 3 if parts[0] in _NAMESPACES else 2
        if len(parts) > wanted:
            yield Finding(
                f"{each.method} {each.path} was answered {each.status}: expected {'/'.join(parts[:wanted])} before "
                "/requests/. Take status_url, response_url and cancel_url from the answer to the submission.",
                (each,),
            )


@rule(
    "request-id",
    "looks whether a submission was taken",
    "Only a submission that was answered 200 has a request_id; every other answer is an error to handle.",
    QUEUE_API,
    about="request of the queue was asked about",
    of=lambda record: record.about_requests,
)
def request_id(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        named = each.requested_id
        if named.replace("%20", " ").replace("%5B", "[").replace("%5D", "]") in _PLACEHOLDERS:
            refused = [call for call in record.exchanges_of("submit") if call.status != 200][-1:]
            yield Finding(
                f"{each.method} {each.path}: {named!r} is no id of a request. The submission was not looked at: "
                "check its HTTP status before you go on.",
                (*refused, each),
            )


@rule(
    "cancel-method",
    "cancels with PUT",
    "PUT …/requests/{id}/cancel cancels; every other method is 405, and the request goes on and is billed.",
    QUEUE_API,
    about="request was cancelled",
    of=lambda record: [each for each in record.about_requests if each.path.rstrip("/").endswith("/cancel")],
)
def cancel_method(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        if each.method not in ("PUT", "OPTIONS"):
            yield Finding(
                f"{each.method} {each.path} was answered {each.status}, expected PUT. Nothing was cancelled.",
                (each,),
            )


@rule(
    "read-method",
    "reads status and result with GET",
    "GET reads the status and the result of a request; other methods are 405.",
    QUEUE_API,
    about="status or result was asked for",
    of=lambda record: [
        each for each in record.about_requests if not each.path.rstrip("/").endswith("/cancel")
    ],
)
def read_method(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        if each.method not in ("GET", "HEAD", "OPTIONS"):
            yield Finding(
                f"{each.method} {each.path} was answered {each.status}, expected GET.",
                (each,),
            )


def _endpoints(record: Record) -> list[Exchange]:
    return [
        each
        for each in record.exchanges
        if each.host in MODEL_HOSTS and "/requests/" not in each.path and each.method not in ("WS", "OPTIONS")
    ]


@rule(
    "call-method",
    "calls a model with POST",
    "A model is called with POST and a JSON body, on fal.run and on queue.fal.run; GET is 405.",
    QUEUE_API,
    about="model was called",
    of=_endpoints,
)
def call_method(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        if each.method != "POST":
            yield Finding(
                f"{each.method} {each.path} was answered {each.status}, expected POST with the input as JSON.",
                (each,),
            )


@rule(
    "prompt-in-url",
    "keeps the input out of the address",
    "The input is the JSON body. In an address it has no effect, and it ends up in logs of proxies and servers.",
    f"{QUEUE_API}; RFC 9110, section 17.9",
    about="model was called",
    of=_endpoints,
)
def prompt_in_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        names = [name for name, _ in each.params if name in _INPUTS]
        if names:
            yield Finding(
                f"{', '.join(names)} of {each.method} {each.path} stands in the query; put it into the JSON body.",
                (each,),
            )


@rule(
    "webhook-url",
    "encodes the address of its webhook",
    "fal_webhook is a URL, encoded as a value of a query; else its own query is cut off.",
    WEBHOOKS,
    about="webhook was asked for",
    of=lambda record: [each for each in record.exchanges_of("submit") if "fal_webhook=" in each.query],
)
def webhook_url(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        given = dict(each.params)["fal_webhook"]
        lost = [name for name, _ in each.params if not name.startswith("fal_")]
        if "?" in each.query and lost:
            yield Finding(
                f"fal_webhook was read as {given!r}, and {', '.join(lost)} was taken for a parameter of the queue; "
                "encode the URL (urllib.parse.urlencode, URLSearchParams).",
                (each,),
            )
        elif not given.startswith(("http://", "https://")):
            yield Finding(
                f"fal_webhook is {given!r}, expected a URL that begins with https://.",
                (each,),
            )


@rule(
    "webhook-in-body",
    "asks for a webhook in the query",
    "A webhook is asked for with the parameter fal_webhook of the query; in the body it is an unknown field, and "
    "nothing is ever sent.",
    WEBHOOKS,
    about="request was submitted",
    of=lambda record: record.exchanges_of("submit"),
)
def webhook_in_body(record: Record, exchanges: Sequence[Exchange]) -> Iterator[Finding]:
    for each in exchanges:
        given = each.input if isinstance(each.input, dict) else {}
        names = [name for name in _WEBHOOK_FIELDS if name in given]
        if names and "fal_webhook=" not in each.query:
            yield Finding(
                f"{', '.join(names)} stands in the body, where fal ignores it; say ?fal_webhook=… in the address.",
                (each,),
            )
