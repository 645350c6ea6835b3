"""Tries again and again with a key that is refused.

Rule: usage.refused-key
Stress: unknown-key
"""

import fal

for _ in range(8):
    status, _, request = fal.ask("POST", f"{fal.QUEUE}/{fal.SCHNELL}", {"prompt": "a cat"})
    if status == 200:
        fal.wait(request)
        fal.result(request)
        break
