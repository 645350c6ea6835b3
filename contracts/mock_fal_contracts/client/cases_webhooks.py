"""Cases of webhooks: a receiver accepts webhooks signed by fal, and no others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from mock_fal_contracts.client import signing
from mock_fal_contracts.client.case import ClientCase, case
from mock_fal_contracts.client.checks import shown
from mock_fal_contracts.client.driver import Job
from mock_fal_contracts.client.jobs import WEBHOOK_DOCS
from mock_fal_contracts.client.observation import Observation

_SIGNATURE: Final = (
    "Ed25519 over request id, user id, timestamp and SHA-256 of the body, with a key of jwks.json."
)


def _accepts(observation: Observation) -> Iterator[str]:
    result = observation.answer.get("result")
    if not (observation.ok and result is True):
        problem = shown(observation.error or result)
        yield f"a genuine webhook was rejected: {problem}; verify it as the requirement says"


def _rejects(observation: Observation) -> Iterator[str]:
    result = observation.answer.get("result")
    if observation.ok and result is not False:
        yield f"a forged webhook was accepted (result {shown(result)}); respond with 401"


def _caches_keys(observation: Observation) -> Iterator[str]:
    yield from _accepts(observation)
    count = len(observation.requests("jwks"))
    if count > 1:
        yield f"jwks.json was fetched {count} times for 2 webhooks; cache it for up to 24 hours"


def _forged(
    id: str, title: str, requirement: str, change: Callable[[dict[str, Any]], Job], **options: Any
) -> ClientCase:
    """A webhook that the receiver must reject."""
    return case(
        f"webhooks.{id}",
        title,
        requirement,
        WEBHOOK_DOCS,
        [lambda observation: change(signing.webhook_job(**options))],
        [_rejects],
    )


def _with(job: dict[str, Any], name: str, value: str | None) -> Job:
    headers = {**job["headers"], f"x-fal-webhook-{name}": value}
    return {**job, "headers": {name: text for name, text in headers.items() if text is not None}}


def _with_changed_signature(job: dict[str, Any]) -> Job:
    signature = job["headers"]["x-fal-webhook-signature"]
    return _with(job, "signature", ("1" if signature[0] == "0" else "0") + signature[1:])


_AGE: Final = "The timestamp is within 300 seconds of the current time."

CASES: Final = [
    case(
        "webhooks.genuine",
        "a genuine webhook",
        _SIGNATURE,
        WEBHOOK_DOCS,
        [lambda observation: signing.webhook_job()],
        [_accepts],
    ),
    case(
        "webhooks.header-case",
        "header names in another case",
        "Header names are case-insensitive.",
        "HTTP (RFC 9110), 5.1",
        [
            lambda observation: (
                (job := signing.webhook_job())
                | {"headers": {name.title(): value for name, value in job["headers"].items()}}
            )
        ],
        [_accepts],
    ),
    case(
        "webhooks.unicode",
        "a Unicode body",
        "The hash covers the bytes as received.",
        WEBHOOK_DOCS,
        [lambda observation: signing.webhook_job('{"payload":  {"prompt": "猫 🐈"} }\n')],
        [_accepts],
    ),
    case(
        "webhooks.a-minute-old",
        "a webhook that is one minute old",
        _AGE,
        WEBHOOK_DOCS,
        [lambda observation: signing.webhook_job(age_s=60)],
        [_accepts],
    ),
    case(
        "webhooks.keys-kept",
        "the keys are cached",
        "jwks.json may be cached for up to 24 hours.",
        WEBHOOK_DOCS,
        [lambda observation: signing.webhook_job(), lambda observation: signing.webhook_job()],
        [_caches_keys],
    ),
    _forged(
        "body-changed",
        "a changed body",
        _SIGNATURE,
        lambda job: {**job, "body": job["body"].replace("7", "8")},
    ),
    _forged(
        "body-reformatted",
        "a reformatted body",
        "The hash covers the bytes as received.",
        lambda job: {**job, "body": job["body"].replace(": ", ":")},
    ),
    _forged("signature-changed", "a changed signature", _SIGNATURE, _with_changed_signature),
    _forged("signature-missing", "no signature", _SIGNATURE, lambda job: _with(job, "signature", None)),
    _forged(
        "signature-no-hex",
        "a signature that is not hex",
        _SIGNATURE,
        lambda job: _with(job, "signature", "not hex"),
    ),
    _forged(
        "request-id-changed",
        "the id of another request",
        _SIGNATURE,
        lambda job: _with(job, "request-id", "another"),
    ),
    _forged(
        "user-id-changed", "the id of another user", _SIGNATURE, lambda job: _with(job, "user-id", "another")
    ),
    _forged("foreign", "a signature with a foreign key", _SIGNATURE, lambda job: job, foreign_key=True),
    _forged("old", "a replayed webhook from yesterday", _AGE, lambda job: job, age_s=86400),
    _forged("future", "a webhook from the future", _AGE, lambda job: job, age_s=-86400),
    _forged("no-time", "a timestamp that is not a number", _AGE, lambda job: _with(job, "timestamp", "soon")),
]
