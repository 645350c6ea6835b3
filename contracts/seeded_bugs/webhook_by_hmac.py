"""Verifies webhooks with HMAC and a secret that fal does not have.

Rule: usage.webhook-signature
"""

import hashlib
import hmac

import fal


def answer(headers, body):
    expected = hmac.new(b"my-secret", body, hashlib.sha256).hexdigest()
    return 200 if hmac.compare_digest(expected, headers["x-fal-webhook-signature"]) else 401


url, receive = fal.receiver(answer)
fal.submit({"prompt": "a cat"}, query="?fal_webhook=" + url)
receive(1)
