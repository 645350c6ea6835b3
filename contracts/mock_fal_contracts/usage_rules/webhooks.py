"""Rules about receiving webhooks: the responses of the receiver, and the effects of a delivery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import Delivery, Record, request_key
from mock_fal_contracts.usage_rules.rule import WEBHOOKS, Finding, rule

JWKS: Final = "/.well-known/jwks.json"

# The statuses with which a receiver rejects a signature. 409, 404 or 5xx may have other reasons.
_REJECTIONS: Final = (400, 401, 403)


def _answered(record: Record, *, forged: bool) -> list[Delivery]:
    return [
        delivery for delivery in record.deliveries if delivery.is_forged == forged and _has_response(delivery)
    ]


def _has_response(delivery: Delivery) -> bool:
    return any(attempt.status is not None for attempt in delivery.attempts)


@rule(
    "webhook-signature",
    "verifies webhooks with Ed25519",
    "The signature is Ed25519, in hex, over request id, user id, timestamp and the SHA-256 of the body, with a key of "
    f"rest.fal.ai{JWKS}. There is no shared secret, and so no HMAC.",
    WEBHOOKS,
    subject="valid webhook was answered",
    select=lambda record: _answered(record, forged=False),
)
def webhook_signature(record: Record, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    fetched_keys = any(exchange.path == JWKS for exchange in record.exchanges)
    for delivery in deliveries:
        rejections = [attempt.status for attempt in delivery.attempts if attempt.status in _REJECTIONS]
        if rejections and not delivery.accepted:
            cause = (
                "although it had fetched the keys: check the signed message, and hash the raw bytes of the body."
                if fetched_keys
                else f"and it never fetched the keys from https://rest.fal.ai{JWKS}. Does it expect an HMAC?"
            )
            yield Finding(
                f"{delivery.url} rejected a valid webhook with {rejections[0]}, {cause}",
                _submission(record, delivery),
            )


@rule(
    "webhook-forged",
    "rejects webhooks with an invalid signature",
    "Anybody can POST to the URL of a webhook: a request that fal did not sign is rejected.",
    WEBHOOKS,
    subject="webhook with an invalid signature was answered (--stress forged sends one)",
    select=lambda record: _answered(record, forged=True),
)
def webhook_forged(record: Record, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    for delivery in deliveries:
        if delivery.accepted:
            yield Finding(
                f"{delivery.url} answered {delivery.accepted[0].status} to a webhook with an invalid signature; "
                f"verify it with the keys of https://rest.fal.ai{JWKS} and reject it if none fits.",
                _submission(record, delivery),
            )


@rule(
    "webhook-redirect",
    "answers webhooks without a redirect",
    "A redirect is a final failure: the webhook is not sent again.",
    WEBHOOKS,
    subject="webhook was answered",
    select=lambda record: [delivery for delivery in record.deliveries if _has_response(delivery)],
)
def webhook_redirect(record: Record, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    for delivery in deliveries:
        redirects = [
            attempt.status for attempt in delivery.attempts if attempt.status and 300 <= attempt.status < 400
        ]
        if redirects:
            yield Finding(
                f"{delivery.url} answered {redirects[0]}, and the webhook is lost; submit with the URL behind the "
                "redirect.",
                _submission(record, delivery),
            )


@rule(
    "webhook-duplicate",
    "processes a webhook once, even if it is delivered twice",
    "A webhook can be delivered more than once: remember its request_id, and process it once.",
    WEBHOOKS,
    subject="webhook was delivered twice and had an effect (--stress duplicate sends it twice)",
    select=lambda record: [
        delivery
        for delivery in record.deliveries
        if len(delivery.accepted) > 1 and list(_effects(record, delivery))
    ],
)
def webhook_duplicate(record: Record, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    for delivery in deliveries:
        count = len(delivery.accepted)
        groups: dict[Any, list[Exchange]] = {}
        for effect in _effects(record, delivery):
            groups.setdefault((request_key(effect), effect.request_header("range")), []).append(effect)
        for effects in groups.values():
            if len(effects) >= count:
                yield Finding(
                    f"the webhook of request {delivery.request_id} was accepted {count} times, and each time the "
                    f"program sent {effects[0].method} {effects[0].url}; skip a request_id that was processed before.",
                    (*_submission(record, delivery), *effects),
                )


def _effects(record: Record, delivery: Delivery) -> Iterator[Exchange]:
    """The requests after the first delivery that concern it: for its files, for its result, or with its file URLs."""
    delivered_at = delivery.accepted[0].at
    urls = list(_urls(delivery.body))
    for exchange in record.exchanges:
        reads_result = exchange.request_id == delivery.request_id and exchange.operation == "result"
        downloads = exchange.operation == "download" and any(
            exchange.host + exchange.path in url for url in urls
        )
        sends_url = any(url.encode() in exchange.request_body for url in urls)
        if exchange.at >= delivered_at and (reads_result or downloads or sends_url):
            yield exchange


def _urls(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        if document.startswith(("https://", "http://")):
            yield document
    elif isinstance(document, dict | list):
        for value in document.values() if isinstance(document, dict) else document:
            yield from _urls(value)


def _submission(record: Record, delivery: Delivery) -> tuple[Exchange, ...]:
    return tuple(
        exchange for exchange in record.exchanges_of("submit") if exchange.request_id == delivery.request_id
    )
