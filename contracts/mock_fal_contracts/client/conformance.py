"""Checks of every request of every case: it matches the specification, and the key is sent only where it may be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final
from urllib.parse import unquote

from mock_fal_contracts import spec
from mock_fal_contracts.client.observation import Observation, operation_of
from mock_fal_contracts.exchanges import Exchange

# With another method, the specification would read such a path as a submission to an endpoint of that name.
_METHODS: Final = {"status": "GET", "result": "GET", "cancel": "PUT", "status/stream": "GET"}


def violations(observation: Observation) -> Iterator[str]:
    """The violations in the requests of a case."""
    specification = spec.load(spec.folder())
    for exchange in observation.exchanges:
        is_socket = operation_of(exchange) == "realtime"  # OpenAPI does not describe sockets
        checked = [] if is_socket else specification.request_violations(_without_namespace(exchange))
        for violation in checked:
            if _is_excused(violation, exchange, observation):
                continue
            yield (
                f"{exchange.method} {exchange.host}{exchange.path} does not conform to the specification: "
                f"{violation}"
            )
        expected = _METHODS.get(operation_of(exchange), exchange.method)
        if exchange.method != expected:
            yield f"{exchange.method} {exchange.host}{exchange.path} was sent, expected {expected}"
        yield from key_violations(exchange, observation.key)


def _is_excused(violation: str, exchange: Exchange, observation: Observation) -> bool:
    """Whether the client is not at fault: the job has this input, or the journal does not store the body of a file."""
    if violation.startswith("the body does not match the schema"):
        return any(exchange.input == job.get("input") for job in observation.jobs)
    if violation == "the body is missing":
        return operation_of(exchange) == "upload" or (exchange.request_header("content-length") or "0") != "0"
    return False


def _without_namespace(exchange: Exchange) -> Exchange:
    """The exchange with a path of owner/app, which the specification knows, instead of workflows/owner/app."""
    # fal: the namespaces (fal_client 1.0.3, @fal-ai/client 1.10.1).
    namespace, _, rest = exchange.path.removeprefix("/").partition("/")
    return replace(exchange, path=f"/{rest}") if namespace in ("workflows", "comfy") else exchange


def key_violations(exchange: Exchange, key: str) -> Iterator[str]:
    """The violations in how a request carries the key."""
    authorization = exchange.request_header("authorization")
    where = f"{exchange.method} {exchange.host}{exchange.path}"
    # The journal shows a key as its id and three dots.
    shown = f"{key.partition(':')[0]}:•••"
    operation = operation_of(exchange)
    if shown in unquote(exchange.query) or shown in unquote(exchange.path):
        yield f"{where}: the key is in the URL, where logs keep it; send it as a header"
    if operation in ("upload", "download"):
        if authorization is not None and shown in authorization:
            yield f"{where}: the key was sent to the CDN; send none there (a token at most)"
        elif authorization is not None and "signature=" in exchange.query:
            yield f"{where}: Authorization was sent to a presigned URL, which needs none; omit it there"
    elif operation == "realtime" and authorization is None and "fal_jwt_token=" in exchange.query:
        return
    elif operation != "jwks" and authorization != f"Key {shown}":
        sent = (
            "no Authorization"
            if authorization is None
            else f"Authorization with {len(authorization)} other characters"
        )
        yield f"{where}: {sent} was sent, expected `Authorization: Key <FAL_KEY>`; read FAL_KEY and send it"
