"""Ignores Retry-After.

Rule: usage.retry-after
Stress: busy
"""

import fal
import httpx

# One connection, so that the pauses are short on a busy machine too.
with httpx.Client(headers={"Authorization": fal.AUTHORIZATION}) as client:
    for _ in range(5):
        response = client.post(f"{fal.QUEUE}/{fal.SCHNELL}", json={"prompt": "a cat"})
        if response.status_code != 429:
            break
request = response.json()
fal.wait(request)
fal.result(request)
