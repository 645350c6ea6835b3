"""Verifies webhooks with HMAC and a shared secret, which fal does not use.

Rule: usage.webhook-signature
"""

import hashlib
import hmac

import fal


def respond(headers, body):
    expected = hmac.new(b"my-secret", body, hashlib.sha256).hexdigest()
    return 200 if hmac.compare_digest(expected, headers["x-fal-webhook-signature"]) else 401


url, receive = fal.receiver(respond)
fal.submit({"prompt": "a cat"}, query="?fal_webhook=" + url)
receive(1)
