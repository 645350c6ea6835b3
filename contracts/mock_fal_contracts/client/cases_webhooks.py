"""Webhooks: whether a receiver takes what fal signed, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from mock_fal_contracts.client import signing
from mock_fal_contracts.client.case import ClientCase, Seen, case
from mock_fal_contracts.client.checks import shown
from mock_fal_contracts.client.driver import Job
from mock_fal_contracts.client.jobs import WEBHOOK_DOCS

_RULE: Final = "Ed25519 over request id, user id, timestamp and SHA-256 of the body, with a key of jwks.json."


def _taken(wanted: bool) -> Callable[[Seen], Iterator[str]]:
    def check(seen: Seen) -> Iterator[str]:
        found = seen.answer.get("result")
        if wanted and not (seen.ok and found is True):
            yield f"a genuine webhook was refused: {shown(seen.error or found)}; verify as the requirement says"
        if not wanted and seen.ok and found is not False:
            yield f"a webhook that is not genuine was taken (result {shown(found)}); answer it with 401"

    return check


def _kept(seen: Seen) -> Iterator[str]:
    yield from _taken(True)(seen)
    if len(seen.to("jwks")) > 1:
        yield f"jwks.json was fetched {len(seen.to('jwks'))} times for 2 webhooks; keep it, up to 24 hours"


def _webhook(
    id: str, title: str, requirement: str, change: Callable[[dict[str, Any]], Job], **how: Any
) -> ClientCase:
    return case(
        f"webhooks.{id}",
        title,
        requirement,
        WEBHOOK_DOCS,
        [lambda seen: change(signing.signed(**how))],
        [_taken(False)],
    )


def _with(job: dict[str, Any], name: str, value: str | None) -> Job:
    headers = {**job["headers"], f"x-fal-webhook-{name}": value}
    return {**job, "headers": {name: each for name, each in headers.items() if each is not None}}


def _flipped(job: dict[str, Any]) -> Job:
    signature = job["headers"]["x-fal-webhook-signature"]
    return _with(job, "signature", ("1" if signature[0] == "0" else "0") + signature[1:])


_FRESH: Final = "The timestamp is at most 300 seconds from now."

CASES: Final = [
    case(
        "webhooks.genuine",
        "a webhook of fal",
        _RULE,
        WEBHOOK_DOCS,
        [lambda seen: signing.signed()],
        [_taken(True)],
    ),
    case(
        "webhooks.header-case",
        "header names in another case",
        "Names of headers have no case.",
        "HTTP (RFC 9110), 5.1",
        [
            lambda seen: (
                (job := signing.signed())
                | {"headers": {name.title(): value for name, value in job["headers"].items()}}
            )
        ],
        [_taken(True)],
    ),
    case(
        "webhooks.unicode",
        "a body in any script",
        "The hash is that of the bytes as they came.",
        WEBHOOK_DOCS,
        [lambda seen: signing.signed('{"payload":  {"prompt": "猫 🐈"} }\n')],
        [_taken(True)],
    ),
    case(
        "webhooks.a-minute-old",
        "a webhook that took a minute",
        _FRESH,
        WEBHOOK_DOCS,
        [lambda seen: signing.signed(age_s=60)],
        [_taken(True)],
    ),
    case(
        "webhooks.keys-kept",
        "the keys are kept",
        "jwks.json may be kept up to 24 hours.",
        WEBHOOK_DOCS,
        [lambda seen: signing.signed(), lambda seen: signing.signed()],
        [_kept],
    ),
    _webhook(
        "body-changed",
        "a body that was changed",
        _RULE,
        lambda job: {**job, "body": job["body"].replace("7", "8")},
    ),
    _webhook(
        "body-reformatted",
        "a body that was written anew",
        "The hash is that of the bytes as they came.",
        lambda job: {**job, "body": job["body"].replace(": ", ":")},
    ),
    _webhook("signature-changed", "a signature that was changed", _RULE, _flipped),
    _webhook("signature-missing", "no signature", _RULE, lambda job: _with(job, "signature", None)),
    _webhook(
        "signature-no-hex",
        "a signature that is no hex",
        _RULE,
        lambda job: _with(job, "signature", "not hex"),
    ),
    _webhook(
        "request-id-changed", "another request's id", _RULE, lambda job: _with(job, "request-id", "another")
    ),
    _webhook("user-id-changed", "another user's id", _RULE, lambda job: _with(job, "user-id", "another")),
    _webhook("foreign", "somebody else's signature", _RULE, lambda job: job, foreign=True),
    _webhook("old", "a webhook of yesterday, sent again", _FRESH, lambda job: job, age_s=86400),
    _webhook("future", "a webhook of tomorrow", _FRESH, lambda job: job, age_s=-86400),
    _webhook("no-time", "a timestamp that is no number", _FRESH, lambda job: _with(job, "timestamp", "soon")),
]
