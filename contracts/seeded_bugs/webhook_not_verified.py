"""Accepts every webhook without verifying its signature.

Rule: usage.webhook-forged
Stress: forged
"""

import fal

url, receive = fal.receiver(lambda headers, body: 200)
fal.submit({"prompt": "a cat"}, query="?fal_webhook=" + url)
receive(1)
