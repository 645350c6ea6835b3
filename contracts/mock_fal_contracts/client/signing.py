"""Signs webhooks as fal's documentation describes, to test which ones a client accepts as genuine."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

REQUEST_ID: Final = "019f6b1b-49c3-7163-9866-2d7bdfec2232"
USER_ID: Final = "github|179462"
BODY: Final = (
    '{"error": null, "gateway_request_id": "019f6b1b-49c3-7163-9866-2d7bdfec2232", "payload": '
    '{"prompt": "caf\\u00e9", "seed": 7}, "request_id": "019f6b1b-49c3-7163-9866-2d7bdfec2232", "status": "OK"}'
)

# For tests only: every mock of a check signs with this key, and publishes its public half at jwks.json.
_KEY: Final = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"mock-fal check").digest())
_FOREIGN_KEY: Final = Ed25519PrivateKey.from_private_bytes(hashlib.sha256(b"somebody else").digest())


def private_key_file(folder: Path) -> Path:
    """Write the private key as a PEM file, for `mock-fal serve --signing-key`."""
    file = folder / "webhooks.pem"
    file.write_bytes(_KEY.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


def webhook_job(body: str = BODY, *, age_s: float = 0, foreign_key: bool = False) -> dict[str, Any]:
    """The job `verify_webhook` for a webhook signed `age_s` seconds ago, with fal's key or a foreign one."""
    timestamp = str(int(time.time() - age_s))  # noqa: TID251 - a receiver compares it with the real time
    digest = hashlib.sha256(body.encode()).hexdigest()
    message = "\n".join([REQUEST_ID, USER_ID, timestamp, digest]).encode()
    return {
        "op": "verify_webhook",
        "headers": {
            "x-fal-webhook-request-id": REQUEST_ID,
            "x-fal-webhook-user-id": USER_ID,
            "x-fal-webhook-timestamp": timestamp,
            "x-fal-webhook-signature": (_FOREIGN_KEY if foreign_key else _KEY).sign(message).hex(),
        },
        "body": body,
    }
