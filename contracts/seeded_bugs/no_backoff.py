"""Retries without a pause after a server error.

Rule: usage.backoff
Stress: broken
"""

import fal

request = fal.submit({"prompt": "a cat"})
fal.wait(request)
for _ in range(12):
    if fal.send("GET", request["response_url"])[0] < 500:
        break
