"""A webhook as fal sends it: what it says, how it is signed, and how a receiver can tell that it is genuine."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mock_fal.clock import real_time
from mock_fal.errors import JSON, InvalidWebhook, SettingsError
from mock_fal.requests.outcome import Outcome, Picture, RunnerResponse, addresses

# Nothing of cryptography is imported before something is signed or a key is read: it costs as much as the rest
# of the start, and most runs send no webhook.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# fal: receivers refuse what is older, or newer, than five minutes (fal's webhook documentation).
TOLERANCE_S: Final = 300

# fal: results above about 1 MB come without payload (documentation, second-hand).
# assumption: the exact limit, and that `payload_error` has the same words then.
MAX_PAYLOAD_BYTES: Final = 1_000_000

# fal: the words of fal's webhook documentation.
NOT_SERIALIZABLE: Final = (
    "Response payload is not JSON serializable. Either return a JSON serializable object or use the queue "
    "endpoint to retrieve the response."
)

_PREFIX: Final = "x-fal-webhook-"


@dataclass(frozen=True, slots=True)
class Webhook:
    """A callback that somebody asked for: where to, and the address of the media host as they see it.

    The files of a result must be reachable for whoever submitted it, so that address is fixed then.
    """

    url: str
    media: str


def body(request_id: str, outcome: Outcome, media: str, inline: Mapping[Picture, str]) -> bytes:
    """The bytes of a webhook. They are the same at every attempt.

    `inline` holds the data URIs of the pictures that the answer carries in itself.
    """
    if isinstance(outcome, RunnerResponse):
        return _body(request_id, outcome.status, outcome.body, addresses(media, inline))
    # assumption: what a webhook says when no runner answered; the result's own body stands in for it.
    return _body(
        request_id, outcome.kind.status, {"detail": outcome.detail, "error_type": outcome.error_type}
    )


def _body(request_id: str, status: int, payload: JSON, default: Callable[[Any], str] | None = None) -> bytes:
    good = 200 <= status < 300
    document = {
        "error": None if good else f"Invalid status code: {status}",
        # fal: the id of the last attempt at the request; of one that was never tried again, its own.
        "gateway_request_id": request_id,
        "payload": payload,
        "request_id": request_id,
        "status": "OK" if good else "ERROR",
    }
    try:
        text = _dump(document, default)
    except ValueError:  # such as infinity, which JSON does not know
        text = ""
    if not text or len(text) > MAX_PAYLOAD_BYTES:
        text = _dump({**document, "payload": None, "payload_error": NOT_SERIALIZABLE})
    return text.encode("ascii")


def _dump(document: JSON, default: Callable[[Any], str] | None = None) -> str:
    # fal: keys sorted at every level, and a space behind commas and colons (live, 2026-07).
    # assumption: that letters outside ASCII are escaped.
    return json.dumps(document, sort_keys=True, allow_nan=False, default=default)


def headers(
    request_id: str, tenant: str, body: bytes, signer: Signer, *, now: float, attempt: int
) -> list[tuple[str, str]]:
    """The headers of one attempt (the first is 1), but for Host. `now` is the real time."""
    user, timestamp = user_id(tenant), str(int(now))
    return [
        ("content-type", "application/json"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("content-length", str(len(body))),
        (_PREFIX + "request-id", request_id),
        (_PREFIX + "user-id", user),
        (_PREFIX + "timestamp", timestamp),
        (_PREFIX + "signature", signer.sign(signed_text(request_id, user, timestamp, body))),
        *(_retry_headers(request_id, attempt) if attempt > 1 else ()),
    ]


def _retry_headers(request_id: str, attempt: int) -> Iterator[tuple[str, str]]:
    # fal: retries come from another component than the first attempt, which names no user-agent (live, 2026-07).
    # assumption: what stands in the headers of its tracing.
    trace = sha256(f"{request_id}/{attempt}".encode()).hexdigest()
    yield "user-agent", "python-httpx/0.27.0"
    yield "traceparent", f"00-{trace[:32]}-{trace[32:48]}-01"
    yield "tracestate", f"dd=p:{trace[32:48]};s:1"
    yield "x-datadog-trace-id", str(int(trace[16:32], 16))
    yield "x-datadog-parent-id", str(int(trace[32:48], 16))
    yield "x-datadog-sampling-priority", "1"


def user_id(tenant: str) -> str:
    """Who the webhook says the request belongs to."""
    # fal: as in `github|179462` (live, 2026-07). deviation: made from the key's id, for there are no accounts.
    digest = sha256(tenant.encode("utf-8", "surrogatepass")).digest()
    return f"github|{int.from_bytes(digest[:4]) % 900_000 + 100_000}"


def signed_text(request_id: str, user: str, timestamp: str, body: bytes) -> bytes:
    """What is signed. fal: four lines, the last one a digest of the body (documentation; held to a live capture)."""
    return "\n".join((request_id, user, timestamp, sha256(body).hexdigest())).encode()


class Signer:
    """Signs as fal does, with a key that is made from the seed or read from a PEM file.

    Raises SettingsError for a file that holds no Ed25519 key.
    """

    def __init__(self, seed: int, key_file: Path | str | None = None) -> None:
        self._seed = seed
        self._given = _read_key(Path(key_file)) if key_file else None

    def sign(self, message: bytes) -> str:
        """The signature in hex."""
        return self._key.sign(message).hex()

    @cached_property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, as `rest.fal.ai/.well-known/jwks.json` tells them."""
        # fal: two keys; the captured delivery was signed with the first (live, 2026-07).
        return {"keys": [_jwk(key.public_key()) for key in (self._key, self._made(1))]}

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return self._given or self._made(0)

    def _made(self, number: int) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(
            sha256(f"mock-fal/{self._seed}/webhook/{number}".encode()).digest()
        )


def _read_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise SettingsError(f"--signing-key: can't read {path}: {error.strerror}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError(
            f"--signing-key: {path} holds no private key in PEM, without a password"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"--signing-key: {path} holds another kind of key, expected Ed25519")
    return key


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    raw = key.public_bytes_raw()
    bare = urlsafe_b64encode(raw).decode().rstrip("=")
    # fal: a kid of 43 characters. assumption: that it is the key's thumbprint (RFC 7638).
    thumb = sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{bare}"}}'.encode()).digest()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "kid": urlsafe_b64encode(thumb).decode().rstrip("="),
        # fal: with padding, which JWKs should not have and receivers must cope with (live, 2026-07).
        "x": urlsafe_b64encode(raw).decode(),
        "use": "sig",
    }


def verify(
    headers: Mapping[str, str], body: bytes, jwks: Mapping[str, Any], *, now: float | None = None
) -> None:
    """Return if fal, or this mock-fal, sent the webhook; raise InvalidWebhook, which says what is wrong, if not.

    `headers` may be in any case, `body` are the bytes as they came, `jwks` is the document at
    `https://rest.fal.ai/.well-known/jwks.json`. `now` is the real time unless given.

    >>> signer = Signer(seed=0)
    >>> sent = dict(headers("id", "alice", b"{}", signer, now=1e9, attempt=1))
    >>> verify(sent, b"{}", signer.jwks, now=1e9)
    >>> verify(sent, b"{} ", signer.jwks, now=1e9)
    Traceback (most recent call last):
    mock_fal.errors.InvalidWebhook: the signature fits none of the 2 keys: headers or body are not as they were signed
    """
    lower = {name.lower(): value for name, value in headers.items()}
    request_id, user, timestamp, signature = (
        _header(lower, name) for name in ("request-id", "user-id", "timestamp", "signature")
    )
    if not (timestamp.isascii() and timestamp.isdecimal()):
        raise InvalidWebhook(f"the timestamp is {timestamp!r}, expected Unix seconds")
    age_s = (real_time() if now is None else now) - int(timestamp)
    if abs(age_s) > TOLERANCE_S:
        raise InvalidWebhook(
            f"the timestamp is {abs(age_s):.0f} s {'old' if age_s > 0 else 'ahead'}, expected at most {TOLERANCE_S}"
        )
    try:
        mark = bytes.fromhex(signature)
    except ValueError:
        raise InvalidWebhook(f"the signature is {signature[:200]!r}, expected 128 hex digits") from None
    keys = list(_public_keys(jwks))
    if not keys:
        raise InvalidWebhook("the JWKS holds no Ed25519 key")
    message = signed_text(request_id, user, timestamp, body)
    if not any(_fits(key, mark, message) for key in keys):
        raise InvalidWebhook(
            f"the signature fits none of the {len(keys)} keys: headers or body are not as they were signed"
        )


def _header(lower: Mapping[str, str], name: str) -> str:
    if not (value := lower.get(_PREFIX + name)):
        raise InvalidWebhook(f"the header {_PREFIX}{name} is missing")
    return value


def _public_keys(jwks: Mapping[str, Any]) -> Iterator[Ed25519PublicKey]:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    for jwk in jwks.get("keys", ()):
        try:
            x = str(jwk["x"]).rstrip("=")
            yield Ed25519PublicKey.from_public_bytes(urlsafe_b64decode(x + "=" * (-len(x) % 4)))
        except (KeyError, TypeError, ValueError):
            continue  # a key of another kind


def _fits(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
