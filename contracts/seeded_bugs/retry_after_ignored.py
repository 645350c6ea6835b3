"""Ignores Retry-After.

Rule: usage.retry-after
Stress: busy
"""

import fal

for _ in range(5):
    status, _, request = fal.send("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"})
    if status != 429:
        break
fal.wait(request)
fal.result(request)
