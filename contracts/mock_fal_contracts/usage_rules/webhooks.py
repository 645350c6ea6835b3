"""Rules about receiving webhooks: what the receiver answered, and what the program did with a delivery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from mock_fal_contracts.exchanges import Exchange
from mock_fal_contracts.usage_rules.record import Delivery, Record, request_key
from mock_fal_contracts.usage_rules.rule import WEBHOOKS, Finding, rule

JWKS: Final = "/.well-known/jwks.json"

# What a receiver says that takes a signature for wrong. 409, 404 or 5xx may have other reasons.
_REFUSALS: Final = (400, 401, 403)


def _genuine(record: Record) -> list[Delivery]:
    return [each for each in record.deliveries if not each.is_forged and _was_answered(each)]


def _was_answered(delivery: Delivery) -> bool:
    return any(each.status is not None for each in delivery.attempts)


@rule(
    "webhook-signature",
    "verifies webhooks with Ed25519",
    "The signature is Ed25519, in hex, over request id, user id, timestamp and the SHA-256 of the body, with a key of "
    f"rest.fal.ai{JWKS}. There is no shared secret, and so no HMAC.",
    WEBHOOKS,
    about="genuine webhook was answered",
    of=_genuine,
)
def webhook_signature(record: Record, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    asked_keys = any(each.path == JWKS for each in record.exchanges)
    for each in deliveries:
        refusals = [attempt.status for attempt in each.attempts if attempt.status in _REFUSALS]
        if refusals and not each.taken:
            why = (
                "although it had fetched the keys: check what is signed, with the body's own bytes."
                if asked_keys
                else f"and it never fetched the keys from https://rest.fal.ai{JWKS}. Is it HMAC that it looks for?"
            )
            yield Finding(
                f"{each.url} refused a genuine webhook with {refusals[0]}, {why}",
                _submission(record, each),
            )


@rule(
    "webhook-forged",
    "refuses webhooks with a bad signature",
    "Everybody can post to a webhook's address: what is not signed by fal is refused.",
    WEBHOOKS,
    about="webhook with a bad signature was answered (--stress forged sends one)",
    of=lambda record: [each for each in record.deliveries if each.is_forged and _was_answered(each)],
)
def webhook_forged(record: Record, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    for each in deliveries:
        if each.taken:
            yield Finding(
                f"{each.url} answered {each.taken[0].status} to a webhook whose signature is wrong; verify it with the "
                f"keys of https://rest.fal.ai{JWKS} and refuse what does not fit.",
                _submission(record, each),
            )


@rule(
    "webhook-redirect",
    "answers webhooks itself",
    "A redirect is a final failure: the webhook is not tried again.",
    WEBHOOKS,
    about="webhook was answered",
    of=lambda record: [each for each in record.deliveries if _was_answered(each)],
)
def webhook_redirect(record: Record, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    for each in deliveries:
        codes = [
            attempt.status for attempt in each.attempts if attempt.status and 300 <= attempt.status < 400
        ]
        if codes:
            yield Finding(
                f"{each.url} answered {codes[0]}, and the webhook is lost; give fal the address behind the redirect.",
                _submission(record, each),
            )


@rule(
    "webhook-duplicate",
    "acts once on a webhook that comes twice",
    "Deliveries can come more than once: remember request_id, and do the work once.",
    WEBHOOKS,
    about="webhook came twice and led to something (--stress duplicate sends it twice)",
    of=lambda record: [
        each for each in record.deliveries if len(each.taken) > 1 and list(_effects(record, each))
    ],
)
def webhook_duplicate(record: Record, deliveries: Sequence[Delivery]) -> Iterator[Finding]:
    for each in deliveries:
        seen: dict[Any, list[Exchange]] = {}
        for effect in _effects(record, each):
            seen.setdefault((request_key(effect), effect.request_header("range")), []).append(effect)
        for effects in seen.values():
            if len(effects) >= len(each.taken):
                first = effects[0]
                yield Finding(
                    f"the webhook of request {each.request_id} was taken {len(each.taken)} times, and each time the "
                    f"program asked for {first.method} {first.url}; skip a request_id that you have seen.",
                    (*_submission(record, each), *effects),
                )


def _effects(record: Record, delivery: Delivery) -> Iterator[Exchange]:
    """What the program asked after the first delivery that has to do with it: its files, its result, what follows."""
    began = delivery.taken[0].at
    files = list(_urls(delivery.body))
    for each in record.exchanges:
        about = each.request_id == delivery.request_id and each.operation == "result"
        read = each.operation == "download" and any(each.host + each.path in file for file in files)
        sent = any(file.encode() in each.request_body for file in files)
        if each.at >= began and (about or read or sent):
            yield each


def _urls(document: Any) -> Iterator[str]:
    if isinstance(document, str):
        if document.startswith(("https://", "http://")):
            yield document
    elif isinstance(document, dict | list):
        for value in document.values() if isinstance(document, dict) else document:
            yield from _urls(value)


def _submission(record: Record, delivery: Delivery) -> tuple[Exchange, ...]:
    return tuple(each for each in record.exchanges_of("submit") if each.request_id == delivery.request_id)
