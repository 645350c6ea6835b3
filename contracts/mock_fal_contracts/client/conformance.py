"""What holds for every request of every case: it is one that the specification knows, and the key goes where it may."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Final

from mock_fal_contracts import spec
from mock_fal_contracts.client.case import Seen, kind
from mock_fal_contracts.exchanges import Exchange

# By another method the path would be that of a submission, with a strange endpoint.
_METHODS: Final = {"status": "GET", "result": "GET", "cancel": "PUT", "status/stream": "GET"}


def faults(seen: Seen) -> Iterator[str]:
    """What is wrong with the requests of a case."""
    known = spec.load(spec.folder())
    for each in seen.exchanges:
        for fault in known.request_violations(_without_namespace(each)):
            if _is_not_its_own(fault, each, seen):
                continue
            yield f"{each.method} {each.host}{each.path} does not conform to the specification: {fault}"
        expected = _METHODS.get(kind(each), each.method)
        if each.method != expected:
            yield f"{each.method} {each.host}{each.path} was sent, expected {expected}"
        yield from key_faults(each, seen.key)


def _is_not_its_own(fault: str, exchange: Exchange, seen: Seen) -> bool:
    """Whether a fault is that of the job's input, or of a journal that keeps no files."""
    if fault.startswith("the body does not fit"):
        return any(exchange.input == job.get("input") for job in seen.jobs)
    if fault == "the body is missing":
        return kind(exchange) == "upload" or (exchange.request_header("content-length") or "0") != "0"
    return False


def _without_namespace(exchange: Exchange) -> Exchange:
    """The specification knows owner/app; in workflows/owner/app they mean the same."""
    # fal: the namespaces (fal_client 1.0.3, @fal-ai/client 1.10.1).
    namespace, _, rest = exchange.path.removeprefix("/").partition("/")
    return replace(exchange, path=f"/{rest}") if namespace in ("workflows", "comfy") else exchange


def key_faults(exchange: Exchange, key: str) -> Iterator[str]:
    """What is wrong with how a request carries the key."""
    given = exchange.request_header("authorization")
    where = f"{exchange.method} {exchange.host}{exchange.path}"
    secret = key.partition(":")[2]
    its = kind(exchange)
    if secret in exchange.query or key in exchange.path:
        yield f"{where}: the key stands in the address, where logs keep it; send it as a header"
    if its in ("upload", "file"):
        if given is not None and secret in given:
            yield f"{where}: the key was sent to the CDN; send none there (a token at most)"
        elif given is not None and "signature=" in exchange.query:
            yield f"{where}: Authorization was sent to a presigned address, which needs none; drop it there"
    elif its != "jwks" and given != f"Key {key}":
        what = "no Authorization" if given is None else f"Authorization with {len(given)} other characters"
        yield f"{where}: {what} was sent, expected `Authorization: Key <FAL_KEY>`; read FAL_KEY and send it"
