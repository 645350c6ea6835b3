"""The signature of a webhook: Ed25519 keys, signed headers, and their verification."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mock_fal.clock import real_time
from mock_fal.errors import InvalidWebhook, SettingsError
from mock_fal.regular_file import read_regular_file

# cryptography is imported only to sign or to read a key: the import costs as much as the rest of the start, and most
# runs send no webhook.
if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# fal: receivers reject a timestamp that differs by more than five minutes (fal's webhook documentation).
TOLERANCE_S: Final = 300

_PREFIX: Final = "x-fal-webhook-"


def webhook_headers(
    request_id: str, tenant: str, body: bytes, signer: Signer, *, now: float, attempt: int
) -> list[tuple[str, str]]:
    """The headers of one attempt (the first is 1), without Host. `now` is the real time."""
    user, timestamp = user_id(tenant), str(int(now))
    return [
        ("content-type", "application/json"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("content-length", str(len(body))),
        (_PREFIX + "request-id", request_id),
        (_PREFIX + "user-id", user),
        (_PREFIX + "timestamp", timestamp),
        (_PREFIX + "signature", signer.sign(signed_message(request_id, user, timestamp, body))),
        *(_retry_headers(request_id, attempt) if attempt > 1 else ()),
    ]


def _retry_headers(request_id: str, attempt: int) -> Iterator[tuple[str, str]]:
    # fal: another component sends the retries; the first attempt has no user-agent (live, 2026-07).
    # assumption: the values of its tracing headers.
    trace = sha256(f"{request_id}/{attempt}".encode()).hexdigest()
    yield "user-agent", "python-httpx/0.27.0"
    yield "traceparent", f"00-{trace[:32]}-{trace[32:48]}-01"
    yield "tracestate", f"dd=p:{trace[32:48]};s:1"
    yield "x-datadog-trace-id", str(int(trace[16:32], 16))
    yield "x-datadog-parent-id", str(int(trace[32:48], 16))
    yield "x-datadog-sampling-priority", "1"


def user_id(tenant: str) -> str:
    """The id of the user who owns the request."""
    # fal: as in `github|179462` (live, 2026-07). deviation: derived from the key's id, because there are no users.
    digest = sha256(tenant.encode("utf-8", "surrogatepass")).digest()
    return f"github|{int.from_bytes(digest[:4]) % 900_000 + 100_000}"


def signed_message(request_id: str, user: str, timestamp: str, body: bytes) -> bytes:
    """The message that is signed."""
    # fal: four lines, the last one a digest of the body (documentation; checked against a live capture).
    return _signed_message(request_id, user, timestamp, sha256(body).hexdigest())


def _signed_message(request_id: str, user: str, timestamp: str, digest: str) -> bytes:
    return "\n".join((request_id, user, timestamp, digest)).encode()


class Signed(NamedTuple):
    """The signature that was sent with a webhook: the real time in it, the digest of the body, and the signature."""

    timestamp: int
    digest: bytes
    signature: str


def signed(headers: Iterable[tuple[str, str]], body: bytes) -> Signed:
    """The signature in the headers of one attempt."""
    values = dict(headers)
    return Signed(int(values[_PREFIX + "timestamp"]), sha256(body).digest(), values[_PREFIX + "signature"])


def fault_of(sent: Signed, request_id: str, tenant: str, jwks: Mapping[str, Any]) -> str:
    """Why a receiver rejects the signature that was sent with a webhook; empty if it is valid."""
    message = _signed_message(request_id, user_id(tenant), str(sent.timestamp), sent.digest.hex())
    try:
        _check_signature(sent.signature, message, jwks)
    except InvalidWebhook as error:
        return str(error)
    return ""


class Signer:
    """Signs webhooks as fal does, with a key that is derived from the seed or read from a PEM file.

    Raises SettingsError for a file without an Ed25519 key.
    """

    def __init__(self, seed: int, key_file: Path | str | None = None) -> None:
        self._seed = seed
        self._file_key = _read_key(Path(key_file)) if key_file else None

    def sign(self, message: bytes) -> str:
        """The signature in hex."""
        return self._key.sign(message).hex()

    @cached_property
    def jwks(self) -> dict[str, list[dict[str, str]]]:
        """The public keys, as served at `rest.fal.ai/.well-known/jwks.json`."""
        # fal: two keys; the captured delivery was signed with the first (live, 2026-07).
        return {"keys": [_jwk(key.public_key()) for key in (self._key, self._derived_key(1))]}

    @cached_property
    def _key(self) -> Ed25519PrivateKey:
        return self._file_key or self._derived_key(0)

    def _derived_key(self, number: int) -> Ed25519PrivateKey:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Ed25519PrivateKey.from_private_bytes(
            sha256(f"mock-fal/{self._seed}/webhook/{number}".encode()).digest()
        )


# A key in PEM has some hundred bytes.
_MAX_KEY_BYTES: Final = 64 * 1024


def _read_key(path: Path) -> Ed25519PrivateKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(read_regular_file(path, _MAX_KEY_BYTES), password=None)
    except OSError as error:
        raise SettingsError(f"--signing-key: can't read {path}: {error.strerror or error}") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise SettingsError(
            f"--signing-key: {path}: expected a private key in PEM without a password"
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise SettingsError(f"--signing-key: {path} has another type of key, expected Ed25519")
    return key


def _jwk(key: Ed25519PublicKey) -> dict[str, str]:
    raw = key.public_bytes_raw()
    unpadded = urlsafe_b64encode(raw).decode().rstrip("=")
    # fal: a kid of 43 characters. assumption: that it is the key's thumbprint (RFC 7638).
    thumbprint = sha256(f'{{"crv":"Ed25519","kty":"OKP","x":"{unpadded}"}}'.encode()).digest()
    return {
        "kty": "OKP",
        "crv": "Ed25519",
        "kid": urlsafe_b64encode(thumbprint).decode().rstrip("="),
        # fal: with padding, which a JWK should not have and receivers must accept (live, 2026-07).
        "x": urlsafe_b64encode(raw).decode(),
        "use": "sig",
    }


def verify(
    headers: Mapping[str, str], body: bytes, jwks: Mapping[str, Any], *, now: float | None = None
) -> None:
    """Verify a webhook of fal or of this mock-fal. Raises InvalidWebhook with the reason.

    `headers` may be in any case, `body` are the bytes as received, `jwks` is the document at
    `https://rest.fal.ai/.well-known/jwks.json`. `now` is the real time by default. Public as `mock_fal.verify_webhook`.

    >>> signer = Signer(seed=0)
    >>> sent = dict(webhook_headers("id", "alice", b"{}", signer, now=1e9, attempt=1))
    >>> verify(sent, b"{}", signer.jwks, now=1e9)
    >>> verify(sent, b"{} ", signer.jwks, now=1e9)
    Traceback (most recent call last):
    mock_fal.errors.InvalidWebhook: the signature fits none of the 2 keys: headers or body were changed
    """
    lower = {name.lower(): value for name, value in headers.items()}
    request_id, user, timestamp, signature = (
        _header(lower, name) for name in ("request-id", "user-id", "timestamp", "signature")
    )
    if not (timestamp.isascii() and timestamp.isdecimal()):
        raise InvalidWebhook(f"the timestamp is {timestamp!r}, expected Unix seconds")
    age_s = (real_time() if now is None else now) - int(timestamp)
    if abs(age_s) > TOLERANCE_S:
        direction = "in the past" if age_s > 0 else "in the future"
        raise InvalidWebhook(
            f"the timestamp is {abs(age_s):.0f} s {direction}, expected at most {TOLERANCE_S}"
        )
    _check_signature(signature, signed_message(request_id, user, timestamp, body), jwks)


def _check_signature(signature: str, message: bytes, jwks: Mapping[str, Any]) -> None:
    """Raises InvalidWebhook."""
    try:
        signature_bytes = bytes.fromhex(signature)
    except ValueError:
        raise InvalidWebhook(f"the signature is {signature[:200]!r}, expected 128 hex digits") from None
    keys = list(_public_keys(jwks))
    if not keys:
        raise InvalidWebhook("the JWKS has no Ed25519 key")
    if not any(_is_signed_by(key, signature_bytes, message) for key in keys):
        raise InvalidWebhook(f"the signature fits none of the {len(keys)} keys: headers or body were changed")


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
            continue  # another type of key


def _is_signed_by(key: Ed25519PublicKey, signature: bytes, message: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        key.verify(signature, message)
    except InvalidSignature:
        return False
    return True
