"""Keeps retrying with a key that is rejected.

Rule: usage.refused-key
Stress: unknown-key
"""

import fal

for _ in range(8):
    status, _, request = fal.send("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"})
    if status == 200:
        fal.wait(request)
        fal.result(request)
        break
