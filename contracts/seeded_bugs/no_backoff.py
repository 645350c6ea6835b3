"""Tries again at once after an error of the server.

Rule: usage.backoff
Stress: broken
"""

import fal

request = fal.submit({"prompt": "a cat"})
fal.wait(request)
for _ in range(12):
    if fal.ask("GET", request["response_url"])[0] < 500:
        break
