"""Redirects webhooks.

Rule: usage.webhook-redirect
"""

import fal

url, receive = fal.receiver(lambda headers, body: 308)
fal.submit({"prompt": "a cat"}, query="?fal_webhook=" + url)
receive(1)
